//! A restart, with the same settings or in the other consumer mode, loses nothing; what was settled stays settled.

use quorate_testkit::{require_broker, within};

use crate::follow::{CommitWatch, Results};
use crate::place::{Config, PATIENCE, Place, reading, rounds, stations, text};
use crate::running::Running;
use crate::scripted::{Gate, Scripted};

#[test]
fn row_4_32_and_4_35_switching_the_mode_there_and_back_loses_nothing() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_4_32");
    let topics = ["A", "B"];
    place.create(&topics);
    let stations = stations(50);
    let module = Scripted::echo("m");
    let mut config = place.config();
    place.reads(&mut config, &topics);
    place.requires(&mut config, "m", &topics);
    let mut results = Results::of(&place);
    place.produce("B", stations.iter().map(|station| reading(station, 7)));

    for (phase, multi) in [true, false, true].into_iter().enumerate() {
        // While no service runs.
        let first = phase as u64 * 20;
        place.produce("A", rounds(&stations, first..first + 10));
        config.set("kafka.consumer", "multi_consumer_mode", multi.to_string());
        let running = Running::start(&config, &[&module]);
        running.until_all_assigned();
        results.until_last(&place, "m", &stations, &[("A", first + 9), ("B", 7)]);
        // While it runs; stopped before everything need be settled.
        place.produce("A", rounds(&stations, first + 10..first + 20));
        assert!(running.stop().drained);
    }

    let running = Running::start(&config, &[&module]);
    results.until_last(&place, "m", &stations, &[("A", 59), ("B", 7)]);
    topics.iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    assert!(running.stop().drained);
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
    let broker = require_broker!();
    let place = Place::new(broker, "w2_restart");
    let topics = ["CALENDAR", "PARAM", "LIVE"];
    place.create(&topics);
    let stations = stations(20);
    place.produce("CALENDAR", [("all".to_owned(), r#"{"n":2026}"#.to_owned())]);
    place.produce("PARAM", stations.iter().map(|station| reading(station, 1)));
    place.produce("LIVE", rounds(&stations, 0..10));
    place.produce("LIVE", [("S0".to_owned(), "no reading".to_owned()), ("S0".to_owned(), r#"{"n":1}"#.to_owned())]);
    let config = calendar_config(&place);
    let settled = || topics.iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    let mut results = Results::of(&place);

    let module = Scripted::echo("m");
    let running = Running::start(&config, &[&module]);
    results.until_last(&place, "m", &stations, &[("CALENDAR", 2026), ("PARAM", 1), ("LIVE", 9)]);
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
        results.until_last(&place, "m", &stations[..5], &[("CALENDAR", 2026), ("PARAM", 1), ("LIVE", n)]);
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
    let broker = require_broker!();
    let place = Place::new(broker, "owed_at_stop");
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
    assert!(broker.committed(&place.group("A"), &place.topic("A")).values().all(|offset| *offset == 0));
    gate.open();

    let running = Running::start(&config, &[&free]);
    Results::of(&place).until_last(&place, "m", &stations, &[("A", 1)]);
    place.until_all_committed(&place.group("A"), "A");
    assert!(running.stop().drained);
}
