//! The load model: how many kilowatts a station draws in an hour, how its guns share them, and which hours are lost on
//! the way. Pure functions of seed, station and hour; knows no payloads.

use quorate_core::ident::Millis;

use super::calendar::{DayKind, HOUR_MS, day_kind, day_number, hour_number, hour_of_day, weekday};
use super::seed::{Purpose, Seed};
use super::site::Site;

/// Load by weekday, Monday first, relative to an ordinary working day.
const WEEK: [f64; 7] = [0.96, 0.94, 0.97, 1.0, 1.12, 1.1, 1.0];

/// Spread of whole days and of single hours around what is expected, as shares.
const DAY_SPREAD: f64 = 0.05;
const HOUR_SPREAD: f64 = 0.09;

/// Days from 1970-01-01 to 2025-11-01, where every station's growth is zero.
const GROWTH_ORIGIN_DAY: i64 = 20_393;

/// How busy a station is expected to be, 0 to about 1.3, where 1 is the top of an ordinary working day.
pub(super) fn busyness(site: &Site, at: Millis) -> f64 {
    let hour = hour_of_day(at) - site.habits.shift_h;
    let evening = site.habits.evening;
    let (profile, free) = match day_kind(at) {
        DayKind::Working => (0.1 + bump(hour, 12.3, 2.2) * 0.85 + bump(hour, 20.0, 2.6) * 0.85 * evening, 1.0),
        DayKind::Weekend => {
            (0.13 + bump(hour, 14.5, 3.4) * 0.9 + bump(hour, 20.5, 2.8) * 0.6 * evening, site.habits.free_days)
        }
        DayKind::Holiday => {
            (0.15 + bump(hour, 15.5, 4.0) + bump(hour, 21.0, 2.2) * 0.35 * evening, site.habits.free_days * 1.1)
        }
    };
    profile * free * WEEK[weekday(at)]
}

/// The load a station is expected to have at a moment, in kW: daily and weekly shape and slow growth, no noise.
pub(super) fn expected_kw(site: &Site, at: Millis) -> f64 {
    let years = (day_number(at) - GROWTH_ORIGIN_DAY) as f64 / 365.0;
    let growth = (1.0 + site.habits.growth * years).clamp(0.5, 2.0);
    (site.habits.peak_kw * busyness(site, at) * growth).min(most_kw(site))
}

/// The average load of the hour that contains `at`, in hundredths of a kW.
pub(super) fn hour_load(seed: Seed, site: &Site, at: Millis) -> i64 {
    let hour = hour_number(at);
    let subject = site.index as u64;
    let day = seed.draw(Purpose::DayLoad, subject, day_number(at)).bell() * DAY_SPREAD;
    let noise = seed.draw(Purpose::HourLoad, subject, hour).bell() * HOUR_SPREAD;
    let middle = Millis(hour * HOUR_MS + HOUR_MS / 2);
    let kw = expected_kw(site, middle) * (1.0 + day) * (1.0 + noise);
    (kw.clamp(0.0, most_kw(site)) * 100.0).round() as i64
}

/// How one gun spent an hour, in hundredths of a kW.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GunHour {
    pub(super) average: i64,
    pub(super) most: i64,
}

/// The hour's load shared out to the guns, in their order: the averages add up to [`hour_load`] exactly, and none is
/// above what a gun can deliver.
pub(super) fn gun_hours(seed: Seed, site: &Site, at: Millis) -> Vec<GunHour> {
    let mut draw = seed.draw(Purpose::GunHour, site.index as u64, hour_number(at));
    let total = hour_load(seed, site, at);
    let cap = (site.gun_kw * 100.0).round() as i64;
    let guns = site.gun_count();
    let busy = ((total as f64 / (cap as f64 * 0.55)).ceil() as usize).clamp(1, guns);
    let first = draw.below(guns as u64) as usize;
    let weights: Vec<f64> = (0..busy).map(|_| draw.between(0.4, 1.6)).collect();
    let sum: f64 = weights.iter().sum();

    let mut hours = vec![GunHour::default(); guns];
    for (nth, weight) in weights.iter().enumerate() {
        hours[(first + nth) % guns].average = ((total as f64 * weight / sum) as i64).min(cap);
    }
    let mut left = total - hours.iter().map(|gun| gun.average).sum::<i64>();
    for nth in 0..guns {
        let gun = &mut hours[(first + nth) % guns];
        let more = left.min(cap - gun.average);
        gun.average += more;
        left -= more;
    }
    for gun in &mut hours {
        let top = gun.average as f64 * draw.between(1.1, 2.4);
        gun.most = (top as i64).clamp(gun.average, cap.max(gun.average));
    }
    hours
}

