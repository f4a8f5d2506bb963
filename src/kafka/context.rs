//! What the client library calls back: log lines, statistics, errors, rebalances, commit results. Callbacks run on the
//! consumer's own thread, inside `poll`, so the locks here are never contended; they only make sharing lawful.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::ident::NextOffset;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::broken::{Broken, BrokenKind};
use super::health::ConsumerHealth;
use super::intake::{SettledNow, SubscribedTopic, Timing, slot_of};
use super::stats::Statistics;
use super::table::Table;
use super::{assign, client, clock, commits};

/// The context of one consumer client.
pub(super) struct PollContext {
    pub group: Arc<str>,
    pub topics: Arc<[SubscribedTopic]>,
    pub settled: SettledNow,
    pub health: Arc<ConsumerHealth>,
    pub timing: Timing,
    table: Arc<Mutex<Table>>,
    reason: Mutex<Option<String>>,
    broken: Mutex<Option<Broken>>,
    closing: AtomicBool,
    answering: Mutex<Option<i32>>,
    /// Whether no broker was connected at the last statistics.
    cut_off: AtomicBool,
    /// Whether it was told since then that none answers.
    told: AtomicBool,
}

impl PollContext {
    pub(super) fn new(
        group: Arc<str>,
        topics: Arc<[SubscribedTopic]>,
        settled: SettledNow,
        health: Arc<ConsumerHealth>,
        timing: Timing,
        table: Arc<Mutex<Table>>,
    ) -> Self {
        let (reason, broken, closing) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        let (answering, cut_off, told) = (Mutex::default(), AtomicBool::new(false), AtomicBool::new(false));
        Self { group, topics, settled, health, timing, table, reason, broken, closing, answering, cut_off, told }
    }

    /// The partition table. Never held across a call that polls.
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    /// The library's words for the error that `poll` returned just now.
    pub(super) fn take_reason(&self) -> Option<String> {
        lock(&self.reason).take()
    }

    /// Notes that the client cannot go on: it will be replaced.
    pub(super) fn give_up(&self, kind: BrokenKind, why: String) {
        lock(&self.broken).get_or_insert(Broken { kind, why });
    }

    /// Why the client has to be replaced, if it has.
    pub(super) fn broken(&self) -> Option<Broken> {
        lock(&self.broken).clone()
    }

    /// The broker that answered last, to be asked what any broker knows; none when it did not answer again. Without it the
    /// library asks the controller, and waits for one where, as in an embedded broker, there is none.
    pub(super) fn answering_broker(&self) -> Option<i32> {
        *lock(&self.answering)
    }

    pub(super) fn set_answering_broker(&self, broker: Option<i32>) {
        *lock(&self.answering) = broker;
    }

    /// Whether there is nobody to ask. A question that is put nevertheless keeps the library's threads busy, trying one
    /// connection after the other, until it is given up (librdkafka 2.12.1, `rd_kafka_broker_get_async`).
    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Acquire)
    }

    /// Whether it has to be told that no broker answers: the library says so many times a second.
    pub(super) fn tells_unreachable(&self) -> bool {
        !self.told.swap(true, Ordering::AcqRel)
    }

    /// From here on nothing is assigned or asked any more: the client is being closed.
    pub(super) fn begin_closing(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientContext for PollContext {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        client::log(&self.group, level, fac, log_message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let statistics: Statistics = match serde_json::from_slice(statistics) {
            Ok(statistics) => statistics,
            Err(error) => {
                tracing::debug!(group = &*self.group, %error, "statistics not understood");
                return;
            }
        };
        let is_connected = statistics.is_connected();
        self.cut_off.store(!is_connected, Ordering::Release);
        self.told.fetch_and(!is_connected, Ordering::AcqRel);
        for (name, topic) in &statistics.topics {
            let Some(slot) = slot_of(&self.topics, name) else { continue };
            let mut prefetched_bytes = 0;
            let mut stalled = None;
            let is_failing = self.health.is_failing(self.topics[slot].id);
            let mut table = self.table();
            for partition in topic.partitions.values() {
                prefetched_bytes += partition.fetchq_size;
                let seen = (partition.end().map(NextOffset), partition.fetchq_size);
                let Some((sight, watch)) = table.observe(slot, partition.partition, seen, is_failing) else { continue };
                if watch.is_stalled(sight, clock::now(), self.timing.stalled_after) {
                    stalled = Some(partition.partition);
                }
            }
            drop(table);
            if let Some(partition) = stalled {
                let why = format!("topic {name}, partition {partition}: its end moves and nothing arrives");
                self.give_up(BrokenKind::Stalled, why);
            }
            self.health.update(self.topics[slot].id, |health| health.prefetched_bytes = prefetched_bytes);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(group = &*self.group, %error, reason, "client error");
        *lock(&self.reason) = Some(reason.to_owned());
    }
}

impl ConsumerContext for PollContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        self.table().rebalanced(clock::now());
        let outcome = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => assign::granted(self, consumer, partitions),
            _ => assign::revoked(self, consumer, partitions),
        };
        if let Err(error) = outcome {
            tracing::error!(group = &*self.group, %error, "rebalance not carried out");
            self.give_up(BrokenKind::Failed, format!("rebalance: {error}"));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        commits::answered(self, &result, offsets);
    }
}
