//! What a shard owes and when it is settled, with runs in flight and topics that are still loading: the lowest
//! unsettled offset is what keeps a record from being committed before its whole effect is done.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quorate_core::contract::ModuleInput;
use quorate_core::ident::{Millis, ModuleId};
use quorate_core::shard::{End, Invocation, Mode};
use serde_json::{Value, json};
use support::live::{Live, Sent, json as json_of, sent};
use support::{CASES, HOUR, MINUTE, Module, SECOND, T0, module, plan, topic};

fn live(modules: Vec<Module>) -> Live {
    Live::new(plan(vec![topic("A"), topic("B"), topic("G").global()], modules))
}

/// Nothing is loaded yet.
fn starting(modules: Vec<Module>) -> Live {
    Live::starting(plan(vec![topic("A"), topic("B"), topic("G").global()], modules))
}

/// A reading of station S.
fn s(offset: i64) -> Sent {
    sent(offset, T0 + offset, json!({"stationId": "S", "v": offset}))
}

fn of(station: &str, offset: i64) -> Sent {
    sent(offset, T0 + offset, json!({"stationId": station, "v": offset}))
}

/// The offsets that inputs show of a topic.
fn shown(inputs: &[ModuleInput], topic: &str) -> Vec<Value> {
    inputs.iter().map(|input| json_of(input)["inputs"][topic]["value"]["v"].clone()).collect()
}

fn unsettled(live: &Live, topic: &str) -> (Option<i64>, usize) {
    let id = live.topic(topic);
    (live.oldest_unsettled(topic), live.shard.unsettled_records(id))
}

const SETTLED: (Option<i64>, usize) = (None, 0);

#[test]
fn a_record_stays_unsettled_until_the_run_it_made_due_is_finished() {
    let mut live = live(vec![module("m").requires(&["A"])]);
    live.apply("A", T0, &[s(7)]);
    assert_eq!(unsettled(&live, "A"), (Some(7), 1));
    let runs = live.start(T0);
    assert_eq!(unsettled(&live, "A"), (Some(7), 1));
    live.finish(runs[0].run, T0 + MINUTE);
    assert_eq!((unsettled(&live, "A"), live.shard.open_runs()), (SETTLED, 0));
}

#[test]
fn a_run_that_is_put_back_keeps_its_record_unsettled() {
    let mut live = live(vec![module("m").requires(&["A"])]);
    live.apply("A", T0, &[s(7)]);
    let runs = live.start(T0);
    live.shard.finish(runs[0].run, End::PutBack, Millis(T0));
    assert_eq!((unsettled(&live, "A"), live.shard.open_runs()), ((Some(7), 1), 0));
    live.apply("A", T0 + MINUTE, &[s(9)]);
    assert!(live.start(T0 + MINUTE).is_empty(), "its module has halted");
    assert_eq!(unsettled(&live, "A"), (Some(9), 1), "the newer record stands for both");
}

#[test]
fn a_record_that_made_nothing_due_is_settled_at_once() {
    let mut live = live(vec![module("m").requires(&["A", "B"]).on(&["A"])]);
    live.apply("A", T0, &[s(1)]);
    assert_eq!(unsettled(&live, "A"), SETTLED, "the station is not complete: nothing is due");
    live.apply("B", T0, &[s(2)]);
    assert_eq!((unsettled(&live, "A"), unsettled(&live, "B")), (SETTLED, (Some(2), 1)), "what completed it is owed");
    live.run(T0);
    live.apply("B", T0, &[s(3)]);
    assert_eq!(unsettled(&live, "B"), SETTLED, "it triggers nothing");
    live.apply("A", T0, &[s(0), s(1)]);
    assert_eq!(unsettled(&live, "A"), SETTLED, "older and repeated readings change nothing");
    live.apply("A", T0, &[sent(9, T0, "{"), sent(10, T0, "{}")]);
    assert_eq!(unsettled(&live, "A"), SETTLED, "dead letters are the decoder's to account for");
}

