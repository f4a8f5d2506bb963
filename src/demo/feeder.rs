//! Feeds the embedded broker from the fleet: the history as fast as it is read, then live records at the compressed pace.
//!
//! Simulated time stands in payloads only. Record timestamps are the moment of sending, as those of real senders are, so
//! that windows that expire by them live in the present however far the simulated day has come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::ident::{Millis, NextOffset};
use quorate_core::plan::Plan;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::backlog::Backlog;
use super::pace::Pace;
use super::reach::Reach;
use super::settings::MODULE;
use crate::fleet::{Fleet, FleetRecord, Tally};
use crate::kafka::{ConsumerHealth, Feed, TopicHealth};
use crate::pipeline::ports::Clock as _;
use crate::runtime::WallClock;

/// How often live records are made.
const TICK: Duration = Duration::from_millis(40);

/// Records of the history between two moments at which others get their turn.
const CHUNK: usize = 64;

/// How far feeding has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Sending what was before the start.
    #[default]
    History,
    /// Sending what happens.
    Live,
    /// Nothing more is sent, and everything that was is acknowledged.
    Done,
}

/// What was fed so far.
#[derive(Clone, Debug, Default)]
pub struct Fed {
    /// How far feeding has come.
    pub stage: Stage,
    /// Records, readings and expected dead letters.
    pub tally: Tally,
    /// Records the broker has acknowledged.
    pub acknowledged: u64,
    /// Stations named so far.
    pub stations: usize,
    /// Stations that were sent everything the module of interest needs.
    pub complete: usize,
    /// Simulated time.
    pub simulated: Millis,
    /// Per topic of the plan and partition the position behind the last record.
    pub ends: Vec<Vec<NextOffset>>,
    /// Why nothing more could be sent, if so.
    pub failed: Option<String>,
}

/// The feeder. It ends when it is told to, or when a record cannot be delivered.
pub(super) struct Feeder {
    fleet: Arc<Fleet>,
    feed: Feed,
    /// By name the places of topics in `backlogs` and `read`.
    places: BTreeMap<Arc<str>, usize>,
    backlogs: Vec<Backlog>,
    read: Vec<watch::Receiver<TopicHealth>>,
    reach: Reach,
    clock: WallClock,
    fed: Fed,
    told: watch::Sender<Fed>,
    stop: watch::Receiver<bool>,
}

/// Why a record was not sent.
struct Ended;

impl Feeder {
    /// A feeder of these topics, which are the plan's; `stop` becoming true ends it.
    pub(super) fn new(
        (fleet, feed): (Arc<Fleet>, Feed),
        (plan, topics): (&Plan, &[(Arc<str>, i32)]),
        health: &ConsumerHealth,
        told: watch::Sender<Fed>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let fed = Fed { simulated: fleet.plan().start, ..Fed::default() };
        Self {
            fleet,
            feed,
            places: topics.iter().enumerate().map(|(place, (name, _))| (Arc::clone(name), place)).collect(),
            backlogs: topics.iter().map(|(_, partitions)| Backlog::new(*partitions)).collect(),
            read: plan.topics().filter_map(|(topic, _)| health.watch(topic)).collect(),
            reach: Reach::new(plan, MODULE),
            clock: WallClock::new(),
            fed,
            told,
            stop,
        }
    }

    /// Feeds until told to stop, then waits for the last acknowledgement.
    pub(super) async fn run(mut self) {
        if self.history().await.is_ok() {
            self.fed.stage = Stage::Live;
            // Either end is reported below.
            let _ = self.live().await;
        }
        self.tell();
        self.feed.acknowledged(self.fed.tally.total(|_| true).records).await;
        self.fed.stage = Stage::Done;
        self.tell();
    }

    async fn history(&mut self) -> Result<(), Ended> {
        let fleet = Arc::clone(&self.fleet);
        for (nth, record) in fleet.history().enumerate() {
            self.deliver(&record).await?;
            if nth.is_multiple_of(CHUNK) {
                self.tell();
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn live(&mut self) -> Result<(), Ended> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let began = tick.tick().await;
        let mut pace = Pace::new(self.fleet.plan().start);
        loop {
            let at = tick.tick().await;
            if let Some((from, to)) = pace.step(at.duration_since(began)) {
                for record in self.fleet.between(from, to) {
                    self.deliver(&record).await?;
                }
                self.fed.simulated = to;
            }
            self.tell();
            self.go_on()?;
        }
    }

    /// Sends one record to a partition that has room, as soon as there is one.
    async fn deliver(&mut self, record: &FleetRecord) -> Result<(), Ended> {
        self.go_on()?;
        let Some(&place) = self.places.get(record.topic) else { return Ok(()) };
        let partition = loop {
            if let Some(partition) = self.backlogs[place].place(record.payload.len()) {
                break partition;
            }
            self.wait_for_reader(place).await?;
        };
        let sent = self.feed.send(place, partition, self.clock.now(), &record.payload).await;
        if let Err(error) = sent {
            self.fed.failed = Some(error.to_string());
            return Err(Ended);
        }
        self.backlogs[place].sent(partition, record.payload.len());
        self.fed.tally.add(record);
        self.reach.sent(record);
        Ok(())
    }

    async fn wait_for_reader(&mut self, place: usize) -> Result<(), Ended> {
        self.tell();
        let Self { read, backlogs, stop, .. } = self;
        for (partition, health) in &read[place].borrow_and_update().partitions {
            backlogs[place].read(*partition, health.position);
        }
        if backlogs[place].place(0).is_some() {
            return Ok(());
        }
        tokio::select! {
            // The board outlives the consumers' threads, so that an error can only mean the end.
            changed = read[place].changed() => changed.map_err(|_| Ended),
            _ = stop.wait_for(|stop| *stop) => Err(Ended),
        }
    }

    fn go_on(&self) -> Result<(), Ended> {
        if *self.stop.borrow() { Err(Ended) } else { Ok(()) }
    }

    fn tell(&mut self) {
        self.fed.acknowledged = self.feed.records();
        self.fed.stations = self.reach.named();
        self.fed.complete = self.reach.complete();
        self.fed.ends = self.backlogs.iter().map(Backlog::ends).collect();
        self.fed.failed = self.fed.failed.take().or_else(|| self.feed.failed().map(|failed| failed.to_string()));
        self.told.send_replace(self.fed.clone());
    }
}
