//! [`ManualClock`]: the time of a test, which moves when the test says so and never back.

use std::time::Duration;

use quorate_core::ident::Millis;

/// A moment as a test writes it: milliseconds since the Unix epoch, or RFC 3339 text, `2025-11-04T09:00:00+08:00`.
pub trait Moment {
    /// The same moment in milliseconds since the Unix epoch.
    ///
    /// # Panics
    /// When text is not RFC 3339.
    #[track_caller]
    fn millis(self) -> Millis;
}

impl Moment for Millis {
    fn millis(self) -> Millis {
        self
    }
}

impl Moment for i64 {
    fn millis(self) -> Millis {
        Millis(self)
    }
}

impl Moment for &str {
    #[track_caller]
    fn millis(self) -> Millis {
        match self.parse::<jiff::Timestamp>() {
            Ok(moment) => Millis(moment.as_millisecond()),
            Err(e) => panic!("`{self}` is no moment like 2025-11-04T09:00:00Z: {e}"),
        }
    }
}

/// The time of a test. Begins with the first moment it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ManualClock {
    now: Option<Millis>,
}

impl ManualClock {
    /// What a clock shows that has not been given a moment: 2025-11-04T00:00:00Z.
    pub const START: Millis = Millis(1_762_214_400_000);

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now.unwrap_or(Self::START)
    }

    /// Sets the clock.
    ///
    /// # Panics
    /// When it shows a later moment that it was given: time does not run back.
    #[track_caller]
    pub fn at(&mut self, moment: impl Moment) {
        let moment = moment.millis();
        if let Some(now) = self.now {
            assert!(moment >= now, "time does not run back from {} to {}", now.0, moment.0);
        }
        self.now = Some(moment);
    }

    /// Moves the clock on.
    pub fn advance(&mut self, duration: Duration) {
        self.now = Some(self.now().plus(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)));
    }

    /// Sets the clock unless it shows a later moment that it was given.
    pub fn reaches(&mut self, moment: Millis) {
        self.now = self.now.max(Some(moment));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_milliseconds_or_text_in_any_zone() {
        assert_eq!("2025-11-04T00:00:00Z".millis(), ManualClock::START);
        assert_eq!("2025-11-04T08:00:00+08:00".millis(), ManualClock::START);
        assert_eq!(1_762_214_400_000.millis(), ManualClock::START);
    }

    #[test]
    #[should_panic(expected = "`yesterday` is no moment")]
    fn other_text_is_no_moment() {
        let _ = "yesterday".millis();
    }

    #[test]
    fn time_passes_when_it_is_told_to() {
        let mut clock = ManualClock::default();
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now(), "2025-11-04T00:01:30Z".millis());
        clock.at("2025-11-05T00:00:00Z");
        clock.reaches("2025-11-04T12:00:00Z".millis());
        assert_eq!(clock.now().since(ManualClock::START), 86_400_000, "a late moment moves nothing");
        clock.reaches("2025-11-05T00:00:01Z".millis());
        assert_eq!(clock.now().since(ManualClock::START), 86_401_000);
    }

    #[test]
    #[should_panic(expected = "time does not run back")]
    fn time_does_not_run_back() {
        let mut clock = ManualClock::default();
        clock.at("2025-11-03T23:59:59Z");
        clock.at("2025-11-03T23:59:58Z");
    }
}
