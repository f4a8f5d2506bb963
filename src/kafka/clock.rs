//! The one file of this room that reads the clock.
#![allow(clippy::disallowed_methods, reason = "this is where time comes from, for the rest of the room")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quorate_core::ident::Millis;

/// A monotonic moment, for waiting and measuring.
pub(super) fn now() -> Instant {
    Instant::now()
}

/// How long ago `earlier` was.
pub(super) fn since(earlier: Instant) -> Duration {
    now().saturating_duration_since(earlier)
}

/// The wall clock, for what is shown or compared with record timestamps.
pub(super) fn wall() -> Millis {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
