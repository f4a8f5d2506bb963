//! What changed since it was last asked for, as plain data, and how it is taken back in. A store keeps it outside.

use std::sync::Arc;

use super::Shard;
use super::queue::Queued;
use super::run::Pending;
use super::station::StationState;
use crate::contract::InputHash;
use crate::ident::{Millis, ModuleId, Offset, Partition, Station, TopicId};
use crate::plan::{Plan, Source, Trigger, WindowPlan};
use crate::provenance::{Origin, station_hash};
use crate::window::{Handed, PendingContent, WindowState};

/// What changed in a shard. Applying every set in order to an empty shard gives the same state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// What changed of windows, in order.
    pub slots: Vec<SlotChange>,
    /// What modules owe stations, where that changed.
    pub runs: Vec<RunChange>,
    /// Buckets and readings that wait to be handed over one by one, where they came or went.
    pub pending: Vec<PendingChange>,
    /// Keys of readings that were worked on once, where they came or expired.
    pub done: Vec<DoneChange>,
    /// Global topics whose newest record is still owed to stations that are only being loaded; none when that did not
    /// change.
    pub early: Option<Vec<EarlyRecord>>,
}

/// What one module owes one station.
#[derive(Clone, Debug, PartialEq)]
pub struct RunChange {
    /// The station.
    pub station: Station,
    /// The module's name.
    pub module: Arc<str>,
    /// How it stands; none when the station was forgotten.
    pub state: Option<RunState>,
}

/// How one module stands with one station.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunState {
    /// Something changed that no finished run has seen.
    pub due: bool,
    /// When the last run started.
    pub last_at: Option<Millis>,
    /// The hash of the input of the last run that ended.
    pub ended: Option<InputHash>,
    /// Runs that failed for good since one last did not.
    pub failures: u32,
}

/// A bucket or reading that waits to be handed over.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingChange {
    /// The station.
    pub station: Station,
    /// The module's name.
    pub module: Arc<str>,
    /// Its place in the queue of that module and station; never used twice.
    pub number: u64,
    /// What is to be handed over; none once it is settled.
    pub state: Option<PendingState>,
}

/// What is handed over by a run of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingState {
    /// The topic it came from.
    pub topic: Arc<str>,
    /// The bucket or reading.
    pub content: PendingContent,
}

impl PendingChange {
    /// Whether shards of `plan` take it back: they have its module and its topic, and keep the same of that topic. What
    /// they do not take stays where it is kept, for a plan that does.
    #[must_use]
    pub fn is_of(&self, plan: &Plan) -> bool {
        let Some(PendingState { topic, content }) = &self.state else { return false };
        let buckets = |topic| matches!(plan.topic(topic).window, WindowPlan::Bucket(_));
        let fits = |topic| buckets(topic) == matches!(content, PendingContent::Bucket(_));
        plan.module_id(&self.module).is_some() && plan.topic_id(topic).is_some_and(fits)
    }
}

/// A module is done with what a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoneChange {
    /// The station.
    pub station: Station,
    /// The module's name.
    pub module: Arc<str>,
    /// The hash of the key, together with the station.
    pub key: u128,
    /// When the run with that key ended; none once it is forgotten.
    pub at: Option<Millis>,
}

/// A global record that stations which are only being loaded are still to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: Partition,
    /// Its place.
    pub offset: Offset,
}

/// One window, or one part of a long one.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotChange {
    /// Whose it is.
    pub place: Place,
    /// Of what.
    pub of: Of,
    /// Which part of it: of a `rows` window each stretch of rows is stored by itself, under a number that is never given
    /// to another one; everything else is one part of number 0.
    pub part: u64,
    /// Its content in place of what it was; none when there is none any more.
    pub state: Option<WindowState>,
}

/// What a window is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// The topic of this name.
    Topic(Arc<str>),
    /// The results of the module of this name.
    Module(Arc<str>),
}

/// Whose a window is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// One station's.
    Station(Station),
    /// Every station's.
    Global,
}

/// What changed. Each thing is listed once, however often it changed.
#[derive(Debug, Default)]
pub(super) struct Changed {
    stations: Vec<u32>,
    globals: Vec<TopicId>,
    /// Whether the set of early global records changed.
    pub(super) early: bool,
    /// Keys that were remembered or forgotten, in order; nothing where nothing is kept durably.
    pub(super) done: Vec<DoneChange>,
    /// What a store still has of stations that were forgotten.
    pub(super) forgotten: Changes,
}

impl Changed {
    #[inline]
    pub(super) fn slot(&mut self, state: &mut StationState, station: u32, of: Source) {
        if !state.unsaved.contains(&of) {
            self.station(state, station);
            state.unsaved.push(of);
        }
    }

