//! Reads partitions by plain assignment and hands their records on in an order that suits a replay. Joins no group,
//! commits nothing, holds one record per partition besides what the client prefetches.

mod merge;
mod reach;
mod request;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::ident::{NextOffset, Offset, Partition};
use quorate_core::replay::RecordedRecord;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};

pub use request::{RecordFrom, RecordSink, RecordUntil, Recorded, RecorderError, RecorderSetup};

use super::errors::{KafkaRoomError, Trouble, TroubleKind};
use super::{client, clock, offsets, threads};
use merge::{Merge, Next};

/// How soon the thread notices that it is to end.
const TURN: Duration = Duration::from_millis(50);
/// How often ends are looked at while nothing comes.
const IDLE: Duration = Duration::from_millis(20);
/// Records between two looks at the partitions that had come to their end.
const SWEEP_EVERY: u64 = 64;
/// What the client may prefetch over all partitions, one fetch aside.
const PREFETCH_KBYTES: usize = 64 << 10;

/// The library asks for a group's name wherever partitions are assigned; this one is never joined.
const PROPERTIES: &[(&str, &str)] = &[
    ("group.id", "quorate-recorder"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    ("auto.offset.reset", "earliest"),
    ("isolation.level", "read_committed"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.queue.backoff.ms", "5"),
    ("fetch.max.bytes", "16777216"),
    ("receive.message.max.bytes", "1000000000"),
];

/// Records until the end that was asked for, or until `stop` is set. Records of one partition come in their order; those
/// of several by timestamp, except that a partition which is read to its end is not waited for.
///
/// # Errors
/// See [`RecorderError`].
pub async fn record(
    setup: RecorderSetup,
    sink: impl RecordSink,
    stop: Arc<AtomicBool>,
) -> Result<Recorded, RecorderError> {
    let done = threads::offload("recorder", move || Recorder::start(setup, sink, stop)?.run()).await;
    done.unwrap_or_else(|| {
        let source = io::Error::other("it is gone");
        Err(KafkaRoomError::Thread { client: "recorder".to_owned(), source }.into())
    })
}

struct Recorder<S> {
    // Before the consumer: queues must not outlive it.
    lanes: Vec<Lane>,
    merge: Merge<RecordedRecord>,
    consumer: Arc<BaseConsumer<Context>>,
    sink: S,
    until: RecordUntil,
    stop: Arc<AtomicBool>,
    began: Instant,
    /// When something was last heard of a partition that is waited for.
    heard: Instant,
    patience: Duration,
    records: u64,
}

/// One partition, with a queue of its own: where one is behind, the others wait in the client's bounded queues.
struct Lane {
    topic: Arc<str>,
    partition: Partition,
    queue: PartitionQueue<Context>,
    /// The first record that is not wanted any more.
    end: Option<NextOffset>,
}

impl<S: RecordSink> Recorder<S> {
    fn start(setup: RecorderSetup, mut sink: S, stop: Arc<AtomicBool>) -> Result<Self, RecorderError> {
        let refused = |source| KafkaRoomError::Client { client: "recorder".to_owned(), source };
        let partitions: usize = setup.topics.iter().map(|(_, partitions)| partitions).sum();
        let mut properties = setup.client.clone();
        properties.0.extend(PROPERTIES.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let kbytes = (PREFETCH_KBYTES / partitions.max(1)).max(1);
        properties.0.insert("queued.max.messages.kbytes".to_owned(), kbytes.to_string());
        let consumer = client::config(&properties).create_with_context(Context::default()).map_err(refused)?;
        let consumer: Arc<BaseConsumer<Context>> = Arc::new(consumer);
        let now = clock::wall();
        let mut merge = Merge::new(partitions);
        let (mut lanes, mut starts, mut expected) = (Vec::with_capacity(partitions), Vec::new(), 0);
        for (topic, partitions) in &setup.topics {
            for partition in (0..).take(*partitions) {
                let failed = |error: &KafkaError| RecorderError::Partition {
                    topic: Arc::clone(topic),
                    partition,
                    trouble: Trouble::of(error),
                };
                let reach = reach::reach(&consumer, (topic, partition), setup.from, now);
                let (start, end) = reach.map_err(|error| failed(&error))?;
                // Split before it is assigned: no record is fetched into the queue for all.
                let queue = consumer.split_partition_queue(topic, partition);
                let queue = queue.ok_or_else(|| failed(&KafkaError::Subscription(topic.to_string())))?;
                let bounded = setup.until == RecordUntil::End;
                if bounded && start >= end {
                    merge.close(lanes.len());
                } else {
                    expected += u64::try_from(end.0 - start.0).unwrap_or(0);
                    starts.push((&**topic, partition, start));
                }
                lanes.push(Lane { topic: Arc::clone(topic), partition, queue, end: bounded.then_some(end) });
            }
        }
        let assignment = offsets::list(starts).map_err(refused)?;
        consumer.assign(&assignment).map_err(refused)?;
        match setup.until {
            RecordUntil::End => sink.expect(expected),
            RecordUntil::Count(records) => sink.expect(records),
            RecordUntil::Elapsed(_) | RecordUntil::Stopped => {}
        }
        let (until, patience, now) = (setup.until, setup.patience, clock::now());
        Ok(Self { lanes, merge, consumer, sink, until, stop, began: now, heard: now, patience, records: 0 })
    }

    fn run(mut self) -> Result<Recorded, RecorderError> {
        let ended = self.read();
        self.sink.flush().map_err(RecorderError::Sink)?;
        ended.map(|()| Recorded { records: self.records, partitions: self.lanes.len() })
    }

    fn read(&mut self) -> Result<(), RecorderError> {
        while !self.is_over() {
            match self.merge.next() {
                Next::Await(lane) => {
                    self.serve_events(Duration::ZERO)?;
                    self.listen(lane, TURN)?;
                    self.check_silence(lane)?;
                }
                Next::Take(lane, record) => {
                    self.sink.take(&record).map_err(RecorderError::Sink)?;
                    self.records += 1;
                    let next = Offset(record.offset).next();
                    if self.lanes[lane].end.is_some_and(|end| next >= end) {
                        self.merge.close(lane);
                    }
                    if self.records.is_multiple_of(SWEEP_EVERY) {
                        self.sweep()?;
                    }
                }
                Next::Idle => {
                    self.sink.flush().map_err(RecorderError::Sink)?;
                    self.serve_events(IDLE)?;
                    self.sweep()?;
                }
                Next::Over => return Ok(()),
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Acquire)
            || match self.until {
                RecordUntil::Count(records) => self.records >= records,
                RecordUntil::Elapsed(duration) => clock::since(self.began) >= duration,
                RecordUntil::End | RecordUntil::Stopped => false,
            }
    }

    /// Looks at the partitions that had come to their end: they may have gone on.
    fn sweep(&mut self) -> Result<(), RecorderError> {
        self.merge.ended().into_iter().try_for_each(|lane| self.listen(lane, Duration::ZERO))
    }

    /// Finds out how a partition goes on.
    fn listen(&mut self, index: usize, patience: Duration) -> Result<(), RecorderError> {
        let lane = &self.lanes[index];
        match lane.queue.poll(patience) {
            None => return Ok(()),
            Some(Ok(message)) if lane.end.is_some_and(|end| message.offset() >= end.0) => self.merge.close(index),
            Some(Ok(message)) => {
                let record = recorded(&lane.topic, &message);
                self.merge.offer(index, record.ts, record);
            }
            Some(Err(KafkaError::PartitionEOF(_))) if lane.end.is_some() => self.merge.close(index),
            Some(Err(KafkaError::PartitionEOF(_))) => self.merge.end(index),
            Some(Err(error)) => {
                let trouble = Trouble::of(&error);
                if !passes(trouble.kind) {
                    let (topic, partition) = (Arc::clone(&lane.topic), lane.partition);
                    return Err(RecorderError::Partition { topic, partition, trouble });
                }
                // The client goes on by itself; whether it does is seen by what comes.
                tracing::debug!(client = "recorder", %error, "partition error");
                return Ok(());
            }
        }
        self.heard = clock::now();
        Ok(())
    }

    fn check_silence(&self, index: usize) -> Result<(), RecorderError> {
        let waited = clock::since(self.heard);
        if waited < self.patience {
            return Ok(());
        }
        let said = self.consumer.context().said.lock().unwrap_or_else(PoisonError::into_inner).take();
        let detail = said.map(|said| format!(": {said}")).unwrap_or_default();
        let lane = &self.lanes[index];
        Err(RecorderError::Silent { topic: Arc::clone(&lane.topic), partition: lane.partition, waited, detail })
    }

    /// Serves the client's own events, which come through the queue for all.
    fn serve_events(&self, patience: Duration) -> Result<(), RecorderError> {
        match self.consumer.poll(patience) {
            None => Ok(()),
            Some(Ok(message)) => {
                let topic = self.lanes.iter().map(|lane| &lane.topic).find(|topic| ***topic == *message.topic());
                let trouble = Trouble::new(TroubleKind::Other, "a record came past its queue");
                let topic = topic.map_or_else(|| message.topic().into(), Arc::clone);
                Err(RecorderError::Partition { topic, partition: message.partition(), trouble })
            }
            Some(Err(error)) => {
                tracing::debug!(client = "recorder", %error, "client error");
                Ok(())
            }
        }
    }
}

/// Whether a client gets over such trouble by itself.
fn passes(kind: TroubleKind) -> bool {
    use TroubleKind::{GroupDenied, OutOfRange, Unreachable};
    matches!(kind, GroupDenied | OutOfRange | Unreachable)
}

fn recorded(topic: &str, message: &BorrowedMessage<'_>) -> RecordedRecord {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    RecordedRecord {
        topic: topic.to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        ts: message.timestamp().to_millis().unwrap_or(RecordedRecord::NO_TIMESTAMP),
        headers: headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
        key: message.key().map(<[u8]>::to_vec),
        payload: message.payload().map(<[u8]>::to_vec),
    }
}

#[derive(Default)]
struct Context {
    /// The client's last words about an error.
    said: Mutex<Option<String>>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        client::log("recorder", level, fac, log_message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(client = "recorder", %error, reason, "client error");
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }
}

impl ConsumerContext for Context {}
