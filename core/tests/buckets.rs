//! Buckets of time: each closed bucket is handed over once, whoever closes it; nothing of it is settled before.

mod support;

use proptest::prelude::*;
use quorate_core::ident::Millis;
use quorate_core::plan::{Plan, Then};
use quorate_core::shard::Mode;
use serde_json::{Value, json};
use support::live::{Live, sent};
use support::scenario::{Scenario, value_of};
use support::{CASES, MINUTE, Module, SECOND, module, plan, topic};

/// A moment at which a second begins.
const T: i64 = 1_000_000_000_000;

fn orders(modules: Vec<Module>) -> Plan {
    let orders = topic("ORDER").bucket(SECOND, Some(SECOND));
    plan(vec![orders, topic("PARAM"), topic("ALL").global().bucket(MINUTE, None)], modules)
}

fn order(tx: &str) -> Value {
    json!({ "stationId": "S", "tx": tx })
}

/// The transactions of each bucket that was handed over, with the moment.
fn handed(scenario: &mut Scenario) -> Vec<(i64, Vec<String>)> {
    let inputs = scenario.inputs();
    let handed = |input: &Value| {
        let readings = value_of(input, "ORDER")["readings"].as_array().expect("a bucket").clone();
        let tx = readings.iter().map(|reading| reading["tx"].as_str().expect("tx").to_owned());
        (input["at"].as_i64().expect("at"), tx.collect())
    };
    inputs.iter().map(handed).collect()
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn row_d1_to_d5_orders_of_a_second_are_delivered_once_the_second_is_over_also_the_last_ones() {
    let mut scenario = Scenario::new(orders(vec![module("probe").requires(&["ORDER"])]));
    scenario.send("ORDER", T + 100, order("tx1")).send("ORDER", T + 900, order("tx2"));
    assert_eq!(handed(&mut scenario), [], "the second is not over");
    scenario.send("ORDER", T + 1_000, order("tx3"));
    assert_eq!(handed(&mut scenario), [(T + 1_000, texts(&["tx1", "tx2"]))]);
    scenario.send("ORDER", T + 1_500, order("tx4")).send("ORDER", T + 3_200, order("tx5"));
    assert_eq!(handed(&mut scenario), [(T + 3_000, texts(&["tx3", "tx4"]))], "closed by time before the next came");
    scenario.advance(10 * SECOND);
    assert_eq!(handed(&mut scenario), [(T + 5_000, texts(&["tx5"]))]);
}

#[test]
fn row_d6_a_late_order_displaces_nothing_and_becomes_a_dead_letter() {
    let mut scenario = Scenario::new(orders(vec![module("probe").requires(&["ORDER"])]));
    scenario.send("ORDER", T + 100, order("tx1")).send("ORDER", T + 1_100, order("tx2"));
    scenario.drain();
    scenario.send("ORDER", T + 999, order("tx6"));
    let lines = scenario.drain();
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0]["reason"].as_str(), lines[0]["offset"].as_i64()), (Some("late"), Some(2)));
}

#[test]
fn row_d7_silence_after_the_last_order_still_delivers_it_exactly_once() {
    let mut scenario = Scenario::new(orders(vec![module("probe").requires(&["ORDER"])]));
    for (at, tx) in [(0, "tx1"), (10, "tx2"), (1_000, "tx3"), (1_010, "tx4")] {
        scenario.send("ORDER", T + at, order(tx));
    }
    scenario.advance(10 * SECOND);
    let wanted = [(T + 1_000, texts(&["tx1", "tx2"])), (T + 3_000, texts(&["tx3", "tx4"]))];
    assert_eq!(handed(&mut scenario), wanted);
}

#[test]
fn buckets_that_close_together_are_handed_over_one_by_one_oldest_first() {
    let mut scenario = Scenario::new(orders(vec![module("probe").requires(&["ORDER", "PARAM"])]));
    for (at, tx) in [(0, "a"), (1_000, "b"), (2_000, "c")] {
        scenario.send("ORDER", T + at, order(tx));
    }
    assert_eq!(handed(&mut scenario), [], "parameters are missing");
    scenario.send("PARAM", T + 2_500, json!({ "stationId": "S" }));
    assert_eq!(handed(&mut scenario), [(T + 2_500, texts(&["a"])), (T + 2_500, texts(&["b"]))]);
    scenario.send("PARAM", T + 2_600, json!({ "stationId": "S" }));
    assert_eq!(handed(&mut scenario), [(T + 2_600, texts(&["b"]))], "another cause sees the newest closed bucket");
}

