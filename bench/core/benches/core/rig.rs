//! [`Rig`]: one topic's messages, a decoder and a shard with one module, driven as the service drives them. What is
//! timed is chosen by the benchmarks.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Bencher;
use quorate_core::decode::{Decoder, Readings};
use quorate_core::ident::{Epoch, Millis, Offset, TopicId};
use quorate_core::plan::{IncompletePlan, InputPlan, Limits, ModulePlan, Plan, Source, StationLimits, Trigger};
use quorate_core::record::RecordBatch;
use quorate_core::shard::{End, Invocation, Mode, Shard};

use crate::kinds::Kind;

/// When the first batch is written: 2025-11-04 11:00 in Shanghai.
const BEGIN: Millis = Millis(1_762_225_200_000);

const TOPIC: TopicId = TopicId(0);

/// A topic from its messages to a module's inputs. Every batch is newer than the one before it, so that none of its
/// readings is passed over.
pub struct Rig<'k> {
    kind: &'k Kind,
    decoder: Decoder,
    shard: Shard,
    /// Runs in flight.
    running: Vec<Invocation>,
    serial: u64,
    now: Millis,
}

impl<'k> Rig<'k> {
    /// Windows are empty, everything is loaded. The module is called for a station at most once in `min_interval_ms`.
    pub fn new(kind: &'k Kind, min_interval_ms: i64) -> Self {
        let plan = Arc::new(plan(kind, min_interval_ms));
        let mut shard = Shard::new(Arc::clone(&plan), plan.stations.max);
        shard.topic_loaded(TOPIC, BEGIN);
        Self { kind, decoder: Decoder::new(&plan, TOPIC), shard, running: Vec::new(), serial: 0, now: BEGIN }
    }

    /// Windows are full.
    pub fn filled(kind: &'k Kind, min_interval_ms: i64) -> Self {
        let mut rig = Self::new(kind, min_interval_ms);
        let (batches, pace_ms) = kind.fill;
        for _ in 0..batches {
            let readings = rig.readings(pace_ms);
            rig.apply(&readings);
            assert!(rig.shard.poll_dead().is_none(), "{kind}: nothing is given up");
            rig.start();
            rig.finish();
        }
        rig
    }

    /// The next batch as it leaves a consumer.
    pub fn batch(&mut self) -> Arc<RecordBatch> {
        self.batch_after(self.kind.pace_ms)
    }

    /// The next batch, decoded.
    pub fn next_readings(&mut self) -> Readings {
        self.readings(self.kind.pace_ms)
    }

    pub fn decode(&mut self, batch: Arc<RecordBatch>) -> Readings {
        self.decoder.decode(batch)
    }

    pub fn apply(&mut self, readings: &Readings) {
        let rows = 0..u32::try_from(readings.rows().len()).unwrap_or(u32::MAX);
        self.shard.apply(TOPIC, readings, rows, |_| Mode::Live, self.now);
    }

    /// Starts all runs that are due.
    pub fn start(&mut self) {
        self.shard.handle_timeout(self.now);
        while let Some(invocation) = self.shard.poll_run(self.now, |_| true) {
            self.running.push(invocation);
        }
    }

    /// Ends all runs in flight and lets go of their inputs.
    pub fn finish(&mut self) {
        for invocation in self.running.drain(..) {
            self.shard.finish(invocation.run, End::Done(None), self.now);
        }
    }

    /// What modules are being given.
    pub fn running(&self) -> &[Invocation] {
        &self.running
    }

    /// Whether every record that is owed stands in one of the last two batches: all stations have changed since. The
    /// records of a closed bucket stand in the last but one.
    pub fn owes_newest_only(&self) -> bool {
        let recent = i64::try_from(self.serial - 2 * self.kind.records).unwrap_or(i64::MAX);
        self.shard.oldest_unsettled().get(&(TOPIC, 0)).is_some_and(|oldest| oldest.0 >= recent)
    }

    fn readings(&mut self, pace_ms: i64) -> Readings {
        let batch = self.batch_after(pace_ms);
        self.decode(batch)
    }

    fn batch_after(&mut self, pace_ms: i64) -> Arc<RecordBatch> {
        self.now = self.now.plus(pace_ms);
        let mut batch = RecordBatch::new(TOPIC);
        for _ in 0..self.kind.records {
            let message = (self.kind.message)(self.serial, self.now);
            let offset = Offset(i64::try_from(self.serial).unwrap_or(i64::MAX));
            let at = (0, offset, Epoch(0));
            batch.push(at, self.now, None, Some(message.as_bytes())).expect("room in the batch");
            self.serial += 1;
        }
        Arc::new(batch)
    }
}

/// Times `perform` alone. Before each time `prepare` gives what it is given; what it returns is dropped untimed.
pub fn time<S, I, O>(
    bencher: &mut Bencher<'_>,
    state: &mut S,
    prepare: impl Fn(&mut S) -> I,
    perform: impl Fn(&mut S, I) -> O,
) {
    bencher.iter_custom(|rounds| {
        let mut spent = Duration::ZERO;
        for _ in 0..rounds {
            let given = prepare(state);
            let began = Instant::now();
            let result = black_box(perform(state, black_box(given)));
            spent += began.elapsed();
            drop(result);
        }
        spent
    });
}

fn plan(kind: &Kind, min_interval_ms: i64) -> Plan {
    let name = Arc::clone(&kind.topic.name);
    let module = ModulePlan {
        name: "digest".into(),
        version: "1".into(),
        requires: vec![InputPlan { name, source: Source::Topic(TOPIC), max_age_ms: None }],
        optional: Vec::new(),
        trigger: Trigger::Changes { on: None, min_interval_ms },
        incomplete: IncompletePlan::default(),
        run_ms: 90_000,
        call_ms: 30_000,
        quarantine: None,
        once: None,
    };
    Plan {
        topics: vec![kind.topic.clone()],
        modules: vec![module],
        limits: Limits::default(),
        stations: StationLimits::default(),
    }
}
