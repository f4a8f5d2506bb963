//! A restart, with the same settings or in the other consumer mode, loses nothing; what was settled stays settled. So it
//! is without state and with state on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_testkit::{require_broker, within};

use crate::follow::{CommitWatch, Results};
use crate::place::{Config, PATIENCE, Place, reading, rounds, stations, text};
use crate::running::Running;
use crate::scripted::{Gate, Scripted, echo};

#[test]
fn row_4_32_and_4_35_switching_the_mode_there_and_back_loses_nothing() {
    switching_loses_nothing(&Place::new(require_broker!(), "row_4_32"));
}

#[test]
fn row_4_32_and_4_35_switching_the_mode_there_and_back_loses_nothing_that_is_on_disk() {
    switching_loses_nothing(&Place::on_disk(require_broker!(), "row_4_32_disk"));
}

fn switching_loses_nothing(place: &Place<'_>) {
    let topics = ["A", "B"];
    place.create(&topics);
    let stations = stations(50);
    let module = Scripted::echo("m");
    let mut config = place.config();
    place.reads(&mut config, &topics);
    place.requires(&mut config, "m", &topics);
    let mut results = Results::of(place);
    place.produce("B", stations.iter().map(|station| reading(station, 7)));

    for (phase, multi) in [true, false, true].into_iter().enumerate() {
        // While no service runs.
        let first = phase as u64 * 20;
        place.produce("A", rounds(&stations, first..first + 10));
        config.set("kafka.consumer", "multi_consumer_mode", multi.to_string());
        let running = Running::start(&config, &[&module]);
        running.until_all_assigned();
        results.until_last(place, "m", &stations, &[("A", first + 9), ("B", 7)]);
        // While it runs; stopped before everything need be settled.
        place.produce("A", rounds(&stations, first + 10..first + 20));
        assert!(running.stop().drained);
    }

    let running = Running::start(&config, &[&module]);
    results.until_last(place, "m", &stations, &[("A", 59), ("B", 7)]);
    topics.iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    assert!(running.stop().drained);
}

/// How often each reading of the queue has a result of its own.
fn worked_on(place: &Place<'_>) -> BTreeMap<String, usize> {
    let mut worked_on = BTreeMap::new();
    for result in place.broker.consume_all(&place.output()) {
        let trigger = result.header("quorate-trigger").expect("what it is for").to_vec();
        *worked_on.entry(String::from_utf8(trigger).expect("text")).or_default() += 1;
    }
    worked_on
}

#[test]
fn row_4_32_and_4_35_of_a_hundred_tasks_fifty_are_done_in_each_mode_and_none_twice() {
    /// Tasks before the first switch, of which half are done, and further ones before the second.
    const TASKS: u64 = 100;
    const FURTHER: u64 = 20;
    let broker = require_broker!();
    let place = Place::on_disk(broker, "row_4_32_tasks");
    place.create(&["TASKS"]);
    let mut config = place.config();
    config.set("service", "drain_timeout", text("2s"));
    place.reads(&mut config, &["TASKS"]);
    place.requires(&mut config, "m", &["TASKS"]);
    config.set("modules.m", "trigger", format!("{{ each = true, on = [{}] }}", text(&place.topic("TASKS"))));
    config.set("modules.m", "concurrency", "1");
    config.set("modules.m", "timeout", text("10m"));
    let all = |tasks: u64| -> BTreeMap<String, usize> {
        (0..tasks).map(|n| (format!("{}/0/{n}/0", place.topic("TASKS")), 1)).collect()
    };
    place.produce("TASKS", (0..TASKS).map(|n| reading("S0", n)));

    // Stopped with one in hand, whose result comes to nothing.
    let gate = Gate::shut();
    let held = {
        let gate = Arc::clone(&gate);
        Scripted::answering("m", move |input| {
            if input.reading.as_ref().is_some_and(|reading| reading.offset.0 >= (TASKS / 2) as i64) {
                gate.pass();
            }
            Ok(vec![echo(input)?])
        })
    };
    let running = Running::start(&config, &[&held]);
    within(PATIENCE, "half of the tasks", || (held.calls() as u64 == TASKS / 2 + 1).then_some(()));
    assert!(!running.stop().drained, "one is in hand");
    gate.open();
    assert_eq!(worked_on(&place), all(TASKS / 2));

    let mut results = Results::of(&place);
    for (multi, tasks) in [(false, TASKS), (true, TASKS), (false, TASKS + FURTHER), (true, TASKS + 2 * FURTHER)] {
        if tasks > TASKS {
            place.produce("TASKS", (tasks - FURTHER..tasks).map(|n| reading("S0", n)));
        }
        config.set("kafka.consumer", "multi_consumer_mode", multi.to_string());
        let module = Scripted::echo("m");
        let running = Running::start(&config, &[&module]);
        running.until_all_assigned();
        within(PATIENCE, "the tasks", || (results.count() as u64 >= tasks).then_some(()));
        let group = if multi { place.group("TASKS") } else { place.base().to_owned() };
        place.until_all_committed(&group, "TASKS");
        assert!(running.stop().drained);
        assert_eq!(worked_on(&place), all(tasks), "in multi mode: {multi}");
    }
}

