//! [`Shard`]: the unit of single-threaded ownership of stations. Readings and moments go in; due runs, dead letters
//! and changed state come out. It performs nothing and never asks for the time.
//!
//! Drive it so: [`Shard::apply`] with each batch, [`Shard::handle_timeout`] at [`Shard::next_deadline`], and after
//! either [`Shard::poll_run`] until it has none; report each run's end with [`Shard::finish`].

mod assemble;
mod changes;
mod due;
mod run;
mod station;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashTable;

pub use assemble::Incomplete;
pub use changes::{Changes, Place, SlotChange};
pub use run::RunId;

use crate::contract::ModuleInput;
use crate::decode::{ReadingRow, Readings, Reason};
use crate::ident::{Millis, ModuleId, Offset, Partition, TopicId};
use crate::plan::{Plan, Scope, Source, Trigger};
use crate::provenance::{Origin, Provenance};
use crate::record::RecordRow;
use crate::window::{Arriving, TopicWindows, Window};
use due::DueRuns;
use run::Phase;
use station::{Newcomers, StationState};

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
    newcomers: Newcomers,
    limit: usize,
    /// Stations of the record in hand, in the order in which it names them.
    touched: Vec<Touched>,
    /// Whether the record in hand changed what all stations see.
    global_changed: bool,
    record: u64,
}

#[derive(Debug)]
struct TopicState {
    windows: TopicWindows,
    /// The window of a global topic.
    global: Option<Window>,
    /// What windows of this topic measure expiry by; none is the wall clock.
    event_clock: Option<Millis>,
    loaded: bool,
    /// Modules that have this topic among their inputs, with whether it triggers them. Sorted by name.
    readers: Vec<(ModuleId, bool)>,
}

#[derive(Debug)]
struct ModuleState {
    loaded: bool,
}