#[test]
fn the_duty_moves_to_the_newest_record_that_changed_the_station() {
    let mut live = live(vec![module("m").requires(&["A", "B"])]);
    live.apply("A", T0, &[s(1)]).apply("B", T0, &[s(5)]);
    assert_eq!((unsettled(&live, "A"), unsettled(&live, "B")), (SETTLED, (Some(5), 1)));
    live.apply("B", T0, &[s(6), s(8)]);
    assert_eq!(unsettled(&live, "B"), (Some(8), 1));
    live.apply("A", T0, &[s(2)]);
    assert_eq!((unsettled(&live, "A"), unsettled(&live, "B")), ((Some(2), 1), SETTLED));
    let inputs = live.run(T0);
    assert_eq!((shown(&inputs, "A"), shown(&inputs, "B")), (vec![json!(2)], vec![json!(8)]));
    assert_eq!((unsettled(&live, "A"), unsettled(&live, "B")), (SETTLED, SETTLED));
}

#[test]
fn the_oldest_of_several_stations_counts_and_one_record_may_be_owed_to_many() {
    let list = topic("L").records(&["/*"]);
    let modules = vec![module("a").requires(&["L"]), module("b").requires(&["L"])];
    let mut live = Live::new(plan(vec![list], modules));
    let both = json!([{"stationId": "S"}, {"stationId": "N"}]);
    live.apply("L", T0, &[sent(3, T0, both), sent(4, T0 + 1, json!([{"stationId": "N"}]))]);
    assert_eq!(unsettled(&live, "L"), (Some(3), 2));
    let runs = live.start(T0);
    assert_eq!(runs.len(), 4);
    for run in runs.iter().filter(|run| run.input.station.as_str() == "S") {
        live.finish(run.run, T0);
    }
    assert_eq!(unsettled(&live, "L"), (Some(4), 1));
    for run in runs.iter().filter(|run| run.input.station.as_str() == "N") {
        live.finish(run.run, T0);
    }
    assert_eq!(unsettled(&live, "L"), SETTLED);
}

#[test]
fn partitions_are_accounted_for_apart() {
    let mut live = live(vec![module("m").requires(&["A"])]);
    live.apply("A", T0, &[of("S", 10).on(0), of("N", 3).on(1)]);
    let topic = live.topic("A");
    let oldest = live.shard.oldest_unsettled();
    let offset = |partition: i32| oldest.get(&(topic, partition)).map(|offset| offset.0);
    assert_eq!((offset(0), offset(1), offset(2)), (Some(10), Some(3), None));
}

#[test]
fn what_changes_while_a_run_is_in_flight_is_one_run_after_it_with_the_newest_values() {
    let mut live = live(vec![module("m").requires(&["A"])]);
    live.apply("A", T0, &[s(1)]);
    let first = live.start(T0);
    live.apply("A", T0 + 1, &[s(2), s(3)]);
    assert_eq!(unsettled(&live, "A"), (Some(1), 2), "the run in flight and the one it hides");
    assert_eq!(live.start(T0 + 1).len(), 0, "one call per station at a time");
    live.apply("A", T0 + 2, &[s(4)]);
    live.finish(first[0].run, T0 + 3);
    assert_eq!(unsettled(&live, "A"), (Some(4), 1));
    assert_eq!(shown(&live.run(T0 + 3), "A"), [4]);
    assert_eq!((unsettled(&live, "A"), live.run(T0 + HOUR).len()), (SETTLED, 0));
}

#[test]
fn an_input_in_flight_does_not_change_with_the_window() {
    let mut live = live(vec![module("m").requires(&["A"])]);
    live.apply("A", T0, &[s(1)]);
    let first = live.start(T0);
    let before = first[0].input.to_json();
    live.apply("A", T0, &[s(2)]);
    assert_eq!(first[0].input.to_json(), before);
}

#[test]
fn a_run_that_outlasts_its_interval_is_followed_at_once_and_a_short_one_waits_for_it() {
    let mut live = live(vec![module("m").requires(&["A"]).min_interval(10 * SECOND)]);
    live.apply("A", T0, &[s(1)]);
    let first = live.start(T0);
    live.apply("A", T0 + 1, &[s(2)]).finish(first[0].run, T0 + 11 * SECOND);
    let second = live.start(T0 + 11 * SECOND);
    assert_eq!(second.len(), 1);
    live.apply("A", T0 + 12 * SECOND, &[s(3)]).finish(second[0].run, T0 + 12 * SECOND);
    assert_eq!(live.shard.next_deadline(), Some(Millis(T0 + 21 * SECOND)));
    assert_eq!(unsettled(&live, "A"), (Some(3), 1), "a delayed run is owed");
    assert_eq!(live.run(T0 + 21 * SECOND - 1).len(), 0);
    assert_eq!(live.run(T0 + 21 * SECOND).len(), 1);
}

