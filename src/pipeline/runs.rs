//! Performs one run: calls the module, again if that may help, publishes what it returned, and records what failed for
//! good. A run has ended when everything it led to is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use quorate_core::RunResult;
use quorate_core::contract::{ModuleInput, Output};
use quorate_core::decode::Reason;
use quorate_core::ident::ModuleId;
use quorate_core::plan::Plan;
use quorate_core::shard::{End, Invocation, RunId};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

use super::counts::Counts;
use super::dead_letters::DeadLetterSender;
use super::durable::{CallLog, UnderWay};
use super::envelope;
pub use super::gate::ModuleStanding;
pub(super) use super::gate::Permit;
use super::gate::{Call, Gate};
use super::given_up::GivenUp;
use super::ports::{CallOutcome, Clock, Executor, Failure, PublishError, Publisher};
use super::run_settings::{OnFailure, RunSettings};
use super::told::Told;
use crate::fault::{deadly_call, kill_point};

/// Results that one run may have.
pub const MAX_OUTPUTS: usize = 10_000;

/// Bytes that the results of one run may have together.
pub const MAX_OUTPUT_BYTES: usize = 64 << 20;

/// Everything a run needs.
pub(super) struct Runs {
    modules: Vec<Room>,
    plan: Arc<Plan>,
    executor: Arc<dyn Executor>,
    publisher: Arc<dyn Publisher>,
    given_up: GivenUp,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
    calls: Option<Arc<dyn CallLog>>,
}

/// The room one module has.
struct Room {
    settings: RunSettings,
    gate: Arc<Gate>,
}

/// Why there is no result.
struct Trouble {
    reason: Reason,
    detail: String,
    /// Calling again with the same input cannot help.
    is_final: bool,
}

