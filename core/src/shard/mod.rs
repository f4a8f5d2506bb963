//! [`Shard`]: the unit of single-threaded ownership of stations. Readings and moments go in; due runs, dead letters
//! and changed state come out. It performs nothing and never asks for the time.
//!
//! Drive it so: [`Shard::apply`] with each batch, [`Shard::handle_timeout`] at [`Shard::next_deadline`], and after
//! either [`Shard::poll_run`] until it has none; report each run's end with [`Shard::finish`].

mod alarms;
mod assemble;
mod buckets;
mod changes;
mod due;
mod explain;
mod failing;
mod forget;
mod intake;
mod loading;
mod once;
mod queue;
mod readiness;
mod run;
mod set_back;
mod station;
mod ticks;
mod upstream;
mod waiting;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashTable;

pub use alarms::Alarm;
pub use assemble::Incomplete;
pub use changes::{
    Changes, DoneChange, EarlyRecord, Of, PendingChange, PendingState, Place, RunChange, RunState, SlotChange,
};
pub use explain::{Block, Explanation, InputExplanation, RunStanding};
pub use failing::Quarantine;
pub use run::{End, RunId};

use crate::contract::ModuleInput;
use crate::decode::Reason;
use crate::ident::{Millis, ModuleId, Offset, Partition, Station, TopicId};
use crate::plan::{Plan, Scope, Source, Trigger};
use crate::provenance::{Incarnation, Origin};
use crate::window::{TopicWindows, Window};
use buckets::Whose;
use due::DueRuns;
use queue::Queues;
use station::{Newcomers, StationState};
use upstream::Patience;

/// Owns the state of some stations.
#[derive(Debug)]
pub struct Shard {
    plan: Arc<Plan>,
    topics: Vec<TopicState>,
    modules: Vec<ModuleState>,
    stations: Vec<StationState>,
    by_id: HashTable<u32>,
    due: DueRuns,
    dead: VecDeque<DeadReading>,
    changed: changes::Changed,
    queues: Queues,
    newcomers: Newcomers,
    forgetting: forget::Forgetting,
    limit: usize,
    /// Of how many shards it is one.
    shards: usize,
    /// Stations of the record in hand, in the order in which it names them.
    touched: Vec<Touched>,
    /// What the record in hand changed for all stations.
    global_change: Change,
    record: u64,
    /// Counts stations as records name them and deadlines as they fire: the order in which runs start.
    turn: u64,
    /// When completeness is looked at again, whether or not anything changed.
    watches: BinaryHeap<Reverse<(Millis, u32, ModuleId)>>,
    alarms: VecDeque<Alarm>,
    quarantines: VecDeque<Quarantine>,
    /// Stations that are not known yet for which processes died, with the module that was called and how often.
    deadly: Vec<(Station, ModuleId, u32)>,
    /// Whether it tells of global readings that were given up; of several shards one does.
    tells_of_global: bool,
}

#[derive(Debug)]
struct TopicState {
    windows: TopicWindows,
    /// The window of a global topic.
    global: Option<Window>,
    /// What windows of this topic measure expiry by; none is the wall clock.
    event_clock: Option<Millis>,
    loaded: bool,
    /// Whether what an earlier life kept of its windows is gone.
    lost: bool,
    /// Whether partitions of it belong to somebody else: nothing that needs it is complete.
    split: bool,
    /// The newest global record that was read live before all modules it triggers were loaded. It stays unsettled.
    early: Option<Origin>,
    /// The last record of each partition that was taken in.
    applied: HashMap<Partition, Offset>,
    /// When open buckets close by themselves.
    closing: BinaryHeap<Reverse<(Millis, Whose)>>,
    /// Which life of the topic the records of each partition belong to, where it is not the first.
    lives: BTreeMap<Partition, Incarnation>,
    /// Modules that have this topic among their inputs, with whether a change of it triggers them. In dependency order.
    readers: Vec<(ModuleId, bool)>,
    /// Modules of which each of its readings is a run.
    each: Vec<ModuleId>,
}

impl TopicState {
    /// Which life of the topic the records of a partition belong to.
    fn life(&self, partition: Partition) -> Incarnation {
        self.lives.get(&partition).copied().unwrap_or(0)
    }
}

