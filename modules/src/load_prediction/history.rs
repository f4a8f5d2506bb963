//! [`History`]: a station's load by local hour, read off the realtime grid. Knows nothing of methods or results.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use quorate_core::contract::{Column, Grid, ModuleError};
use quorate_core::ident::Millis;

use super::day_type::{DayType, DayTypes};

/// Mean power of each charging gun, kW.
const GUNS: &str = "outputPowerPerGunAvg";
/// Mean power of the whole station, kW.
const STATION: &str = "outputPowerPerStationAvg";

const HOUR_MS: i64 = 3_600_000;

/// One hour of one station.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hour {
    /// When it begins, local time.
    pub(crate) at: DateTime,
    /// Which kind of day it belongs to.
    pub(crate) day: DayType,
    /// Mean load over the hour; NaN where it is not known.
    pub(crate) kw: f64,
}

/// Consecutive hours, oldest first, at least one.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) hours: Vec<Hour>,
    /// When the newest hour begins.
    pub(crate) newest: Millis,
    /// Whether hours are UTC because the grid's own times could not be read.
    pub(crate) utc: bool,
}

impl History {
    /// The load of every step of an hourly grid. The station's own total counts where there is one, else the sum over
    /// those guns that have a value.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] for a grid of another step, without a step, or without either column.
    pub(crate) fn read(grid: &Grid, days: &DayTypes) -> Result<Self, ModuleError> {
        if grid.step_ms != HOUR_MS {
            return Err(ModuleError::rejected(format!(
                "grid steps last {} ms; an hourly grid is needed",
                grid.step_ms
            )));
        }
        let newest = *grid.starts.last().ok_or_else(|| ModuleError::rejected("grid has no step"))?;
        let local = local_times(grid);
        let utc = local.is_none();
        let times = match local {
            Some(times) => times,
            None => grid.starts.iter().map(|start| utc_time(*start)).collect::<Result<_, _>>()?,
        };
        let load = load(grid)?;
        let hours = times.into_iter().zip(load).map(|(at, kw)| Hour { at, day: days.of(at.date()), kw }).collect();
        Ok(Self { hours, newest, utc })
    }

    /// Hours whose load is known, sent or filled as the topic's configuration says.
    pub(crate) fn observed(&self) -> usize {
        observed(&self.hours)
    }

    /// The `count` hours after the newest, their load unknown.
    pub(crate) fn ahead(&self, count: usize, days: &DayTypes) -> Vec<(Millis, Hour)> {
        let last = self.hours[self.hours.len() - 1].at;
        (1..=count as i64)
            .map(|step| {
                let at = last.saturating_add(SignedDuration::from_hours(step));
                (self.newest.plus(step * HOUR_MS), Hour { at, day: days.of(at.date()), kw: f64::NAN })
            })
            .collect()
    }
}

/// How many of `hours` have a known load.
pub(crate) fn observed(hours: &[Hour]) -> usize {
    hours.iter().filter(|hour| !hour.kw.is_nan()).count()
}

fn load(grid: &Grid) -> Result<Vec<f64>, ModuleError> {
    let guns = grid.column(GUNS);
    // A total that nobody sent is a column of fill, not of load.
    let station = grid.column(STATION).ok().filter(|column| column.observed > 0);
    let mut load = match (guns, station) {
        (Ok(guns), _) => sum_over_series(guns, grid.starts.len(), grid.series.len()),
        (Err(_), Some(_)) => vec![f64::NAN; grid.starts.len()],
        (Err(missing), None) => return Err(missing),
    };
    for (kw, total) in load.iter_mut().zip(station.into_iter().flat_map(Column::chunks).flatten()) {
        // A total of zero while guns deliver is fill too.
        if total.is_finite() && !(*total == 0.0 && *kw > 0.0) {
            *kw = *total;
        }
    }
    Ok(load)
}

/// One sum per row over the numbers that are there; NaN where none is.
fn sum_over_series(column: &Column, rows: usize, width: usize) -> Vec<f64> {
    let mut sums = vec![f64::NAN; rows];
    for (cell, kw) in column.chunks().flatten().enumerate().filter(|(_, kw)| kw.is_finite()) {
        let sum = &mut sums[cell / width];
        *sum = if sum.is_nan() { *kw } else { *sum + kw };
    }
    sums
}

/// The grid's printed times, all or none: a mixture of zones would be worse than UTC.
fn local_times(grid: &Grid) -> Option<Vec<DateTime>> {
    grid.times.iter().map(|time| DateTime::strptime("%Y-%m-%d %H:%M:%S", time.as_bytes()).ok()).collect()
}

