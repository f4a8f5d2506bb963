//! `load_prediction`: a station's load for the next 24 hours, from up to four weeks of hourly load.
//!
//! **Input**, by topic; only the first must be there:
//! * `SCHEDULE-STATION-REALTIME-DATA`, window `grid` with steps of an hour: value `outputPowerPerGunAvg` (kW, one per gun),
//!   total `outputPowerPerStationAvg` (kW). An hour's load is the total where it was sent, else the sum over the guns. Gaps the
//!   configuration leaves open (NaN) are understood; `fill = "linear"` with `max_gap = "3h"` suits, `zero` passes
//!   silence off as idleness. Hours of the day are those of the grid's printed times, in the form `2025-11-04 09:00:00`.
//! * `SCHEDULE-ENVIRONMENT-CALENDAR`, window `latest`: `{"calendar":[{"date","isHoliday","isWeekend"},…]}`.
//! * `SCHEDULE-STATION-PARAM`, window `latest`: `gridCapacity` (kW); absent, null, 0 or less means unknown.
//!
//! **Output**, one result: `{"forecast":[{"time":"2025-11-05 00:00:00","start":ms,"day":"workday|free","kw":12.3},…24],
//! "unit":"kW","method":"mstl_weekly","observed_hours":672,"fitted_hours":672,"capacity_kw":600.0|null,"clipped":0,…}`. The
//! method is `mstl_weekly` from 336 observed hours on, `mstl_daily` from 72 on, else `seasonal_naive`, and then `reason` says
//! why. The same input gives the same result.
//!
//! **Errors:** [`ModuleError::Rejected`] when no hour has a load, or an input has another shape than told here.

mod day_type;
#[cfg(test)]
mod fleet;
mod history;
mod mstl;
mod naive;

use async_trait::async_trait;
use jiff::civil::DateTime;
use quorate_core::contract::{Module, ModuleError, ModuleInput, Output, Reading};
use quorate_core::ident::Millis;
use serde::{Deserialize, Serialize};

use crate::forecast::{as_printed_in_grids, to_watts};
use crate::latest::latest;
use day_type::{DayType, DayTypes};
use history::History;

const REALTIME: &str = "SCHEDULE-STATION-REALTIME-DATA";
const CALENDAR: &str = "SCHEDULE-ENVIRONMENT-CALENDAR";
const PARAM: &str = "SCHEDULE-STATION-PARAM";

/// Hours predicted.
const HORIZON: usize = 24;

/// The module `load_prediction`.
#[derive(Clone, Copy, Debug)]
pub struct LoadPrediction;

/// The result, as it is published.
#[derive(Debug, Serialize)]
struct Prediction {
    forecast: Vec<Step>,
    unit: &'static str,
    method: Method,
    /// Why the method is the naive one.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Hours of the grid whose load is known, sent or filled as configured.
    observed_hours: usize,
    /// Hours the model was fitted on; less than the grid's when a long gap cuts it. Null for the naive method.
    fitted_hours: Option<usize>,
    /// Upper limit of the forecast; null when unknown.
    capacity_kw: Option<f64>,
    /// Predicted hours that lay below 0 or above the capacity and were brought to that limit.
    clipped: usize,
    /// Entries of the calendar whose date could not be read.
    calendar_ignored: usize,
    /// `local`, or `utc` when the grid's printed times could not be read.
    clock: &'static str,
}

/// One predicted hour.
#[derive(Debug, Serialize)]
struct Step {
    #[serde(serialize_with = "as_printed_in_grids")]
    time: DateTime,
    start: Millis,
    day: DayType,
    kw: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    MstlWeekly,
    MstlDaily,
    SeasonalNaive,
}

#[derive(Deserialize)]
struct Param {
    #[serde(rename = "gridCapacity")]
    grid_capacity: Option<f64>,
}

#[async_trait]
impl Module for LoadPrediction {
    fn name(&self) -> &'static str {
        "load_prediction"
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        Ok(vec![Output::json(&predict(input)?)?])
    }
}

fn predict(input: &ModuleInput) -> Result<Prediction, ModuleError> {
    let days = latest(input, CALENDAR, DayTypes::parse)?.unwrap_or_default();
    let param = latest(input, PARAM, Reading::parse::<Param>)?;
    let capacity_kw = param.and_then(|param| param.grid_capacity).filter(|kw| *kw > 0.0);
    let history = History::read(input.topic(REALTIME)?.value.grid()?, &days)?;
    if history.observed() == 0 {
        return Err(ModuleError::rejected("no hour of the station's load is known"));
    }

    let (starts, ahead): (Vec<_>, Vec<_>) = history.ahead(HORIZON, &days).into_iter().unzip();
    let (raw, method, reason, fitted_hours) = match mstl::forecast(&history.hours, &ahead) {
        Ok(fitted) => {
            let method = if fitted.weekly { Method::MstlWeekly } else { Method::MstlDaily };
            (fitted.kw, method, None, Some(fitted.hours))
        }
        Err(reason) => {
            let same_hour = |hour| naive::forecast(&history.hours, hour).unwrap_or_default();
            (ahead.iter().map(same_hour).collect(), Method::SeasonalNaive, Some(reason), None)
        }
    };

    let limit = capacity_kw.unwrap_or(f64::INFINITY);
    let clipped = raw.iter().filter(|kw| !(0.0..=limit).contains(*kw)).count();
    let steps = starts.into_iter().zip(ahead).zip(raw);
    let forecast = steps
        .map(|((start, hour), kw)| Step { time: hour.at, start, day: hour.day, kw: to_watts(kw.clamp(0.0, limit)) })
        .collect();
    Ok(Prediction {
        forecast,
        unit: "kW",
        method,
        reason,
        observed_hours: history.observed(),
        fitted_hours,
        capacity_kw,
        clipped,
        calendar_ignored: days.ignored,
        clock: if history.utc { "utc" } else { "local" },
    })
}

#[cfg(test)]
mod tests;
