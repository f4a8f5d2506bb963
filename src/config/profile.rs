//! Profiles: named sets of values for the keys of `[kafka.consumer]`, which explicit keys win over.
//! Knows the values, not where they are asked for.

use super::consumer::Quota;
use super::settings::OffsetReset;

/// A named set of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// Small turns: results soon after their readings.
    Realtime,
    /// Large turns and long patience: a backlog is drained fast.
    CatchUp,
    /// Tasks of a queue that several may work on.
    Task,
    /// Tasks of which one is in hand at a time and may take minutes. Positions are committed as tasks settle, which
    /// is what `enable_auto_commit = false`, the default, means for every profile.
    ExclusiveTask,
}

impl Profile {
    /// Those there are, by name.
    pub(super) fn words() -> Vec<(&'static str, Self)> {
        [Self::Realtime, Self::CatchUp, Self::Task, Self::ExclusiveTask].map(|profile| (profile.name(), profile)).into()
    }

    /// Those of the contract that this version does not know.
    pub(super) const LATER: &'static [&'static str] = &["control"];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Realtime => "realtime",
            Self::CatchUp => "catch_up",
            Self::Task => "task",
            Self::ExclusiveTask => "exclusive_task",
        }
    }

    /// What it says about a number; none: nothing.
    pub(super) fn number(self, key: &str) -> Option<i64> {
        let (session_ms, heartbeat_ms, interval_ms) = match self {
            Self::Realtime => (30_000, None, 300_000),
            Self::CatchUp => (60_000, None, 600_000),
            Self::Task => (30_000, Some(3_000), 300_000),
            Self::ExclusiveTask => (60_000, Some(10_000), 600_000),
        };
        match key {
            "session_timeout_ms" => Some(session_ms),
            "heartbeat_interval_ms" => heartbeat_ms,
            "max_poll_interval_ms" => Some(interval_ms),
            _ => None,
        }
    }

    /// `max_poll_records`.
    pub(super) fn quota(self) -> Quota {
        Quota::Records(match self {
            Self::Realtime => 300,
            Self::CatchUp => 1000,
            Self::Task => 10,
            Self::ExclusiveTask => 1,
        })
    }

    /// `auto_offset_reset`.
    pub(super) fn reset(self) -> Option<OffsetReset> {
        match self {
            Self::Realtime | Self::CatchUp => None,
            Self::Task => Some(OffsetReset::Earliest),
            Self::ExclusiveTask => Some(OffsetReset::Latest),
        }
    }
}
