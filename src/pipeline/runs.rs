//! Performs one run: calls the module, again if that may help, publishes what it returned, and dead-letters what
//! failed for good. A run has ended when everything it led to is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use quorate_core::RunResult;
use quorate_core::contract::{ModuleInput, Output};
use quorate_core::decode::Reason;
use quorate_core::ident::ModuleId;
use quorate_core::plan::Plan;
use quorate_core::shard::{End, Invocation, RunId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use super::counts::Counts;
use super::dead_letters::{DeadLetter, DeadLetterSender};
use super::envelope;
use super::ports::{CallOutcome, Clock, Executor, PublishError, Publisher};

/// Runs of one module that may be between their start and their last acknowledgement. Per module, so that one whose
/// output topic cannot be written holds up itself alone.
const IN_FLIGHT: usize = 1_000;

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
}

/// Everything a run needs.
pub(super) struct Runs {
    modules: Vec<Room>,
    plan: Arc<Plan>,
    executor: Arc<dyn Executor>,
    publisher: Arc<dyn Publisher>,
    dead: DeadLetterSender,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
}

/// The room one module has.
struct Room {
    settings: RunSettings,
    calls: Arc<Semaphore>,
    in_flight: Arc<Semaphore>,
}

/// Leave to start one run of a module.
pub(super) struct Permit {
    call: OwnedSemaphorePermit,
    run: OwnedSemaphorePermit,
}

impl Runs {
    pub(super) fn new(
        settings: Vec<RunSettings>,
        plan: Arc<Plan>,
        executor: Arc<dyn Executor>,
        publisher: Arc<dyn Publisher>,
        dead: DeadLetterSender,
        clock: Arc<dyn Clock>,
        counts: Arc<Counts>,
    ) -> Self {
        let modules = settings.into_iter().map(|settings| Room {
            calls: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
            settings,
        });
        Self { modules: modules.collect(), plan, executor, publisher, dead, clock, counts }
    }

    /// Waits until a run of `module` may start.
    pub(super) async fn admit(&self, module: ModuleId) -> Permit {
        let Room { calls, in_flight, .. } = &self.modules[module.ix()];
        let run = acquire(in_flight).await;
        let call = acquire(calls).await;
        Permit { call, run }
    }

    /// Performs a run to its end, and says what modules that depend on it are to see. The permit to call is given back
    /// while the run pauses or publishes.
    pub(super) async fn perform(self: Arc<Self>, invocation: Invocation, permit: Permit) -> (RunId, End) {
        let Invocation { run, input } = invocation;
        let input = Arc::new(input);
        let Permit { mut call, run: _in_flight } = permit;
        let Room { settings, calls, .. } = &self.modules[run.module.ix()];
        self.counts.add_input();
        let mut attempt = 1;
        loop {
            let outcome = self.executor.call(run.module, Arc::clone(&input)).await;
            drop(call);
            self.counts.add_outcome(name(&outcome));
            let is_final = matches!(outcome, CallOutcome::Rejected(_) | CallOutcome::Stuck(_));
            let (reason, detail) = match outcome {
                CallOutcome::Returned(outputs) => {
                    let last = self.publish(run.module, &input, attempt, &outputs).await;
                    let seen = last.and_then(|last| RunResult::of(&input, std::slice::from_ref(last)));
                    return (run, End::Done(seen));
                }
                CallOutcome::Rejected(detail) => (Reason::ModuleRejected, detail),
                CallOutcome::Failed(detail) => (Reason::ModuleFailed, detail),
                CallOutcome::Stuck(after) | CallOutcome::TimedOut(after) => {
                    (Reason::ModuleTimeout, format!("no result within {after:?}"))
                }
                CallOutcome::Panicked(detail) => (Reason::ModulePanicked, detail),
            };
            let (module, station) = (&*input.module, input.station.as_str());
            if is_final || attempt >= settings.attempts {
                warn!(module, station, reason = reason.as_str(), detail, attempt, "run failed for good");
                self.give_up(&input, reason, detail, attempt).await;
                return (run, End::GivenUp);
            }
            let pause = pause(settings, attempt, &input);
            warn!(module, station, reason = reason.as_str(), detail, attempt, ?pause, "run failed, will be repeated");
            tokio::time::sleep(pause).await;
            call = acquire(calls).await;
            attempt += 1;
            self.counts.add_retry();
        }
    }

    /// Publishes every result and waits for all of them; one that is refused does not hold the others up. The last that
    /// was acknowledged.
    async fn publish<'o>(
        &self,
        module: ModuleId,
        input: &ModuleInput,
        attempt: u32,
        outputs: &'o [Output],
    ) -> Option<&'o Output> {
        let settings = &self.modules[module.ix()].settings;
        let version = &self.plan.module(module).version;
        let sends = outputs.iter().map(|output| {
            let record = envelope::result(&settings.output_topic, input, version, attempt, output);
            self.publisher.publish(record)
        });
        let mut last = None;
        for (output, sent) in outputs.iter().zip(join_all(sends).await) {
            match sent {
                Ok(()) => {
                    self.counts.add_result();
                    last = Some(output);
                }
                Err(PublishError::Refused(detail)) => {
                    warn!(module = &*input.module, station = input.station.as_str(), detail, "result refused");
                    self.give_up(input, Reason::PublishFailed, detail, attempt).await;
                }
                // The process is ending: the run stays owed, because nobody hears of its end any more.
                Err(PublishError::Closed) => std::future::pending().await,
            }
        }
        last
    }

    async fn give_up(&self, input: &ModuleInput, reason: Reason, detail: String, attempts: u32) {
        let letter = DeadLetter::of_run(input, reason, detail, attempts, self.clock.now());
        self.dead.settle(letter).await;
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_owned().await {
        Ok(permit) => permit,
        // Semaphores of runs are never closed.
        Err(_) => std::future::pending().await,
    }
}

fn name(outcome: &CallOutcome) -> &'static str {
    match outcome {
        CallOutcome::Returned(_) => "returned",
        CallOutcome::Failed(_) => "failed",
        CallOutcome::Rejected(_) => "rejected",
        CallOutcome::TimedOut(_) => "timed_out",
        CallOutcome::Stuck(_) => "stuck",
        CallOutcome::Panicked(_) => "panicked",
    }
}

/// Exponential backoff with jitter between half and the whole of it, so that stations that failed together do not come
/// back together. The jitter comes from the input's hash: what is random need not be unpredictable.
fn pause(settings: &RunSettings, attempt: u32, input: &ModuleInput) -> Duration {
    let doubled = settings.backoff.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(settings.max_backoff);
    let share = (input.input_hash.0 >> (attempt % 64)) as u8;
    doubled / 2 + doubled.mul_f64(f64::from(share) / 512.0)
}
