//! The plan of a `grid` window: its steps, its span, its columns, how gaps are filled.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{Column, Pointer, WallClock};
use crate::ident::Millis;

const DAY_MS: i64 = 86_400_000;

/// One value per series and step.
#[derive(Clone, Debug)]
pub struct GridPlan {
    /// Where steps begin.
    pub steps: Steps,
    /// How many steps the window has: span over step.
    pub len: usize,
    /// What stands where nothing was observed.
    pub fill: Fill,
    /// Observed neighbours further apart than this are not filled between, in milliseconds.
    pub max_gap_ms: Option<i64>,
    /// What names a series; empty when the reading is one series of its own.
    pub series: Vec<Pointer>,
    /// One column per pointer, with a number per step and series.
    pub values: Vec<Column>,
    /// One column per pointer, with a number per step.
    pub totals: Vec<Column>,
}

/// What stands where nothing was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// 0.
    Zero,
    /// Nothing: null in JSON, NaN in memory.
    Missing,
    /// The nearest earlier observed value; before the first one, the first.
    Forward,
    /// Between the nearest earlier and later ones by distance in steps; at the ends the nearest.
    Linear,
}

/// Maps moments to steps. Steps shorter than a day lie one real step apart and begin on the zone's local hour;
/// steps of whole days begin at local midnight.
#[derive(Clone, Debug)]
pub struct Steps {
    step_ms: i64,
    clock: WallClock,
    offset_ms: i64,
}

impl Steps {
    /// What decides where steps begin, as text: compared, never read.
    pub(super) fn shape(&self) -> String {
        format!("{} {}", self.step_ms, self.clock.zone_name())
    }

    /// Steps of `step_ms` in the zone of `clock`; none when the step is not positive, or longer than a day without
    /// being whole days.
    #[must_use]
    pub fn new(step_ms: i64, clock: WallClock) -> Option<Self> {
        if step_ms <= 0 || (step_ms > DAY_MS && step_ms % DAY_MS != 0) {
            return None;
        }
        // Daylight saving must not decide where hours begin, and either half of a year may have it. A recent year,
        // because zones have moved by parts of an hour (Colombo in 2006).
        let [january, july] = [1_735_689_600, 1_751_328_000].map(Timestamp::from_second);
        let offset = |moment| clock.zone().to_offset(moment).seconds();
        let offset_ms = i64::from(offset(january.ok()?).min(offset(july.ok()?))) * 1000;
        Some(Self { step_ms, clock, offset_ms })
    }

    /// The step's nominal length in milliseconds.
    #[must_use]
    pub fn step_ms(&self) -> i64 {
        self.step_ms
    }

    /// How the topic writes the moments at which steps begin.
    #[must_use]
    pub fn clock(&self) -> &WallClock {
        &self.clock
    }

    /// The number of the step that contains `moment`; consecutive steps have consecutive numbers.
    #[must_use]
    pub fn number(&self, moment: Millis) -> i64 {
        if self.step_ms < DAY_MS {
            return moment.0.saturating_add(self.offset_ms).div_euclid(self.step_ms);
        }
        local_day(moment, self.clock.zone()).div_euclid(self.step_ms / DAY_MS)
    }

    /// The moment at which step `number` begins.
    #[must_use]
    pub fn start(&self, number: i64) -> Millis {
        if self.step_ms < DAY_MS {
            return Millis(number.saturating_mul(self.step_ms).saturating_sub(self.offset_ms));
        }
        midnight(number.saturating_mul(self.step_ms / DAY_MS), self.clock.zone())
    }
}

/// Days from 1970-01-01 to the local date of `moment`.
fn local_day(moment: Millis, zone: &TimeZone) -> i64 {
    let Ok(instant) = Timestamp::from_millisecond(moment.0) else { return moment.0.div_euclid(DAY_MS) };
    let local = moment.0.saturating_add(i64::from(zone.to_offset(instant).seconds()) * 1000);
    local.div_euclid(DAY_MS)
}

/// The first moment of the local date that lies `day` days after 1970-01-01.
fn midnight(day: i64, zone: &TimeZone) -> Millis {
    let plain = Millis(day.saturating_mul(DAY_MS));
    let Ok(days) = i32::try_from(day) else { return plain };
    let Ok(date) = Date::constant(1970, 1, 1).checked_add(days.days()) else { return plain };
    match date.to_zoned(zone.clone()) {
        Ok(start) => Millis(start.timestamp().as_millisecond()),
        Err(_) => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::super::TimeField;
    use super::*;

    fn steps(step_ms: i64, zone: &str) -> Steps {
        let field = TimeField::new(Pointer::parse("/t").expect("pointer"), "%Y-%m-%d %H:%M:%S", zone).expect("field");
        Steps::new(step_ms, field.clock().clone()).expect("steps")
    }

    #[test]
    fn an_hour_begins_on_the_local_hour_also_where_the_offset_has_half_hours() {
        let kolkata = steps(3_600_000, "Asia/Kolkata");
        let start = kolkata.start(kolkata.number(Millis(1_762_225_500_000)));
        assert_eq!(kolkata.clock().print(start).as_deref(), Some("2025-11-04 08:00:00"));
    }

    #[test]
    fn an_hour_begins_on_the_local_hour_of_today_and_of_standard_time() {
        let colombo = steps(3_600_000, "Asia/Colombo");
        let start = colombo.start(colombo.number(Millis(1_762_225_500_000)));
        assert_eq!(colombo.clock().print(start).as_deref(), Some("2025-11-04 08:00:00"));
        let sydney = steps(6 * 3_600_000, "Australia/Sydney");
        let winter = sydney.start(sydney.number(Millis(1_751_328_000_000)));
        assert_eq!(sydney.clock().print(winter).as_deref(), Some("2025-07-01 06:00:00"));
    }

    #[test]
    fn hours_stay_one_real_hour_apart_through_a_daylight_saving_change() {
        let berlin = steps(3_600_000, "Europe/Berlin");
        let change = Millis(1_761_440_400_000);
        let n = berlin.number(change);
        assert_eq!(berlin.start(n), change);
        assert_eq!(berlin.start(n + 1).since(change), 3_600_000);
        assert_eq!(berlin.clock().print(berlin.start(n - 1)), berlin.clock().print(change));
    }

    #[test]
    fn days_follow_local_midnight_and_may_have_25_hours() {
        let berlin = steps(DAY_MS, "Europe/Berlin");
        let n = berlin.number(Millis(1_761_440_400_000));
        assert_eq!(berlin.clock().print(berlin.start(n)).as_deref(), Some("2025-10-26 00:00:00"));
        assert_eq!(berlin.start(n + 1).since(berlin.start(n)), 25 * 3_600_000);
        assert_eq!(berlin.number(berlin.start(n)), n);
        assert_eq!(berlin.number(Millis(berlin.start(n).0 - 1)), n - 1);
    }

    #[test]
    fn a_step_that_is_neither_within_a_day_nor_whole_days_is_refused() {
        assert!(Steps::new(36 * 3_600_000, WallClock::utc()).is_none());
        assert!(Steps::new(0, WallClock::utc()).is_none());
    }
}
