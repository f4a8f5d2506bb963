//! Where each partition stands: what of it is stale, what only loads state, how far it has been handed out, and what
//! may be committed. The commit rule in one sentence: the highest position before which everything is settled, never
//! below the position the assignment began with.

use std::collections::BTreeMap;

use crate::ident::{Epoch, Millis, NextOffset, Offset, Partition, TopicId};
use crate::provenance::Incarnation;
use crate::record::{PartitionPosition, RecordRow};
use crate::shard::Mode;

/// The partitions assigned to this process.
#[derive(Debug)]
pub struct Progress {
    topics: Vec<TopicProgress>,
}

#[derive(Debug, Default)]
struct TopicProgress {
    partitions: BTreeMap<Partition, PartitionProgress>,
    /// Partitions that were taken away, as they stood: what was handed out of them is part of the state for good.
    gone: BTreeMap<Partition, PartitionProgress>,
    assigned: bool,
}

#[derive(Debug)]
struct PartitionProgress {
    assignment: Assignment,
    position: NextOffset,
    end: NextOffset,
    newest: Option<Millis>,
}

/// A partition as it was assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The partition.
    pub partition: Partition,
    /// Counts assignments; differs from every earlier one of this partition.
    pub epoch: Epoch,
    /// Where reading begins: at `live_from`, or before it where state is loaded first.
    pub start: NextOffset,
    /// The committed position. Records before it only load state.
    pub live_from: NextOffset,
    /// The last stable offset seen when the partition was assigned.
    pub end: NextOffset,
    /// Modules wait until everything before this was handed out: what an earlier life may have known already.
    pub load_until: NextOffset,
    /// Which life of the topic.
    pub incarnation: Incarnation,
    /// The id that the broker gave the topic in this life; none when it does not say.
    pub topic_id: Option<u128>,
}

impl Assignment {
    /// A partition that is read from `live_from` on, with nothing to load and nothing to wait for.
    #[must_use]
    pub fn fresh(partition: Partition, epoch: Epoch, live_from: NextOffset, end: NextOffset) -> Self {
        let load_until = live_from.min(end);
        Self { partition, epoch, start: live_from, live_from, end, load_until, incarnation: 0, topic_id: None }
    }
}

/// One partition at the moment of a consistent cut: everything before `position` was handed to the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: Partition,
    /// The assignment.
    pub epoch: Epoch,
    /// The next offset that was not handed out.
    pub position: NextOffset,
    /// The next offset that this process never handed out, under whichever assignment in this life of the topic.
    pub reached: NextOffset,
    /// The position the assignment began with.
    pub live_from: NextOffset,
    /// Which life of the topic.
    pub incarnation: Incarnation,
    /// The topic's id in that life.
    pub topic_id: Option<u128>,
}

impl Cut {
    /// What may be committed, given the lowest offset of this partition whose effect is not settled.
    #[must_use]
    pub fn committable(&self, oldest_unsettled: Option<Offset>) -> Option<NextOffset> {
        let next = oldest_unsettled.map_or(self.position, |offset| self.position.min(NextOffset::at(offset)));
        (next >= self.live_from).then_some(next)
    }
}

/// How far a topic is read that modules wait for, in offsets over all its partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    /// Those that were passed.
    pub read: u64,
    /// Those still to come.
    pub left: u64,
}

impl Progress {
    /// Nothing assigned yet, of `topics` topics.
    #[must_use]
    pub fn new(topics: usize) -> Self {
        Self { topics: (0..topics).map(|_| TopicProgress::default()).collect() }
    }

    /// A partition was assigned.
    pub fn assigned(&mut self, topic: TopicId, assignment: Assignment) {
        let Assignment { partition, start, end, incarnation, .. } = assignment;
        self.leave(topic, partition);
        let state = &mut self.topics[topic.ix()];
        state.assigned = true;
        let mut progress = PartitionProgress { assignment, position: start, end, newest: None };
        if let Some(gone) = state.gone.get(&partition).filter(|gone| gone.assignment.incarnation == incarnation) {
            // Readings do not grow young again because some of them are read again.
            progress.newest = gone.newest;
            if gone.position < gone.assignment.load_until {
                let load_until = &mut progress.assignment.load_until;
                *load_until = gone.assignment.load_until.max(*load_until).min(end);
            }
        }
        state.partitions.insert(partition, progress);
    }

    /// The topic was assigned without a single partition: there is nothing to load.
    pub fn assigned_nothing(&mut self, topic: TopicId) {
        self.topics[topic.ix()].assigned = true;
    }

