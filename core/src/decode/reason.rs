//! Why a record or one of its elements was given up.

use std::fmt;

/// The reason of a dead letter, as it stands in the `quorate-reason` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The payload is not UTF-8.
    NotUtf8,
    /// The payload is not JSON, or holds a number outside the range of a 64-bit float.
    NotJson,
    /// JSON of another shape than the topic's plan says.
    WrongShape,
    /// No usable station where the plan points.
    MissingStation,
    /// No usable event time where the plan points.
    BadTime,
    /// A reading for a bucket that is closed.
    Late,
    /// Above a size limit.
    TooLarge,
    /// Nested deeper than the limit.
    TooDeep,
    /// A new station above the limit.
    TooManyStations,
    /// A module will never take this input.
    ModuleRejected,
    /// A module failed as often as it may.
    ModuleFailed,
    /// A module took longer than its time-out.
    ModuleTimeout,
    /// A module panicked.
    ModulePanicked,
    /// The result was refused by the broker.
    PublishFailed,
}

impl Reason {
    /// The word used in headers, logs and replay.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::WrongShape => "wrong_shape",
            Self::MissingStation => "missing_station",
            Self::BadTime => "bad_time",
            Self::Late => "late",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::TooManyStations => "too_many_stations",
            Self::ModuleRejected => "module_rejected",
            Self::ModuleFailed => "module_failed",
            Self::ModuleTimeout => "module_timeout",
            Self::ModulePanicked => "module_panicked",
            Self::PublishFailed => "publish_failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
