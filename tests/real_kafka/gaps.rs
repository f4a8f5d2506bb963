//! Row 4-34: positions that are gone when the service comes back are named, counted and passed over as the setting says,
//! and hold up nobody else.

use quorate::kafka::TroubleKind;
use quorate_testkit::require_broker;

use crate::follow::Results;
use crate::place::{Place, reading, stations, text};
use crate::running::{Running, warnings};
use crate::scripted::Scripted;

/// A topic for each setting, and one of which nothing is gone.
const TOPICS: [&str; 4] = ["EARLIEST", "LATEST", "HALT", "WHOLE"];
const MODULES: [&str; 4] = ["earliest", "latest", "halt", "whole"];

/// Records that were read, those that are gone, and all there are.
const READ: u64 = 10;
const GONE: u64 = 25;
const ALL: u64 = 30;

#[test]
fn row_4_34_what_is_gone_at_a_start_is_named_and_counted_and_passed_over_as_the_setting_says() {
    let broker = require_broker!();
    gaps(&Place::new(broker, "row_4_34"));
    gaps(&Place::on_disk(broker, "row_4_34_disk"));
}

fn gaps(place: &Place<'_>) {
    drop(warnings());
    place.create(&TOPICS);
    let stations = stations(1);
    let mut config = place.config();
    place.reads(&mut config, &TOPICS);
    for (topic, module) in TOPICS.into_iter().zip(MODULES) {
        place.requires(&mut config, module, &[topic]);
        place.produce(topic, (0..READ).map(|n| reading("S0", n)));
    }
    for topic in &TOPICS[..3] {
        config.set(&format!("topics.{}", place.topic(topic)), "on_out_of_range", text(&topic.to_lowercase()));
    }
    let modules = || MODULES.map(Scripted::echo);
    let mut results = Results::of(place);
    let first = modules();
    let running = Running::start(&config, &first.each_ref());
    TOPICS.iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    assert!(running.stop().drained);

    for topic in TOPICS {
        place.produce(topic, (READ..ALL).map(|n| reading("S0", n)));
    }
    TOPICS[..3].iter().for_each(|topic| place.broker.delete_before(&place.topic(topic), 0, GONE as i64));
    let second = modules();
    let running = Running::start(&config, &second.each_ref());
    let [earliest, latest, halt, _] = &second;
    results.until_last(place, "earliest", &stations, &[("EARLIEST", ALL - 1)]);
    results.until_last(place, "whole", &stations, &[("WHOLE", ALL - 1)]);
    running.until_fails(place, "HALT", TroubleKind::Halted);
    running.until_assigned(place, "LATEST");
    place.produce("LATEST", [reading("S0", ALL)]);
    results.until_last(place, "latest", &stations, &[("LATEST", ALL)]);

    let missed = TOPICS.map(|topic| running.health(place, topic).missed_offsets);
    assert_eq!(missed, [GONE - READ, ALL - READ, 0, 0]);
    let log = warnings();
    let said = |topic: &str, words: &[&str]| {
        let of_topic = |line: &&str| line.contains(&place.topic(topic)) && words.iter().all(|word| line.contains(word));
        log.lines().filter(of_topic).count()
    };
    let range = |to: u64| [format!("from={READ} "), format!("to={to} "), format!("missed={}", to - READ)];
    for (topic, to) in [("EARLIEST", GONE), ("LATEST", ALL)] {
        let range = range(to);
        assert_eq!(said(topic, &["records are missing", &range[0], &range[1], &range[2]]), 1, "{topic}:\n{log}");
    }
    let why = format!("position {READ} no longer exists, the partition holds {GONE} to {ALL}; on_out_of_range = halt");
    assert_eq!((said("HALT", &[&why]), said("HALT", &["records are missing"])), (1, 0), "{log}");
    assert_eq!(said("WHOLE", &[]), 0, "{log}");

    let numbers = |module: &Scripted| module.seen().iter().map(number).collect::<Vec<_>>();
    assert!(numbers(earliest).iter().all(|n| (GONE..ALL).contains(n)), "{:?}", numbers(earliest));
    assert_eq!(numbers(latest), [ALL], "what was passed over calls nobody");
    assert_eq!(halt.calls(), 0);
    for topic in ["EARLIEST", "LATEST", "WHOLE"] {
        place.until_all_committed(&place.group(topic), topic);
    }
    assert_eq!(place.broker.committed(&place.group("HALT"), &place.topic("HALT"))[&0], READ as i64);
    assert!(running.stop().drained);
}

/// The number in an input's only reading.
fn number(input: &quorate::ModuleInput) -> u64 {
    let shown: serde_json::Value = serde_json::from_str(&input.to_json()).expect("JSON");
    let inputs = shown["inputs"].as_object().expect("inputs");
    let of_topic = inputs.values().next().expect("one input");
    of_topic["value"]["n"].as_u64().expect("a number")
}
