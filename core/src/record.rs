//! [`RecordBatch`]: raw records of one topic as they leave a consumer, copied once into one buffer.

use std::ops::Range;

use crate::ident::{Epoch, Millis, NextOffset, Offset, Partition, TopicId};

/// Records of one topic, in the order in which they were polled: one byte buffer plus a row per record, so that
/// nothing is allocated per record and the client's own fetch buffers are free at once.
#[derive(Debug)]
pub struct RecordBatch {
    topic: TopicId,
    bytes: Vec<u8>,
    rows: Vec<RecordRow>,
    positions: Vec<PartitionPosition>,
}

/// The columns of one record. Ranges index the batch's buffer.
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
    /// The most bytes one batch can hold.
    pub const MAX_BYTES: usize = i32::MAX as usize;

    /// An empty batch of `topic`.
    #[must_use]
    pub fn new(topic: TopicId) -> Self {
        Self { topic, bytes: Vec::new(), rows: Vec::new(), positions: Vec::new() }
    }

    /// Copies one record into the batch.
    ///
    /// # Errors
    /// [`BatchFull`] when the buffer would grow past [`Self::MAX_BYTES`]; the batch is unchanged.
    pub fn push(
        &mut self,
        (partition, offset, epoch): (Partition, Offset, Epoch),
        timestamp: Millis,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) -> Result<(), BatchFull> {
        let wanted = key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len);
        if self.bytes.len() + wanted > Self::MAX_BYTES {
            return Err(BatchFull);
        }
        let key = key.map(|bytes| self.append(bytes));
        let payload = payload.map(|bytes| self.append(bytes));
        self.rows.push(RecordRow { partition, offset, timestamp, epoch, key, payload });
        Ok(())
    }

    /// States where the consumer stands after these records. One entry per partition that has any here.
    pub fn set_positions(&mut self, positions: Vec<PartitionPosition>) {
        self.positions = positions;
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
        row.key.as_ref().map(|range| self.slice(range))
    }

    /// The payload of a row of this batch; none is a tombstone.
    #[must_use]
    pub fn payload(&self, row: &RecordRow) -> Option<&[u8]> {
        row.payload.as_ref().map(|range| self.slice(range))
    }

    /// The whole buffer, which ranges of decoded readings index.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where a row's payload stands in [`Self::bytes`].
    #[must_use]
    pub fn payload_range(&self, row: &RecordRow) -> Option<Range<u32>> {
        row.payload.clone()
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

    /// What the batch costs while it waits: its buffer and its rows.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        self.bytes.len() + self.rows.len() * std::mem::size_of::<RecordRow>()
    }

    fn append(&mut self, bytes: &[u8]) -> Range<u32> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        narrow(start)..narrow(self.bytes.len())
    }

    fn slice(&self, range: &Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }
}

/// `push` keeps every index below [`RecordBatch::MAX_BYTES`].
fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
