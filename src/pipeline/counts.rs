//! What has happened so far, as numbers that anyone may read at any time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use quorate_core::decode::Reason;

use super::loading::LoadingTopic;
use super::standstill::Standstill;

/// Counters of one pipeline. They only grow.
#[derive(Debug, Default)]
pub struct Counts {
    records: AtomicU64,
    readings: AtomicU64,
    stale_records: AtomicU64,
    inputs: AtomicU64,
    results: AtomicU64,
    retries: AtomicU64,
    dead_letters: Mutex<BTreeMap<Reason, u64>>,
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    settled: Mutex<BTreeMap<(Arc<str>, &'static str), u64>>,
    callbacks: Mutex<BTreeMap<&'static str, u64>>,
    breaker_opens: AtomicU64,
    standstills: Mutex<Vec<Standstill>>,
    loading: Mutex<Vec<LoadingTopic>>,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records handed out to the shards.
    pub records: u64,
    /// Readings decoded from them.
    pub readings: u64,
    /// Records dropped because their assignment was over; whoever owns the partition reads them.
    pub stale_records: u64,
    /// Inputs assembled.
    pub inputs: u64,
    /// Results acknowledged by the broker.
    pub results: u64,
    /// Module calls beyond the first for an input.
    pub retries: u64,
    /// Dead letters by reason.
    pub dead_letters: BTreeMap<Reason, u64>,
    /// Module calls by how they ended.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Runs that are over, by module and by how they ended: `done`, `failed`, `rejected`, `timed_out`, `panicked`,
    /// `publish_failed`.
    pub settled: BTreeMap<(Arc<str>, &'static str), u64>,
    /// Failure callbacks, each with all its attempts, by how they ended: `ok`, `failed`.
    pub callbacks: BTreeMap<&'static str, u64>,
    /// How often a breaker opened.
    pub breaker_opens: u64,
}

impl Counts {
    pub(super) fn add_records(&self, records: usize, readings: usize) {
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.readings.fetch_add(readings as u64, Ordering::Relaxed);
    }

    pub(super) fn add_stale(&self, records: usize) {
        self.stale_records.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(super) fn add_input(&self) {
        self.inputs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_result(&self) {
        self.results.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_dead_letter(&self, reason: Reason) {
        *lock(&self.dead_letters).entry(reason).or_default() += 1;
    }

    pub(super) fn add_outcome(&self, outcome: &'static str) {
        *lock(&self.outcomes).entry(outcome).or_default() += 1;
    }

    pub(super) fn add_settled(&self, module: &Arc<str>, outcome: &'static str) {
        *lock(&self.settled).entry((Arc::clone(module), outcome)).or_default() += 1;
    }

    pub(super) fn add_callback(&self, is_ok: bool) {
        *lock(&self.callbacks).entry(if is_ok { "ok" } else { "failed" }).or_default() += 1;
    }

    pub(super) fn add_breaker_open(&self) {
        self.breaker_opens.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_standstill(&self, standstill: Standstill) {
        lock(&self.standstills).push(standstill);
    }

    /// Topics that stand still.
    pub(super) fn standstills(&self) -> Vec<Standstill> {
        lock(&self.standstills).clone()
    }

    pub(super) fn set_loading(&self, loading: Vec<LoadingTopic>) {
        *lock(&self.loading) = loading;
    }

    /// Topics that are being loaded.
    pub(super) fn loading(&self) -> Vec<LoadingTopic> {
        lock(&self.loading).clone()
    }

    /// The counters as they stand.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            records: self.records.load(Ordering::Relaxed),
            readings: self.readings.load(Ordering::Relaxed),
            stale_records: self.stale_records.load(Ordering::Relaxed),
            inputs: self.inputs.load(Ordering::Relaxed),
            results: self.results.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            dead_letters: lock(&self.dead_letters).clone(),
            outcomes: lock(&self.outcomes).clone(),
            settled: lock(&self.settled).clone(),
            callbacks: lock(&self.callbacks).clone(),
            breaker_opens: self.breaker_opens.load(Ordering::Relaxed),
        }
    }
}

/// Counting cannot leave a map half changed, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
