//! [`Gate`]: whether a call of one module may start. It has so much room at the same time, a breaker where one is
//! configured, and stands still once the module is halted. What is called, and why it failed, is not known here.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::breaker::{Admission, Breaker, BreakerChange, BreakerPhase, Pass};
use quorate_core::ident::Millis;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::counts::Counts;
use super::ports::Clock;
use super::run_settings::RunSettings;

/// Runs of one module that may be between their start and their last acknowledgement. Per module, so that one whose
/// output topic cannot be written holds up itself alone.
const IN_FLIGHT: usize = 1_000;

/// The gate of one module. All shards come to the same one.
pub(super) struct Gate {
    module: Arc<str>,
    calls: Arc<Semaphore>,
    in_flight: Arc<Semaphore>,
    state: watch::Sender<State>,
    /// Pauses are measured from here: the wall clock may jump.
    began: Instant,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct State {
    breaker: Option<Breaker>,
    halted: Option<Halted>,
    /// The process is ending: nobody waits for a gate that is shut.
    draining: bool,
}

#[derive(Clone)]
struct Halted {
    since: Millis,
    why: Arc<str>,
}

/// How a module stands with its own failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ModuleStanding {
    /// It is called.
    #[default]
    Running,
    /// Its breaker is open.
    Open {
        /// One call tries again at this moment.
        until: Millis,
    },
    /// Its breaker is half open: one call decides.
    HalfOpen,
    /// It is not called before the next start.
    Halted {
        /// When that began.
        since: Millis,
        /// The failure that halted it.
        why: Arc<str>,
    },
}

/// Leave to start one run, for its first call.
pub(super) struct Permit {
    pub(super) call: Call,
    /// Kept until the run has ended.
    pub(super) run: OwnedSemaphorePermit,
}

/// Leave for one call. Dropped unused, it leaves its place to another.
pub(super) struct Call {
    gate: Arc<Gate>,
    pass: Option<Pass>,
    _room: OwnedSemaphorePermit,
}

enum Decision {
    Go(Option<Pass>),
    /// Nothing before this moment, or before something changes.
    Wait(Option<Millis>),
    Halted,
    /// Shut, and the process is ending.
    Ending,
}

impl Gate {
    pub(super) fn new(module: Arc<str>, settings: &RunSettings, clock: Arc<dyn Clock>, counts: Arc<Counts>) -> Self {
        let state = State { breaker: settings.breaker.map(Breaker::new), ..State::default() };
        Self {
            module,
            calls: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
            state: watch::Sender::new(state),
            began: Instant::now(),
            clock,
            counts,
        }
    }

    /// Waits until a run may start. None when the process is ending and the gate is shut.
    pub(super) async fn admit(self: &Arc<Self>) -> Option<Permit> {
        let run = acquire(&self.in_flight).await;
        let mut changes = self.state.subscribe();
        loop {
            match self.enter().await {
                Ok(call) => return Some(Permit { call, run }),
                Err(Decision::Wait(until)) => self.wait(&mut changes, until).await,
                Err(Decision::Ending) => return None,
                Err(_) => self.wait(&mut changes, None).await,
            }
        }
    }

    /// Waits until a run may go on with a further call. None when it must not: the module is halted, or the process is
    /// ending and the gate is shut.
    pub(super) async fn readmit(self: &Arc<Self>) -> Option<Call> {
        let mut changes = self.state.subscribe();
        loop {
            match self.enter().await {
                Ok(call) => return Some(call),
                Err(Decision::Wait(until)) => self.wait(&mut changes, until).await,
                Err(_) => return None,
            }
        }
    }

    /// Nothing of the module starts any more. Only the first reason is kept.
    pub(super) fn halt(&self, station: &str, why: &str) {
        let halted = Halted { since: self.clock.now(), why: why.into() };
        let is_first = self.state.send_if_modified(|state| {
            let is_first = state.halted.is_none();
            state.halted.get_or_insert(halted);
            is_first
        });
        if is_first {
            let module = &*self.module;
            let remedy = "remove the cause, then restart: what was due is called again";
            error!(module, station, error = why, remedy, "module halted, the others go on");
        }
    }

    pub(super) fn is_halted(&self) -> bool {
        self.state.borrow().halted.is_some()
    }

