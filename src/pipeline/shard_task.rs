//! One task per shard: it alone drives that shard's [`Shard`] value. It takes readings in, starts runs as modules have
//! room, and answers when it is asked where it stands. It never waits for a module.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use quorate_core::decode::Readings;
use quorate_core::ident::{Millis, ModuleId, Offset, Partition, Station, TopicId};
use quorate_core::plan::Plan;
use quorate_core::progress::Progress;
use quorate_core::provenance::Incarnation;
use quorate_core::record::RecordRow;
use quorate_core::shard::{Changes, DeadReading, End, Explanation, Mode, Quarantine, RunId, Shard};
use tokio::sync::{Notify, mpsc, oneshot};

use super::alarms::AlarmLog;
use super::checkpoint::ShardCut;
use super::dead_letters::{DeadLetter, DeadLetterSender};
use super::gauges::Gauges;
use super::ports::Clock;
use super::runs::{ModuleStanding, Permit, Runs};
use super::standstill::Standstill;

/// Messages a shard may have waiting; each is at most a batch.
pub(super) const QUEUE: usize = 8;

/// What a shard is told.
#[derive(Debug)]
pub(super) enum ToShard {
    /// Readings of one batch, those in `rows` being this shard's.
    Apply(Arc<Portion>, Vec<u32>),
    /// A topic is loaded.
    Loaded(TopicId),
    /// A topic stands still at this moment of its own: its windows measure by it until it goes on.
    Behind(TopicId, Millis),
    /// A topic has been read to its end: its windows measure expiry by the wall clock from here on.
    CaughtUp(TopicId),
    /// Whether somebody else owns partitions of a topic: its modules are not called meanwhile.
    Split(TopicId, bool),
    /// Everything sent before this has been applied; how do things stand?
    Cut(oneshot::Sender<ShardCut>),
    /// What the oldest cut that was not confirmed gave out is durable.
    Flushed,
    /// How many stations are there, and how many complete?
    Census(oneshot::Sender<Census>),
    /// Why is there a result for this station, or none?
    Explain { module: ModuleId, station: Station, reply: oneshot::Sender<Explanation> },
    /// Which stations pause, so many at the most, because a module keeps failing for them?
    Quarantined { module: ModuleId, limit: usize, reply: oneshot::Sender<Vec<Quarantine>> },
    /// Take no more; answer once nothing is ready or in flight.
    Drain(oneshot::Sender<()>),
}

/// A decoded batch on its way to the shards.
#[derive(Debug)]
pub(super) struct Portion {
    pub(super) topic: TopicId,
    pub(super) readings: Readings,
    /// Per record: live, loading, or none when its assignment is over.
    pub(super) modes: Modes,
    pub(super) event_clock: Option<Millis>,
    /// Which life of the topic the records of each partition belong to.
    pub(super) lives: Vec<(Partition, Incarnation)>,
}

/// How the records of a batch are taken in. Nearly always all alike.
#[derive(Debug)]
pub(super) enum Modes {
    All(Mode),
    PerRecord(HashMap<(Partition, Offset), Option<Mode>>),
}

impl Modes {
    /// What `progress` says of the records of one batch.
    pub(super) fn of(progress: &Progress, topic: TopicId, rows: &[RecordRow]) -> (Self, usize) {
        let modes = rows.iter().map(|row| progress.mode(topic, row));
        let stale = modes.clone().filter(Option::is_none).count();
        let first = rows.first().and_then(|row| progress.mode(topic, row));
        match first {
            Some(mode) if modes.clone().all(|other| other == Some(mode)) => (Self::All(mode), 0),
            _ => (Self::PerRecord(rows.iter().map(|row| (row.partition, row.offset)).zip(modes).collect()), stale),
        }
    }

    /// The mode of one record; none when it is stale.
    pub(super) fn at(&self, row: &RecordRow) -> Option<Mode> {
        match self {
            Self::All(mode) => Some(*mode),
            Self::PerRecord(modes) => modes.get(&(row.partition, row.offset)).copied().flatten(),
        }
    }
}

/// Stations known to a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Known stations.
    pub stations: usize,
    /// How they stand, per module of the plan.
    pub modules: Vec<ModuleCensus>,
    /// Runs that are delayed, held, ready or in flight.
    pub open_runs: usize,
    /// How each module of the plan stands with its own failures.
    pub standings: Vec<ModuleStanding>,
    /// Topics that stand still at a record that cannot be decoded.
    pub standstills: Vec<Standstill>,
}

/// How stations stand with one module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModuleCensus {
    /// Complete stations.
    pub complete: usize,
    /// Stations that have been incomplete for so long that an alarm is raised.
    pub alarmed: usize,
    /// Stations that pause because the module keeps failing for them.
    pub quarantined: usize,
    /// Runs and buckets that were dropped because their station was incomplete.
    pub skipped: u64,
    /// Readings that were passed over, because the module was done with their keys.
    pub duplicates: u64,
}

