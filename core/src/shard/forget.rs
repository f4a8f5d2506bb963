//! Forgetting: a station that sent nothing for long leaves with all that is kept of it, and its place waits for a
//! newcomer. Notes for later (deadlines, buckets to close, changes to give out) name a place and may outlive its
//! station: whoever takes one up acts on what stands there, at a moment that is right for it, or not at all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::run::{Phase, Watch};
use super::station::StationState;
use super::{Place, RunChange, Shard, SlotChange};
use crate::ident::{Millis, ModuleId, TopicId};
use crate::plan::Source;
use crate::provenance::station_hash;

/// How many stations are looked at in one call.
const LOOKS: usize = 1_000;
/// How long a station that comes out of a store is kept at least, in milliseconds: what it sent meanwhile may not have
/// been read yet.
const GRACE_MS: i64 = 86_400_000;
/// A station that cannot leave yet is looked at again after this part of the time that stations are remembered, within
/// these bounds in milliseconds.
const AGAIN: (i64, i64, i64) = (16, 1_000, 3_600_000);
/// Watches of forgotten stations that are not worth being cleared away.
const STALE_WATCHES: usize = 1_024;

/// When stations are looked at, and which places are free.
#[derive(Debug, Default)]
pub(super) struct Forgetting {
    /// One entry for each known station: it is not silent for long enough before that moment.
    looks: BinaryHeap<Reverse<(Millis, u32)>>,
    vacant: Vec<u32>,
    /// Watches at most that forgotten stations left behind.
    stale_watches: usize,
    forgotten: u64,
}