/// A calendar for all stations, a parameter of each, and live data.
fn calendar_config(place: &Place<'_>) -> Config {
    let mut config = place.config();
    place.reads(&mut config, &["PARAM", "LIVE"]);
    config.set(&format!("topics.{}", place.topic("CALENDAR")), "scope", text("global"));
    place.requires(&mut config, "m", &["CALENDAR", "PARAM", "LIVE"]);
    config
}

#[test]
fn w2_after_a_restart_a_station_is_complete_without_a_new_calendar_and_only_new_data_invokes() {
    only_new_data_invokes(&Place::new(require_broker!(), "w2_restart"));
}

#[test]
fn w2_after_a_restart_with_state_on_disk_a_station_is_complete_and_only_new_data_invokes() {
    only_new_data_invokes(&Place::on_disk(require_broker!(), "w2_restart_disk"));
}

fn only_new_data_invokes(place: &Place<'_>) {
    let broker = place.broker;
    let topics = ["CALENDAR", "PARAM", "LIVE"];
    place.create(&topics);
    let stations = stations(20);
    place.produce("CALENDAR", [("all".to_owned(), r#"{"n":2026}"#.to_owned())]);
    place.produce("PARAM", stations.iter().map(|station| reading(station, 1)));
    place.produce("LIVE", rounds(&stations, 0..10));
    place.produce("LIVE", [("S0".to_owned(), "no reading".to_owned()), ("S0".to_owned(), r#"{"n":1}"#.to_owned())]);
    let config = calendar_config(place);
    let settled = || topics.iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    let mut results = Results::of(place);

    let module = Scripted::echo("m");
    let running = Running::start(&config, &[&module]);
    results.until_last(place, "m", &stations, &[("CALENDAR", 2026), ("PARAM", 1), ("LIVE", 9)]);
    settled();
    assert!(running.stop().drained);
    assert_eq!(broker.consume_all(&place.dead_letters()).len(), 2);
    let watches = topics.map(|topic| CommitWatch::start(broker, &place.group(topic), &place.topic(topic), 1));

    for restart in 1..4 {
        let before = results.count();
        let module = Scripted::echo("m");
        let running = Running::start(&config, &[&module]);
        running.until_all_assigned();
        within(PATIENCE, "all stations to be complete again", || (running.complete() == stations.len()).then_some(()));
        assert_eq!(module.calls(), 0, "what was settled before invokes nothing");
        let n = 100 + restart;
        place.produce("LIVE", stations[..5].iter().map(|station| reading(station, n)));
        results.until_last(place, "m", &stations[..5], &[("CALENDAR", 2026), ("PARAM", 1), ("LIVE", n)]);
        settled();
        assert!(running.stop().drained);
        let called: Vec<String> = module.seen().iter().map(|input| input.station.to_string()).collect();
        assert_eq!((called.len(), results.count()), (5, before + 5), "{called:?}");
    }

    assert_eq!(broker.consume_all(&place.dead_letters()).len(), 2, "no dead letter was written again");
    watches.into_iter().for_each(CommitWatch::never_went_back);
}

#[test]
fn what_is_owed_when_the_service_stops_at_its_deadline_is_owed_at_the_next_start() {
    owed_at_the_next_start(&Place::new(require_broker!(), "owed_at_stop"));
}

#[test]
fn what_is_owed_when_the_service_stops_at_its_deadline_is_kept_on_disk_until_the_next_start() {
    owed_at_the_next_start(&Place::on_disk(require_broker!(), "owed_at_stop_disk"));
}

fn owed_at_the_next_start(place: &Place<'_>) {
    let broker = place.broker;
    place.create(&["A"]);
    let stations = stations(20);
    place.produce("A", stations.iter().map(|station| reading(station, 1)));
    let mut config = place.config();
    config.set("service", "drain_timeout", text("2s"));
    place.reads(&mut config, &["A"]);
    place.requires(&mut config, "m", &["A"]);
    let gate = Gate::shut();
    let (held, free) = (Scripted::gated("m", &gate), Scripted::echo("m"));

    let running = Running::start(&config, &[&held]);
    within(PATIENCE, "calls", || (held.calls() > 0).then_some(()));
    let ended = running.stop();
    assert!(!ended.drained, "calls were held up");
    // What is on disk need not hold a position back.
    let expected = if place.is_on_disk() { stations.len() as i64 } else { 0 };
    let committed = broker.committed(&place.group("A"), &place.topic("A"));
    assert!(committed.values().all(|offset| *offset == expected), "{committed:?}");
    gate.open();

    let running = Running::start(&config, &[&free]);
    Results::of(place).until_last(place, "m", &stations, &[("A", 1)]);
    place.until_all_committed(&place.group("A"), "A");
    assert!(running.stop().drained);
}

#[test]
fn a_module_added_at_a_restart_is_called_once_for_each_complete_station_without_new_data() {
    let broker = require_broker!();
    let place = Place::on_disk(broker, "module_added");
    place.create(&["PARAM", "LIVE"]);
    let stations = stations(20);
    place.produce("PARAM", stations.iter().map(|station| reading(station, 1)));
    // The last one is not complete.
    place.produce("LIVE", stations[..19].iter().map(|station| reading(station, 2)));
    let mut config = place.config();
    place.reads(&mut config, &["PARAM", "LIVE"]);
    place.requires(&mut config, "old", &["PARAM", "LIVE"]);
    let settled = || ["PARAM", "LIVE"].iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    let mut results = Results::of(&place);
    let (old, new) = (Scripted::echo("old"), Scripted::echo("new"));
    let running = Running::start(&config, &[&old]);
    results.until_last(&place, "old", &stations[..19], &[("PARAM", 1), ("LIVE", 2)]);
    settled();
    assert!(running.stop().drained);
    let called = old.calls();

    place.requires(&mut config, "new", &["PARAM", "LIVE"]);
    let running = Running::start(&config, &[&old, &new]);
    results.until_last(&place, "new", &stations[..19], &[("PARAM", 1), ("LIVE", 2)]);
    assert!(running.stop().drained);
    assert_eq!((new.calls(), old.calls()), (19, called));

    // From then on only new data calls it.
    let running = Running::start(&config, &[&old, &new]);
    running.until_all_assigned();
    place.produce("LIVE", [reading("S0", 3)]);
    results.until_last(&place, "new", &stations[..1], &[("PARAM", 1), ("LIVE", 3)]);
    results.until_last(&place, "old", &stations[..1], &[("PARAM", 1), ("LIVE", 3)]);
    assert!(running.stop().drained);
    assert_eq!((new.calls(), old.calls()), (20, called + 1));
}
