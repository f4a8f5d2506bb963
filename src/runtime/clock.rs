//! The one place that reads the wall clock, and the rule that makes it steady: a clock that jumps is believed only once
//! it has stayed where it jumped to. Deadlines, ages and expiry follow what this clock says.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quorate_core::ident::Millis;
use tracing::warn;

use crate::fault::clock_error_ms;
use crate::pipeline::ports::Clock;

/// Corrections of so many milliseconds are followed at once: clocks that are kept right are slewed, not set.
const SLEWED_MS: i64 = 2_000;
/// What is further off counts once it has lasted for so long. Until then time goes on as if nothing had happened.
const BELIEVED_AFTER: Duration = Duration::from_secs(60);

/// The system's clock without its jumps.
#[derive(Debug)]
pub struct WallClock {
    began: Instant,
    steady: Mutex<Steady>,
}

impl WallClock {
    /// A clock that believes what the system says at the moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn new() -> Self {
        Self { began: Instant::now(), steady: Mutex::new(Steady::new(system())) }
    }

    /// Whoever panicked while holding it left nothing half done.
    fn steady(&self) -> MutexGuard<'_, Steady> {
        self.steady.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for WallClock {
    fn now(&self) -> Millis {
        let mut steady = self.steady();
        let (now, change) = steady.told(self.began.elapsed(), system());
        drop(steady);
        match change {
            Some(Change::Jumped { by_ms }) => {
                warn!(by_ms, followed_in = ?BELIEVED_AFTER, "the system's clock has jumped, time goes on as before");
            }
            Some(Change::Believed { by_ms }) => warn!(by_ms, "the system's clock stays where it jumped to, followed"),
            Some(Change::Returned) => warn!("the system's clock is back where it was"),
            None => {}
        }
        now
    }

    fn set_back_ms(&self) -> i64 {
        self.steady().set_back_ms
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).plus(clock_error_ms())
}

/// The rule itself. Times since the beginning come from a clock that cannot be set.
#[derive(Debug)]
struct Steady {
    /// What the wall clock would have said at the beginning, as far as it is believed.
    origin: Millis,
    /// Where it has jumped to instead, and when, since the beginning.
    doubted: Option<(Millis, Duration)>,
    newest: Millis,
    /// By how much jumps that were believed set it back, all told.
    set_back_ms: i64,
}

/// Something worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// The wall clock was set by so much.
    Jumped { by_ms: i64 },
    /// It has stayed there.
    Believed { by_ms: i64 },
    /// It was set back to where it is believed.
    Returned,
}

impl Steady {
    fn new(wall: Millis) -> Self {
        Self { origin: wall, doubted: None, newest: wall, set_back_ms: 0 }
    }

    /// The time, given how long ago the beginning was and what the wall clock says.
    fn told(&mut self, elapsed: Duration, wall: Millis) -> (Millis, Option<Change>) {
        let elapsed_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        let origin = wall.plus(elapsed_ms.saturating_neg());
        let change = self.judge(elapsed, origin);
        let now = self.origin.plus(elapsed_ms);
        // A correction backwards is waited out; a jump that is believed is not.
        let was_set_back = matches!(change, Some(Change::Believed { by_ms: ..0 }));
        self.newest = if was_set_back { now } else { self.newest.max(now) };
        (self.newest, change)
    }

    fn judge(&mut self, elapsed: Duration, origin: Millis) -> Option<Change> {
        let by_ms = origin.since(self.origin);
        if by_ms.abs() <= SLEWED_MS {
            self.origin = origin;
            return self.doubted.take().map(|_| Change::Returned);
        }
        match self.doubted {
            Some((there, since)) if origin.since(there).abs() <= SLEWED_MS => {
                if elapsed.saturating_sub(since) < BELIEVED_AFTER {
                    return None;
                }
                self.origin = origin;
                self.doubted = None;
                self.set_back_ms += by_ms.min(0).saturating_neg();
                Some(Change::Believed { by_ms })
            }
            _ => {
                self.doubted = Some((origin, elapsed));
                Some(Change::Jumped { by_ms })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const YEAR: i64 = 365 * 24 * HOUR;
    const START: Millis = Millis(1_700_000_000_000);

    /// What a clock says at these seconds, when the wall clock is wrong by so many milliseconds.
    fn errors(story: &[(u64, i64)]) -> Vec<i64> {
        let mut steady = Steady::new(START);
        let told = story.iter().map(|&(second, error)| {
            let right = START.plus(i64::try_from(second).expect("a short story") * 1000);
            let (now, _) = steady.told(Duration::from_secs(second), right.plus(error));
            now.since(right)
        });
        let told: Vec<i64> = told.collect();
        assert_eq!(steady.set_back_ms, -told.last().copied().unwrap_or(0).min(0));
        told
    }

    #[test]
    fn a_jump_that_does_not_last_is_not_seen() {
        for jump in [HOUR, -HOUR, YEAR, -YEAR, 2_001, -2_001] {
            assert_eq!(errors(&[(1, jump), (60, jump), (60, 0), (600, 0)]), [0; 4], "{jump}");
        }
    }

    #[test]
    fn a_jump_that_lasts_a_minute_is_followed() {
        for jump in [HOUR, -HOUR, YEAR, -YEAR] {
            assert_eq!(errors(&[(1, jump), (60, jump), (61, jump), (62, jump)]), [0, 0, jump, jump], "{jump}");
        }
    }

    #[test]
    fn one_jump_after_another_is_believed_where_the_clock_stays() {
        assert_eq!(errors(&[(1, HOUR), (50, YEAR), (100, YEAR), (110, YEAR)]), [0, 0, 0, YEAR]);
    }

    #[test]
    fn a_clock_that_drifts_is_followed_and_never_goes_back() {
        let mut steady = Steady::new(START);
        let mut now = |ms: u64, wall: i64| steady.told(Duration::from_millis(ms), START.plus(wall)).0.since(START);
        assert_eq!([now(1000, 2500), now(1500, 1500), now(3000, 2800), now(4000, 4000)], [2500, 2500, 2800, 4000]);
    }

    #[test]
    fn each_change_is_told_once() {
        let mut steady = Steady::new(START);
        let mut told = |second: u64, error: i64| {
            let wall = START.plus(i64::try_from(second).expect("a short story") * 1000 + error);
            steady.told(Duration::from_secs(second), wall).1
        };
        assert_eq!([told(1, HOUR), told(2, HOUR)], [Some(Change::Jumped { by_ms: HOUR }), None]);
        assert_eq!([told(3, 0), told(4, 0)], [Some(Change::Returned), None]);
        assert_eq!([told(5, -HOUR), told(64, -HOUR)], [Some(Change::Jumped { by_ms: -HOUR }), None]);
        assert_eq!([told(65, -HOUR), told(66, -HOUR)], [Some(Change::Believed { by_ms: -HOUR }), None]);
    }
}
