//! [`Bucket`]: the readings of one closed bucket.

use std::sync::Arc;

use super::Reading;
use crate::ident::Millis;

/// The readings of one closed bucket, by time, then provenance.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Bucket {
    /// When the bucket begins, inclusive.
    pub from: Millis,
    /// When it ends, exclusive.
    pub to: Millis,
    /// What was read of it.
    pub readings: Arc<[Reading]>,
}
