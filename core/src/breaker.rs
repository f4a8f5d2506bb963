//! [`Breaker`]: whether a module that keeps failing may be called. A plain value: time is an argument, and nothing is
//! known here of what is called.

use std::collections::VecDeque;

use crate::ident::Millis;

/// The longest pause, as a multiple of the first one.
pub const LONGEST_PAUSE: i64 = 16;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// It opens once at least this share of the last calls failed, between 0 and 1. A failure it takes in any case.
    pub failure_ratio: f64,
    /// How many calls, the last ones, that is measured over; until so many have ended it stays closed. At least 1.
    pub of: usize,
    /// Milliseconds until one call tries again. Doubles each time that one fails, to [`LONGEST_PAUSE`] times.
    pub pause_ms: i64,
}

/// Counts how calls end, and lets none start for a while when too many fail.
///
/// It is closed (calls start) until too many fail; then open (none starts) for a pause; then half open: one call, the
/// probe, starts. If that succeeds it is closed again and has forgotten what was before, else open for twice the pause.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    phase: BreakerPhase,
    /// How the last calls ended since it was closed; true is a success.
    ended: VecDeque<bool>,
    failures: usize,
    pause_ms: i64,
    /// Counts phases. A call that began in an earlier one says nothing about this one.
    era: u64,
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerPhase {
    /// Calls start.
    Closed,
    /// None starts before this moment.
    Open(Millis),
    /// One call may start, or is under way, and decides.
    HalfOpen {
        /// Whether that call has been let through.
        probing: bool,
    },
}

/// Whether a call may start.
#[derive(Debug)]
pub enum Admission {
    /// It may.
    Go(Pass),
    /// Not before this moment.
    At(Millis),
    /// Not before the probe has ended.
    AfterProbe,
}

/// Leave for one call. Goes back to its breaker when the call ends, or did not take place.
#[derive(Debug)]
#[must_use]
pub struct Pass {
    era: u64,
}

/// What the end of a call changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerChange {
    /// It opened: so many of the last calls failed. The probe that failed is one of one.
    Opened {
        /// Calls that failed.
        failures: usize,
        /// Out of so many.
        of: usize,
        /// No call starts before this moment.
        until: Millis,
    },
    /// The probe succeeded.
    Closed,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        let policy = BreakerPolicy { of: policy.of.max(1), pause_ms: policy.pause_ms.max(1), ..policy };
        let pause_ms = policy.pause_ms;
        Self { policy, phase: BreakerPhase::Closed, ended: VecDeque::new(), failures: 0, pause_ms, era: 0 }
    }

    /// Where it stands. An open one whose pause is over is still open here, until somebody asks to be admitted.
    #[must_use]
    pub fn phase(&self) -> BreakerPhase {
        self.phase
    }

    /// Whether a call may start at this moment.
    pub fn admit(&mut self, now: Millis) -> Admission {
        match self.phase {
            BreakerPhase::Closed => return Admission::Go(Pass { era: self.era }),
            BreakerPhase::Open(until) if now < until => return Admission::At(until),
            BreakerPhase::HalfOpen { probing: true } => return Admission::AfterProbe,
            BreakerPhase::Open(_) => self.era += 1,
            BreakerPhase::HalfOpen { probing: false } => {}
        }
        self.phase = BreakerPhase::HalfOpen { probing: true };
        Admission::Go(Pass { era: self.era })
    }

    /// A call ended.
    pub fn ended(&mut self, pass: Pass, succeeded: bool, now: Millis) -> Option<BreakerChange> {
        if pass.era != self.era {
            return None;
        }
        match self.phase {
            BreakerPhase::Closed => {
                self.count(succeeded);
                let (failures, of) = (self.failures, self.policy.of);
                (self.ended.len() == of && failures >= self.threshold()).then(|| self.open(failures, of, now))
            }
            BreakerPhase::HalfOpen { .. } if succeeded => {
                self.phase = BreakerPhase::Closed;
                self.pause_ms = self.policy.pause_ms;
                self.era += 1;
                Some(BreakerChange::Closed)
            }
            BreakerPhase::HalfOpen { .. } => {
                self.pause_ms =
                    (self.pause_ms.saturating_mul(2)).min(self.policy.pause_ms.saturating_mul(LONGEST_PAUSE));
                Some(self.open(1, 1, now))
            }
            // Every pass of this phase would have been one of an earlier one.
            BreakerPhase::Open(_) => None,
        }
    }

    /// A call did not take place: if it was the probe, another one may be. Says whether it was.
    pub fn unused(&mut self, pass: Pass) -> bool {
        let was_probe = pass.era == self.era && self.phase == BreakerPhase::HalfOpen { probing: true };
        if was_probe {
            self.phase = BreakerPhase::HalfOpen { probing: false };
        }
        was_probe
    }

    fn open(&mut self, failures: usize, of: usize, now: Millis) -> BreakerChange {
        let until = now.plus(self.pause_ms);
        self.phase = BreakerPhase::Open(until);
        self.era += 1;
        self.ended.clear();
        self.failures = 0;
        BreakerChange::Opened { failures, of, until }
    }

    fn count(&mut self, succeeded: bool) {
        if self.ended.len() == self.policy.of && self.ended.pop_front() == Some(false) {
            self.failures -= 1;
        }
        self.ended.push_back(succeeded);
        self.failures += usize::from(!succeeded);
    }

    /// Failures that open it.
    fn threshold(&self) -> usize {
        let share = (self.policy.failure_ratio.clamp(0.0, 1.0) * self.policy.of as f64).ceil();
        // Between 0 and `of`, and whole.
        (share as usize).max(1)
    }
}