#[test]
fn a_run_that_grew_stale_before_it_started_is_settled_and_becomes_due_when_unblocked() {
    let mut live = live(vec![module("m").requires(&["A"]).requires_young("B", MINUTE)]);
    live.apply("A", T0, &[s(1)]).apply("B", T0, &[s(2)]);
    assert_eq!(live.start(T0 + HOUR).len(), 0);
    assert_eq!((unsettled(&live, "B"), live.shard.open_runs()), (SETTLED, 0));
    live.apply("B", T0 + HOUR, &[sent(3, T0 + HOUR, json!({"stationId": "S", "v": 3}))]);
    assert_eq!(unsettled(&live, "B"), (Some(3), 1));
    assert_eq!(shown(&live.run(T0 + HOUR), "A"), [1]);
}

#[test]
fn a_global_record_is_owed_to_every_station_until_the_last_is_served() {
    let mut live = live(vec![module("m").requires(&["A"]).optional(&["G"])]);
    live.apply("A", T0, &[of("S", 0), of("N", 1)]).run(T0);
    live.apply("G", T0, &[sent(5, T0, json!({}))]);
    assert_eq!(unsettled(&live, "G"), (Some(5), 1));
    let runs = live.start(T0);
    live.finish(runs[0].run, T0);
    assert_eq!(unsettled(&live, "G"), (Some(5), 1));
    live.finish(runs[1].run, T0);
    assert_eq!(unsettled(&live, "G"), SETTLED);
}

#[test]
fn only_admitted_modules_start_and_the_longest_waiting_goes_first() {
    let mut live = live(vec![module("a").requires(&["A"]), module("b").requires(&["A"])]);
    live.apply("A", T0, &[of("S", 0), of("N", 1)]);
    let ready: Vec<ModuleId> = live.shard.ready_modules().collect();
    assert_eq!(ready, [ModuleId(0), ModuleId(1)]);
    let b = live.shard.poll_run(Millis(T0), |module| module == ModuleId(1)).expect("b is due");
    assert_eq!((&*b.input.module, b.input.station.as_str()), ("b", "S"));
    let order: Vec<String> =
        live.start(T0).iter().map(|run| format!("{}{}", run.input.module, run.input.station)).collect();
    assert_eq!(order, ["aS", "aN", "bN"]);
    assert!(live.shard.ready_modules().next().is_none());
}

// Loading: what is read again at a start.

#[test]
fn loading_makes_nothing_due_and_owes_nothing() {
    let mut live = starting(vec![module("m").requires(&["A"]).optional(&["G"])]);
    live.apply_as(Mode::Load, "G", T0, &[sent(0, T0, json!({}))]).apply_as(Mode::Load, "A", T0, &[s(1), of("N", 2)]);
    assert_eq!((unsettled(&live, "A"), live.run(T0).len()), (SETTLED, 0));
    live.loaded("A", T0).loaded("G", T0);
    assert_eq!((unsettled(&live, "A"), live.run(T0).len(), live.shard.open_runs()), (SETTLED, 0, 0));
    live.apply("A", T0, &[s(3)]);
    assert_eq!(shown(&live.run(T0), "A"), [3], "the other station stays as it was");
}

#[test]
fn a_module_waits_for_the_last_of_its_topics_and_others_do_not_wait_for_it() {
    let mut live = starting(vec![module("both").requires(&["A"]).optional(&["B"]), module("one").requires(&["A"])]);
    live.loaded("A", T0).apply("A", T0, &[s(1)]);
    let inputs = live.run(T0);
    assert_eq!(inputs.iter().map(|input| &*input.module).collect::<Vec<_>>(), ["one"]);
    assert_eq!(live.oldest_unsettled("A"), Some(1), "still owed to the module that waits");
    live.apply_as(Mode::Load, "B", T0, &[s(9)]).loaded("B", T0);
    let inputs = live.run(T0);
    assert_eq!((shown(&inputs, "A"), shown(&inputs, "B")), (vec![json!(1)], vec![json!(9)]));
    assert_eq!(unsettled(&live, "A"), SETTLED);
}

