//! Which runs are owed, in what phase each is, and which records stay unsettled on their account.
//!
//! A run is idle, delayed by its interval, held for a module it depends on, ready, or running. Changes that arrive
//! meanwhile coalesce: only the newest record that changed something stays unsettled, because reading that one again is
//! enough to make the run due again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::Mode;
use super::run::{Pending, Phase, RunId, Running};
use super::station::StationState;
use crate::ident::{Millis, ModuleId, Offset, Partition, TopicId};
use crate::provenance::Origin;

/// The runs of one shard that are not idle.
#[derive(Debug)]
pub(super) struct DueRuns {
    /// Per module, by the turn in which their stations were named.
    ready: Vec<BinaryHeap<Reverse<(u64, u32)>>>,
    /// Delayed and held runs by the moment they become ready. A run that moved on leaves its entry behind.
    timed: BinaryHeap<Reverse<(Millis, u64, u32, ModuleId)>>,
    /// Per topic the records that are unsettled on account of runs.
    owed: Vec<Reasons>,
    /// Likewise on account of buckets that were not handed over yet.
    kept: Vec<Reasons>,
    /// Per topic what waits to be handed over: closed buckets while nothing but their module is missing, and readings
    /// that each are a run of their own, whatever they wait for.
    backlog: Vec<usize>,
    /// Modules of which each reading is a run.
    each: Vec<bool>,
    open: usize,
}

/// Records that are unsettled, each with how many reasons there are.
#[derive(Debug, Default)]
struct Reasons(HashMap<(Partition, Offset), u32>);

impl Reasons {
    fn add(&mut self, origin: Origin) {
        *self.0.entry((origin.partition, origin.offset)).or_insert(0) += 1;
    }

    fn remove(&mut self, origin: Origin) {
        if let Entry::Occupied(mut reasons) = self.0.entry((origin.partition, origin.offset)) {
            *reasons.get_mut() -= 1;
            if *reasons.get() == 0 {
                reasons.remove();
            }
        }
    }
}

impl DueRuns {
    pub(super) fn new(each: Vec<bool>, topics: usize) -> Self {
        Self {
            ready: each.iter().map(|_| BinaryHeap::new()).collect(),
            timed: BinaryHeap::new(),
            owed: (0..topics).map(|_| Reasons::default()).collect(),
            kept: (0..topics).map(|_| Reasons::default()).collect(),
            backlog: vec![0; topics],
            each,
            open: 0,
        }
    }

    /// A triggering input changed. Where a run is already under way or scheduled, its duty moves to this record.
    pub(super) fn note_change(&mut self, state: &mut StationState, module: ModuleId, origin: Origin, mode: Mode) {
        let run = &mut state.runs[module.ix()];
        run.changed = true;
        if mode == Mode::Live && run.phase != Phase::Idle {
            self.owe(state, module, origin);
        }
    }

    /// Lets `origin` stay unsettled on account of this run, in place of the record that did so before.
    pub(super) fn owe(&mut self, state: &mut StationState, module: ModuleId, origin: Origin) {
        self.owed[origin.topic.ix()].add(origin);
        if let Some(before) = state.runs[module.ix()].owed.replace(origin) {
            self.settled(before);
        }
    }

    /// Notes a live record of a module that is not loaded, unless an earlier one of its partition stands for it.
    pub(super) fn owe_early(&mut self, state: &mut StationState, module: ModuleId, origin: Origin) {
        let early = &mut state.runs[module.ix()].early;
        let stands_for = |other: &Origin| {
            (other.topic, other.partition) == (origin.topic, origin.partition) && other.offset <= origin.offset
        };
        if !early.iter().any(stands_for) {
            early.push(origin);
            self.keep(Some(origin));
        }
    }

    /// What was read before the module was loaded needs no longer be read again on account of this run.
    pub(super) fn let_early_go(&mut self, state: &mut StationState, module: ModuleId) {
        let early = std::mem::take(&mut state.runs[module.ix()].early);
        early.into_iter().for_each(|origin| self.handed_over(Some(origin)));
    }

