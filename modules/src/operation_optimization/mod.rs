//! `operation_optimization`: when to charge and discharge a station's storage over the 24 hours of its load forecast, and
//! what to take from the grid, so that energy costs least.
//!
//! **Input**, by topic; the first two must be there:
//! * `load_prediction`, the module's result: `{"forecast":[{"time":"2025-11-05 00:00:00","start":ms,"kw":12.3},…]}`, hours
//!   that follow each other; the plan has the same hours.
//! * `SCHEDULE-CAR-PRICE`, window `latest`: `feeNo1` to `feeNo48`, a code for each half hour of the local day ("00" sharp, "01"
//!   peak, "02" flat, "03" ebb, "04" other), and `sharpElectricFee` and so on for the codes that occur, per kWh. The station
//!   is taken to buy at `…ElectricFee`; `…ServerFee` is what its customers pay on top. `lossRate` is not used.
//! * `SCHEDULE-DEVICE-STORAGE`, window `per_key` by `storageCode`: `batteryGroupSoc` and `batteryGroupSoh` (%), `maxTemperature`
//!   and `minTemperature` (°C). Without a unit that can be used the plan is one without storage.
//! * `SCHEDULE-STATION-PARAM`, window `latest`: `gridCapacity` (kW); absent, null, 0 or less means no limit.
//! * `pv_prediction`, a module's result in the shape of `load_prediction`: power of the sun, matched by `start`. An hour it
//!   does not name has none.
//!
//! **Output**, one result: `{"schedule":[{"time","start","load_kw","pv_kw","price","grid_kw","charge_kw","discharge_kw",
//! "soc_kwh","unserved_kw","curtailed_kw"},…24],"totals":{"cost","cost_without_storage","wear_cost","saving","peak_kw",
//! "unserved_kwh","unserved_kwh_without_storage"},"storage":{"units","left_out":[{"unit","reason"}],"capacity_kwh","min_kwh",
//! "max_kwh","start_kwh","power_kw"}|null,"grid_capacity_kw":600.0|null,"assumptions":{…},"missing":["pv_prediction",…]}`.
//! Powers are means over the hour, `soc_kwh` is what is stored at its end, money is in the tariff's currency. `saving` is
//! `cost_without_storage − cost − wear_cost`; it can be negative when storage delivers load that the grid alone could not,
//! and then `unserved_kwh` is less than without. Nothing is fed into the grid. Storage ends no emptier than it began. The
//! same input gives the same result.
//!
//! **Assumptions**, because no topic says it: energy and power of a unit, limits of its charge, losses and wear. They stand
//! as constants in `storage.rs` and in every result.
//!
//! **Errors:** [`ModuleError::Rejected`] without forecast or tariff, for a code without a price, power below 0 or above a
//! million kW, a price beyond ±100, or another shape than told here; the detail names the topic.

mod plan;
mod storage;

use async_trait::async_trait;
use jiff::civil::DateTime;
use quorate_core::contract::{Module, ModuleError, ModuleInput, Output, Reading, Value};
use quorate_core::ident::Millis;
use serde::{Deserialize, Serialize};

use crate::forecast::{Forecast, Hour, LOAD, as_printed_in_grids, to_watts};
use crate::latest::{latest, needed, of};
use crate::tariff::{Fees, PRICE, Tariff};
use plan::{Demand, Flow, Problem};
use storage::Storage;

const STORAGE: &str = "SCHEDULE-DEVICE-STORAGE";
const PARAM: &str = "SCHEDULE-STATION-PARAM";
const PV: &str = "pv_prediction";

/// The module `operation_optimization`.
#[derive(Clone, Copy, Debug)]
pub struct OperationOptimization;

/// The result, as it is published.
#[derive(Debug, Serialize)]
struct Plan {
    schedule: Vec<Step>,
    totals: Totals,
    storage: Option<Storage>,
    grid_capacity_kw: Option<f64>,
    assumptions: Assumptions,
    /// Inputs that were not there.
    missing: Vec<&'static str>,
}

/// One planned hour.
#[derive(Debug, Serialize)]
struct Step {
    #[serde(serialize_with = "as_printed_in_grids")]
    time: DateTime,
    start: Millis,
    load_kw: f64,
    pv_kw: f64,
    price: f64,
    grid_kw: f64,
    charge_kw: f64,
    discharge_kw: f64,
    soc_kwh: f64,
    unserved_kw: f64,
    curtailed_kw: f64,
}

/// Sums over the schedule as it is published.
#[derive(Debug, Serialize)]
struct Totals {
    cost: f64,
    cost_without_storage: f64,
    wear_cost: f64,
    saving: f64,
    peak_kw: f64,
    unserved_kwh: f64,
    unserved_kwh_without_storage: f64,
}

#[derive(Debug, Serialize)]
struct Assumptions {
    price: &'static str,
    unit_kwh: f64,
    unit_kw: f64,
    min_soc_percent: f64,
    max_soc_percent: f64,
    efficiency_each_way: f64,
    wear_per_kwh: f64,
}