    /// Whether runs of the module wait for something else than room.
    pub(super) fn is_shut(&self) -> bool {
        let state = self.state.borrow();
        let is_closed = |breaker: &Breaker| breaker.phase() == BreakerPhase::Closed;
        state.halted.is_some() || !state.breaker.as_ref().is_none_or(is_closed)
    }

    /// The process is ending: who waits for a gate that is shut waits no longer.
    pub(super) fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    pub(super) fn standing(&self) -> ModuleStanding {
        let state = self.state.borrow();
        if let Some(Halted { since, why }) = state.halted.clone() {
            return ModuleStanding::Halted { since, why };
        }
        match state.breaker.as_ref().map(Breaker::phase) {
            None | Some(BreakerPhase::Closed) => ModuleStanding::Running,
            Some(BreakerPhase::Open(until)) => {
                ModuleStanding::Open { until: self.clock.now().plus(until.since(self.now())) }
            }
            Some(BreakerPhase::HalfOpen { .. }) => ModuleStanding::HalfOpen,
        }
    }

    /// Waits for room, and only then asks whether a call may start: who has to wait for something else meanwhile takes
    /// up no room.
    async fn enter(self: &Arc<Self>) -> Result<Call, Decision> {
        let room = acquire(&self.calls).await;
        match self.decide() {
            Decision::Go(pass) => Ok(Call { gate: Arc::clone(self), pass, _room: room }),
            other => Err(other),
        }
    }

    fn decide(&self) -> Decision {
        let now = self.now();
        let mut decision = Decision::Halted;
        let mut tries = false;
        self.state.send_if_modified(|state| {
            let was_open = state.is_open();
            decision = state.decide(now);
            tries = was_open && !state.is_open();
            false
        });
        if tries {
            info!(module = &*self.module, "breaker half open, one call tries");
        }
        decision
    }

    async fn wait(&self, changes: &mut watch::Receiver<State>, until: Option<Millis>) {
        let pause = until.map(|until| u64::try_from(until.since(self.now())).unwrap_or(0));
        let over = async {
            match pause {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender is this gate's own.
            _ = changes.changed() => {}
            () = over => {}
        }
    }

    fn ended(&self, pass: Pass, succeeded: bool) {
        let now = self.now();
        let mut change = None;
        self.state.send_if_modified(|state| {
            change = state.breaker.as_mut().and_then(|breaker| breaker.ended(pass, succeeded, now));
            change.is_some()
        });
        let module = &*self.module;
        match change {
            Some(BreakerChange::Opened { failures, of, until }) => {
                self.counts.add_breaker_open();
                warn!(module, failures, of, pause_ms = until.since(now), "breaker open, calls wait");
            }
            Some(BreakerChange::Closed) => info!(module, "breaker closed, calls go on"),
            None => {}
        }
    }

    fn unused(&self, pass: Pass) {
        self.state.send_if_modified(|state| state.breaker.as_mut().is_some_and(|breaker| breaker.unused(pass)));
    }

    fn now(&self) -> Millis {
        Millis(i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

impl State {
    fn decide(&mut self, now: Millis) -> Decision {
        let decision = match (&self.halted, &mut self.breaker) {
            (Some(_), _) => Decision::Halted,
            (None, None) => Decision::Go(None),
            (None, Some(breaker)) => match breaker.admit(now) {
                Admission::Go(pass) => Decision::Go(Some(pass)),
                Admission::At(until) => Decision::Wait(Some(until)),
                Admission::AfterProbe => Decision::Wait(None),
            },
        };
        match decision {
            Decision::Wait(_) | Decision::Halted if self.draining => Decision::Ending,
            decision => decision,
        }
    }

    fn is_open(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| matches!(breaker.phase(), BreakerPhase::Open(_)))
    }
}

impl Call {
    /// The call took place. Success is any answer, a rejection included: it says that the module works.
    pub(super) fn ended(mut self, succeeded: bool) {
        if let Some(pass) = self.pass.take() {
            self.gate.ended(pass, succeeded);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.gate.unused(pass);
        }
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_owned().await {
        Ok(permit) => permit,
        // Semaphores of runs are never closed.
        Err(_) => std::future::pending().await,
    }
}
