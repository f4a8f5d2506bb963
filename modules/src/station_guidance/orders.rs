//! [`Occupied`]: which guns charge a car at the moment, as orders tell. Knows nothing of the hours ahead.

use std::collections::BTreeMap;

use quorate_core::contract::{ModuleError, Reading, Value};
use serde::Deserialize;

/// An order that still charges ends in 2070; any end from here on means so.
const STILL_CHARGING_FROM: i64 = 2060;
/// Power between these, kW, says how much a charging car draws; less is a car that is almost full, more a mistake.
const TELLING_KW: std::ops::RangeInclusive<f64> = 5.0..=1000.0;

/// Guns in use, each counted once.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Occupied {
    pub(super) guns: usize,
    /// Mean power of those whose power tells something.
    pub(super) kw_per_gun: Option<f64>,
    /// Orders without a gun or an end.
    pub(super) ignored: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    #[serde(default)]
    host_code: Option<String>,
    gun_no: Option<String>,
    end_charge_time: Option<String>,
    output_power: Option<f64>,
}

impl Occupied {
    /// Reads one order (window `latest`), several (`rows`, `per_key`) or a bucket of them. Of two orders of one gun the later
    /// in the list counts.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when the window is a grid or an order has another shape.
    pub(super) fn parse(value: &Value) -> Result<Self, ModuleError> {
        let readings = match value {
            Value::Reading(reading) => std::slice::from_ref(reading),
            Value::Bucket(bucket) => &*bucket.readings,
            other => other.readings()?,
        };
        let (mut guns, mut ignored) = (BTreeMap::new(), 0);
        for order in readings.iter().map(Reading::parse::<Order>) {
            let order = order?;
            let charging = order.is_charging();
            match (order.gun_no, charging) {
                (Some(gun), Some(charging)) => {
                    guns.insert((order.host_code, gun), charging.then_some(order.output_power));
                }
                _ => ignored += 1,
            }
        }
        let charging: Vec<Option<f64>> = guns.into_values().flatten().collect();
        let telling: Vec<f64> = charging.iter().copied().flatten().filter(|kw| TELLING_KW.contains(kw)).collect();
        let kw_per_gun = (!telling.is_empty()).then(|| telling.iter().sum::<f64>() / telling.len() as f64);
        Ok(Self { guns: charging.len(), kw_per_gun, ignored })
    }
}

impl Order {
    fn is_charging(&self) -> Option<bool> {
        let year = self.end_charge_time.as_deref()?.split('-').next()?;
        year.parse::<i64>().ok().map(|year| year >= STILL_CHARGING_FROM)
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::Millis;

    use super::*;
    use crate::testing::{bucket, hourly_grid, reading, readings};

    fn order(gun: &str, end: &str, kw: f64) -> String {
        format!(r#"{{"hostCode":"H","gunNo":"{gun}","endChargeTime":"{end}","outputPower":{kw:?}}}"#)
    }

    const CHARGING: &str = "2070-01-02 08:00:01";
    const ENDED: &str = "2025-11-19 12:40:00";

    #[test]
    fn a_gun_is_occupied_while_its_latest_order_has_no_end() {
        let orders = [
            order("01", CHARGING, 60.0),
            order("02", CHARGING, 100.0),
            order("03", ENDED, 0.0),
            order("01", CHARGING, 40.0),
            order("04", CHARGING, 50.0),
            order("04", ENDED, 0.0),
        ];
        let orders: Vec<&str> = orders.iter().map(String::as_str).collect();
        let expected = Occupied { guns: 2, kw_per_gun: Some(70.0), ignored: 0 };
        assert_eq!(Occupied::parse(&readings(&orders)), Ok(expected));
        assert_eq!(Occupied::parse(&bucket(Millis(0), Millis(1000), &orders)).map(|found| found.guns), Ok(2));
        assert_eq!(Occupied::parse(&reading(orders[0])).map(|found| found.guns), Ok(1));
    }

    #[test]
    fn an_order_that_says_too_little_is_ignored_and_counted() {
        let orders = readings(&[r#"{"gunNo":"01"}"#, r#"{"endChargeTime":"2070-01-02 08:00:01"}"#, "{}"]);
        assert_eq!(Occupied::parse(&orders), Ok(Occupied { guns: 0, kw_per_gun: None, ignored: 3 }));
    }

    #[test]
    fn power_that_tells_nothing_does_not_count() {
        let order = order("01", CHARGING, 1e308);
        assert_eq!(Occupied::parse(&reading(&order)).map(|found| found.kw_per_gun), Ok(None));
    }

    #[test]
    fn a_grid_is_rejected() {
        assert!(Occupied::parse(&hourly_grid(Millis(0), 1, 8, &[], vec![])).is_err());
    }
}
