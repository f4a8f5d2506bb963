//! Completeness, and the input a module is given.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Shard;
use crate::contract::{InputHash, LineageRange, ModuleInput, Quality, Status, TopicInput, Value};
use crate::ident::{Millis, ModuleId, Partition, Station, TopicId};
use crate::plan::{InputPlan, Source};
use crate::window::Window;

type Lineage = BTreeMap<(Arc<str>, Partition), (i64, i64)>;

impl Shard {
    /// Whether every required input of `module` is present and young enough.
    pub(super) fn is_complete(&self, station: u32, module: ModuleId, now: Millis) -> bool {
        self.plan.module(module).requires.iter().all(|input| self.status(station, input, now).0 == Status::Fresh)
    }

    /// An input's status, and the time of its newest reading.
    pub(super) fn status(&self, station: u32, input: &InputPlan, now: Millis) -> (Status, Option<Millis>) {
        let Source::Topic(id) = input.source else { return (Status::Missing, None) };
        let topic = &self.topics[id.ix()];
        let clock = topic.event_clock.unwrap_or(now);
        match self.window(station, id).newest(&topic.windows, clock) {
            None => (Status::Missing, None),
            Some(time) if input.max_age_ms.is_some_and(|max_age| now.since(time) > max_age) => {
                (Status::Stale, Some(time))
            }
            Some(time) => (Status::Fresh, Some(time)),
        }
    }

    /// The input of one module for one station as of `now`.
    pub(super) fn assemble(&mut self, station: u32, module: ModuleId, now: Millis) -> ModuleInput {
        let plan = Arc::clone(&self.plan);
        let plan = plan.module(module);
        let id = self.stations[station as usize].id.clone();
        let mut hash = HashInput::new(&plan.name, &plan.version, id.as_str());
        let mut lineage = Lineage::new();
        let mut inputs = Vec::with_capacity(plan.requires.len() + plan.optional.len());
        for (input, _) in plan.inputs() {
            let (status, time) = self.status(station, input, now);
            let topic = Arc::clone(&input.name);
            let value = match (status, input.source) {
                (Status::Fresh | Status::Stale, Source::Topic(id)) => {
                    self.view(station, id, now, &mut hash, &topic, &mut lineage)
                }
                _ => Value::Missing,
            };
            hash.add_status(&topic, status);
            inputs.push(TopicInput { topic, status, age_ms: time.map(|time| now.since(time)), time, value });
        }
        let lineage = lineage.into_iter().map(|((topic, partition), (from_offset, to_offset))| LineageRange {
            topic,
            partition,
            from_offset,
            to_offset,
        });
        ModuleInput {
            at: now,
            module: Arc::clone(&plan.name),
            station: id,
            quality: quality(&inputs, plan.requires.len()),
            inputs,
            lineage: lineage.collect(),
            input_hash: hash.finish(),
        }
    }

    fn view(
        &mut self,
        station: u32,
        topic: TopicId,
        now: Millis,
        hash: &mut HashInput,
        name: &Arc<str>,
        lineage: &mut Lineage,
    ) -> Value {
        let state = &mut self.topics[topic.ix()];
        let clock = state.event_clock.unwrap_or(now);
        let window = match &mut state.global {
            Some(window) => window,
            None => &mut self.stations[station as usize].windows[topic.ix()],
        };
        let view = window.view(&mut state.windows, clock);
        hash.add_sum(name, view.sum);
        trace(window, name, lineage);
        view.value
    }
}

/// A module and a known station for which it has not everything it requires.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Incomplete {
    /// The module.
    pub module: Arc<str>,
    /// The station.
    pub station: Station,
    /// Required topics with no reading, in the order of the configuration.
    pub missing: Vec<Arc<str>>,
    /// Required topics that are too old, likewise.
    pub stale: Vec<Arc<str>>,
}