    #[inline]
    fn run(&mut self, state: &mut StationState, station: u32, module: ModuleId) {
        if !state.unsaved_runs.contains(&module) {
            self.station(state, station);
            state.unsaved_runs.push(module);
        }
    }

    fn station(&mut self, state: &mut StationState, station: u32) {
        if !std::mem::replace(&mut state.listed, true) {
            self.stations.push(station);
        }
    }

    pub(super) fn global(&mut self, topic: TopicId) {
        if !self.globals.contains(&topic) {
            self.globals.push(topic);
        }
    }
}

impl Changes {
    /// Says of a topic that whatever an earlier life kept of its windows is gone: to be given to [`Shard::restore`] where
    /// they are about to be loaded in its place.
    #[must_use]
    pub fn lost(topic: Arc<str>) -> Self {
        let slot = SlotChange { place: Place::Global, of: Of::Topic(topic), part: 0, state: None };
        Self { slots: vec![slot], ..Self::default() }
    }
}

impl Shard {
    /// Everything that changed since the last call: windows, of long ones the parts that did, and what is owed. Where
    /// state is kept durably each call is confirmed, in order, by [`Shard::flushed`].
    pub fn take_changes(&mut self) -> Changes {
        let (pending, early) = (self.take_pending(), self.take_early());
        let done = std::mem::take(&mut self.changed.done);
        // First of all: a station of the same name may have come since.
        let Changes { mut slots, mut runs, .. } = std::mem::take(&mut self.changed.forgotten);
        // Every shard has a copy of what is global; one gives it out.
        for topic in std::mem::take(&mut self.changed.globals).into_iter().filter(|_| self.tells_of_global) {
            let of = self.of(Source::Topic(topic));
            if let Some(window) = &mut self.topics[topic.ix()].global {
                window.take_state(&mut |part, state| {
                    slots.push(SlotChange { place: Place::Global, of: of.clone(), part, state });
                });
            }
        }
        for station in std::mem::take(&mut self.changed.stations) {
            self.stations[station as usize].listed = false;
            for source in std::mem::take(&mut self.stations[station as usize].unsaved) {
                let of = self.of(source);
                let state = &mut self.stations[station as usize];
                let place = Place::Station(state.id.clone());
                state.stored = true;
                let mut give =
                    |part, state| slots.push(SlotChange { place: place.clone(), of: of.clone(), part, state });
                match source {
                    Source::Topic(topic) => state.windows[topic.ix()].take_state(&mut give),
                    Source::Module(module) => give(0, state.results[module.ix()].state().map(WindowState::Results)),
                }
            }
            for module in std::mem::take(&mut self.stations[station as usize].unsaved_runs) {
                runs.extend(self.take_run(station, module));
            }
        }
        Changes { slots, runs, pending, done, early }
    }

    fn take_run(&mut self, station: u32, module: ModuleId) -> Option<RunChange> {
        let state = &mut self.stations[station as usize];
        state.stored = true;
        let run = &mut state.runs[module.ix()];
        let mut now = run.state(self.modules[module.ix()].loaded);
        // What time makes due it will make due again.
        now.due &= !matches!(self.plan.module(module).trigger, Trigger::Every { .. });
        if std::mem::replace(&mut run.kept, now) == now {
            return None;
        }
        let module = Arc::clone(&self.plan.module(module).name);
        Some(RunChange { station: state.id.clone(), module, state: Some(now) })
    }

    fn take_pending(&mut self) -> Vec<PendingChange> {
        let came = std::mem::take(&mut self.queues.came);
        self.queues.hurried = false;
        let mut changes = Vec::with_capacity(came.len() + self.queues.went.len());
        for &Queued { station, module, number } in &came {
            let state = &mut self.stations[station as usize];
            let Some(pending) = state.runs.get_mut(module.ix()).and_then(|run| run.pending(number)) else { continue };
            let topic = Arc::clone(&self.plan.topic(pending.topic).name);
            let kept = PendingState { topic, content: pending.what.state() };
            let (station, module) = (state.id.clone(), Arc::clone(&self.plan.module(module).name));
            changes.push(PendingChange { station, module, number, state: Some(kept) });
        }
        for (station, module, number) in std::mem::take(&mut self.queues.went) {
            let module = Arc::clone(&self.plan.module(module).name);
            changes.push(PendingChange { station, module, number, state: None });
        }
        if self.queues.durable {
            self.queues.given.push_back(came);
        }
        changes
    }

