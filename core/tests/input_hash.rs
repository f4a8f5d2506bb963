//! The input hash: its bytes are pinned, because a result repeated after a crash is told from a new one by it, also by
//! another version of the service. Equal sets of readings have equal hashes, anything else a different one.

mod support;

use std::collections::BTreeSet;

use quorate_core::plan::{Fill, Plan};
use serde_json::{Value, json};
use support::fleet::{PARAM, REALTIME, STORAGE, hour, hours, param, realtime, storage};
use support::live::{Live, Sent, json as json_of, sent};
use support::scenario::{Scenario, record};
use support::{HOUR, MINUTE, Module, SECOND, T0, module, plan, topic};

fn probe(topics: &[&str]) -> Module {
    module("probe").requires(topics)
}

/// The hash of the only input after these records, each at its own moment.
#[track_caller]
fn hash(plan: Plan, records: &[(&str, Sent)]) -> String {
    let mut live = Live::new(plan);
    let mut inputs = Vec::new();
    for (topic, record) in records {
        inputs = live.apply(topic, record.ts, std::slice::from_ref(record)).run(record.ts);
    }
    assert_eq!(inputs.len(), 1, "the last record makes one input due");
    let hash = inputs[0].input_hash.to_string();
    assert_eq!(json_of(&inputs[0])["input_hash"], hash);
    assert!(hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    hash
}

fn reading(offset: i64) -> Sent {
    sent(offset, T0, json!({"stationId": "S"}))
}

#[test]
fn the_bytes_of_three_hashes_are_pinned() {
    let param_only =
        hash(plan(vec![param()], vec![probe(&[PARAM])]), &[(PARAM, sent(0, T0, json!([{"stationId": "S1"}])))]);
    assert_eq!(param_only, "8826864f53a2cc8f031ccb4a2d78f1f6");

    let devices =
        plan(vec![param(), storage(None)], vec![module("soh_model").version("2.1").requires(&[PARAM, STORAGE])]);
    let unit = |offset: i64, code: &str| sent(offset, T0, json!({"stationId": "站点", "storageCode": code}));
    let records = [
        (STORAGE, unit(7, "B")),
        (STORAGE, unit(8, "A").on(2)),
        (PARAM, sent(3, T0, json!([7, {"stationId": "站点"}]))),
    ];
    assert_eq!(hash(devices, &records), "54fdbe280150b3240782224675df5a24");

    let grid = plan(vec![realtime(Fill::Zero, 24), topic("O")], vec![probe(&[REALTIME]).optional(&["O"])]);
    let rows = [
        hour("1881540927845654529", "H", "2025-11-04 09:00:00", &[("01", 1.0, 2.0)]),
        hour("1881540927845654529", "H", "2025-11-04 10:00:00", &[]),
    ];
    assert_eq!(hash(grid, &[(REALTIME, sent(1_000_000, T0, hours(&rows)).on(5))]), "7cae21cde4888624e4155bd952a09f9f");
}

#[test]
fn neither_the_moment_nor_ages_nor_contents_nor_arrival_enter() {
    let two = || plan(vec![topic("A"), topic("B")], vec![probe(&["A", "B"])]);
    let want = hash(two(), &[("A", reading(1)), ("B", reading(2))]);
    assert_eq!(hash(two(), &[("B", reading(2)), ("A", reading(1))]), want, "the order of arrival");
    let late = |offset: i64| Sent { ts: T0 + HOUR, ..reading(offset) };
    assert_eq!(hash(two(), &[("A", reading(1)), ("B", late(2))]), want, "the moment and the age");
    let other = sent(2, T0, json!({"stationId": "S", "v": 9}));
    assert_eq!(hash(two(), &[("A", reading(1)), ("B", other)]), want, "a record is named by its place");
    assert_eq!(hash(two(), &[("A", reading(0)), ("A", reading(1)), ("B", reading(2))]), want, "what is gone");

    let mut live = Live::new(two());
    live.apply("A", T0, &[reading(1)]).apply("B", T0, &[reading(2)]);
    let waited = live.run(T0 + MINUTE);
    assert_eq!((waited[0].at.0, waited[0].input_hash.to_string()), (T0 + MINUTE, want), "how long it waited");
}

#[test]
fn the_order_of_topics_in_the_configuration_does_not_enter() {
    let records = [("A", reading(1)), ("B", reading(2))];
    let a = hash(plan(vec![topic("A"), topic("B")], vec![probe(&["A", "B"])]), &records);
    let b = hash(plan(vec![topic("B"), topic("A")], vec![probe(&["B", "A"])]), &records);
    let c = hash(plan(vec![topic("B"), topic("A")], vec![probe(&["B"]).optional(&["A"])]), &records);
    assert_eq!((&a, &a), (&b, &c), "inputs are taken in the order of their names");
}

#[test]
fn module_version_station_topic_partition_offset_element_and_status_each_enter() {
    let one = |name: &str, version: &str| plan(vec![topic("A")], vec![module(name).version(version).requires(&["A"])]);
    let list = || plan(vec![topic("A").records(&["/*"])], vec![probe(&["A"])]);
    let with =
        |optional: &[&str]| plan(vec![topic("A"), topic("B"), topic("C")], vec![probe(&["A"]).optional(optional)]);
    let young = || plan(vec![topic("A"), topic("B")], vec![probe(&["A"]).optional_young("B", SECOND)]);
    let b_of = |ts: i64| Sent { ts, ..reading(5) };
    let hashes = [
        hash(one("probe", "1"), &[("A", reading(1))]),
        hash(one("probe", "2"), &[("A", reading(1))]),
        hash(one("probe1", ""), &[("A", reading(1))]),
        hash(one("other", "1"), &[("A", reading(1))]),
        hash(one("probe", "1"), &[("A", sent(1, T0, json!({"stationId": "N"})))]),
        hash(plan(vec![topic("B")], vec![probe(&["B"])]), &[("B", reading(1))]),
        hash(one("probe", "1"), &[("A", reading(2))]),
        hash(one("probe", "1"), &[("A", reading(1).on(1))]),
        hash(list(), &[("A", sent(1, T0, json!([7, {"stationId": "S"}])))]),
        hash(list(), &[("A", sent(1, T0, json!([7, 7, {"stationId": "S"}])))]),
        hash(with(&["B"]), &[("A", reading(1))]),
        hash(with(&["C"]), &[("A", reading(1))]),
        hash(with(&["B", "C"]), &[("A", reading(1))]),
        hash(young(), &[("B", b_of(T0)), ("A", Sent { ts: T0 + SECOND, ..reading(1) })]),
        hash(young(), &[("B", b_of(T0)), ("A", Sent { ts: T0 + SECOND + 1, ..reading(1) })]),
    ];
    let distinct: BTreeSet<&String> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len(), "{hashes:#?}");
}