fn utc_time(start: Millis) -> Result<DateTime, ModuleError> {
    Timestamp::from_millisecond(start.0)
        .map(|instant| Offset::UTC.to_datetime(instant))
        .map_err(|e| ModuleError::rejected(format!("grid step at {} ms: {e}", start.0)))
}

#[cfg(test)]
mod tests {
    use quorate_core::contract::Value;

    use super::*;
    use crate::testing::{column, hourly_grid, total};

    /// 2025-11-04 16:00 UTC, midnight in Shanghai.
    const MIDNIGHT: Millis = Millis(1_762_272_000_000);
    const NAN: f64 = f64::NAN;

    fn grid(steps: usize, columns: Vec<Column>) -> Grid {
        match hourly_grid(MIDNIGHT, steps, 8, &["01", "05"], columns) {
            Value::Grid(grid) => grid,
            other => panic!("{other:?}"),
        }
    }

    fn read(grid: &Grid) -> Result<History, ModuleError> {
        History::read(grid, &DayTypes::default())
    }

    fn kw(history: &History) -> Vec<Option<f64>> {
        history.hours.iter().map(|hour| (!hour.kw.is_nan()).then_some(hour.kw)).collect()
    }

    #[test]
    fn load_is_the_sum_over_the_guns_that_have_a_value() {
        let history = read(&grid(3, vec![column(GUNS, &[1.0, 2.0, NAN, 4.0, NAN, NAN])])).expect("read");
        assert_eq!(kw(&history), [Some(3.0), Some(4.0), None]);
        assert_eq!(history.observed(), 2);
    }

    #[test]
    fn the_stations_own_total_comes_first_where_there_is_one() {
        let guns = column(GUNS, &[1.0, 2.0, 3.0, 4.0, NAN, NAN]);
        let history = read(&grid(3, vec![guns, total(STATION, &[3.5, NAN, 9.0])])).expect("read");
        assert_eq!(kw(&history), [Some(3.5), Some(7.0), Some(9.0)]);
    }

    #[test]
    fn a_total_that_is_only_fill_does_not_hide_the_guns() {
        let guns = || column(GUNS, &[1.0, 2.0, 3.0, 4.0]);
        let never_sent = Column::new(STATION.into(), true, 0, [0.0, 0.0].into());
        assert_eq!(kw(&read(&grid(2, vec![guns(), never_sent])).expect("read")), [Some(3.0), Some(7.0)]);
        let silent = Column::new(STATION.into(), true, 0, [0.0].into());
        assert_eq!(kw(&read(&grid(1, vec![column(GUNS, &[NAN, NAN]), silent])).expect("read")), [None]);
        let sent_once = Column::new(STATION.into(), true, 1, [3.5, 0.0].into());
        assert_eq!(kw(&read(&grid(2, vec![guns(), sent_once])).expect("read")), [Some(3.5), Some(7.0)]);
    }

    #[test]
    fn the_total_alone_is_enough_and_neither_is_not() {
        assert_eq!(kw(&read(&grid(2, vec![total(STATION, &[3.5, NAN])])).expect("read")), [Some(3.5), None]);
        assert!(matches!(read(&grid(2, vec![])), Err(ModuleError::Rejected(detail)) if detail.contains(GUNS)));
    }

    #[test]
    fn hours_and_those_ahead_are_local() {
        let history = read(&grid(23, vec![column(GUNS, &[1.0; 46])])).expect("read");
        assert!(!history.utc);
        assert_eq!(history.hours[0].at.to_string(), "2025-11-05T00:00:00");
        let ahead = history.ahead(2, &DayTypes::default());
        let at: Vec<_> = ahead.iter().map(|(start, hour)| (start.since(MIDNIGHT) / HOUR_MS, hour.at.hour())).collect();
        assert_eq!(at, [(23, 23), (24, 0)]);
    }

    #[test]
    fn unreadable_times_make_every_hour_utc() {
        let mut grid = grid(2, vec![column(GUNS, &[1.0; 4])]);
        grid.times = ["2025-11-05 00:00:00".into(), "05/11 01h".into()].into();
        let history = read(&grid).expect("read");
        assert!(history.utc);
        assert_eq!(history.hours[0].at.to_string(), "2025-11-04T16:00:00");
    }

    #[test]
    fn a_grid_that_is_empty_or_not_hourly_is_rejected() {
        let mut quarters = grid(2, vec![column(GUNS, &[1.0; 4])]);
        quarters.step_ms = 900_000;
        assert!(matches!(read(&quarters), Err(ModuleError::Rejected(detail)) if detail.contains("900000")));
        assert!(matches!(read(&grid(0, vec![column(GUNS, &[])])), Err(ModuleError::Rejected(_))));
    }
}
