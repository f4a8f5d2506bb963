//! A process that keeps its state: whatever was flushed is found again, whatever was owed becomes due again, and what
//! ended before the last flush is not run once more.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quorate_core::RunResult;
use quorate_core::contract::Output;
use quorate_core::ident::{Millis, ModuleId, Offset, Partition};
use quorate_core::plan::Plan;
use quorate_core::shard::{Changes, End, Invocation, Of, Place, RunState};
use serde_json::json;
use support::live::{Live, Sent, sent};
use support::{CASES, Module, SECOND, T0, module, plan, topic};

const TOPICS: [&str; 4] = ["A", "B", "G", "TASK"];
const STATIONS: [&str; 3] = ["S", "N", "M"];

fn modules() -> Vec<Module> {
    vec![
        module("all").requires(&["A", "B"]).optional(&["G"]).min_interval(10 * SECOND),
        module("after").requires(&["B", "all"]),
        module("bucket").requires(&["B"]).optional(&["A"]).on(&["B"]),
        module("each").requires(&["TASK", "A"]).each(&["TASK"]),
        module("global").requires(&["G"]).optional(&["A"]),
    ]
}

fn fleet() -> Plan {
    let topics = vec![topic("A"), topic("B").bucket(SECOND, None), topic("G").global(), topic("TASK")];
    plan(topics, modules())
}

/// What a store holds: the newest content of every place, as plain data.
#[derive(Clone, Default)]
struct Store {
    slots: BTreeMap<String, Changes>,
    runs: BTreeMap<(String, String), RunState>,
    pending: BTreeMap<(String, String, u64), Changes>,
    early: Changes,
}

impl Store {
    fn keep(&mut self, changes: Changes) {
        for slot in changes.slots {
            let name = format!("{:?} {:?} {}", slot.place, slot.of, slot.part);
            match slot.state {
                Some(_) => drop(self.slots.insert(name, Changes { slots: vec![slot], ..Changes::default() })),
                None => drop(self.slots.remove(&name)),
            }
        }
        for run in changes.runs {
            let place = (run.station.to_string(), run.module.to_string());
            self.runs.insert(place, run.state.expect("nothing is forgotten here"));
        }
        for pending in changes.pending {
            let place = (pending.station.to_string(), pending.module.to_string(), pending.number);
            match pending.state {
                Some(_) => drop(self.pending.insert(place, Changes { pending: vec![pending], ..Changes::default() })),
                None => drop(self.pending.remove(&place)),
            }
        }
        if changes.early.is_some() {
            self.early = Changes { early: changes.early, ..Changes::default() };
        }
    }

    fn restore(&self, live: &mut Live) {
        let parts = self.pending.values().rev().chain(self.slots.values()).chain([&self.early]);
        parts.for_each(|part| live.shard.restore(part));
        for ((station, module), &state) in &self.runs {
            let (station, module) = (station.as_str().into(), module.as_str().into());
            let runs = vec![quorate_core::shard::RunChange { station, module, state: Some(state) }];
            live.shard.restore(&Changes { runs, ..Changes::default() });
        }
    }
}

/// One thing that can happen before the crash.
#[derive(Clone, Debug)]
enum Happens {
    Arrives { topic: usize, station: usize },
    Starts,
    Finishes(prop::sample::Index, bool),
    TimePasses(i64),
    Loaded(usize),
    Flushes,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0_usize..4, 0_usize..3).prop_map(|(topic, station)| Happens::Arrives { topic, station }),
        2 => Just(Happens::Starts),
        2 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, ok)| Happens::Finishes(at, ok)),
        1 => (1_i64..20 * SECOND).prop_map(Happens::TimePasses),
        1 => (0_usize..4).prop_map(Happens::Loaded),
        3 => Just(Happens::Flushes),
    ]
}

/// A run by what tells it from others that must not be mistaken for it.
type Named = (String, String, Option<String>);

fn named(run: &Invocation) -> Named {
    let trigger = run.input.reading.as_ref().map(ToString::to_string);
    let trigger = trigger.or(run.input.bucket.map(|from| from.0.to_string()));
    (run.input.module.to_string(), run.input.station.to_string(), trigger)
}

