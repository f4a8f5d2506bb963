//! Row 4-03: what is held up holds nothing else up.

use quorate_testkit::{require_broker, within};

use crate::follow::Results;
use crate::place::{PATIENCE, Place, reading, rounds, stations};
use crate::running::Running;
use crate::scripted::{Gate, Scripted};

#[test]
fn row_4_03_a_blocked_module_stops_neither_other_topics_nor_another_module() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_4_03");
    place.create(&["A", "B", "C"]);
    let gate = Gate::shut();
    let (blocked, free) = (Scripted::gated("blocked", &gate), Scripted::echo("free"));
    let mut config = place.config();
    place.reads(&mut config, &["A", "B", "C"]);
    place.requires(&mut config, "blocked", &["A", "B"]);
    place.requires(&mut config, "free", &["C"]);
    config.set("modules.blocked", "timeout", "\"10m\"");
    let stations = stations(50);
    let running = Running::start(&config, &[&blocked, &free]);
    for topic in ["A", "B"] {
        place.produce(topic, stations.iter().map(|station| reading(station, 1)));
    }
    within(PATIENCE, "the module to be held up", || (blocked.calls() > 0).then_some(()));

    for topic in ["A", "B", "C"] {
        place.produce(topic, rounds(&stations, 2..100));
    }
    let mut results = Results::of(&place);
    results.until_last(&place, "free", &stations, &[("C", 99)]);
    place.until_all_committed(&place.group("C"), "C");
    for (topic, records) in [("A", 99 * 50), ("B", 99 * 50), ("C", 98 * 50)] {
        within(PATIENCE, &format!("{topic} to be read"), || {
            (running.health(&place, topic).records == records).then_some(())
        });
    }

    gate.open();
    results.until_last(&place, "blocked", &stations, &[("A", 99), ("B", 99)]);
    ["A", "B"].iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    assert!(running.stop().drained);
}

#[test]
fn row_4_03_a_topic_whose_lane_is_full_stops_no_other() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_4_03_lane");
    place.create(&["A", "B"]);
    let gate = Gate::shut();
    let (blocked, free) = (Scripted::gated("blocked", &gate), Scripted::echo("free"));
    let mut config = place.config();
    place.reads(&mut config, &["A", "B"]);
    place.requires(&mut config, "blocked", &["A"]);
    place.requires(&mut config, "free", &["B"]);
    config.set("modules.blocked", "timeout", "\"10m\"");
    // More stations than runs may be owed: the lane of A stops at its bound.
    let stations = quorate::pipeline::MAX_UNSETTLED as u64 + 10_000;
    place.produce("A", (0..stations).map(|n| reading(&format!("S{n}"), 1)));
    let running = Running::start(&config, &[&blocked, &free]);
    // The count of what is owed may be too high by a 64th.
    let read = || running.service().pipeline().tally().records;
    within(PATIENCE, "the lane to stop", || (read() > stations * 9 / 10 - 5000).then_some(()));

    place.produce("B", (0..100).map(|n| reading("S0", n)));
    Results::of(&place).until_last(&place, "free", &[String::from("S0")], &[("B", 99)]);
    place.until_all_committed(&place.group("B"), "B");
    assert!(read() < stations, "nothing was stopped");
    gate.open();
    place.until_all_committed(&place.group("A"), "A");
    assert!(running.stop().drained);
}
