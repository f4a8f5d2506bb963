//! Runs that fail for good, and modules that may not be called: a station that keeps failing pauses, a module that gives
//! up halts, one whose topic belongs to two processes is suspended. The others go on.

use super::Shard;
use crate::ident::{Millis, ModuleId, TopicId};
use crate::plan::Source;

impl Shard {
    /// States whether partitions of a topic belong to somebody else. What is due meanwhile stays due.
    pub fn set_split(&mut self, topic: TopicId, split: bool) {
        self.topics[topic.ix()].split = split;
        (0..).map(ModuleId).take(self.modules.len()).for_each(|module| self.suspend(module));
    }

    /// Calls a module no more.
    pub(super) fn halt(&mut self, module: ModuleId) {
        self.modules[module.ix()].halted = true;
        self.suspend(module);
    }

    fn suspend(&mut self, module: ModuleId) {
        let is_split = |source| matches!(source, Source::Topic(topic) if self.topics[topic.ix()].split);
        let split = self.plan.module(module).inputs().any(|(input, _)| is_split(input.source));
        let state = &mut self.modules[module.ix()];
        state.suspended = split || state.halted;
    }

    /// A run failed for good. After a few in a row the station pauses for this module, longer each time.
    pub(super) fn note_failure(&mut self, station: u32, module: ModuleId, now: Millis) {
        let run = &mut self.stations[station as usize].runs[module.ix()];
        run.failures = run.failures.saturating_add(1);
        if let Some(quarantine) = &self.plan.module(module).quarantine
            && let Some(over) = run.failures.checked_sub(quarantine.after)
        {
            if run.paused_until.is_none() {
                self.modules[module.ix()].quarantined += 1;
            }
            let pause_ms = quarantine.pause_ms.saturating_mul(1_i64 << over.min(40)).min(quarantine.max_pause_ms);
            run.paused_until = Some(now.plus(pause_ms));
        }
    }

    /// A run succeeded: its station is as good as any.
    pub(super) fn note_success(&mut self, station: u32, module: ModuleId) {
        let run = &mut self.stations[station as usize].runs[module.ix()];
        run.failures = 0;
        if run.paused_until.take().is_some() {
            self.modules[module.ix()].quarantined -= 1;
        }
    }

    /// Stations that pause for `module`, because its runs for them kept failing.
    #[must_use]
    pub fn quarantined_stations(&self, module: ModuleId) -> usize {
        self.modules[module.ix()].quarantined
    }
}
