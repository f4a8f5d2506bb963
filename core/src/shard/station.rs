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
    /// Whether there is such a station; none at a place that waits for a newcomer.
    pub(super) known: bool,
    /// When the last reading of its own came; none until then for one that was there in an earlier life.
    pub(super) heard_at: Option<Millis>,
    /// Whether a store has something of it.
    pub(super) stored: bool,
    /// Whether its place is among those that changed since changes were last taken.
    pub(super) listed: bool,
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

impl StationState {
    /// A place without a station.
    pub(super) fn vacant(listed: bool) -> Self {
        Self {
            id: "".into(),
            known: false,
            heard_at: None,
            stored: false,
            listed,
            windows: Box::default(),
            results: Box::default(),
            seen_at: None,
            runs: Box::default(),
            touched_by: 0,
            touched_at: 0,
            unsaved: Vec::new(),
            unsaved_runs: Vec::new(),
        }
    }
}

impl Shard {
    /// The station called `id`, and whether this is its first appearance; none when there is no room for it.
    #[inline]
    pub(super) fn find_or_admit(&mut self, id: &str, hash: u64, mode: Mode, now: Millis) -> Option<(u32, bool)> {
        let found = self.by_id.find(hash, |&station| self.stations[station as usize].id.as_str() == id);
        let (station, is_new) = match (found, mode) {
            (Some(&station), _) => (station, false),
            (None, Mode::Live) => (self.admit(id, hash, now)?, true),
            (None, Mode::Load) => (self.readmit(id, hash, now)?, true),
        };
        self.stations[station as usize].heard_at = Some(now);
        Some((station, is_new))
    }

    /// The station called `id`, whose state was kept: it is not new, and there is room for it, however many come back. The
    /// limit may be lower than it was, or the stations may be shared out in another way.
    pub(super) fn find_or_restore(&mut self, id: &str, hash: u64) -> u32 {
        let found = self.by_id.find(hash, |&station| self.stations[station as usize].id.as_str() == id);
        let station = match found {
            Some(&station) => station,
            None => self.insert(id, hash, None),
        };
        self.stations[station as usize].stored = true;
        station
    }

    /// Makes room for a station that was there in an earlier life, of which only its records are left.
    fn readmit(&mut self, id: &str, hash: u64, now: Millis) -> Option<u32> {
        (self.stations() < self.limit).then(|| self.insert(id, hash, Some(now)))
    }

    fn admit(&mut self, id: &str, hash: u64, now: Millis) -> Option<u32> {
        if self.stations() >= self.limit || !self.newcomers.admit(self.plan.stations.new_per_minute, now) {
            return None;
        }
        Some(self.insert(id, hash, Some(now)))
    }

    fn insert(&mut self, id: &str, hash: u64, now: Option<Millis>) -> u32 {
        let station = self.forgetting.place(&mut self.stations);
        let listed = self.stations[station as usize].listed;
        self.stations[station as usize] = StationState {
            id: id.into(),
            known: true,
            heard_at: now,
            stored: false,
            listed,
            windows: self.topics.iter().map(|topic| topic.windows.empty()).collect(),
            results: self.modules.iter().map(|_| Results::default()).collect(),
            seen_at: None,
            runs: self.modules.iter().map(|_| Run::default()).collect(),
            touched_by: 0,
            touched_at: 0,
            unsaved: Vec::new(),
            unsaved_runs: Vec::new(),
        };
        self.expect_silence(station, now);
        let stations = &self.stations;
        self.by_id.insert_unique(hash, station, |&other| station_hash(stations[other as usize].id.as_str()));
        if let Some(now) = now.filter(|_| !self.deadly.is_empty()) {
            self.pause_known(station, now);
        }
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
