//! The model: hourly profiles per day type, what is left over decomposed by MSTL, its level carried on by ETS.
//! Knows hours and their loads; nothing of capacities, results or what happens when it gives up.

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::mstl::stlrs::MstlParams;
use augurs::{Fit, Predict};

use super::history::{Hour, observed};

/// Hours in the daily season, and in the weekly.
const DAY: usize = 24;
const WEEK: usize = 168;
/// Observed hours needed: three of the daily season, two of the weekly.
const DAILY_NEEDS: usize = 3 * DAY;
const WEEKLY_NEEDS: usize = 2 * WEEK;
/// Length of the seasonal smoothers, in seasons. More than four weeks have, so that all of theirs count nearly
/// alike.
const SEASONS_SMOOTHED: usize = 35;
/// Daily means that ETS needs; below it the level is their mean.
const LEVEL_NEEDS: usize = 7;

/// A forecast and how it came about.
#[derive(Debug)]
pub(crate) struct Fitted {
    /// kW for each hour asked for; not clipped.
    pub(crate) kw: Vec<f64>,
    /// Whether a weekly season was fitted.
    pub(crate) weekly: bool,
    /// Hours the model was fitted on, filled ones included.
    pub(crate) hours: usize,
}

/// The load of the hours `ahead`, which follow `history` at once: profile + seasons + level.
///
/// 1. **Profile.** The mean of each hour of the day, apart for workdays and free days, so that a holiday takes the free
///    days' profile and leaves no trace in the workdays'.
/// 2. **Seasons.** MSTL splits load minus profile into a season of 24 hours, one of 168, trend and remainder. It takes no
///    NaN: an open gap counts as the profile, that is as 0.
/// 3. **Level.** ETS continues the daily means of trend plus remainder by one day, which stands for every hour ahead.
///    Fitted to hours instead it follows the last hour's noise, which is no guide to the next 24.
///
/// # Errors
/// Why there is no forecast: too little history, or what augurs says.
pub(crate) fn forecast(history: &[Hour], ahead: &[Hour]) -> Result<Fitted, String> {
    let tail = dense_tail(history);
    let count = observed(tail);
    if count < DAILY_NEEDS {
        let all = observed(history);
        let apart = if all > count { format!(" of {all} stand together") } else { String::new() };
        return Err(format!("{count} observed hours{apart}, {DAILY_NEEDS} needed"));
    }
    let weekly = count >= WEEKLY_NEEDS;
    let profile = Profile::of(tail);
    let rest: Vec<f64> =
        tail.iter().map(|hour| if hour.kw.is_nan() { 0.0 } else { hour.kw - profile.at(hour) }).collect();

    let periods = if weekly { vec![DAY, WEEK] } else { vec![DAY] };
    let mut smoothing = MstlParams::new();
    smoothing.seasonal_lengths(&vec![SEASONS_SMOOTHED; periods.len()]);
    let model = MSTLModel::naive(periods).mstl_params(smoothing);
    let model = model.fit(&rest).map_err(|e| format!("MSTL: {e}"))?;
    let parts = model.fit();
    let level = parts.trend().iter().zip(parts.remainder()).map(|(trend, noise)| f64::from(trend + noise)).collect();
    let level = next_day(level).map_err(|e| format!("ETS: {e}"))?;

    let season = |step: usize, target: &Hour| {
        let daily = f64::from(parts.seasonal()[0][tail.len() - DAY + step % DAY]);
        let like = parts.seasonal().get(1).and_then(|weekly| Some(weekly[alike(tail, step, target)?]));
        daily + like.map_or(0.0, f64::from)
    };
    let kw: Vec<f64> = ahead.iter().enumerate().map(|(k, hour)| profile.at(hour) + season(k, hour) + level).collect();
    if kw.iter().any(|kw| !kw.is_finite()) {
        return Err("the fitted model is not finite".to_owned());
    }
    Ok(Fitted { kw, weekly, hours: tail.len() })
}

/// The longest stretch up to the newest hour that begins with an observed hour and is at most a quarter gaps.
fn dense_tail(history: &[Hour]) -> &[Hour] {
    let (mut known, mut begin) = (0, history.len());
    for (index, hour) in history.iter().enumerate().rev() {
        if !hour.kw.is_nan() {
            known += 1;
            if 4 * known >= 3 * (history.len() - index) {
                begin = index;
            }
        }
    }
    &history[begin..]
}

/// Where the weekly season of the hour `step` hours after `tail` is read: a week before it, or, when that day was of
/// another type, at the same hour of the latest day of its own.
fn alike(tail: &[Hour], step: usize, target: &Hour) -> Option<usize> {
    let week_before = tail.len() - WEEK + step % WEEK;
    let same_type = |hour: &Hour| hour.day == target.day && hour.at.hour() == target.at.hour();
    if tail[week_before].day == target.day { Some(week_before) } else { tail.iter().rposition(same_type) }
}

/// Continues hourly values by the mean of the next 24.
fn next_day(hourly: Vec<f64>) -> Result<f64, augurs::ets::Error> {
    let mut days: Vec<f64> = hourly.rchunks_exact(DAY).map(|day| day.iter().sum::<f64>() / DAY as f64).collect();
    days.reverse();
    if days.len() < LEVEL_NEEDS {
        return Ok(days.iter().sum::<f64>() / days.len() as f64);
    }
    let level = AutoETS::new(1, "AZN")?.fit(&days)?.predict(1, None)?;
    Ok(level.point[0])
}

