//! [`Scenario`]: a service as it is configured, with records, clock and results in the hands of a test. Fetches nothing
//! and waits for nothing; what a record leads to has happened when the call returns.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::contract::ModuleInput;
use quorate_core::ident::Millis;
use quorate_core::plan::Plan;
use quorate_core::replay::{RecordedRecord, Replay, ReplayEvent};
use quorate_core::shard::{Explanation, Incomplete};
use serde_json::Value;

use super::clock::{ManualClock, Moment};
use super::outcome::{DeadLetter, Outcome};
use super::source::{MemorySource, Record, RecordingError};
use crate::app::{ServiceBuilder, SetupError};
use crate::config::Settings;

/// Drives a service without Kafka. Decoding, windows, triggers, ages and hand-over between modules are the real ones.
/// Modules are called at once and in place, hence one attempt, no time-out and no runtime: a module that needs one of
/// its caller's is not for here. What it fails or panics with becomes a dead letter.
///
/// ```
/// use quorate::Service;
/// use quorate::testing::Scenario;
/// use serde_json::json;
///
/// const CONFIG: &str = r#"
/// [topics.STATIONS]
/// station = "/id"
/// [modules.digest]
/// requires = [{ topic = "STATIONS", max_age = "1h" }]
/// "#;
///
/// let mut scenario = Scenario::of(&Service::builder().config_text("my.toml", CONFIG)).expect("a valid configuration");
/// scenario.at("2025-11-04T09:00:00+08:00").record("STATIONS", json!({ "id": "S1", "kw": 600 }));
/// assert_eq!(scenario.results("digest")[0]["inputs"]["STATIONS"]["status"], "fresh");
/// ```
#[derive(Debug)]
pub struct Scenario {
    plan: Arc<Plan>,
    clock: ManualClock,
    source: MemorySource,
    replay: Replay,
    outcome: Outcome,
}

impl Scenario {
    /// A service that has just been started, with nothing known. Kafka's own settings may be left out.
    ///
    /// # Errors
    /// Modules that do not go together, or every problem of the configuration at once.
    pub fn of(service: &ServiceBuilder) -> Result<Self, SetupError> {
        let (loaded, registry) = service.load_offline()?;
        let Settings { plan, modules, .. } = loaded.settings;
        let replay = Replay::new(Arc::clone(&plan));
        let outcome = Outcome::new(registry, modules);
        Ok(Self { plan, clock: ManualClock::default(), source: MemorySource::default(), replay, outcome })
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Sets the clock; the first time it may be set to anything. Whatever is due until then, and exactly then, happens.
    ///
    /// # Panics
    /// When the clock shows a later moment, or text is not RFC 3339.
    #[track_caller]
    pub fn at(&mut self, moment: impl Moment) -> &mut Self {
        self.clock.at(moment);
        self.follow()
    }

    /// Moves the clock on. Whatever is due until then, and exactly then, happens.
    pub fn advance(&mut self, duration: Duration) -> &mut Self {
        self.clock.advance(duration);
        self.follow()
    }

    /// Sends JSON to partition 0, with the clock as its timestamp. `json` is `json!(…)`, or text.
    ///
    /// # Panics
    /// When no enabled module reads the topic.
    #[track_caller]
    pub fn record(&mut self, topic: &str, json: impl Display) -> &mut Self {
        self.send(Record::new(topic).json(json))
    }

    /// Sends JSON to partition 0 with a timestamp of its own: a late record, or one that the clock follows.
    ///
    /// # Panics
    /// When no enabled module reads the topic, or text is not RFC 3339.
    #[track_caller]
    pub fn record_at(&mut self, moment: impl Moment, topic: &str, json: impl Display) -> &mut Self {
        self.send(Record::new(topic).at(moment).json(json))
    }

    /// Sends a record.
    ///
    /// # Panics
    /// When no enabled module reads the topic.
    #[track_caller]
    pub fn send(&mut self, record: Record) -> &mut Self {
        let topics: Vec<_> = self.plan.topics.iter().map(|topic| &*topic.name).collect();
        assert!(topics.contains(&record.topic()), "nobody reads {}, but {}", record.topic(), topics.join(", "));
        let record = self.source.append(record, self.clock.now());
        self.take(&record)
    }

    /// Sends the records of a recording, one JSON object a line as `quorate record` prints them. Each keeps its place and
    /// timestamp; topics that nobody reads are passed over.
    ///
    /// # Errors
    /// The first line that is no record. Nothing has been sent then.
    pub fn recording(&mut self, recording: impl AsRef<[u8]>) -> Result<&mut Self, RecordingError> {
        let records = self.source.read(recording)?;
        let plan = Arc::clone(&self.plan);
        records.iter().filter(|record| plan.topic_id(&record.topic).is_some()).for_each(|record| {
            self.take(record);
        });
        Ok(self)
    }

    /// Everything that has happened, in its order.
    #[must_use]
    pub fn events(&self) -> &[ReplayEvent] {
        self.outcome.events()
    }

    /// The inputs that a module was called with.
    ///
    /// # Panics
    /// When no module of that name is enabled.
    #[must_use]
    #[track_caller]
    pub fn inputs(&self, module: &str) -> Vec<&ModuleInput> {
        self.expect(module);
        self.outcome.inputs(module)
    }

    /// The results of a module, all stations in one list.
    ///
    /// # Panics
    /// When no module of that name is enabled.
    #[must_use]
    #[track_caller]
    pub fn results(&self, module: &str) -> Vec<Value> {
        self.expect(module);
        self.outcome.results(module)
    }

    /// Records, elements and inputs that were given up.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.outcome.dead_letters()
    }

    /// Modules and known stations that are not complete at this moment, sorted by module, then station.
    #[must_use]
    pub fn incomplete(&self) -> Vec<Incomplete> {
        let mut found = Vec::new();
        self.replay.incomplete(&mut |event| {
            if let ReplayEvent::Incomplete { what, .. } = event {
                found.push(what);
            }
        });
        found
    }

    /// How a module stands with a station at this moment: each input, what blocks, and what would help.
    ///
    /// # Panics
    /// When no module of that name is enabled.
    #[must_use]
    #[track_caller]
    pub fn explain(&mut self, module: &str, station: &str) -> Explanation {
        match self.follow().replay.explain(module, station) {
            Some(explanation) => explanation,
            None => self.refuse(module),
        }
    }

    /// A record is no older than the clock, unless it is late. The first of all may begin anywhere.
    fn take(&mut self, record: &RecordedRecord) -> &mut Self {
        self.clock.reaches(Millis(record.ts));
        self.follow();
        self.replay.record(record, &mut self.outcome);
        self
    }

    fn follow(&mut self) -> &mut Self {
        self.replay.at(self.clock.now(), &mut self.outcome);
        self
    }

    #[track_caller]
    fn expect(&self, module: &str) {
        if self.plan.module_id(module).is_none() {
            self.refuse(module)
        }
    }

    #[track_caller]
    fn refuse(&self, module: &str) -> ! {
        let names: Vec<_> = self.plan.modules.iter().map(|module| &*module.name).collect();
        panic!("no module `{module}` is enabled, but {}", names.join(", "));
    }
}

#[cfg(test)]
mod tests;
