//! [`DeadLetter`]: one record, element or run that was given up, as it will stand in the dead-letter topic.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use quorate_core::contract::LineageRange;
use quorate_core::decode::{DeadRecord, Readings, Reason, elements_json};
use quorate_core::ident::Millis;
use quorate_core::plan::Plan;
use quorate_core::provenance::Origin;
use quorate_core::record::RecordBatch;
use quorate_core::shard::DeadReading;

use crate::pipeline::durable::StoredLetter;
use crate::pipeline::ports::{Failure, OutgoingRecord};

/// Something given up, ready to be written.
#[derive(Clone, Debug)]
pub(in super::super) struct DeadLetter {
    pub(super) origin: Option<Origin>,
    /// Why; none when it was counted in an earlier life.
    pub(super) reason: Option<Reason>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, Vec<u8>)>,
}

/// What is kept of a detail, in bytes; longer headers are left out where only the bare facts are written.
const DETAIL_BYTES: usize = Failure::DETAIL_BYTES;

/// Every header a letter of a record can have.
const NAMES: [&str; 6] =
    ["quorate-origin", "quorate-element", "quorate-reason", "quorate-detail", "quorate-at", "quorate-attempts"];

/// How much of a letter is written. The broker's limits decide; each step gives up what is longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    WithoutValue,
    /// Only reason and origin.
    Bare,
}

impl DeadLetter {
    /// Records, or elements of them, that could not be decoded. They are in the order of their records.
    pub(in super::super) fn of_records<'a>(
        plan: &Plan,
        readings: &Readings,
        dead: impl Iterator<Item = &'a DeadRecord>,
        at: Millis,
    ) -> Vec<Self> {
        let mut source = Source::new(plan, readings, at);
        dead.map(|dead| source.letter(dead.record, dead.element, dead.reason, &dead.detail)).collect()
    }

    /// Readings that a shard gave up.
    pub(in super::super) fn of_readings(
        plan: &Plan,
        readings: &Readings,
        dead: &[DeadReading],
        at: Millis,
    ) -> Vec<Self> {
        let batch = readings.source();
        let rows = (0..).zip(batch.rows()).map(|(row, record)| ((record.partition, record.offset), row));
        let rows: HashMap<_, u32> = rows.collect();
        let mut source = Source::new(plan, readings, at);
        let letter = |dead: &DeadReading| {
            let record = *rows.get(&(dead.origin.partition, dead.origin.offset))?;
            Some(source.letter(record, dead.element, dead.reason, ""))
        };
        dead.iter().filter_map(letter).collect()
    }

    /// A letter that an earlier life of the process kept.
    pub(super) fn restored(stored: StoredLetter, origin: Option<Origin>) -> Self {
        let name = |name: &str| NAMES.iter().find(|known| **known == name).copied();
        let headers = stored.headers.into_iter().filter_map(|(given, value)| Some((name(&given)?, value)));
        Self { origin, reason: None, key: stored.key, value: stored.value, headers: headers.collect() }
    }

    /// The letter as it is kept.
    pub(super) fn stored(&self, id: u64, plan: &Plan) -> StoredLetter {
        let place = |origin: &Origin| (Arc::clone(&plan.topic(origin.topic).name), origin.partition, origin.offset.0);
        StoredLetter {
            id,
            reason: self.reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
            origin: self.origin.as_ref().map(place),
            key: self.key.clone(),
            value: self.value.clone(),
            headers: self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }

    /// A run that failed for good: its value is the assembled input.
    pub(in super::super) fn of_run(failure: &Failure) -> Self {
        let input = &failure.input;
        let mut headers = vec![
            ("quorate-module", input.module.as_bytes().to_vec()),
            ("quorate-station", input.station.as_str().as_bytes().to_vec()),
            ("quorate-input-hash", input.input_hash.to_string().into_bytes()),
        ];
        headers.extend(failure.trigger().map(|trigger| ("quorate-trigger", trigger.into_bytes())));
        let place = |newest: &LineageRange| format!("{}/{}/{}", newest.topic, newest.partition, newest.to_offset);
        headers.extend(failure.origin().map(|newest| ("quorate-origin", place(newest).into_bytes())));
        headers.extend(common(failure.reason, &failure.detail, failure.attempts, failure.at));
        Self {
            // The run itself keeps its records unsettled until this is acknowledged.
            origin: None,
            reason: Some(failure.reason),
            key: Some(input.station.as_str().as_bytes().to_vec()),
            value: Some(input.to_json().into_bytes()),
            headers,
        }
    }

    pub(super) fn cost(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + 256
    }

    /// The record to produce.
    pub(super) fn record(&self, topic: &Arc<str>, form: Form) -> OutgoingRecord {
        let topic = Arc::clone(topic);
        if form == Form::Whole {
            return OutgoingRecord {
                topic,
                key: self.key.clone(),
                value: self.value.clone(),
                headers: self.headers.clone(),
            };
        }
        let bare = form == Form::Bare;
        let short = |(name, value): &&(&'static str, Vec<u8>)| {
            !bare || value.len() <= DETAIL_BYTES && *name != "quorate-detail"
        };
        let mut headers: Vec<_> = self.headers.iter().filter(short).cloned().collect();
        headers.push(("quorate-truncated", self.value.as_ref().map_or(0, Vec::len).to_string().into_bytes()));
        OutgoingRecord { topic, key: if bare { None } else { self.key.clone() }, value: Some(Vec::new()), headers }
    }
}