/// Mean load by day type and hour of the day.
struct Profile([[f64; DAY]; 2]);

impl Profile {
    fn of(history: &[Hour]) -> Self {
        let mut sums = [[(0.0, 0_u32); DAY]; 2];
        for hour in history.iter().filter(|hour| !hour.kw.is_nan()) {
            let (sum, count) = &mut sums[hour.day as usize][hour.at.hour() as usize];
            *sum += hour.kw;
            *count += 1;
        }
        let mean = |(sum, count): (f64, u32)| (count > 0).then(|| sum / f64::from(count));
        let all = sums.iter().flatten().fold((0.0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        // What one day type has not seen is as the other has it, else as the mean of everything.
        let cell = |day: usize, hour: usize| mean(sums[day][hour]).or(mean(sums[1 - day][hour])).or(mean(all));
        Self(std::array::from_fn(|day| std::array::from_fn(|hour| cell(day, hour).unwrap_or_default())))
    }

    fn at(&self, hour: &Hour) -> f64 {
        self.0[hour.day as usize][hour.at.hour() as usize]
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::contract::Reading;

    use super::super::day_type::DayTypes;
    use super::super::fleet;
    use super::*;

    /// Four weeks of a station, and the day after them.
    fn four_weeks(seed: u64) -> (Vec<Hour>, Vec<Hour>) {
        let days = DayTypes::parse(&Reading::from_json(fleet::calendar(30, &[]).as_str().into())).expect("read");
        let mut history = fleet::station(seed, 4 * WEEK + DAY, &days);
        let ahead = history.split_off(4 * WEEK);
        (history, ahead)
    }

    fn mean_error(ahead: &[Hour], kw: &[f64]) -> f64 {
        ahead.iter().zip(kw).map(|(hour, kw)| (hour.kw - kw).abs()).sum::<f64>() / ahead.len() as f64
    }

    #[test]
    fn seasons_follow_the_number_of_observed_hours() {
        let (history, ahead) = four_weeks(1);
        let last = |hours: usize| forecast(&history[history.len() - hours..], &ahead);
        assert_eq!(last(71).expect_err("too short"), "71 observed hours, 72 needed");
        assert!(!last(72).expect("fits").weekly);
        assert!(!last(335).expect("fits").weekly);
        assert!(last(336).expect("fits").weekly);
        assert_eq!(last(336).expect("fits").hours, 336);
    }

    #[test]
    fn what_lies_before_a_long_gap_is_left_out() {
        let (mut history, ahead) = four_weeks(2);
        fleet::gap(&mut history, 24, 500);
        let fitted = forecast(&history, &ahead).expect("fits");
        assert_eq!((fitted.hours, fitted.weekly), (172, false));

        fleet::gap(&mut history, 500, 630);
        let reason = forecast(&history, &ahead).expect_err("too short");
        assert_eq!(reason, "42 observed hours of 66 stand together, 72 needed");
    }

    #[test]
    fn open_gaps_cost_little() {
        let (mut history, ahead) = four_weeks(3);
        let whole = forecast(&history, &ahead).expect("fits");
        for day in [3, 9, 15, 20, 26] {
            fleet::gap(&mut history, day * DAY + 7, day * DAY + 7 + 12);
        }
        let holed = forecast(&history, &ahead).expect("fits");
        assert_eq!(holed.hours, whole.hours);
        let (whole, holed) = (mean_error(&ahead, &whole.kw), mean_error(&ahead, &holed.kw));
        assert!(holed < 1.1 * whole, "mean error {whole:.2} kW grew to {holed:.2} kW");
    }

    #[test]
    fn a_gap_that_reaches_the_newest_hour_is_filled_from_the_profile() {
        let (mut history, ahead) = four_weeks(4);
        let whole = forecast(&history, &ahead).expect("fits");
        fleet::gap(&mut history, 4 * WEEK - 30, 4 * WEEK);
        let holed = forecast(&history, &ahead).expect("fits");
        assert!(mean_error(&ahead, &holed.kw) < 1.5 * mean_error(&ahead, &whole.kw));
    }

    #[test]
    fn a_station_that_never_changes_keeps_its_load() {
        for kw in [0.0, 42.0] {
            let (mut history, ahead) = four_weeks(5);
            for hour in &mut history {
                hour.kw = kw;
            }
            match forecast(&history, &ahead) {
                Ok(fitted) => assert!(fitted.kw.iter().all(|got| (got - kw).abs() < 1e-6), "{:?}", fitted.kw),
                Err(reason) => panic!("{reason}"),
            }
        }
    }

    #[test]
    fn a_day_type_without_history_takes_the_other_ones_profile() {
        let (history, ahead) = four_weeks(6);
        let workdays = &history[..3 * DAY];
        let saturday = [Hour { day: super::super::day_type::DayType::Free, ..ahead[12] }];
        let (as_free, as_workday) = (forecast(workdays, &saturday), forecast(workdays, &ahead[12..13]));
        assert_eq!(as_free.expect("fits").kw, as_workday.expect("fits").kw);
    }
}
