//! Runs that fail for good, and modules that may not be called: a station that keeps failing pauses, a module that gives
//! up halts, one whose topic belongs to two processes is suspended. The others go on.

use std::sync::Arc;

use super::Shard;
use crate::ident::{Millis, ModuleId, Station, TopicId};
use crate::plan::Source;
use crate::provenance::station_hash;

/// A station for which a module kept failing: it pauses, or has done so and works again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Quarantine {
    /// The module.
    pub module: Arc<str>,
    /// The station.
    pub station: Station,
    /// Runs that failed for good since one last did not.
    pub failures: u32,
    /// When one run will try whether it is over; none when it is.
    pub until: Option<Millis>,
}

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
        let failures = run.failures;
        self.pause(station, module, failures, now);
    }

    /// So many processes ended one after another while `module` was called for the station: as if it had failed as often.
    /// A station that is not known yet, because nothing of it was kept before the process died, pauses once it is.
    pub fn pause_deadly(&mut self, module: ModuleId, station: &str, deaths: u32, now: Millis) {
        let find = |&at: &u32| self.stations[at as usize].id.as_str() == station;
        match self.by_id.find(station_hash(station), find) {
            Some(&at) => self.pause(at, module, deaths, now),
            None => self.deadly.push((station.into(), module, deaths)),
        }
    }

    /// A station is known now: whether it has to pause on account of processes that died before anything of it was kept.
    pub(super) fn pause_known(&mut self, station: u32, now: Millis) {
        let id = self.stations[station as usize].id.clone();
        let (here, elsewhere) = std::mem::take(&mut self.deadly).into_iter().partition(|(deadly, ..)| *deadly == id);
        self.deadly = elsewhere;
        let here: Vec<(Station, ModuleId, u32)> = here;
        here.into_iter().for_each(|(_, module, deaths)| self.pause(station, module, deaths, now));
    }

    /// Lets a station pause if it has failed often enough.
    fn pause(&mut self, station: u32, module: ModuleId, failures: u32, now: Millis) {
        let run = &mut self.stations[station as usize].runs[module.ix()];
        if let Some(quarantine) = &self.plan.module(module).quarantine
            && let Some(over) = failures.checked_sub(quarantine.after)
        {
            if run.paused_until.is_none() {
                self.modules[module.ix()].quarantined += 1;
            }
            let pause_ms = quarantine.pause_ms.saturating_mul(1_i64 << over.min(40)).min(quarantine.max_pause_ms);
            run.paused_until = Some(now.plus(pause_ms));
            self.report_quarantine(station, module);
        }
    }

    /// A run succeeded: its station is as good as any.
    pub(super) fn note_success(&mut self, station: u32, module: ModuleId) {
        self.stations[station as usize].runs[module.ix()].failures = 0;
        if self.release_quarantine(station, module) {
            self.report_quarantine(station, module);
        }
    }

    /// Lets a station pause no longer; false when it did not.
    pub(super) fn release_quarantine(&mut self, station: u32, module: ModuleId) -> bool {
        let paused = self.stations[station as usize].runs[module.ix()].paused_until.take().is_some();
        self.modules[module.ix()].quarantined -= usize::from(paused);
        paused
    }

    fn report_quarantine(&mut self, station: u32, module: ModuleId) {
        self.quarantines.push_back(self.quarantine(station, module));
    }

    fn quarantine(&self, station: u32, module: ModuleId) -> Quarantine {
        let state = &self.stations[station as usize];
        let run = &state.runs[module.ix()];
        Quarantine {
            module: Arc::clone(&self.plan.module(module).name),
            station: state.id.clone(),
            failures: run.failures,
            until: run.paused_until,
        }
    }

    /// The next station that began to pause, does so for longer, or works again.
    pub fn poll_quarantine(&mut self) -> Option<Quarantine> {
        self.quarantines.pop_front()
    }

    /// How many stations pause for `module`, because its runs for them kept failing.
    #[must_use]
    pub fn quarantined_stations(&self, module: ModuleId) -> usize {
        self.modules[module.ix()].quarantined
    }

    /// Those stations. One whose time is over is among them until a run has shown that it works again.
    pub fn quarantined(&self, module: ModuleId) -> impl Iterator<Item = Quarantine> {
        let any = self.quarantined_stations(module) > 0;
        let stations = (0..if any { self.station_count() } else { 0 }).filter(move |&station| {
            let run = self.stations[station as usize].runs.get(module.ix());
            run.is_some_and(|run| run.paused_until.is_some())
        });
        stations.map(move |station| self.quarantine(station, module))
    }
}
