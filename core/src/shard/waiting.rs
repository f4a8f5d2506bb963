//! What waits to be handed over to one module for one station, oldest first, and what it weighs.

use std::collections::VecDeque;
use std::ops::Deref;

use super::run::Pending;

/// A queue of buckets and readings. Read like any queue; changed only by what keeps its weight right.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    items: VecDeque<Pending>,
    weight: usize,
}

impl Deref for Waiting {
    type Target = VecDeque<Pending>;

    fn deref(&self) -> &Self::Target {
        &self.items
    }
}

impl Waiting {
    /// What is in it, each for at least one, and for more where it is large.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn push_back(&mut self, pending: Pending) {
        self.weight += pending.what.weight();
        self.items.push_back(pending);
    }

    pub(super) fn push_front(&mut self, pending: Pending) {
        self.weight += pending.what.weight();
        self.items.push_front(pending);
    }

    /// Puts something where its number belongs, unless it is there.
    pub(super) fn insert(&mut self, pending: Pending) {
        if let Err(at) = self.items.binary_search_by_key(&pending.number, |waiting| waiting.number) {
            self.weight += pending.what.weight();
            self.items.insert(at, pending);
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Pending> {
        let popped = self.items.pop_front()?;
        self.weight -= popped.what.weight();
        Some(popped)
    }

    /// Takes the oldest if it may be handed over.
    pub(super) fn pop_ready(&mut self) -> Option<Pending> {
        self.items.front().filter(|oldest| oldest.ready)?;
        self.pop_front()
    }

    /// The one with this number; whatever becomes of it, it weighs the same.
    pub(super) fn numbered(&mut self, number: u64) -> Option<&mut Pending> {
        let at = self.items.binary_search_by_key(&number, |pending| pending.number).ok()?;
        self.items.get_mut(at)
    }
}
