//! The store's own standing, as it is stored: whose it is, where partitions stand, ceilings, dead letters that wait, how
//! windows were shaped.

use std::sync::Arc;

use prost::Message;
use quorate_core::ident::{NextOffset, Partition};

use super::{Malformed, bytes, number};
use crate::pipeline::durable::{StoredCeiling, StoredLetter, StoredPosition};
use crate::state::{ModuleShape, TopicShape};

/// Whose store it is, and how far it got.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::state) struct Meta {
    /// The layout of everything.
    #[prost(uint32, tag = "1")]
    pub format: u32,
    #[prost(string, tag = "2")]
    pub cluster_id: String,
    #[prost(string, tag = "3")]
    pub group_id: String,
    /// Durable commits so far.
    #[prost(uint64, tag = "4")]
    pub sequence: u64,
    #[prost(message, repeated, tag = "5")]
    pub modules: Vec<Module>,
}

/// What a module was when its runs were recorded.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::state) struct Module {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    shape: String,
}

/// Where a partition stands; topic and partition are in the key.
#[derive(Clone, PartialEq, Message)]
pub(in crate::state) struct Position {
    #[prost(uint32, tag = "1")]
    incarnation: u32,
    #[prost(bytes = "vec", optional, tag = "2")]
    topic_id: Option<Vec<u8>>,
    #[prost(sint64, tag = "3")]
    next: i64,
    #[prost(sint64, tag = "4")]
    live_from: i64,
}

/// How a topic's windows were shaped; its name is in the key.
#[derive(Clone, PartialEq, Message)]
pub(in crate::state) struct Shape {
    #[prost(string, tag = "1")]
    shape: String,
    /// Once one number for how far windows reach. The least there is still says that they are to be read again.
    #[prost(sint64, tag = "2")]
    one_reach: i64,
    #[prost(sint64, repeated, tag = "3")]
    reach: Vec<i64>,
    #[prost(bool, tag = "4")]
    lost: bool,
}

/// A dead letter that waits; its id is in the key.
#[derive(Clone, PartialEq, Message)]
pub(in crate::state) struct Letter {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(message, optional, tag = "2")]
    origin: Option<LetterOrigin>,
    #[prost(bytes = "vec", optional, tag = "3")]
    key: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    value: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "5")]
    headers: Vec<Header>,
}

#[derive(Clone, PartialEq, Message)]
struct LetterOrigin {
    #[prost(string, tag = "1")]
    topic: String,
    #[prost(sint32, tag = "2")]
    partition: i32,
    #[prost(sint64, tag = "3")]
    offset: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// The content of the file of ceilings.
#[derive(Clone, PartialEq, Message)]
pub(in crate::state) struct Ceilings {
    /// The last durable commit that was acknowledged.
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    #[prost(message, repeated, tag = "2")]
    pub ceilings: Vec<Ceiling>,
}

/// One partition's ceiling.
#[derive(Clone, PartialEq, Message)]
pub(in crate::state) struct Ceiling {
    #[prost(string, tag = "1")]
    topic: String,
    #[prost(sint32, tag = "2")]
    partition: i32,
    #[prost(uint32, tag = "3")]
    incarnation: u32,
    #[prost(sint64, tag = "4")]
    at: i64,
}

impl From<&StoredPosition> for Position {
    fn from(position: &StoredPosition) -> Self {
        Self {
            incarnation: position.incarnation,
            topic_id: position.topic_id.map(bytes),
            next: position.next.0,
            live_from: position.live_from.0,
        }
    }
}

impl Position {
    pub(in crate::state) fn of(self, topic: Arc<str>, partition: Partition) -> Result<StoredPosition, Malformed> {
        Ok(StoredPosition {
            topic,
            partition,
            incarnation: self.incarnation,
            topic_id: self.topic_id.as_deref().map(number).transpose()?,
            next: NextOffset(self.next),
            live_from: NextOffset(self.live_from),
        })
    }
}

impl From<&TopicShape> for Shape {
    fn from(shape: &TopicShape) -> Self {
        let TopicShape { name: _, shape, reach, unread, lost } = shape.clone();
        Self { shape, one_reach: if unread { i64::MIN } else { 0 }, reach, lost }
    }
}

impl Shape {
    pub(in crate::state) fn of(self, name: Arc<str>) -> TopicShape {
        let Self { shape, one_reach, reach, lost } = self;
        TopicShape { name, shape, reach, unread: one_reach == i64::MIN, lost }
    }
}

impl From<&ModuleShape> for Module {
    fn from(ModuleShape { name, shape }: &ModuleShape) -> Self {
        Self { name: name.to_string(), shape: shape.clone() }
    }
}

impl From<Module> for ModuleShape {
    fn from(Module { name, shape }: Module) -> Self {
        Self { name: name.into(), shape }
    }
}

impl From<StoredLetter> for Letter {
    fn from(letter: StoredLetter) -> Self {
        let origin = letter.origin.map(|(topic, partition, offset)| LetterOrigin {
            topic: topic.to_string(),
            partition,
            offset,
        });
        let headers = letter.headers.into_iter().map(|(name, value)| Header { name, value });
        Self { reason: letter.reason, origin, key: letter.key, value: letter.value, headers: headers.collect() }
    }
}

impl Letter {
    pub(in crate::state) fn of(self, id: u64) -> StoredLetter {
        let origin = self.origin.map(|origin| (origin.topic.into(), origin.partition, origin.offset));
        let headers = self.headers.into_iter().map(|header| (header.name, header.value));
        StoredLetter { id, reason: self.reason, origin, key: self.key, value: self.value, headers: headers.collect() }
    }
}

impl From<&StoredCeiling> for Ceiling {
    fn from(ceiling: &StoredCeiling) -> Self {
        Self {
            topic: ceiling.topic.to_string(),
            partition: ceiling.partition,
            incarnation: ceiling.incarnation,
            at: ceiling.at.0,
        }
    }
}

impl From<Ceiling> for StoredCeiling {
    fn from(Ceiling { topic, partition, incarnation, at }: Ceiling) -> Self {
        Self { topic: topic.into(), partition, incarnation, at: NextOffset(at) }
    }
}
