//! The plan of a window: what is kept of a topic per station.

use std::sync::Arc;

use super::{GridPlan, Pointer};
use crate::ident::Millis;

/// What is kept of a topic per station.
#[derive(Clone, Debug)]
pub enum WindowPlan {
    /// The newest reading by time, then provenance.
    Latest,
    /// The newest reading per key.
    PerKey {
        /// Where the key is inside a reading.
        key: Pointer,
        /// How long a reading that is not renewed stays, in milliseconds of the topic's event clock.
        expire_ms: Option<i64>,
    },
    /// The last readings by time, then provenance.
    Rows(RowsPlan),
    /// One value per series and step.
    Grid(GridPlan),
    /// Readings grouped by time; each group is handed over once, when it is closed.
    Bucket(BucketPlan),
    /// The newest result of a module that runs elsewhere.
    Results,
}

/// The last readings of a topic.
#[derive(Clone, Debug)]
pub struct RowsPlan {
    /// How many are kept.
    pub size: usize,
    /// None is kept that is older than the newest by more than this, in milliseconds of event time.
    pub span_ms: Option<i64>,
    /// The columns that are kept; none means the readings as they are.
    pub columns: Option<Vec<Column>>,
    /// How fewer than `size` readings are brought to `size`; columns only.
    pub pad: Pad,
}

/// How a column of fewer values than asked for is brought to length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pad {
    /// Not at all.
    #[default]
    None,
    /// Zeros on the left.
    Zero,
    /// Nulls on the left.
    Missing,
    /// The first value, repeated on the left.
    Forward,
    /// Stretched: of `n` values, element `i` is the value at position `i·(n−1)/(size−1)` of the sequence, interpolated.
    Linear,
}

/// Readings grouped by time. Buckets are aligned to the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketPlan {
    /// The length of a bucket, in milliseconds, at least 1.
    pub every_ms: i64,
    /// A bucket closes this long after its end at the latest, in milliseconds of the topic's event clock; none: only
    /// when a later one opens.
    pub close_after_ms: Option<i64>,
}

impl BucketPlan {
    /// The number of the bucket that contains `time`.
    #[must_use]
    pub fn number(&self, time: Millis) -> i64 {
        time.0.div_euclid(self.every_ms)
    }

    /// When bucket `number` closes by itself.
    #[must_use]
    pub fn closes_at(&self, number: i64) -> Option<Millis> {
        Some(Millis(number.saturating_add(1).saturating_mul(self.every_ms)).plus(self.close_after_ms?))
    }
}

/// A column of a window: where its values stand and what it is called.
#[derive(Clone, Debug)]
pub struct Column {
    /// Where the values stand inside a reading.
    pub at: Pointer,
    /// The last step of the pointer.
    pub name: Arc<str>,
}
