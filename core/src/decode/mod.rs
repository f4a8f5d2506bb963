//! Decoding: bytes of one topic in, [`Readings`] and dead records out. JSON is parsed once, and of each reading only
//! what the topic's plan asks for is looked at; everything else is checked and passed over.

mod capture;
mod element;
mod locate;
mod readings;
mod reason;
mod shown;
mod skip;
mod tree;
mod trie;

use std::sync::Arc;

use serde::de::DeserializeSeed;

pub use readings::{Body, DeadRecord, GridCell, GridCells, GridTotals, ReadingRow, Readings, Scalar, Scalars};
pub use reason::Reason;
pub use shown::elements_json;
pub(crate) use tree::tree;

use crate::ident::TopicId;
use crate::plan::{Limits, OnNull, Plan, RecordsPointer};
use crate::record::{RecordBatch, RecordRow};
use element::ElementDecoder;
use locate::{Locate, Walk};
use skip::Guard;

/// Decodes the records of one topic.
#[derive(Debug)]
pub struct Decoder {
    records: Vec<RecordsPointer>,
    on_null: OnNull,
    limits: Limits,
    element: ElementDecoder,
}

impl Decoder {
    /// The decoder that `plan` asks for `topic`.
    #[must_use]
    pub fn new(plan: &Plan, topic: TopicId) -> Self {
        let topic = plan.topic(topic);
        Self {
            records: topic.records.clone(),
            on_null: topic.on_null,
            limits: plan.limits,
            element: ElementDecoder::new(topic),
        }
    }

    /// Decodes a whole batch: readings and dead records stand in the order of the batch, elements in the order of
    /// their record.
    #[must_use]
    pub fn decode(&mut self, mut batch: Arc<RecordBatch>) -> Readings {
        // Where somebody else holds the batch, each text of it is checked by itself.
        if let Some(batch) = Arc::get_mut(&mut batch) {
            batch.check_text();
        }
        let mut readings = Readings::new(batch);
        let source = readings.source();
        for (index, row) in source.rows().iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            if let Err((reason, detail)) = self.decode_record(&source, index, row, &mut readings) {
                readings.push_dead(DeadRecord { record: index, element: None, reason, detail });
            }
        }
        readings
    }

    fn decode_record(
        &mut self,
        source: &RecordBatch,
        index: u32,
        row: &RecordRow,
        readings: &mut Readings,
    ) -> Result<(), (Reason, String)> {
        let Some(range) = source.payload_range(row) else {
            return match self.on_null {
                OnNull::Ignore => Ok(()),
                OnNull::DeadLetter => Err((Reason::WrongShape, "payload is null".to_owned())),
            };
        };
        if range.len() > self.limits.record_bytes {
            let detail = format!("{} bytes, limit {}", range.len(), self.limits.record_bytes);
            return Err((Reason::TooLarge, detail));
        }
        let text = source.text(range).map_err(|e| (Reason::NotUtf8, e.to_string()))?;
        let before = readings.mark();
        for pointer in &self.records {
            let guard = Guard::new(self.limits);
            let mut walk = Walk::new(&mut self.element, readings, index, row.timestamp, text, pointer.is_list());
            match walk_record(&mut walk, &guard, pointer, text) {
                Ok(true) => return Ok(()),
                Ok(false) => readings.rewind(before),
                Err(e) => {
                    readings.rewind(before);
                    return Err(guard.verdict().unwrap_or((Reason::NotJson, e.to_string())));
                }
            }
        }
        Err((Reason::WrongShape, "nothing stands where `records` points".to_owned()))
    }
}

/// Walks the whole text, also past what is asked for, so that its depth and syntax are known. True when the pointer
/// leads somewhere.
fn walk_record(
    walk: &mut Walk<'_>,
    guard: &Guard,
    pointer: &RecordsPointer,
    text: &str,
) -> Result<bool, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.disable_recursion_limit();
    let found = Locate::new(walk, guard, pointer.steps(), 0).deserialize(&mut json)?;
    json.end()?;
    Ok(found)
}