#[derive(Clone, Copy, Debug)]
struct Touched {
    station: u32,
    changed: bool,
    is_new: bool,
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
            let readers = readers.map(|(module, plan)| (module, plan.is_triggered_by(Source::Topic(id)))).collect();
            TopicState { windows, global, event_clock: None, loaded: false, readers }
        });
        let topics = topics.collect::<Vec<_>>();
        let modules = plan.modules.iter().map(|_| ModuleState { loaded: false }).collect();
        Self {
            due: DueRuns::new(plan.modules.len(), plan.topics.len()),
            changed: changes::Changed::default(),
            newcomers: Newcomers::default(),
            topics,
            modules,
            stations: Vec::new(),
            by_id: HashTable::new(),
            dead: VecDeque::new(),
            limit,
            touched: Vec::new(),
            global_changed: false,
            record: 0,
            plan,
        }
    }

    /// Takes in those readings of a batch that are this shard's. `rows` index the readings, in order; `mode` says for
    /// each record whether it may invoke.
    pub fn apply(
        &mut self,
        topic: TopicId,
        readings: &Readings,
        rows: impl Iterator<Item = u32>,
        mode: impl Fn(&RecordRow) -> Mode,
        now: Millis,
    ) {
        let mut current: Option<(u32, Origin, Mode)> = None;
        for index in rows {
            let row = &readings.rows()[index as usize];
            if let Some((record, origin, mode)) = current
                && record != row.record
            {
                self.end_record(origin, mode, now);
                current = None;
            }
            let (_, origin, mode) = *current.get_or_insert_with(|| {
                self.record += 1;
                let raw = readings.record(row);
                (row.record, Origin { topic, partition: raw.partition, offset: raw.offset }, mode(raw))
            });
            self.take(topic, readings, row, (origin, mode), now);
        }
        if let Some((_, origin, mode)) = current {
            self.end_record(origin, mode, now);
        }
    }

    /// Makes everything due whose time has come.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.due.release(now, &mut self.stations);
    }

    /// When [`Shard::handle_timeout`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        self.due.next_deadline()
    }

    /// The due run that has waited longest among the modules that `admits` lets start, assembled as of `now`.
    pub fn poll_run(&mut self, now: Millis, admits: impl Fn(ModuleId) -> bool) -> Option<Invocation> {
        while let Some((station, module)) = self.due.pop(&admits) {
            if !self.is_complete(station, module, now) {
                // It was complete when it became due; something has grown too old since.
                self.due.wait(&mut self.stations[station as usize], module);
                continue;
            }
            let run = self.due.start(&mut self.stations[station as usize], station, module, now);
            return Some(Invocation { run, input: self.assemble(station, module, now) });
        }
        None
    }

    /// Modules for which a run waits to be started.
    pub fn ready_modules(&self) -> impl Iterator<Item = ModuleId> {
        self.due.ready_modules()
    }

    /// Reports that a run's results are acknowledged or dead-lettered.
    pub fn finish(&mut self, run: RunId, now: Millis) {
        self.due.finish(&mut self.stations[run.station as usize], run);
        self.consider(run.station, run.module, None, now);
    }

    /// The next reading that was given up.
    pub fn poll_dead(&mut self) -> Option<DeadReading> {
        self.dead.pop_front()
    }

    /// Sets what a topic's windows measure expiry by; none is the wall clock.
    pub fn set_event_clock(&mut self, topic: TopicId, clock: Option<Millis>) {
        self.topics[topic.ix()].event_clock = clock;
    }

    /// States that everything a topic held at the start has been applied. Modules all of whose topics are loaded may
    /// run from then on; what loading alone made due is not.
    pub fn topic_loaded(&mut self, topic: TopicId, now: Millis) {
        if std::mem::replace(&mut self.topics[topic.ix()].loaded, true) {
            return;
        }
        let readers = self.topics[topic.ix()].readers.clone();
        for (module, _) in readers {
            let plan = Arc::clone(&self.plan);
            let loaded = plan.module(module).inputs().all(|(input, _)| match input.source {
                Source::Topic(topic) => self.topics[topic.ix()].loaded,
                Source::Module(_) => true,
            });
            if loaded && !std::mem::replace(&mut self.modules[module.ix()].loaded, true) {
                for station in 0..self.station_count() {
                    self.release_loaded(station, module, now);
                }
            }
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

    /// How many stations are known.
    #[must_use]
    pub fn stations(&self) -> usize {
        self.stations.len()
    }

    /// Known stations for which `module` has every required input, present and young enough.
    #[must_use]
    pub fn complete_stations(&self, module: ModuleId, now: Millis) -> usize {
        (0..self.station_count()).filter(|&station| self.is_complete(station, module, now)).count()
    }

    fn take(
        &mut self,
        topic: TopicId,
        readings: &Readings,
        row: &ReadingRow,
        (origin, mode): (Origin, Mode),
        now: Millis,
    ) {
        let provenance = Provenance {
            incarnation: 0,
            partition: origin.partition,
            offset: origin.offset,
            element: row.element.unwrap_or(0),
        };
        let arriving = Arriving { time: row.time, origin: provenance, body: readings.body(row) };
        let state = &mut self.topics[topic.ix()];
        let clock = state.event_clock.unwrap_or(now);
        let Some(id) = readings.station(row) else {
            let changed = state.global.as_mut().is_some_and(|window| window.apply(&state.windows, &arriving, clock));
            if changed {
                self.changed.global(topic);
                self.global_changed = true;
            }
            return;
        };
        let Some((station, is_new)) = self.find_or_admit(id, row.station_hash, mode, now) else {
            // What is loaded again was given up in an earlier life.
            if mode == Mode::Live {
                let reason = Reason::TooManyStations;
                self.dead.push_back(DeadReading { origin, element: row.element, reason });
            }
            return;
        };
        let state = &self.topics[topic.ix()];
        let changed = self.stations[station as usize].windows[topic.ix()].apply(&state.windows, &arriving, clock);
        if changed {
            self.changed.slot(&mut self.stations[station as usize], station, topic);
        }
        self.touch(station, changed, is_new);
    }

    /// Notes that the record in hand names a station.
    #[inline]
    fn touch(&mut self, station: u32, changed: bool, is_new: bool) {
        let state = &mut self.stations[station as usize];
        if state.touched_by == self.record {
            self.touched[state.touched_at].changed |= changed;
        } else {
            state.touched_by = self.record;
            state.touched_at = self.touched.len();
            self.touched.push(Touched { station, changed, is_new });
        }
    }

    /// After a whole record: what it changed makes modules due, station by station in the order it names them.
    fn end_record(&mut self, origin: Origin, mode: Mode, now: Millis) {
        if std::mem::take(&mut self.global_changed) {
            (0..self.station_count()).for_each(|station| self.touch(station, true, false));
        }
        let mut touched = std::mem::take(&mut self.touched);
        for Touched { station, changed, is_new } in touched.drain(..) {
            if is_new {
                self.greet(station);
            }
            if changed {
                self.note_change(station, origin, mode, now);
            }
            if mode == Mode::Live {
                self.consider_touched(Touched { station, changed, is_new }, origin, now);
            }
        }
        self.touched = touched;
    }

    /// A changed window is a change for the modules that it triggers. One that is loaded again while its module runs
    /// already was seen in an earlier life, unless the station was incomplete then too.
    fn note_change(&mut self, station: u32, origin: Origin, mode: Mode, now: Millis) {
        for at in 0..self.topics[origin.topic.ix()].readers.len() {
            let (module, triggers) = self.topics[origin.topic.ix()].readers[at];
            let seen =
                || mode == Mode::Load && self.modules[module.ix()].loaded && self.is_complete(station, module, now);
            if triggers && !seen() {
                self.due.note_change(&mut self.stations[station as usize], module, origin, mode);
            }
        }
    }

    /// Considers, by name, the modules that read what changed; for a new station all, because what is global is new
    /// to it too.
    fn consider_touched(&mut self, touched: Touched, origin: Origin, now: Millis) {
        let Touched { station, changed, is_new } = touched;
        if is_new {
            for module in (0..self.modules.len()).filter_map(|ix| u16::try_from(ix).ok()).map(ModuleId) {
                self.consider(station, module, Some(origin), now);
            }
        } else if changed {
            for at in 0..self.topics[origin.topic.ix()].readers.len() {
                let (module, _) = self.topics[origin.topic.ix()].readers[at];
                self.consider(station, module, Some(origin), now);
            }
        }
    }

    /// Global readings belong to a station from its first moment on.
    fn greet(&mut self, station: u32) {
        for topic in &self.topics {
            if topic.global.as_ref().is_none_or(Window::is_empty) {
                continue;
            }
            for &(module, triggers) in topic.readers.iter().filter(|(_, triggers)| *triggers) {
                debug_assert!(triggers);
                self.stations[station as usize].runs[module.ix()].changed = true;
            }
        }
    }

    /// Makes an idle run with unseen changes due if its module is loaded and its station complete. `cause` is the
    /// record in hand: it stays unsettled while the run is owed on its account. While the module is not loaded nobody
    /// knows whether something is due, so every live record that it reads is owed until then.
    fn consider(&mut self, station: u32, module: ModuleId, cause: Option<Origin>, now: Millis) {
        let loaded = self.modules[module.ix()].loaded;
        let state = &mut self.stations[station as usize];
        let run = &state.runs[module.ix()];
        if run.phase != Phase::Idle || (loaded && !run.changed) {
            return;
        }
        if let Some(origin) = cause {
            self.due.owe(state, module, origin);
        }
        if !loaded {
            return;
        }
        let complete = self.is_complete(station, module, now);
        let state = &mut self.stations[station as usize];
        if complete {
            let Trigger::Changes { min_interval_ms, .. } = self.plan.module(module).trigger else { return };
            self.due.make_due(state, station, module, min_interval_ms, now);
        } else {
            self.due.wait(state, module);
        }
    }

    /// What loading alone made due was settled in an earlier life, unless the station was incomplete then too. Of a
    /// module whose inputs are all global nothing says so: its run was owed to whichever record first named the
    /// station, so it runs again.
    fn release_loaded(&mut self, station: u32, module: ModuleId, now: Millis) {
        let state = &mut self.stations[station as usize];
        if !state.runs[module.ix()].changed {
            self.due.forgive(state, module);
            return;
        }
        let from_loading = state.runs[module.ix()].owed.is_none();
        let all_global = self.plan.module(module).inputs().all(|(input, _)| match input.source {
            Source::Topic(topic) => self.topics[topic.ix()].global.is_some(),
            Source::Module(_) => false,
        });
        if from_loading && !all_global && self.is_complete(station, module, now) {
            self.stations[station as usize].runs[module.ix()].changed = false;
            return;
        }
        self.consider(station, module, None, now);
    }

    fn station_count(&self) -> u32 {
        u32::try_from(self.stations.len()).unwrap_or(u32::MAX)
    }
}
