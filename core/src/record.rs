//! [`RecordBatch`]: raw records of one topic as they leave a consumer, copied once into one buffer.

use std::ops::Range;
use std::str::Utf8Error;

use crate::ident::{Epoch, Millis, NextOffset, Offset, Partition, TopicId};

/// Records of one topic, in the order in which they were polled: a buffer for payloads, one for keys, and a row per
/// record, so that nothing is allocated per record and the client's own fetch buffers are free at once.
#[derive(Debug)]
pub struct RecordBatch {
    topic: TopicId,
    payloads: Buffer,
    keys: Vec<u8>,
    rows: Vec<RecordRow>,
    positions: Vec<PartitionPosition>,
}

/// Payloads end to end: text once all of it is known to be UTF-8, so that pieces of it need not be checked again.
#[derive(Debug)]
enum Buffer {
    Bytes(Vec<u8>),
    Text(String),
}

/// The columns of one record. Ranges index the batch's buffers.
#[derive(Clone, Debug)]
pub struct RecordRow {
    /// The partition it came from.
    pub partition: Partition,
    /// Its place there.
    pub offset: Offset,
    /// Its Kafka timestamp.
    pub timestamp: Millis,
    /// The assignment under which it was read.
    pub epoch: Epoch,
    key: Option<Range<u32>>,
    payload: Option<Range<u32>>,
}

/// Where a consumer stands in one partition: when everything before it is settled, this is what is committed.
/// Unlike the last record's offset it moves past transaction markers and compacted gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionPosition {
    /// The partition.
    pub partition: Partition,
    /// The assignment the position belongs to.
    pub epoch: Epoch,
    /// The next offset the consumer will be given.
    pub position: NextOffset,
    /// The last stable offset of the partition, when known: at or past it the partition is read to its end.
    pub end: Option<NextOffset>,
}

/// A record does not fit into what is left of the batch's 2 GiB of address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchFull;

impl RecordBatch {
    /// The most bytes one batch can hold, keys and payloads each.
    pub const MAX_BYTES: usize = i32::MAX as usize;

    /// An empty batch of `topic`.
    #[must_use]
    pub fn new(topic: TopicId) -> Self {
        Self::with_capacity(topic, 0, 0)
    }

    /// The same with room for so many records, whose payloads have so many bytes together.
    #[must_use]
    pub fn with_capacity(topic: TopicId, records: usize, bytes: usize) -> Self {
        let payloads = Buffer::Bytes(Vec::with_capacity(bytes));
        Self { topic, payloads, keys: Vec::new(), rows: Vec::with_capacity(records), positions: Vec::new() }
    }

    /// Copies one record into the batch.
    ///
    /// # Errors
    /// [`BatchFull`] when a buffer would grow past [`Self::MAX_BYTES`]; the batch is unchanged.
    pub fn push(
        &mut self,
        (partition, offset, epoch): (Partition, Offset, Epoch),
        timestamp: Millis,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) -> Result<(), BatchFull> {
        let payloads = self.payloads.bytes_mut();
        let fits = |held: usize, more: Option<&[u8]>| held + more.map_or(0, <[u8]>::len) <= Self::MAX_BYTES;
        if !fits(self.keys.len(), key) || !fits(payloads.len(), payload) {
            return Err(BatchFull);
        }
        let key = key.map(|bytes| append(&mut self.keys, bytes));
        let payload = payload.map(|bytes| append(payloads, bytes));
        self.rows.push(RecordRow { partition, offset, timestamp, epoch, key, payload });
        Ok(())
    }

    /// States where the consumer stands after these records. One entry per partition that has any here.
    pub fn set_positions(&mut self, positions: Vec<PartitionPosition>) {
        self.positions = positions;
    }

    /// Checks once whether all payloads are UTF-8, which makes [`Self::text`] cheap.
    pub fn check_text(&mut self) {
        if let Buffer::Bytes(bytes) = &mut self.payloads {
            self.payloads = match String::from_utf8(std::mem::take(bytes)) {
                Ok(text) => Buffer::Text(text),
                Err(error) => Buffer::Bytes(error.into_bytes()),
            };
        }
    }

    /// The topic all records belong to.
    #[must_use]
    pub fn topic(&self) -> TopicId {
        self.topic
    }

