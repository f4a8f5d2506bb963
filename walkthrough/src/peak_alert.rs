//! `peak_alert`: warns when what a station's meters show comes close to what its grid connection can carry.
//!
//! **Input:** SCHEDULE-STATION-PARAM (`latest`), SCHEDULE-DEVICE-METER (`per_key`). **Output:** one alert from 80 % on,
//! nothing below. **Errors:** rejected when neither the station nor every meter has a limit.

use quorate::{Module, ModuleError, ModuleInput, Output, async_trait};
use serde::{Deserialize, Serialize};

/// Shares of the limit from which on an alert is worth sending.
const WARNING: f64 = 0.80;
const CRITICAL: f64 = 0.95;

/// The module `peak_alert`.
#[derive(Clone, Copy, Debug)]
pub struct PeakAlert;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Station {
    /// In kW; 0 when nobody has entered it.
    grid_capacity: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meter {
    meter_id: String,
    /// In kW.
    meter_power: f64,
    rmeter_limit_power: Option<f64>,
}

#[derive(Serialize)]
struct Alert {
    level: &'static str,
    kw: f64,
    limit_kw: f64,
    /// Of the limit; 1 is all of it.
    share: f64,
    /// The meter that shows most.
    highest: String,
}

#[async_trait]
impl Module for PeakAlert {
    fn name(&self) -> &'static str {
        "peak_alert"
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        let station: Station = input.topic("SCHEDULE-STATION-PARAM")?.value.reading()?.parse()?;
        let readings = input.topic("SCHEDULE-DEVICE-METER")?.value.readings()?;
        let meters = readings.iter().map(|reading| reading.parse()).collect::<Result<Vec<Meter>, _>>()?;

        let kw: f64 = meters.iter().map(|meter| meter.meter_power).sum();
        let limit_kw = limit(&station, &meters)?;
        let share = kw / limit_kw;
        let level = match share {
            share if share >= CRITICAL => "critical",
            share if share >= WARNING => "warning",
            _ => return Ok(Vec::new()),
        };
        let highest = meters.into_iter().max_by(|a, b| a.meter_power.total_cmp(&b.meter_power));
        let highest = highest.map(|meter| meter.meter_id).unwrap_or_default();
        Ok(vec![Output::json(&Alert { level, kw, limit_kw, share, highest })?])
    }
}

/// What the station may draw, in kW: its own limit, or else what all its meters allow together.
fn limit(station: &Station, meters: &[Meter]) -> Result<f64, ModuleError> {
    if station.grid_capacity > 0.0 {
        return Ok(station.grid_capacity);
    }
    let of_meters: Option<f64> = meters.iter().map(|meter| meter.rmeter_limit_power).sum();
    of_meters.filter(|limit_kw| *limit_kw > 0.0).ok_or_else(|| {
        ModuleError::rejected("no limit is known: gridCapacity is 0, and not every meter has rmeterLimitPower")
    })
}
