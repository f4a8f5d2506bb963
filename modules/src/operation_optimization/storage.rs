//! [`Storage`]: the station's storage units as one battery. Its assumptions stand here, because no topic names them.

use quorate_core::contract::{ModuleError, Reading};
use serde::{Deserialize, Serialize};

use super::plan::Battery;

/// Energy of a healthy unit, kWh, and what it takes or gives at most, kW: the usual outdoor cabinet of 240 cells of
/// 280 Ah in a row.
pub(super) const UNIT_KWH: f64 = 215.0;
pub(super) const UNIT_KW: f64 = 100.0;
/// States of charge that a plan stays within, percent. A unit beyond them may stay there, and move only inwards.
pub(super) const SOC_PERCENT: (f64, f64) = (10.0, 95.0);
/// Share of the energy that arrives, each way: 0.9 there and back.
pub(super) const EFFICIENCY: f64 = 0.95;
/// Wear per kWh that goes in or comes out: 800 for a kWh of cells that lasts 8000 full cycles.
pub(super) const WEAR_PER_KWH: f64 = 0.05;
/// Temperatures that a unit may be used at, °C; below them lithium cells must not be charged.
const CELSIUS: (f64, f64) = (0.0, 55.0);

/// The units that can be used, taken together, and those that cannot.
#[derive(Debug, Default, Serialize)]
pub(super) struct Storage {
    /// Units in use.
    pub(super) units: usize,
    /// Units out of use.
    pub(super) left_out: Vec<LeftOut>,
    capacity_kwh: f64,
    min_kwh: f64,
    max_kwh: f64,
    start_kwh: f64,
    power_kw: f64,
}

/// A unit that is out of use, and why.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct LeftOut {
    unit: String,
    reason: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unit {
    #[serde(default)]
    storage_code: String,
    battery_group_soc: Option<f64>,
    battery_group_soh: Option<f64>,
    max_temperature: Option<f64>,
    min_temperature: Option<f64>,
}

impl Storage {
    /// Adds up units `{"storageCode","batteryGroupSoc":%,"batteryGroupSoh":%,"maxTemperature":°C,"minTemperature":°C}`. A
    /// health that is not known or not within 0 to 100 counts as 100; a temperature that is not known as harmless.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when a reading has another shape.
    pub(super) fn of(readings: &[Reading]) -> Result<Self, ModuleError> {
        let mut storage = Self::default();
        for reading in readings {
            let unit: Unit = reading.parse()?;
            match unit.charge() {
                Ok(soc) => storage.add(soc, unit.health()),
                Err(reason) => storage.left_out.push(LeftOut { unit: unit.storage_code, reason }),
            }
        }
        Ok(storage)
    }

    fn add(&mut self, soc: f64, health: f64) {
        let kwh = UNIT_KWH * health;
        self.units += 1;
        self.capacity_kwh += kwh;
        self.start_kwh += kwh * soc / 100.0;
        self.min_kwh += kwh * soc.min(SOC_PERCENT.0) / 100.0;
        self.max_kwh += kwh * soc.max(SOC_PERCENT.1) / 100.0;
        self.power_kw += UNIT_KW;
    }

    /// None without a unit in use.
    pub(super) fn battery(&self) -> Option<Battery> {
        (self.units > 0).then_some(Battery {
            min_kwh: self.min_kwh,
            max_kwh: self.max_kwh,
            start_kwh: self.start_kwh,
            power_kw: self.power_kw,
            efficiency: EFFICIENCY,
            wear_per_kwh: WEAR_PER_KWH,
        })
    }
}

impl Unit {
    /// The state of charge, percent.
    fn charge(&self) -> Result<f64, &'static str> {
        if self.max_temperature.is_some_and(|celsius| celsius > CELSIUS.1) {
            return Err("too hot");
        }
        if self.min_temperature.is_some_and(|celsius| celsius < CELSIUS.0) {
            return Err("too cold");
        }
        match self.battery_group_soc {
            Some(soc) if (0.0..=100.0).contains(&soc) => Ok(soc),
            Some(_) => Err("state of charge not within 0 to 100 %"),
            None => Err("no state of charge"),
        }
    }

    /// Share of a healthy unit's energy.
    fn health(&self) -> f64 {
        self.battery_group_soh.filter(|soh| (0.0..=100.0).contains(soh)).unwrap_or(100.0) / 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(units: &[&str]) -> Storage {
        let readings: Vec<Reading> = units.iter().map(|unit| Reading::from_json((*unit).into())).collect();
        Storage::of(&readings).expect("read")
    }

    #[test]
    fn units_add_up_scaled_by_their_health() {
        let storage = storage(&[
            r#"{"storageCode":"A","batteryGroupSoc":50,"batteryGroupSoh":80,"maxTemperature":40.0,"minTemperature":5.0}"#,
            r#"{"storageCode":"B","batteryGroupSoc":20}"#,
        ]);
        let battery = storage.battery().expect("two units");
        assert_eq!((storage.units, storage.capacity_kwh, battery.power_kw), (2, 387.0, 200.0));
        assert_eq!(battery.start_kwh, 0.5 * 172.0 + 0.2 * 215.0);
        assert!((battery.min_kwh - 38.7).abs() < 1e-9 && (battery.max_kwh - 367.65).abs() < 1e-9);
    }

    #[test]
    fn a_unit_beyond_the_limits_may_stay_there() {
        let low = storage(&[r#"{"batteryGroupSoc":4}"#]).battery().expect("a unit");
        assert_eq!((low.min_kwh, low.start_kwh), (8.6, 8.6));
        let high = storage(&[r#"{"batteryGroupSoc":100}"#]).battery().expect("a unit");
        assert_eq!((high.max_kwh, high.start_kwh), (215.0, 215.0));
    }

    #[test]
    fn a_unit_that_cannot_be_used_is_left_out_and_says_why() {
        let storage = storage(&[
            r#"{"storageCode":"A","batteryGroupSoc":null}"#,
            r#"{"storageCode":"B","batteryGroupSoc":101}"#,
            r#"{"storageCode":"C","batteryGroupSoc":50,"maxTemperature":56}"#,
            r#"{"storageCode":"D","batteryGroupSoc":50,"minTemperature":-1}"#,
        ]);
        let reasons: Vec<_> = storage.left_out.iter().map(|unit| (unit.unit.as_str(), unit.reason)).collect();
        let charge = "state of charge not within 0 to 100 %";
        assert_eq!(reasons, [("A", "no state of charge"), ("B", charge), ("C", "too hot"), ("D", "too cold")]);
        assert!(storage.battery().is_none());
    }
}
