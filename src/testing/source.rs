//! [`MemorySource`]: where the records of a test come from. Gives each its place, as a broker would; knows no plan.

use std::collections::HashMap;
use std::fmt::Display;

use quorate_core::ident::{Millis, NextOffset, Offset, Partition};
use quorate_core::replay::RecordedRecord;
use thiserror::Error;

use super::clock::Moment;

/// A record as a test describes it: to partition 0, without a key, a tombstone until it has a payload, and as old as the
/// clock unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    topic: String,
    partition: Partition,
    at: Option<Millis>,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
}

impl Record {
    /// A null payload for `topic`.
    #[must_use]
    pub fn new(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), partition: 0, at: None, key: None, payload: None }
    }

    /// The partition it is sent to.
    #[must_use]
    pub fn partition(mut self, partition: Partition) -> Self {
        self.partition = partition;
        self
    }

    /// Its timestamp. Earlier than the clock: a late record; later: the clock follows.
    #[must_use]
    #[track_caller]
    pub fn at(mut self, moment: impl Moment) -> Self {
        self.at = Some(moment.millis());
        self
    }

    /// Its key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// A payload that prints as JSON: `json!(…)`, or text.
    #[must_use]
    pub fn json(self, json: impl Display) -> Self {
        self.bytes(json.to_string())
    }

    /// A payload of any bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.payload = Some(bytes.into());
        self
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }
}

/// Why a recording cannot be read.
#[derive(Debug, Error)]
#[error("line {line} is no recorded record: {source}")]
pub struct RecordingError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub source: serde_json::Error,
}

/// Partitions that begin at offset 0 and have no gaps.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    ends: HashMap<(String, Partition), NextOffset>,
}

impl MemorySource {
    /// Puts a record at the end of its partition; `now` is its timestamp unless it has one.
    pub fn append(&mut self, record: Record, now: Millis) -> RecordedRecord {
        let Record { topic, partition, at, key, payload } = record;
        let offset = self.end(&topic, partition).0;
        self.reaches(&topic, partition, Offset(offset));
        RecordedRecord { topic, partition, offset, ts: at.unwrap_or(now).0, key, payload, ..Default::default() }
    }

    /// Reads a recording, one JSON object a line as `quorate record` and `kcat -C -J` print them. Its records keep their
    /// places; what is appended afterwards follows them.
    ///
    /// # Errors
    /// The first line that is no record. Nothing has been taken in then.
    pub fn read(&mut self, recording: impl AsRef<[u8]>) -> Result<Vec<RecordedRecord>, RecordingError> {
        let lines = (1..).zip(recording.as_ref().split(|byte| *byte == b'\n'));
        let lines = lines.filter(|(_, text)| !text.trim_ascii().is_empty());
        let records = lines.map(|(line, text)| {
            serde_json::from_slice::<RecordedRecord>(text).map_err(|source| RecordingError { line, source })
        });
        let records: Vec<_> = records.collect::<Result<_, _>>()?;
        records.iter().for_each(|record| self.reaches(&record.topic, record.partition, Offset(record.offset)));
        Ok(records)
    }

    /// Where the next record of a partition goes.
    #[must_use]
    pub fn end(&self, topic: &str, partition: Partition) -> NextOffset {
        self.ends.get(&(topic.to_owned(), partition)).copied().unwrap_or(NextOffset(0))
    }

    fn reaches(&mut self, topic: &str, partition: Partition, offset: Offset) {
        let end = self.end(topic, partition).max(offset.next());
        self.ends.insert((topic.to_owned(), partition), end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_counts_for_itself() {
        let mut source = MemorySource::default();
        let mut place = |topic: &str, partition| {
            let record = source.append(Record::new(topic).partition(partition), Millis(7));
            (record.offset, record.ts)
        };
        assert_eq!([place("A", 0), place("A", 0), place("A", 1), place("B", 0)], [(0, 7), (1, 7), (0, 7), (0, 7)]);
    }

    #[test]
    fn what_is_appended_follows_a_recording() {
        let mut source = MemorySource::default();
        let recording = "{\"topic\":\"A\",\"partition\":2,\"offset\":40,\"ts\":5,\"payload\":\"1\"}\n\n\
                         {\"topic\":\"A\",\"partition\":2,\"offset\":39,\"ts\":4,\"payload\":null}\n";
        assert_eq!(source.read(recording).expect("a recording").len(), 2);
        assert_eq!(source.end("A", 2), NextOffset(41));
        assert_eq!(source.append(Record::new("A").partition(2), Millis(9)).offset, 41);
    }

    #[test]
    fn a_line_that_is_no_record_is_named_and_nothing_is_taken_in() {
        let mut source = MemorySource::default();
        let error =
            source.read("{\"topic\":\"A\",\"partition\":0,\"offset\":1,\"ts\":1}\n{}").expect_err("not a record");
        assert!(error.to_string().starts_with("line 2 is no recorded record: missing field"), "{error}");
        assert_eq!(source.end("A", 0), NextOffset(0));
    }

    #[test]
    fn a_record_has_the_bytes_that_it_was_given() {
        let record = Record::new("A").key("k").bytes([0xff, 0x00]).at("1970-01-01T00:00:01Z");
        let record = MemorySource::default().append(record, Millis(9));
        assert_eq!((record.ts, record.key.as_deref()), (1000, Some(b"k".as_slice())));
        assert_eq!(record.payload.as_deref(), Some([0xff, 0x00].as_slice()));
        assert_eq!(MemorySource::default().append(Record::new("A"), Millis(9)).payload, None, "a tombstone");
    }
}
