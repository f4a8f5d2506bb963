//! `latest`: the newest reading by time, then provenance.

use super::text::{Projection, Text};
use super::{EntryState, View};
use crate::contract::Value;
use crate::ident::Millis;
use crate::provenance::{Provenance, TopicSeed};

#[derive(Debug, Default)]
pub(crate) struct Latest {
    entry: Option<Entry>,
}

/// One reading that is kept as text.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) time: Millis,
    pub(super) origin: Provenance,
    pub(super) text: Text,
}

impl Entry {
    pub(super) fn new(time: Millis, origin: Provenance, text: &str) -> Self {
        Self { time, origin, text: Text::received(text) }
    }

    /// Takes a reading in if it is newer than the one that is kept.
    #[inline]
    pub(super) fn renew(&mut self, time: Millis, origin: Provenance, text: &str) -> bool {
        if (time, origin) <= (self.time, self.origin) {
            return false;
        }
        self.time = time;
        self.origin = origin;
        self.text.replace(text);
        true
    }

    pub(super) fn state(&self) -> EntryState {
        EntryState { time: self.time, origin: self.origin, json: self.text.as_str().to_owned() }
    }
}

impl Latest {
    #[inline]
    pub(super) fn apply(&mut self, time: Millis, origin: Provenance, text: &str) -> bool {
        match &mut self.entry {
            Some(entry) => entry.renew(time, origin, text),
            None => {
                self.entry = Some(Entry::new(time, origin, text));
                true
            }
        }
    }

    #[inline]
    pub(super) fn newest(&self) -> Option<Millis> {
        self.entry.as_ref().map(|entry| entry.time)
    }

    pub(super) fn view(&mut self, projection: &Projection, seed: &TopicSeed) -> View {
        match &mut self.entry {
            Some(entry) => View { value: Value::Reading(entry.text.reading(projection)), sum: entry.origin.hash(seed) },
            None => View { value: Value::Missing, sum: 0 },
        }
    }

    pub(super) fn origins(&self, visit: &mut dyn FnMut(&Provenance)) {
        self.entry.iter().for_each(|entry| visit(&entry.origin));
    }

    pub(super) fn state(&self) -> Option<EntryState> {
        self.entry.as_ref().map(Entry::state)
    }
}
