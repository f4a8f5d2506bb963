//! The partitions one consumer holds: granted by the group, then read under an epoch, with positions and commit marks.
//! Pure bookkeeping; it calls no client, and it outlives one: a replaced client finds here where the last one stood.

mod marks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use quorate_core::ident::{Epoch, NextOffset, Partition};
use quorate_core::record::{PartitionPosition, RecordBatch};

use super::intake::Slot;
use super::ownership::{Held, Ownership};
use super::stall::{Sight, StallWatch};
use super::start::Life;
use crate::pipeline::ports::{AssignedPartition, LaneItem};

/// A position of one partition of this consumer.
pub(super) type Placed = (Slot, Partition, NextOffset);

/// One partition that is being read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The assignment.
    pub epoch: Epoch,
    /// The next offset the consumer will be given.
    pub position: NextOffset,
    /// The last stable offset, when known.
    pub end: Option<NextOffset>,
    /// What the group is known to have.
    pub confirmed: Option<NextOffset>,
    /// What the client showed as position right after it was assigned: left over from an earlier assignment, and
    /// worth nothing until it changes.
    leftover: Option<NextOffset>,
    /// Where it began.
    start: NextOffset,
    told: (NextOffset, Option<NextOffset>),
    stall: StallWatch,
    wanted: Option<NextOffset>,
    sent: Option<NextOffset>,
    set_aside: Option<Instant>,
}

impl Reading {
    /// Whether anything was fetched in this assignment.
    fn has_moved(&self) -> bool {
        self.position > self.start
    }
}

/// All partitions of one consumer.
#[derive(Debug)]
pub(super) struct Table {
    topics: Vec<TopicTable>,
    events: Vec<(Slot, LaneItem)>,
    in_flight: Option<Instant>,
    not_before: Option<Instant>,
    refreshed: Instant,
    paused: bool,
}

#[derive(Debug)]
struct TopicTable {
    granted: BTreeSet<Partition>,
    reading: BTreeMap<Partition, Reading>,
    carried: BTreeMap<Partition, NextOffset>,
    lives: BTreeMap<Partition, Life>,
    first_count: Option<usize>,
    compacted: Option<bool>,
    ownership: Ownership,
}

impl TopicTable {
    fn new(now: Instant) -> Self {
        Self {
            granted: BTreeSet::new(),
            reading: BTreeMap::new(),
            carried: BTreeMap::new(),
            lives: BTreeMap::new(),
            first_count: None,
            compacted: None,
            ownership: Ownership::new(now),
        }
    }
}

impl Table {
    /// An empty table for so many topics.
    pub(super) fn new(slots: usize, now: Instant) -> Self {
        let topics = (0..slots).map(|_| TopicTable::new(now)).collect();
        Self { topics, events: Vec::new(), in_flight: None, not_before: None, refreshed: now, paused: false }
    }

    /// The group granted a partition; where it begins is still to be looked up.
    pub(super) fn grant(&mut self, slot: Slot, partition: Partition) {
        self.topics[slot].granted.insert(partition);
    }

    /// Granted partitions of one topic that are not read yet.
    pub(super) fn granted(&self, slot: Slot) -> Vec<Partition> {
        self.topics[slot].granted.iter().copied().collect()
    }

    /// Whether a topic has any partition, read or granted.
    pub(super) fn holds(&self, slot: Slot) -> bool {
        !self.topics[slot].granted.is_empty() || !self.topics[slot].reading.is_empty()
    }

    /// Where this process stood when it last read the partition.
    pub(super) fn carried(&self, slot: Slot, partition: Partition) -> Option<NextOffset> {
        self.topics[slot].carried.get(&partition).copied()
    }

    /// The life of the topic in which this process last read the partition.
    pub(super) fn life(&self, slot: Slot, partition: Partition) -> Option<Life> {
        self.topics[slot].lives.get(&partition).copied()
    }

