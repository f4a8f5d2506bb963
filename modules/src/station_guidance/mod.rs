//! `station_guidance`: how much power and how many guns of a station will be free over the next 24 hours, and a score by
//! which stations can be sorted.
//!
//! **Input**, by topic; the first two must be there:
//! * `load_prediction`, the module's result: `{"forecast":[{"time":"2025-11-05 00:00:00","start":ms,"kw":12.3},…]}`.
//! * `SCHEDULE-STATION-PARAM`, window `latest`: `gridCapacity` and `normalCap` (kW; the smaller counts), `gunNum`. Absent, null, 0
//!   or less means unknown; one of capacity and guns must be known.
//! * `SCHEDULE-CAR-ORDER`, window `latest`, `rows`, `per_key` or `bucket`: `hostCode`, `gunNo`, `endChargeTime` (2060 or later: the
//!   car still charges), `outputPower` (kW). The more orders the window holds, the more guns are known to be occupied;
//!   `latest` holds one.
//! * `SCHEDULE-CAR-PRICE`, window `latest`, as `operation_optimization` reads it; a customer pays `…ElectricFee` plus `…ServerFee`.
//! * `evaluation_model`, a module's result: `score`, when it is a number from 0 to 1; anything else is left aside.
//!
//! **Output**, one result: `{"score":0.61,"hours":[{"time","start","free_kw":120.0|null,"free_guns":6|null,"price":1.1|null,
//! "score":0.6},…24],"capacity_kw":600.0|null,"guns":12|null,"occupied_guns":3|null,"kw_per_gun":38.5,"evaluation":0.8|null,
//! "orders_ignored":0}`. Free power is the capacity less the forecast. Free guns are the guns less those that the forecast
//! occupies at `kw_per_gun` each: the mean power of the cars that charge, 40 where it is not known. In the first hour at
//! least `occupied_guns` are taken. An hour's score is, over what is known, the mean of `kW/(kW+120)` (weight 0.35),
//! `guns/(guns+2)` (0.35), `1/(1+price)` (0.2) and the evaluation (0.1), from 0 to 1; the station's is the mean over its
//! hours. More free power, more free guns or a lower price never lower it. The same input gives the same result.
//!
//! **Errors:** [`ModuleError::Rejected`] without a forecast, without capacity and guns, or for another shape than told here;
//! the detail names the topic.

mod orders;
mod score;

use async_trait::async_trait;
use jiff::civil::DateTime;
use quorate_core::contract::{Module, ModuleError, ModuleInput, Output, Reading, Value};
use quorate_core::ident::Millis;
use serde::{Deserialize, Serialize};

use crate::forecast::{Forecast, LOAD, as_printed_in_grids, to_watts};
use crate::latest::{latest, needed, of};
use crate::tariff::{Fees, PRICE, Tariff};
use orders::Occupied;
use score::Terms;

const PARAM: &str = "SCHEDULE-STATION-PARAM";
const ORDER: &str = "SCHEDULE-CAR-ORDER";
const EVALUATION: &str = "evaluation_model";

/// What a charging car draws when no order tells, kW.
const USUAL_KW_PER_GUN: f64 = 40.0;
/// More guns or power than any station has; what lies above is as good as this.
const MOST: f64 = 1e6;

/// The module `station_guidance`.
#[derive(Clone, Copy, Debug)]
pub struct StationGuidance;

/// The result, as it is published.
#[derive(Debug, Serialize)]
struct Guidance {
    score: f64,
    hours: Vec<Step>,
    capacity_kw: Option<f64>,
    guns: Option<u32>,
    /// Guns that charge a car, as far as orders tell; null without orders.
    occupied_guns: Option<usize>,
    kw_per_gun: f64,
    evaluation: Option<f64>,
    orders_ignored: usize,
}