/// What happens to an hour's report on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It comes with the first push after the hour.
    InTime,
    /// It comes with a later push.
    Late,
    /// It never comes.
    Never,
}

/// Of a hundred station-days about six miss one or two hours, two miss four to nine, and eight deliver one to three late.
pub(super) fn arrival(seed: Seed, site: &Site, at: Millis) -> Arrival {
    let hour = hour_number(at);
    let mut draw = seed.draw(Purpose::Gap, site.index as u64, hour.div_euclid(24));
    let (length, fate) = match draw.below(100) {
        0..6 => (1 + draw.below(2), Arrival::Never),
        6..8 => (4 + draw.below(6), Arrival::Never),
        8..16 => (1 + draw.below(3), Arrival::Late),
        _ => return Arrival::InTime,
    };
    let begin = draw.below(25 - length);
    let inside = (begin..begin + length).contains(&hour.rem_euclid(24).cast_unsigned());
    if inside { fate } else { Arrival::InTime }
}

/// The most a station ever draws, in kW: its guns do not all run at full power for an hour.
fn most_kw(site: &Site) -> f64 {
    site.gun_count() as f64 * site.gun_kw * 0.9
}

/// A hill of height 1 at `top`, about half as high `width` hours away, continued across midnight.
fn bump(hour: f64, top: f64, width: f64) -> f64 {
    let away = (hour - top + 36.0).rem_euclid(24.0) - 12.0;
    let x = away / (width * 1.55);
    let hill = 1.0 / (1.0 + x * x);
    hill * hill
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOVEMBER: Millis = Millis(1_762_185_600_000);

    fn series(site: &Site, hours: i64) -> Vec<f64> {
        (0..hours).map(|hour| hour_load(Seed(5), site, NOVEMBER.plus(hour * HOUR_MS)) as f64 / 100.0).collect()
    }

    fn autocorrelation(series: &[f64], lag: usize) -> f64 {
        let mean = series.iter().sum::<f64>() / series.len() as f64;
        let spread: f64 = series.iter().map(|x| (x - mean) * (x - mean)).sum();
        let shared: f64 = series.windows(lag + 1).map(|w| (w[0] - mean) * (w[lag] - mean)).sum();
        shared / spread * series.len() as f64 / (series.len() - lag) as f64
    }

    #[test]
    fn the_load_repeats_by_day_and_more_so_by_week() {
        for index in 0..20 {
            let load = series(&Site::draw(Seed(5), index, true), 24 * 35);
            let (half, day, week) =
                (autocorrelation(&load, 12), autocorrelation(&load, 24), autocorrelation(&load, 168));
            assert!(day > 0.7, "station {index}: day {day}");
            assert!(week > day - 0.01 && week > 0.85, "station {index}: week {week}, day {day}");
            assert!(half < day - 0.3, "station {index}: half a day {half}, day {day}");
        }
    }

    #[test]
    fn a_working_day_has_two_peaks() {
        let site = Site::draw(Seed(5), 0, true);
        let at = |hour: f64| expected_kw(&site, NOVEMBER.plus(((hour + site.habits.shift_h) * HOUR_MS as f64) as i64));
        assert!(at(12.3) > 1.3 * at(16.0) && at(20.0) > 1.3 * at(16.0) && at(16.0) > 1.3 * at(4.0));
    }

    #[test]
    fn guns_share_the_load_to_the_last_hundredth() {
        for index in 0..30 {
            let site = Site::draw(Seed(5), index, true);
            for hour in 0..200 {
                let at = NOVEMBER.plus(hour * HOUR_MS);
                let guns = gun_hours(Seed(5), &site, at);
                assert_eq!(guns.iter().map(|gun| gun.average).sum::<i64>(), hour_load(Seed(5), &site, at));
                let cap = (site.gun_kw * 100.0) as i64;
                assert!(guns.iter().all(|gun| gun.average <= gun.most && gun.most <= cap && gun.average >= 0));
            }
        }
    }

    #[test]
    fn some_hours_are_late_some_are_lost_and_some_gaps_exceed_three_hours() {
        let (mut late, mut lost, mut longest, mut run) = (0, 0, 0, 0);
        for index in 0..20 {
            let site = Site::draw(Seed(5), index, true);
            for hour in 0..24 * 35 {
                let fate = arrival(Seed(5), &site, NOVEMBER.plus(hour * HOUR_MS));
                late += u32::from(fate == Arrival::Late);
                lost += u32::from(fate == Arrival::Never);
                run = if fate == Arrival::Never { run + 1 } else { 0 };
                longest = longest.max(run);
            }
        }
        assert!(late > 50 && lost > 50 && lost < 20 * 24 * 35 / 50, "{late} late, {lost} lost");
        assert!(longest > 3, "longest gap {longest} h");
    }
}
