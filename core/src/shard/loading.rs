//! The end of loading: modules all of whose inputs are there may run from then on.

use super::Shard;
use crate::ident::{Millis, ModuleId, TopicId};
use crate::plan::Source;

impl Shard {
    /// States that everything a topic held at the start has been applied. Modules all of whose topics are loaded may
    /// run from then on; what loading alone made due is not.
    pub fn topic_loaded(&mut self, topic: TopicId, now: Millis) {
        if std::mem::replace(&mut self.topics[topic.ix()].loaded, true) {
            return;
        }
        // In dependency order: a module whose inputs are other modules' results is loaded as soon as these are.
        for module in (0..).map(ModuleId).take(self.modules.len()) {
            if self.modules[module.ix()].loaded || !self.has_loaded_inputs(module) {
                continue;
            }
            self.modules[module.ix()].loaded = true;
            self.schedule_ticks(now);
            for station in 0..self.station_count() {
                self.turn += 1;
                self.stations[station as usize].seen_at.get_or_insert(now);
                self.release_loaded(station, module, now);
                self.look(station, module, now);
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
        let state = &mut self.stations[station as usize];
        if !state.runs[module.ix()].wants() {
            self.due.forgive(state, module);
            return;
        }
        let from_loading = state.runs[module.ix()].owed.is_none();
        let all_global = self.plan.module(module).inputs().all(|(input, _)| match input.source {
            Source::Topic(topic) => self.topics[topic.ix()].global.is_some(),
            Source::Module(_) => false,
        });
        let is_needed = !self.modules[module.ix()].dependents.is_empty();
        if from_loading && !all_global && !is_needed && self.is_complete(station, module, now) {
            self.stations[station as usize].runs[module.ix()].changed = false;
            return;
        }
        self.consider(station, module, None, now);
    }
}
