//! Commit marks of a consumer's partitions: wanted by the pipeline, sent to the broker, confirmed by it.

use std::time::{Duration, Instant};

use quorate_core::ident::Partition;

use super::{Placed, Slot, Table};
use crate::pipeline::ports::Commit;

/// A commit whose result never came is given up after this; the client bounds its own requests below it.
const COMMIT_PATIENCE: Duration = Duration::from_secs(60);
/// After a failed commit the next one waits this long.
const COMMIT_RETRY: Duration = Duration::from_secs(1);
/// Unchanged positions are committed again twice a day, because brokers forget offsets per partition.
const COMMIT_REFRESH: Duration = Duration::from_secs(12 * 3600);

/// A commit that the group refused because we are no member is not sent again before this, unless a rebalance says that
/// we are one.
const SET_ASIDE: Duration = Duration::from_secs(30);

impl Table {
    /// Notes what the pipeline has settled. False when it belongs to an assignment that is over.
    pub(in crate::kafka) fn want(&mut self, slot: Slot, commit: &Commit) -> bool {
        let Some(reading) = self.get_mut(slot, commit.partition) else { return false };
        if reading.epoch != commit.epoch {
            return false;
        }
        reading.wanted = reading.wanted.max(Some(commit.next));
        true
    }

    /// Positions to commit now: those that changed, or all twice a day. Nothing while a commit is under way.
    pub(in crate::kafka) fn due(&mut self, now: Instant) -> Vec<Placed> {
        for reading in self.topics.iter_mut().flat_map(|topic| topic.reading.values_mut()) {
            reading.set_aside = reading.set_aside.filter(|until| now < *until);
        }
        let waits = |since: Instant| now.saturating_duration_since(since) < COMMIT_PATIENCE;
        if self.in_flight.is_some_and(waits) || self.not_before.is_some_and(|at| now < at) {
            return Vec::new();
        }
        let all = now.saturating_duration_since(self.refreshed) >= COMMIT_REFRESH;
        self.unconfirmed(all, |_, _| true)
    }

    /// Settled positions that the group does not have yet, of the partitions that are meant.
    pub(in crate::kafka) fn unconfirmed(&self, all: bool, meant: impl Fn(Slot, Partition) -> bool) -> Vec<Placed> {
        self.reading()
            .filter(|(slot, partition, reading)| reading.set_aside.is_none() && meant(*slot, *partition))
            .filter_map(|(slot, partition, reading)| {
                let next = reading.wanted.max(reading.confirmed)?;
                (all || Some(next) > reading.confirmed).then_some((slot, partition, next))
            })
            .collect()
    }

    /// A commit is under way.
    pub(in crate::kafka) fn sent(&mut self, positions: &[Placed], now: Instant) {
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
    pub(in crate::kafka) fn confirm(&mut self, (slot, partition, next): Placed) {
        if let Some(reading) = self.get_mut(slot, partition)
            && reading.sent == Some(next)
        {
            reading.confirmed = Some(next);
        }
    }

    /// The group does not count us among its members: what was sent is dropped until a rebalance, or for a while.
    pub(in crate::kafka) fn set_aside(&mut self, slot: Slot, partition: Partition, now: Instant) {
        if let Some(reading) = self.get_mut(slot, partition) {
            reading.set_aside = Some(now + SET_ASIDE);
        }
    }

    /// The commit under way has ended; after a failure the next one waits a moment.
    pub(in crate::kafka) fn answered(&mut self, failed: bool, now: Instant) {
        self.in_flight = None;
        self.not_before = failed.then(|| now + COMMIT_RETRY);
    }

    /// Whether the group has everything that was settled.
    pub(in crate::kafka) fn is_committed(&self) -> bool {
        self.unconfirmed(false, |_, _| true).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::{Epoch, NextOffset, TopicId};

    use super::*;
    use crate::pipeline::ports::AssignedPartition;

    fn table(now: Instant) -> Table {
        let mut table = Table::new(1, now);
        let assigned = AssignedPartition::fresh(0, Epoch(1), NextOffset(5), NextOffset(50));
        table.begin(0, assigned, Some(NextOffset(5)), None);
        table
    }

    fn commit(epoch: u64, next: i64) -> Commit {
        Commit { topic: TopicId(0), partition: 0, epoch: Epoch(epoch), next: NextOffset(next) }
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
        let due = table.due(now);
        table.sent(&due, now);
        table.want(0, &commit(1, 11));
        assert!(table.due(now).is_empty());
        table.answered(true, now);
        assert!(table.due(now).is_empty(), "waits a moment after a failure");
        let later = now + COMMIT_RETRY;
        assert_eq!(table.due(later), [(0, 0, NextOffset(11))]);
        let due = table.due(later);
        table.sent(&due, later);
        table.confirm((0, 0, NextOffset(11)));
        table.answered(false, later);
        assert!(table.is_committed());
        assert_eq!(table.due(later + COMMIT_REFRESH), [(0, 0, NextOffset(11))], "unchanged positions twice a day");
    }

    #[test]
    fn row_1_14_a_commit_that_the_group_refuses_is_dropped_until_it_counts_us_in_again() {
        let now = Instant::now();
        let mut table = table(now);
        table.want(0, &commit(1, 9));
        let due = table.due(now);
        table.sent(&due, now);
        table.set_aside(0, 0, now);
        table.answered(true, now);
        assert!(table.due(now + COMMIT_RETRY).is_empty() && table.is_committed(), "a close does not wait for it");
        assert_eq!(table.due(now + SET_ASIDE), [(0, 0, NextOffset(9))]);
        table.set_aside(0, 0, now + SET_ASIDE);
        table.rebalanced(now + SET_ASIDE);
        assert_eq!(table.due(now + SET_ASIDE), [(0, 0, NextOffset(9))]);
    }
}
