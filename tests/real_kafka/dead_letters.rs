//! What is given up arrives on the dead-letter topic as it was received, with the reason and the place it came from.

use std::collections::BTreeMap;

use quorate_core::contract::ModuleError;
use quorate_testkit::{Broker, Compression, Consumed, require_broker, within};
use rdkafka::producer::BaseRecord;
use serde_json::{Value, json};

use crate::place::{Config, PATIENCE, Place, reading};
use crate::running::Running;
use crate::scripted::{Scripted, echo};

/// A key or a value; none is a null one.
type Bytes<'a> = Option<&'a [u8]>;

/// Dead letters by where they came from: `topic/partition/offset`, then the element.
type Letters = BTreeMap<(String, Option<String>), Consumed>;

/// Waits for so many dead letters that name their origin.
fn letters(broker: &Broker, place: &Place<'_>, count: usize) -> Letters {
    let word = |record: &Consumed, name: &str| Some(String::from_utf8(record.header(name)?.to_vec()).expect("text"));
    within(PATIENCE, &format!("{count} dead letters"), || {
        let records = broker.consume_all(&place.dead_letters());
        let of_origin =
            |record: Consumed| Some(((word(&record, "quorate-origin")?, word(&record, "quorate-element")), record));
        let all = records.len();
        let letters: Letters = records.into_iter().filter_map(of_origin).collect();
        (letters.len() == count).then(|| {
            assert_eq!(all, count, "no letter was written twice");
            letters
        })
    })
}

fn header(letter: &Consumed, name: &str) -> String {
    let value = letter.header(name).unwrap_or_else(|| panic!("{name} is missing: {letter:?}"));
    String::from_utf8(value.to_vec()).expect("text")
}

fn config(place: &Place<'_>, topic: &str) -> Config {
    let mut config = place.config();
    place.reads(&mut config, &[topic]);
    place.requires(&mut config, "m", &[topic]);
    config
}

#[test]
fn records_that_cannot_be_decoded_are_kept_byte_for_byte_with_reason_and_origin() {
    let broker = require_broker!();
    let place = Place::new(broker, "dead_records");
    place.create(&["A"]);
    let topic = place.topic("A");
    let bodies: [(Bytes<'_>, Bytes<'_>, &str); 6] = [
        (None, Some(b"\xff\xfe\x00{"), "not_utf8"),
        (Some(b"\x80key"), Some(b"{\"s\":\"S1\""), "not_json"),
        (Some(b""), Some(b""), "not_json"),
        (Some(b"k"), None, "wrong_shape"),
        (None, Some(b"[1, 2]"), "wrong_shape"),
        (Some(b"k"), Some(b"{\"n\":1}"), "missing_station"),
    ];
    let mut loader = broker.loader(Compression::None);
    for (key, value, _) in bodies {
        let mut record = BaseRecord::<[u8], [u8]>::to(&topic).timestamp(1_700_000_000_000);
        record.key = key;
        record.payload = value;
        loader.send(record);
    }
    loader.finish();
    place.produce("A", [reading("S1", 1)]);
    let module = Scripted::echo("m");

    let running = Running::start(&config(&place, "A"), &[&module]);

    let letters = letters(broker, &place, bodies.len());
    for (offset, (key, value, reason)) in bodies.into_iter().enumerate() {
        let letter = &letters[&(format!("{topic}/0/{offset}"), None)];
        assert_eq!((letter.key.as_deref(), letter.value.as_deref()), (key, value), "record {offset}");
        assert_eq!(header(letter, "quorate-reason"), reason, "record {offset}");
        assert_eq!(header(letter, "quorate-attempts"), "1");
        assert!(header(letter, "quorate-at").parse::<i64>().expect("milliseconds") > 1_700_000_000_000);
        assert!(letter.header("quorate-detail").is_some());
        assert_eq!(letter.header("quorate-truncated"), None);
    }
    place.until_all_committed(&place.group("A"), "A");
    assert_eq!(module.calls(), 1, "the good record among them was used");
    assert!(running.stop().drained);
}

