//! What is done once only: the keys of readings whose runs have ended well. A further reading of the station with such a
//! key is passed over, when it comes and, because two may wait at a time, when it is about to be handed over.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;

use super::{DoneChange, Shard};
use crate::ident::{Millis, ModuleId, Station};
use crate::plan::OncePlan;
use crate::provenance::key_hash;
use crate::window::Handed;

/// The keys that one module remembers, by their hashes.
#[derive(Debug, Default)]
pub(super) struct DoneKeys {
    done: HashMap<u128, (Millis, Station)>,
    /// The same by age.
    by_age: BTreeSet<(Millis, u128)>,
    /// Readings that were passed over.
    passed_over: u64,
}

impl DoneKeys {
    fn put(&mut self, key: u128, at: Millis, station: Station) {
        if let Some((before, _)) = self.done.insert(key, (at, station)) {
            self.by_age.remove(&(before, key));
        }
        self.by_age.insert((at, key));
    }

    fn remove(&mut self, key: u128) {
        if let Some((at, _)) = self.done.remove(&key) {
            self.by_age.remove(&(at, key));
        }
    }

    /// Of keys that come from a time after `now` the last, as if it had been done with now: the clock was set back since, and
    /// whatever is done with now would look older, and leave before it.
    fn set_back(&mut self, now: Millis) -> bool {
        let Some(&(at, key)) = self.by_age.last().filter(|(at, _)| *at > now) else { return false };
        self.by_age.remove(&(at, key));
        self.by_age.insert((now, key));
        self.done.entry(key).and_modify(|(at, _)| *at = now);
        true
    }

    /// The oldest key, if it has to leave: because of its age, or because there are more than `most`.
    fn pop_surplus(&mut self, keep_ms: i64, most: usize, now: Millis) -> Option<(u128, Station)> {
        let &(at, key) = self.by_age.first()?;
        if self.done.len() <= most && now < at.plus(keep_ms) {
            return None;
        }
        self.by_age.pop_first();
        self.done.remove(&key).map(|(_, station)| (key, station))
    }
}

impl Shard {
    /// States that this is one of so many shards, which share the keys that a module may remember.
    pub fn share_among(&mut self, shards: usize) {
        self.shards = shards.max(1);
    }

    /// Readings that were passed over, because `module` was done with their keys.
    #[must_use]
    pub fn duplicates(&self, module: ModuleId) -> u64 {
        self.modules[module.ix()].keys.passed_over
    }

    /// The key of what is to be handed over; none where the module has none, or the reading.
    pub(super) fn once_key(&self, station: &Station, module: ModuleId, what: &Handed) -> Option<u128> {
        let once = self.plan.module(module).once.as_ref()?;
        what.text_at(&once.key).map(|value| key_hash(station, &value))
    }

    /// Whether a reading with this key needs no run; counted if so.
    pub(super) fn pass_over(&mut self, module: ModuleId, key: Option<u128>, now: Millis) -> bool {
        let (Some(key), Some(once)) = (key, &self.plan.module(module).once) else { return false };
        let keys = &mut self.modules[module.ix()].keys;
        let is_done = keys.done.get(&key).is_some_and(|(at, _)| now < at.plus(once.keep_ms));
        keys.passed_over += u64::from(is_done);
        is_done
    }

    /// A run with this key ended well.
    pub(super) fn remember(&mut self, station: u32, module: ModuleId, key: Option<u128>, now: Millis) {
        let Some(key) = key else { return };
        let station = self.stations[station as usize].id.clone();
        self.modules[module.ix()].keys.put(key, now, station.clone());
        self.note_key(station, module, key, Some(now));
        self.expire_keys_of(module, now);
    }

    /// Lets keys go that are too old.
    pub(super) fn expire_keys(&mut self, now: Millis) {
        (0..).map(ModuleId).take(self.modules.len()).for_each(|module| self.expire_keys_of(module, now));
    }

    fn expire_keys_of(&mut self, module: ModuleId, now: Millis) {
        let Some(OncePlan { keep_ms, max, .. }) = self.plan.module(module).once else { return };
        let most = max.div_ceil(self.shards).max(1);
        while self.modules[module.ix()].keys.set_back(now) {}
        while let Some((key, station)) = self.modules[module.ix()].keys.pop_surplus(keep_ms, most, now) {
            self.note_key(station, module, key, None);
        }
    }

    fn note_key(&mut self, station: Station, module: ModuleId, key: u128, at: Option<Millis>) {
        if self.queues.durable {
            let module = Arc::clone(&self.plan.module(module).name);
            self.changed.done.push(DoneChange { station, module, key, at });
        }
    }

    /// Drops what waits at the head of a queue although its key is done with.
    pub(super) fn drop_done(&mut self, station: u32, module: ModuleId, now: Millis) {
        loop {
            let pending = &self.stations[station as usize].runs[module.ix()].pending;
            let Some(key) = pending.front().filter(|pending| pending.ready).map(|pending| pending.key) else { return };
            if !self.pass_over(module, key, now) {
                return;
            }
            self.drop_pending(station, module);
        }
    }

    pub(super) fn restore_key(&mut self, change: &DoneChange) {
        let Some(module) = self.plan.module_id(&change.module) else { return };
        if self.plan.module(module).once.is_none() {
            return;
        }
        let keys = &mut self.modules[module.ix()].keys;
        match change.at {
            Some(at) => keys.put(change.key, at, change.station.clone()),
            None => keys.remove(change.key),
        }
    }
}
