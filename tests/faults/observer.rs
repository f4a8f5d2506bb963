//! Reads what the service published, from the beginning, as any consumer of its topics could.

use std::collections::BTreeSet;

use quorate_testkit::{Broker, Consumed};
use serde_json::Value;

use crate::history::{Letter, Produced, Published, Source};

/// All results of a topic with one partition, in their order.
pub fn results(broker: &Broker, topic: &str) -> Vec<Published> {
    broker.consume_all(topic).iter().map(published).collect()
}

/// All dead letters of a topic.
pub fn letters(broker: &Broker, topic: &str) -> Vec<Letter> {
    let letter = |record: &Consumed| Letter {
        origin: header(record, "quorate-origin"),
        reason: header(record, "quorate-reason").expect("every letter has a reason"),
    };
    broker.consume_all(topic).iter().map(letter).collect()
}

/// Records that a topic holds and nobody was told of: a broker that was killed had taken them, and took them again when it
/// was asked once more. Each is a copy of one that was acknowledged.
pub fn copies(broker: &Broker, topic: &str, acknowledged: &[Produced]) -> Vec<Produced> {
    let of_topic = || acknowledged.iter().filter(|record| record.topic == topic);
    let life = of_topic().map(|record| record.incarnation).max().unwrap_or_default();
    let known: BTreeSet<(i32, i64)> = of_topic()
        .filter(|record| record.incarnation == life)
        .map(|record| (record.partition, record.offset))
        .collect();
    if broker.end_offsets(topic).values().sum::<i64>() == known.len() as i64 {
        return Vec::new();
    }
    let unknown =
        broker.consume_all(topic).into_iter().filter(|record| !known.contains(&(record.partition, record.offset)));
    let copy = |record: Consumed| {
        let same = |known: &&Produced| Some(known.ts) == record.timestamp_ms && known.payload == record.value;
        let original = of_topic().find(same).unwrap_or_else(|| panic!("{topic} holds what nobody sent: {record:?}"));
        Produced { partition: record.partition, offset: record.offset, ..original.clone() }
    };
    unknown.map(copy).collect()
}

fn header(record: &Consumed, name: &str) -> Option<String> {
    record.header(name).map(|value| String::from_utf8(value.to_vec()).expect("text"))
}

fn published(record: &Consumed) -> Published {
    let value: Value = serde_json::from_slice(record.value.as_deref().expect("an envelope")).expect("JSON");
    let text = |field: &str| value[field].as_str().expect("text").to_owned();
    let (module, station, hash) = (text("module"), text("station_id"), text("input_hash"));
    assert_eq!(record.key.as_deref(), Some(station.as_bytes()), "keyed by its station");
    assert_eq!(header(record, "quorate-module").as_ref(), Some(&module));
    assert_eq!(header(record, "quorate-input-hash").as_ref(), Some(&hash));
    let source = |range: &Value| {
        let number = |field: &str| range[field].as_i64().expect("a number");
        let partition = i32::try_from(number("partition")).expect("a partition");
        let place = (range["topic"].as_str().expect("a topic").to_owned(), partition);
        let life = range["incarnation"].as_u64().map_or(0, |life| u32::try_from(life).expect("a count"));
        Source { place, from: number("from_offset"), to: number("to_offset"), life }
    };
    Published {
        trigger: header(record, "quorate-trigger"),
        output: value["output"].clone(),
        complete: value["quality"]["complete"].as_bool().expect("it is said"),
        lineage: value["lineage"].as_array().expect("a list").iter().map(source).collect(),
        module,
        station,
        hash,
    }
}
