//! Simulated time against real time: twelve minutes a second, in steps, and slower where the machine does not keep up.
//! Pure; real time is told to it.

use std::time::Duration;

use quorate_core::ident::Millis;

use crate::fleet::Cadence;

/// The longest stretch of simulated time that is made at once, in milliseconds: all of it is in memory.
const STEP_MS: i64 = 2 * 60_000;

/// Simulated milliseconds that may be made up for; what is further behind is let go, and the day takes longer.
const BEHIND_MS: i64 = 10 * STEP_MS;

/// Where simulated time stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// What simulated time was at real time zero, or would have been at the present pace.
    origin: Millis,
    reached: Millis,
}

impl Pace {
    pub(super) fn new(start: Millis) -> Self {
        Self { origin: start, reached: start }
    }

    /// The stretch that is due after so much real time; none when no time has passed.
    pub(super) fn step(&mut self, elapsed: Duration) -> Option<(Millis, Millis)> {
        let elapsed_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        let due = self.origin.plus(elapsed_ms.saturating_mul(Cadence::DEMO_SPEED));
        let from = self.reached;
        let to = due.min(from.plus(STEP_MS));
        if to <= from {
            return None;
        }
        let excess_ms = due.since(to) - BEHIND_MS;
        if excess_ms > 0 {
            self.origin = self.origin.plus(-excess_ms);
        }
        self.reached = to;
        Some((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_second_is_twelve_minutes_without_a_gap() {
        let mut pace = Pace::new(Millis(1_000));
        let mut reached = Millis(1_000);
        for tick in 1..=25 {
            let (from, to) = pace.step(after(tick * 40)).expect("time has passed");
            assert_eq!(from, reached);
            reached = to;
        }
        assert_eq!(reached.since(Millis(1_000)), 12 * 60_000);
        assert_eq!(pace.step(after(1_000)), None);
    }

    #[test]
    fn a_pause_is_made_up_for_in_bounded_steps_and_a_long_one_is_let_go() {
        let mut pace = Pace::new(Millis(0));
        let mut steps = 0;
        while let Some((from, to)) = pace.step(after(60_000)) {
            assert!(to.since(from) <= STEP_MS);
            steps += 1;
        }
        assert_eq!(steps, 11, "the first step and what may be made up for");
        let (from, to) = pace.step(after(60_040)).expect("time goes on");
        assert_eq!(to.since(from), 40 * Cadence::DEMO_SPEED);
    }
}
