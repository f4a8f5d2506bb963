//! `per_key`: the newest reading of each key, sorted by key; one that is not renewed leaves.

use std::collections::BTreeMap;

use super::latest::Entry;
use super::text::Projection;
use super::{EntryState, View};
use crate::contract::Value;
use crate::ident::Millis;
use crate::provenance::{Provenance, TopicSeed};

#[derive(Debug, Default)]
pub(crate) struct PerKey {
    entries: BTreeMap<Box<str>, Entry>,
    /// The time of the newest entry. It is the last to expire.
    newest: Option<Millis>,
    /// No entry is older than this; some of those it once stood for may be gone.
    oldest: Option<Millis>,
}

impl PerKey {
    #[inline]
    pub(super) fn apply(
        &mut self,
        time: Millis,
        origin: Provenance,
        key: &str,
        text: &str,
        expire_ms: Option<i64>,
        clock: Millis,
    ) -> bool {
        if is_expired(time, expire_ms, clock) {
            return false;
        }
        if let Some(entry) = self.entries.get_mut(key) {
            let renewed = entry.renew(time, origin, text);
            self.newest = self.newest.max(Some(entry.time));
            return renewed;
        }
        // A new key is the moment to let go of keys that nobody renews, so that they cannot pile up unseen.
        self.expire(expire_ms, clock);
        self.entries.insert(key.into(), Entry::new(time, origin, text));
        self.newest = self.newest.max(Some(time));
        self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn newest(&self, expire_ms: Option<i64>, clock: Millis) -> Option<Millis> {
        self.newest.filter(|&newest| !is_expired(newest, expire_ms, clock))
    }

    /// The time of the last reading that was there.
    pub(super) fn last(&self) -> Option<Millis> {
        self.newest
    }

    pub(super) fn view(
        &mut self,
        expire_ms: Option<i64>,
        clock: Millis,
        projection: &Projection,
        seed: &TopicSeed,
    ) -> View {
        self.expire(expire_ms, clock);
        if self.entries.is_empty() {
            return View { value: Value::Missing, sum: 0 };
        }
        let sum = self.entries.values().fold(0_u128, |sum, entry| sum.wrapping_add(entry.origin.hash(seed)));
        let readings = self.entries.values_mut().map(|entry| entry.text.reading(projection)).collect();
        View { value: Value::Readings(readings), sum }
    }

    pub(super) fn origins(&self, visit: &mut dyn FnMut(&Provenance)) {
        self.entries.values().for_each(|entry| visit(&entry.origin));
    }

    pub(super) fn state(&self) -> Vec<(String, EntryState)> {
        self.entries.iter().map(|(key, entry)| (key.to_string(), entry.state())).collect()
    }

    fn expire(&mut self, expire_ms: Option<i64>, clock: Millis) {
        if self.oldest.is_some_and(|oldest| is_expired(oldest, expire_ms, clock)) {
            self.entries.retain(|_, entry| !is_expired(entry.time, expire_ms, clock));
            self.oldest = self.entries.values().map(|entry| entry.time).min();
            // The newest is the last to leave; when all have left it still says when that was.
            self.newest = self.entries.values().map(|entry| entry.time).max().or(self.newest);
        }
    }
}

fn is_expired(time: Millis, expire_ms: Option<i64>, clock: Millis) -> bool {
    expire_ms.is_some_and(|expire_ms| clock.since(time) > expire_ms)
}
