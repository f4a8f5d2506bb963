//! What became of records by the topic that they were published to, and how long their acknowledgement took.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of [`Latency`], in milliseconds; slower ones are in one more bucket.
pub const LATENCY_BOUNDS_MS: [u64; 12] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 60_000];

/// What became of the records for one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicPublished {
    /// Records acknowledged.
    pub delivered: u64,
    /// Records refused for good.
    pub refused: u64,
    /// Deliveries that failed and were tried again.
    pub retried: u64,
    /// From handing a record in to its acknowledgement, with all attempts between.
    pub latency: Latency,
}

/// How long acknowledgements took, as a histogram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Acknowledgements within each bound of [`LATENCY_BOUNDS_MS`] and above the one before; the last are all others.
    pub buckets: [u64; LATENCY_BOUNDS_MS.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

impl Latency {
    fn add(&mut self, took: Duration) {
        let is_within = |bound: &u64| took <= Duration::from_millis(*bound);
        let bucket = LATENCY_BOUNDS_MS.iter().position(is_within).unwrap_or(LATENCY_BOUNDS_MS.len());
        self.buckets[bucket] += 1;
        self.sum += took;
    }

    /// Acknowledgements that were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// Counts by topic. Topics are as many as the configuration names, so nothing ever leaves.
#[derive(Debug, Default)]
pub(super) struct Published(Mutex<BTreeMap<Arc<str>, TopicPublished>>);

impl Published {
    pub(super) fn delivered(&self, topic: &Arc<str>, took: Duration) {
        self.of(topic, |counts| {
            counts.delivered += 1;
            counts.latency.add(took);
        });
    }

    pub(super) fn refused(&self, topic: &Arc<str>) {
        self.of(topic, |counts| counts.refused += 1);
    }

    pub(super) fn retried(&self, topic: &Arc<str>) {
        self.of(topic, |counts| counts.retried += 1);
    }

    pub(super) fn all(&self) -> BTreeMap<Arc<str>, TopicPublished> {
        self.lock().clone()
    }

    fn of(&self, topic: &Arc<str>, change: impl FnOnce(&mut TopicPublished)) {
        let mut topics = self.lock();
        match topics.get_mut(topic) {
            Some(counts) => change(counts),
            None => change(topics.entry(Arc::clone(topic)).or_default()),
        }
    }

    /// Counting leaves nothing half done, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, TopicPublished>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_is_counted_in_the_first_bucket_whose_bound_it_keeps() {
        let mut latency = Latency::default();
        for ms in [0, 1, 2, 60_000, 60_001] {
            latency.add(Duration::from_millis(ms));
        }
        assert_eq!((latency.buckets[0], latency.buckets[1], latency.buckets[11], latency.buckets[12]), (2, 1, 1, 1));
        assert_eq!((latency.count(), latency.sum), (5, Duration::from_millis(120_004)));
    }
}