const ASSUMPTIONS: Assumptions = Assumptions {
    price: "ElectricFee",
    unit_kwh: storage::UNIT_KWH,
    unit_kw: storage::UNIT_KW,
    min_soc_percent: storage::SOC_PERCENT.0,
    max_soc_percent: storage::SOC_PERCENT.1,
    efficiency_each_way: storage::EFFICIENCY,
    wear_per_kwh: storage::WEAR_PER_KWH,
};

#[derive(Deserialize)]
struct Param {
    #[serde(rename = "gridCapacity")]
    grid_capacity: Option<f64>,
}

#[async_trait]
impl Module for OperationOptimization {
    fn name(&self) -> &'static str {
        "operation_optimization"
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        Ok(vec![Output::json(&plan(input)?)?])
    }
}

fn plan(input: &ModuleInput) -> Result<Plan, ModuleError> {
    let load = needed(input, LOAD, Forecast::parse)?;
    let tariff = needed(input, PRICE, |reading| Tariff::parse(reading, Fees::Energy))?;
    let pv = latest(input, PV, Forecast::parse)?;
    let storage = storage(input)?;
    let param = latest(input, PARAM, Reading::parse::<Param>)?;
    let grid_capacity_kw = param.as_ref().and_then(|param| param.grid_capacity).filter(|kw| *kw > 0.0);

    let demand = |hour: &Hour| Demand {
        load_kw: hour.kw,
        pv_kw: pv.as_ref().and_then(|pv| pv.at(hour.start)).unwrap_or_default(),
        price: tariff.over_hour(hour.time),
    };
    let problem = Problem {
        demand: load.hours.iter().map(demand).collect(),
        grid_kw: grid_capacity_kw.unwrap_or(f64::INFINITY),
        battery: storage.as_ref().and_then(Storage::battery),
    };
    let flows = problem.solve().map_err(|e| ModuleError::rejected(format!("no plan was found: {e}")))?;
    let steps = |flows: &[Flow]| -> Vec<Step> {
        load.hours
            .iter()
            .zip(&problem.demand)
            .zip(flows)
            .map(|((hour, demand), flow)| Step::new(hour, demand, flow))
            .collect()
    };
    let schedule = steps(&flows);
    let absent = [
        (PV, pv.is_none()),
        (STORAGE, storage.is_none()),
        (PARAM, param.is_none()),
        ("gridCapacity", param.is_some() && grid_capacity_kw.is_none()),
    ];
    Ok(Plan {
        totals: Totals::of(&schedule, &steps(&problem.without_battery())),
        schedule,
        storage,
        grid_capacity_kw,
        assumptions: ASSUMPTIONS,
        missing: absent.into_iter().filter_map(|(name, absent)| absent.then_some(name)).collect(),
    })
}

/// None when the topic is absent.
fn storage(input: &ModuleInput) -> Result<Option<Storage>, ModuleError> {
    match input.topic(STORAGE).map(|topic| &topic.value) {
        Err(_) | Ok(Value::Missing) => Ok(None),
        Ok(value) => value.readings().and_then(Storage::of).map(Some).map_err(|e| of(STORAGE, &e)),
    }
}

impl Step {
    fn new(hour: &Hour, demand: &Demand, flow: &Flow) -> Self {
        Self {
            time: hour.time,
            start: hour.start,
            load_kw: to_watts(hour.kw),
            pv_kw: to_watts(demand.pv_kw),
            price: to_parts_of_money(demand.price),
            grid_kw: to_watts(flow.grid_kw),
            charge_kw: to_watts(flow.charge_kw),
            discharge_kw: to_watts(flow.discharge_kw),
            soc_kwh: to_watts(flow.soc_kwh),
            unserved_kw: to_watts(flow.unserved_kw),
            curtailed_kw: to_watts(flow.curtailed_kw),
        }
    }
}

impl Totals {
    fn of(schedule: &[Step], without_storage: &[Step]) -> Self {
        let cost = |steps: &[Step]| to_parts_of_money(steps.iter().map(|step| step.price * step.grid_kw).sum());
        let unserved = |steps: &[Step]| to_watts(steps.iter().map(|step| step.unserved_kw).sum());
        let moved: f64 = schedule.iter().map(|step| step.charge_kw + step.discharge_kw).sum();
        let (with, without, wear) =
            (cost(schedule), cost(without_storage), to_parts_of_money(moved * storage::WEAR_PER_KWH));
        Self {
            cost: with,
            cost_without_storage: without,
            wear_cost: wear,
            saving: to_parts_of_money(without - with - wear),
            peak_kw: schedule.iter().map(|step| step.grid_kw).fold(0.0, f64::max),
            unserved_kwh: unserved(schedule),
            unserved_kwh_without_storage: unserved(without_storage),
        }
    }
}

/// To four decimals of the tariff's currency. Never minus zero.
fn to_parts_of_money(amount: f64) -> f64 {
    (amount * 10_000.0).round() / 10_000.0 + 0.0
}

#[cfg(test)]
mod tests;