fn flush(live: &mut Live, store: &mut Store, now: i64) {
    let changes = live.shard.take_changes();
    store.keep(changes);
    live.shard.flushed(Millis(now));
}

/// Every run that is owed now or becomes due without any further record.
fn owed_by(live: &mut Live, in_flight: Vec<Invocation>, mut now: i64) -> BTreeSet<Named> {
    let mut all: BTreeSet<Named> = in_flight.iter().map(named).collect();
    in_flight.iter().for_each(|run| {
        live.finish(run.run, now);
    });
    loop {
        flush(live, &mut Store::default(), now);
        let runs = live.start(now);
        all.extend(runs.iter().map(named));
        runs.iter().for_each(|run| {
            live.finish(run.run, now);
        });
        if live.shard.open_runs() == 0 && !live.shard.waits_for_flush() {
            return all;
        }
        now = live.shard.next_deadline().map_or(now, |deadline| now.max(deadline.0));
    }
}

fn log_at(name: &str) -> usize {
    TOPICS.iter().position(|topic| *topic == name).expect("topic")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_owed_at_a_crash_is_due_again_after_it_and_what_ended_before_the_last_flush_is_not(
        story in prop::collection::vec(happens(), 0..50),
        order in Just(TOPICS).prop_shuffle(),
    ) {
        let mut live = Live::durable(fleet());
        let mut now = T0;
        let mut logs: [Vec<Sent>; 4] = Default::default();
        let mut in_flight: Vec<Invocation> = Vec::new();
        let (mut store, mut flushed_at) = (Store::default(), [0; 4]);
        let (mut ended, mut ended_by_flush) = (BTreeSet::new(), BTreeSet::new());
        for what in story {
            match what {
                Happens::Arrives { topic, station } => {
                    let offset = i64::try_from(logs[topic].len()).expect("offset");
                    let record = sent(offset, now, json!({"stationId": STATIONS[station], "v": now}));
                    live.apply(TOPICS[topic], now, std::slice::from_ref(&record));
                    logs[topic].push(record);
                }
                Happens::Starts => in_flight.extend(live.start(now)),
                Happens::Finishes(which, ok) if !in_flight.is_empty() => {
                    let run: Invocation = in_flight.swap_remove(which.index(in_flight.len()));
                    live.shard.finish(run.run, if ok { End::Done(None) } else { End::GivenUp }, Millis(now));
                    ended.insert(named(&run));
                }
                Happens::Finishes(..) => {}
                Happens::TimePasses(ms) => now += ms,
                Happens::Loaded(topic) => {
                    live.loaded(TOPICS[topic], now);
                }
                Happens::Flushes => {
                    flush(&mut live, &mut store, now);
                    flushed_at = [0, 1, 2, 3].map(|at: usize| logs[at].len());
                    ended_by_flush.clone_from(&ended);
                }
            }
        }
        live.all_loaded(now);
        let owed = owed_by(&mut live, in_flight, now);

        let mut again = Live::durable(fleet());
        store.restore(&mut again);
        for name in order {
            again.apply(name, now, &logs[log_at(name)][flushed_at[log_at(name)]..]);
        }
        for name in order {
            again.loaded(name, now);
        }
        let due = owed_by(&mut again, Vec::new(), now);
        // A run that hands something over sees all changes, too.
        let covered = |owed: &Named| due.iter().any(|due| due == owed || owed.2.is_none() && (&due.0, &due.1) == (&owed.0, &owed.1));
        prop_assert!(owed.iter().all(covered), "owed {:?}, due again {:?}, flushed {:?}", owed, due, flushed_at);
        let twice: Vec<_> = due.iter().filter(|run| run.2.is_some() && ended_by_flush.contains(run)).collect();
        prop_assert!(twice.is_empty(), "run once more {:?}", twice);
    }
}

fn tasks() -> Live {
    let mut live = Live::durable(plan(vec![topic("TASK")], vec![module("m").requires(&["TASK"]).each(&["TASK"])]));
    live.all_loaded(T0);
    live
}

fn task(offset: i64) -> Sent {
    sent(offset, T0 + offset, json!({"stationId": "S", "n": offset}))
}

