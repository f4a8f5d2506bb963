//! The pipeline: lanes, routing, shards, runs, settlement. Knows Kafka only through its [`ports`].
//!
//! Data flows one way: lane → `router` → shard → run → publisher. The one edge back is from a cut to a commit.

mod alarms;
mod broken;
mod ceilings;
mod checkpoint;
mod clocks;
mod counts;
mod cuts;
mod dead_letters;
pub mod durable;
mod envelope;
mod gate;
mod gauges;
mod given_up;
mod handle;
pub mod lane;
mod loading;
mod parts;
pub mod ports;
mod router;
mod run_settings;
mod runs;
mod shard_task;
mod standstill;
mod told;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use quorate_core::decode::Decoder;
use quorate_core::fairness::Rounds;
use quorate_core::ident::{Millis, Station};
use quorate_core::plan::Plan;
use quorate_core::progress::Progress;
use quorate_core::provenance::{shard_of, station_hash};
use quorate_core::shard::{Changes, Place, Shard};
use tokio::sync::{Notify, mpsc};

use alarms::AlarmLog;
use broken::Broken;
use checkpoint::{Checkpoint, Keeping, Settler};
pub use counts::{Counts, Tally};
use cuts::Dirt;
use dead_letters::Outbox;
use durable::{CallLog, Deadly, Standings, StateStore, StoredLetter};
pub use handle::Handle;
use lane::{LaneSender, lane};
pub use loading::LoadingTopic;
use loading::Loads;
use ports::{Clock, Consumers, Executor, Publisher};
pub use router::MAX_UNSETTLED;
use router::{Lane, Router, ToRouter};
pub use run_settings::{BreakerPolicy, FailureSinks, OnFailure, RunSettings};
use runs::Runs;
pub use runs::{MAX_OUTPUT_BYTES, MAX_OUTPUTS, ModuleStanding};
pub use shard_task::{Census, ModuleCensus};
use shard_task::{ShardTask, ToShard};
pub use standstill::Standstill;

/// What a pipeline is told about itself.
#[derive(Clone, Debug)]
pub struct PipelineSettings {
    /// Per topic of the plan: the most records handed out in one turn.
    pub quotas: Vec<usize>,
    /// Per module of the plan: how it is run.
    pub runs: Vec<RunSettings>,
    /// What all lanes together may hold, in bytes.
    pub lane_bytes: usize,
    /// How often settled positions are committed, and state is written where it is kept.
    pub flush_interval: Duration,
    /// Per topic of the plan: how much of it may wait to be settled, or to be handed over one by one. Where nothing is
    /// said, [`MAX_UNSETTLED`].
    pub max_pending: Vec<usize>,
    /// Per topic of the plan: whether a record that cannot be decoded stops it. Where nothing is said, it does not.
    pub stops_undecodable: Vec<bool>,
    /// Where dead letters go.
    pub dead_letter_topic: Arc<str>,
    /// How many shards own the stations.
    pub shards: usize,
}