/// One hour ahead.
#[derive(Debug, Serialize)]
struct Step {
    #[serde(serialize_with = "as_printed_in_grids")]
    time: DateTime,
    start: Millis,
    free_kw: Option<f64>,
    free_guns: Option<u32>,
    price: Option<f64>,
    score: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Param {
    grid_capacity: Option<f64>,
    normal_cap: Option<f64>,
    gun_num: Option<f64>,
}

#[async_trait]
impl Module for StationGuidance {
    fn name(&self) -> &'static str {
        "station_guidance"
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        Ok(vec![Output::json(&guide(input)?)?])
    }
}

fn guide(input: &ModuleInput) -> Result<Guidance, ModuleError> {
    let load = needed(input, LOAD, Forecast::parse)?;
    let param = needed(input, PARAM, Reading::parse::<Param>)?;
    let (capacity_kw, guns) = (param.capacity_kw(), param.guns());
    if capacity_kw.is_none() && guns.is_none() {
        return Err(of(PARAM, &ModuleError::rejected("neither capacity nor guns are known")));
    }
    let occupied = occupied(input)?;
    let tariff = latest(input, PRICE, |reading| Tariff::parse(reading, Fees::EnergyAndService))?;
    let evaluation = latest(input, EVALUATION, evaluation)?.flatten();
    let kw_per_gun = occupied.as_ref().and_then(|occupied| occupied.kw_per_gun).unwrap_or(USUAL_KW_PER_GUN);

    let mut known_busy = occupied.as_ref().map_or(0.0, |occupied| occupied.guns as f64);
    let mut hours = Vec::with_capacity(load.hours.len());
    for hour in &load.hours {
        let busy = (hour.kw / kw_per_gun).ceil().max(std::mem::take(&mut known_busy));
        let terms = Terms {
            free_kw: capacity_kw.map(|kw| to_watts((kw - hour.kw).max(0.0))),
            free_guns: guns.map(|guns| (f64::from(guns) - busy).max(0.0)),
            price: tariff.as_ref().map(|tariff| tariff.over_hour(hour.time)),
            evaluation,
        };
        hours.push(Step {
            time: hour.time,
            start: hour.start,
            free_kw: terms.free_kw,
            free_guns: terms.free_guns.map(|guns| guns as u32),
            price: terms.price.map(to_four_decimals),
            score: terms.score().unwrap_or_default(),
        });
    }
    let score = to_four_decimals(hours.iter().map(|hour| hour.score).sum::<f64>() / hours.len() as f64);
    for hour in &mut hours {
        hour.score = to_four_decimals(hour.score);
    }
    Ok(Guidance {
        score,
        hours,
        capacity_kw,
        guns,
        occupied_guns: occupied.as_ref().map(|occupied| occupied.guns),
        kw_per_gun: to_watts(kw_per_gun),
        evaluation,
        orders_ignored: occupied.map_or(0, |occupied| occupied.ignored),
    })
}

impl Param {
    fn capacity_kw(&self) -> Option<f64> {
        let known = [self.grid_capacity, self.normal_cap].into_iter().flatten().filter(|kw| *kw > 0.0);
        known.reduce(f64::min).map(|kw| kw.min(MOST))
    }

    fn guns(&self) -> Option<u32> {
        self.gun_num.filter(|guns| *guns >= 1.0).map(|guns| guns.min(MOST) as u32)
    }
}

/// None when the topic is absent.
fn occupied(input: &ModuleInput) -> Result<Option<Occupied>, ModuleError> {
    match input.topic(ORDER).map(|topic| &topic.value) {
        Err(_) | Ok(Value::Missing) => Ok(None),
        Ok(value) => Occupied::parse(value).map(Some).map_err(|e| of(ORDER, &e)),
    }
}

/// The score that another module gave, when it is one.
fn evaluation(reading: &Reading) -> Result<Option<f64>, ModuleError> {
    let result: serde_json::Value = reading.parse()?;
    let score = result.get("score").and_then(serde_json::Value::as_f64);
    Ok(score.filter(|score| (0.0..=1.0).contains(score)))
}

/// Four decimals are enough to sort by. Never minus zero.
fn to_four_decimals(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0 + 0.0
}

#[cfg(test)]
mod tests;
