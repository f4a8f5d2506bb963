//! Records that cannot be read, many of them, among good ones, with a kill in between.

use quorate_testkit::require_broker;

use crate::checker::Rules;
use crate::config::Knobs;
use crate::history::Role;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;
use crate::workload::Workload;

/// Payloads that no topic of stations can read.
fn corpus() -> Vec<Option<Vec<u8>>> {
    let deep = "[".repeat(200_000);
    let digits = "9".repeat(5000);
    let texts = [
        "",
        " ",
        "{",
        "nul",
        "null",
        "\"text\"",
        "7",
        "{}",
        "[1]",
        r#"{"s":null,"n":1}"#,
        r#"{"s":"","n":1}"#,
        r#"{"s":{},"n":1}"#,
        r#"{"s":"S1","n":NaN}"#,
        r#"{"s":"S1","n":1e400}"#,
        r#"{"s":"S1","n":1}{"s":"S1"}"#,
        "\u{feff}{\"s\":\"S1\",\"n\":1}",
        "{\"s\":\"S1\",\"n\":\"\u{0}\"}",
        &deep,
        &format!(r#"{{"s":"S1","n":{digits}"#),
    ];
    let mut corpus: Vec<_> = texts.iter().map(|text| Some(text.as_bytes().to_vec())).collect();
    corpus.push(None);
    corpus.push(Some(vec![0xff; 100]));
    corpus.push(Some(b"{\"s\":\"S\xc3\x28\",\"n\":1}".to_vec()));
    corpus
}

#[test]
fn matrix_20_and_21_poison_among_good_records() {
    let broker = require_broker!(broker());
    let knobs = Knobs { instance_id: Some("one".to_owned()), ..Knobs::default() };
    let mut scenario = Scenario::begin(broker, "poison", knobs);
    let mut workload = scenario.prepared(Workload::new(broker, scenario.name).bad_once_in(Some(4)));
    let mut service = scenario.start();
    for _ in 0..rounds(2) {
        let load = workload.in_background();
        scenario.until_more_results(scenario.results());
        workload = load.stop();
        for role in [Role::Param, Role::Orders, Role::Curve, Role::Task] {
            corpus().into_iter().for_each(|payload| workload.send_raw(role, payload));
        }
        std::thread::sleep(scenario.chance.millis(0..300));
        service.kill();
        service = scenario.start();
    }
    workload.flush();
    scenario.finish(service, &workload, &Rules::default());
}
