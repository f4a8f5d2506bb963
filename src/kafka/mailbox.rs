//! Orders to one consumer's thread. Bounded without ever refusing: commits of a partition coalesce to the newest, the
//! rest are marks.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::ident::{Partition, TopicId};

use crate::pipeline::ports::Commit;

/// Where orders wait for the thread's next look.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    orders: Mutex<Orders>,
    arrived: Condvar,
}

/// What a consumer's thread is told to do.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Positions to commit, one per partition.
    pub commits: Vec<Commit>,
    /// Poll no more records.
    pub stop: bool,
    /// Commit what is settled, leave the group, end; give up waiting for answers at this moment.
    pub close: Option<Instant>,
}

impl Mailbox {
    /// Adds positions to commit.
    pub(super) fn commit(&self, commits: impl IntoIterator<Item = Commit>) {
        let mut orders = self.lock();
        let mut newest: BTreeMap<(TopicId, Partition), Commit> = BTreeMap::new();
        for commit in std::mem::take(&mut orders.commits).into_iter().chain(commits) {
            let known = newest.entry((commit.topic, commit.partition)).or_insert(commit);
            if (commit.epoch, commit.next) > (known.epoch, known.next) {
                *known = commit;
            }
        }
        orders.commits = newest.into_values().collect();
        self.arrived.notify_one();
    }

    /// Orders the end of intake.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.arrived.notify_one();
    }

    /// Orders the end; the earliest deadline counts.
    pub(super) fn close(&self, deadline: Instant) {
        let mut orders = self.lock();
        orders.close = Some(orders.close.map_or(deadline, |known| known.min(deadline)));
        self.arrived.notify_one();
    }

    /// What has been ordered since the last look. Commits are taken out, the marks stay.
    pub(super) fn take(&self) -> Orders {
        let mut orders = self.lock();
        Orders { commits: std::mem::take(&mut orders.commits), stop: orders.stop, close: orders.close }
    }

    /// Waits for the order to close, at most for `patience`.
    pub(super) fn wait_for_close(&self, patience: Duration) -> Option<Instant> {
        let orders = self.lock();
        let waiting = self.arrived.wait_timeout_while(orders, patience, |orders| orders.close.is_none());
        waiting.unwrap_or_else(PoisonError::into_inner).0.close
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::{Epoch, NextOffset};

    use super::*;

    #[test]
    fn commits_coalesce_to_the_newest_of_each_partition() {
        let mailbox = Mailbox::default();
        let commit = |partition, epoch, next| Commit {
            topic: TopicId(0),
            partition,
            epoch: Epoch(epoch),
            next: NextOffset(next),
        };
        mailbox.commit([commit(0, 1, 5), commit(1, 1, 3)]);
        mailbox.commit([commit(0, 1, 4), commit(1, 2, 1)]);
        assert_eq!(mailbox.take().commits, [commit(0, 1, 5), commit(1, 2, 1)]);
        assert!(mailbox.take().commits.is_empty());
    }
}