#[test]
fn every_set_of_devices_has_a_hash_of_its_own_and_returns_to_it() {
    let keyed = || plan(vec![storage(Some(MINUTE)), topic("A")], vec![probe(&["A"]).optional(&[STORAGE]).on(&["A"])]);
    let unit = |offset: i64, code: &str, ts: i64| sent(offset, ts, json!({"stationId": "S", "storageCode": code}));
    let asked = |ts: i64| Sent { ts, ..reading(1) };
    let (x, y) = (unit(1, "X", T0), unit(2, "Y", T0 + MINUTE));
    let only_y = hash(keyed(), &[(STORAGE, y.clone()), ("A", asked(T0 + MINUTE))]);
    let both = hash(keyed(), &[(STORAGE, x.clone()), (STORAGE, y.clone()), ("A", asked(T0 + MINUTE))]);
    let x_expired = hash(keyed(), &[(STORAGE, x), (STORAGE, y), ("A", asked(T0 + MINUTE + 1))]);
    assert_ne!(only_y, both);
    assert_eq!(only_y, x_expired, "a reading that has left is not part of the sum");
}

#[test]
fn a_grid_counts_each_reading_that_owns_a_value_once() {
    let grid = || plan(vec![realtime(Fill::Zero, 2)], vec![probe(&[REALTIME])]);
    let at = |offset: i64, time: &str, guns: &[(&str, f64, f64)]| {
        (REALTIME, sent(offset, T0, hours(&[hour("S", "H", time, guns)])))
    };
    let nine = |offset: i64, guns: &[(&str, f64, f64)]| at(offset, "2025-11-04 09:00:00", guns);
    let (one, two) = ([("01", 1.0, 1.0)], [("01", 2.0, 2.0), ("02", 2.0, 2.0)]);
    let replaced = hash(grid(), &[nine(0, &one), nine(1, &two)]);
    assert_eq!(replaced, hash(grid(), &[nine(1, &two)]), "what was replaced as a whole is gone");
    assert_ne!(replaced, hash(grid(), &[nine(0, &two), nine(1, &one)]), "what still owns a value is not");
    let ten = at(2, "2025-11-04 11:00:00", &one);
    let moved_on = hash(grid(), &[nine(0, &two), ten.clone()]);
    assert_eq!(moved_on, hash(grid(), &[ten]), "what has left the span is gone");
}

#[test]
fn replay_and_the_live_shard_agree() {
    let two = || plan(vec![topic("A"), topic("B")], vec![probe(&["A", "B"])]);
    let mut scenario = Scenario::new(two());
    let payload = json!({"stationId": "S"});
    scenario.take(&record("A", 1, T0, &payload)).take(&record("B", 2, T0, &payload));
    let replayed: Value = scenario.input();
    assert_eq!(replayed["input_hash"], hash(two(), &[("A", reading(1)), ("B", reading(2))]));
}
