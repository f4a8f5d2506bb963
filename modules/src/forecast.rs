//! [`Forecast`]: what a forecasting module published, hour by hour, as modules that depend on it read it.

use jiff::civil::DateTime;
use quorate_core::contract::{ModuleError, Reading};
use quorate_core::ident::Millis;
use serde::{Deserialize, Serializer};

/// The module whose forecast is a station's load.
pub(crate) const LOAD: &str = "load_prediction";

/// Hours that are looked at; a longer forecast is cut.
const HORIZON: usize = 24;
const HOUR_MS: i64 = 3_600_000;
/// More power than any station has, kW; what lies above is a mistake.
const MOST_KW: f64 = 1e6;

/// Consecutive hours, at least one, at most 24.
#[derive(Debug)]
pub(crate) struct Forecast {
    pub(crate) hours: Vec<Hour>,
}

/// One hour ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hour {
    /// When it begins, local time.
    pub(crate) time: DateTime,
    /// When it begins.
    pub(crate) start: Millis,
    /// Mean power, from 0 to a million kW.
    pub(crate) kw: f64,
}

#[derive(Deserialize)]
struct Published {
    forecast: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    time: String,
    start: i64,
    kw: Option<f64>,
}

impl Forecast {
    /// Reads `{"forecast":[{"time":"2025-11-05 00:00:00","start":ms,"kw":12.3},…]}`.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when the reading has another shape, holds no hour, hours that do not follow each other,
    /// or power that is not a number from 0 to a million.
    pub(crate) fn parse(reading: &Reading) -> Result<Self, ModuleError> {
        let steps = reading.parse::<Published>()?.forecast;
        let hours: Vec<Hour> = steps.iter().take(HORIZON).map(Step::read).collect::<Result<_, _>>()?;
        if hours.is_empty() {
            return Err(ModuleError::rejected("the forecast has no hour"));
        }
        match hours.windows(2).find(|pair| pair[1].start.since(pair[0].start) != HOUR_MS) {
            Some(pair) => {
                Err(ModuleError::rejected(format!("the hour at {} is not followed by the next", pair[0].time)))
            }
            None => Ok(Self { hours }),
        }
    }

    /// The power of the hour that begins at `start`.
    pub(crate) fn at(&self, start: Millis) -> Option<f64> {
        self.hours.iter().find(|hour| hour.start == start).map(|hour| hour.kw)
    }
}

impl Step {
    fn read(&self) -> Result<Hour, ModuleError> {
        let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", &self.time)
            .map_err(|_| ModuleError::rejected(format!("{:.40?} is no local time", self.time)))?;
        match self.kw {
            Some(kw) if (0.0..=MOST_KW).contains(&kw) => Ok(Hour { time, start: Millis(self.start), kw: kw + 0.0 }),
            Some(kw) => Err(ModuleError::rejected(format!("{kw:e} kW at {time}"))),
            None => Err(ModuleError::rejected(format!("no power at {time}"))),
        }
    }
}

/// To three decimals of a kilowatt: more is noise. Never minus zero.
pub(crate) fn to_watts(kw: f64) -> f64 {
    (kw * 1000.0).round() / 1000.0 + 0.0
}

/// A local time in the form that grids print.
pub(crate) fn as_printed_in_grids<S: Serializer>(time: &DateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.strftime("%Y-%m-%d %H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Forecast, ModuleError> {
        Forecast::parse(&Reading::from_json(json.into()))
    }

    fn step(hour: usize, start: usize, kw: &str) -> String {
        format!(r#"{{"time":"2025-11-05 {:02}:00:00","start":{start},"day":"workday","kw":{kw}}}"#, hour % 24)
    }

    fn forecast(steps: &[String]) -> String {
        format!(r#"{{"forecast":[{}],"unit":"kW"}}"#, steps.join(","))
    }

    #[test]
    fn hours_are_read_in_order_and_at_most_24() {
        let steps: Vec<String> = (0..30).map(|hour| step(hour, hour * 3_600_000, &format!("{hour}.5"))).collect();
        let read = parse(&forecast(&steps)).expect("read");
        assert_eq!(read.hours.len(), 24);
        assert_eq!((read.hours[23].time.hour(), read.hours[23].kw), (23, 23.5));
        assert_eq!((read.at(Millis(3_600_000)), read.at(Millis(1))), (Some(1.5), None));
    }

    #[test]
    fn what_is_no_forecast_is_rejected_with_what_is_wrong() {
        let cases = [
            ("{}".to_owned(), "forecast"),
            (forecast(&[]), "no hour"),
            (forecast(&[step(0, 0, "null")]), "no power at 2025-11-05T00:00:00"),
            (forecast(&[step(0, 0, "-1")]), "-1e0 kW"),
            (forecast(&[step(0, 0, "1e308")]), "1e308 kW"),
            (forecast(&[step(0, 0, "1"), step(2, 7_200_000, "1")]), "not followed"),
            (forecast(&[r#"{"time":"noon","start":0,"kw":1}"#.to_owned()]), "\"noon\" is no local time"),
        ];
        for (json, wrong) in cases {
            let error = parse(&json).expect_err(&json);
            assert!(matches!(&error, ModuleError::Rejected(detail) if detail.contains(wrong)), "{json}: {error}");
        }
    }
}
