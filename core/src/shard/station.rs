//! One station's state, how stations are found, and how many there may be.

use super::run::Run;
use super::{Mode, Shard};
use crate::ident::{Millis, ModuleId, Station};
use crate::plan::Source;
use crate::provenance::station_hash;
use crate::window::{Results, Window};

/// Everything a shard keeps of one station.
#[derive(Debug)]
pub(super) struct StationState {
    pub(super) id: Station,
    /// One window per topic; those of global topics stay empty.
    pub(super) windows: Box<[Window]>,
    /// The newest result of each module, kept for those that depend on it.
    pub(super) results: Box<[Results]>,
    /// When this process first saw it.
    pub(super) seen_at: Option<Millis>,
    /// One run per module.
    pub(super) runs: Box<[Run]>,
    /// The last record that named this station, and its place among those that record names.
    pub(super) touched_by: u64,
    pub(super) touched_at: usize,
    /// What changed since changes were last taken.
    pub(super) unsaved: Vec<Source>,
    pub(super) unsaved_runs: Vec<ModuleId>,
}

/// Counts first appearances per minute of the clock.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    minute: i64,
    count: usize,
}

impl Newcomers {
    fn admit(&mut self, limit: usize, now: Millis) -> bool {
        let minute = now.0.div_euclid(60_000);
        if minute != self.minute {
            *self = Self { minute, count: 0 };
        }
        let free = self.count < limit;
        self.count += usize::from(free);
        free
    }
}

impl Shard {
    /// The station called `id`, and whether this is its first appearance; none when there is no room for it.
    #[inline]
    pub(super) fn find_or_admit(&mut self, id: &str, hash: u64, mode: Mode, now: Millis) -> Option<(u32, bool)> {
        let found = self.by_id.find(hash, |&station| self.stations[station as usize].id.as_str() == id);
        match (found, mode) {
            (Some(&station), _) => Some((station, false)),
            (None, Mode::Live) => self.admit(id, hash, now).map(|station| (station, true)),
            (None, Mode::Load) => self.readmit(id, hash).map(|station| (station, true)),
        }
    }

    /// The station called `id`, whose state was kept: it is not new, however many of them come back at once.
    pub(super) fn find_or_readmit(&mut self, id: &str, hash: u64) -> Option<u32> {
        let found = self.by_id.find(hash, |&station| self.stations[station as usize].id.as_str() == id);
        match found {
            Some(&station) => Some(station),
            None => self.readmit(id, hash),
        }
    }

    /// Makes room for a station that was there in an earlier life.
    fn readmit(&mut self, id: &str, hash: u64) -> Option<u32> {
        (self.stations.len() < self.limit).then(|| self.insert(id, hash))
    }

    fn admit(&mut self, id: &str, hash: u64, now: Millis) -> Option<u32> {
        if self.stations.len() >= self.limit || !self.newcomers.admit(self.plan.stations.new_per_minute, now) {
            return None;
        }
        Some(self.insert(id, hash))
    }

    fn insert(&mut self, id: &str, hash: u64) -> u32 {
        let station = self.station_count();
        self.stations.push(StationState {
            id: id.into(),
            windows: self.topics.iter().map(|topic| topic.windows.empty()).collect(),
            results: self.modules.iter().map(|_| Results::default()).collect(),
            seen_at: None,
            runs: self.modules.iter().map(|_| Run::default()).collect(),
            touched_by: 0,
            touched_at: 0,
            unsaved: Vec::new(),
            unsaved_runs: Vec::new(),
        });
        let stations = &self.stations;
        self.by_id.insert_unique(hash, station, |&other| station_hash(stations[other as usize].id.as_str()));
        station
    }

    /// The window of a topic as a station sees it: its own, or the one all stations share.
    pub(super) fn window(&self, station: u32, topic: crate::ident::TopicId) -> &Window {
        match &self.topics[topic.ix()].global {
            Some(window) => window,
            None => &self.stations[station as usize].windows[topic.ix()],
        }
    }
}
