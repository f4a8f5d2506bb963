//! A pipeline whose Kafka, modules and clock belong to the test. Time is virtual: it passes only when nothing else can
//! happen, so waiting for it is waiting for the pipeline to come to rest.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use quorate::config::{Purpose, Undecodable, from_str};
use quorate::pipeline::durable::Standings;
use quorate::pipeline::lane::LaneSender;
use quorate::pipeline::ports::{
    AssignedPartition, CallOutcome, Clock, Commit, Consumers, Executor, LaneItem, OutgoingRecord, PublishError,
    Publisher,
};
use quorate::pipeline::{Handle, Kept, MAX_UNSETTLED, Pipeline, PipelineSettings, Ports, RunSettings};
use quorate::runtime::Tasks;
use quorate::state::MemoryStore;
use quorate_core::contract::{Module, ModuleError, ModuleInput, Output};
use quorate_core::ident::{Epoch, Millis, ModuleId, NextOffset, Offset, Partition, TopicId};
use quorate_core::plan::{Plan, Trigger};
use quorate_core::record::{PartitionPosition, RecordBatch};
use tokio::sync::Notify;
use tokio::time::Instant;

/// When virtual time begins.
pub const START: Millis = Millis(1_762_225_500_000);

/// The call timeout of every module under test.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// A running pipeline and everything around it.
pub struct World {
    pub plan: Arc<Plan>,
    pub handle: Handle,
    pub publisher: Arc<MemoryPublisher>,
    pub consumers: Arc<MemoryConsumers>,
    pub clock: Arc<VirtualClock>,
    lanes: Vec<LaneSender>,
    positions: HashMap<(TopicId, Partition), (Epoch, i64)>,
    epochs: u64,
    tasks: Tasks,
}

impl World {
    /// A pipeline for a configuration, with the given modules in place of the compiled-in ones.
    pub fn new(config: &str, modules: Vec<Arc<dyn Module>>) -> Self {
        Self::with(config, modules, |_, _| {})
    }

    /// The same, with each module's settings changed as `adjust` says.
    pub fn with(config: &str, modules: Vec<Arc<dyn Module>>, adjust: impl Fn(&str, &mut RunSettings)) -> Self {
        Self::build(config, modules, adjust, None)
    }

    /// A pipeline that goes on with what a store holds, and keeps its state there.
    pub fn keeping(config: &str, modules: Vec<Arc<dyn Module>>, store: &MemoryStore) -> Self {
        Self::build(config, modules, |_, _| {}, Some(store))
    }

    fn build(
        config: &str,
        modules: Vec<Arc<dyn Module>>,
        adjust: impl Fn(&str, &mut RunSettings),
        store: Option<&MemoryStore>,
    ) -> Self {
        let known: Vec<_> = modules.iter().map(|module| (module.name(), module.version())).collect();
        let loaded = from_str("test.toml", config, Purpose::service(&known));
        let settings = loaded.unwrap_or_else(|report| panic!("{}", report.plain())).settings;
        let chosen = settings.modules.iter().map(|chosen| {
            modules.iter().find(|module| module.name() == &*chosen.name).cloned().expect("a module of that name")
        });
        let executor = Arc::new(InlineExecutor { modules: chosen.collect() });
        let runs = settings.modules.iter().map(|module| {
            let mut runs = RunSettings {
                concurrency: module.concurrency,
                attempts: module.retry.attempts,
                backoff: module.retry.backoff,
                max_backoff: module.retry.max_backoff,
                ..RunSettings::publishing_to(&module.output_topic)
            };
            adjust(&module.name, &mut runs);
            runs
        });
        let queues = settings.plan.modules.iter().zip(&settings.modules);
        let queues = queues.filter(|(plan, _)| matches!(plan.trigger, Trigger::Each { .. }));
        let max_pending = queues.map(|(_, module)| module.max_pending).min().unwrap_or(MAX_UNSETTLED);
        let mut pipeline = Pipeline::new(
            Arc::clone(&settings.plan),
            PipelineSettings {
                quotas: settings.topics.iter().map(|topic| topic.quota).collect(),
                runs: runs.collect(),
                lane_bytes: 64 << 20,
                flush_interval: Duration::from_secs(1),
                max_pending: vec![max_pending; settings.topics.len()],
                stops_undecodable: settings.topics.iter().map(|topic| topic.on_failure == Undecodable::Halt).collect(),
                dead_letter_topic: settings.dead_letter_topic.as_str().into(),
                shards: 2,
            },
        );
        if let Some(store) = store {
            store.load(&mut |changes| pipeline.restore(&changes));
            pipeline.restore_letters(store.letters());
            let standings = Arc::new(Standings::default());
            standings.flushed(store.positions());
            standings.raised(store.ceilings());
            pipeline.keep(Kept { store: Arc::new(store.clone()), standings, ahead: 1_000_000, calls: None });
        }
        let publisher = Arc::new(MemoryPublisher::default());
        let consumers = Arc::new(MemoryConsumers::default());
        let clock = Arc::new(VirtualClock::new());
        let (handle, lanes) = (pipeline.handle(), pipeline.lanes());
        let mut tasks = Tasks::default();
        let ports = Ports {
            consumers: Arc::clone(&consumers) as _,
            publisher: Arc::clone(&publisher) as _,
            executor,
            clock: Arc::clone(&clock) as _,
        };
        for stage in pipeline.stages(ports) {
            tasks.spawn(stage.name, stage.task);
        }
        let (positions, epochs) = (HashMap::new(), 0);
        Self { plan: settings.plan, handle, publisher, consumers, clock, lanes, positions, epochs, tasks }
    }

