//! [`ModuleInput`]: the owned, complete snapshot a module is called with, and its JSON form.

use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{ModuleError, Value};
use crate::ident::{Millis, Offset, Partition, Station};
use crate::provenance::Incarnation;

/// Everything one module may see of one station at one moment. Owned, `Send + 'static`, shares its columns.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ModuleInput {
    /// When the input was assembled.
    pub at: Millis,
    /// The module it was assembled for.
    pub module: Arc<str>,
    /// Whose input it is.
    pub station: Station,
    /// One entry per required input, then one per optional input, in the order of the configuration. An input is a
    /// topic, or the results of a module that this one depends on.
    #[serde(serialize_with = "by_name")]
    pub inputs: Vec<TopicInput>,
    /// How much of what was asked for is there.
    pub quality: Quality,
    /// Which records the values are made of.
    pub lineage: Vec<LineageRange>,
    /// Equal hash means equal input.
    pub input_hash: InputHash,
    /// The beginning of the bucket that this call hands over; none when no closed bucket caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Millis>,
    /// The reading that this call hands over; none when its module is not called for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<ReadingOrigin>,
}

/// Where one reading came from. Printed as `topic/partition/offset/element`, followed by `/n` for the n-th life of a
/// topic that was deleted and recreated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingOrigin {
    /// The topic.
    pub topic: Arc<str>,
    /// How often the topic was recreated before.
    pub incarnation: Incarnation,
    /// The partition.
    pub partition: Partition,
    /// The record.
    pub offset: Offset,
    /// Its place in the record's list; 0 where that is none.
    pub element: u32,
}

impl fmt::Display for ReadingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.topic, self.partition, self.offset, self.element)?;
        match self.incarnation {
            0 => Ok(()),
            life => write!(f, "/{life}"),
        }
    }
}

impl Serialize for ReadingOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ModuleInput {
    /// The input of one topic, or, by its name, of a module that this one depends on.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when the module's configuration does not name `topic`.
    pub fn topic(&self, topic: &str) -> Result<&TopicInput, ModuleError> {
        self.inputs
            .iter()
            .find(|input| &*input.topic == topic)
            .ok_or_else(|| ModuleError::rejected(format!("input has no topic {topic}; add it to `requires`")))
    }

    /// The JSON form, as replay and dead letters print it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What one topic contributes.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TopicInput {
    /// The topic's name, or that of the module that makes it.
    #[serde(skip)]
    pub topic: Arc<str>,
    /// Whether it counts as present.
    pub status: Status,
    /// `at` minus `time`, in milliseconds; none when missing.
    pub age_ms: Option<i64>,
    /// Event time of the newest reading in the window; none when missing.
    pub time: Option<Millis>,
    /// The window as the topic's kind shows it.
    pub value: Value,
}

/// Whether an input can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Present and young enough.
    Fresh,
    /// Present, but older than its `max_age`.
    Stale,
    /// Nothing there. Only an optional input can be missing in an input that a module is given.
    Missing,
}

/// How much of an input was there. Counts required and optional topics; a stale one is not available.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Quality {
    /// Whether every required topic was available.
    pub complete: bool,
    /// Required plus optional topics.
    pub total_topics: usize,
    /// Those present and young enough.
    pub available_topics: Vec<Arc<str>>,
    /// Those with no reading at all.
    pub missing_topics: Vec<Arc<str>>,
    /// Those older than their `max_age`.
    pub stale_topics: Vec<Arc<str>>,
    /// Available over total, 0 when nothing is asked for.
    pub availability_ratio: f64,
}

/// The records of one partition that an input's values are made of, by lowest and highest offset.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LineageRange {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition of that topic.
    pub partition: Partition,
    /// Lowest offset, inclusive.
    pub from_offset: i64,
    /// Highest offset, inclusive.
    pub to_offset: i64,
    /// Which life of the topic the offsets belong to: how often it had been deleted and created again, or cut short. Not
    /// written where that never happened.
    #[serde(skip_serializing_if = "is_first")]
    pub incarnation: Incarnation,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_first(incarnation: &Incarnation) -> bool {
    *incarnation == 0
}

/// 128 bits over module, version, station and the readings of every input. Printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InputHash(pub u128);

impl fmt::Display for InputHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for InputHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InputHash({self})")
    }
}

impl Serialize for InputHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Inputs as one JSON object, keyed by topic, in the order of the configuration.
fn by_name<S: Serializer>(inputs: &[TopicInput], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(inputs.len()))?;
    for input in inputs {
        map.serialize_entry(&*input.topic, input)?;
    }
    map.end()
}
