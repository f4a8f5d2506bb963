//! The one producer of the process. Whatever may pass is retried here without end; only a record that no broker will
//! ever take is refused. A client that is of no use any more is replaced, and what it had not delivered is sent again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use quorate_core::ident::Millis;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer, PurgeConfig};
use tokio::sync::watch;

use super::backoff::Backoff;
use super::errors::{KafkaRoomError, Trouble, TroubleKind};
use super::published::{Published, TopicPublished};
use super::{client, clock, threads};
use crate::config::Properties;
use crate::fault::kill_point;
use crate::pipeline::ports::{OutgoingRecord, PublishError, Publisher};

/// How long to wait when the client's queue, bounded by `queue.buffering.max.kbytes`, is full.
const QUEUE_FULL: Duration = Duration::from_millis(50);
/// Pauses between attempts at a record whose delivery failed.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LIMIT: Duration = Duration::from_secs(10);

/// How publishing stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublisherHealth {
    /// What became of records so far, by topic.
    pub topics: BTreeMap<Arc<str>, TopicPublished>,
    /// Records handed in and neither acknowledged nor refused.
    pub in_flight: usize,
    /// Producer clients built so far; one, unless one broke.
    pub clients_built: u64,
    /// What keeps records from being delivered at present, and since when by the wall clock. A topic that may not be
    /// written stays here: the right may be granted, and the record is not at fault.
    pub trouble: Option<(Trouble, Millis)>,
}

impl PublisherHealth {
    /// What became of the records for all topics: delivered, refused, tried again.
    #[must_use]
    pub fn totals(&self) -> (u64, u64, u64) {
        self.topics.values().fold((0, 0, 0), |(delivered, refused, retried), topic| {
            (delivered + topic.delivered, refused + topic.refused, retried + topic.retried)
        })
    }
}

/// Implements the pipeline's [`Publisher`] on one client.
pub struct KafkaPublisher {
    properties: Properties,
    current: RwLock<Generation>,
    closed: watch::Sender<bool>,
    trouble: watch::Sender<Option<(Trouble, Millis)>>,
    published: Published,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    in_flight: AtomicUsize,
    clients_built: AtomicU64,
}

/// One client; which one it is tells whether it was replaced meanwhile.
#[derive(Clone)]
struct Generation {
    number: u64,
    producer: FutureProducer<Context>,
}

#[derive(Clone)]
struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        client::log("producer", level, fac, log_message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(client = "producer", %error, reason, "client error");
    }
}

/// What to do after one attempt at a record.
enum Attempt {
    Delivered,
    Full,
    Failed(KafkaError),
}

impl KafkaPublisher {
    /// Builds the client; it connects by itself.
    ///
    /// # Errors
    /// The library refuses a property.
    pub fn new(properties: Properties) -> Result<Self, KafkaRoomError> {
        let counts = Counts::default();
        let producer = build(&properties, &counts)?;
        Ok(Self {
            properties,
            current: RwLock::new(Generation { number: 0, producer }),
            closed: watch::Sender::new(false),
            trouble: watch::Sender::new(None),
            published: Published::default(),
            counts,
        })
    }

    /// How publishing stands.
    #[must_use]
    pub fn health(&self) -> PublisherHealth {
        PublisherHealth {
            topics: self.published.all(),
            in_flight: self.counts.in_flight.load(Ordering::Relaxed),
            clients_built: self.counts.clients_built.load(Ordering::Relaxed),
            trouble: self.trouble.borrow().clone(),
        }
    }

    /// Producer clients built so far.
    #[must_use]
    pub fn clients_built(&self) -> u64 {
        self.counts.clients_built.load(Ordering::Relaxed)
    }

    /// Waits until everything enqueued is acknowledged, at most for `patience`. Returns how many records are still
    /// undelivered.
    pub async fn flush(&self, patience: Duration) -> usize {
        let producer = self.current().producer;
        let flushed = threads::offload("producer-flush", move || producer.flush(patience)).await;
        if let Some(Err(error)) = flushed {
            tracing::warn!(%error, "producer not flushed");
        }
        self.counts.in_flight.load(Ordering::Relaxed)
    }

    /// Takes no more records, flushes, and lets waiting callers go with [`PublishError::Closed`]. Returns how many
    /// records were not delivered.
    pub async fn close(&self, patience: Duration) -> usize {
        let undelivered = self.flush(patience).await;
        self.closed.send_replace(true);
        undelivered
    }

    fn current(&self) -> Generation {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn attempt(&self, producer: &FutureProducer<Context>, record: &OutgoingRecord) -> Attempt {
        let mut outgoing = FutureRecord::<[u8], [u8]>::to(&record.topic).headers(headers(record));
        outgoing.key = record.key.as_deref();
        outgoing.payload = record.value.as_deref();
        match producer.send_result(outgoing) {
            Ok(delivery) => {
                kill_point("record_sent");
                match delivery.await {
                    Ok(Ok(_)) => Attempt::Delivered,
                    Ok(Err((error, _))) => Attempt::Failed(error),
                    Err(_) => Attempt::Failed(KafkaError::Canceled),
                }
            }
            Err((KafkaError::MessageProduction(Code::QueueFull), _)) => Attempt::Full,
            Err((error, _)) => Attempt::Failed(error),
        }
    }

    async fn deliver(&self, record: &OutgoingRecord) -> Result<(), PublishError> {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LIMIT);
        let handed_in = clock::now();
        loop {
            let generation = self.current();
            let error = match self.attempt(&generation.producer, record).await {
                Attempt::Delivered => {
                    self.published.delivered(&record.topic, clock::since(handed_in));
                    self.trouble.send_if_modified(|trouble| trouble.take().is_some());
                    return Ok(());
                }
                Attempt::Full => {
                    tokio::time::sleep(QUEUE_FULL).await;
                    continue;
                }
                Attempt::Failed(error) => error,
            };
            match verdict(&error) {
                Verdict::Refuse => {
                    self.published.refused(&record.topic);
                    return Err(PublishError::Refused(error.to_string()));
                }
                Verdict::Replace => self.replace(&generation, &error),
                Verdict::Retry => {}
            }
            self.published.retried(&record.topic);
            self.note(&record.topic, &error);
            tokio::time::sleep(backoff.next()).await;
        }
    }

