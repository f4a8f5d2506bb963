//! A small synthetic fleet for tests: hourly station loads with the habits of real ones, the same on every run.
//!
//! Workdays peak late in the morning and in the evening, free days once, later and lower; Fridays have a long evening.
//! On top lie a slow drift, good and bad days, and noise that lasts for some hours. Loads are never negative.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{SignedDuration, ToSpan};

use super::day_type::{DayType, DayTypes};
use super::history::Hour;

/// A Monday, 00:00 local time.
pub(crate) const FIRST: DateTime = jiff::civil::datetime(2025, 9, 1, 0, 0, 0, 0);

/// Numbers from a linear congruential generator (Knuth's MMIX constants): enough for noise, and never different.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        let mut noise = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        noise.uniform();
        noise
    }

    /// Between 0 and 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, mean 0, variance 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// `hours` hours of the station called `seed`, from [`FIRST`] on.
pub(crate) fn station(seed: u64, hours: usize, days: &DayTypes) -> Vec<Hour> {
    let mut noise = Noise::new(seed);
    let size = 80.0 + 240.0 * noise.uniform();
    let growth = 0.002 * noise.normal();
    let (mut good_day, mut lasting) = (0.0, 0.0);
    (0..hours as i64)
        .map(|step| {
            let at = FIRST + SignedDuration::from_hours(step);
            if at.hour() == 0 {
                good_day = 0.6 * good_day + 0.06 * noise.normal();
            }
            lasting = 0.5 * lasting + 0.10 * noise.normal();
            let day = days.of(at.date());
            let level = 1.0 + growth * step as f64 / 24.0 + good_day;
            let kw = size * (shape(at, day) * level * (1.0 + lasting) + 0.02 * noise.normal());
            Hour { at, day, kw: kw.max(0.0) }
        })
        .collect()
}

/// Share of the station's size that is in use at an hour, before drift and noise.
fn shape(at: DateTime, day: DayType) -> f64 {
    let hour = f64::from(at.hour());
    let peak = |centre: f64, width: f64| (-((hour - centre) / width).powi(2) / 2.0).exp();
    let weekday = at.date().weekday();
    match day {
        DayType::Workday if weekday == Weekday::Friday => 0.06 + 0.50 * peak(10.5, 2.0) + 0.70 * peak(19.5, 3.0),
        DayType::Workday => 0.06 + 0.50 * peak(10.5, 2.0) + 0.65 * peak(19.0, 2.2),
        DayType::Free => 0.08 + 0.45 * peak(14.5, 3.5),
    }
}

/// Removes the hours `from..to`, counted from the first.
pub(crate) fn gap(hours: &mut [Hour], from: usize, to: usize) {
    for hour in &mut hours[from..to] {
        hour.kw = f64::NAN;
    }
}

/// A calendar with every weekend from [`FIRST`] on for `days` days, and `holidays`.
pub(crate) fn calendar(days: i64, holidays: &[Date]) -> String {
    let entry = |day: i64| {
        let date = FIRST.date() + day.days();
        let weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        let (holiday, weekend) = (i32::from(holidays.contains(&date)), i32::from(weekend));
        format!(r#"{{"date":"{date}","isHoliday":{holiday},"isWeekend":{weekend}}}"#)
    };
    format!(r#"{{"calendar":[{}]}}"#, (0..days).map(entry).collect::<Vec<_>>().join(","))
}