    fn take_early(&mut self) -> Option<Vec<EarlyRecord>> {
        // Every shard has stations of its own that are still to see them, so each one tells.
        if !std::mem::take(&mut self.changed.early) {
            return None;
        }
        let early = self.topics.iter().filter_map(|topic| topic.early);
        let record = |Origin { topic, partition, offset }| EarlyRecord {
            topic: Arc::clone(&self.plan.topic(topic).name),
            partition,
            offset,
        };
        Some(early.map(record).collect())
    }

    /// Notes that how a module stands with a station is to be kept.
    #[inline]
    pub(super) fn note_run(&mut self, station: u32, module: ModuleId) {
        if self.queues.durable {
            self.changed.run(&mut self.stations[station as usize], station, module);
        }
    }

    /// Takes back what [`Shard::take_changes`] gave out. Makes nothing due before topics are loaded, and nothing of it
    /// counts as changed. What the plan does not have is passed over.
    pub fn restore(&mut self, changes: &Changes) {
        for gone in changes.runs.iter().filter(|run| run.state.is_none()) {
            self.forget_again(gone.station.as_str());
        }
        for slot in &changes.slots {
            match (&slot.of, &slot.state) {
                (Of::Topic(name), Some(state)) => self.restore_window(slot, name, state),
                (Of::Module(name), Some(state)) => self.restore_result(&slot.place, name, state),
                (Of::Topic(name), None) if slot.place == Place::Global => self.windows_were_lost(name),
                (_, None) => {}
            }
        }
        changes.runs.iter().for_each(|change| self.restore_run(change));
        changes.pending.iter().for_each(|change| self.restore_pending(change));
        changes.done.iter().for_each(|change| self.restore_key(change));
        changes.early.iter().flatten().for_each(|early| self.restore_early(early));
    }

    fn restore_run(&mut self, change: &RunChange) {
        let (Some(module), Some(state)) = (self.plan.module_id(&change.module), change.state) else { return };
        let id = change.station.as_str();
        let station = self.find_or_restore(id, station_hash(id));
        let run = &mut self.stations[station as usize].runs[module.ix()];
        let RunState { due, last_at, ended, failures } = state;
        (run.changed, run.due_before) = (due, due);
        (run.last_at, run.ended, run.failures, run.kept) = (last_at, ended, failures, state);
    }

    fn restore_pending(&mut self, change: &PendingChange) {
        // What is passed over is still kept under its number.
        self.queues.next = self.queues.next.max(change.number.saturating_add(1));
        let (Some(module), Some(kept)) = (self.plan.module_id(&change.module), &change.state) else { return };
        let Some(topic) = self.plan.topic_id(&kept.topic) else { return };
        let Some(what) = Handed::restored(&self.topics[topic.ix()].windows, &kept.content) else { return };
        let id = change.station.as_str();
        let station = self.find_or_restore(id, station_hash(id));
        let key = self.once_key(&change.station, module, &what);
        let run = &mut self.stations[station as usize].runs[module.ix()];
        run.pending.insert(Pending { number: change.number, topic, what, owed: None, ready: true, key });
    }

    fn restore_early(&mut self, early: &EarlyRecord) {
        let Some(topic) = self.plan.topic_id(&early.topic) else { return };
        let origin = Origin { topic, partition: early.partition, offset: early.offset };
        if self.topics[topic.ix()].early.replace(origin).is_none() {
            self.due.keep(Some(origin));
        }
    }

    fn restore_window(&mut self, slot: &SlotChange, name: &str, state: &WindowState) {
        let Some(topic) = self.plan.topic_id(name) else { return };
        let of = &mut self.topics[topic.ix()];
        let whose = match (&slot.place, &mut of.global) {
            (Place::Global, Some(window)) => {
                window.restore(&of.windows, slot.part, state);
                None
            }
            (Place::Station(id), None) => {
                let station = self.find_or_restore(id.as_str(), station_hash(id.as_str()));
                let of = &self.topics[topic.ix()];
                self.stations[station as usize].windows[topic.ix()].restore(&of.windows, slot.part, state);
                Some(station)
            }
            _ => return,
        };
        self.expect_closings(whose, topic);
    }

    fn restore_result(&mut self, place: &Place, name: &str, state: &WindowState) {
        let (Place::Station(id), WindowState::Results(state)) = (place, state) else { return };
        let Some(module) = self.plan.module_id(name) else { return };
        let station = self.find_or_restore(id.as_str(), station_hash(id.as_str()));
        self.stations[station as usize].results[module.ix()].restore(state);
    }

    pub(super) fn of(&self, source: Source) -> Of {
        match source {
            Source::Topic(topic) => Of::Topic(Arc::clone(&self.plan.topic(topic).name)),
            Source::Module(module) => Of::Module(Arc::clone(&self.plan.module(module).name)),
        }
    }
}