/// The world outside, through its doors.
#[derive(Clone)]
pub struct Ports {
    /// The consumers.
    pub consumers: Arc<dyn Consumers>,
    /// The producer.
    pub publisher: Arc<dyn Publisher>,
    /// The module threads.
    pub executor: Arc<dyn Executor>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Where a pipeline keeps its state.
#[derive(Clone)]
pub struct Kept {
    /// The store.
    pub store: Arc<dyn StateStore>,
    /// Where partitions stand in it.
    pub standings: Arc<Standings>,
    /// How many offsets a ceiling lies ahead.
    pub ahead: i64,
    /// Where calls under way are noted, if anywhere.
    pub calls: Option<Arc<dyn CallLog>>,
}

/// A pipeline that was built but does not run yet. Consumers get its lanes first.
pub struct Pipeline {
    plan: Arc<Plan>,
    settings: PipelineSettings,
    lanes: Vec<(LaneSender, lane::LaneReceiver)>,
    wake: Arc<Notify>,
    counts: Arc<Counts>,
    handle: Handle,
    inbox: mpsc::Receiver<ToRouter>,
    shard_inboxes: Vec<mpsc::Receiver<ToShard>>,
    owners: Vec<Shard>,
    kept: Option<Kept>,
    letters: Vec<StoredLetter>,
}

/// A stage of the pipeline, to be spawned under its name.
pub struct Stage {
    /// What it is called in logs.
    pub name: String,
    /// The stage itself; it ends when the pipeline is drained or dropped.
    pub task: BoxFuture<'static, ()>,
}

impl Pipeline {
    /// Builds a pipeline for `plan`. Nothing is spawned.
    #[must_use]
    pub fn new(plan: Arc<Plan>, settings: PipelineSettings) -> Self {
        let wake = Arc::new(Notify::new());
        let share = settings.lane_bytes / plan.topics.len().max(1);
        let lanes = plan.topics.iter().map(|_| lane(share, Arc::clone(&wake))).collect();
        let (router, inbox) = mpsc::channel(64);
        let (shards, shard_inboxes): (Vec<_>, Vec<_>) =
            (0..settings.shards.max(1)).map(|_| mpsc::channel(shard_task::QUEUE)).unzip();
        let counts = Arc::new(Counts::default());
        let share = plan.stations.max.div_ceil(shards.len());
        let mut owners: Vec<Shard> = shards.iter().map(|_| Shard::new(Arc::clone(&plan), share)).collect();
        owners.iter_mut().for_each(|shard| shard.share_among(shards.len()));
        owners.iter_mut().skip(1).for_each(Shard::leave_global_letters);
        let handle =
            Handle { router, shards, counts: Arc::clone(&counts), broken: Broken::new(), loaded: Arc::default() };
        let (kept, letters) = (None, Vec::new());
        Self { plan, settings, lanes, wake, counts, handle, inbox, shard_inboxes, owners, kept, letters }
    }

    /// Has state kept. Without, positions that were committed are all that outlives the process.
    pub fn keep(&mut self, kept: Kept) {
        self.owners.iter_mut().for_each(Shard::keep_durably);
        self.kept = Some(kept);
    }

    /// Takes back what a store held.
    pub fn restore(&mut self, changes: &Changes) {
        let shards = self.owners.len();
        let owner = |station: &str| shard_of(station_hash(station), shards);
        for (index, shard) in self.owners.iter_mut().enumerate() {
            let ours = |station: &Station| owner(station.as_str()) == index;
            let slots = changes.slots.iter().filter(|slot| match &slot.place {
                Place::Station(station) => ours(station),
                Place::Global => true,
            });
            let runs = changes.runs.iter().filter(|run| ours(&run.station));
            let pending = changes.pending.iter().filter(|pending| ours(&pending.station));
            let done = changes.done.iter().filter(|done| ours(&done.station));
            shard.restore(&Changes {
                slots: slots.cloned().collect(),
                runs: runs.cloned().collect(),
                pending: pending.cloned().collect(),
                done: done.cloned().collect(),
                early: changes.early.clone(),
            });
        }
    }

    /// Leaves stations alone for a while for which modules were called when processes ended, again and again.
    pub fn pause_deadly(&mut self, deadly: &[Deadly], now: Millis) {
        let shards = self.owners.len();
        for Deadly { module, station, deaths } in deadly {
            let Some(module) = self.plan.module_id(module) else { continue };
            let owner = shard_of(station_hash(station), shards);
            self.owners[owner].pause_deadly(module, station, *deaths, now);
        }
    }

    /// Takes back dead letters that a store held: they are written first of all.
    pub fn restore_letters(&mut self, letters: Vec<StoredLetter>) {
        self.letters.extend(letters);
    }

    /// The consumers' ends of the lanes, one per topic of the plan.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneSender> {
        self.lanes.iter().map(|(sender, _)| sender.clone()).collect()
    }