    /// Assigns partition 0 of every topic, empty and without a committed position.
    pub async fn assign_all(&mut self) {
        for topic in 0..self.lanes.len() {
            let name = Arc::clone(&self.plan.topics[topic].name);
            self.assign(&name, 0, 0, 0, 0).await;
        }
    }

    /// Assigns one partition.
    pub async fn assign(&mut self, topic: &str, partition: Partition, start: i64, live_from: i64, end: i64) {
        self.epochs += 1;
        let (epoch, topic) = (Epoch(self.epochs), self.topic(topic));
        self.positions.insert((topic, partition), (epoch, start));
        let (start, live_from, end) = (NextOffset(start), NextOffset(live_from), NextOffset(end));
        let assigned = AssignedPartition { start, ..AssignedPartition::fresh(partition, epoch, live_from, end) };
        assert!(self.lanes[topic.ix()].send(LaneItem::Assigned(vec![assigned])).await);
    }

    /// Takes a partition away; what was sent before under its epoch may still be on its way.
    pub async fn revoke(&mut self, topic: &str, partition: Partition) {
        let topic = self.topic(topic);
        let (epoch, _) = self.positions[&(topic, partition)];
        assert!(self.lanes[topic.ix()].send(LaneItem::Revoked(vec![(partition, epoch)])).await);
    }

    /// A part of the topic belongs to somebody else, or no longer does.
    pub async fn split(&mut self, topic: &str, split: bool) {
        let topic = self.topic(topic);
        self.lanes[topic.ix()].announce(split);
        assert!(self.lanes[topic.ix()].send(LaneItem::Split(split)).await);
    }

    /// Sends payloads as the next records of partition 0, in one batch.
    pub async fn send(&mut self, topic: &str, payloads: &[&str]) {
        self.send_to(topic, 0, payloads).await;
    }

    /// Sends payloads as the next records of a partition, in one batch.
    pub async fn send_to(&mut self, topic: &str, partition: Partition, payloads: &[&str]) {
        let topic = self.topic(topic);
        let (epoch, next) = self.positions.get_mut(&(topic, partition)).expect("an assigned partition");
        let mut batch = RecordBatch::new(topic);
        for payload in payloads {
            let place = (partition, Offset(*next), *epoch);
            batch.push(place, START, None, Some(payload.as_bytes())).expect("room in the batch");
            *next += 1;
        }
        let position = NextOffset(*next);
        batch.set_positions(vec![PartitionPosition { partition, epoch: *epoch, position, end: None }]);
        assert!(self.lanes[topic.ix()].send(LaneItem::Batch(batch)).await);
    }

