//! What one module owes one station, and where that stands.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ident::{Millis, ModuleId, TopicId};
use crate::provenance::Origin;
use crate::window::{Closed, RunResult};

/// Names a run that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId {
    pub(super) station: u32,
    /// The module it is a run of.
    pub module: ModuleId,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum End {
    /// Its results, if it has any, are acknowledged; this is what modules that depend on it see of them.
    Done(Option<RunResult>),
    /// It failed for good, and that is recorded.
    GivenUp,
    /// Nothing came of it and nothing was recorded: it stays due.
    PutBack,
}

impl From<Option<RunResult>> for End {
    fn from(result: Option<RunResult>) -> Self {
        Self::Done(result)
    }
}

/// What one module owes one station.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Something changed that no invocation has seen.
    pub(super) changed: bool,
    /// Closed buckets that no invocation has seen, oldest first. Each is seen by one of its own.
    pub(super) pending: VecDeque<Pending>,
    /// The newest record that is unsettled because of those changes. None while the run waits for completeness: then
    /// nothing is due, and the record that completes the station will be owed instead.
    pub(super) owed: Option<Origin>,
    /// Until the module is loaded: the first live record of each partition that it reads. Nobody knows yet which of them
    /// matter, so each stays unsettled.
    pub(super) early: Vec<Origin>,
    pub(super) phase: Phase,
    /// When a delayed or held run becomes ready at the latest.
    pub(super) until: Option<Millis>,
    /// Its place in the order in which stations were named.
    pub(super) turn: u64,
    /// The records that the invocation in flight is owed to: by its changes, and by its bucket.
    pub(super) running: (Option<Origin>, Option<Origin>),
    /// How many of the pending buckets are counted as backlog, and of which topic.
    pub(super) backlog: (TopicId, usize),
    pub(super) last_at: Option<Millis>,
    pub(super) watch: Watch,
}

/// A closed bucket that is to be handed over.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) topic: TopicId,
    pub(super) bucket: Arc<Closed>,
    /// The record that stays unsettled until then.
    pub(super) owed: Option<Origin>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is scheduled.
    #[default]
    Idle,
    /// Due, but the interval since the last run is not over.
    Delayed,
    /// Due, but a module that it depends on is at work on the same version of the input.
    Held,
    /// In the queue of its module.
    Ready,
    /// An invocation is in flight.
    Running,
}

/// What is known of a station's completeness for a module, so that nobody looks more often than needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Watch {
    /// Nothing: the next change of an input is looked at.
    #[default]
    Open,
    /// Complete, and nothing can grow too old.
    Calm,
    /// It is looked at again at this moment.
    Armed(Millis),
    /// Incomplete for so long that the alarm was raised.
    Raised,
}

impl Run {
    /// Whether an invocation has something to see.
    pub(super) fn wants(&self) -> bool {
        self.changed || !self.pending.is_empty()
    }

    /// Whether dependents wait for it.
    pub(super) fn is_at_work(&self) -> bool {
        matches!(self.phase, Phase::Held | Phase::Ready | Phase::Running)
    }
}
