//! Which runs are owed, in what phase each is, and which records stay unsettled on their account.
//!
//! A run is idle, delayed by its interval, ready, or running. Changes that arrive meanwhile coalesce: only the newest
//! record that changed something stays unsettled, because reading that one again is enough to make the run due again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::Mode;
use super::run::{Phase, RunId};
use super::station::StationState;
use crate::ident::{Millis, ModuleId, Offset, Partition, TopicId};
use crate::provenance::Origin;

/// The runs of one shard that are not idle.
#[derive(Debug)]
pub(super) struct DueRuns {
    /// Per module, in the order in which runs became ready.
    ready: Vec<VecDeque<(u64, u32)>>,
    delayed: BinaryHeap<Reverse<(Millis, u64, u32, ModuleId)>>,
    /// Per topic the records that are unsettled, and on account of how many runs.
    unsettled: Vec<HashMap<(Partition, Offset), u32>>,
    sequence: u64,
    running: usize,
}

impl DueRuns {
    pub(super) fn new(modules: usize, topics: usize) -> Self {
        Self {
            ready: (0..modules).map(|_| VecDeque::new()).collect(),
            delayed: BinaryHeap::new(),
            unsettled: (0..topics).map(|_| HashMap::new()).collect(),
            sequence: 0,
            running: 0,
        }
    }

    /// A triggering topic changed. Where a run is already under way or scheduled, its duty moves to this record.
    pub(super) fn note_change(&mut self, state: &mut StationState, module: ModuleId, origin: Origin, mode: Mode) {
        let run = &mut state.runs[module.ix()];
        run.changed = true;
        if mode == Mode::Live && run.phase != Phase::Idle {
            self.owe(state, module, origin);
        }
    }

    /// Lets `origin` stay unsettled on account of this run, in place of the record that did so before.
    pub(super) fn owe(&mut self, state: &mut StationState, module: ModuleId, origin: Origin) {
        *self.unsettled[origin.topic.ix()].entry((origin.partition, origin.offset)).or_insert(0) += 1;
        if let Some(before) = state.runs[module.ix()].owed.replace(origin) {
            self.settled(before);
        }
    }

    /// Nothing is owed on account of this run any more.
    pub(super) fn forgive(&mut self, state: &mut StationState, module: ModuleId) {
        if let Some(origin) = state.runs[module.ix()].owed.take() {
            self.settled(origin);
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
        // A clock that was set back must not hold a run until it catches up.
        let last = run.last_at.filter(|&last| last <= now);
        let earliest = last.map(|last| last.plus(min_interval_ms)).filter(|&earliest| earliest > now);
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
    pub(super) fn wait(&mut self, state: &mut StationState, module: ModuleId) {
        state.runs[module.ix()].phase = Phase::Idle;
        self.forgive(state, module);
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
            self.settled(origin);
        }
    }

    pub(super) fn oldest_unsettled(&self) -> std::collections::HashMap<(TopicId, Partition), Offset> {
        let mut oldest = std::collections::HashMap::new();
        for (topic, records) in (0..).map(TopicId).zip(&self.unsettled) {
            for &(partition, offset) in records.keys() {
                let lowest = oldest.entry((topic, partition)).or_insert(offset);
                *lowest = offset.min(*lowest);
            }
        }
        oldest
    }

    pub(super) fn unsettled_records(&self, topic: TopicId) -> usize {
        self.unsettled[topic.ix()].len()
    }

    /// Runs that are delayed, ready or in flight.
    pub(super) fn open_runs(&self) -> usize {
        self.delayed.len() + self.ready.iter().map(VecDeque::len).sum::<usize>() + self.running
    }

    fn settled(&mut self, origin: Origin) {
        let records = &mut self.unsettled[origin.topic.ix()];
        if let Entry::Occupied(mut runs) = records.entry((origin.partition, origin.offset)) {
            *runs.get_mut() -= 1;
            if *runs.get() == 0 {
                runs.remove();
            }
        }
    }
}
