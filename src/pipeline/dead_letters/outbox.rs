//! Letters that are not acknowledged yet, as a store is to keep them: a record counts as settled once its letter is
//! durable, here or in Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_core::ident::Offset;
use quorate_core::plan::Plan;
use quorate_core::provenance::Origin;

use super::DeadLetter;
use crate::pipeline::durable::StoredLetter;

/// What is to be kept, and what was.
pub(in super::super) struct Outbox {
    plan: Arc<Plan>,
    /// Not acknowledged and not given out yet.
    fresh: BTreeMap<u64, Arc<DeadLetter>>,
    /// Given out and not acknowledged.
    kept: BTreeSet<u64>,
    /// Given out and acknowledged since.
    settled: Vec<u64>,
}

impl Outbox {
    pub(in super::super) fn new(plan: Arc<Plan>) -> Self {
        Self { plan, fresh: BTreeMap::new(), kept: BTreeSet::new(), settled: Vec::new() }
    }

    /// A letter of a record is on its way.
    pub(super) fn came(&mut self, id: u64, letter: &Arc<DeadLetter>) {
        self.fresh.insert(id, Arc::clone(letter));
    }

    /// A letter that is kept already is on its way again. Says where its record stands; none when its topic is not
    /// consumed any more.
    pub(super) fn restored(&mut self, letter: &StoredLetter) -> Option<Origin> {
        self.kept.insert(letter.id);
        let (topic, partition, offset) = letter.origin.as_ref()?;
        Some(Origin { topic: self.plan.topic_id(topic)?, partition: *partition, offset: Offset(*offset) })
    }

    /// A letter was acknowledged.
    pub(super) fn went(&mut self, id: u64) {
        self.fresh.remove(&id);
        if self.kept.remove(&id) {
            self.settled.push(id);
        }
    }

    /// What came since this was asked last and is not acknowledged, and what was kept before and is.
    pub(super) fn take(&mut self) -> (Vec<StoredLetter>, Vec<u64>) {
        let fresh = std::mem::take(&mut self.fresh);
        self.kept.extend(fresh.keys());
        let added = fresh.into_iter().map(|(id, letter)| letter.stored(id, &self.plan)).collect();
        (added, std::mem::take(&mut self.settled))
    }
}