    /// Partitions that are read in a life of their topic which this id says is over.
    pub(super) fn outlived(&self, slot: Slot, topic_id: Option<u128>) -> Vec<Partition> {
        let TopicTable { reading, lives, .. } = &self.topics[slot];
        let is_over = |partition: &Partition| lives.get(partition).is_some_and(|life| life.is_over(topic_id));
        reading.keys().copied().filter(is_over).collect()
    }

    /// Whether the topic's log is compacted, as far as it is known.
    pub(super) fn compacted(&self, slot: Slot) -> Option<bool> {
        self.topics[slot].compacted
    }

    /// The cluster has said whether the topic's log is compacted.
    pub(super) fn set_compacted(&mut self, slot: Slot, compacted: bool) {
        self.topics[slot].compacted = Some(compacted);
    }

    /// Whose the topic is, and what we hold of its `count` partitions.
    pub(super) fn ownership(&mut self, slot: Slot, count: Option<usize>) -> (Held, &mut Ownership) {
        let TopicTable { granted, reading, ownership, .. } = &mut self.topics[slot];
        let granted = granted.len() + reading.len();
        (Held { reading: reading.len(), granted, of: count, is_refused: false }, ownership)
    }

    /// All partitions of one topic that the group has given us.
    pub(super) fn ours(&self, slot: Slot) -> Vec<Partition> {
        let TopicTable { granted, reading, .. } = &self.topics[slot];
        granted.iter().chain(reading.keys()).copied().collect()
    }

    /// The group has been rebalanced, and counts us among its members.
    pub(super) fn rebalanced(&mut self, now: Instant) {
        for topic in &mut self.topics {
            topic.ownership.rebalanced(now);
            topic.reading.values_mut().for_each(|reading| reading.set_aside = None);
        }
    }

    /// Whether the partition did not exist when the topic was first seen, given how many there are.
    pub(super) fn is_added_later(&mut self, slot: Slot, partition: Partition, count: usize) -> bool {
        let first = *self.topics[slot].first_count.get_or_insert(count);
        usize::try_from(partition).is_ok_and(|partition| partition >= first)
    }

    /// Reading begins. `leftover` is what the client shows as position before anything was polled.
    pub(super) fn begin(
        &mut self,
        slot: Slot,
        assigned: AssignedPartition,
        committed: Option<NextOffset>,
        leftover: Option<NextOffset>,
    ) {
        let topic = &mut self.topics[slot];
        let AssignedPartition { incarnation, topic_id, .. } = assigned;
        topic.granted.remove(&assigned.partition);
        let life = Life { incarnation, topic_id };
        if topic.lives.insert(assigned.partition, life).is_some_and(|before| before != life) {
            // Another topic of the same name may be configured in another way.
            topic.compacted = None;
        }
        topic.reading.insert(
            assigned.partition,
            Reading {
                epoch: assigned.epoch,
                position: assigned.start,
                end: Some(assigned.end),
                confirmed: committed,
                leftover: leftover.filter(|position| *position != assigned.start),
                start: assigned.start,
                told: (assigned.start, Some(assigned.end)),
                stall: StallWatch::default(),
                wanted: None,
                sent: None,
                set_aside: None,
            },
        );
    }

    /// Restarted at its own position: the same assignment goes on.
    pub(super) fn restarted(&mut self, slot: Slot, partition: Partition, leftover: Option<NextOffset>) {
        if let Some(reading) = self.topics[slot].reading.get_mut(&partition) {
            reading.leftover = leftover.filter(|position| *position != reading.position);
        }
    }

    /// Reading ends: the place is kept for the next time, the lane will be told. True when it had begun.
    pub(super) fn end(&mut self, slot: Slot, partition: Partition) -> bool {
        let topic = &mut self.topics[slot];
        topic.granted.remove(&partition);
        let Some(reading) = topic.reading.remove(&partition) else { return false };
        topic.carried.insert(partition, reading.position);
        match self.events.last_mut() {
            Some((last, LaneItem::Revoked(partitions))) if *last == slot => partitions.push((partition, reading.epoch)),
            _ => self.events.push((slot, LaneItem::Revoked(vec![(partition, reading.epoch)]))),
        }
        true
    }

