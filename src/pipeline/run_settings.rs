//! How one module is run, and what becomes of a run that fails: what the composition root tells the pipeline.

use std::sync::Arc;
use std::time::Duration;

pub use quorate_core::breaker::BreakerPolicy;

use super::ports::FailureSink;

/// How one module is run.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Calls at the same time.
    pub concurrency: usize,
    /// Calls of one input at the most.
    pub attempts: u32,
    /// Pause before the second call; doubles with each further one.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// Where its results go.
    pub output_topic: Arc<str>,
    /// What happens when calls fail.
    pub on_failure: OnFailure,
    /// For all calls of one input together: none starts when it is over. Pauses are cut to it.
    pub deadline: Option<Duration>,
    /// When the module is left alone for a while.
    pub breaker: Option<BreakerPolicy>,
    /// Where runs that failed for good are recorded.
    pub sinks: FailureSinks,
    /// Whether the log tells of each of its runs that is made for one reading.
    pub tells_of_tasks: bool,
}

/// What happens when calls of an input fail. A rejected input, and one whose call is stuck in its thread, is not tried
/// again under any of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is called up to `attempts` times; then the failure is recorded and the run is over.
    #[default]
    RetryThenDeadLetter,
    /// It is called once; the failure is recorded and the run is over.
    Commit,
    /// It is called up to `attempts` times; then the module stands still, and the run stays due until the next start.
    Halt,
}

/// Where runs that failed for good are recorded, before they count as over. One that fails for good itself never loses
/// the record: the dead-letter topic has the last word.
#[derive(Clone, Debug)]
pub struct FailureSinks {
    /// The dead-letter topic.
    pub topic: bool,
    /// An error event in the log.
    pub log: bool,
    /// Somebody who is told first.
    pub callback: Option<Arc<dyn FailureSink>>,
}

impl RunSettings {
    /// What holds where nothing else is said, with results going to `output_topic`.
    #[must_use]
    pub fn publishing_to(output_topic: &str) -> Self {
        Self {
            concurrency: 8,
            attempts: 3,
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(30),
            output_topic: output_topic.into(),
            on_failure: OnFailure::default(),
            deadline: None,
            breaker: None,
            sinks: FailureSinks::default(),
            tells_of_tasks: false,
        }
    }

    /// Calls of one input at the most, as the policy allows.
    pub(super) fn most_attempts(&self) -> u32 {
        match self.on_failure {
            OnFailure::Commit => 1,
            OnFailure::RetryThenDeadLetter | OnFailure::Halt => self.attempts.max(1),
        }
    }
}

impl Default for FailureSinks {
    fn default() -> Self {
        Self { topic: true, log: false, callback: None }
    }
}