#[test]
fn a_module_that_skips_what_it_cannot_use_is_not_given_it_later() {
    let probe = module("probe").requires(&["ORDER", "PARAM"]).incomplete(Then::Skip, None);
    let mut scenario = Scenario::new(orders(vec![probe]));
    scenario.send("ORDER", T, order("a")).send("ORDER", T + 1_000, order("b"));
    scenario.send("PARAM", T + 1_500, json!({ "stationId": "S" }));
    assert_eq!(handed(&mut scenario), [(T + 1_500, texts(&["a"]))], "the newest closed one is still to be seen");
    scenario.advance(5 * SECOND);
    assert_eq!(handed(&mut scenario), [(T + 3_000, texts(&["b"]))]);
}

#[test]
fn a_global_bucket_is_handed_over_for_every_station() {
    let mut scenario = Scenario::new(orders(vec![module("probe").requires(&["ALL", "PARAM"]).on(&["ALL"])]));
    for station in ["S", "N"] {
        scenario.send("PARAM", T, json!({ "stationId": station }));
    }
    scenario.send("ALL", T, json!({ "n": 1 })).send("ALL", T + MINUTE, json!({ "n": 2 }));
    let called: Vec<_> = scenario.called().into_iter().map(|(_, station, _)| station).collect();
    assert_eq!(called, ["S", "N"]);
}

#[test]
fn what_a_bucket_is_made_of_stays_unsettled_until_it_has_been_handed_over() {
    let mut live = Live::new(orders(vec![module("probe").requires(&["ORDER"])]));
    live.apply("ORDER", T, &[sent(0, T, order("a")), sent(1, T + 10, order("b"))]);
    assert_eq!(live.oldest_unsettled("ORDER"), Some(1), "the newest of an open bucket stands for it");
    live.apply("ORDER", T, &[sent(2, T + 1_000, order("c"))]);
    let runs = live.start(T + 1_000);
    assert_eq!(runs.len(), 1);
    assert_eq!(live.oldest_unsettled("ORDER"), Some(1));
    live.finish(runs[0].run, T + 1_000);
    assert_eq!(live.oldest_unsettled("ORDER"), Some(2));
    let runs = live.start(T + 3_000);
    live.finish(runs[0].run, T + 3_000);
    assert_eq!((live.oldest_unsettled("ORDER"), live.shard.open_runs()), (None, 0));
}

#[test]
fn after_a_restart_a_bucket_that_was_handed_over_is_not_repeated_and_one_that_was_not_is() {
    let mut live = Live::starting(orders(vec![module("probe").requires(&["ORDER"])]));
    let loaded = [sent(0, T, order("a")), sent(1, T + 1_000, order("b"))];
    live.apply_as(Mode::Load, "ORDER", T, &loaded).loaded("ORDER", T);
    assert!(live.run(T + 10).is_empty(), "its records were committed: it was handed over");
    live.apply("ORDER", T, &[sent(2, T + 1_500, order("c"))]);
    let inputs = live.run(T + 5_000);
    assert_eq!(inputs.len(), 1);
    assert_eq!(inputs[0].inputs[0].value.bucket().expect("a bucket").readings.len(), 2, "b was only loaded, c is live");
}

#[test]
fn a_backlog_closes_its_buckets_in_its_own_time() {
    let mut live = Live::new(orders(vec![module("probe").requires(&["ORDER"])]));
    let topic = live.topic("ORDER");
    live.shard.set_event_clock(topic, Some(Millis(T)), Millis(T));
    let years_later = T + 365 * 24 * 60 * MINUTE;
    live.apply("ORDER", years_later, &[sent(0, T, order("a")), sent(1, T + 500, order("b"))]);
    assert!(live.run(years_later).is_empty(), "more of that second may follow");
    live.shard.set_event_clock(topic, Some(Millis(T + 2_000)), Millis(years_later));
    live.apply("ORDER", years_later, &[sent(2, T + 2_000, order("c"))]);
    assert_eq!(live.run(years_later).len(), 1);
    live.shard.set_event_clock(topic, None, Millis(years_later));
    assert_eq!(live.shard.next_deadline(), Some(Millis(T + 4_000)));
    assert_eq!(live.run(years_later).len(), 1, "read to its end, the wall clock closes the last");
}