#[test]
fn what_was_incomplete_after_loading_becomes_due_when_a_live_record_completes_it() {
    let mut live = starting(vec![module("m").requires(&["A", "B"]).on(&["A"])]);
    live.apply_as(Mode::Load, "A", T0, &[s(1)]);
    ["A", "B", "G"].iter().for_each(|topic| {
        live.loaded(topic, T0);
    });
    assert_eq!(live.run(T0).len(), 0);
    live.apply("B", T0, &[s(2)]);
    assert_eq!(shown(&live.run(T0), "A"), [1]);
}

#[test]
fn what_loading_alone_completed_is_not_called_by_a_change_that_does_not_trigger() {
    let mut live = starting(vec![module("m").requires(&["A", "B"]).on(&["A"])]);
    live.apply_as(Mode::Load, "A", T0, &[s(1)]).apply_as(Mode::Load, "B", T0, &[s(2)]);
    live.loaded("A", T0).loaded("B", T0).apply("B", T0, &[s(3)]);
    assert_eq!(live.run(T0).len(), 0);
}

#[test]
fn a_topic_that_loads_again_after_all_was_loaded_makes_nothing_due() {
    let mut live = live(vec![module("m").requires(&["A"]).optional(&["B"]).on(&["A"])]);
    live.apply("A", T0, &[s(1)]).run(T0);
    live.apply_as(Mode::Load, "A", T0, &[s(2), of("N", 3)]);
    assert_eq!((unsettled(&live, "A"), live.run(T0).len()), (SETTLED, 0));
}

#[test]
fn what_loads_again_later_is_not_called_by_a_change_that_does_not_trigger() {
    let mut live = live(vec![module("m").requires(&["A"]).optional(&["B"]).on(&["A"])]);
    live.apply("A", T0, &[s(1)]).run(T0);
    live.apply_as(Mode::Load, "A", T0, &[s(2)]).apply("B", T0, &[s(4)]);
    assert_eq!(live.run(T0).len(), 0);
}

#[test]
fn loading_notices_stations_and_changes_but_a_live_trigger_sees_all_of_it() {
    let mut live = starting(vec![module("m").requires(&["A", "B"])]);
    live.apply_as(Mode::Load, "A", T0, &[s(1), s(2)]).loaded("A", T0);
    live.apply("B", T0, &[s(3)]);
    assert_eq!(live.run(T0).len(), 0, "B is not loaded yet");
    live.loaded("B", T0);
    let inputs = live.run(T0);
    assert_eq!((shown(&inputs, "A"), shown(&inputs, "B")), (vec![json!(2)], vec![json!(3)]));
    assert_eq!(live.shard.stations(), 1);
    assert_eq!(live.shard.complete_stations(ModuleId(0), Millis(T0)), 1);
}

// Limits on stations.

#[test]
fn a_station_above_the_limit_is_a_dead_letter_and_known_ones_go_on() {
    let mut plan = plan(vec![topic("L").records(&["/*"])], vec![module("m").requires(&["L"])]);
    plan.stations.max = 2;
    let mut live = Live::new(plan);
    let four = json!([{"stationId": "1"}, {"stationId": "2"}, {"stationId": "3"}, {"stationId": "1"}]);
    live.apply("L", T0, &[sent(0, T0, four)]);
    let dead = live.shard.poll_dead().expect("a dead reading");
    assert_eq!((dead.element, dead.reason.as_str(), dead.origin.offset.0), (Some(2), "too_many_stations", 0));
    assert!(live.shard.poll_dead().is_none());
    assert_eq!((live.shard.stations(), live.run(T0).len()), (2, 2));
}

#[test]
fn new_stations_above_the_rate_are_dead_letters_until_the_next_minute() {
    let mut plan = plan(vec![topic("A")], vec![module("m").requires(&["A"])]);
    plan.stations.new_per_minute = 2;
    let mut live = Live::new(plan);
    let minute = T0 - T0.rem_euclid(MINUTE);
    live.apply("A", minute, &[of("1", 0), of("2", 1), of("3", 2), of("1", 3)]);
    assert_eq!((live.shard.stations(), live.shard.poll_dead().is_some()), (2, true));
    live.apply("A", minute + MINUTE - 1, &[of("3", 4)]);
    assert_eq!((live.shard.stations(), live.shard.poll_dead().is_some()), (2, true));
    live.apply("A", minute + MINUTE, &[of("3", 5)]);
    assert_eq!((live.shard.stations(), live.shard.poll_dead().is_none()), (3, true));
}