    /// Nothing is owed on account of this run any more.
    pub(super) fn forgive(&mut self, state: &mut StationState, module: ModuleId) {
        if let Some(origin) = state.runs[module.ix()].owed.take() {
            self.settled(origin);
        }
    }

    /// Schedules a run: for `until` where it must wait, else at once.
    pub(super) fn schedule(
        &mut self,
        state: &mut StationState,
        (station, module): (u32, ModuleId),
        turn: u64,
        wait: Option<(Phase, Millis)>,
    ) {
        let run = &mut state.runs[module.ix()];
        self.open += usize::from(run.phase == Phase::Idle);
        run.turn = turn;
        run.until = wait.map(|(_, until)| until);
        match wait {
            Some((phase, until)) => {
                run.phase = phase;
                self.timed.push(Reverse((until, turn, station, module)));
            }
            None => {
                run.phase = Phase::Ready;
                self.ready[module.ix()].push(Reverse((turn, station)));
            }
        }
        self.count_backlog(state, module);
    }

    /// The run does not take place: nothing is due, so no record is unsettled on that account.
    pub(super) fn wait(&mut self, state: &mut StationState, module: ModuleId) {
        let run = &mut state.runs[module.ix()];
        self.open -= usize::from(run.phase != Phase::Idle);
        run.phase = Phase::Idle;
        run.until = None;
        self.count_backlog(state, module);
        self.forgive(state, module);
        self.let_early_go(state, module);
    }

    /// A closed bucket or a reading is to be handed over.
    pub(super) fn enqueue(&mut self, state: &mut StationState, module: ModuleId, pending: Pending) {
        self.keep(pending.owed);
        state.runs[module.ix()].pending.push_back(pending);
        self.count_backlog(state, module);
    }

    /// Lets the oldest that is to be handed over go.
    pub(super) fn drop_pending(&mut self, state: &mut StationState, module: ModuleId) -> Option<Pending> {
        let dropped = state.runs[module.ix()].pending.pop_front()?;
        self.count_backlog(state, module);
        self.handed_over(dropped.owed);
        Some(dropped)
    }

    /// The next run that was to wait until `now`, and how it waited.
    pub(super) fn pop_timed(&mut self, now: Millis, stations: &[StationState]) -> Option<(u32, ModuleId, Phase)> {
        while let Some(&Reverse((deadline, _, station, module))) = self.timed.peek()
            && deadline <= now
        {
            self.timed.pop();
            let Some(run) = stations[station as usize].runs.get(module.ix()) else { continue };
            if matches!(run.phase, Phase::Delayed | Phase::Held) && run.until == Some(deadline) {
                return Some((station, module, run.phase));
            }
        }
        None
    }

    /// Everything that waits for a moment waits for one that is so much earlier.
    pub(super) fn set_back(&mut self, by_ms: i64) {
        let timed = std::mem::take(&mut self.timed).into_iter();
        self.timed = timed
            .map(|Reverse((until, turn, station, module))| {
                Reverse((until.plus(by_ms.saturating_neg()), turn, station, module))
            })
            .collect();
    }

    pub(super) fn next_deadline(&self) -> Option<Millis> {
        self.timed.peek().map(|Reverse((deadline, ..))| *deadline)
    }

    /// Takes the run whose turn it is among the modules that may start; of one station's runs that of the module which
    /// the others depend on.
    pub(super) fn pop(&mut self, admits: impl Fn(ModuleId) -> bool) -> Option<(u32, ModuleId)> {
        let heads =
            (0..).map(ModuleId).zip(&self.ready).filter_map(|(module, queue)| Some((queue.peek()?.0.0, module)));
        let (_, module) = heads.filter(|&(_, module)| admits(module)).min()?;
        let Reverse((_, station)) = self.ready[module.ix()].pop()?;
        Some((station, module))
    }

    pub(super) fn ready_modules(&self) -> impl Iterator<Item = ModuleId> {
        (0..).map(ModuleId).zip(&self.ready).filter(|(_, queue)| !queue.is_empty()).map(|(module, _)| module)
    }

