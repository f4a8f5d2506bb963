//! Results on the wire, and that nothing is committed before they are acknowledged.

use std::collections::BTreeSet;

use quorate_core::contract::Output;
use quorate_testkit::{Broker, BrokerOptions, Consumed, require_broker, within};
use serde_json::Value;

use crate::place::{PATIENCE, Place, reading, stations};
use crate::running::Running;
use crate::scripted::{Gate, Scripted};

fn value(record: &Consumed) -> Value {
    serde_json::from_slice(record.value.as_deref().expect("an envelope")).expect("JSON")
}

#[test]
fn a_result_is_keyed_by_its_station_and_says_what_it_was_made_from() {
    let broker = require_broker!();
    let place = Place::new(broker, "results");
    place.create(&["A", "B", "C"]);
    let module = Scripted::answering("m", |_| Ok(vec![Output::json(&1)?, Output::json(&"two")?]));
    let mut config = place.config();
    place.reads(&mut config, &["A", "B", "C"]);
    place.requires(&mut config, "m", &["A", "B"]);
    config.set("modules.m", "optional", format!("[{:?}]", place.topic("C")));
    let stations = stations(10);
    for topic in ["A", "B"] {
        place.produce(topic, stations.iter().map(|station| reading(station, 1)));
    }

    let running = Running::start(&config, &[&module]);

    ["A", "B"].iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    let inputs = module.seen();
    let records = broker.consume_all(&place.output());
    assert_eq!(records.len(), 2 * inputs.len());
    let keys: BTreeSet<_> = records.iter().map(|record| record.key.clone().expect("a key")).collect();
    assert_eq!(keys, stations.iter().map(|station| station.clone().into_bytes()).collect());
    for record in &records {
        let value = value(record);
        let hash = value["input_hash"].as_str().expect("a hash");
        let input = inputs.iter().find(|input| input.input_hash.to_string() == hash).expect("the input of that hash");
        assert_eq!(record.key.as_deref(), Some(input.station.as_str().as_bytes()));
        assert_eq!(value["station_id"], input.station.as_str());
        assert_eq!(value["module"], "m");
        assert_eq!(value["module_version"], "1");
        assert_eq!(value["at"], input.at.0);
        assert!(value["output"] == 1 || value["output"] == "two", "{value}");
        assert_eq!(value["quality"]["complete"], true);
        assert_eq!(value["quality"]["total_topics"], 3);
        assert_eq!(value["quality"]["missing_topics"], serde_json::json!([place.topic("C")]));
        assert_eq!(value["lineage"].as_array().map(Vec::len), Some(2));
        assert_eq!(record.header("quorate-module"), Some(&b"m"[..]));
        assert_eq!(record.header("quorate-input-hash"), Some(hash.as_bytes()));
        assert_eq!(record.header("quorate-attempt"), Some(&b"1"[..]));
        assert_eq!(record.headers.len(), 3, "{:?}", record.headers);
    }
    assert!(running.stop().drained);
}

#[test]
fn row_1_29_no_offset_moves_past_a_result_that_a_frozen_broker_has_not_acknowledged() {
    let broker = &require_broker!(Broker::start(BrokerOptions::default()));
    let place = Place::new(broker, "row_1_29_frozen");
    place.create(&["A"]);
    let gate = Gate::shut();
    let module = Scripted::gated("m", &gate);
    let mut config = place.config();
    config.set("kafka.properties", "\"socket.timeout.ms\"", "2000");
    place.reads(&mut config, &["A"]);
    place.requires(&mut config, "m", &["A"]);
    let running = Running::start(&config, &[&module]);
    place.produce("A", [reading("S0", 1)]);
    within(PATIENCE, "the call", || (module.calls() == 1).then_some(()));

    broker.pause();
    gate.open();
    within(PATIENCE, "the result to be under way", || (running.service().publishing().in_flight == 1).then_some(()));
    let wanted = |running: &Running| running.health(&place, "A").partitions.values().map(|p| p.committed).max();
    let before = wanted(&running);
    broker.resume();
    place.until_all_committed(&place.group("A"), "A");
    assert!(before.flatten().is_none_or(|next| next.0 == 0), "{before:?}");
    assert_eq!(broker.consume_all(&place.output()).len(), 1);
    assert!(running.stop().drained);
}