    /// A partition was taken away. An older assignment than the one at hand is passed over. What modules wait for and
    /// was not handed out yet is still to come: the topic is not loaded before its next assignment.
    pub fn revoked(&mut self, topic: TopicId, partition: Partition, epoch: Epoch) {
        let state = &mut self.topics[topic.ix()];
        let is_current = |progress: &&PartitionProgress| progress.assignment.epoch == epoch;
        if let Some(progress) = state.partitions.get(&partition).filter(is_current) {
            state.assigned &= progress.position >= progress.assignment.load_until;
            self.leave(topic, partition);
        }
    }

    fn leave(&mut self, topic: TopicId, partition: Partition) {
        let TopicProgress { partitions, gone, .. } = &mut self.topics[topic.ix()];
        if let Some(mut left) = partitions.remove(&partition) {
            left.position = left.position.max(left.reached(gone.get(&partition)));
            gone.insert(partition, left);
        }
    }

    /// Whether a record may invoke, only loads, or (none) was read under an assignment that is over.
    #[must_use]
    #[inline]
    pub fn mode(&self, topic: TopicId, row: &RecordRow) -> Option<Mode> {
        let progress = self.topics[topic.ix()].partitions.get(&row.partition)?;
        if progress.assignment.epoch != row.epoch {
            return None;
        }
        Some(if progress.assignment.live_from.covers(row.offset) { Mode::Load } else { Mode::Live })
    }

    /// Whether a record was handed out before, under an earlier assignment in the same life of the topic.
    #[must_use]
    pub fn is_again(&self, topic: TopicId, row: &RecordRow) -> bool {
        let TopicProgress { partitions, gone, .. } = &self.topics[topic.ix()];
        let progress = partitions.get(&row.partition).zip(gone.get(&row.partition));
        progress.is_some_and(|(progress, gone)| {
            progress.assignment.incarnation == gone.assignment.incarnation && gone.position.covers(row.offset)
        })
    }

    /// Everything before `at.position` has been handed out; `newest` is the highest record timestamp among it.
    pub fn moved(&mut self, topic: TopicId, at: PartitionPosition, newest: Option<Millis>) {
        let Some(progress) = self.topics[topic.ix()].partitions.get_mut(&at.partition) else { return };
        if progress.assignment.epoch != at.epoch {
            return;
        }
        progress.position = progress.position.max(at.position);
        progress.end = at.end.unwrap_or(progress.end);
        progress.newest = progress.newest.max(newest);
    }

    /// The life of the topic that the records of an assignment belong to; none when that is over.
    #[must_use]
    pub fn incarnation(&self, topic: TopicId, partition: Partition) -> Option<Incarnation> {
        Some(self.topics[topic.ix()].partitions.get(&partition)?.assignment.incarnation)
    }

    /// Whether the topic was assigned and each of its partitions has been handed out as far as modules must wait.
    #[must_use]
    pub fn is_loaded(&self, topic: TopicId) -> bool {
        let state = &self.topics[topic.ix()];
        state.assigned && state.partitions.values().all(|progress| progress.position >= progress.assignment.load_until)
    }

    /// How far a topic is that was assigned and is not loaded yet; none of any other.
    #[must_use]
    pub fn loading(&self, topic: TopicId) -> Option<Loading> {
        let between = |from: NextOffset, to: NextOffset| u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0);
        let sum = |sum: Loading, progress: &PartitionProgress| {
            let Assignment { start, load_until, .. } = progress.assignment;
            let read = sum.read + between(start, progress.position.min(load_until));
            Loading { read, left: sum.left + between(progress.position, load_until) }
        };
        let loading = self.topics[topic.ix()].partitions.values().fold(Loading::default(), sum);
        (loading.left > 0).then_some(loading)
    }

    /// What windows of the topic measure expiry by: the lowest, over partitions that are not read to their end or were
    /// taken away, of the newest timestamp read; none, meaning the wall clock, when there are none of these.
    #[must_use]
    pub fn event_clock(&self, topic: TopicId) -> Option<Millis> {
        let TopicProgress { partitions, gone, .. } = &self.topics[topic.ix()];
        let topic_id = partitions.values().find_map(|progress| progress.assignment.topic_id);
        // A partition of a topic that was deleted does not come back.
        let may_return =
            |progress: &PartitionProgress| topic_id.zip(progress.assignment.topic_id).is_none_or(|(is, was)| is == was);
        let away = gone.iter().filter(|(partition, gone)| !partitions.contains_key(partition) && may_return(gone));
        let behind = partitions.values().filter(|progress| progress.position < progress.end);
        let behind = behind.chain(away.map(|(_, gone)| gone));
        behind.map(|progress| progress.newest.unwrap_or(Millis(i64::MIN))).min()
    }

    /// The newest timestamp handed out of the topic, of its slowest partition; none before the first record.
    #[must_use]
    pub fn newest(&self, topic: TopicId) -> Option<Millis> {
        self.topics[topic.ix()].partitions.values().filter_map(|progress| progress.newest).min()
    }

    /// Every assigned partition as it stands.
    #[must_use]
    pub fn cut(&self) -> Vec<Cut> {
        self.cuts(|state| &state.partitions)
    }

    /// Every partition that was taken away and did not come back, as it stood: the state holds what was handed out of
    /// it, so whoever keeps the state has to keep that position, too.
    #[must_use]
    pub fn departed(&self) -> Vec<Cut> {
        let mut departed = self.cuts(|state| &state.gone);
        departed.retain(|cut| !self.topics[cut.topic.ix()].partitions.contains_key(&cut.partition));
        departed
    }

    fn cuts<'a>(&'a self, which: impl Fn(&'a TopicProgress) -> &'a BTreeMap<Partition, PartitionProgress>) -> Vec<Cut> {
        let mut cuts = Vec::new();
        for (topic, state) in (0..).map(TopicId).zip(&self.topics) {
            cuts.extend(which(state).iter().map(|(&partition, progress)| Cut {
                topic,
                partition,
                epoch: progress.assignment.epoch,
                position: progress.position,
                reached: progress.reached(state.gone.get(&partition)),
                live_from: progress.assignment.live_from,
                incarnation: progress.assignment.incarnation,
                topic_id: progress.assignment.topic_id,
            }));
        }
        cuts
    }
}