#[derive(Debug)]
struct ModuleState {
    loaded: bool,
    upstream: Vec<ModuleId>,
    dependents: Vec<(ModuleId, bool)>,
    /// Everything that depends on it, directly or not.
    downstream: Vec<ModuleId>,
    patience: Patience,
    next_tick: Option<Millis>,
    /// Whether a run of it was put back: it is not called any more.
    halted: bool,
    /// Whether it is not called: it has halted, or a topic that it needs is split.
    suspended: bool,
    /// Runs and buckets that were dropped because the station was incomplete.
    skipped: u64,
    /// What it is done with.
    keys: once::DoneKeys,
    quarantined: usize,
    alarmed: usize,
}

#[derive(Clone, Copy, Debug)]
struct Touched {
    station: u32,
    change: Change,
    is_new: bool,
}

/// What a reading changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Nothing that a module can see.
    #[default]
    Nothing,
    /// What modules see; nobody is called on its account, but a station may be complete on its account.
    Seen,
    /// What modules see, and those it triggers are to be called.
    Due,
}

/// Whether readings may invoke modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They may.
    Live,
    /// They only load state: what they made due was settled in an earlier life.
    Load,
}

/// A reading that the shard gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadReading {
    /// The record it stood in.
    pub origin: Origin,
    /// Its place in the record's list.
    pub element: Option<u32>,
    /// Why.
    pub reason: Reason,
}

/// A run that is to be performed now.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What to report its end by.
    pub run: RunId,
    /// What the module is given.
    pub input: ModuleInput,
}

impl Shard {
    /// An empty shard that may hold `limit` stations. No topic is loaded yet.
    #[must_use]
    pub fn new(plan: Arc<Plan>, limit: usize) -> Self {
        let topics = plan.topics().map(|(id, topic)| {
            let windows = TopicWindows::new(topic);
            let global = matches!(topic.scope, Scope::Global).then(|| windows.empty());
            let readers = plan
                .modules()
                .filter(|(_, module)| module.inputs().any(|(input, _)| input.source == Source::Topic(id)));
            let (mut changes, mut each) = (Vec::new(), Vec::new());
            for (module, plan) in readers {
                let triggers = plan.is_triggered_by(Source::Topic(id));
                let is_each = matches!(plan.trigger, Trigger::Each { .. });
                changes.push((module, triggers && !is_each));
                each.extend((triggers && is_each).then_some(module));
            }
            TopicState {
                windows,
                global,
                event_clock: None,
                loaded: false,
                lost: false,
                split: false,
                early: None,
                applied: HashMap::new(),
                closing: BinaryHeap::new(),
                lives: BTreeMap::new(),
                readers: changes,
                each,
            }
        });
        let topics = topics.collect::<Vec<_>>();
        let modules = plan.modules().map(|(id, module)| ModuleState {
            loaded: false,
            upstream: upstream::upstream(module),
            dependents: upstream::dependents(&plan, id),
            downstream: upstream::downstream(&plan, id),
            patience: upstream::patience(&plan, id),
            next_tick: None,
            halted: false,
            suspended: false,
            skipped: 0,
            keys: once::DoneKeys::default(),
            quarantined: 0,
            alarmed: 0,
        });
        let modules = modules.collect();
        let each = plan.modules.iter().map(|module| matches!(module.trigger, Trigger::Each { .. }));
        Self {
            due: DueRuns::new(each.collect(), plan.topics.len()),
            changed: changes::Changed::default(),
            queues: Queues::default(),
            newcomers: Newcomers::default(),
            forgetting: forget::Forgetting::default(),
            topics,
            modules,
            stations: Vec::new(),
            by_id: HashTable::new(),
            dead: VecDeque::new(),
            limit,
            shards: 1,
            touched: Vec::new(),
            global_change: Change::Nothing,
            record: 0,
            turn: 0,
            watches: BinaryHeap::new(),
            alarms: VecDeque::new(),
            quarantines: VecDeque::new(),
            deadly: Vec::new(),
            tells_of_global: true,
            plan,
        }
    }