#[test]
fn a_bucket_that_grew_too_old_while_it_waited_is_dropped_and_counted() {
    let probe = module("probe").requires(&["PARAM"]).requires_young("ORDER", 10 * SECOND);
    let mut live = Live::new(orders(vec![probe]));
    live.apply("ORDER", T, &[sent(0, T, order("a")), sent(1, T + 60_000, order("b"))]);
    live.apply("ORDER", T + 61_500, &[sent(2, T + 61_000, order("c"))]);
    live.apply("PARAM", T + 61_500, &[sent(0, T, json!({ "stationId": "S" }))]);
    let inputs = live.run(T + 61_500);
    assert_eq!(inputs.len(), 1, "only b is young enough");
    assert_eq!(inputs[0].bucket, Some(Millis(T + 60_000)));
    assert_eq!(live.shard.skipped_runs(quorate_core::ident::ModuleId(0)), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_reading_is_handed_over_exactly_once_or_is_late(
        times in prop::collection::vec((0_i64..8_000, 0_usize..2), 1..40),
    ) {
        let mut scenario = Scenario::new(orders(vec![module("probe").requires(&["ORDER"])]));
        for (number, (at, station)) in times.iter().enumerate() {
            let payload = json!({ "stationId": format!("S{station}"), "tx": number.to_string() });
            scenario.send("ORDER", T + at, payload);
        }
        scenario.advance(MINUTE);
        let mut seen = Vec::new();
        let mut newest: std::collections::BTreeMap<String, i64> = Default::default();
        for line in scenario.drain() {
            if line["event"] == "dead_letter" {
                prop_assert_eq!(&line["reason"], "late");
                seen.push(line["offset"].as_u64().expect("offset"));
                continue;
            }
            let value = value_of(&line, "ORDER");
            let (from, to) = (value["from"].as_i64().expect("from"), value["to"].as_i64().expect("to"));
            prop_assert_eq!((from % SECOND, to - from), (0, SECOND));
            let station = line["station"].as_str().expect("station").to_owned();
            prop_assert!(newest.insert(station, from).is_none_or(|before| before < from), "each bucket once, in order");
            for reading in value["readings"].as_array().expect("readings") {
                let number: usize = reading["tx"].as_str().expect("tx").parse().expect("a number");
                let time = T + times[number].0;
                prop_assert!(from <= time && time < to);
                seen.push(number as u64);
            }
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..times.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn open_buckets_and_those_of_incomplete_stations_hold_nobody_back_and_those_of_a_slow_module_do() {
    let probe = module("probe").requires(&["ORDER", "PARAM"]);
    let mut live = Live::new(orders(vec![probe]));
    let topic = live.topic("ORDER");
    for n in 0..2_000 {
        live.apply("ORDER", T + n * SECOND, &[sent(n, T + n * SECOND, order("a"))]);
    }
    assert_eq!(live.shard.unsettled_records(topic), 0, "nothing that waits for records may stop the topic");
    assert_eq!(live.oldest_unsettled("ORDER"), Some(999), "but it is unsettled all the same");
    assert_eq!(live.shard.skipped_runs(quorate_core::ident::ModuleId(0)), 999, "a thousand are kept");
    live.apply("PARAM", T + 2_000 * SECOND, &[sent(0, T, json!({ "stationId": "S" }))]);
    assert_eq!(live.shard.unsettled_records(topic), 1_000, "these wait for their module");
    for n in 2_000..4_000 {
        live.apply("ORDER", T + n * SECOND, &[sent(n, T + n * SECOND, order("a"))]);
    }
    assert_eq!(live.shard.unsettled_records(topic), 3_000, "so do these");
    assert_eq!(live.shard.skipped_runs(quorate_core::ident::ModuleId(0)), 999, "a slow module loses none");
    assert_eq!(live.run(T + 5_000 * SECOND).len(), 3_001, "and sees every one of them");
    assert_eq!((live.shard.unsettled_records(topic), live.oldest_unsettled("ORDER")), (0, None));
}
