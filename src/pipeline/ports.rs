//! The doors of the pipeline: what it asks of Kafka and of module threads, and the words they share.
//! Production and fault-injecting tests come in through the same doors.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quorate_core::contract::{LineageRange, ModuleInput, Output};
use quorate_core::decode::Reason;
use quorate_core::ident::Millis;
use quorate_core::ident::{Epoch, ModuleId, NextOffset, Partition, TopicId};
use quorate_core::record::{PartitionPosition, RecordBatch};

/// What log events about tasks are called by, so that they can be filtered.
pub const TASKS: &str = "quorate::task";

/// What a topic's consumer tells the pipeline, in order, through the topic's lane.
#[derive(Debug)]
pub enum LaneItem {
    /// Partitions were assigned to us.
    Assigned(Vec<AssignedPartition>),
    /// Records were polled.
    Batch(RecordBatch),
    /// Nothing was polled, but positions or ends moved (transaction markers, compaction, other writers).
    Positions(Vec<PartitionPosition>),
    /// Partitions were taken away; nothing of them follows under that epoch.
    Revoked(Vec<(Partition, Epoch)>),
    /// Whether partitions of the topic are not ours: a rebalance is under way, or somebody else owns them. Modules that
    /// need the topic are not called meanwhile: no station's input can be complete.
    Split(bool),
}

/// One partition at the moment it is assigned.
pub use quorate_core::progress::Assignment as AssignedPartition;

/// A position to commit for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: Partition,
    /// The assignment it was settled under; a consumer drops commits of another one.
    pub epoch: Epoch,
    /// Everything before it is settled.
    pub next: NextOffset,
}

/// The consumers, as the pipeline sees them. Calls return at once; a failure disturbs no other topic.
pub trait Consumers: Send + Sync + 'static {
    /// Asks the topics' consumers to commit. Failures are logged and counted by the consumer, and made good by the
    /// next commit.
    fn commit(&self, commits: &[Commit]);

    /// Stops polling on every consumer; lanes receive nothing more.
    fn stop_intake(&self);
}

/// A record to produce.
#[derive(Clone, Debug)]
pub struct OutgoingRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; none is a null payload.
    pub value: Option<Vec<u8>>,
    /// Header names and values.
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

/// Why a record was not produced for good. Everything that may pass is retried inside the publisher without end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The broker or the client refuses this very record (too large, topic denied or invalid).
    #[error("record refused: {0}")]
    Refused(String),
    /// The publisher was closed before the record was acknowledged.
    #[error("publisher closed")]
    Closed,
}

/// The one producer of the process.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// Returns once the record is acknowledged by the broker.
    async fn publish(&self, record: OutgoingRecord) -> Result<(), PublishError>;
}

/// How one call of a module ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutcome {
    /// It returned; the results are to be published.
    Returned(Vec<Output>),
    /// It failed and may be tried again.
    Failed(String),
    /// It will never take this input.
    Rejected(String),
    /// It took longer than its time-out and was cancelled.
    TimedOut(Duration),
    /// It took longer than its time-out and cannot be cancelled: its thread is lost until it returns by itself, so the
    /// same input is not given to another one.
    Stuck(Duration),
    /// It panicked.
    Panicked(String),
}

/// Runs modules on threads of their own; the pipeline's runtime never polls one.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Calls a module once and returns at its deadline at the latest.
    async fn call(&self, module: ModuleId, input: Arc<ModuleInput>) -> CallOutcome;
}

/// A run that failed for good.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What the module was given.
    pub input: Arc<ModuleInput>,
    /// Why there is no result.
    pub reason: Reason,
    /// More about why, for people; at most [`Failure::DETAIL_BYTES`].
    pub detail: Arc<str>,
    /// How often the module was called.
    pub attempts: u32,
    /// When it was given up.
    pub at: Millis,
}

impl Failure {
    /// What is kept of a detail: a module's error text may be of any length.
    pub const DETAIL_BYTES: usize = 1024;

    /// A failure with as much of `detail` as is kept.
    #[must_use]
    pub fn new(input: Arc<ModuleInput>, reason: Reason, detail: &str, attempts: u32, at: Millis) -> Self {
        Self { input, reason, detail: Self::kept(detail).into(), attempts, at }
    }

    /// As much of a detail as is kept; characters stay whole.
    #[must_use]
    pub fn kept(detail: &str) -> &str {
        &detail[..detail.floor_char_boundary(Self::DETAIL_BYTES)]
    }

    /// Names this failure: who is told of it twice, after a crash, is told the same id.
    #[must_use]
    pub fn id(&self) -> String {
        match self.trigger() {
            Some(trigger) => format!("{}-{trigger}", self.input.input_hash),
            None => self.input.input_hash.to_string(),
        }
    }

    /// What tells this run from others with the same input, where one input may be handed over more than once.
    #[must_use]
    pub fn trigger(&self) -> Option<String> {
        super::envelope::trigger(&self.input)
    }

    /// Where the newest of the records stands that the input is made of: the highest offset of the topic with the
    /// newest reading.
    #[must_use]
    pub fn origin(&self) -> Option<&LineageRange> {
        let time = |range: &LineageRange| {
            let input = self.input.inputs.iter().find(|input| input.topic == range.topic)?;
            input.time
        };
        self.input.lineage.iter().max_by_key(|range| (time(range), range.to_offset))
    }
}

/// Why a failure could not be recorded, for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// Somebody who is told of runs that failed for good.
#[async_trait]
pub trait FailureSink: std::fmt::Debug + Send + Sync + 'static {
    /// Returns once the failure is recorded there. Tries again by itself what may pass, and ends by itself; the run waits
    /// for it, other runs do not. Told once per failed run, and after a crash perhaps once more.
    async fn record(&self, failure: &Failure) -> Result<(), SinkError>;
}

/// The time. Only one room outside the pipeline reads a clock; tests bring their own.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> Millis;

    /// By how many milliseconds it was set back so far, all told.
    fn set_back_ms(&self) -> i64 {
        0
    }
}