    /// Leaves it to another shard to tell of global readings that were given up.
    pub fn leave_global_letters(&mut self) {
        self.tells_of_global = false;
    }

    /// States which life of a topic the readings of a partition that follow belong to.
    pub fn set_incarnation(&mut self, topic: TopicId, partition: Partition, incarnation: Incarnation) {
        let topic = &mut self.topics[topic.ix()];
        if topic.life(partition) != incarnation {
            topic.lives.insert(partition, incarnation);
            topic.applied.remove(&partition);
        }
    }

    /// Makes everything due whose time has come.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.release_timed(now);
        for topic in (0..).map(TopicId).take(self.topics.len()) {
            if self.topics[topic.ix()].event_clock.is_none() {
                self.close_due(topic, now, now);
            }
        }
        self.tick(now);
        self.look_again(now);
        self.forget_silent(now);
        self.expire_keys(now);
    }

    /// When [`Shard::handle_timeout`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        let deadlines =
            [self.due.next_deadline(), self.next_closing(), self.next_tick(), self.next_look(), self.next_silence()];
        deadlines.into_iter().flatten().min()
    }

    /// The due run whose turn it is among the modules that `admits` lets start, assembled as of `now`.
    pub fn poll_run(&mut self, now: Millis, admits: impl Fn(ModuleId) -> bool) -> Option<Invocation> {
        while let Some((station, module)) =
            self.due.pop(|module| !self.modules[module.ix()].suspended && admits(module))
        {
            // It was ready when it became due; something may have grown too old since.
            if self.is_ready(station, module, now) {
                let run = RunId { station, module };
                let pending = self.due.start(&mut self.stations[station as usize], run, now);
                let input = self.assemble(station, module, pending.as_ref(), now);
                let running = self.stations[station as usize].runs[module.ix()].running.as_mut();
                running.into_iter().for_each(|running| running.hash = Some(input.input_hash));
                self.note_run(station, module);
                return Some(Invocation { run, input });
            }
        }
        None
    }

    /// Modules for which a run waits to be started.
    pub fn ready_modules(&self) -> impl Iterator<Item = ModuleId> {
        self.due.ready_modules().filter(|module| !self.modules[module.ix()].suspended)
    }

    /// The next reading that was given up.
    pub fn poll_dead(&mut self) -> Option<DeadReading> {
        self.dead.pop_front()
    }

    /// Sets what a topic's windows measure expiry by; none is the wall clock.
    pub fn set_event_clock(&mut self, topic: TopicId, clock: Option<Millis>, now: Millis) {
        let before = std::mem::replace(&mut self.topics[topic.ix()].event_clock, clock);
        if before.is_some() && clock.is_none() {
            self.look_after_backlog(topic, now);
        }
    }

    /// The lowest offset per partition of which the effect is not settled yet.
    #[must_use]
    pub fn oldest_unsettled(&self) -> HashMap<(TopicId, Partition), Offset> {
        self.due.oldest_unsettled()
    }

    /// How many records of `topic` are themselves unsettled.
    #[must_use]
    pub fn unsettled_records(&self, topic: TopicId) -> usize {
        self.due.unsettled_records(topic)
    }

    /// How many runs are due, delayed or in flight.
    #[must_use]
    pub fn open_runs(&self) -> usize {
        self.due.open_runs()
    }

    /// Runs and buckets of `module` that were dropped because their station was incomplete.
    #[must_use]
    pub fn skipped_runs(&self, module: ModuleId) -> u64 {
        self.modules[module.ix()].skipped
    }

    /// How many stations are known.
    #[must_use]
    pub fn stations(&self) -> usize {
        self.stations.len() - self.forgetting.vacant()
    }

    /// Known stations for which `module` has every required input, present and young enough.
    #[must_use]
    pub fn complete_stations(&self, module: ModuleId, now: Millis) -> usize {
        let known = (0..self.station_count()).filter(|&station| self.stations[station as usize].known);
        known.filter(|&station| self.is_complete(station, module, now)).count()
    }

    /// Places of stations, those that wait for a newcomer included.
    fn station_count(&self) -> u32 {
        u32::try_from(self.stations.len()).unwrap_or(u32::MAX)
    }
}
