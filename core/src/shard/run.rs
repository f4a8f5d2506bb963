//! What one module owes one station, and where that stands.

use crate::ident::{Millis, ModuleId};
use crate::provenance::Origin;

/// Names a run that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId {
    pub(super) station: u32,
    /// The module it is a run of.
    pub module: ModuleId,
}

/// What one module owes one station.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Something changed that no invocation has seen.
    pub(super) changed: bool,
    /// The newest record that is unsettled because of those changes. None while the run waits for completeness: then
    /// nothing is due, and the record that completes the station will be owed instead.
    pub(super) owed: Option<Origin>,
    pub(super) phase: Phase,
    /// The record that the invocation in flight is owed to.
    pub(super) running: Option<Origin>,
    pub(super) last_at: Option<Millis>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is scheduled.
    #[default]
    Idle,
    /// Due, but the interval since the last run is not over.
    Delayed,
    /// In the queue of its module.
    Ready,
    /// An invocation is in flight.
    Running,
}