    /// The records, in the order polled.
    #[must_use]
    pub fn rows(&self) -> &[RecordRow] {
        &self.rows
    }

    /// Where the consumer stood after these records.
    #[must_use]
    pub fn positions(&self) -> &[PartitionPosition] {
        &self.positions
    }

    /// The key of a row of this batch.
    #[must_use]
    pub fn key(&self, row: &RecordRow) -> Option<&[u8]> {
        row.key.as_ref().map(|range| &self.keys[usizes(range)])
    }

    /// The payload of a row of this batch; none is a tombstone.
    #[must_use]
    pub fn payload(&self, row: &RecordRow) -> Option<&[u8]> {
        row.payload.as_ref().map(|range| &self.bytes()[usizes(range)])
    }

    /// Where a row's payload stands in [`Self::bytes`].
    #[must_use]
    pub fn payload_range(&self, row: &RecordRow) -> Option<Range<usize>> {
        row.payload.as_ref().map(usizes)
    }

    /// All payloads, end to end; ranges of decoded readings index this.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.payloads {
            Buffer::Bytes(bytes) => bytes,
            Buffer::Text(text) => text.as_bytes(),
        }
    }

    /// A piece of [`Self::bytes`] as text.
    ///
    /// # Errors
    /// It is not UTF-8, even where what stands around it makes it so.
    #[inline]
    pub fn text(&self, range: Range<usize>) -> Result<&str, Utf8Error> {
        if let Buffer::Text(text) = &self.payloads
            && let Some(text) = text.get(range.clone())
        {
            return Ok(text);
        }
        std::str::from_utf8(&self.bytes()[range])
    }

    /// How many records it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What the batch costs while it waits: its buffers and its rows.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        self.bytes().len() + self.keys.len() + self.rows.len() * std::mem::size_of::<RecordRow>()
    }
}

impl Buffer {
    /// The buffer to append to; what is appended is unchecked.
    #[inline]
    fn bytes_mut(&mut self) -> &mut Vec<u8> {
        if let Self::Text(text) = self {
            *self = Self::Bytes(std::mem::take(text).into_bytes());
        }
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Text(_) => unreachable!("made bytes above"),
        }
    }
}

fn append(buffer: &mut Vec<u8>, bytes: &[u8]) -> Range<u32> {
    let start = buffer.len();
    buffer.extend_from_slice(bytes);
    narrow(start)..narrow(buffer.len())
}

fn usizes(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// `push` keeps every index below [`RecordBatch::MAX_BYTES`].
fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(payloads: &[&[u8]]) -> RecordBatch {
        let mut batch = RecordBatch::new(TopicId(0));
        for (offset, payload) in (0..).zip(payloads) {
            let at = (0, Offset(offset), Epoch(0));
            batch.push(at, Millis(0), Some(b"\xff"), Some(payload)).expect("a small batch");
        }
        batch
    }

    fn texts(batch: &RecordBatch) -> Vec<Option<&str>> {
        let ranges = batch.rows().iter().filter_map(|row| batch.payload_range(row));
        ranges.map(|range| batch.text(range).ok()).collect()
    }

    #[test]
    fn a_payload_is_text_only_by_itself_whether_it_was_checked_before_or_not() {
        for payloads in [&[&b"abc"[..], b"\xc3", b"\xa9", b"", "é".as_bytes()][..], &[b"abc", b"\xff", b"d"]] {
            let mut batch = batch(payloads);
            let alone: Vec<_> = payloads.iter().map(|payload| std::str::from_utf8(payload).ok()).collect();
            assert_eq!(texts(&batch), alone);
            batch.check_text();
            assert_eq!(texts(&batch), alone);
        }
    }

    #[test]
    fn a_checked_batch_takes_more_records_and_keeps_its_keys_apart() {
        let mut batch = batch(&[b"abc"]);
        batch.check_text();
        batch.push((0, Offset(1), Epoch(0)), Millis(0), None, Some(b"\xfe")).expect("a small batch");
        assert_eq!(texts(&batch), [Some("abc"), None]);
        let keys: Vec<_> = batch.rows().iter().map(|row| batch.key(row)).collect();
        assert_eq!(keys, [Some(&b"\xff"[..]), None]);
        batch.check_text();
        assert_eq!(batch.bytes(), b"abc\xfe");
    }
}