    /// Bytes that wait in a topic's lane.
    pub fn queued(&self, topic: &str) -> usize {
        self.lanes[self.topic(topic).ix()].queued_bytes()
    }

    /// Lets virtual time pass: everything that can happen meanwhile has happened when this returns.
    pub async fn pass(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// The last position committed for partition 0 of a topic.
    pub fn committed(&self, topic: &str) -> Option<i64> {
        self.committed_in(topic, 0)
    }

    /// The last position committed for a partition.
    pub fn committed_in(&self, topic: &str, partition: Partition) -> Option<i64> {
        let topic = self.topic(topic);
        let commits = self.consumers.commits.lock().expect("commits");
        commits.iter().rev().find(|c| c.topic == topic && c.partition == partition).map(|commit| commit.next.0)
    }

    /// Ends every stage.
    pub async fn stop(mut self) {
        self.tasks.stop().await;
    }

    fn topic(&self, name: &str) -> TopicId {
        self.plan.topic_id(name).expect("a topic of the plan")
    }
}

/// What each call of a module saw of one input.
pub fn seen_of(module: &Scripted, input: &str) -> Vec<serde_json::Value> {
    let value = |value| serde_json::to_value(value).expect("JSON");
    module.seen().iter().map(|seen| value(&seen.topic(input).expect("the input").value)).collect()
}

pub struct VirtualClock {
    began: Instant,
    set_back_ms: AtomicI64,
}

impl VirtualClock {
    fn new() -> Self {
        Self { began: Instant::now(), set_back_ms: AtomicI64::new(0) }
    }

    /// Somebody sets it back.
    pub fn set_back(&self, by_ms: i64) {
        self.set_back_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Millis {
        let elapsed_ms = i64::try_from(self.began.elapsed().as_millis()).expect("a short test");
        START.plus(elapsed_ms - self.set_back_ms())
    }

    fn set_back_ms(&self) -> i64 {
        self.set_back_ms.load(Ordering::Relaxed)
    }
}

/// Remembers what it was asked to commit.
#[derive(Default)]
pub struct MemoryConsumers {
    pub commits: Mutex<Vec<Commit>>,
    pub stopped: Mutex<bool>,
}

impl Consumers for MemoryConsumers {
    fn commit(&self, commits: &[Commit]) {
        self.commits.lock().expect("commits").extend_from_slice(commits);
    }

    fn stop_intake(&self) {
        *self.stopped.lock().expect("flag") = true;
    }
}

/// Keeps what was published. Topics can be frozen (no acknowledgement) and records refused.
#[derive(Default)]
pub struct MemoryPublisher {
    records: Mutex<Vec<OutgoingRecord>>,
    frozen: Mutex<Vec<String>>,
    refused: Mutex<Vec<String>>,
    thawed: Notify,
}

impl MemoryPublisher {
    /// No record of `topic` is acknowledged until it is thawed.
    pub fn freeze(&self, topic: &str) {
        self.frozen.lock().expect("topics").push(topic.to_owned());
    }

    /// Acknowledges everything that waits.
    pub fn thaw(&self) {
        self.frozen.lock().expect("topics").clear();
        self.thawed.notify_waiters();
    }

    /// Every record of `topic` with a value is refused.
    pub fn refuse(&self, topic: &str) {
        self.refused.lock().expect("topics").push(topic.to_owned());
    }

    /// The acknowledged records of a topic.
    pub fn of(&self, topic: &str) -> Vec<OutgoingRecord> {
        self.records.lock().expect("records").iter().filter(|record| &*record.topic == topic).cloned().collect()
    }