    /// The lane will be told whether a part of its topic is missing, if that has changed.
    pub(super) fn tell_part(&mut self, slot: Slot, part: Option<bool>) {
        self.events.extend(part.map(|is_missing| (slot, LaneItem::Split(is_missing))));
    }

    /// Everything ends, because the client is gone.
    pub(super) fn end_all(&mut self) {
        for slot in 0..self.topics.len() {
            let held: Vec<Partition> = self.topics[slot].reading.keys().copied().collect();
            for partition in held {
                self.end(slot, partition);
            }
            self.topics[slot].granted.clear();
        }
        self.in_flight = None;
        self.paused = false;
    }

    /// Whether anything happened inside callbacks that has to be told to lanes.
    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// What happened inside callbacks and has to be told to lanes, after the records polled before it.
    pub(super) fn take_events(&mut self) -> Vec<(Slot, LaneItem)> {
        std::mem::take(&mut self.events)
    }

    /// The epoch a partition is read under.
    pub(super) fn epoch(&self, slot: Slot, partition: Partition) -> Option<Epoch> {
        self.topics[slot].reading.get(&partition).map(|reading| reading.epoch)
    }

    /// Partitions are paused, or read again: while they are paused none of them is stalled.
    pub(super) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Takes note of statistics. What they show of a partition that is read, and who watches it.
    pub(super) fn observe(
        &mut self,
        slot: Slot,
        partition: Partition,
        (end, queued_bytes): (Option<NextOffset>, u64),
        is_failing: bool,
    ) -> Option<(Sight, &mut StallWatch)> {
        let excused = self.paused || is_failing;
        let reading = self.get_mut(slot, partition)?;
        // Statistics may be older than what was seen at assignment, and even of a log that was another one.
        reading.end = if reading.has_moved() { end.or(reading.end) } else { reading.end.max(end) };
        let sight = Sight { position: reading.position, end: reading.end, queued_bytes, excused };
        Some((sight, &mut reading.stall))
    }

    /// All partitions being read.
    pub(super) fn reading(&self) -> impl Iterator<Item = (Slot, Partition, &Reading)> {
        self.topics
            .iter()
            .enumerate()
            .flat_map(|(slot, topic)| topic.reading.iter().map(move |(partition, reading)| (slot, *partition, reading)))
    }

    /// One partition being read.
    pub(super) fn get_mut(&mut self, slot: Slot, partition: Partition) -> Option<&mut Reading> {
        self.topics[slot].reading.get_mut(&partition)
    }
}

/// Positions.
impl Table {
    /// The positions that stand behind a batch: past its records, and as far as the client has passed beyond them.
    pub(super) fn after_batch(
        &mut self,
        slot: Slot,
        batch: &RecordBatch,
        shown: Option<&[Placed]>,
    ) -> Vec<PartitionPosition> {
        let mut last: Vec<PartitionPosition> = Vec::new();
        for row in batch.rows() {
            let position = row.offset.next();
            match last.iter_mut().rev().find(|told| told.partition == row.partition) {
                Some(told) => told.position = position,
                None => {
                    last.push(PartitionPosition { partition: row.partition, epoch: row.epoch, position, end: None });
                }
            }
        }
        let topic = &mut self.topics[slot];
        for told in &mut last {
            match topic.reading.get_mut(&told.partition) {
                Some(reading) if reading.epoch == told.epoch => {
                    // A record came, so whatever the client shows belongs to this assignment.
                    reading.leftover = None;
                    told.position = told.position.max(shown_at(shown, slot, told.partition).unwrap_or(told.position));
                    told.end = reading.end;
                    reading.position = told.position;
                    reading.told = (told.position, told.end);
                }
                // Taken away while these records were being polled.
                _ => {
                    topic.carried.insert(told.partition, told.position);
                }
            }
        }
        last
    }

