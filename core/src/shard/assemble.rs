//! The input a module is given: values, quality, lineage and the hash that tells it from others.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::readiness::status_of;
use super::run::Pending;
use super::{InputExplanation, Shard};
use crate::contract::{InputHash, LineageRange, ModuleInput, Quality, ReadingOrigin, Status, TopicInput, Value};
use crate::ident::{Millis, ModuleId, Partition, Station, TopicId};
use crate::plan::Source;
use crate::provenance::{Incarnation, Provenance};
use crate::window::View;

type Lineage = BTreeMap<(Arc<str>, Partition, Incarnation), (i64, i64)>;

impl Shard {
    /// The input of one module for one station as of `now`; `handed` is the closed bucket or the reading that it is to
    /// see.
    pub(super) fn assemble(
        &mut self,
        station: u32,
        module: ModuleId,
        handed: Option<&Pending>,
        now: Millis,
    ) -> ModuleInput {
        let plan = Arc::clone(&self.plan);
        let plan = plan.module(module);
        let id = self.stations[station as usize].id.clone();
        let mut hash = HashInput::new(&plan.name, &plan.version, id.as_str());
        let mut lineage = Lineage::new();
        let mut inputs = Vec::with_capacity(plan.requires.len() + plan.optional.len());
        for (input, _) in plan.inputs() {
            let bucket = handed.filter(|handed| input.source == Source::Topic(handed.topic));
            let (status, time) = match bucket {
                Some(handed) => (status_of(Some(handed.what.time()), input, now), Some(handed.what.time())),
                None => self.status(station, input, now),
            };
            let view = match (status, bucket, input.source) {
                (Status::Missing, ..) => View { value: Value::Missing, sum: 0 },
                (_, Some(handed), _) => {
                    let name = &self.plan.topic(handed.topic).name;
                    trace(|visit| handed.what.origins(visit), name, &mut lineage);
                    handed.what.view()
                }
                (_, None, Source::Topic(id)) => self.view(station, id, now, &mut lineage),
                (_, None, Source::Module(id)) => {
                    let results = &self.stations[station as usize].results[id.ix()];
                    results.lineage().iter().for_each(|range| widen(&mut lineage, range));
                    results.view(None)
                }
            };
            hash.add(&input.name, status, view.sum);
            let age_ms = time.map(|time| now.since(time));
            inputs.push(TopicInput { topic: Arc::clone(&input.name), status, age_ms, time, value: view.value });
        }
        ModuleInput {
            at: now,
            module: Arc::clone(&plan.name),
            station: id,
            quality: quality(&inputs, plan.requires.len()),
            inputs,
            lineage: ranges(lineage),
            input_hash: hash.finish(),
            bucket: handed.and_then(|handed| handed.what.bucket_from()),
            reading: handed.and_then(|handed| self.named(handed)),
        }
    }

    /// Where the reading came from that a run hands over.
    fn named(&self, handed: &Pending) -> Option<ReadingOrigin> {
        let Provenance { incarnation, partition, offset, element } = handed.what.origin()?;
        let topic = Arc::clone(&self.plan.topic(handed.topic).name);
        Some(ReadingOrigin { topic, incarnation, partition, offset, element })
    }

    fn view(&mut self, station: u32, topic: TopicId, now: Millis, lineage: &mut Lineage) -> View {
        let state = &mut self.topics[topic.ix()];
        let clock = state.event_clock.unwrap_or(now);
        let window = match &mut state.global {
            Some(window) => window,
            None => &mut self.stations[station as usize].windows[topic.ix()],
        };
        let view = window.view(&mut state.windows, clock);
        trace(|visit| window.origins(visit), &self.plan.topic(topic).name, lineage);
        view
    }

    /// The records that an input's value is made of at this moment.
    pub(super) fn records_of(&self, station: u32, source: Source) -> Vec<LineageRange> {
        let mut lineage = Lineage::new();
        match source {
            Source::Topic(topic) => {
                let window = self.window(station, topic);
                trace(|visit| window.origins(visit), &self.plan.topic(topic).name, &mut lineage);
            }
            Source::Module(module) => {
                let results = &self.stations[station as usize].results[module.ix()];
                results.lineage().iter().for_each(|range| widen(&mut lineage, range));
            }
        }
        ranges(lineage)
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
    /// Why, and what would help: one entry for each of them.
    pub inputs: Vec<InputExplanation>,
}

impl Shard {
    /// What is not complete at `now`, sorted by module, then station.
    #[must_use]
    pub fn incomplete(&self, now: Millis) -> Vec<Incomplete> {
        let mut all: Vec<Incomplete> = self
            .plan
            .modules()
            .flat_map(|(module, _)| (0..self.station_count()).map(move |station| (station, module)))
            .filter(|&(station, _)| self.stations[station as usize].known)
            .filter(|&(station, module)| !self.is_complete(station, module, now))
            .map(|(station, module)| Incomplete {
                module: Arc::clone(&self.plan.module(module).name),
                station: self.stations[station as usize].id.clone(),
                missing: self.blocking(station, module, Status::Missing, now),
                stale: self.blocking(station, module, Status::Stale, now),
                inputs: self.explain_blocking(station, module, now),
            })
            .collect();
        all.sort_by(|a, b| (&a.module, &a.station).cmp(&(&b.module, &b.station)));
        all
    }
}

/// Widens the lineage by the records that `origins` visits.
fn trace(origins: impl Fn(&mut dyn FnMut(&Provenance)), topic: &Arc<str>, lineage: &mut Lineage) {
    let mut last: Option<LineageRange> = None;
    origins(&mut |origin| {
        let (partition, offset, incarnation) = (origin.partition, origin.offset.0, origin.incarnation);
        match &mut last {
            Some(range) if (range.partition, range.incarnation) == (partition, incarnation) => {
                range.from_offset = range.from_offset.min(offset);
                range.to_offset = range.to_offset.max(offset);
            }
            _ => {
                let topic = Arc::clone(topic);
                let range = LineageRange { topic, partition, from_offset: offset, to_offset: offset, incarnation };
                last.replace(range).iter().for_each(|range| widen(lineage, range));
            }
        }
    });
    last.iter().for_each(|range| widen(lineage, range));
}

fn widen(lineage: &mut Lineage, range: &LineageRange) {
    let (from, to) = (range.from_offset, range.to_offset);
    let place = (Arc::clone(&range.topic), range.partition, range.incarnation);
    let known = lineage.entry(place).or_insert((from, to));
    *known = (known.0.min(from), known.1.max(to));
}

fn ranges(lineage: Lineage) -> Vec<LineageRange> {
    let range = |((topic, partition, incarnation), (from_offset, to_offset))| LineageRange {
        topic,
        partition,
        from_offset,
        to_offset,
        incarnation,
    };
    lineage.into_iter().map(range).collect()
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

    fn add(&mut self, input: &Arc<str>, status: Status, sum: u128) {
        let status = match status {
            Status::Fresh => 0,
            Status::Stale => 1,
            Status::Missing => 2,
        };
        self.inputs.insert(Arc::clone(input), (sum, status));
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