impl Forgetting {
    /// A place for a newcomer.
    pub(super) fn place(&mut self, stations: &mut Vec<StationState>) -> u32 {
        self.vacant.pop().unwrap_or_else(|| {
            stations.push(StationState::vacant(false));
            u32::try_from(stations.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// How many places wait for a newcomer.
    pub(super) fn vacant(&self) -> usize {
        self.vacant.len()
    }
}

impl Shard {
    /// Stations that were forgotten.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgetting.forgotten
    }

    /// Notes that a station is to be looked at once it may have been silent for long enough; one of an earlier life soon.
    pub(super) fn expect_silence(&mut self, station: u32, heard_at: Option<Millis>) {
        if let Some(after_ms) = self.plan.stations.forget_after_ms {
            let moment = heard_at.map_or(Millis(i64::MIN), |heard_at| heard_at.plus(after_ms));
            self.forgetting.looks.push(Reverse((moment, station)));
        }
    }

    /// When a station may have been silent for long enough.
    pub(super) fn next_silence(&self) -> Option<Millis> {
        let next = self.forgetting.looks.peek().map(|Reverse((moment, _))| *moment)?;
        self.hears_all().then_some(next)
    }

    /// While a topic is being loaded, nobody knows who is silent.
    fn hears_all(&self) -> bool {
        self.topics.iter().all(|topic| topic.loaded)
    }

    /// Forgets stations that have been silent for long enough at `now`.
    pub(super) fn forget_silent(&mut self, now: Millis) {
        let Some(after_ms) = self.plan.stations.forget_after_ms.filter(|_| self.hears_all()) else { return };
        for _ in 0..LOOKS {
            let Some(&Reverse((moment, station))) = self.forgetting.looks.peek() else { return };
            if moment > now {
                return;
            }
            self.forgetting.looks.pop();
            match self.stays_until(station, after_ms, now) {
                Some(until) => self.forgetting.looks.push(Reverse((until, station))),
                None => self.forget(station, now),
            }
        }
    }

    /// When to look at a station again; none when it is to leave.
    fn stays_until(&mut self, station: u32, after_ms: i64, now: Millis) -> Option<Millis> {
        let state = &self.stations[station as usize];
        let heard_at = state.heard_at.unwrap_or_else(|| {
            let windows = self.topics.iter().zip(&state.windows);
            let newest = windows.filter_map(|(topic, window)| window.newest(&topic.windows, now)).max();
            newest.unwrap_or(Millis(i64::MIN)).min(now).max(now.plus(GRACE_MS.min(after_ms) - after_ms))
        });
        self.stations[station as usize].heard_at = Some(heard_at);
        let until = heard_at.plus(after_ms);
        if until > now {
            return Some(until);
        }
        let (part, least, most) = AGAIN;
        (!self.may_leave(station, now)).then(|| now.plus((after_ms / part).clamp(least, most)))
    }

    /// Whether nothing is owed to a station. What it left open is closed first and handed over.
    fn may_leave(&mut self, station: u32, now: Millis) -> bool {
        let mut topics = (0..).map(TopicId).take(self.topics.len());
        let is_closed = topics.all(|topic| self.close_left_open(station, topic, now));
        let mut runs = self.stations[station as usize].runs.iter();
        is_closed && runs.all(|run| run.phase == Phase::Idle && run.pending.is_empty() && run.early.is_empty())
    }

    /// Drops everything of a station: windows, results, runs, alarms. A store is told with the next changes.
    pub(super) fn forget(&mut self, station: u32, now: Millis) {
        self.clear_alarms(station, now);
        self.note_forgotten(station);
        for module in (0..).map(ModuleId).take(self.modules.len()) {
            self.release_quarantine(station, module);
        }
        let listed = self.stations[station as usize].listed;
        let gone = std::mem::replace(&mut self.stations[station as usize], StationState::vacant(listed));
        if let Ok(entry) = self.by_id.find_entry(station_hash(gone.id.as_str()), |&other| other == station) {
            entry.remove();
        }
        self.forgetting.vacant.push(station);
        self.forgetting.forgotten += 1;
        self.forgetting.stale_watches += gone.runs.iter().filter(|run| matches!(run.watch, Watch::Armed(_))).count();
        if self.forgetting.stale_watches > STALE_WATCHES.max(self.watches.len() / 2) {
            self.clear_watches();
        }
    }

    /// Notes what a store has of a station.
    fn note_forgotten(&mut self, station: u32) {
        let state = &self.stations[station as usize];
        if !state.stored {
            return;
        }
        let mut gone = std::mem::take(&mut self.changed.forgotten);
        let place = Place::Station(state.id.clone());
        let mut slot =
            |source, part| gone.slots.push(SlotChange { place: place.clone(), of: self.of(source), part, state: None });
        for (topic, window) in (0..).map(TopicId).zip(&state.windows) {
            if self.topics[topic.ix()].global.is_none() {
                window.stored(&mut |part| slot(Source::Topic(topic), part));
            }
        }
        for (module, result) in (0..).map(ModuleId).zip(&state.results) {
            if result.newest().is_some() {
                slot(Source::Module(module), 0);
            }
        }
        let run = |module: &crate::plan::ModulePlan| RunChange {
            station: state.id.clone(),
            module: std::sync::Arc::clone(&module.name),
            state: None,
        };
        gone.runs.extend(self.plan.modules.iter().map(run));
        self.changed.forgotten = gone;
    }

    /// Forgets a restored station that was forgotten in the life it is restored from.
    pub(super) fn forget_again(&mut self, id: &str) {
        let found = self.by_id.find(station_hash(id), |&station| self.stations[station as usize].id.as_str() == id);
        if let Some(&station) = found {
            self.stations[station as usize].stored = false;
            self.forgetting.looks.retain(|Reverse((_, other))| *other != station);
            self.forget(station, Millis(0));
        }
    }

    /// Clears away the watches that nobody waits for.
    fn clear_watches(&mut self) {
        let mut watches = std::mem::take(&mut self.watches);
        watches.retain(|&Reverse((moment, station, module))| self.is_armed(station, module, moment));
        self.watches = watches;
        self.forgetting.stale_watches = 0;
    }
}