/// The tasks that are handed over, in order.
fn handed(runs: &[Invocation]) -> Vec<String> {
    let reading = |run: &Invocation| run.input.inputs[0].value.reading().expect("a reading").as_json().to_owned();
    runs.iter().map(reading).collect()
}

#[test]
fn each_reading_is_a_run_of_its_own_in_order_one_at_a_time_and_none_before_it_is_durable() {
    let mut live = tasks();
    live.apply("TASK", T0, &[task(0), task(1), task(2)]);
    assert!(live.start(T0).is_empty(), "nothing of it is durable");
    assert!(live.shard.waits_for_flush());
    let mut store = Store::default();
    flush(&mut live, &mut store, T0);
    let mut seen = Vec::new();
    for n in 0..3 {
        let runs = live.start(T0);
        assert_eq!(runs.len(), 1, "one at a time");
        let trigger = runs[0].input.reading.as_ref().map(ToString::to_string);
        assert_eq!(trigger.as_deref(), Some(&*format!("TASK/0/{n}/0")));
        seen.extend(handed(&runs));
        live.finish(runs[0].run, T0);
    }
    let task = |n: i64| format!(r#"{{"n":{n},"stationId":"S"}}"#);
    assert_eq!(seen, [task(0), task(1), task(2)]);
    assert!(live.start(T0).is_empty());
}

#[test]
fn a_reading_older_than_what_its_window_holds_is_a_run_all_the_same() {
    let mut live = tasks();
    live.apply("TASK", T0, &[task(5), sent(6, T0 - SECOND, json!({"stationId": "S", "n": "old"}))]);
    flush(&mut live, &mut Store::default(), T0);
    let first = live.start(T0);
    live.finish(first[0].run, T0);
    assert_eq!(handed(&live.start(T0)), [r#"{"n":"old","stationId":"S"}"#]);
}

#[test]
fn readings_that_wait_survive_the_process_and_one_in_flight_is_run_again() {
    let mut live = tasks();
    live.apply("TASK", T0, &[task(0), task(1), task(2)]);
    let mut store = Store::default();
    flush(&mut live, &mut store, T0);
    let runs = live.start(T0);
    live.finish(runs[0].run, T0);
    let in_flight = live.start(T0);
    assert_eq!(handed(&in_flight), [r#"{"n":1,"stationId":"S"}"#]);
    flush(&mut live, &mut store, T0);
    let mut again = tasks_from(&store);
    let first = again.start(T0);
    assert_eq!(handed(&first), handed(&in_flight), "nobody knows how it ended");
    assert_eq!(first[0].input.input_hash, in_flight[0].input.input_hash);
    again.finish(first[0].run, T0);
    assert_eq!(handed(&again.start(T0)), [r#"{"n":2,"stationId":"S"}"#]);
}

fn tasks_from(store: &Store) -> Live {
    let tasks = module("m").requires(&["TASK"]).each(&["TASK"]);
    let mut live = Live::durable(plan(vec![topic("TASK")], vec![tasks]));
    store.restore(&mut live);
    live.all_loaded(T0);
    live
}

#[test]
fn what_waits_to_be_handed_over_is_counted_whatever_it_waits_for() {
    let tasks = module("m").requires(&["TASK", "PARAM"]).each(&["TASK"]);
    let mut live = Live::durable(plan(vec![topic("TASK"), topic("PARAM")], vec![tasks]));
    live.all_loaded(T0);
    let many: Vec<Sent> = (0..2_000).map(task).collect();
    live.apply("TASK", T0, &many);
    flush(&mut live, &mut Store::default(), T0);
    assert_eq!(live.shard.backlog(live.topic("TASK")), 2_000, "none is dropped while the station is incomplete");
    live.apply("PARAM", T0, &[sent(0, T0, json!({"stationId": "S"}))]);
    assert_eq!(live.run(T0).len(), 2_000);
    assert_eq!(live.shard.backlog(live.topic("TASK")), 0);
}

#[test]
fn row_1_20_a_large_task_counts_for_as_many_small_ones_as_could_wait_in_its_room() {
    let mut live = tasks();
    let large =
        |offset| sent(offset, T0 + offset, json!({"stationId": "S", "n": offset, "data": "x".repeat(160 << 10)}));
    live.apply("TASK", T0, &[task(0), large(1), large(2)]);
    let weighs = |live: &mut Live| live.shard.backlog(live.topic("TASK"));
    assert_eq!(weighs(&mut live), 1 + 11 + 11, "160 KiB and what is around them begin eleven times 16 KiB");
    let mut store = Store::default();
    flush(&mut live, &mut store, T0);
    assert_eq!(weighs(&mut tasks_from(&store)), 23, "also in another life");
    for left in [22, 11, 0] {
        let runs = live.start(T0);
        assert_eq!(weighs(&mut live), left);
        live.finish(runs[0].run, T0);
    }
}

#[test]
fn a_record_read_again_after_its_partition_came_back_is_not_a_run_again() {
    let mut live = tasks();
    live.apply("TASK", T0, &[task(0), task(1)]).apply("TASK", T0, &[task(0), task(1), task(2)]);
    flush(&mut live, &mut Store::default(), T0);
    assert_eq!(live.run(T0).len(), 3);
}

#[test]
fn a_recreated_topic_begins_anew_and_its_readings_are_told_from_the_old_ones() {
    let mut live = tasks();
    live.apply("TASK", T0, &[task(0)]);
    flush(&mut live, &mut Store::default(), T0);
    let old = live.run(T0).remove(0);
    let topic = live.topic("TASK");
    live.shard.set_incarnation(topic, 0, 1);
    live.apply("TASK", T0, &[task(0)]);
    flush(&mut live, &mut Store::default(), T0);
    let new = live.run(T0).remove(0);
    assert_eq!(new.reading.expect("a reading").to_string(), "TASK/0/0/0/1");
    assert_ne!(old.input_hash, new.input_hash);
}

#[test]
fn a_station_that_keeps_failing_pauses_longer_each_time_and_the_others_go_on() {
    let m = module("m").requires(&["A"]).quarantine(2, 10 * SECOND, 30 * SECOND);
    let mut live = Live::new(plan(vec![topic("A")], vec![m]));
    let fail = |live: &mut Live, station: &str, offset: i64, now: i64| {
        live.apply("A", now, &[sent(offset, now, json!({"stationId": station}))]);
        let runs = live.start(now);
        runs.iter().for_each(|run| live.shard.finish(run.run, End::GivenUp, Millis(now)));
        runs.len()
    };
    let module = ModuleId(0);
    assert_eq!((fail(&mut live, "S", 0, T0), live.shard.quarantined_stations(module)), (1, 0));
    assert_eq!((fail(&mut live, "S", 1, T0), live.shard.quarantined_stations(module)), (1, 1));
    assert_eq!(fail(&mut live, "S", 2, T0), 0, "it pauses");
    assert_eq!(fail(&mut live, "N", 3, T0), 1, "another station does not");
    assert_eq!(live.start(T0 + 10 * SECOND - 1).len(), 0);
    let probe = live.start(T0 + 10 * SECOND);
    assert_eq!(probe.len(), 1);
    live.shard.finish(probe[0].run, End::GivenUp, Millis(T0 + 10 * SECOND));
    assert_eq!(fail(&mut live, "S", 4, T0 + 29 * SECOND), 0, "twice as long");
    let probe = live.start(T0 + 30 * SECOND);
    live.finish(probe[0].run, T0 + 30 * SECOND);
    assert_eq!(live.shard.quarantined_stations(module), 0);
    assert_eq!(fail(&mut live, "S", 5, T0 + 31 * SECOND), 1, "one success and all is well");
}

#[test]
fn a_module_that_halts_owes_what_it_owed_and_the_others_go_on() {
    let modules = vec![module("m").requires(&["A"]), module("other").requires(&["A"])];
    let mut live = Live::durable(plan(vec![topic("A")], modules));
    live.all_loaded(T0).apply("A", T0, &[sent(0, T0, json!({"stationId": "S"}))]);
    let runs = live.start(T0);
    let (m, other) = (&runs[0], &runs[1]);
    live.shard.finish(m.run, End::PutBack, Millis(T0));
    live.finish(other.run, T0);
    live.apply("A", T0 + 1, &[sent(1, T0 + 1, json!({"stationId": "S"}))]);
    let next = live.start(T0 + 1);
    assert_eq!(next.iter().map(|run| &*run.input.module).collect::<Vec<_>>(), ["other"]);
    let changes = live.shard.take_changes();
    let m = changes.runs.iter().find(|run| &*run.module == "m").expect("kept");
    assert!(m.state.expect("kept").due);
}

#[test]
fn modules_whose_topic_belongs_to_two_processes_are_not_called_until_it_is_whole_again() {
    let modules = vec![module("a").requires(&["A"]), module("b").requires(&["B"])];
    let mut live = Live::new(plan(vec![topic("A"), topic("B")], modules));
    let topic = live.topic("A");
    live.shard.set_split(topic, true);
    live.apply("A", T0, &[sent(0, T0, json!({"stationId": "S"}))]);
    live.apply("B", T0, &[sent(0, T0, json!({"stationId": "S"}))]);
    assert_eq!(live.run(T0).iter().map(|input| &*input.module).collect::<Vec<_>>(), ["b"]);
    assert_eq!(live.shard.ready_modules().count(), 0);
    live.shard.set_split(topic, false);
    assert_eq!(live.run(T0).iter().map(|input| &*input.module).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_module_without_any_recorded_run_is_due_once_for_every_complete_station_after_loading() {
    let both = || plan(vec![topic("A")], vec![module("m").requires(&["A"]), module("n").requires(&["A"])]);
    let one = plan(vec![topic("A")], vec![module("m").requires(&["A"])]);
    let mut live = Live::durable(one);
    live.all_loaded(T0).apply("A", T0, &[sent(0, T0, json!({"stationId": "S"}))]);
    assert_eq!(live.run(T0).len(), 1);
    let mut store = Store::default();
    flush(&mut live, &mut store, T0);
    let mut again = Live::durable(both());
    store.restore(&mut again);
    again.all_loaded(T0);
    let due: Vec<String> = again.run(T0).iter().map(|input| input.module.to_string()).collect();
    assert_eq!(due, ["n"], "the run of m is on record");
}

#[test]
fn a_place_that_is_kept_is_named_by_station_and_never_by_shard() {
    let mut live = tasks();
    let place: (Partition, Offset) = (0, Offset(0));
    live.apply("TASK", T0, &[task(place.1.0)]);
    let changes = live.shard.take_changes();
    assert_eq!(changes.slots[0].place, Place::Station("S".into()));
    assert_eq!(changes.slots[0].of, Of::Topic("TASK".into()));
}

#[test]
fn a_run_that_was_in_flight_is_repeated_at_once_whatever_its_interval() {
    let of = || plan(vec![topic("A")], vec![module("m").requires(&["A"]).min_interval(3_600 * SECOND)]);
    let mut live = Live::durable(of());
    live.all_loaded(T0).apply("A", T0, &[sent(0, T0, json!({"stationId": "S"}))]);
    let mut store = Store::default();
    let run = live.start(T0);
    flush(&mut live, &mut store, T0);
    let mut again = Live::durable(of());
    store.restore(&mut again);
    assert_eq!(again.all_loaded(T0 + SECOND).start(T0 + SECOND).len(), 1, "modules below it must not go on without it");
    live.finish(run[0].run, T0);
    live.apply("A", T0, &[sent(1, T0 + 1, json!({"stationId": "S"}))]);
    flush(&mut live, &mut store, T0);
    let mut ended = Live::durable(of());
    store.restore(&mut ended);
    assert!(ended.all_loaded(T0 + SECOND).start(T0 + SECOND).is_empty(), "of one that ended the interval holds");
}

#[test]
fn after_a_start_the_first_run_of_a_dependent_waits_for_all_attempts_of_a_run_above_it() {
    let above = module("above").requires(&["A"]).timeout(10 * SECOND);
    let below = module("below").requires(&["B", "above"]).on(&["B"]);
    let of = || plan(vec![topic("A"), topic("B")], vec![above.clone(), below.clone()]);
    let record = |offset: i64| sent(offset, T0 + offset, json!({"stationId": "S"}));
    let mut live = Live::durable(of());
    live.all_loaded(T0).apply("A", T0, &[record(0)]).apply("B", T0, &[record(0)]);
    let above = live.start(T0).remove(0);
    let result = RunResult::of(&above.input, &[Output::json(&1).expect("JSON")]);
    live.shard.finish(above.run, End::Done(result), Millis(T0));
    let below = live.start(T0).remove(0);
    live.finish(below.run, T0);
    live.apply("A", T0, &[record(1)]);
    let mut store = Store::default();
    flush(&mut live, &mut store, T0);
    let mut again = Live::durable(of());
    store.restore(&mut again);
    again.all_loaded(T0);
    let names = |runs: &[Invocation]| runs.iter().map(|run| run.input.module.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&again.start(T0)), ["above"]);
    again.apply("B", T0, &[record(1)]);
    assert!(again.start(T0 + 20 * SECOND).is_empty(), "longer than one call");
    assert_eq!(names(&again.start(T0 + 600 * SECOND)), ["below"], "but not for ever");
}

#[test]
fn a_number_under_which_something_is_kept_that_the_plan_does_not_have_is_not_given_again() {
    let mut live = tasks();
    live.apply("TASK", T0, &[task(0), task(1)]);
    let mut store = Store::default();
    flush(&mut live, &mut store, T0);
    let other = module("m").requires(&["OTHER"]).each(&["OTHER"]);
    let mut without = Live::durable(plan(vec![topic("OTHER")], vec![other]));
    store.restore(&mut without);
    without.all_loaded(T0).apply("OTHER", T0, &[task(7)]);
    flush(&mut without, &mut store, T0);
    assert_eq!(tasks_from(&store).run(T0).len(), 2, "it is back, and so is what was owed on its account");
}

#[test]
fn partitions_may_be_in_different_lives_of_their_topic() {
    let mut live = tasks();
    let topic = live.topic("TASK");
    live.shard.set_incarnation(topic, 1, 3);
    live.apply("TASK", T0, &[task(0), task(0).on(1)]).apply("TASK", T0, &[task(0)]);
    flush(&mut live, &mut Store::default(), T0);
    let triggers = live.run(T0).into_iter().map(|input| input.reading.expect("a reading").to_string());
    assert_eq!(triggers.collect::<Vec<_>>(), ["TASK/0/0/0", "TASK/1/0/0/3"]);
}

#[test]
fn a_station_for_which_processes_kept_dying_pauses_as_if_it_had_failed_as_often() {
    let m = module("m").requires(&["A"]).quarantine(2, 10 * SECOND, 30 * SECOND);
    let mut live = Live::new(plan(vec![topic("A")], vec![m]));
    let module = ModuleId(0);
    let sends = |live: &mut Live, station: &str, offset: i64, now: i64| {
        live.apply("A", now, &[sent(offset, now, json!({"stationId": station}))]);
    };
    for (station, offset) in [("S", 0), ("N", 1)] {
        sends(&mut live, station, offset, T0);
        live.run(T0);
    }
    for (station, deaths) in [("S", 3), ("N", 1), ("later", 9)] {
        live.shard.pause_deadly(module, station, deaths, Millis(T0));
    }
    let paused: Vec<_> =
        live.shard.quarantined(module).map(|paused| (paused.station.to_string(), paused.until)).collect();
    assert_eq!(paused, [("S".to_owned(), Some(Millis(T0 + 20 * SECOND)))]);
    for (station, offset) in [("S", 2), ("N", 3)] {
        sends(&mut live, station, offset, T0 + SECOND);
    }
    let called = live.run(T0 + SECOND);
    assert_eq!(called.iter().map(|input| input.station.as_str()).collect::<Vec<_>>(), ["N"]);
    assert_eq!(live.run(T0 + 20 * SECOND).len(), 1, "then one call tries");
    assert_eq!(live.shard.quarantined_stations(module), 0);
    sends(&mut live, "later", 4, T0 + 40 * SECOND);
    assert_eq!(live.run(T0 + 40 * SECOND).len(), 0, "nothing of it was kept before the process died");
    assert_eq!(live.run(T0 + 70 * SECOND).len(), 1);
}
