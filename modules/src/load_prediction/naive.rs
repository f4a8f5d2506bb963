//! The seasonal naive forecast: what the same hour was last time. What is left when a model cannot be fitted, and the
//! yardstick a model must beat.

use super::history::Hour;

/// The load of `target`'s hour on the latest day of its type; else on the latest day that knows the hour; else the mean
/// of what is known. None when nothing is known.
pub(crate) fn forecast(history: &[Hour], target: &Hour) -> Option<f64> {
    let same_hour = || history.iter().rev().filter(|hour| !hour.kw.is_nan() && hour.at.hour() == target.at.hour());
    let known = same_hour().find(|hour| hour.day == target.day).or_else(|| same_hour().next());
    known.map(|hour| hour.kw).or_else(|| mean(history))
}

fn mean(history: &[Hour]) -> Option<f64> {
    let known = history.iter().map(|hour| hour.kw).filter(|kw| !kw.is_nan());
    let (sum, count) = known.fold((0.0, 0_usize), |(sum, count), kw| (sum + kw, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::super::day_type::DayType::{self, Free, Workday};
    use super::*;

    /// Noon of a day in November 2025.
    fn noon(day: i8, kind: DayType, kw: f64) -> Hour {
        Hour { at: date(2025, 11, day).at(12, 0, 0, 0), day: kind, kw }
    }

    #[test]
    fn the_latest_day_of_the_same_type_counts() {
        let history = [noon(1, Free, 10.0), noon(2, Free, 20.0), noon(3, Workday, 30.0), noon(4, Workday, 40.0)];
        assert_eq!(forecast(&history, &noon(5, Workday, f64::NAN)), Some(40.0));
        assert_eq!(forecast(&history, &noon(5, Free, f64::NAN)), Some(20.0));
    }

    #[test]
    fn days_that_do_not_know_the_hour_are_passed_over() {
        let history = [noon(3, Workday, 30.0), noon(4, Workday, f64::NAN)];
        assert_eq!(forecast(&history, &noon(5, Workday, f64::NAN)), Some(30.0));
    }

    #[test]
    fn without_a_comparable_day_yesterday_counts_then_the_mean_then_nothing() {
        let target = noon(8, Free, f64::NAN);
        let history = [noon(6, Workday, 30.0), noon(7, Workday, 40.0)];
        assert_eq!(forecast(&history, &target), Some(40.0));

        let evening = |kw| Hour { at: date(2025, 11, 7).at(20, 0, 0, 0), day: Workday, kw };
        assert_eq!(forecast(&[evening(10.0), evening(20.0)], &target), Some(15.0));
        assert_eq!(forecast(&[evening(f64::NAN)], &target), None);
    }
}
