//! `quorate demo` as a person or a script runs it: the built binary, nothing installed, and the numbers it tells.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use quorate::config::Properties;
use quorate::kafka::{EmbeddedBroker, Feed, Tail};
use quorate_core::ident::{Millis, NextOffset};
use serde_json::Value;

fn demo(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.arg("demo").args(arguments).env_remove("QUORATE_LOG").output().expect("the binary runs")
}

fn count(summary: &Value, field: &str) -> u64 {
    summary[field].as_u64().unwrap_or_else(|| panic!("{field} is {}", summary[field]))
}

#[test]
fn the_demo_reads_all_topics_loses_nothing_and_says_so_in_one_object() {
    let ended = demo(&["--duration", "6s", "--stations", "4", "--seed", "7", "--json"]);
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{told}");
    let summary: Value = serde_json::from_slice(&ended.stdout).expect("one object and nothing else");
    for field in ["records", "readings", "inputs", "results"] {
        assert!(count(&summary, field) > 0, "{field}: {summary}");
    }
    assert_eq!(count(&summary, "stations"), 4);
    assert_eq!(count(&summary, "complete_stations"), 4);
    assert_eq!(count(&summary, "records"), count(&summary, "fed_records"));
    assert_eq!(count(&summary, "results"), count(&summary, "observed_results"));
    assert_eq!(summary["dead_letters"], summary["expected_dead_letters"]);
    let lag = summary["lag"].as_object().expect("lag by topic");
    assert_eq!(lag.len(), 13);
    assert!(lag.values().all(|lag| lag.as_u64() == Some(0)), "{lag:?}");
    assert!(told.lines().any(|line| line.contains("records") && line.contains("results")), "progress: {told}");
}

#[test]
fn without_a_terminal_the_summary_is_for_people_and_free_of_control_characters() {
    let ended = demo(&["--duration", "3s", "--stations", "2"]);
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    let summary = String::from_utf8(ended.stdout).expect("text");
    assert!(summary.starts_with("quorate demo: nothing lost"), "{summary}");
    assert!(summary.chars().all(|c| c == '\n' || !c.is_control()), "{summary:?}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    assert_eq!(demo(&["--stations", "0"]).status.code(), Some(2));
    assert_eq!(demo(&["--duration", "soon"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fed_to_a_partition_is_counted_and_found_there_in_order() {
    let broker = EmbeddedBroker::start(1).expect("a broker");
    broker.create_topic("fed", 2).expect("a topic");
    let client = Properties(BTreeMap::from([("bootstrap.servers".to_owned(), broker.servers().to_owned())]));
    let topics = [(Arc::<str>::from("fed"), 2)];
    let (_tail, mut records) = Tail::start(&client, &topics).expect("an observer");
    let feed = Feed::start(&client, &topics).expect("a feed");
    for number in 0..100_i32 {
        let payload = number.to_string();
        feed.send(0, number % 2, Millis(1_000), payload.as_bytes()).await.expect("accepted");
    }
    feed.acknowledged(100).await;
    for fed in feed.partitions(0) {
        assert_eq!((fed.records, fed.next, fed.bytes), (50, NextOffset(50), 95));
    }
    let mut read = [Vec::new(), Vec::new()];
    for _ in 0..100 {
        let record = tokio::time::timeout(Duration::from_secs(20), records.recv()).await;
        let record = record.expect("in time").expect("a record");
        let value = String::from_utf8(record.value.expect("a value")).expect("text");
        read[usize::try_from(record.partition).expect("0 or 1")].push(value.parse::<i32>().expect("a number"));
    }
    assert_eq!(read[0], (0..100).step_by(2).collect::<Vec<_>>());
    assert_eq!(read[1], (1..100).step_by(2).collect::<Vec<_>>());
}
