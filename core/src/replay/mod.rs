//! Replay: recorded records through the same decoder, windows and shard as live ones, under a clock that is the
//! largest timestamp so far. The same records give the same events, byte for byte.

mod base64;
mod recorded;

use std::sync::Arc;

pub use recorded::RecordedRecord;
use serde::Serialize;

use crate::contract::{InputHash, ModuleInput, Output};
use crate::decode::{Decoder, Reason};
use crate::ident::{Epoch, Millis, ModuleId, Offset, Partition, Station, TopicId};
use crate::plan::Plan;
use crate::record::RecordBatch;
use crate::shard::{End, Explanation, Incomplete, Mode, Shard};
use crate::window::RunResult;

/// What happened, in the order in which it happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ReplayEvent {
    /// A complete input was due.
    Input(Box<ModuleInput>),
    /// A module returned a result.
    Output {
        /// When the input was assembled.
        at: Millis,
        /// The module.
        module: Arc<str>,
        /// The station.
        station: Station,
        /// The topic the result would go to.
        topic: String,
        /// The key it would have.
        key: Station,
        /// The result.
        value: Box<serde_json::value::RawValue>,
        /// The input's hash.
        input_hash: InputHash,
    },
    /// A record or an element of one was given up.
    DeadLetter {
        /// The clock.
        at: Millis,
        /// The record's topic.
        topic: Arc<str>,
        /// Its partition.
        partition: Partition,
        /// Its offset.
        offset: Offset,
        /// Why.
        reason: Reason,
        /// More about why, for people.
        detail: String,
        /// Its place in the record's list; null when the whole record is meant.
        element: Option<u32>,
    },
    /// A module gave no result for an input.
    #[serde(rename = "dead_letter")]
    RunFailed {
        /// When the input was assembled.
        at: Millis,
        /// The module.
        module: Arc<str>,
        /// The station.
        station: Station,
        /// Why.
        reason: Reason,
        /// More about why, for people.
        detail: String,
        /// The input's hash.
        input_hash: InputHash,
    },
    /// A known station that is not complete at the end.
    Incomplete {
        /// The clock at the end.
        at: Millis,
        /// What is missing or stale.
        #[serde(flatten)]
        what: Incomplete,
    },
}

impl ReplayEvent {
    /// The result of one module call; none when its text is not JSON, which [`Output`] does not let happen.
    #[must_use]
    pub fn output(input: &ModuleInput, topic: &str, output: &Output) -> Option<Self> {
        Some(Self::Output {
            at: input.at,
            module: Arc::clone(&input.module),
            station: input.station.clone(),
            topic: topic.to_owned(),
            key: input.station.clone(),
            value: serde_json::from_str(output.as_json()).ok()?,
            input_hash: input.input_hash,
        })
    }
}

impl ReplayEvent {
    /// The failure of one module call.
    #[must_use]
    pub fn run_failed(input: &ModuleInput, reason: Reason, detail: String) -> Self {
        Self::RunFailed {
            at: input.at,
            module: Arc::clone(&input.module),
            station: input.station.clone(),
            reason,
            detail,
            input_hash: input.input_hash,
        }
    }
}

/// Hears what a replay does, and calls modules if it is meant to.
pub trait Observer {
    /// Something happened.
    fn event(&mut self, event: ReplayEvent);

    /// An input was due: what its module returns. Dependents see the last of it.
    fn call(&mut self, _input: &ModuleInput) -> Vec<Output> {
        Vec::new()
    }
}

impl<F: FnMut(ReplayEvent)> Observer for F {
    fn event(&mut self, event: ReplayEvent) {
        self(event);
    }
}

/// Drives the core through recorded records.
#[derive(Debug)]
pub struct Replay {
    plan: Arc<Plan>,
    decoders: Vec<Decoder>,
    shard: Shard,
    clock: Option<Millis>,
}

