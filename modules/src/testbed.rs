//! Inputs for tests: builds a [`ModuleInput`] a topic at a time, values of each kind, and calls a module without a runtime.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use quorate_core::contract::{
    Column, Grid, InputHash, Module, ModuleError, ModuleInput, Output, Quality, Reading, Status, TopicInput, Value,
};
use quorate_core::ident::{Millis, Station};

/// Builds an input. Topics stand in the order in which they are added.
#[derive(Clone)]
pub(crate) struct InputBuilder {
    at: Millis,
    module: &'static str,
    inputs: Vec<TopicInput>,
}

impl InputBuilder {
    pub(crate) fn new(module: &'static str) -> Self {
        Self { at: Millis(1_762_300_800_000), module, inputs: Vec::new() }
    }

    /// When the input is assembled; ages count from here.
    pub(crate) fn at(mut self, at: Millis) -> Self {
        self.at = at;
        self
    }

    /// A topic that is present and young enough, its newest reading at `time`.
    pub(crate) fn topic(self, topic: &str, time: Millis, value: Value) -> Self {
        self.with(topic, Status::Fresh, Some(time), value)
    }

    /// A topic that is older than its `max_age`.
    pub(crate) fn stale(self, topic: &str, time: Millis, value: Value) -> Self {
        self.with(topic, Status::Stale, Some(time), value)
    }

    /// An optional topic without a reading.
    pub(crate) fn missing(self, topic: &str) -> Self {
        self.with(topic, Status::Missing, None, Value::Missing)
    }

    fn with(mut self, topic: &str, status: Status, time: Option<Millis>, value: Value) -> Self {
        self.inputs.push(TopicInput { topic: topic.into(), status, age_ms: None, time, value });
        self
    }

    pub(crate) fn build(mut self) -> ModuleInput {
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
            module: self.module.into(),
            station: Station::from("1881540927845654529"),
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
        }
    }
}

/// The value of a `latest` window.
pub(crate) fn reading(json: &str) -> Value {
    Value::Reading(Reading::from_json(json.into()))
}

/// A column of one number per step and series, row by row.
pub(crate) fn column(name: &str, data: &[f64]) -> Column {
    sent(name, false, data)
}

/// A column of one number per step.
pub(crate) fn total(name: &str, data: &[f64]) -> Column {
    sent(name, true, data)
}

/// Counts every number as sent; what is NaN was not.
fn sent(name: &str, total: bool, data: &[f64]) -> Column {
    Column::new(name.into(), total, data.iter().filter(|number| !number.is_nan()).count(), data.into())
}

/// The value of a `grid` window over `steps` hours from `start`, printed in a zone `offset_hours` east of UTC.
pub(crate) fn hourly_grid(
    start: Millis,
    steps: usize,
    offset_hours: i64,
    guns: &[&str],
    columns: Vec<Column>,
) -> Value {
    let starts: Arc<[Millis]> = (0..steps as i64).map(|step| start.plus(step * 3_600_000)).collect();
    let local = |start: &Millis| {
        let shifted = jiff::Timestamp::from_millisecond(start.0 + offset_hours * 3_600_000).expect("in range");
        shifted.strftime("%Y-%m-%d %H:%M:%S").to_string().into_boxed_str()
    };
    Value::Grid(Grid {
        step_ms: 3_600_000,
        times: starts.iter().map(local).collect(),
        starts,
        series: guns.iter().map(|gun| vec!["52000000000088".into(), (*gun).into()].into_boxed_slice()).collect(),
        columns: columns.into(),
    })
}

/// Calls a module that never waits: one poll must finish it.
pub(crate) fn call(module: &dyn Module, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
    let mut invocation = module.invoke(input);
    match invocation.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("{} waited", module.name()),
    }
}
