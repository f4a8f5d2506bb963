//! The end of loading: modules all of whose inputs are there may run from then on.

use super::Shard;
use crate::ident::{Millis, ModuleId, TopicId};
use crate::plan::Source;
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
    /// module whose inputs are all global nothing says so: its run was owed to whichever record first named the
    /// station, so it runs again. So does one whose results others of this process depend on: they are kept in memory.
    fn release_loaded(&mut self, station: u32, module: ModuleId, now: Millis) {
        let is_needed = !self.modules[module.ix()].dependents.is_empty();
        let global = self.early_global(module);
        let run = &mut self.stations[station as usize].runs[module.ix()];
        run.changed |= is_needed;
        let early = std::mem::take(&mut run.early);
        let cause = early.first().copied().or(global);
        if run.wants() {
            self.release_wanting(station, module, cause, now);
        }
        early.into_iter().for_each(|origin| self.due.handed_over(Some(origin)));
    }

    /// A live record on a global topic that triggers `module`, read before it was loaded.
    fn early_global(&self, module: ModuleId) -> Option<Origin> {
        let triggers = |topic: &&super::TopicState| topic.readers.contains(&(module, true));
        self.topics.iter().filter(triggers).find_map(|topic| topic.early)
    }

    fn release_wanting(&mut self, station: u32, module: ModuleId, cause: Option<Origin>, now: Millis) {
        let is_needed = !self.modules[module.ix()].dependents.is_empty();
        let all_global = self.plan.module(module).inputs().all(|(input, _)| match input.source {
            Source::Topic(topic) => self.topics[topic.ix()].global.is_some(),
            Source::Module(_) => false,
        });
        let from_loading = cause.is_none() && self.stations[station as usize].runs[module.ix()].pending.is_empty();
        if from_loading && !all_global && !is_needed && self.is_complete(station, module, now) {
            self.stations[station as usize].runs[module.ix()].changed = false;
            return;
        }
        self.consider(station, module, cause, now);
    }
}
