//! Records that cannot be read, many of them, among good ones, with a kill in between.

use quorate_testkit::require_broker;

use crate::checker::Rules;
use crate::config::Knobs;
use crate::history::Role;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;
use crate::workload::Workload;

/// Payloads that no topic of stations can read, and what is wrong with each.
fn corpus() -> Vec<(Option<Vec<u8>>, &'static str)> {
    let deep = "[".repeat(200_000);
    let unfinished = format!(r#"{{"s":"S1","n":{}"#, "9".repeat(5000));
    let texts = [
        ("", "not_json"),
        (" ", "not_json"),
        ("{", "not_json"),
        ("nul", "not_json"),
        ("null", "wrong_shape"),
        ("\"text\"", "wrong_shape"),
        ("7", "wrong_shape"),
        ("{}", "missing_station"),
        ("[1]", "wrong_shape"),
        (r#"{"s":null,"n":1}"#, "missing_station"),
        (r#"{"s":"","n":1}"#, "missing_station"),
        (r#"{"s":{},"n":1}"#, "missing_station"),
        (r#"{"s":"S1","n":NaN}"#, "not_json"),
        (r#"{"s":"S1","n":1e400}"#, "not_json"),
        (r#"{"s":"S1","n":1}{"s":"S1"}"#, "not_json"),
        ("\u{feff}{\"s\":\"S1\",\"n\":1}", "not_json"),
        ("{\"s\":\"S1\",\"n\":\"\u{0}\"}", "not_json"),
        (&deep, "too_deep"),
        (&unfinished, "not_json"),
    ];
    let mut corpus: Vec<_> = texts.iter().map(|(text, why)| (Some(text.as_bytes().to_vec()), *why)).collect();
    corpus.push((None, "wrong_shape"));
    corpus.push((Some(vec![0xff; 100]), "not_utf8"));
    corpus.push((Some(b"{\"s\":\"S\xc3\x28\",\"n\":1}".to_vec()), "not_utf8"));
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
            corpus().into_iter().for_each(|(payload, why)| workload.send_raw(role, payload, why));
        }
        std::thread::sleep(scenario.chance.millis(0..300));
        service.kill();
        service = scenario.start();
    }
    workload.flush();
    scenario.finish(service, &workload, &Rules::default());
}
