//! What is owed to stations, as it is stored: runs, what waits to be handed over, what is done with, global
//! records still to be seen.

use prost::{Message, Oneof};
use quorate_core::PendingContent;
use quorate_core::ident::{Millis, Offset};
use quorate_core::shard::{EarlyRecord, PendingState, RunState};

use super::window::{Bucket, Entry};
use super::{Malformed, bytes, hash};

/// How one module stands with one station.
#[derive(Clone, PartialEq, Message)]
pub(in crate::state) struct Run {
    #[prost(bool, tag = "1")]
    due: bool,
    #[prost(sint64, optional, tag = "2")]
    last_at: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "3")]
    ended: Option<Vec<u8>>,
    #[prost(uint32, tag = "4")]
    failures: u32,
}

/// What is handed over by a run of its own.
#[derive(Clone, PartialEq, Message)]
pub(in crate::state) struct Pending {
    #[prost(string, tag = "1")]
    topic: String,
    #[prost(oneof = "Content", tags = "2, 3")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Content {
    #[prost(message, tag = "2")]
    Bucket(Bucket),
    #[prost(message, tag = "3")]
    Reading(Entry),
}

/// A module is done with what a key names.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::state) struct Done {
    #[prost(sint64, tag = "1")]
    at: i64,
}

/// Global records that stations are still to see.
#[derive(Clone, PartialEq, Message)]
pub(in crate::state) struct Early {
    #[prost(message, repeated, tag = "1")]
    records: Vec<Record>,
}

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(string, tag = "1")]
    topic: String,
    #[prost(sint32, tag = "2")]
    partition: i32,
    #[prost(sint64, tag = "3")]
    offset: i64,
}

impl Run {
    /// Nothing of it but that it is due; none where it is not.
    pub(in crate::state) fn only_due(self) -> Option<Self> {
        self.due.then(|| Self { due: true, ..Self::default() })
    }
}

impl From<RunState> for Run {
    fn from(RunState { due, last_at, ended, failures }: RunState) -> Self {
        Self { due, last_at: last_at.map(|at| at.0), ended: ended.map(|hash| bytes(hash.0)), failures }
    }
}

impl TryFrom<Run> for RunState {
    type Error = Malformed;

    fn try_from(Run { due, last_at, ended, failures }: Run) -> Result<Self, Malformed> {
        Ok(Self { due, last_at: last_at.map(Millis), ended: hash(ended)?, failures })
    }
}

impl From<PendingState> for Pending {
    fn from(PendingState { topic, content }: PendingState) -> Self {
        let content = match content {
            PendingContent::Bucket(bucket) => Content::Bucket(bucket.into()),
            PendingContent::Reading(entry) => Content::Reading(entry.into()),
        };
        Self { topic: topic.to_string(), content: Some(content) }
    }
}

impl TryFrom<Pending> for PendingState {
    type Error = Malformed;

    fn try_from(Pending { topic, content }: Pending) -> Result<Self, Malformed> {
        let content = match content.ok_or(Malformed("something to hand over"))? {
            Content::Bucket(bucket) => PendingContent::Bucket(bucket.into()),
            Content::Reading(entry) => PendingContent::Reading(entry.into()),
        };
        Ok(Self { topic: topic.into(), content })
    }
}

impl From<Millis> for Done {
    fn from(at: Millis) -> Self {
        Self { at: at.0 }
    }
}

impl From<Done> for Millis {
    fn from(done: Done) -> Self {
        Self(done.at)
    }
}

impl From<&[EarlyRecord]> for Early {
    fn from(records: &[EarlyRecord]) -> Self {
        let records = records.iter().map(|EarlyRecord { topic, partition, offset }| Record {
            topic: topic.to_string(),
            partition: *partition,
            offset: offset.0,
        });
        Self { records: records.collect() }
    }
}

impl From<Early> for Vec<EarlyRecord> {
    fn from(early: Early) -> Self {
        let records = early.records.into_iter().map(|Record { topic, partition, offset }| EarlyRecord {
            topic: topic.into(),
            partition,
            offset: Offset(offset),
        });
        records.collect()
    }
}
