//! How often each topic speaks, in simulated time, and the beats that follow from it. Knows no topics' contents.

use quorate_core::ident::Millis;

use super::calendar::{DAY_MS, HOUR_MS};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;

/// The pause between two records of one sender, in milliseconds of simulated time. A pause below 1 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// SCHEDULE-CAR-ORDER, per gun that charges.
    pub order_ms: i64,
    /// SCHEDULE-DEVICE-GUN, per station.
    pub gun_ms: i64,
    /// SCHEDULE-DEVICE-HOST-DCDC and -ACDC, per host with a charging gun.
    pub busy_host_ms: i64,
    /// The same per idle host; rounded to a multiple of `busy_host_ms`.
    pub idle_host_ms: i64,
    /// SCHEDULE-DEVICE-STORAGE, per storage unit.
    pub storage_ms: i64,
    /// SCHEDULE-DEVICE-METER, per station.
    pub meter_ms: i64,
    /// SCHEDULE-STATION-REALTIME-DATA, per cohort of stations. Above `push_hours` hours some are never reported.
    pub realtime_ms: i64,
    /// SCHEDULE-DEVICE-PV, per cohort.
    pub pv_ms: i64,
    /// SCHEDULE-ENVIRONMENT-WEATHER, per cohort.
    pub weather_ms: i64,
    /// SCHEDULE-CAR-PRICE, per cohort.
    pub price_ms: i64,
    /// SCHEDULE-ENVIRONMENT-CALENDAR, for the whole fleet.
    pub calendar_ms: i64,
    /// SCHEDULE-STATION-PARAM: the whole fleet's pause between changes of one station in fifty.
    pub param_ms: i64,
    /// SCHEDULE-DEVICE-ERROR: the whole fleet's pause between faults at one station in fifty.
    pub error_ms: i64,
}

impl Cadence {
    /// Simulated milliseconds per real millisecond for which [`Cadence::demo`] is made: twelve minutes a second.
    pub const DEMO_SPEED: i64 = 720;

    /// What the real stations keep: from one record a second to one a year.
    #[must_use]
    pub fn real() -> Self {
        Self {
            order_ms: SECOND_MS,
            gun_ms: 15 * SECOND_MS,
            busy_host_ms: SECOND_MS,
            idle_host_ms: 15 * SECOND_MS,
            storage_ms: 15 * SECOND_MS,
            meter_ms: 5 * MINUTE_MS,
            realtime_ms: HOUR_MS,
            pv_ms: DAY_MS,
            weather_ms: DAY_MS,
            price_ms: 30 * DAY_MS,
            calendar_ms: 365 * DAY_MS,
            param_ms: 7 * DAY_MS,
            error_ms: 6 * HOUR_MS,
        }
    }

    /// The range pressed together: within four simulated hours, which are twenty seconds at [`Self::DEMO_SPEED`], every
    /// topic speaks at least three times, and fast ones stay faster than slow ones.
    #[must_use]
    pub fn demo() -> Self {
        Self {
            order_ms: 2 * MINUTE_MS,
            gun_ms: 12 * MINUTE_MS,
            busy_host_ms: 4 * MINUTE_MS,
            idle_host_ms: 24 * MINUTE_MS,
            storage_ms: 12 * MINUTE_MS,
            meter_ms: 24 * MINUTE_MS,
            realtime_ms: HOUR_MS,
            pv_ms: HOUR_MS,
            weather_ms: HOUR_MS,
            price_ms: 70 * MINUTE_MS,
            calendar_ms: 75 * MINUTE_MS,
            param_ms: 40 * MINUTE_MS,
            error_ms: 20 * MINUTE_MS,
        }
    }
}

/// One sender's rhythm: multiples of a pause, counted from the Unix epoch, each `phase_ms` late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    every_ms: i64,
    phase_ms: i64,
}

impl Beat {
    /// A beat every `every_ms`; `phase_ms` is at least 0 and is cut to one pause.
    pub(super) fn new(every_ms: i64, phase_ms: i64) -> Self {
        let every_ms = every_ms.max(1);
        Self { every_ms, phase_ms: phase_ms.rem_euclid(every_ms) }
    }

    /// The beats in `from..to` with their numbers, oldest first.
    pub(super) fn within(self, from: Millis, to: Millis) -> impl Iterator<Item = (i64, Millis)> {
        // Rounded up: the first beat that is not earlier.
        let number = move |at: Millis| -(self.phase_ms - at.0).div_euclid(self.every_ms);
        (number(from)..number(to)).map(move |nth| (nth, Millis(nth * self.every_ms + self.phase_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_include_the_first_moment_and_exclude_the_last() {
        let beats =
            |from, to| -> Vec<i64> { Beat::new(10, 3).within(Millis(from), Millis(to)).map(|(_, at)| at.0).collect() };
        assert_eq!(beats(3, 33), [3, 13, 23]);
        assert_eq!(beats(4, 34), [13, 23, 33]);
        assert_eq!(beats(-8, 4), [-7, 3]);
        assert!(beats(5, 5).is_empty() && beats(9, 2).is_empty());
    }

    #[test]
    fn cutting_time_anywhere_changes_no_beat() {
        let beat = Beat::new(7, 2);
        for cut in 0..100 {
            let parts = beat.within(Millis(0), Millis(cut)).chain(beat.within(Millis(cut), Millis(100)));
            assert!(parts.eq(beat.within(Millis(0), Millis(100))), "cut at {cut}");
        }
    }
}
