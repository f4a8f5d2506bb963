//! The store for tests: the same entries in a map that outlives the services that use it, and failures on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use quorate_core::ident::Partition;
use quorate_core::shard::Changes;

use super::adopt::Fate;
use super::batch::{Batch, EarlyByShard};
use super::entry::{Entry, EntryReader, Pieces};
use super::key::KeyReader;
use super::open::Scanned;
use super::{Drops, Holdings, ModuleShape, TopicShape};
use crate::pipeline::durable::{Flush, StateStore, StoreError, StoredCeiling, StoredLetter, StoredPosition};

/// Keeps state in memory. Clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    ceilings: BTreeMap<(Arc<str>, Partition), StoredCeiling>,
    modules: Vec<ModuleShape>,
    early: EarlyByShard,
    flushes: u64,
    failing: Option<u64>,
    delay: Duration,
    failed: Option<StoreError>,
}

impl MemoryStore {
    /// Lets the `nth` flush from here on fail (the next is 1), and everything after it.
    pub fn fail_flush(&self, nth: u64) {
        let mut kept = self.lock();
        kept.failing = Some(kept.flushes + nth);
    }

    /// Lets every flush take so long, on the runtime's clock.
    pub fn delay_flushes(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// What the next process would open: everything acknowledged, nothing failing.
    #[must_use]
    pub fn reopened(&self) -> Self {
        let kept = self.lock();
        let (entries, ceilings, modules) = (kept.entries.clone(), kept.ceilings.clone(), kept.modules.clone());
        let mut next = Kept { entries, ceilings, modules, ..Kept::default() };
        next.early = EarlyByShard::loaded(next.scanned().early);
        Self(Arc::new(Mutex::new(next)))
    }

    /// Flushes that succeeded.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.lock().flushes
    }

    /// Where partitions stand.
    #[must_use]
    pub fn positions(&self) -> Vec<StoredPosition> {
        self.lock().scanned().positions
    }

    /// What nothing beyond was applied of.
    #[must_use]
    pub fn ceilings(&self) -> Vec<StoredCeiling> {
        self.lock().ceilings.values().cloned().collect()
    }

    /// Dead letters that wait.
    #[must_use]
    pub fn letters(&self) -> Vec<StoredLetter> {
        self.lock().scanned().letters
    }

    /// How the windows of each topic were shaped.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicShape> {
        self.lock().scanned().topics
    }

    /// As [`LocalStore::load`](super::LocalStore::load); it cannot fail.
    pub fn load(&self, each: &mut dyn FnMut(Changes)) {
        let mut pieces = Pieces::new(each);
        self.lock().each(|entry, bytes| pieces.add(entry, bytes));
        pieces.end();
    }

    /// As [`LocalStore::adopt`](super::LocalStore::adopt).
    ///
    /// # Errors
    /// The store failed before.
    pub fn adopt(&self, topics: &[TopicShape], modules: &[ModuleShape], drops: &Drops) -> Result<(), StoreError> {
        let mut kept = self.usable()?;
        let mut reader = KeyReader::default();
        kept.entries.retain(|key, value| match drops.fate(&mut reader, key, value) {
            Fate::Stays => true,
            Fate::Goes => false,
            Fate::Becomes(other) => {
                *value = other;
                true
            }
        });
        kept.modules = modules.to_vec();
        kept.apply(Batch::of_shapes(topics));
        Ok(())
    }

    /// What each module was when its runs were recorded.
    #[must_use]
    pub fn modules(&self) -> Vec<ModuleShape> {
        self.lock().modules.clone()
    }

    /// What there is.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        self.lock().scanned().holdings
    }

    fn usable(&self) -> Result<MutexGuard<'_, Kept>, StoreError> {
        let kept = self.lock();
        match &kept.failed {
            Some(e) => Err(e.clone()),
            None => Ok(kept),
        }
    }

    /// Whoever panicked in a test did not do so between two writes.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn flush(&self, flush: Flush) -> Result<(), StoreError> {
        let delay = self.usable()?.delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut kept = self.usable()?;
        kept.flushes += 1;
        if kept.failing == Some(kept.flushes) {
            let e = StoreError(format!("flush {} was told to fail", kept.flushes));
            kept.flushes -= 1;
            kept.failed = Some(e.clone());
            return Err(e);
        }
        let batch = Batch::of(flush, &mut kept.early);
        kept.apply(batch);
        Ok(())
    }

    async fn raise(&self, ceilings: Vec<StoredCeiling>) -> Result<(), StoreError> {
        let mut kept = self.usable()?;
        for ceiling in ceilings {
            kept.ceilings.insert((Arc::clone(&ceiling.topic), ceiling.partition), ceiling);
        }
        Ok(())
    }
}

impl Kept {
    fn apply(&mut self, batch: Batch) {
        for (key, value) in batch.writes {
            match value {
                Some(value) => drop(self.entries.insert(key, value)),
                None => drop(self.entries.remove(&key)),
            }
        }
    }

    fn each(&self, mut take: impl FnMut(Entry, usize)) {
        let mut reader = EntryReader::default();
        for (key, value) in &self.entries {
            let entry = reader.read(key, value).expect("memory keeps what was written");
            take(entry, key.len() + value.len());
        }
    }

    fn scanned(&self) -> Scanned {
        let mut scanned = Scanned::default();
        self.each(|entry, _| scanned.take(entry));
        scanned
    }
}
