//! A process that keeps nothing but what it committed: after a crash it reads each topic again, everything before the
//! committed position only to load, and whatever run was still owed becomes due again.

mod support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use quorate_core::ident::{Epoch, NextOffset, Offset};
use quorate_core::plan::Plan;
use quorate_core::progress::Cut;
use quorate_core::shard::{Invocation, Mode};
use serde_json::json;
use support::live::{Live, Sent, sent};
use support::{CASES, Module, SECOND, T0, module, plan, topic};

const TOPICS: [&str; 3] = ["A", "B", "G"];
const STATIONS: [&str; 3] = ["S", "N", "M"];

fn modules() -> Vec<Module> {
    vec![
        module("all").requires(&["A", "B"]).optional(&["G"]).min_interval(10 * SECOND),
        module("on_b").requires(&["A", "B"]).on(&["B"]),
        module("on_g").requires(&["A", "G"]).on(&["G"]),
        module("global").requires(&["G"]).optional(&["A"]),
    ]
}

fn fleet() -> Plan {
    plan(vec![topic("A"), topic("B"), topic("G").global()], modules())
}

/// One thing that can happen before the crash.
#[derive(Clone, Debug)]
enum Happens {
    Arrives { topic: usize, station: usize },
    Starts,
    Finishes(prop::sample::Index),
    TimePasses(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        5 => (0_usize..3, 0_usize..3).prop_map(|(topic, station)| Happens::Arrives { topic, station }),
        2 => Just(Happens::Starts),
        2 => any::<prop::sample::Index>().prop_map(Happens::Finishes),
        1 => (1_i64..20 * SECOND).prop_map(Happens::TimePasses),
    ]
}

/// Module and station of runs.
fn names<'a>(runs: impl IntoIterator<Item = &'a Invocation>) -> BTreeSet<(String, String)> {
    runs.into_iter().map(|run| (run.input.module.to_string(), run.input.station.to_string())).collect()
}

