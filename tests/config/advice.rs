//! Advice: what `check` says about a configuration with which nothing is wrong.

use std::process::{Command, Output};

use quorate::config::{Problem, Severity};

use super::{good, warnings, with_topics};

const NAMES: [&str; 3] = ["A", "B", "C"];

#[track_caller]
fn advice(multi: Option<bool>, topics: usize) -> Vec<Problem> {
    let loaded = good(&with_topics(multi, "", &NAMES[..topics]));
    assert!(warnings(&loaded).is_empty() && loaded.warnings.is_empty(), "advice is no warning");
    assert!(loaded.advice.problems().iter().all(|problem| problem.severity == Severity::Advice));
    loaded.advice.problems().to_vec()
}

#[test]
fn row_4_25_a_consumer_for_each_topic_is_advised_from_three_topics_on() {
    for (multi, topics, words, help) in [
        (Some(true), 1, "consumed: 1", "`multi_consumer_mode = false`"),
        (Some(true), 2, "consumed: 2", "`multi_consumer_mode = false`"),
        (Some(false), 3, "one consumer serves 3 topics", "`multi_consumer_mode = true`"),
        (None, 3, "one consumer serves 3 topics", "`multi_consumer_mode = true`"),
    ] {
        let found = advice(multi, topics);
        assert_eq!(found.len(), 1, "{multi:?} {topics}");
        assert!(found[0].message.contains(words), "{}", found[0].message);
        assert!(found[0].help.as_deref().is_some_and(|found| found.contains(help)));
    }
    for (multi, topics) in [(Some(true), 3), (Some(false), 2), (None, 1)] {
        assert!(advice(multi, topics).is_empty(), "{multi:?} {topics}");
    }
}

#[test]
fn row_4_25_check_prints_advice_and_strictness_has_nothing_against_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    std::fs::write(&path, with_topics(Some(true), "", &NAMES[..1])).expect("written");
    let check = |more: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command.args(["check", "--strict", "-c"]).arg(&path).args(more).output().expect("the binary runs")
    };
    let advised = check(&[]);
    let said = String::from_utf8_lossy(&advised.stderr).into_owned();
    assert!(advised.status.success() && said.contains("config.toml:5:23: advice: a consumer for each topic"), "{said}");
    let warned = check(&["--set", "kafka.consumer.auto_offset_reset=latest"]);
    assert_eq!(warned.status.code(), Some(3));
}
