//! The end of loading: modules all of whose inputs are there may run from then on.

use super::Shard;
use super::run::Phase;
use crate::ident::{Millis, ModuleId, TopicId};
use crate::plan::{InputPlan, Source, Trigger};
use crate::provenance::Origin;

impl Shard {
    /// States that everything a topic held at the start has been applied. Modules all of whose topics are loaded may
    /// run from then on; what loading alone made due is not.
    pub fn topic_loaded(&mut self, topic: TopicId, now: Millis) {
        if std::mem::replace(&mut self.topics[topic.ix()].loaded, true) {
            return;
        }
        self.close_loaded(topic, now);
        // In dependency order: a module whose inputs are other modules' results is loaded as soon as these are.
        for module in (0..).map(ModuleId).take(self.modules.len()) {
            if self.modules[module.ix()].loaded || !self.has_loaded_inputs(module) {
                continue;
            }
            self.modules[module.ix()].loaded = true;
            self.schedule_ticks(now);
            for station in 0..self.station_count() {
                if !self.stations[station as usize].known {
                    continue;
                }
                self.turn += 1;
                self.stations[station as usize].seen_at.get_or_insert(now);
                self.release_loaded(station, module, now);
                self.look(station, module, now);
            }
        }
        self.settle_early();
    }

    /// A live global record stays unsettled until every module it triggers is loaded: only then is it known for whom it
    /// makes what due.
    fn settle_early(&mut self) {
        for at in 0..self.topics.len() {
            let topic = &mut self.topics[at];
            if topic.readers.iter().all(|(module, _)| self.modules[module.ix()].loaded) {
                self.changed.early |= topic.early.is_some();
                self.due.handed_over(topic.early.take());
            }
        }
    }

    fn has_loaded_inputs(&self, module: ModuleId) -> bool {
        self.plan.module(module).inputs().all(|(input, _)| match input.source {
            Source::Topic(topic) => self.topics[topic.ix()].loaded,
            Source::Module(module) => self.modules[module.ix()].loaded,
        })
    }

    /// What loading alone made due was settled in an earlier life, unless the station was incomplete then too. Of a
    /// module whose inputs are all global nothing says so unless runs are recorded: its run was owed to whichever record
    /// first named the station, so it runs again. So does one of which nothing is known though others depend on it.
    fn release_loaded(&mut self, station: u32, module: ModuleId, now: Millis) {
        let global = self.early_global(module);
        let first = self.is_first(station, module);
        let run = &mut self.stations[station as usize].runs[module.ix()];
        run.changed |= first;
        let cause = run.early.first().copied().or(global);
        if run.wants() {
            self.release_wanting(station, module, cause, now);
        }
        self.stations[station as usize].runs[module.ix()].due_before = false;
        self.note_run(station, module);
        let state = &mut self.stations[station as usize];
        if state.runs[module.ix()].phase == Phase::Idle {
            self.due.let_early_go(state, module);
        }
    }

    /// A live record on a global topic that triggers `module`, read before it was loaded.
    fn early_global(&self, module: ModuleId) -> Option<Origin> {
        let triggers = |topic: &&super::TopicState| topic.readers.contains(&(module, true));
        self.topics.iter().filter(triggers).find_map(|topic| topic.early)
    }

    /// Whether a run is owed though nothing says so: no result is there for those that depend on it, or, where runs are
    /// recorded, none of this station is.
    fn is_first(&self, station: u32, module: ModuleId) -> bool {
        let state = &self.stations[station as usize];
        // That the last run gave up is on record, and so is why there is no result.
        let gave_up = state.runs[module.ix()].failures > 0;
        let needed = !gave_up && !self.modules[module.ix()].dependents.is_empty();
        let recorded = state.runs[module.ix()].ended.is_some();
        // Of what is handed over one by one the queue knows more.
        let by_bucket =
            |topic: &super::TopicState| topic.windows.closer().is_some() && topic.readers.contains(&(module, true));
        match self.plan.module(module).trigger {
            Trigger::Each { .. } => false,
            Trigger::Changes { .. } if self.topics.iter().any(by_bucket) => {
                needed && state.results[module.ix()].newest().is_none()
            }
            // What time made due is not kept: what was published meanwhile may be newer than what dependents would see.
            Trigger::Every { .. } => needed && (self.queues.durable || state.results[module.ix()].newest().is_none()),
            Trigger::Changes { .. } => {
                (needed && state.results[module.ix()].newest().is_none()) || (self.queues.durable && !recorded)
            }
        }
    }

    /// A station that only loading has brought back is new to modules that require nothing of its own: their topics may
    /// have been loaded before it was known, and then nobody has called them for it.
    pub(super) fn consider_global(&mut self, station: u32, now: Millis) {
        for module in (0..).map(ModuleId).take(self.modules.len()) {
            let requires = self.plan.module(module).requires.iter();
            if self.modules[module.ix()].loaded && self.are_global(requires) {
                self.consider(station, module, None, now);
            }
        }
    }

    pub(super) fn are_global<'a>(&self, mut inputs: impl Iterator<Item = &'a InputPlan>) -> bool {
        inputs.all(|input| match input.source {
            Source::Topic(topic) => self.topics[topic.ix()].global.is_some(),
            Source::Module(_) => false,
        })
    }

    fn release_wanting(&mut self, station: u32, module: ModuleId, cause: Option<Origin>, now: Millis) {
        let is_first = self.is_first(station, module);
        let all_global =
            !self.queues.durable && self.are_global(self.plan.module(module).inputs().map(|(input, _)| input));
        let run = &self.stations[station as usize].runs[module.ix()];
        let from_loading = cause.is_none() && run.pending.is_empty() && !run.due_before;
        if from_loading && !all_global && !is_first && self.is_complete(station, module, now) {
            self.stations[station as usize].runs[module.ix()].changed = false;
            return;
        }
        self.consider(station, module, cause, now);
    }
}
