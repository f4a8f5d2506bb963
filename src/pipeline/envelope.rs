//! The wire: how a result and a dead letter look as Kafka records.

use std::sync::Arc;

use quorate_core::contract::{InputHash, LineageRange, ModuleInput, Output, Quality};
use quorate_core::ident::Millis;
use serde::Serialize;
use serde_json::value::RawValue;

use super::ports::OutgoingRecord;

/// The value of a result record.
#[derive(Serialize)]
struct ResultEnvelope<'a> {
    station_id: &'a str,
    module: &'a str,
    module_version: &'a str,
    at: Millis,
    output: Option<&'a RawValue>,
    quality: &'a Quality,
    lineage: &'a [LineageRange],
    input_hash: InputHash,
}

/// One result as a record on the module's output topic, keyed by its station.
pub(super) fn result(
    topic: &Arc<str>,
    input: &ModuleInput,
    version: &str,
    attempt: u32,
    output: &Output,
) -> OutgoingRecord {
    let envelope = ResultEnvelope {
        station_id: input.station.as_str(),
        module: &input.module,
        module_version: version,
        at: input.at,
        output: serde_json::from_str(output.as_json()).ok(),
        quality: &input.quality,
        lineage: &input.lineage,
        input_hash: input.input_hash,
    };
    OutgoingRecord {
        topic: Arc::clone(topic),
        key: Some(input.station.as_str().as_bytes().to_vec()),
        value: serde_json::to_vec(&envelope).ok(),
        headers: headers(input, attempt),
    }
}

fn headers(input: &ModuleInput, attempt: u32) -> Vec<(&'static str, Vec<u8>)> {
    let mut headers = vec![
        ("quorate-module", input.module.as_bytes().to_vec()),
        ("quorate-input-hash", input.input_hash.to_string().into_bytes()),
        ("quorate-attempt", attempt.to_string().into_bytes()),
    ];
    headers.extend(trigger(input).map(|trigger| ("quorate-trigger", trigger.into_bytes())));
    headers
}

/// What tells runs apart whose inputs may be equal: a bucket by its beginning, a reading by its provenance.
pub(super) fn trigger(input: &ModuleInput) -> Option<String> {
    let reading = || input.reading.as_ref().map(ToString::to_string);
    input.bucket.map(|from| from.0.to_string()).or_else(reading)
}
