//! Which runs are owed, in what phase each is, and which records stay unsettled on their account.
//!
//! A run is idle, delayed by its interval, ready, or running. Changes that arrive meanwhile coalesce: only the newest
//! record that changed something stays unsettled, because reading that one again is enough to make the run due again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

use super::Mode;
use super::station::StationState;
use crate::ident::{Millis, ModuleId, Offset, Partition, TopicId};
use crate::provenance::Origin;

/// Names a run that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId {
    pub(super) station: u32,
    /// The module it is a run of.
    pub module: ModuleId,
}

/// What one module owes one station.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Something changed that no invocation has seen.
    pub(super) changed: bool,
    /// The newest record that is unsettled because of those changes. None while the run waits for completeness: then
    /// nothing is due, and the record that completes the station will be owed instead.
    pub(super) owed: Option<Origin>,
    pub(super) phase: Phase,
    /// The record that the invocation in flight is owed to.
    running: Option<Origin>,
    last_at: Option<Millis>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is scheduled.
    #[default]
    Idle,
    /// Due, but the interval since the last run is not over.
    Delayed,
    /// In the queue of its module.
    Ready,
    /// An invocation is in flight.
    Running,
}

/// The runs of one shard that are not idle.
#[derive(Debug)]
pub(super) struct DueRuns {
    /// Per module, in the order in which runs became ready.
    ready: Vec<VecDeque<(u64, u32)>>,
    delayed: BinaryHeap<Reverse<(Millis, u64, u32, ModuleId)>>,
    /// Runs on whose account a record is unsettled.
    owing: HashSet<(u32, ModuleId)>,
    owed_by_topic: Vec<usize>,
    sequence: u64,
    running: usize,
}

impl DueRuns {
    pub(super) fn new(modules: usize, topics: usize) -> Self {
        Self {
            ready: (0..modules).map(|_| VecDeque::new()).collect(),
            delayed: BinaryHeap::new(),
            owing: HashSet::new(),
            owed_by_topic: vec![0; topics],
            sequence: 0,
            running: 0,
        }
    }

    /// A triggering topic changed. Where a run is already under way or scheduled, its duty moves to this record.
    pub(super) fn note_change(
        &mut self,
        state: &mut StationState,
        station: u32,
        module: ModuleId,
        origin: Origin,
        mode: Mode,
    ) {
        let run = &mut state.runs[module.ix()];
        run.changed = true;
        if mode == Mode::Live && run.phase != Phase::Idle {
            self.owe(state, station, module, origin);
        }
    }

    /// Lets `origin` stay unsettled on account of this run, in place of the record that did so before.
    pub(super) fn owe(&mut self, state: &mut StationState, station: u32, module: ModuleId, origin: Origin) {
        let run = &mut state.runs[module.ix()];
        let before = run.owed.replace(origin);
        self.owed_by_topic[origin.topic.ix()] += 1;
        match before {
            Some(before) => self.owed_by_topic[before.topic.ix()] -= 1,
            None if run.running.is_none() => {
                self.owing.insert((station, module));
            }
            None => {}
        }
    }

    /// Schedules an idle run whose station is complete.
    pub(super) fn make_due(
        &mut self,
        state: &mut StationState,
        station: u32,
        module: ModuleId,
        min_interval_ms: i64,
        now: Millis,
    ) {
        let run = &mut state.runs[module.ix()];
        let earliest = run.last_at.map(|last| last.plus(min_interval_ms)).filter(|&earliest| earliest > now);
        self.sequence += 1;
        match earliest {
            Some(earliest) => {
                run.phase = Phase::Delayed;
                self.delayed.push(Reverse((earliest, self.sequence, station, module)));
            }
            None => {
                run.phase = Phase::Ready;
                self.ready[module.ix()].push_back((self.sequence, station));
            }
        }
    }