    /// Positions of one topic that moved although no record of theirs came: markers, compaction, another end.
    pub(super) fn moved(&mut self, slot: Slot, shown: &[Placed]) -> Vec<PartitionPosition> {
        let mut moved = Vec::new();
        for (partition, reading) in &mut self.topics[slot].reading {
            let shown = shown_at(Some(shown), slot, *partition).filter(|position| Some(*position) != reading.leftover);
            if let Some(position) = shown {
                reading.leftover = None;
                reading.position = reading.position.max(position);
            }
            if reading.told != (reading.position, reading.end) {
                reading.told = (reading.position, reading.end);
                moved.push(PartitionPosition {
                    partition: *partition,
                    epoch: reading.epoch,
                    position: reading.position,
                    end: reading.end,
                });
            }
        }
        moved
    }
}

fn shown_at(shown: Option<&[Placed]>, slot: Slot, partition: Partition) -> Option<NextOffset> {
    shown?.iter().find(|(at, of, _)| (*at, *of) == (slot, partition)).map(|(_, _, position)| *position)
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::{Millis, Offset, TopicId};

    use super::*;

    fn table(now: Instant) -> Table {
        let mut table = Table::new(1, now);
        table.grant(0, 0);
        table.begin(0, assigned(1, 5), Some(NextOffset(5)), None);
        table
    }

    fn assigned(epoch: u64, start: i64) -> AssignedPartition {
        AssignedPartition::fresh(0, Epoch(epoch), NextOffset(start), NextOffset(50))
    }

    fn batch(epoch: u64, offsets: std::ops::Range<i64>) -> RecordBatch {
        let mut batch = RecordBatch::new(TopicId(0));
        for offset in offsets {
            batch.push((0, Offset(offset), Epoch(epoch)), Millis(0), None, None).expect("room");
        }
        batch
    }

    #[test]
    fn a_position_left_over_from_an_earlier_assignment_is_not_believed() {
        let mut table = Table::new(1, Instant::now());
        table.begin(0, assigned(3, 5), None, Some(NextOffset(40)));
        assert!(table.moved(0, &[(0, 0, NextOffset(40))]).is_empty());
        let told = table.after_batch(0, &batch(3, 5..7), Some(&[(0, 0, NextOffset(8))]));
        assert_eq!(told[0].position, NextOffset(8), "a marker follows the last record");
        assert_eq!(table.moved(0, &[(0, 0, NextOffset(40))])[0].position, NextOffset(40));
    }

    #[test]
    fn what_was_polled_before_a_revoke_counts_as_read_when_the_partition_comes_back() {
        let mut table = table(Instant::now());
        let polled = batch(1, 5..9);
        assert!(table.end(0, 0));
        let told = table.after_batch(0, &polled, Some(&[]));
        assert_eq!((told[0].epoch, told[0].position), (Epoch(1), NextOffset(9)));
        assert_eq!(table.carried(0, 0), Some(NextOffset(9)));
        assert!(matches!(table.take_events().as_slice(), [(0, LaneItem::Revoked(gone))] if gone == &[(0, Epoch(1))]));
    }

    #[test]
    fn an_id_ends_the_partitions_that_are_read_under_another_one() {
        let now = Instant::now();
        let mut table = Table::new(1, now);
        for (partition, topic_id) in [(0, Some(7)), (1, Some(8)), (2, None)] {
            table.begin(0, AssignedPartition { partition, topic_id, ..assigned(1, 5) }, None, None);
        }
        assert_eq!(table.outlived(0, Some(8)), [0]);
        assert!(table.outlived(0, None).is_empty());
        assert_eq!(table.life(0, 1), Some(Life { incarnation: 0, topic_id: Some(8) }));
    }

    #[test]
    fn partitions_beyond_the_first_count_were_added_later() {
        let mut table = Table::new(1, Instant::now());
        assert!(!table.is_added_later(0, 2, 3));
        assert!(table.is_added_later(0, 3, 4));
        assert!(!table.is_added_later(0, 0, 4));
    }
}