// Whatever happens in whatever order.

/// One thing that can happen to a shard.
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

fn three_modules(min_interval_ms: i64) -> Vec<Module> {
    vec![
        module("all").requires(&["A", "B"]).optional(&["G"]).min_interval(min_interval_ms),
        module("on_b").requires(&["A", "B"]).on(&["B"]),
        module("global").requires(&["G"]).optional(&["A"]).min_interval(min_interval_ms),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_is_lost_no_run_overlaps_and_all_is_settled_in_the_end(
        story in prop::collection::vec(happens(), 0..60),
        min_interval_ms in prop_oneof![Just(0), Just(10 * SECOND)],
    ) {
        let mut live = live(three_modules(min_interval_ms));
        let (mut now, mut offset) = (T0, 0);
        let mut in_flight: Vec<Invocation> = Vec::new();
        let mut newest: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        let mut stations: BTreeSet<&str> = BTreeSet::new();
        let mut last: BTreeMap<(String, String), (i64, ModuleInput)> = BTreeMap::new();
        let mut started = |live: &mut Live, in_flight: &mut Vec<Invocation>, now: i64| {
            for run in live.start(now) {
                let key = |run: &Invocation| (run.input.module.to_string(), run.input.station.to_string());
                assert!(in_flight.iter().all(|other| key(other) != key(&run)), "one call per station at a time");
                let before = last.insert(key(&run), (now, run.input.clone()));
                let spaced = &*run.input.module != "on_b";
                assert!(before.is_none_or(|(at, _)| !spaced || now - at >= min_interval_ms), "the interval is kept");
                in_flight.push(run);
            }
        };
        for what in story {
            match what {
                Happens::Arrives { topic, station } => {
                    offset += 1;
                    let (topic, station) = (["A", "B", "G"][topic], ["S", "N", "M"][station]);
                    live.apply(topic, now, &[of(station, offset)]);
                    newest.insert((topic, if topic == "G" { "" } else { station }), offset);
                    stations.extend((topic != "G").then_some(station));
                }
                Happens::Starts => started(&mut live, &mut in_flight, now),
                Happens::Finishes(which) if !in_flight.is_empty() => {
                    let run = in_flight.swap_remove(which.index(in_flight.len()));
                    live.finish(run.run, now);
                }
                Happens::Finishes(_) => {}
                Happens::TimePasses(ms) => now += ms,
            }
            for name in ["A", "B", "G"] {
                let (oldest, records) = unsettled(&live, name);
                prop_assert_eq!(oldest.is_none(), records == 0);
            }
            prop_assert!(live.shard.open_runs() >= in_flight.len());
        }
        while live.shard.open_runs() > 0 {
            in_flight.drain(..).for_each(|run| {
                live.finish(run.run, now);
            });
            now = live.shard.next_deadline().map_or(now, |deadline| now.max(deadline.0));
            started(&mut live, &mut in_flight, now);
        }
        prop_assert!(["A", "B", "G"].iter().all(|name| unsettled(&live, name) == SETTLED));

        // What each module saw last is the newest there is, as far as its triggers promise.
        let newest_of = |topic: &str, station: &str| {
            let place = if topic == "G" { "" } else { station };
            newest.get(&(topic, place)).map_or(Value::Null, |offset| json!(offset))
        };
        for station in stations {
            let has = |topic: &str| !newest_of(topic, station).is_null();
            for (module, is_called, promised) in [
                ("all", has("A") && has("B"), vec!["A", "B", "G"]),
                ("on_b", has("A") && has("B"), vec!["B"]),
                ("global", has("G"), vec!["A", "G"]),
            ] {
                let seen = last.get(&(module.to_owned(), station.to_owned()));
                prop_assert_eq!(seen.is_some(), is_called, "{} {}", module, station);
                for topic in seen.iter().flat_map(|_| &promised) {
                    let shown = seen.map(|(_, input)| json_of(input)["inputs"][topic]["value"]["v"].clone());
                    prop_assert_eq!(shown, Some(newest_of(topic, station)), "{} {} {}", module, station, topic);
                }
            }
        }
    }
}