impl ModuleCensus {
    /// Adds what another shard says.
    pub(super) fn add(&mut self, other: &Self) {
        self.complete += other.complete;
        self.alarmed += other.alarmed;
        self.quarantined += other.quarantined;
        self.skipped += other.skipped;
        self.duplicates += other.duplicates;
    }
}

pub(super) struct ShardTask {
    pub(super) shard: Shard,
    pub(super) plan: Arc<Plan>,
    pub(super) inbox: mpsc::Receiver<ToShard>,
    pub(super) runs: Arc<Runs>,
    pub(super) dead: DeadLetterSender,
    pub(super) clock: Arc<dyn Clock>,
    /// How far the clock had been set back when the shard was last told the time.
    pub(super) set_back_ms: i64,
    pub(super) gauges: Gauges,
    pub(super) alarms: AlarmLog,
    /// Notified when a flush is worth more than waiting for the next one; none where nothing is kept.
    pub(super) hurry: Option<Arc<Notify>>,
}

/// Futures a shard waits for besides its inbox.
#[derive(Default)]
struct Pending {
    /// Modules for which a permit has been asked.
    asked: HashSet<ModuleId>,
    permits: FuturesUnordered<BoxFuture<'static, (ModuleId, Option<Permit>)>>,
    in_flight: FuturesUnordered<BoxFuture<'static, (RunId, End)>>,
    drained: Option<oneshot::Sender<()>>,
    /// Something else than the inbox was served last.
    inbox_waits: bool,
}

enum Event {
    Told(Option<ToShard>),
    Admitted(ModuleId, Option<Permit>),
    Ended(RunId, End),
    Deadline,
}

impl ShardTask {
    /// Runs until the router is gone.
    pub(super) async fn run(mut self) {
        let mut pending = Pending::default();
        loop {
            let deadline = self.next_deadline();
            let event = self.next(deadline, &mut pending).await;
            pending.inbox_waits = !matches!(event, Event::Told(_));
            match event {
                Event::Told(None) => return,
                Event::Told(Some(told)) => self.told(told, &mut pending).await,
                Event::Admitted(module, permit) => self.start(module, permit, &mut pending),
                Event::Ended(run, end) => self.shard.finish(run, end, self.clock.now()),
                Event::Deadline => self.shard.handle_timeout(self.clock.now()),
            }
            self.alarms.drain(&mut self.shard, self.clock.now());
            self.publish_gauges();
            self.ask_permits(&mut pending);
            self.report_drained(&mut pending);
        }
    }

    /// In how many milliseconds the shard has something to do. Of a clock that was set back it hears first.
    fn next_deadline(&mut self) -> Option<i64> {
        let mut now = self.clock.now();
        let set_back_ms = self.clock.set_back_ms();
        let by_ms = set_back_ms - self.set_back_ms;
        if by_ms > 0 {
            self.set_back_ms = set_back_ms;
            // What was asked first may be a moment of the old time.
            now = self.clock.now();
            self.shard.clock_set_back(by_ms, now);
        }
        self.shard.next_deadline().map(|deadline| deadline.since(now))
    }

    /// Whatever happens next. Of what has happened already the inbox and everything else have their turns, so that
    /// neither starves the other and a run can be repeated to the letter.
    async fn next(&mut self, deadline: Option<i64>, pending: &mut Pending) -> Event {
        let Pending { permits, in_flight, inbox_waits, .. } = pending;
        if *inbox_waits && let Ok(told) = self.inbox.try_recv() {
            return Event::Told(Some(told));
        }
        tokio::select! {
            biased;
            () = sleep(deadline) => Event::Deadline,
            Some((run, result)) = in_flight.next() => Event::Ended(run, result),
            Some((module, permit)) = permits.next() => Event::Admitted(module, permit),
            told = self.inbox.recv() => Event::Told(told),
        }
    }

    async fn told(&mut self, told: ToShard, pending: &mut Pending) {
        match told {
            ToShard::Apply(portion, rows) => self.apply(&portion, rows).await,
            ToShard::Behind(topic, at) => self.shard.set_event_clock(topic, Some(at), self.clock.now()),
            ToShard::CaughtUp(topic) => self.shard.set_event_clock(topic, None, self.clock.now()),
            ToShard::Loaded(topic) => self.shard.topic_loaded(topic, self.clock.now()),
            ToShard::Split(topic, split) => self.shard.set_split(topic, split),
            // Whoever asked may have given up waiting.
            ToShard::Cut(reply) => drop(reply.send(self.cut())),
            ToShard::Flushed => self.shard.flushed(self.clock.now()),
            ToShard::Census(reply) => drop(reply.send(self.census())),
            ToShard::Explain { module, station, reply } => {
                drop(reply.send(self.shard.explain(module, station.as_str(), self.clock.now())));
            }
            ToShard::Quarantined { module, limit, reply } => {
                drop(reply.send(self.shard.quarantined(module).take(limit).collect()));
            }
            ToShard::Drain(reply) => {
                self.runs.drain();
                pending.drained = Some(reply);
            }
        }
    }