#[test]
fn an_element_that_cannot_be_used_is_kept_alone_and_the_others_are_used() {
    let broker = require_broker!();
    let place = Place::new(broker, "dead_elements");
    place.create(&["A"]);
    let topic = place.topic("A");
    let mut config = config(&place, "A");
    config.set(&format!("topics.{topic}"), "records", "\"/list/*\"");
    let record = r#"{"list":[{"s":"S1","n":1},7,{"n":2, "x":[1.50,"ä"]},{"s":"S2","n":3},{"s":null}]}"#;
    place.produce("A", [("k".to_owned(), record.to_owned())]);
    let module = Scripted::echo("m");

    let running = Running::start(&config, &[&module]);

    let letters = letters(broker, &place, 3);
    let letter = |element: &str| &letters[&(format!("{topic}/0/0"), Some(element.to_owned()))];
    let json =
        |letter: &Consumed| -> Value { serde_json::from_slice(letter.value.as_deref().expect("JSON")).expect("JSON") };
    assert_eq!((json(letter("1")), header(letter("1"), "quorate-reason")), (json!(7), "wrong_shape".to_owned()));
    assert_eq!(json(letter("2")), json!({"n":2,"x":[1.5,"ä"]}));
    assert_eq!(header(letter("2"), "quorate-reason"), "missing_station");
    assert_eq!(header(letter("4"), "quorate-reason"), "missing_station");
    assert!(letters.values().all(|letter| letter.key.as_deref() == Some(b"k")));
    place.until_all_committed(&place.group("A"), "A");
    let mut stations: Vec<String> = module.seen().iter().map(|input| input.station.to_string()).collect();
    stations.sort();
    assert_eq!(stations, ["S1", "S2"]);
    assert!(running.stop().drained);
}

#[test]
fn a_run_that_fails_for_good_is_kept_with_the_input_it_was_given() {
    let broker = require_broker!();
    let place = Place::new(broker, "dead_runs");
    place.create(&["A"]);
    let module = Scripted::answering("m", |input| match input.station.as_str() {
        "rejected" => Err(ModuleError::rejected("never this one")),
        "failing" => Err(ModuleError::retriable("not today")),
        "panicking" => panic!("by the test"),
        _ => Ok(vec![echo(input)?]),
    });
    let mut config = config(&place, "A");
    config.set("modules.m", "retry", "{ attempts = 3, backoff = \"10ms\", max_backoff = \"20ms\" }");
    let stations = ["rejected", "failing", "panicking", "fine"];
    place.produce("A", stations.map(|station| reading(station, 5)));

    let running = Running::start(&config, &[&module]);

    place.until_all_committed(&place.group("A"), "A");
    let letters = broker.consume_all(&place.dead_letters());
    let of = |station: &str| {
        let mut of = letters.iter().filter(|letter| header(letter, "quorate-station") == station);
        let letter = of.next().unwrap_or_else(|| panic!("no letter of {station}"));
        assert!(of.next().is_none(), "two letters of {station}");
        letter
    };
    assert_eq!(letters.len(), 3);
    for (station, reason, attempts) in
        [("rejected", "module_rejected", "1"), ("failing", "module_failed", "3"), ("panicking", "module_panicked", "3")]
    {
        let letter = of(station);
        assert_eq!(letter.key.as_deref(), Some(station.as_bytes()));
        assert_eq!(header(letter, "quorate-module"), "m");
        assert_eq!(header(letter, "quorate-reason"), reason);
        assert_eq!(header(letter, "quorate-attempts"), attempts);
        let input: Value = serde_json::from_slice(letter.value.as_deref().expect("the input")).expect("JSON");
        assert_eq!(input["station"], station);
        assert_eq!(input["inputs"][place.topic("A")]["value"]["n"], 5);
        assert_eq!(input["input_hash"].as_str(), Some(&*header(letter, "quorate-input-hash")));
    }
    assert_eq!(broker.consume_all(&place.output()).len(), 1);
    assert!(running.stop().drained);
}

#[test]
fn a_dead_letter_that_its_topic_does_not_take_is_written_without_its_value() {
    let broker = require_broker!();
    let place = Place::new(broker, "dead_large");
    broker.create_topic(&place.topic("A"), 1, &[]);
    broker.create_topic(&place.output(), 1, &[]);
    broker.create_topic(&place.dead_letters(), 1, &[("max.message.bytes", "2000")]);
    let body = "no reading ".repeat(1000);
    place.produce("A", [("k".to_owned(), body.clone())]);
    let module = Scripted::echo("m");
    let mut config = config(&place, "A");
    // Batches are measured as they are sent.
    config.set("kafka.producer", "compression_type", "\"none\"");

    let running = Running::start(&config, &[&module]);

    let letters = letters(broker, &place, 1);
    let letter = &letters[&(format!("{}/0/0", place.topic("A")), None)];
    assert_eq!(letter.key.as_deref(), Some(&b"k"[..]));
    assert_eq!(letter.value.as_deref(), Some(&b""[..]));
    assert_eq!(header(letter, "quorate-truncated"), body.len().to_string());
    assert_eq!(header(letter, "quorate-reason"), "not_json");
    place.until_all_committed(&place.group("A"), "A");
    assert!(running.stop().drained);
}
