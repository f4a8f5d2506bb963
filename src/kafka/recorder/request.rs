//! What can be asked of a recorder, who takes the records, and how it ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::ident::{Millis, Partition};
use quorate_core::replay::RecordedRecord;

use crate::config::Properties;
use crate::kafka::errors::{KafkaRoomError, Trouble};

/// What is recorded.
#[derive(Clone, Debug)]
pub struct RecorderSetup {
    /// Properties that every client shares.
    pub client: Properties,
    /// Topics and their numbers of partitions.
    pub topics: Vec<(Arc<str>, usize)>,
    /// The first record of each partition.
    pub from: RecordFrom,
    /// When to stop.
    pub until: RecordUntil,
    /// How long a partition may neither give a record nor be at its end.
    pub patience: Duration,
}

/// Where recording begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFrom {
    /// At the first record that is retained.
    Beginning,
    /// With what comes from now on.
    End,
    /// At the first record with this timestamp or a later one.
    Time(Millis),
    /// The same, counted back from now.
    Ago(Duration),
}

/// When recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordUntil {
    /// At the ends that the partitions had when it began.
    End,
    /// After so much time.
    Elapsed(Duration),
    /// After so many records.
    Count(u64),
    /// When it is stopped.
    Stopped,
}

/// Takes records, on the recorder's thread.
pub trait RecordSink: Send + 'static {
    /// About so many records are going to come; compacted topics give less.
    fn expect(&mut self, records: u64);

    /// The next record.
    ///
    /// # Errors
    /// It cannot be kept: recording ends.
    fn take(&mut self, record: &RecordedRecord) -> io::Result<()>;

    /// There is nothing more for the moment, or at all.
    ///
    /// # Errors
    /// As [`Self::take`].
    fn flush(&mut self) -> io::Result<()>;
}

/// What a recording came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Records handed on.
    pub records: u64,
    /// Partitions read.
    pub partitions: usize,
}

/// Why a recording ended early. What was handed on before has been flushed.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The client could not be built.
    #[error(transparent)]
    Room(#[from] KafkaRoomError),
    /// A partition cannot be read.
    #[error("{topic}/{partition} cannot be read: {trouble}")]
    Partition {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: Partition,
        /// Why.
        trouble: Trouble,
    },
    /// A partition was silent for too long.
    #[error("{topic}/{partition} has given no answer for {waited:?}{detail}")]
    Silent {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: Partition,
        /// For how long.
        waited: Duration,
        /// What the client said last, if anything.
        detail: String,
    },
    /// What was recorded could not be kept.
    #[error("{0}")]
    Sink(#[source] io::Error),
}