impl Shard {
    /// What is not complete at `now`, sorted by module, then station.
    #[must_use]
    pub fn incomplete(&self, now: Millis) -> Vec<Incomplete> {
        let mut all: Vec<Incomplete> = self
            .plan
            .modules()
            .flat_map(|(module, _)| (0..self.station_count()).map(move |station| (station, module)))
            .filter(|&(station, module)| !self.is_complete(station, module, now))
            .map(|(station, module)| {
                let requires = &self.plan.module(module).requires;
                let named = |wanted: Status| {
                    let inputs = requires.iter().filter(|input| self.status(station, input, now).0 == wanted);
                    inputs.map(|input| Arc::clone(&input.name)).collect()
                };
                Incomplete {
                    module: Arc::clone(&self.plan.module(module).name),
                    station: self.stations[station as usize].id.clone(),
                    missing: named(Status::Missing),
                    stale: named(Status::Stale),
                }
            })
            .collect();
        all.sort_by(|a, b| (&a.module, &a.station).cmp(&(&b.module, &b.station)));
        all
    }
}

/// Widens the lineage by the records a window's value is made of.
fn trace(window: &Window, topic: &Arc<str>, lineage: &mut Lineage) {
    let mut last: Option<(Partition, i64, i64)> = None;
    let mut note = |partition, from: i64, to: i64| {
        let range = lineage.entry((Arc::clone(topic), partition)).or_insert((from, to));
        *range = (range.0.min(from), range.1.max(to));
    };
    window.origins(&mut |origin| {
        let offset = origin.offset.0;
        last = Some(match last {
            Some((partition, from, to)) if partition == origin.partition => {
                (partition, from.min(offset), to.max(offset))
            }
            Some((partition, from, to)) => {
                note(partition, from, to);
                (origin.partition, offset, offset)
            }
            None => (origin.partition, offset, offset),
        });
    });
    if let Some((partition, from, to)) = last {
        note(partition, from, to);
    }
}

/// A stale input is not available; a partly available module is told so.
fn quality(inputs: &[TopicInput], required: usize) -> Quality {
    let named = |wanted: Status| -> Vec<Arc<str>> {
        inputs.iter().filter(|input| input.status == wanted).map(|input| Arc::clone(&input.topic)).collect()
    };
    let available_topics = named(Status::Fresh);
    #[expect(clippy::cast_precision_loss, reason = "a module has far fewer inputs than 2^52")]
    let availability_ratio = if inputs.is_empty() { 0.0 } else { available_topics.len() as f64 / inputs.len() as f64 };
    Quality {
        complete: inputs.iter().take(required).all(|input| input.status == Status::Fresh),
        total_topics: inputs.len(),
        available_topics,
        missing_topics: named(Status::Missing),
        stale_topics: named(Status::Stale),
        availability_ratio,
    }
}

/// Collects what an input hash is made of: module, version, station, and per input, in name order, its name, its
/// status and the sum over the hashes of its readings' provenances. Never a time of assembly, an age or an attempt.
struct HashInput {
    head: Vec<u8>,
    inputs: BTreeMap<Arc<str>, (u128, u8)>,
}

impl HashInput {
    fn new(module: &str, version: &str, station: &str) -> Self {
        let mut head = Vec::with_capacity(96);
        for part in [module, version, station] {
            put(&mut head, part);
        }
        Self { head, inputs: BTreeMap::new() }
    }

    fn add_sum(&mut self, topic: &Arc<str>, sum: u128) {
        self.inputs.entry(Arc::clone(topic)).or_default().0 = sum;
    }

    fn add_status(&mut self, topic: &Arc<str>, status: Status) {
        self.inputs.entry(Arc::clone(topic)).or_default().1 = match status {
            Status::Fresh => 0,
            Status::Stale => 1,
            Status::Missing => 2,
        };
    }

    fn finish(self) -> InputHash {
        let mut bytes = self.head;
        for (topic, (sum, status)) in &self.inputs {
            put(&mut bytes, topic);
            bytes.push(*status);
            bytes.extend_from_slice(&sum.to_le_bytes());
        }
        InputHash(xxhash_rust::xxh3::xxh3_128(&bytes))
    }
}

/// Length first, so that no two lists of parts have the same bytes.
fn put(bytes: &mut Vec<u8>, part: &str) {
    bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
    bytes.extend_from_slice(part.as_bytes());
}