    /// The values of the acknowledged records of a topic, as JSON.
    pub fn values(&self, topic: &str) -> Vec<serde_json::Value> {
        let values = self.of(topic).into_iter().filter_map(|record| record.value);
        values.map(|value| serde_json::from_slice(&value).expect("JSON")).collect()
    }
}

/// A header of a record as text.
pub fn header(record: &OutgoingRecord, name: &str) -> Option<String> {
    let value = record.headers.iter().find(|(other, _)| *other == name)?;
    String::from_utf8(value.1.clone()).ok()
}

#[async_trait]
impl Publisher for MemoryPublisher {
    async fn publish(&self, record: OutgoingRecord) -> Result<(), PublishError> {
        let has_value = record.value.as_ref().is_some_and(|value| !value.is_empty());
        if has_value && self.refused.lock().expect("topics").iter().any(|topic| **topic == *record.topic) {
            return Err(PublishError::Refused("refused by the test".to_owned()));
        }
        loop {
            let thawed = self.thawed.notified();
            if !self.frozen.lock().expect("topics").iter().any(|topic| **topic == *record.topic) {
                break;
            }
            thawed.await;
        }
        self.records.lock().expect("records").push(record);
        Ok(())
    }
}

/// Runs modules on the test's own runtime, so that their time is virtual too.
struct InlineExecutor {
    modules: Vec<Arc<dyn Module>>,
}

#[async_trait]
impl Executor for InlineExecutor {
    async fn call(&self, module: ModuleId, input: Arc<ModuleInput>) -> CallOutcome {
        let module = &self.modules[module.ix()];
        match tokio::time::timeout(TIMEOUT, AssertUnwindSafe(module.invoke(&input)).catch_unwind()).await {
            Ok(Ok(Ok(outputs))) => CallOutcome::Returned(outputs),
            Ok(Ok(Err(ModuleError::Retriable(detail)))) => CallOutcome::Failed(detail),
            Ok(Ok(Err(ModuleError::Rejected(detail)))) => CallOutcome::Rejected(detail),
            Ok(Err(_)) => CallOutcome::Panicked("panicked".to_owned()),
            Err(_) => CallOutcome::TimedOut(TIMEOUT),
        }
    }
}

/// What a test module does with an input.
type Behaviour = Box<dyn Fn(&ModuleInput) -> Reply + Send + Sync>;

/// How a test module answers.
pub enum Reply {
    /// With the values it saw.
    Echo,
    /// With so many results.
    Many(usize),
    Fail,
    /// As `Fail`, in these words.
    FailSaying(String),
    Reject,
    Panic,
    /// Never.
    Hang,
    /// With the values it saw, after so many milliseconds.
    After(u64),
}

/// A module that behaves as the test says and remembers its inputs.
pub struct Scripted {
    name: &'static str,
    behaviour: Behaviour,
    seen: Mutex<Vec<ModuleInput>>,
    running: Mutex<(usize, usize)>,
}

impl Scripted {
    pub fn new(name: &'static str, behaviour: impl Fn(&ModuleInput) -> Reply + Send + Sync + 'static) -> Arc<Self> {
        let (seen, running) = (Mutex::default(), Mutex::default());
        Arc::new(Self { name, behaviour: Box::new(behaviour), seen, running })
    }

    /// The inputs so far.
    pub fn seen(&self) -> Vec<ModuleInput> {
        self.seen.lock().expect("inputs").clone()
    }

    /// The stations of the inputs so far.
    pub fn stations(&self) -> Vec<String> {
        self.seen().iter().map(|input| input.station.to_string()).collect()
    }

    /// The most calls there were at the same time.
    pub fn peak(&self) -> usize {
        self.running.lock().expect("count").1
    }

    fn count(&self, by: isize) {
        let mut running = self.running.lock().expect("count");
        running.0 = running.0.saturating_add_signed(by);
        running.1 = running.1.max(running.0);
    }
}

#[async_trait]
impl Module for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        self.seen.lock().expect("inputs").push(input.clone());
        let echo = || {
            let values: HashMap<_, _> = input.inputs.iter().map(|i| (i.topic.to_string(), &i.value)).collect();
            Output::json(&values)
        };
        match (self.behaviour)(input) {
            Reply::Echo => Ok(vec![echo()?]),
            Reply::Many(count) => (0..count).map(|n| Output::json(&n)).collect(),
            Reply::Fail => Err(ModuleError::retriable("failed by the test")),
            Reply::FailSaying(words) => Err(ModuleError::retriable(words)),
            Reply::Reject => Err(ModuleError::rejected("rejected by the test")),
            Reply::Panic => panic!("panicked by the test"),
            Reply::Hang => std::future::pending().await,
            Reply::After(ms) => {
                self.count(1);
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.count(-1);
                Ok(vec![echo()?])
            }
        }
    }
}