    /// A run taken from the queue starts: it sees every change so far, and of what is pending the oldest.
    pub(super) fn start(&mut self, state: &mut StationState, id: RunId, now: Millis) -> Option<Pending> {
        let run = &mut state.runs[id.module.ix()];
        run.phase = Phase::Running;
        (run.last_at, run.ran) = (Some(now), true);
        let pending = run.pending.pop_ready();
        let (saw_changes, owed) = (std::mem::take(&mut run.changed), run.owed.take());
        let early = std::mem::take(&mut run.early);
        run.running = Some(Running { saw_changes, owed, early, pending: pending.clone(), hash: None });
        self.count_backlog(state, id.module);
        pending
    }

    /// A run ended. What it is owed to is settled once the caller says so.
    pub(super) fn end(&mut self, state: &mut StationState, id: RunId) -> Option<Running> {
        let run = &mut state.runs[id.module.ix()];
        run.phase = Phase::Idle;
        self.open -= 1;
        let running = run.running.take();
        self.count_backlog(state, id.module);
        running
    }

    /// A run ended without anything having come of it: it is owed as before.
    pub(super) fn put_back(&mut self, state: &mut StationState, id: RunId) {
        let Some(Running { saw_changes, owed, early, pending, .. }) = self.end(state, id) else { return };
        let run = &mut state.runs[id.module.ix()];
        run.changed |= saw_changes;
        run.early.extend(early);
        match owed {
            Some(before) if run.owed.is_some() => self.settled(before),
            owed => run.owed = run.owed.or(owed),
        }
        if let Some(pending) = pending {
            state.runs[id.module.ix()].pending.push_front(pending);
        }
        self.count_backlog(state, id.module);
    }

    pub(super) fn oldest_unsettled(&self) -> std::collections::HashMap<(TopicId, Partition), Offset> {
        let mut oldest = std::collections::HashMap::new();
        for (topic, records) in (0..).map(TopicId).zip(&self.owed).chain((0..).map(TopicId).zip(&self.kept)) {
            for &(partition, offset) in records.0.keys() {
                let lowest = oldest.entry((topic, partition)).or_insert(offset);
                *lowest = offset.min(*lowest);
            }
        }
        oldest
    }

    /// Records and buckets of a topic that wait for modules. What else is unsettled waits for records: holding the
    /// topic back on its account would hold it back for ever.
    pub(super) fn unsettled_records(&self, topic: TopicId) -> usize {
        self.owed[topic.ix()].0.len() + self.backlog[topic.ix()]
    }

    /// Runs that are not idle.
    pub(super) fn open_runs(&self) -> usize {
        self.open
    }

    /// A record that was owed is settled on account of one run.
    pub(super) fn settled(&mut self, origin: Origin) {
        self.owed[origin.topic.ix()].remove(origin);
    }

    /// Lets a record stay unsettled on account of a bucket.
    pub(super) fn keep(&mut self, origin: Option<Origin>) {
        origin.into_iter().for_each(|origin| self.kept[origin.topic.ix()].add(origin));
    }

    /// The bucket that a record stood for was handed over, or stands for another one.
    pub(super) fn handed_over(&mut self, origin: Option<Origin>) {
        origin.into_iter().for_each(|origin| self.kept[origin.topic.ix()].remove(origin));
    }

    /// Whether each reading of some topic is a run of this module.
    pub(super) fn is_each(&self, module: ModuleId) -> bool {
        self.each[module.ix()]
    }

    /// How much of a topic waits to be handed over.
    pub(super) fn backlog(&self, topic: TopicId) -> usize {
        self.backlog[topic.ix()]
    }

    /// Buckets count as backlog while their run is due; those of an incomplete station wait for something else. Nearly
    /// all modules take them of one topic, so that of the oldest stands for all.
    fn count_backlog(&mut self, state: &mut StationState, module: ModuleId) {
        let run = &mut state.runs[module.ix()];
        let (topic, before) = run.backlog;
        self.backlog[topic.ix()] -= before;
        let topic = run.pending.front().map_or(topic, |oldest| oldest.topic);
        let counts = self.each[module.ix()] || run.phase != Phase::Idle;
        let now = if counts { run.pending.weight() } else { 0 };
        self.backlog[topic.ix()] += now;
        run.backlog = (topic, now);
    }
}
