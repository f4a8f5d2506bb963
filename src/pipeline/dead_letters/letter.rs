//! [`DeadLetter`]: one record, element or run that was given up, as it will stand in the dead-letter topic.

use std::sync::Arc;

use quorate_core::contract::ModuleInput;
use quorate_core::decode::{DeadRecord, Readings, Reason, element_json};
use quorate_core::ident::Millis;
use quorate_core::plan::Plan;
use quorate_core::provenance::Origin;
use quorate_core::record::RecordRow;
use quorate_core::shard::DeadReading;

use crate::pipeline::ports::OutgoingRecord;

/// Something given up, ready to be written.
#[derive(Clone, Debug)]
pub(in super::super) struct DeadLetter {
    pub(super) origin: Option<Origin>,
    pub(super) reason: Reason,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, Vec<u8>)>,
}

impl DeadLetter {
    /// A record, or one element of it, that could not be decoded.
    pub(in super::super) fn of_record(plan: &Plan, readings: &Readings, dead: &DeadRecord, at: Millis) -> Self {
        Self::from_source(plan, readings, dead.record, dead.element, dead.reason, &dead.detail, at)
    }

    /// A reading that a shard gave up; none when the batch has no such record.
    pub(in super::super) fn of_reading(plan: &Plan, readings: &Readings, dead: &DeadReading) -> Option<Self> {
        let source = readings.source();
        let is_it = |row: &RecordRow| row.partition == dead.origin.partition && row.offset == dead.origin.offset;
        let record = u32::try_from(source.rows().iter().position(is_it)?).ok()?;
        let at = source.rows()[record as usize].timestamp;
        Some(Self::from_source(plan, readings, record, dead.element, dead.reason, "", at))
    }

    /// A run that failed for good: its value is the assembled input.
    pub(in super::super) fn of_run(
        input: &ModuleInput,
        reason: Reason,
        detail: String,
        attempts: u32,
        at: Millis,
    ) -> Self {
        let mut headers = vec![
            ("quorate-module", input.module.as_bytes().to_vec()),
            ("quorate-station", input.station.as_str().as_bytes().to_vec()),
            ("quorate-input-hash", input.input_hash.to_string().into_bytes()),
        ];
        headers.extend(common(reason, &detail, attempts, at));
        Self {
            origin: None,
            reason,
            key: Some(input.station.as_str().as_bytes().to_vec()),
            value: Some(input.to_json().into_bytes()),
            headers,
        }
    }

    fn from_source(
        plan: &Plan,
        readings: &Readings,
        record: u32,
        element: Option<u32>,
        reason: Reason,
        detail: &str,
        at: Millis,
    ) -> Self {
        let source = readings.source();
        let row = &source.rows()[record as usize];
        let topic = plan.topic(source.topic());
        let payload = source.payload(row);
        let value = match (element, payload) {
            (Some(element), Some(payload)) => element_json(&topic.records, payload, element).map(String::into_bytes),
            _ => payload.map(<[u8]>::to_vec),
        };
        let origin = Origin { topic: source.topic(), partition: row.partition, offset: row.offset };
        let place = format!("{}/{}/{}", topic.name, row.partition, row.offset);
        let mut headers = vec![("quorate-origin", place.into_bytes())];
        if let Some(element) = element {
            headers.push(("quorate-element", element.to_string().into_bytes()));
        }
        headers.extend(common(reason, detail, 1, at));
        Self { origin: Some(origin), reason, key: source.key(row).map(<[u8]>::to_vec), value, headers }
    }

    pub(super) fn cost(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + 256
    }

    /// The record to produce; without its value when the broker found it too large.
    pub(super) fn record(&self, topic: &Arc<str>, truncated: bool) -> OutgoingRecord {
        let mut headers = self.headers.clone();
        let value = if truncated {
            headers.push(("quorate-truncated", self.value.as_ref().map_or(0, Vec::len).to_string().into_bytes()));
            Some(Vec::new())
        } else {
            self.value.clone()
        };
        OutgoingRecord { topic: Arc::clone(topic), key: self.key.clone(), value, headers }
    }
}

fn common(reason: Reason, detail: &str, attempts: u32, at: Millis) -> [(&'static str, Vec<u8>); 4] {
    [
        ("quorate-reason", reason.as_str().as_bytes().to_vec()),
        ("quorate-detail", detail.as_bytes().to_vec()),
        ("quorate-at", at.0.to_string().into_bytes()),
        ("quorate-attempts", attempts.to_string().into_bytes()),
    ]
}