/// Makes the letters of one batch; the elements of a record are looked up once for all its letters.
struct Source<'a> {
    plan: &'a Plan,
    batch: Arc<RecordBatch>,
    at: Millis,
    elements: Option<(u32, Vec<Range<usize>>)>,
}

impl<'a> Source<'a> {
    fn new(plan: &'a Plan, readings: &Readings, at: Millis) -> Self {
        Self { plan, batch: readings.source(), at, elements: None }
    }

    fn letter(&mut self, record: u32, element: Option<u32>, reason: Reason, detail: &str) -> DeadLetter {
        let row = &self.batch.rows()[record as usize];
        let origin = Origin { topic: self.batch.topic(), partition: row.partition, offset: row.offset };
        let key = self.batch.key(row).map(<[u8]>::to_vec);
        let place = format!("{}/{}/{}", self.plan.topic(origin.topic).name, row.partition, row.offset);
        let value = match element {
            None => self.batch.payload(row).map(<[u8]>::to_vec),
            Some(element) => self.element(record, element),
        };
        let mut headers = vec![("quorate-origin", place.into_bytes())];
        if let Some(element) = element {
            headers.push(("quorate-element", element.to_string().into_bytes()));
        }
        headers.extend(common(reason, detail, 1, self.at));
        DeadLetter { origin: Some(origin), reason: Some(reason), key, value, headers }
    }

    fn element(&mut self, record: u32, element: u32) -> Option<Vec<u8>> {
        let payload = self.batch.payload(&self.batch.rows()[record as usize])?;
        if self.elements.as_ref().is_none_or(|(of, _)| *of != record) {
            let pointers = &self.plan.topic(self.batch.topic()).records;
            let place = |text: &str| {
                let start = text.as_ptr() as usize - payload.as_ptr() as usize;
                start..start + text.len()
            };
            self.elements = Some((record, elements_json(pointers, payload).into_iter().map(place).collect()));
        }
        let range = self.elements.as_ref()?.1.get(element as usize)?.clone();
        payload.get(range).map(<[u8]>::to_vec)
    }
}

fn common(reason: Reason, detail: &str, attempts: u32, at: Millis) -> [(&'static str, Vec<u8>); 4] {
    [
        ("quorate-reason", reason.as_str().as_bytes().to_vec()),
        ("quorate-detail", Failure::kept(detail).as_bytes().to_vec()),
        ("quorate-at", at.0.to_string().into_bytes()),
        ("quorate-attempts", attempts.to_string().into_bytes()),
    ]
}
