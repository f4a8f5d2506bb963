//! The partitions one consumer holds: granted by the group, then read under an epoch, with positions and commit marks.
//! Pure bookkeeping; it calls no client, and it outlives one: a replaced client finds here where the last one stood.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use quorate_core::ident::{Epoch, NextOffset, Partition};
use quorate_core::record::{PartitionPosition, RecordBatch};

use super::intake::Slot;
use super::start::Life;
use crate::pipeline::ports::{AssignedPartition, Commit, LaneItem};

/// A commit whose result never came is given up after this; the client bounds its own requests below it.
const COMMIT_PATIENCE: Duration = Duration::from_secs(60);
/// After a failed commit the next one waits this long.
const COMMIT_RETRY: Duration = Duration::from_secs(1);
/// Unchanged positions are committed again twice a day, because brokers forget offsets per partition.
const COMMIT_REFRESH: Duration = Duration::from_secs(12 * 3600);

/// A partition whose end moves while nothing of it arrives is stalled after this.
const STALL: Duration = Duration::from_secs(60);

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
    told: (NextOffset, Option<NextOffset>),
    still: Option<Still>,
    wanted: Option<NextOffset>,
    sent: Option<NextOffset>,
}

/// Since when a partition has had records to read and none arrived, and where it stood then.
#[derive(Clone, Copy, Debug)]
struct Still {
    since: Instant,
    position: NextOffset,
    end: NextOffset,
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

#[derive(Debug, Default)]
struct TopicTable {
    granted: BTreeSet<Partition>,
    reading: BTreeMap<Partition, Reading>,
    carried: BTreeMap<Partition, NextOffset>,
    lives: BTreeMap<Partition, Life>,
    first_count: Option<usize>,
}

impl Table {
    /// An empty table for so many topics.
    pub(super) fn new(slots: usize, now: Instant) -> Self {
        let topics = (0..slots).map(|_| TopicTable::default()).collect();
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
        topic.lives.insert(assigned.partition, Life { incarnation, topic_id });
        topic.reading.insert(
            assigned.partition,
            Reading {
                epoch: assigned.epoch,
                position: assigned.start,
                end: Some(assigned.end),
                confirmed: committed,
                leftover: leftover.filter(|position| *position != assigned.start),
                told: (assigned.start, Some(assigned.end)),
                still: None,
                wanted: None,
                sent: None,
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

    /// Takes note of statistics; true when the partition is stalled: its end moved over a minute, there is something
    /// to read, nothing is prefetched, and nothing arrived.
    pub(super) fn observe(
        &mut self,
        slot: Slot,
        partition: Partition,
        (end, queued_bytes): (Option<NextOffset>, u64),
        now: Instant,
    ) -> bool {
        let paused = self.paused;
        let Some(reading) = self.get_mut(slot, partition) else { return false };
        // Statistics may be older than what was seen at assignment.
        reading.end = reading.end.max(end);
        let position = reading.position;
        let Some(end) = reading.end.filter(|end| *end > position && queued_bytes == 0 && !paused) else {
            reading.still = None;
            return false;
        };
        let still = reading.still.filter(|still| still.position == position);
        let still = *reading.still.insert(still.unwrap_or(Still { since: now, position, end }));
        end > still.end && now.saturating_duration_since(still.since) >= STALL
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

/// Commit marks: wanted by the pipeline, sent to the broker, confirmed by it.
impl Table {
    /// Notes what the pipeline has settled. False when it belongs to an assignment that is over.
    pub(super) fn want(&mut self, slot: Slot, commit: &Commit) -> bool {
        let Some(reading) = self.get_mut(slot, commit.partition) else { return false };
        if reading.epoch != commit.epoch {
            return false;
        }
        reading.wanted = reading.wanted.max(Some(commit.next));
        true
    }

    /// Positions to commit now: those that changed, or all twice a day. Nothing while a commit is under way.
    pub(super) fn due(&self, now: Instant) -> Vec<Placed> {
        let waits = |since: Instant| now.saturating_duration_since(since) < COMMIT_PATIENCE;
        if self.in_flight.is_some_and(waits) || self.not_before.is_some_and(|at| now < at) {
            return Vec::new();
        }
        let all = now.saturating_duration_since(self.refreshed) >= COMMIT_REFRESH;
        self.unconfirmed(all, |_, _| true)
    }

    /// Settled positions that the group does not have yet, of the partitions that are meant.
    pub(super) fn unconfirmed(&self, all: bool, meant: impl Fn(Slot, Partition) -> bool) -> Vec<Placed> {
        self.reading()
            .filter(|(slot, partition, _)| meant(*slot, *partition))
            .filter_map(|(slot, partition, reading)| {
                let next = reading.wanted.max(reading.confirmed)?;
                (all || Some(next) > reading.confirmed).then_some((slot, partition, next))
            })
            .collect()
    }

    /// A commit is under way.
    pub(super) fn sent(&mut self, positions: &[Placed], now: Instant) {
        self.in_flight = Some(now);
        self.refreshed =
            if self.unconfirmed(true, |_, _| true).len() == positions.len() { now } else { self.refreshed };
        for (slot, partition, next) in positions {
            if let Some(reading) = self.get_mut(*slot, *partition) {
                reading.sent = Some(*next);
            }
        }
    }

    /// One partition's result. Only what was sent under the present assignment counts.
    pub(super) fn confirm(&mut self, (slot, partition, next): Placed) {
        if let Some(reading) = self.get_mut(slot, partition)
            && reading.sent == Some(next)
        {
            reading.confirmed = Some(next);
        }
    }

    /// The commit under way has ended; after a failure the next one waits a moment.
    pub(super) fn answered(&mut self, failed: bool, now: Instant) {
        self.in_flight = None;
        self.not_before = failed.then(|| now + COMMIT_RETRY);
    }

    /// Whether the group has everything that was settled.
    pub(super) fn is_committed(&self) -> bool {
        self.unconfirmed(false, |_, _| true).is_empty()
    }
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

    fn commit(epoch: u64, next: i64) -> Commit {
        Commit { topic: TopicId(0), partition: 0, epoch: Epoch(epoch), next: NextOffset(next) }
    }

    fn batch(epoch: u64, offsets: std::ops::Range<i64>) -> RecordBatch {
        let mut batch = RecordBatch::new(TopicId(0));
        for offset in offsets {
            batch.push((0, Offset(offset), Epoch(epoch)), Millis(0), None, None).expect("room");
        }
        batch
    }

    #[test]
    fn commits_of_another_epoch_and_lower_ones_are_dropped() {
        let now = Instant::now();
        let mut table = table(now);
        assert!(!table.want(0, &commit(2, 9)));
        assert!(table.want(0, &commit(1, 5)));
        assert!(table.due(now).is_empty(), "the group has it already");
        assert!(table.want(0, &commit(1, 9)) && table.want(0, &commit(1, 7)));
        assert_eq!(table.due(now), [(0, 0, NextOffset(9))]);
    }

    #[test]
    fn one_commit_is_under_way_at_a_time_and_a_failed_one_is_made_good() {
        let now = Instant::now();
        let mut table = table(now);
        table.want(0, &commit(1, 9));
        table.sent(&table.due(now), now);
        table.want(0, &commit(1, 11));
        assert!(table.due(now).is_empty());
        table.answered(true, now);
        assert!(table.due(now).is_empty(), "waits a moment after a failure");
        let later = now + COMMIT_RETRY;
        assert_eq!(table.due(later), [(0, 0, NextOffset(11))]);
        table.sent(&table.due(later), later);
        table.confirm((0, 0, NextOffset(11)));
        table.answered(false, later);
        assert!(table.is_committed());
        assert_eq!(table.due(later + COMMIT_REFRESH), [(0, 0, NextOffset(11))], "unchanged positions twice a day");
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
    fn a_partition_whose_end_moves_while_nothing_arrives_is_stalled() {
        let now = Instant::now();
        let mut table = table(now);
        let mut observe = |end, queued, seconds| {
            table.observe(0, 0, (Some(NextOffset(end)), queued), now + Duration::from_secs(seconds))
        };
        assert!(!observe(60, 0, 0));
        assert!(!observe(60, 0, 61), "an end that stands still says that the broker does not answer either");
        assert!(!observe(70, 9, 62), "records are prefetched");
        assert!(!observe(70, 0, 63) && !observe(80, 0, 100));
        assert!(observe(80, 0, 124));
    }

    #[test]
    fn partitions_beyond_the_first_count_were_added_later() {
        let mut table = Table::new(1, Instant::now());
        assert!(!table.is_added_later(0, 2, 3));
        assert!(table.is_added_later(0, 3, 4));
        assert!(!table.is_added_later(0, 0, 4));
    }
}
