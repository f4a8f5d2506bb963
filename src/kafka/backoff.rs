//! Pauses between attempts: they double up to a limit, and are spread so that many clients do not return at once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use super::clock;

/// The pauses of one thing that is tried again and again.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    limit: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses from about `first` to about `limit`.
    pub(super) const fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit, failures: 0 }
    }

    /// Counts one more failure and says how long to wait: between half and all of the doubled pause.
    pub(super) fn next(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(self.failures.min(20)).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let pause = doubled.min(self.limit);
        pause.mul_f64(0.5 + jitter() / 2.0)
    }

    /// The moment the next attempt may be made.
    pub(super) fn next_at(&mut self) -> Instant {
        clock::now() + self.next()
    }

    /// Begins again at the shortest pause.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A number in `0.0..1.0`; the hasher's random keys are the only source of chance this needs.
fn jitter() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 40;
    f64::from(u32::try_from(bits).unwrap_or(0)) / f64::from(1_u32 << 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_begin_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for expected_ms in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.next();
            assert!(pause <= Duration::from_millis(expected_ms), "{pause:?} of {expected_ms} ms");
            assert!(pause >= Duration::from_millis(expected_ms / 2), "{pause:?} of {expected_ms} ms");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }
}