impl PartitionProgress {
    fn reached(&self, gone: Option<&Self>) -> NextOffset {
        let same_life = |gone: &&Self| gone.assignment.incarnation == self.assignment.incarnation;
        gone.filter(same_life).map_or(self.position, |gone| gone.position.max(self.position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: TopicId = TopicId(0);

    fn assigned(start: i64, live_from: i64, end: i64) -> Progress {
        let mut progress = Progress::new(1);
        let (start, live_from, end) = (NextOffset(start), NextOffset(live_from), NextOffset(end));
        progress.assigned(TOPIC, Assignment { start, ..Assignment::fresh(0, Epoch(1), live_from, end) });
        progress
    }

    fn at(position: i64, end: Option<i64>) -> PartitionPosition {
        let (position, end) = (NextOffset(position), end.map(NextOffset));
        PartitionPosition { partition: 0, epoch: Epoch(1), position, end }
    }

    #[test]
    fn a_topic_is_loaded_once_its_position_passes_what_was_committed_even_where_records_are_gone() {
        let mut progress = assigned(0, 50, 80);
        assert!(!progress.is_loaded(TOPIC));
        progress.moved(TOPIC, at(50, None), None);
        assert!(progress.is_loaded(TOPIC));
        assert!(!Progress::new(1).is_loaded(TOPIC));
        assert!(assigned(80, 100, 80).is_loaded(TOPIC), "a position beyond the end is not waited for");
    }

    #[test]
    fn nothing_below_the_position_an_assignment_began_with_is_committed() {
        let mut progress = assigned(0, 50, 80);
        progress.moved(TOPIC, at(20, None), None);
        assert_eq!(progress.cut()[0].committable(None), None);
        progress.moved(TOPIC, at(60, None), None);
        assert_eq!(progress.cut()[0].committable(None), Some(NextOffset(60)));
        assert_eq!(progress.cut()[0].committable(Some(Offset(55))), Some(NextOffset(55)));
        assert_eq!(progress.cut()[0].committable(Some(Offset(10))), None);
    }

    #[test]
    fn a_topic_of_which_a_part_is_taken_away_while_it_loads_is_not_loaded() {
        let mut progress = assigned(0, 50, 80);
        progress.moved(TOPIC, at(20, None), None);
        progress.revoked(TOPIC, 0, Epoch(1));
        assert!(!progress.is_loaded(TOPIC), "what is left of it is nothing");
        progress.assigned(TOPIC, assignment(50));
        assert!(progress.is_loaded(TOPIC));
        progress.revoked(TOPIC, 0, Epoch(1));
        assert!(progress.is_loaded(TOPIC), "it was loaded when it went");
    }

    #[test]
    fn what_was_read_under_an_older_assignment_is_stale() {
        let mut progress = assigned(0, 0, 80);
        progress.revoked(TOPIC, 0, Epoch(1));
        progress.assigned(TOPIC, Assignment { epoch: Epoch(2), ..assignment(10) });
        progress.moved(TOPIC, at(70, None), None);
        assert_eq!(progress.cut()[0].position, NextOffset(10));
        progress.revoked(TOPIC, 0, Epoch(1));
        assert_eq!(progress.cut().len(), 1);
    }

    #[test]
    fn what_was_handed_out_before_a_partition_was_taken_away_stays_handed_out() {
        let mut progress = assigned(0, 0, 80);
        progress.moved(TOPIC, at(30, None), None);
        progress.revoked(TOPIC, 0, Epoch(1));
        assert_eq!(progress.cut(), []);
        assert_eq!(progress.departed()[0].reached, NextOffset(30));
        progress.assigned(TOPIC, Assignment { epoch: Epoch(2), ..assignment(10) });
        let again = |progress: &Progress| [29, 30].map(|offset| progress.is_again(TOPIC, &row(offset)));
        assert_eq!(again(&progress), [true, false]);
        assert_eq!(progress.departed(), []);
        assert_eq!((progress.cut()[0].position, progress.cut()[0].reached), (NextOffset(10), NextOffset(30)));
        progress.revoked(TOPIC, 0, Epoch(2));
        progress.assigned(TOPIC, Assignment { epoch: Epoch(3), incarnation: 1, ..assignment(0) });
        assert_eq!(progress.cut()[0].reached, NextOffset(0), "another life has offsets of its own");
        assert_eq!(again(&progress), [false; 2]);
    }

    fn row(offset: i64) -> RecordRow {
        let mut batch = crate::record::RecordBatch::new(TOPIC);
        batch.push((0, Offset(offset), Epoch(3)), Millis(0), None, None).expect("room");
        batch.rows().first().expect("a row").clone()
    }

    #[test]
    fn what_was_waited_for_when_a_partition_was_taken_away_is_waited_for_when_it_comes_back() {
        let mut progress = assigned(0, 50, 80);
        progress.moved(TOPIC, at(20, None), Some(Millis(700)));
        progress.revoked(TOPIC, 0, Epoch(1));
        progress.assigned(TOPIC, Assignment::fresh(0, Epoch(2), NextOffset(20), NextOffset(80)));
        assert!(!progress.is_loaded(TOPIC), "what an earlier life may have known");
        assert_eq!(progress.event_clock(TOPIC), Some(Millis(700)), "nothing grows young again");
        progress.moved(TOPIC, PartitionPosition { epoch: Epoch(2), ..at(50, None) }, None);
        assert!(progress.is_loaded(TOPIC));
    }

    #[test]
    fn a_partition_that_is_away_holds_the_event_clock_unless_its_topic_is_another_one() {
        let mut progress = assigned(0, 0, 80);
        progress.moved(TOPIC, at(80, None), Some(Millis(700)));
        assert_eq!(progress.event_clock(TOPIC), None);
        progress.revoked(TOPIC, 0, Epoch(1));
        assert_eq!(progress.event_clock(TOPIC), Some(Millis(700)));
        let mut progress = Progress::new(1);
        for (partition, topic_id) in [(0, Some(1)), (1, Some(1))] {
            progress.assigned(TOPIC, Assignment { partition, topic_id, ..assignment(80) });
        }
        progress.revoked(TOPIC, 1, Epoch(1));
        assert_eq!(progress.event_clock(TOPIC), Some(Millis(i64::MIN)));
        progress.assigned(TOPIC, Assignment { topic_id: Some(2), incarnation: 1, ..assignment(80) });
        assert_eq!(progress.event_clock(TOPIC), None, "created again with fewer partitions");
    }

    fn assignment(start: i64) -> Assignment {
        let (start, end) = (NextOffset(start), NextOffset(80));
        Assignment::fresh(0, Epoch(1), start, end)
    }

    #[test]
    fn the_event_clock_follows_the_slowest_backlog_and_then_the_wall_clock() {
        let mut progress = assigned(0, 0, 80);
        progress.assigned(TOPIC, Assignment { partition: 1, ..assignment(0) });
        assert_eq!(progress.event_clock(TOPIC), Some(Millis(i64::MIN)));
        progress.moved(TOPIC, at(10, None), Some(Millis(1_000)));
        progress.moved(TOPIC, PartitionPosition { partition: 1, ..at(10, None) }, Some(Millis(700)));
        assert_eq!(progress.event_clock(TOPIC), Some(Millis(700)));
        progress.moved(TOPIC, PartitionPosition { partition: 1, ..at(80, None) }, Some(Millis(900)));
        assert_eq!(progress.event_clock(TOPIC), Some(Millis(1_000)));
        progress.moved(TOPIC, at(80, Some(80)), Some(Millis(1_200)));
        assert_eq!(progress.event_clock(TOPIC), None);
    }
}
