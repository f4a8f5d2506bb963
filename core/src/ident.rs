//! Names for things that are only numbers: times, offsets, epochs, topics, modules.
//! Keeping them apart is what makes "the offset to commit" impossible to confuse with "the offset that was read".

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Milliseconds since the Unix epoch. The core is told the time; it never asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// The moment `duration_ms` after this one; saturates instead of wrapping.
    #[must_use]
    pub fn plus(self, duration_ms: i64) -> Self {
        Self(self.0.saturating_add(duration_ms))
    }

    /// How many milliseconds this moment lies after `earlier`; negative when it lies before.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The place of one record in its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl Offset {
    /// The position a consumer stands at once this record is accounted for. The only `+ 1` there is.
    #[must_use]
    pub fn next(self) -> NextOffset {
        NextOffset(self.0 + 1)
    }
}

/// A position: the offset of the first record that is *not* yet accounted for. This is what Kafka commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NextOffset(pub i64);

impl NextOffset {
    /// Whether `offset` lies before this position, i.e. is accounted for by it.
    #[must_use]
    pub fn covers(self, offset: Offset) -> bool {
        offset.0 < self.0
    }

    /// The position at which `offset` itself is read next.
    #[must_use]
    pub fn at(offset: Offset) -> Self {
        Self(offset.0)
    }
}

impl fmt::Display for NextOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A topic of the plan, by its place in [`Plan::topics`](crate::plan::Plan).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u16);

/// A module of the plan, by its place in [`Plan::modules`](crate::plan::Plan).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleId(pub u16);

impl TopicId {
    /// The index into per-topic tables.
    #[must_use]
    pub fn ix(self) -> usize {
        usize::from(self.0)
    }
}

impl ModuleId {
    /// The index into per-module tables.
    #[must_use]
    pub fn ix(self) -> usize {
        usize::from(self.0)
    }
}

/// A partition of the topic that is meant.
pub type Partition = i32;

/// Counts the assignments of a partition to this process; what was read under an older one is stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The key everything is assembled by. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Station(Arc<str>);

impl Station {
    /// The id as it stands in records and as the key of results.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Station {
    fn from(id: &str) -> Self {
        Self(Arc::from(id))
    }
}

impl fmt::Display for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
