//! How much was sent and not yet read, per partition, and hence where the next record may go. Pure. The mock cluster
//! drops what lies more than 5 MiB or 100,000 batches behind the end of a partition, read or not; staying far below
//! that is the feeder's part of losing nothing.

use std::collections::VecDeque;

use quorate_core::ident::{NextOffset, Partition};

/// Bytes of one partition that may be unread.
const UNREAD_BYTES: usize = 2 << 20;

/// Records of one partition that may be unread, since each may be a batch of its own.
const UNREAD_RECORDS: usize = 20_000;

/// What a record takes besides its payload, in the worst case: a batch header of its own.
const RECORD_BYTES: usize = 96;

/// One topic's partitions.
#[derive(Debug)]
pub(super) struct Backlog {
    partitions: Vec<Unread>,
    /// Where the last record went.
    last: usize,
}

/// What one partition was sent and has not given up to its reader.
#[derive(Debug, Default)]
struct Unread {
    next: i64,
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Backlog {
    pub(super) fn new(partitions: i32) -> Self {
        Self { partitions: (0..partitions).map(|_| Unread::default()).collect(), last: 0 }
    }

    /// The next partition in turn that has room for a record of so many bytes. A record larger than the limit goes to a
    /// partition where nothing is unread.
    pub(super) fn place(&mut self, bytes: usize) -> Option<Partition> {
        let count = self.partitions.len();
        let mut turn = (1..=count).map(|step| (self.last + step) % count);
        let place = turn.find(|&ix| self.partitions[ix].has_room(bytes + RECORD_BYTES))?;
        self.last = place;
        Partition::try_from(place).ok()
    }

    /// A record was sent. Records of a partition get consecutive offsets from 0 on: there is no other writer.
    pub(super) fn sent(&mut self, partition: Partition, bytes: usize) {
        let unread = &mut self.partitions[index(partition)];
        unread.next += 1;
        unread.bytes += bytes + RECORD_BYTES;
        unread.sizes.push_back(bytes + RECORD_BYTES);
    }

    /// Everything before `position` was read.
    pub(super) fn read(&mut self, partition: Partition, position: NextOffset) {
        let Some(unread) = self.partitions.get_mut(index(partition)) else { return };
        let left = usize::try_from(unread.next - position.0).unwrap_or(0);
        while unread.sizes.len() > left {
            unread.bytes -= unread.sizes.pop_front().unwrap_or(0);
        }
    }

    /// The position behind the last record sent, per partition.
    pub(super) fn ends(&self) -> Vec<NextOffset> {
        self.partitions.iter().map(|unread| NextOffset(unread.next)).collect()
    }
}

impl Unread {
    fn has_room(&self, bytes: usize) -> bool {
        self.sizes.is_empty() || (self.bytes + bytes <= UNREAD_BYTES && self.sizes.len() < UNREAD_RECORDS)
    }
}

/// No partition is negative; one that were would be none of ours.
fn index(partition: Partition) -> usize {
    usize::try_from(partition).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(backlog: &mut Backlog, bytes: usize) -> usize {
        let mut sent = 0;
        while let Some(partition) = backlog.place(bytes) {
            backlog.sent(partition, bytes);
            sent += 1;
        }
        sent
    }

    #[test]
    fn no_partition_ever_holds_more_than_its_limit_unread() {
        let mut backlog = Backlog::new(3);
        let sent = fill(&mut backlog, 40_000);
        assert_eq!(sent, 3 * (UNREAD_BYTES / 40_096));
        assert!(backlog.partitions.iter().all(|unread| unread.bytes <= UNREAD_BYTES));
    }

    #[test]
    fn small_records_are_limited_by_their_number() {
        assert_eq!(fill(&mut Backlog::new(1), 1), UNREAD_RECORDS);
        assert_eq!(fill(&mut Backlog::new(2), 0), 2 * UNREAD_RECORDS);
    }

    #[test]
    fn what_is_read_makes_room_where_it_was_read() {
        let mut backlog = Backlog::new(2);
        fill(&mut backlog, 1 << 20);
        assert_eq!(backlog.place(1 << 20), None);
        backlog.read(1, NextOffset(1));
        assert_eq!(backlog.place(1 << 20), Some(1));
        assert_eq!(backlog.ends(), [NextOffset(1), NextOffset(1)]);
        backlog.read(1, NextOffset(0));
        assert_eq!(backlog.place(1 << 20), Some(1), "an older position changes nothing");
    }

    #[test]
    fn a_record_above_the_limit_waits_for_an_empty_partition() {
        let mut backlog = Backlog::new(1);
        assert_eq!(backlog.place(3 << 20), Some(0));
        backlog.sent(0, 3 << 20);
        assert_eq!(backlog.place(1), None);
        backlog.read(0, NextOffset(1));
        assert_eq!(backlog.place(1), Some(0));
    }
}