/// Every run that is owed now or becomes due without any further record.
fn owed_by(live: &mut Live, in_flight: &[Invocation], mut now: i64) -> BTreeSet<(String, String)> {
    let mut all = names(in_flight);
    in_flight.iter().for_each(|run| {
        live.finish(run.run, now);
    });
    while live.shard.open_runs() > 0 {
        now = live.shard.next_deadline().map_or(now, |deadline| now.max(deadline.0));
        let runs = live.start(now);
        all.extend(names(&runs));
        runs.iter().for_each(|run| {
            live.finish(run.run, now);
        });
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_owed_at_a_crash_is_due_again_after_it(
        story in prop::collection::vec(happens(), 0..40),
        order in Just(TOPICS).prop_shuffle(),
    ) {
        let mut live = Live::new(fleet());
        let mut now = T0;
        let mut logs: [Vec<Sent>; 3] = Default::default();
        let mut in_flight = Vec::new();
        for what in story {
            match what {
                Happens::Arrives { topic, station } => {
                    let offset = i64::try_from(logs[topic].len()).expect("offset");
                    let record = sent(offset, now, json!({"stationId": STATIONS[station], "v": now}));
                    live.apply(TOPICS[topic], now, std::slice::from_ref(&record));
                    logs[topic].push(record);
                }
                Happens::Starts => in_flight.extend(live.start(now)),
                Happens::Finishes(which) if !in_flight.is_empty() => {
                    let run: Invocation = in_flight.swap_remove(which.index(in_flight.len()));
                    live.finish(run.run, now);
                }
                Happens::Finishes(_) => {}
                Happens::TimePasses(ms) => now += ms,
            }
        }
        let committed = [0, 1, 2].map(|at| committable(&live, TOPICS[at], logs[at].len()));
        let owed = owed_by(&mut live, &in_flight, now);

        let mut again = Live::starting(fleet());
        let log = |name: &str| TOPICS.iter().position(|topic| *topic == name).expect("topic");
        for name in order {
            again.apply_as(Mode::Load, name, now, &logs[log(name)][..committed[log(name)]]);
        }
        for name in order {
            again.loaded(name, now);
        }
        for name in order {
            again.apply(name, now, &logs[log(name)][committed[log(name)]..]);
        }
        let due = owed_by(&mut again, &[], now);
        prop_assert!(due.is_superset(&owed), "owed {:?}, due again {:?}, committed {:?}", owed, due, committed);
    }
}

/// What the commit rule allows for a topic of which `read` records were handed out.
fn committable(live: &Live, topic: &str, read: usize) -> usize {
    let oldest = live.oldest_unsettled(topic).map(Offset);
    let position = NextOffset(i64::try_from(read).expect("position"));
    let cut = Cut {
        topic: live.topic(topic),
        partition: 0,
        epoch: Epoch(0),
        position,
        reached: position,
        live_from: NextOffset(0),
        incarnation: 0,
        topic_id: None,
    };
    let next = cut.committable(oldest).expect("a position at or above the start");
    usize::try_from(next.0).expect("position")
}

#[test]
fn a_run_on_global_readings_alone_that_was_owed_at_a_crash_is_due_again_after_it() {
    let fleet = || plan(vec![topic("A"), topic("B"), topic("G").global()], vec![module("only_g").requires(&["G"])]);
    let record = |offset: i64| sent(offset, T0, json!({"stationId": "S"}));
    let mut live = Live::new(fleet());
    live.apply("G", T0, &[record(0)]).apply("A", T0, &[record(0)]).apply("B", T0, &[record(0)]);
    let committed = TOPICS.map(|topic| committable(&live, topic, 1));
    assert_eq!(committed, [0, 1, 1]);
    assert_eq!(owed_by(&mut live, &[], T0).len(), 1);

    let mut again = Live::starting(fleet());
    again.apply_as(Mode::Load, "B", T0, &[record(0)]).apply_as(Mode::Load, "G", T0, &[record(0)]);
    TOPICS.iter().for_each(|topic| {
        again.loaded(topic, T0);
    });
    again.apply("A", T0, &[record(0)]);
    assert_eq!(owed_by(&mut again, &[], T0).len(), 1);
}

#[test]
fn a_station_that_is_loaded_after_a_module_on_global_readings_alone_is_called_for_all_the_same() {
    let fleet = || plan(vec![topic("A"), topic("G").global()], vec![module("only_g").requires(&["G"])]);
    let record = |offset: i64| sent(offset, T0, json!({"stationId": "S"}));
    let mut again = Live::starting(fleet());
    again.loaded("G", T0).apply("G", T0, &[record(0)]);
    assert_eq!(again.run(T0).len(), 0, "nobody is known");
    again.apply_as(Mode::Load, "A", T0, &[record(0)]);
    assert_eq!(again.run(T0).len(), 1);
    again.apply_as(Mode::Load, "A", T0, &[record(1)]).loaded("A", T0);
    assert_eq!(again.run(T0).len(), 0, "once");
}

#[test]
fn a_completing_record_that_is_read_before_its_trigger_is_loaded_makes_the_run_due_again() {
    let fleet = || plan(vec![topic("A"), topic("B")], vec![module("m").requires(&["A", "B"]).on(&["A"])]);
    let record = |offset: i64| sent(offset, T0, json!({"stationId": "S"}));
    let mut again = Live::starting(fleet());
    again.loaded("B", T0);
    again.apply("B", T0, &[record(0)]).apply_as(Mode::Load, "A", T0, &[record(0)]).loaded("A", T0);
    assert_eq!(owed_by(&mut again, &[], T0).len(), 1);

    let mut never_triggered = Live::starting(fleet());
    never_triggered.loaded("B", T0);
    never_triggered.apply("B", T0, &[record(0)]).loaded("A", T0);
    assert_eq!(never_triggered.oldest_unsettled("B"), None, "nothing was due");
}

#[test]
fn a_record_that_first_names_a_station_is_owed_by_no_module_that_does_not_read_it() {
    let modules = vec![module("first").requires(&["A"]), module("other").requires(&["B"])];
    let record = |offset: i64| sent(offset, T0, json!({"stationId": "S"}));
    let mut again = Live::starting(plan(vec![topic("A"), topic("B")], modules));
    again.loaded("A", T0).apply("A", T0, &[record(0)]);
    assert_eq!(again.run(T0).len(), 1);
    assert_eq!(again.oldest_unsettled("A"), None, "what B still has to load holds it back no longer");
    again.apply_as(Mode::Load, "B", T0, &[record(0)]).loaded("B", T0);
    assert_eq!(again.run(T0).len(), 0, "what was loaded was settled in an earlier life");
}
