//! What the log says of a task on its way through a module: that it was started, and how it ended. That its record was
//! received and its position committed is told by whoever reads the queue, under the same target.

use quorate_core::contract::{ModuleInput, ReadingOrigin};
use quorate_core::shard::End;
use tokio::time::Instant;
use tracing::info;

use super::ports::TASKS;

/// A task in hand.
pub(super) struct Told<'a> {
    input: &'a ModuleInput,
    task: &'a ReadingOrigin,
    began: Instant,
}

impl<'a> Told<'a> {
    /// Tells that a run starts, if it is one of a task.
    pub(super) fn started(input: &'a ModuleInput) -> Option<Self> {
        let task = input.reading.as_ref()?;
        let (module, station) = (&*input.module, input.station.as_str());
        info!(target: TASKS, module, station, %task, "task started");
        Some(Self { input, task, began: Instant::now() })
    }

    /// Tells that it is over.
    pub(super) fn ended(self, end: &End) {
        let outcome = match end {
            End::Done(_) => "done",
            End::GivenUp => "given_up",
            End::PutBack => "put_back",
        };
        let (module, station) = (&*self.input.module, self.input.station.as_str());
        info!(target: TASKS, module, station, task = %self.task, outcome, took = ?self.began.elapsed(), "task ended");
    }
}
