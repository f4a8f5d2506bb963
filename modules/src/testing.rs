//! Inputs for tests of a module, its author's own among them: an [`InputBuilder`], values of every window kind, and a
//! [`call`] without a runtime. Knows no module.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use quorate_core::contract::{
    Bucket, Column, Grid, InputHash, Module, ModuleError, ModuleInput, Output, Quality, Reading, ReadingOrigin, Status,
    TopicInput, Value,
};
use quorate_core::ident::{Millis, Offset, Station};

/// Builds an input. Topics stand in the order in which they are added; each name is to be added once.
///
/// ```
/// use quorate_core::ident::Millis;
/// use quorate_modules::testing::{InputBuilder, call, reading};
///
/// let input = InputBuilder::new("probe")
///     .topic("SCHEDULE-STATION-PARAM", Millis(5), reading(r#"{"gunNum":2}"#))
///     .dependency("load_prediction", Millis(7), r#"{"unit":"kW"}"#)
///     .missing("SCHEDULE-CAR-PRICE")
///     .build();
/// let probe = quorate_modules::by_name("probe").expect("listed");
/// let results = call(&*probe, &input).expect("accepted");
/// assert!(results[0].as_json().contains(r#""value":{"gunNum":2}"#));
/// ```
#[derive(Clone, Debug)]
pub struct InputBuilder {
    at: Millis,
    module: Arc<str>,
    station: Station,
    inputs: Vec<TopicInput>,
    handed: Option<ReadingOrigin>,
}

impl InputBuilder {
    /// An input without topics for the module of this name, assembled on 2025-11-05 at 00:00 UTC for some station.
    #[must_use]
    pub fn new(module: &str) -> Self {
        let station = Station::from("1881540927845654529");
        Self { at: Millis(1_762_300_800_000), module: module.into(), station, inputs: Vec::new(), handed: None }
    }

    /// When the input is assembled; ages count from here.
    #[must_use]
    pub fn at(mut self, at: Millis) -> Self {
        self.at = at;
        self
    }

    /// The call hands over the reading of `topic`, as one does with the trigger `each`: the record at this offset of
    /// partition 0.
    #[must_use]
    pub fn handing_over(mut self, topic: &str, offset: i64) -> Self {
        let topic = Arc::from(topic);
        let origin = ReadingOrigin { topic, incarnation: 0, partition: 0, offset: Offset(offset), element: 0 };
        self.handed = Some(origin);
        self
    }

    /// Whose input it is.
    #[must_use]
    pub fn station(mut self, station: &str) -> Self {
        self.station = Station::from(station);
        self
    }

    /// A topic that is present and young enough, its newest reading at `time`.
    #[must_use]
    pub fn topic(self, topic: &str, time: Millis, value: Value) -> Self {
        self.with(topic, Status::Fresh, Some(time), value)
    }

    /// The result of another module, `output` as that one published it. It looks like any other reading.
    #[must_use]
    pub fn dependency(self, module: &str, time: Millis, output: &str) -> Self {
        self.topic(module, time, reading(output))
    }

    /// A topic that is older than its `max_age`.
    #[must_use]
    pub fn stale(self, topic: &str, time: Millis, value: Value) -> Self {
        self.with(topic, Status::Stale, Some(time), value)
    }

    /// An optional topic without a reading.
    #[must_use]
    pub fn missing(self, topic: &str) -> Self {
        self.with(topic, Status::Missing, None, Value::Missing)
    }

    /// A topic in any state.
    #[must_use]
    pub fn with(mut self, topic: &str, status: Status, time: Option<Millis>, value: Value) -> Self {
        self.inputs.push(TopicInput { topic: topic.into(), status, age_ms: None, time, value });
        self
    }

    /// The input: ages and quality reckoned, no lineage, hash 0.
    #[must_use]
    pub fn build(mut self) -> ModuleInput {
        for input in &mut self.inputs {
            input.age_ms = input.time.map(|time| self.at.since(time));
        }
        let named = |status| {
            self.inputs.iter().filter(|input| input.status == status).map(|input| Arc::clone(&input.topic)).collect()
        };
        let available: Vec<Arc<str>> = named(Status::Fresh);
        let (missing, stale) = (named(Status::Missing), named(Status::Stale));
        let total = self.inputs.len();
        ModuleInput {
            at: self.at,
            module: self.module,
            station: self.station,
            quality: Quality {
                complete: stale.is_empty(),
                total_topics: total,
                availability_ratio: if total == 0 { 0.0 } else { available.len() as f64 / total as f64 },
                available_topics: available,
                missing_topics: missing,
                stale_topics: stale,
            },
            inputs: self.inputs,
            lineage: Vec::new(),
            input_hash: InputHash(0),
            bucket: None,
            reading: self.handed,
        }
    }
}

/// The value of a `latest` window. `json` must be one JSON value.
#[must_use]
pub fn reading(json: &str) -> Value {
    Value::Reading(Reading::from_json(json.into()))
}

/// The value of a `per_key` window (give them sorted by key) or of a `rows` window (oldest first).
#[must_use]
pub fn readings(json: &[&str]) -> Value {
    Value::Readings(list(json))
}

/// The value of a `bucket` window from `from`, inclusive, to `to`, exclusive.
#[must_use]
pub fn bucket(from: Millis, to: Millis, json: &[&str]) -> Value {
    Value::Bucket(Bucket { from, to, readings: list(json) })
}

fn list(json: &[&str]) -> Arc<[Reading]> {
    json.iter().map(|json| Reading::from_json((*json).into())).collect()
}

/// A column of a grid with one number per step and series, row by row. What is NaN counts as not sent.
#[must_use]
pub fn column(name: &str, data: &[f64]) -> Column {
    sent(name, false, data)
}

/// A column of a grid with one number per step. What is NaN counts as not sent.
#[must_use]
pub fn total(name: &str, data: &[f64]) -> Column {
    sent(name, true, data)
}

fn sent(name: &str, total: bool, data: &[f64]) -> Column {
    Column::new(name.into(), total, data.iter().filter(|number| !number.is_nan()).count(), data.into())
}

/// The value of a `grid` window over `steps` hours from `start`, printed in a zone `offset_hours` east of UTC (a moment
/// that no calendar knows is printed as its milliseconds). Each of `guns` is a series of one host.
#[must_use]
pub fn hourly_grid(start: Millis, steps: usize, offset_hours: i64, guns: &[&str], columns: Vec<Column>) -> Value {
    let starts: Arc<[Millis]> = (0..steps as i64).map(|step| start.plus(step * 3_600_000)).collect();
    let local = |start: &Millis| {
        let shifted = start.plus(offset_hours * 3_600_000).0;
        let printed = jiff::Timestamp::from_millisecond(shifted).map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
        printed.unwrap_or_else(|_| shifted.to_string()).into_boxed_str()
    };
    Value::Grid(Grid {
        step_ms: 3_600_000,
        times: starts.iter().map(local).collect(),
        starts,
        series: guns.iter().map(|gun| vec!["52000000000088".into(), (*gun).into()].into_boxed_slice()).collect(),
        columns: columns.into(),
    })
}

/// Calls a module on this thread, which sleeps while the module waits. A module that needs a runtime of its own must be
/// called inside that runtime instead.
///
/// # Errors
/// What the module says.
pub fn call(module: &dyn Module, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut invocation = pin!(module.invoke(input));
    loop {
        match invocation.as_mut().poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

/// Wakes the thread that waits in [`call`].
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
