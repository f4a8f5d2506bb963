//! What somebody sees who reads the output topics and knows the fleet, but asks the service nothing. Pure: records in,
//! counts and the latest forecast of each station out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_core::ident::Millis;
use serde::Deserialize;

use super::settings::MODULE;
use crate::kafka::TailedRecord;

/// Odd records that are described; more are counted only.
const DESCRIBED: usize = 5;

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Results by module.
    pub results: BTreeMap<String, u64>,
    /// Dead letters by reason.
    pub dead_letters: BTreeMap<String, u64>,
    /// Forecasts by method.
    pub methods: BTreeMap<String, u64>,
    /// The latest forecast of each station.
    pub forecasts: BTreeMap<String, Arc<Forecast>>,
    /// Records that are not as they should be, and what is wrong with the first of them.
    pub odd: u64,
    /// See `odd`.
    pub oddities: Vec<String>,
}

/// A station's forecast, as it was published.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The method by which it was made.
    pub method: String,
    /// What the station can draw from the grid, in kW; none when unknown.
    pub capacity_kw: Option<f64>,
    /// Hours it rests on.
    pub observed_hours: usize,
    /// When it was assembled.
    pub at: Millis,
    /// The hours ahead, oldest first.
    pub points: Vec<Point>,
}

/// One predicted hour.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Point {
    /// The hour's beginning, as the stations write it.
    pub time: String,
    /// The hour's beginning.
    pub start: i64,
    /// The load, in kW.
    pub kw: f64,
}

#[derive(Deserialize)]
struct Envelope {
    station_id: String,
    module: String,
    at: i64,
    output: serde_json::Value,
}

#[derive(Deserialize)]
struct Output {
    forecast: Vec<Point>,
    method: String,
    observed_hours: usize,
    capacity_kw: Option<f64>,
}

/// Looks at records as they are read.
#[derive(Debug)]
pub(super) struct Observer {
    stations: BTreeSet<String>,
    dead_letter_topic: Arc<str>,
}

impl Observer {
    pub(super) fn new(stations: impl IntoIterator<Item = String>, dead_letter_topic: Arc<str>) -> Self {
        Self { stations: stations.into_iter().collect(), dead_letter_topic }
    }

    /// Adds a record to what was seen.
    pub(super) fn look(&self, record: &TailedRecord, seen: &mut Seen) {
        let looked = if record.topic == self.dead_letter_topic {
            let reason = record.header("quorate-reason").unwrap_or("none").to_owned();
            *seen.dead_letters.entry(reason).or_default() += 1;
            Ok(())
        } else {
            self.result(record, seen)
        };
        if let Err(what) = looked {
            seen.odd += 1;
            if seen.oddities.len() < DESCRIBED {
                let place = format!("{}/{}/{}", record.topic, record.partition, record.offset);
                seen.oddities.push(format!("{place}: {what}"));
            }
        }
    }

    fn result(&self, record: &TailedRecord, seen: &mut Seen) -> Result<(), String> {
        let module = record.header("quorate-module").unwrap_or("none");
        *seen.results.entry(module.to_owned()).or_default() += 1;
        let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
        if !self.stations.contains(key) {
            return Err(format!("its key {key:?} is no station of the fleet"));
        }
        let value = record.value.as_deref().unwrap_or_default();
        let envelope: Envelope = serde_json::from_slice(value).map_err(|e| format!("no result: {e}"))?;
        if envelope.station_id != key || envelope.module != module {
            return Err(format!("says it is of {} by {}", envelope.station_id, envelope.module));
        }
        if module == MODULE {
            let output: Output = serde_json::from_value(envelope.output).map_err(|e| format!("no forecast: {e}"))?;
            *seen.methods.entry(output.method.clone()).or_default() += 1;
            let Output { forecast: points, method, observed_hours, capacity_kw } = output;
            let forecast = Forecast { method, capacity_kw, observed_hours, at: Millis(envelope.at), points };
            seen.forecasts.insert(key.to_owned(), Arc::new(forecast));
        }
        Ok(())
    }
}

impl Seen {
    /// Results of all modules.
    #[must_use]
    pub fn results(&self) -> u64 {
        self.results.values().sum()
    }

    /// Dead letters of all reasons.
    #[must_use]
    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::Offset;

    use super::*;

    fn record(topic: &str, key: &str, value: &str, header: (&str, &str)) -> TailedRecord {
        TailedRecord {
            topic: topic.into(),
            partition: 1,
            offset: Offset(7),
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: vec![(header.0.to_owned(), header.1.as_bytes().to_vec())],
        }
    }

    fn look(records: &[TailedRecord]) -> Seen {
        let observer = Observer::new(["S1".to_owned()], "dead".into());
        let mut seen = Seen::default();
        records.iter().for_each(|record| observer.look(record, &mut seen));
        seen
    }

    const FORECAST: &str = r#"{"station_id":"S1","module":"load_prediction","at":5,"output":{"forecast":
        [{"time":"2025-11-05 00:00:00","start":9,"kw":1.5}],"method":"mstl_weekly","observed_hours":672,"capacity_kw":null}}"#;

    #[test]
    fn forecasts_and_dead_letters_are_counted_by_what_they_say_of_themselves() {
        let seen = look(&[
            record("out", "S1", FORECAST, ("quorate-module", "load_prediction")),
            record("dead", "", "x", ("quorate-reason", "not_json")),
        ]);
        assert_eq!((seen.results(), seen.dead_letters(), seen.odd), (1, 1, 0), "{:?}", seen.oddities);
        assert_eq!(seen.methods["mstl_weekly"], 1);
        assert_eq!(seen.forecasts["S1"].points[0].kw, 1.5);
        assert_eq!(seen.dead_letters["not_json"], 1);
    }

    #[test]
    fn a_result_of_a_stranger_or_without_its_forecast_is_odd() {
        let seen = look(&[
            record("out", "S2", FORECAST, ("quorate-module", "load_prediction")),
            record("out", "S1", "{}", ("quorate-module", "load_prediction")),
        ]);
        assert_eq!((seen.results(), seen.odd), (2, 2));
        assert!(seen.oddities[0].starts_with("out/1/7: ") && seen.oddities[0].contains("S2"), "{:?}", seen.oddities);
    }
}