impl Replay {
    /// A replay of `plan`, with nothing known yet.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        let mut shard = Shard::new(Arc::clone(&plan), plan.stations.max);
        plan.topics().for_each(|(topic, _)| shard.topic_loaded(topic, Millis(i64::MIN)));
        let decoders = plan.topics().map(|(topic, _)| Decoder::new(&plan, topic)).collect();
        Self { plan, decoders, shard, clock: None }
    }

    /// Takes one record in. Everything due before it happens first. Of records of topics that nobody consumes only the
    /// timestamp counts.
    pub fn record(&mut self, record: &RecordedRecord, observer: &mut dyn Observer) {
        let clock = self.at(Millis(record.ts), observer);
        let Some(topic) = self.plan.topic_id(&record.topic) else { return };
        self.apply(topic, record, clock, observer);
        self.run(clock, observer);
    }

    /// Lets time run on after the last record, up to and including `duration_ms`.
    pub fn advance(&mut self, duration_ms: i64, observer: &mut dyn Observer) {
        let Some(clock) = self.clock else { return };
        self.at(clock.plus(duration_ms), observer);
    }

    /// Lets time run on up to and including `moment`, unless the clock is past it. Returns the clock.
    pub fn at(&mut self, moment: Millis, observer: &mut dyn Observer) -> Millis {
        let clock = self.clock.map_or(moment, |clock| clock.max(moment));
        self.advance_to(clock, observer);
        self.clock = Some(clock);
        clock
    }

    /// The clock; none before the first record.
    #[must_use]
    pub fn now(&self) -> Option<Millis> {
        self.clock
    }

    /// How a module stands with a station; none before the first record and for a module that is not in the plan.
    #[must_use]
    pub fn explain(&self, module: &str, station: &str) -> Option<Explanation> {
        Some(self.shard.explain(self.plan.module_id(module)?, station, self.clock?))
    }

    /// Reports, per module and known station, what is not complete now.
    pub fn incomplete(&self, observer: &mut dyn Observer) {
        let Some(at) = self.clock else { return };
        for what in self.shard.incomplete(at) {
            observer.event(ReplayEvent::Incomplete { at, what });
        }
    }

    fn apply(&mut self, topic: TopicId, record: &RecordedRecord, clock: Millis, observer: &mut dyn Observer) {
        let mut batch = RecordBatch::new(topic);
        let (key, payload) = (record.key.as_deref(), record.payload.as_deref());
        let place = (record.partition, Offset(record.offset), Epoch(0));
        let name = Arc::clone(&self.plan.topic(topic).name);
        let dead_letter = |reason, detail, element| ReplayEvent::DeadLetter {
            at: clock,
            topic: Arc::clone(&name),
            partition: record.partition,
            offset: Offset(record.offset),
            reason,
            detail,
            element,
        };
        if batch.push(place, Millis(record.ts), key, payload).is_err() {
            observer.event(dead_letter(Reason::TooLarge, "more than 2 GiB".to_owned(), None));
            return;
        }
        let readings = self.decoders[topic.ix()].decode(Arc::new(batch));
        let rows = 0..u32::try_from(readings.rows().len()).unwrap_or(u32::MAX);
        self.shard.apply(topic, &readings, rows, |_| Mode::Live, clock);
        let mut dead: Vec<_> = readings.dead().iter().map(|d| (d.element, d.reason, d.detail.clone())).collect();
        while let Some(reading) = self.shard.poll_dead() {
            dead.push((reading.element, reading.reason, String::new()));
        }
        dead.sort_by_key(|(element, ..)| *element);
        dead.into_iter().for_each(|(element, reason, detail)| observer.event(dead_letter(reason, detail, element)));
    }

    /// Fires every deadline before `until`, and those exactly at it.
    fn advance_to(&mut self, until: Millis, observer: &mut dyn Observer) {
        while let Some(deadline) = self.shard.next_deadline().filter(|&deadline| deadline <= until) {
            self.shard.handle_timeout(deadline);
            self.run(deadline, observer);
        }
    }

    fn run(&mut self, at: Millis, observer: &mut dyn Observer) {
        let any = |_: ModuleId| true;
        while let Some(invocation) = self.shard.poll_run(at, any) {
            observer.event(ReplayEvent::Input(Box::new(invocation.input.clone())));
            let outputs = observer.call(&invocation.input);
            self.shard.finish(invocation.run, End::Done(RunResult::of(&invocation.input, &outputs)), at);
        }
    }
}
