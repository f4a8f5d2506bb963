//! What one module owes one station, and where that stands.

use super::RunState;
use super::waiting::Waiting;
use crate::contract::InputHash;
use crate::ident::{Millis, ModuleId, TopicId};
use crate::provenance::Origin;
use crate::window::{Handed, RunResult};

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
    /// Everything it led to is acknowledged. The result is what dependents see; none when there was none.
    Done(Option<RunResult>),
    /// It failed for good, and that is on record.
    GivenUp,
    /// Nothing came of it and nothing is on record: it stays due, and its module is called no more.
    PutBack,
}

/// What one module owes one station.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Something changed that no invocation has seen.
    pub(super) changed: bool,
    /// Closed buckets and readings that no invocation has seen, oldest first. Each is seen by one of its own.
    pub(super) pending: Waiting,
    /// The newest record that is unsettled because of those changes. None while the run waits for completeness: then
    /// nothing is due, and the record that completes the station will be owed instead.
    pub(super) owed: Option<Origin>,
    /// The first live record of each partition that was read before the module was loaded. Nobody knows which of them
    /// makes the run due when it is read again beside what is only loaded then, so each stays unsettled until an
    /// invocation that saw them all has ended.
    pub(super) early: Vec<Origin>,
    /// Whether the changes were due when the state was kept that this process began with, or a module above it has ended
    /// since, before this one was loaded.
    pub(super) due_before: bool,
    pub(super) phase: Phase,
    /// When a delayed or held run becomes ready at the latest.
    pub(super) until: Option<Millis>,
    /// Its place in the order in which stations were named.
    pub(super) turn: u64,
    /// The invocation in flight.
    pub(super) running: Option<Running>,
    /// How many of what is pending are counted as backlog, and of which topic.
    pub(super) backlog: (TopicId, usize),
    pub(super) last_at: Option<Millis>,
    /// Whether one was started in this process.
    pub(super) ran: bool,
    /// The hash of the input of the last run that ended.
    pub(super) ended: Option<InputHash>,
    /// Runs that failed for good since one last did not, and until when the station pauses on that account.
    pub(super) failures: u32,
    pub(super) paused_until: Option<Millis>,
    pub(super) watch: Watch,
    /// What was last given out of it to be kept.
    pub(super) kept: RunState,
}

/// An invocation in flight.
#[derive(Debug)]
pub(super) struct Running {
    /// Whether it sees changes beyond what was pending.
    pub(super) saw_changes: bool,
    /// The record that stays unsettled on account of these.
    pub(super) owed: Option<Origin>,
    /// Those that were read before its module was loaded.
    pub(super) early: Vec<Origin>,
    /// What it hands over.
    pub(super) pending: Option<Pending>,
    /// The hash of its input.
    pub(super) hash: Option<InputHash>,
}

/// A closed bucket or a reading that is to be handed over.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) number: u64,
    pub(super) topic: TopicId,
    pub(super) what: Handed,
    /// The record that stays unsettled until then.
    pub(super) owed: Option<Origin>,
    /// Whether it may be handed over: it is durable, or nothing is.
    pub(super) ready: bool,
    /// The key of a reading that is to be handed over once only.
    pub(super) key: Option<u128>,
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
        self.changed || self.pending.front().is_some_and(|pending| pending.ready)
    }

    /// Whether dependents wait for it.
    pub(super) fn is_at_work(&self) -> bool {
        matches!(self.phase, Phase::Held | Phase::Ready | Phase::Running)
    }

    /// What is kept of it. While its module is not `loaded`, changes count that were read live or were due before.
    pub(super) fn state(&self, loaded: bool) -> RunState {
        let due = self.changed && (loaded || self.due_before || !self.early.is_empty());
        let in_flight = self.running.as_ref().is_some_and(|running| running.saw_changes);
        // One that never ends is repeated at once: what it published must not be followed by anything older.
        let last_at = self.last_at.filter(|_| self.running.is_none());
        let (ended, failures) = (self.ended, self.failures);
        RunState { due: due || in_flight, last_at, ended, failures }
    }

    /// What waits under a number, in flight or not.
    pub(super) fn pending(&mut self, number: u64) -> Option<&mut Pending> {
        let in_flight = self.running.as_mut().and_then(|running| running.pending.as_mut());
        if let Some(pending) = in_flight.filter(|pending| pending.number == number) {
            return Some(pending);
        }
        self.pending.numbered(number)
    }
}
