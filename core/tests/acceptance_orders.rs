//! The acceptance cases of charging orders, table D, step by step: what an order hands over when it arrives. A test is
//! named after its rows. What else buckets promise stands in `buckets.rs`.

mod support;

use serde_json::{Value, json};
use support::fleet::ORDER;
use support::scenario::{Scenario, value_of};
use support::{SECOND, probe_of, topic};

/// Second 1000 of the table, on a whole second of the epoch.
const S1000: i64 = 1_700_000_000_000;

/// Orders by the second, closed a second after its end at the latest.
fn orders() -> Scenario {
    Scenario::new(probe_of(vec![topic(ORDER).bucket(SECOND, Some(SECOND))]))
}

fn order(tx: &str) -> Value {
    json!({"stationId": "S", "transactionSerialNo": tx})
}

/// What was printed since lines were last asked for: the orders of each bucket that was handed over, and the reason of
/// each dead letter.
fn told(scenario: &mut Scenario) -> Vec<Vec<String>> {
    let tx = |order: &Value| order["transactionSerialNo"].as_str().expect("a name").to_owned();
    let told = |line: &Value| match line["reason"].as_str() {
        Some(reason) => vec![reason.to_owned()],
        None => value_of(line, ORDER)["readings"].as_array().expect("readings").iter().map(tx).collect(),
    };
    scenario.drain().iter().map(told).collect()
}

#[test]
fn row_d1_to_d6_a_second_is_handed_over_whole_and_once_and_never_because_of_a_late_order() {
    let steps: [(i64, &str, &[&[&str]]); 6] = [
        (100, "tx1", &[]),
        (900, "tx2", &[]),
        (1_000, "tx3", &[&["tx1", "tx2"]]),
        (1_500, "tx4", &[]),
        (3_200, "tx5", &[&["tx3", "tx4"]]),
        (950, "tx6", &[&["late"]]),
    ];
    let mut scenario = orders();
    for (step, (after, tx, wanted)) in (1..).zip(steps) {
        scenario.send(ORDER, S1000 + after, order(tx));
        assert_eq!(told(&mut scenario), wanted, "d{step}");
    }
    scenario.advance(10 * SECOND);
    assert_eq!(told(&mut scenario), [["tx5"]], "the late one displaced nothing");
}

#[test]
fn row_d2_an_order_of_the_second_that_was_just_handed_over_is_late() {
    let mut scenario = orders();
    scenario.send(ORDER, S1000 + 100, order("tx1")).send(ORDER, S1000 + 1_000, order("tx3"));
    assert_eq!(told(&mut scenario), [["tx1"]]);
    scenario.send(ORDER, S1000 + 900, order("tx2")).send(ORDER, S1000 + 1_999, order("tx4"));
    assert_eq!(told(&mut scenario), [["late"]]);
    scenario.advance(10 * SECOND);
    assert_eq!(told(&mut scenario), [["tx3", "tx4"]]);
}

#[test]
fn row_d6_an_order_late_for_a_second_that_had_none_is_late_too() {
    let mut scenario = orders();
    scenario.send(ORDER, S1000 + 100, order("tx1")).send(ORDER, S1000 + 5_000, order("tx5"));
    assert_eq!(told(&mut scenario), [["tx1"]]);
    scenario.send(ORDER, S1000 - 1, order("tx0"));
    assert_eq!(told(&mut scenario), [["late"]], "every second up to the newest closed one is closed");
}