    /// The station is incomplete: nothing is due, so no record is unsettled on that account. The change is remembered.
    pub(super) fn wait(&mut self, state: &mut StationState, station: u32, module: ModuleId) {
        let run = &mut state.runs[module.ix()];
        run.phase = Phase::Idle;
        if let Some(origin) = run.owed.take() {
            self.settled(origin, run.running.is_none(), station, module);
        }
    }

    /// Makes ready what was delayed until `now`.
    pub(super) fn release(&mut self, now: Millis, stations: &mut [StationState]) {
        while let Some(&Reverse((deadline, _, station, module))) = self.delayed.peek()
            && deadline <= now
        {
            self.delayed.pop();
            self.sequence += 1;
            stations[station as usize].runs[module.ix()].phase = Phase::Ready;
            self.ready[module.ix()].push_back((self.sequence, station));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Millis> {
        self.delayed.peek().map(|Reverse((deadline, ..))| *deadline)
    }

    /// Takes the run that became ready first among the modules that may start.
    pub(super) fn pop(&mut self, admits: impl Fn(ModuleId) -> bool) -> Option<(u32, ModuleId)> {
        let heads = (0..).map(ModuleId).zip(&self.ready).filter_map(|(module, queue)| Some((*queue.front()?, module)));
        let (_, module) = heads.filter(|&(_, module)| admits(module)).min_by_key(|((sequence, _), _)| *sequence)?;
        let (_, station) = self.ready[module.ix()].pop_front()?;
        Some((station, module))
    }

    pub(super) fn ready_modules(&self) -> impl Iterator<Item = ModuleId> {
        (0..).map(ModuleId).zip(&self.ready).filter(|(_, queue)| !queue.is_empty()).map(|(module, _)| module)
    }

    /// A run taken from the queue starts: it sees every change so far.
    pub(super) fn start(&mut self, state: &mut StationState, station: u32, module: ModuleId, now: Millis) -> RunId {
        let run = &mut state.runs[module.ix()];
        run.phase = Phase::Running;
        run.changed = false;
        run.last_at = Some(now);
        run.running = run.owed.take();
        self.running += 1;
        RunId { station, module }
    }

    /// A run ended, and what it was owed to is settled.
    pub(super) fn finish(&mut self, state: &mut StationState, id: RunId) {
        let run = &mut state.runs[id.module.ix()];
        run.phase = Phase::Idle;
        self.running -= 1;
        if let Some(origin) = run.running.take() {
            self.settled(origin, run.owed.is_none(), id.station, id.module);
        }
    }

    pub(super) fn oldest_unsettled(&self, stations: &[StationState]) -> HashMap<(TopicId, Partition), Offset> {
        let mut oldest = HashMap::new();
        for origin in self.unsettled(stations) {
            let lowest = oldest.entry((origin.topic, origin.partition)).or_insert(origin.offset);
            *lowest = origin.offset.min(*lowest);
        }
        oldest
    }

    pub(super) fn unsettled_runs(&self, topic: TopicId) -> usize {
        self.owed_by_topic[topic.ix()]
    }

    pub(super) fn unsettled_records(&self, topic: TopicId, stations: &[StationState]) -> usize {
        self.unsettled(stations).filter(|origin| origin.topic == topic).collect::<HashSet<_>>().len()
    }

    /// Runs that are delayed, ready or in flight.
    pub(super) fn open_runs(&self) -> usize {
        self.delayed.len() + self.ready.iter().map(VecDeque::len).sum::<usize>() + self.running
    }

    fn unsettled<'a>(&'a self, stations: &'a [StationState]) -> impl Iterator<Item = Origin> + 'a {
        self.owing.iter().flat_map(|&(station, module)| {
            let run = &stations[station as usize].runs[module.ix()];
            run.owed.into_iter().chain(run.running)
        })
    }

    fn settled(&mut self, origin: Origin, owes_nothing: bool, station: u32, module: ModuleId) {
        self.owed_by_topic[origin.topic.ix()] -= 1;
        if owes_nothing {
            self.owing.remove(&(station, module));
        }
    }
}