/// What a run that failed may do.
enum Again {
    Call(Call),
    /// Its deadline has passed.
    TooLate,
    /// Nothing of its module starts any more in this process.
    Never,
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
        let modules = settings.into_iter().zip(&plan.modules).map(|(settings, module)| {
            let gate = Gate::new(Arc::clone(&module.name), &settings, Arc::clone(&clock), Arc::clone(&counts));
            Room { settings, gate: Arc::new(gate) }
        });
        let given_up = GivenUp::new(dead, Arc::clone(&counts));
        Self { modules: modules.collect(), plan, executor, publisher, given_up, clock, counts, calls: None }
    }

    /// Has calls under way noted.
    pub(super) fn noted_in(self, calls: Option<Arc<dyn CallLog>>) -> Self {
        Self { calls, ..self }
    }

    /// Waits until a run of `module` may start; as long as its breaker is open or it is halted, too. None when the
    /// process is ending and that will not be before: what is due stays due.
    pub(super) async fn admit(&self, module: ModuleId) -> Option<Permit> {
        self.modules[module.ix()].gate.admit().await
    }

    /// Whether what is due for `module` waits for something else than room: a breaker, or a restart.
    pub(super) fn is_shut(&self, module: ModuleId) -> bool {
        self.modules[module.ix()].gate.is_shut()
    }

    /// How `module` stands with its own failures.
    pub(super) fn standing(&self, module: ModuleId) -> ModuleStanding {
        self.modules[module.ix()].gate.standing()
    }

    /// The process is ending: runs of modules that are shut are put back rather than waited for.
    pub(super) fn drain(&self) {
        self.modules.iter().for_each(|room| room.gate.drain());
    }

    /// Performs a run to its end, and says what modules that depend on it are to see. The leave to call is given back
    /// while the run pauses or publishes.
    pub(super) async fn perform(self: Arc<Self>, invocation: Invocation, permit: Permit) -> (RunId, End) {
        let Invocation { run, input } = invocation;
        let Permit { call, run: _in_flight } = permit;
        self.counts.add_input();
        let input = Arc::new(input);
        let told = self.modules[run.module.ix()].settings.tells_of_tasks.then(|| Told::started(&input)).flatten();
        let end = self.attempts(run.module, Arc::clone(&input), call).await;
        if let Some(told) = told {
            told.ended(&end);
        }
        (run, end)
    }

    /// Calls the module until it answers, may not be called any more, or need not be.
    async fn attempts(&self, module: ModuleId, input: Arc<ModuleInput>, mut call: Call) -> End {
        let Room { settings, gate } = &self.modules[module.ix()];
        let deadline = settings.deadline.and_then(|deadline| Instant::now().checked_add(deadline));
        let mut attempt = 1;
        loop {
            if gate.is_halted() {
                return End::PutBack;
            }
            let trouble = match self.call(module, &input, call).await {
                Ok(outputs) => return self.publish(module, &input, attempt, &outputs).await,
                Err(trouble) => trouble,
            };
            let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
            if trouble.is_final || is_late || attempt >= settings.most_attempts() {
                return self.give_up(module, &input, &trouble, attempt).await;
            }
            let pause = pause(settings, attempt, &input);
            let (name, station, reason) = (&*input.module, input.station.as_str(), trouble.reason.as_str());
            let detail = trouble.shown();
            warn!(module = name, station, reason, detail, attempt, ?pause, "run failed, will be repeated");
            call = match again(gate, pause, deadline).await {
                Again::Call(call) => call,
                Again::TooLate => return self.give_up(module, &input, &trouble, attempt).await,
                Again::Never => return End::PutBack,
            };
            attempt += 1;
            self.counts.add_retry();
        }
    }

    async fn call(&self, module: ModuleId, input: &Arc<ModuleInput>, call: Call) -> Result<Vec<Output>, Trouble> {
        let under_way = UnderWay::begin(self.calls.as_ref(), &input.module, input.station.as_str());
        kill_point("before_module");
        deadly_call(&input.module, input.station.as_str());
        let outcome = self.executor.call(module, Arc::clone(input)).await;
        drop(under_way);
        kill_point("after_module");
        call.ended(matches!(outcome, CallOutcome::Returned(_) | CallOutcome::Rejected(_)));
        self.counts.add_outcome(name(&outcome));
        let is_final = matches!(outcome, CallOutcome::Rejected(_) | CallOutcome::Stuck(_));
        let (reason, detail) = match outcome {
            CallOutcome::Returned(outputs) => return within_limits(outputs),
            CallOutcome::Rejected(detail) => (Reason::ModuleRejected, detail),
            CallOutcome::Failed(detail) => (Reason::ModuleFailed, detail),
            CallOutcome::Stuck(after) | CallOutcome::TimedOut(after) => {
                (Reason::ModuleTimeout, format!("no result within {after:?}"))
            }
            CallOutcome::Panicked(detail) => (Reason::ModulePanicked, detail),
        };
        Err(Trouble { reason, detail, is_final })
    }

    /// Publishes every result and waits for all of them; one that is refused does not hold the others up. Dependents see
    /// the last that was acknowledged.
    async fn publish(&self, module: ModuleId, input: &Arc<ModuleInput>, attempt: u32, outputs: &[Output]) -> End {
        let settings = &self.modules[module.ix()].settings;
        let version = &self.plan.module(module).version;
        let sends = outputs.iter().map(|output| {
            let record = envelope::result(&settings.output_topic, input, version, attempt, output);
            self.publisher.publish(record)
        });
        let (mut last, mut refused) = (None, Vec::new());
        for (output, sent) in outputs.iter().zip(join_all(sends).await) {
            match sent {
                Ok(()) => {
                    kill_point("result_acknowledged");
                    self.counts.add_result();
                    last = Some(output);
                }
                Err(PublishError::Refused(detail)) => refused.push(detail),
                // The process is ending: the run stays owed, because nobody hears of its end any more.
                Err(PublishError::Closed) => std::future::pending().await,
            }
        }
        let seen = || last.and_then(|last| RunResult::of(input, std::slice::from_ref(last)));
        let Some(first) = refused.first() else {
            self.counts.add_settled(&input.module, "done");
            return End::Done(seen());
        };
        let detail = format!("{} of {} results refused: {first}", refused.len(), outputs.len());
        let trouble = Trouble { reason: Reason::PublishFailed, detail, is_final: true };
        match self.give_up(module, input, &trouble, attempt).await {
            End::GivenUp if last.is_some() => End::Done(seen()),
            end => end,
        }
    }

    /// The run failed for good: records that, or halts the module.
    async fn give_up(&self, module: ModuleId, input: &Arc<ModuleInput>, trouble: &Trouble, attempts: u32) -> End {
        let Room { settings, gate } = &self.modules[module.ix()];
        let (name, station, reason) = (&*input.module, input.station.as_str(), trouble.reason);
        if settings.on_failure == OnFailure::Halt {
            gate.halt(station, &format!("{reason}: {}", trouble.shown()));
            return End::PutBack;
        }
        warn!(
            module = name,
            station,
            reason = reason.as_str(),
            detail = trouble.shown(),
            attempts,
            "run failed for good"
        );
        let failure = Failure::new(Arc::clone(input), reason, &trouble.detail, attempts, self.clock.now());
        self.given_up.record(&settings.sinks, &failure).await;
        self.counts.add_settled(&input.module, outcome(reason));
        if settings.on_failure == OnFailure::Commit {
            warn!(module = name, station, reason = reason.as_str(), id = failure.id(), "committed despite error");
        }
        End::GivenUp
    }
}