    async fn apply(&mut self, portion: &Portion, rows: Vec<u32>) {
        let Portion { topic, readings, modes, event_clock, lives } = portion;
        let now = self.clock.now();
        for &(partition, incarnation) in lives {
            self.shard.set_incarnation(*topic, partition, incarnation);
        }
        self.shard.set_event_clock(*topic, *event_clock, now);
        let fresh = rows.into_iter().filter(|&row| {
            let row = &readings.rows()[row as usize];
            modes.at(readings.record(row)).is_some()
        });
        self.shard.apply(*topic, readings, fresh, |row| modes.at(row).unwrap_or(Mode::Load), now);
        let dead: Vec<DeadReading> = std::iter::from_fn(|| self.shard.poll_dead()).collect();
        if !dead.is_empty() {
            self.dead.send(DeadLetter::of_readings(&self.plan, readings, &dead, now)).await;
        }
    }

    fn cut(&mut self) -> ShardCut {
        let unsettled = self.shard.oldest_unsettled();
        let changes = if self.hurry.is_some() { self.shard.take_changes() } else { Changes::default() };
        ShardCut { unsettled, changes }
    }

    fn start(&mut self, module: ModuleId, permit: Option<Permit>, pending: &mut Pending) {
        // Without a permit nothing of the module starts any more, and nobody asks again.
        let Some(permit) = permit else { return };
        pending.asked.remove(&module);
        if let Some(invocation) = self.shard.poll_run(self.clock.now(), |other| other == module) {
            let runs = Arc::clone(&self.runs);
            pending.in_flight.push(runs.perform(invocation, permit).boxed());
        }
    }

    fn ask_permits(&self, pending: &mut Pending) {
        for module in self.shard.ready_modules() {
            if pending.asked.insert(module) {
                let runs = Arc::clone(&self.runs);
                pending.permits.push(async move { (module, runs.admit(module).await) }.boxed());
            }
        }
    }

    fn publish_gauges(&self) {
        for (topic, gauge) in (0..).map(TopicId).zip(&*self.gauges) {
            // What is owed is durable where state is kept; only what is handed over one by one piles up.
            let waits = match self.hurry {
                Some(_) => self.shard.backlog(topic),
                None => self.shard.unsettled_records(topic).max(self.shard.backlog(topic)),
            };
            gauge.store(waits, Ordering::Relaxed);
        }
        if let Some(hurry) = self.hurry.as_ref().filter(|_| self.shard.is_hurried()) {
            hurry.notify_one();
        }
    }

    /// A drained shard has nothing in flight and nothing that could start now or after the next flush; what is delayed
    /// stays owed, and so does what waits for a breaker or a restart.
    fn report_drained(&self, pending: &mut Pending) {
        let mut ready = self.shard.ready_modules();
        let idle = pending.in_flight.is_empty()
            && !self.shard.waits_for_flush()
            && ready.all(|module| self.runs.is_shut(module));
        if idle && let Some(reply) = pending.drained.take() {
            let _ = reply.send(());
        }
    }

    fn module_census(&self, module: ModuleId, now: Millis) -> ModuleCensus {
        ModuleCensus {
            complete: self.shard.complete_stations(module, now),
            alarmed: self.shard.alarmed_stations(module),
            quarantined: self.shard.quarantined_stations(module),
            skipped: self.shard.skipped_runs(module),
            duplicates: self.shard.duplicates(module),
        }
    }

    fn census(&self) -> Census {
        let now = self.clock.now();
        Census {
            stations: self.shard.stations(),
            modules: self.plan.modules().map(|(module, _)| self.module_census(module, now)).collect(),
            open_runs: self.shard.open_runs(),
            standings: self.plan.modules().map(|(module, _)| self.runs.standing(module)).collect(),
            standstills: Vec::new(),
        }
    }
}

/// Sleeps until a deadline that is `ms` away, not at all when it has passed, and for ever when there is none.
async fn sleep(ms: Option<i64>) {
    match ms {
        Some(..=0) => {}
        Some(ms) => tokio::time::sleep(Duration::from_millis(u64::try_from(ms).unwrap_or(0))).await,
        None => std::future::pending().await,
    }
}
