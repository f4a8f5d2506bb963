//! [`Live`]: decoders and a shard, driven as the service drives them: batches with epochs, modes and explicit moments,
//! runs that stay in flight until they are finished.

use std::sync::Arc;

use quorate_core::contract::ModuleInput;
use quorate_core::decode::{DeadRecord, Decoder, Readings};
use quorate_core::ident::{Epoch, Millis, ModuleId, Offset, Partition, TopicId};
use quorate_core::plan::Plan;
use quorate_core::record::RecordBatch;
use quorate_core::shard::{End, Invocation, Mode, RunId, Shard};
use serde_json::Value;

/// One record on its way into a batch.
#[derive(Clone, Debug)]
pub struct Sent {
    pub partition: Partition,
    pub offset: i64,
    pub ts: i64,
    pub payload: Option<Vec<u8>>,
}

/// A record of partition 0.
pub fn sent(offset: i64, ts: i64, payload: impl ToString) -> Sent {
    Sent { partition: 0, offset, ts, payload: Some(payload.to_string().into_bytes()) }
}

impl Sent {
    pub fn on(self, partition: Partition) -> Self {
        Self { partition, ..self }
    }
}

/// One shard and what feeds it.
pub struct Live {
    pub plan: Arc<Plan>,
    pub shard: Shard,
}

impl Live {
    /// Nothing is loaded yet.
    pub fn starting(plan: Plan) -> Self {
        let plan = Arc::new(plan);
        Self { shard: Shard::new(Arc::clone(&plan), plan.stations.max), plan }
    }

    /// Every topic is loaded: there was nothing to load.
    pub fn new(plan: Plan) -> Self {
        let mut live = Self::starting(plan);
        let topics: Vec<TopicId> = live.plan.topics().map(|(topic, _)| topic).collect();
        topics.into_iter().for_each(|topic| live.shard.topic_loaded(topic, Millis(0)));
        live
    }

    /// State is kept durably; nothing is loaded yet.
    pub fn durable(plan: Plan) -> Self {
        let mut live = Self::starting(plan);
        live.shard.keep_durably();
        live
    }

    pub fn all_loaded(&mut self, now: i64) -> &mut Self {
        let topics: Vec<TopicId> = self.plan.topics().map(|(topic, _)| topic).collect();
        topics.into_iter().for_each(|topic| self.shard.topic_loaded(topic, Millis(now)));
        self
    }

    pub fn topic(&self, name: &str) -> TopicId {
        self.plan.topic_id(name).expect("topic")
    }

    pub fn apply(&mut self, topic: &str, now: i64, records: &[Sent]) -> &mut Self {
        self.apply_as(Mode::Live, topic, now, records)
    }

    pub fn apply_as(&mut self, mode: Mode, topic: &str, now: i64, records: &[Sent]) -> &mut Self {
        let topic = self.topic(topic);
        let readings = decode(&self.plan, topic, records);
        let rows = 0..u32::try_from(readings.rows().len()).expect("rows");
        self.shard.apply(topic, &readings, rows, |_| mode, Millis(now));
        self
    }

    pub fn loaded(&mut self, topic: &str, now: i64) -> &mut Self {
        let topic = self.topic(topic);
        self.shard.topic_loaded(topic, Millis(now));
        self
    }

    /// Starts everything that is due; deadlines up to `now` fire first.
    pub fn start(&mut self, now: i64) -> Vec<Invocation> {
        self.shard.handle_timeout(Millis(now));
        let any = |_: ModuleId| true;
        std::iter::from_fn(|| self.shard.poll_run(Millis(now), any)).collect()
    }

    /// Starts and finishes everything that is due.
    pub fn run(&mut self, now: i64) -> Vec<ModuleInput> {
        self.shard.handle_timeout(Millis(now));
        let any = |_: ModuleId| true;
        let mut inputs = Vec::new();
        while let Some(invocation) = self.shard.poll_run(Millis(now), any) {
            self.shard.finish(invocation.run, End::Done(None), Millis(now));
            inputs.push(invocation.input);
        }
        inputs
    }

    pub fn finish(&mut self, run: RunId, now: i64) -> &mut Self {
        self.shard.finish(run, End::Done(None), Millis(now));
        self
    }

    /// The lowest unsettled offset of partition 0 of a topic.
    pub fn oldest_unsettled(&self, topic: &str) -> Option<i64> {
        self.shard.oldest_unsettled().get(&(self.topic(topic), 0)).map(|offset| offset.0)
    }
}

/// Decodes records as one batch.
pub fn decode(plan: &Plan, topic: TopicId, records: &[Sent]) -> Readings {
    let mut batch = RecordBatch::new(topic);
    for record in records {
        let place = (record.partition, Offset(record.offset), Epoch(0));
        batch.push(place, Millis(record.ts), None, record.payload.as_deref()).expect("room in the batch");
    }
    Decoder::new(plan, topic).decode(Arc::new(batch))
}

/// Decodes one payload of the plan's first topic: how many readings it has, and what was given up.
pub fn decode_one(plan: &Plan, payload: Option<&[u8]>) -> (usize, Vec<DeadRecord>) {
    let record = Sent { partition: 0, offset: 0, ts: 0, payload: payload.map(<[u8]>::to_vec) };
    let readings = decode(plan, TopicId(0), &[record]);
    (readings.rows().len(), readings.dead().to_vec())
}

/// An input as JSON.
pub fn json(input: &ModuleInput) -> Value {
    serde_json::from_str(&input.to_json()).expect("an input is JSON")
}
