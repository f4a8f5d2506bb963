//! How modules are run: attempts, what becomes of failures, what is done once only. Plain data.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::plan::Pointer;

/// How one module is run.
#[derive(Clone, Debug)]
pub struct ModuleSettings {
    /// Its name, as in the plan.
    pub name: Arc<str>,
    /// The longest one call may take.
    pub timeout: Duration,
    /// Attempts and the pauses between them.
    pub retry: Retry,
    /// Calls at the same time.
    pub concurrency: usize,
    /// Where its results go.
    pub output_topic: String,
    /// What becomes of an input that fails.
    pub on_failure: OnFailure,
    /// The most that all attempts of one input may take together, pauses included.
    pub deadline: Option<Duration>,
    /// When calls of the module cease for a while; none: never.
    pub breaker: Option<BreakerSettings>,
    /// When a single station pauses for the module; none: never.
    pub quarantine: Option<QuarantineSettings>,
    /// Who is told of an input given up.
    pub failure: FailureSettings,
    /// What tells a reading that was worked on before; only with the trigger `each`.
    pub once: Option<OnceSettings>,
    /// Readings that may wait for a run of their own; then their topic's lane stops. Only with the trigger `each`.
    pub max_pending: usize,
}

/// What becomes of an input that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It is tried again, and given up with its reason after the last attempt.
    RetryThenDeadLetter,
    /// It is given up after the first attempt; [`Retry::attempts`] is 1 then.
    Commit,
    /// It is tried again; after the last attempt the module stops, and what it owes stays due. Others go on.
    Halt,
}

/// When calls of a module cease for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerSettings {
    /// The share of failed calls from which on it is open; above 0, at most 1.
    pub failure_ratio: f64,
    /// Over how many of the last calls the share is taken, at least 1; before there are as many, it stays closed.
    pub of: u32,
    /// How long it is open before one call tries again.
    pub pause: Duration,
}

/// When a single station pauses for a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantineSettings {
    /// Inputs of the station given up one after another, at least 1.
    pub after: u32,
    /// The first pause; doubles as long as the next input is given up as well.
    pub pause: Duration,
    /// The longest pause, at least `pause`.
    pub max_pause: Duration,
}

/// Who is told of an input given up; at least one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureSettings {
    /// The topic of dead letters.
    pub topic: bool,
    /// The log.
    pub log: bool,
    /// Somebody else's service.
    pub callback: Option<CallbackSettings>,
}

/// A service that is told by HTTP, once per run given up, before its record counts as settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackSettings {
    /// An `http` address with a host, without login and fragment.
    pub url: String,
    /// The longest one request may take.
    pub timeout: Duration,
    /// Requests at the most, the first included.
    pub attempts: u32,
    /// Pause before the second request; doubles with each further one.
    pub backoff: Duration,
}

/// What tells a reading that was worked on before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnceSettings {
    /// Where the key stands in the reading that triggers. It is kept whatever `fields` of the topic says.
    pub key: Pointer,
    /// How long a key that is done is remembered.
    pub keep: Duration,
    /// Keys remembered at the most; the oldest leave first.
    pub max: usize,
}

/// Attempts and the pauses between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Calls at the most, the first included.
    pub attempts: u32,
    /// Pause before the second call; doubles with each further one.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
}

impl Retry {
    /// The longest that all calls of one input and the pauses between them may take.
    #[must_use]
    pub fn longest(&self, timeout: Duration) -> Duration {
        let pauses = (1..self.attempts).map(|attempt| self.pause(attempt));
        pauses.fold(timeout.saturating_mul(self.attempts), Duration::saturating_add)
    }

    /// The longest pause after the call numbered `attempt`, counted from 1.
    #[must_use]
    pub fn pause(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.backoff.saturating_mul(1 << doublings).min(self.max_backoff)
    }
}