impl Trouble {
    /// As much of the detail as is kept.
    fn shown(&self) -> &str {
        Failure::kept(&self.detail)
    }
}

/// Pauses, and waits until a further call may start. Neither outlasts the deadline.
async fn again(gate: &Arc<Gate>, pause: Duration, deadline: Option<Instant>) -> Again {
    let until = Instant::now() + pause;
    sleep_until(deadline.map_or(until, |deadline| until.min(deadline))).await;
    let admitted = match deadline {
        Some(deadline) => match timeout_at(deadline, gate.readmit()).await {
            Ok(admitted) => admitted,
            Err(_) => return Again::TooLate,
        },
        None => gate.readmit().await,
    };
    admitted.map_or(Again::Never, Again::Call)
}

/// Results of one run, unless there are more than can be meant.
fn within_limits(outputs: Vec<Output>) -> Result<Vec<Output>, Trouble> {
    let bytes: usize = outputs.iter().map(|output| output.as_json().len()).sum();
    if outputs.len() <= MAX_OUTPUTS && bytes <= MAX_OUTPUT_BYTES {
        return Ok(outputs);
    }
    let count = outputs.len();
    let detail = format!("{count} results of {bytes} bytes, at most {MAX_OUTPUTS} of {MAX_OUTPUT_BYTES} are taken");
    Err(Trouble { reason: Reason::ModuleRejected, detail, is_final: true })
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

/// How a run ended, for the counts.
fn outcome(reason: Reason) -> &'static str {
    match reason {
        Reason::ModuleRejected => "rejected",
        Reason::ModuleTimeout => "timed_out",
        Reason::ModulePanicked => "panicked",
        Reason::PublishFailed => "publish_failed",
        _ => "failed",
    }
}

/// Exponential backoff with jitter between half and the whole of it, so that stations that failed together do not come
/// back together. The jitter comes from the input's hash: what is random need not be unpredictable.
fn pause(settings: &RunSettings, attempt: u32, input: &ModuleInput) -> Duration {
    let doubled = settings.backoff.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(settings.max_backoff);
    let share = (input.input_hash.0 >> (attempt % 64)) as u8;
    doubled / 2 + doubled.mul_f64(f64::from(share) / 512.0)
}
