//! What the last results have to be: the produced records, folded by `quorate replay` in virtual time, without a broker.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use quorate_core::replay::RecordedRecord;
use serde_json::Value;

use crate::config::LATEST;
use crate::history::Produced;
use crate::service::quorate;

/// How far apart the offsets of a topic's incarnations are put: replay knows one only.
const INCARNATION_OFFSETS: i64 = 1_000_000_000;

/// A station's newest state as the module saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    pub hash: String,
    pub output: Value,
}

/// The newest state of every complete station.
pub type Model = BTreeMap<String, Last>;

/// Folds records; `config` is the service's own file, and `dir` takes what is needed on the way.
pub fn fold(records: &[Produced], config: &Path, dir: &Path) -> Model {
    let mut lines = String::new();
    for record in records {
        let recorded = RecordedRecord {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset + i64::from(record.incarnation) * INCARNATION_OFFSETS,
            ts: record.ts,
            headers: Vec::new(),
            key: Some(record.key.clone().into_bytes()),
            payload: record.payload.clone(),
        };
        lines += &serde_json::to_string(&recorded).expect("a line");
        lines.push('\n');
    }
    let input = dir.join("produced.ndjson");
    fs::write(&input, lines).expect("the records are written");
    let output = quorate(&["replay", "--emit", "outputs", "--advance", "1m", "-c"])
        .arg(config)
        .arg("--input")
        .arg(&input)
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "replay failed: {}", String::from_utf8_lossy(&output.stderr));
    let mut model = Model::new();
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        let mut event: Value = serde_json::from_str(line).expect("an event");
        if event["module"] == LATEST {
            let text = |field: &str| event[field].as_str().expect("text").to_owned();
            let (station, hash) = (text("station"), text("input_hash"));
            model.insert(station, Last { hash, output: event["value"].take() });
        }
    }
    model
}