    fn note(&self, topic: &str, error: &KafkaError) {
        let trouble = Trouble { detail: format!("{topic}: {error}"), ..Trouble::of(error) };
        let is_other = self.trouble.send_if_modified(|known| {
            let is_other = known.as_ref().is_none_or(|(known, _)| *known != trouble);
            if is_other {
                *known = Some((trouble, clock::wall()));
            }
            is_other
        });
        if is_other {
            tracing::warn!(topic, %error, "record not delivered, trying again");
        }
    }

    /// Builds another client, unless somebody else did so meanwhile. What waits on the old one comes back as failed
    /// and is sent again by its caller.
    fn replace(&self, broken: &Generation, error: &KafkaError) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.number != broken.number {
            return;
        }
        tracing::error!(%error, "producer broken, building another");
        match build(&self.properties, &self.counts) {
            Ok(producer) => {
                *current = Generation { number: broken.number + 1, producer };
                drop(current);
                discard(broken.producer.clone());
            }
            Err(error) => tracing::error!(%error, "no other producer, trying again"),
        }
    }
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(&self, record: OutgoingRecord) -> Result<(), PublishError> {
        let mut closed = self.closed.subscribe();
        if *closed.borrow() {
            return Err(PublishError::Closed);
        }
        let _counted = InFlight::enter(&self.counts.in_flight);
        tokio::select! {
            biased;
            outcome = self.deliver(&record) => outcome,
            // The sender lives as long as `self`.
            _ = closed.wait_for(|closed| *closed) => Err(PublishError::Closed),
        }
    }
}

/// Counts a record as long as somebody waits for it, also when that somebody is cancelled.
struct InFlight<'a>(&'a AtomicUsize);

impl<'a> InFlight<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn build(properties: &Properties, counts: &Counts) -> Result<FutureProducer<Context>, KafkaRoomError> {
    let producer = client::config(properties)
        .create_with_context(Context)
        .map_err(|source| KafkaRoomError::Client { client: "producer".to_owned(), source })?;
    counts.clients_built.fetch_add(1, Ordering::Relaxed);
    Ok(producer)
}

/// Fails what the client still holds, and drops it where waiting for its threads disturbs nobody.
fn discard(producer: FutureProducer<Context>) {
    producer.purge(PurgeConfig::default().queue().inflight());
    if let Err(error) = threads::spawn("producer-end", move || drop(producer)) {
        tracing::debug!(%error, "producer dropped in place");
    }
}

fn headers(record: &OutgoingRecord) -> OwnedHeaders {
    record.headers.iter().fold(OwnedHeaders::new_with_capacity(record.headers.len()), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    })
}

/// What a failed delivery means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It may pass.
    Retry,
    /// The client is broken.
    Replace,
    /// The record itself is at fault.
    Refuse,
}

fn verdict(error: &KafkaError) -> Verdict {
    let code = match error {
        KafkaError::Nul(_) => return Verdict::Refuse,
        error => error.rdkafka_error_code(),
    };
    match code {
        Some(
            Code::MessageSizeTooLarge
            | Code::InvalidMessageSize
            | Code::MessageBatchTooLarge
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::InvalidTopic
            | Code::InvalidArgument,
        ) => Verdict::Refuse,
        Some(code) if matches!(TroubleKind::of(code), TroubleKind::Fatal | TroubleKind::Fenced) => Verdict::Replace,
        Some(Code::OutOfOrderSequenceNumber | Code::InvalidProducerEpoch | Code::UnknownProducerId) => Verdict::Replace,
        _ => Verdict::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: Code) -> Verdict {
        verdict(&KafkaError::MessageProduction(code))
    }

    #[test]
    fn only_a_record_that_no_broker_will_take_is_refused() {
        assert_eq!(of(Code::MessageSizeTooLarge), Verdict::Refuse);
        assert_eq!(of(Code::InvalidRecord), Verdict::Refuse);
        assert_eq!(of(Code::TopicAuthorizationFailed), Verdict::Retry);
        assert_eq!(of(Code::UnknownTopicOrPartition), Verdict::Retry);
        assert_eq!(of(Code::MessageTimedOut), Verdict::Retry);
        assert_eq!(of(Code::PurgeQueue), Verdict::Retry);
    }

    #[test]
    fn a_fatal_error_costs_the_client_and_not_the_record() {
        assert_eq!(of(Code::Fatal), Verdict::Replace);
        assert_eq!(of(Code::OutOfOrderSequenceNumber), Verdict::Replace);
    }
}
