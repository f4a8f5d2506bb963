//! How each topic's consumption stands, readable at any moment without asking the consumer's thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::ident::{Epoch, Millis, NextOffset, Partition, TopicId};
use quorate_core::record::PartitionPosition;
use tokio::sync::watch;

use super::clock;
use super::errors::{Trouble, TroubleKind};

/// The state of one topic's consumption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicState {
    /// Not assigned yet, or not any more.
    Connecting,
    /// Partitions are assigned and read.
    Assigned,
    /// Somebody else, as the group names them, has owned partitions of the topic for longer than a rebalance takes.
    SplitOwnership(Arc<str>),
    /// Something has to change before records flow; it is tried again by itself.
    Failed(Trouble),
    /// The consumer was closed.
    Stopped,
}

/// One assigned partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionHealth {
    /// The assignment.
    pub epoch: Epoch,
    /// The next offset the consumer will be given.
    pub position: NextOffset,
    /// The last stable offset, when known.
    pub end: Option<NextOffset>,
    /// The position the group is known to have.
    pub committed: Option<NextOffset>,
}

impl PartitionHealth {
    /// Records not read yet, counted in offsets; none while the end is unknown.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        self.end.map(|end| end.0.saturating_sub(self.position.0).max(0))
    }

    /// What Kafka's own tools call the lag: records that the group has not committed, counted in offsets; none while
    /// either is unknown.
    #[must_use]
    pub fn uncommitted(&self) -> Option<i64> {
        Some(self.end?.0.saturating_sub(self.committed?.0).max(0))
    }
}

/// A topic's consumption at one moment. Counts run from the start of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicHealth {
    /// The topic.
    pub topic: Arc<str>,
    /// The consumer's group.
    pub group: Arc<str>,
    /// Its state.
    pub state: TopicState,
    /// Since when it has been in that state, by the wall clock.
    pub since: Millis,
    /// The assigned partitions.
    pub partitions: BTreeMap<Partition, PartitionHealth>,
    /// How many partitions the topic has, once known. More than are assigned means that somebody else reads too.
    pub partition_count: Option<usize>,
    /// The most records one batch may hold.
    pub quota: usize,
    /// The most bytes the consumer may prefetch, for all its topics.
    pub prefetch_limit_bytes: usize,
    /// Bytes of this topic prefetched at the last statistics.
    pub prefetched_bytes: u64,
    /// Records handed to the lane.
    pub records: u64,
    /// Batches handed to the lane.
    pub batches: u64,
    /// Assignments so far.
    pub rebalances: u64,
    /// Positions that the group took, one for each partition of a commit.
    pub commits: u64,
    /// Commits that failed; each is made good by a later one.
    pub failed_commits: u64,
    /// Commits dropped because their assignment was over.
    pub stale_commits: u64,
    /// Commits dropped because the group did not count us among its members.
    pub fenced_commits: u64,
    /// Offsets that could not be read because they were gone.
    pub missed_offsets: u64,
    /// Assignments at which the group stood beyond the stored position: somebody else commits for it.
    pub foreign_progress: u64,
    /// Partitions that began anew because their topic was recreated or its log cut short.
    pub renewals: u64,
    /// Times its client was replaced.
    pub rebuilds: u64,
    /// Those of them that ended a stall: records were there, and none arrived.
    pub self_heals: u64,
}

impl TopicHealth {
    /// Records not read yet in all assigned partitions; none while an end is unknown.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        self.partitions.values().map(PartitionHealth::lag).sum()
    }
}

/// The board on which all consumers keep their topics' health.
#[derive(Debug)]
pub struct ConsumerHealth {
    topics: Vec<Option<watch::Sender<TopicHealth>>>,
}

impl ConsumerHealth {
    /// A board for topics by [`TopicId`]; a topic without a consumer has no entry.
    pub(super) fn new(topics: Vec<Option<TopicHealth>>) -> Self {
        Self { topics: topics.into_iter().map(|topic| topic.map(watch::Sender::new)).collect() }
    }

    /// All topics as they stand.
    #[must_use]
    pub fn snapshot(&self) -> Vec<TopicHealth> {
        self.topics.iter().flatten().map(|topic| topic.borrow().clone()).collect()
    }

    /// One topic, and a way to wait for its changes.
    #[must_use]
    pub fn watch(&self, topic: TopicId) -> Option<watch::Receiver<TopicHealth>> {
        self.topics.get(topic.ix())?.as_ref().map(watch::Sender::subscribe)
    }

    pub(super) fn update(&self, topic: TopicId, change: impl FnOnce(&mut TopicHealth)) {
        if let Some(Some(sender)) = self.topics.get(topic.ix()) {
            sender.send_modify(change);
        }
    }

    /// Enters a state; true when it is another one than before.
    pub(super) fn enter(&self, topic: TopicId, state: TopicState) -> bool {
        let Some(Some(sender)) = self.topics.get(topic.ix()) else { return false };
        sender.send_if_modified(|health| {
            if health.state == state {
                return false;
            }
            health.state = state;
            health.since = clock::wall();
            true
        })
    }

    /// How many partitions a topic has, once known.
    pub(super) fn partition_count(&self, topic: TopicId) -> Option<usize> {
        self.topics.get(topic.ix())?.as_ref()?.borrow().partition_count
    }

    /// Whether a topic's state says why nothing of it arrives.
    pub(super) fn is_failing(&self, topic: TopicId) -> bool {
        let Some(Some(sender)) = self.topics.get(topic.ix()) else { return false };
        matches!(sender.borrow().state, TopicState::Failed(_) | TopicState::Stopped)
    }

    /// Whether the cluster refuses the topic or its group, or has no such topic: then it is nobody else's on that account.
    pub(super) fn is_refused(&self, topic: TopicId) -> bool {
        let Some(Some(sender)) = self.topics.get(topic.ix()) else { return false };
        let refused = |kind| matches!(kind, TroubleKind::Missing | TroubleKind::TopicDenied | TroubleKind::GroupDenied);
        matches!(&sender.borrow().state, TopicState::Failed(trouble) if refused(trouble.kind))
    }

    /// Enters a state unless another one says more: that the topic fails, or has ended.
    pub(super) fn enter_unless_failing(&self, topic: TopicId, state: TopicState) {
        if !self.is_failing(topic) {
            self.enter(topic, state);
        }
    }

    pub(super) fn moved(&self, topic: TopicId, positions: &[PartitionPosition]) {
        self.update(topic, |health| {
            for told in positions {
                if let Some(partition) = health.partitions.get_mut(&told.partition) {
                    partition.position = told.position;
                    partition.end = told.end;
                }
            }
        });
    }
}
