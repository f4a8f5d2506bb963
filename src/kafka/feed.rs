//! A plain producer for simulated senders: partition and timestamp are the caller's, and what each partition has
//! acknowledged is counted. Retries nothing itself and knows nothing of results; the service's producer is another one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_core::ident::{Millis, NextOffset, Offset, Partition};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, ProducerContext, ThreadedProducer};
use tokio::sync::Notify;

use super::client;
use super::errors::KafkaRoomError;
use crate::config::Properties;

/// What a feed needs besides brokers and login: order within a partition, and batches that do not dawdle.
const PROPERTIES: &[(&str, &str)] = &[("enable.idempotence", "true"), ("linger.ms", "5"), ("compression.type", "none")];

/// How long a full queue is waited for before it is tried again, should no acknowledgement come.
const QUEUE_FULL: Duration = Duration::from_millis(50);

/// Why a feed cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record for {topic}/{partition} not delivered: {detail}")]
pub struct FeedError {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: Partition,
    /// What the client or broker said.
    pub detail: String,
}

/// What one partition has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionFed {
    /// Records acknowledged.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// The position behind the last of them.
    pub next: NextOffset,
}

/// A producer and its counts. Dropping it drops what was not acknowledged.
pub struct Feed {
    producer: ThreadedProducer<Acknowledgements>,
    state: Arc<State>,
}

/// Shared with the client's own thread, which reports deliveries.
struct State {
    topics: Vec<(Arc<str>, Mutex<Vec<PartitionFed>>)>,
    failed: Mutex<Option<FeedError>>,
    moved: Notify,
}

impl Feed {
    /// Builds a producer for these topics with so many partitions; it connects by itself.
    ///
    /// # Errors
    /// The library refuses a property.
    pub fn start(client: &Properties, topics: &[(Arc<str>, i32)]) -> Result<Self, KafkaRoomError> {
        let nothing = PartitionFed { records: 0, bytes: 0, next: NextOffset(0) };
        let partitions = |count: i32| vec![nothing; usize::try_from(count).unwrap_or(0)];
        let state = Arc::new(State {
            topics: topics.iter().map(|(name, count)| (Arc::clone(name), Mutex::new(partitions(*count)))).collect(),
            failed: Mutex::default(),
            moved: Notify::new(),
        });
        let mut properties = client.clone();
        properties.0.extend(PROPERTIES.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let producer = client::config(&properties)
            .create_with_context(Acknowledgements(Arc::clone(&state)))
            .map_err(|source| KafkaRoomError::Client { client: "feed".to_owned(), source })?;
        Ok(Self { producer, state })
    }

    /// Enqueues a record without a key; waits only while the client's queue is full. `topic` is the place of the topic
    /// in what the feed was started with.
    ///
    /// # Errors
    /// The client refuses this record, or an earlier one was not delivered.
    pub async fn send(
        &self,
        topic: usize,
        partition: Partition,
        timestamp: Millis,
        payload: &[u8],
    ) -> Result<(), FeedError> {
        let name = &self.state.topics[topic].0;
        let mut record = BaseRecord::<(), [u8]>::to(name).partition(partition).timestamp(timestamp.0).payload(payload);
        loop {
            if let Some(failed) = self.failed() {
                return Err(failed);
            }
            let moved = self.state.moved.notified();
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), refused)) => record = refused,
                Err((error, _)) => {
                    let (topic, detail) = (Arc::clone(name), error.to_string());
                    return Err(FeedError { topic, partition, detail });
                }
            }
            // Either way the record is tried again.
            let _ = tokio::time::timeout(QUEUE_FULL, moved).await;
        }
    }

    /// Waits until so many records have been acknowledged in all, or one has failed.
    pub async fn acknowledged(&self, records: u64) {
        loop {
            let moved = self.state.moved.notified();
            let mut moved = std::pin::pin!(moved);
            moved.as_mut().enable();
            if self.records() >= records || self.failed().is_some() {
                return;
            }
            moved.await;
        }
    }

    /// Records acknowledged in all.
    #[must_use]
    pub fn records(&self) -> u64 {
        (0..self.state.topics.len()).flat_map(|topic| self.partitions(topic)).map(|fed| fed.records).sum()
    }

    /// What each partition of a topic has acknowledged.
    #[must_use]
    pub fn partitions(&self, topic: usize) -> Vec<PartitionFed> {
        lock(&self.state.topics[topic].1).clone()
    }

    /// The first record that was not delivered, if any.
    #[must_use]
    pub fn failed(&self) -> Option<FeedError> {
        lock(&self.state.failed).clone()
    }
}

struct Acknowledgements(Arc<State>);

impl ClientContext for Acknowledgements {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        client::log("feed", level, fac, log_message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(client = "feed", %error, reason, "client error");
    }
}

impl ProducerContext<NoCustomPartitioner> for Acknowledgements {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(record) => {
                let topic = self.0.topics.iter().find(|(name, _)| **name == *record.topic());
                let Some((_, partitions)) = topic else { return };
                let mut partitions = lock(partitions);
                let Some(fed) = usize::try_from(record.partition()).ok().and_then(|ix| partitions.get_mut(ix)) else {
                    return;
                };
                fed.records += 1;
                fed.bytes += record.payload_len() as u64;
                fed.next = fed.next.max(Offset(record.offset()).next());
            }
            Err((error, record)) => {
                lock(&self.0.failed).get_or_insert_with(|| FeedError {
                    topic: record.topic().into(),
                    partition: record.partition(),
                    detail: error.to_string(),
                });
            }
        }
        self.0.moved.notify_waiters();
    }
}

/// Counting cannot leave a list half changed, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