    /// The way to talk to the pipeline once it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Connects the pipeline to the world and yields its stages, which the caller spawns.
    #[must_use]
    pub fn stages(self, ports: Ports) -> Vec<Stage> {
        let Self { plan, settings, lanes, wake, counts, handle, inbox, shard_inboxes, owners, kept, letters } = self;
        let Ports { consumers, publisher, executor, clock } = ports;
        let topics = plan.topics.len();
        let (dead_gauges, dead_bytes) = (gauges::gauges(topics), gauges::gauges(topics));
        let (dead, dead_writer) = dead_letters::writer(
            Arc::clone(&settings.dead_letter_topic),
            Arc::clone(&publisher),
            Arc::clone(&counts),
            Arc::clone(&dead_gauges),
            Arc::clone(&dead_bytes),
            kept.as_ref().map(|_| Outbox::new(Arc::clone(&plan))),
        );
        let runs = Runs::new(
            settings.runs,
            Arc::clone(&plan),
            executor,
            publisher,
            dead.clone(),
            Arc::clone(&clock),
            Arc::clone(&counts),
        );
        let runs = Arc::new(runs.noted_in(kept.as_ref().and_then(|kept| kept.calls.clone())));
        let (checkpoints, settler_inbox) = mpsc::channel::<Checkpoint>(checkpoint::QUEUE);
        let mut stages = Vec::new();
        let mut unsettled = vec![dead_gauges];
        let hurry = Arc::new(Notify::new());
        for (index, (inbox, shard)) in shard_inboxes.into_iter().zip(owners).enumerate() {
            let gauges = gauges::gauges(topics);
            unsettled.push(Arc::clone(&gauges));
            let task = ShardTask {
                shard,
                plan: Arc::clone(&plan),
                inbox,
                runs: Arc::clone(&runs),
                dead: dead.clone(),
                set_back_ms: clock.set_back_ms(),
                clock: Arc::clone(&clock),
                gauges,
                alarms: AlarmLog::default(),
                hurry: kept.as_ref().map(|_| Arc::clone(&hurry)),
            };
            stages.push(Stage { name: format!("shard-{index}"), task: Box::pin(task.run()) });
        }
        let (broken, loaded) = (handle.broken, handle.loaded);
        let keeping = kept.map(|Kept { store, standings, ahead, .. }| {
            let keeping = Keeping {
                plan: Arc::clone(&plan),
                store: Arc::clone(&store),
                standings: Arc::clone(&standings),
                shards: handle.shards.clone(),
                wake: Arc::clone(&wake),
            };
            let (ceilings, writer) =
                ceilings::ceilings(Arc::clone(&plan), store, standings, ahead, Arc::clone(&wake), broken.clone());
            stages.push(Stage { name: "ceilings".to_owned(), task: Box::pin(writer.run()) });
            (keeping, ceilings)
        });
        let lanes = plan.topics().zip(lanes).map(|((topic, _), (_, receiver))| {
            let stops = settings.stops_undecodable.get(topic.ix()).copied().unwrap_or(false);
            Lane::new(receiver, Decoder::new(&plan, topic), stops)
        });
        let settler = Settler {
            inbox: settler_inbox,
            consumers,
            dead: dead.clone(),
            keeping: keeping.as_ref().map(|(keeping, _)| keeping.clone()),
            broken: broken.clone(),
            loaded,
            committed: HashMap::new(),
        };
        let router = Router {
            lanes: lanes.collect(),
            rounds: Rounds::new(settings.quotas),
            progress: Progress::new(topics),
            shards: handle.shards,
            dead,
            checkpoints,
            inbox,
            wake,
            unsettled,
            dead_bytes,
            counts,
            clock,
            flush_interval: settings.flush_interval,
            max_pending: settings.max_pending,
            keeping,
            hurry,
            broken,
            dirt: Dirt::default(),
            loads: Loads::default(),
            plan,
        };
        stages.push(Stage { name: "dead-letters".to_owned(), task: Box::pin(dead_writer.run()) });
        let router = async move {
            router.dead.restore(letters).await;
            router.run().await;
        };
        stages.push(Stage { name: "router".to_owned(), task: Box::pin(router) });
        stages.push(Stage { name: "settler".to_owned(), task: Box::pin(settler.run()) });
        stages
    }
}
