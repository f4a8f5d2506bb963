//! An observer of topics: reads given partitions from their first record, by plain assignment, so that no group ever
//! hears of it. Commits nothing, decides nothing, and hands every record on in the order of its partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use quorate_core::ident::{Offset, Partition};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::mpsc;

use super::errors::KafkaRoomError;
use super::{client, threads};
use crate::config::Properties;

/// How soon the thread notices that it is to end.
const TURN: Duration = Duration::from_millis(50);

/// Records that may wait to be looked at; beyond it reading pauses.
const QUEUE: usize = 1024;

/// The library asks for a group's name wherever partitions are assigned; this one is never joined.
const PROPERTIES: &[(&str, &str)] = &[
    ("group.id", "quorate-observer"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "earliest"),
    ("isolation.level", "read_committed"),
    ("fetch.wait.max.ms", "10"),
    ("fetch.queue.backoff.ms", "5"),
];

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailedRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: Partition,
    /// Its place there.
    pub offset: Offset,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; none is a null payload.
    pub value: Option<Vec<u8>>,
    /// Header names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl TailedRecord {
    /// The text of a header; none when it is absent or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// A thread that reads. Dropping it ends the thread; the records it has handed on stay in the queue.
#[derive(Debug)]
pub struct Tail {
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tail {
    /// Reads all partitions of these topics, which must exist, from their beginning on.
    ///
    /// # Errors
    /// The library refuses a property, or the system a thread.
    pub fn start(
        client: &Properties,
        topics: &[(Arc<str>, i32)],
    ) -> Result<(Self, mpsc::Receiver<TailedRecord>), KafkaRoomError> {
        let refused = |source| KafkaRoomError::Client { client: "observer".to_owned(), source };
        let mut properties = client.clone();
        properties.0.extend(PROPERTIES.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let consumer: BaseConsumer<Context> =
            client::config(&properties).create_with_context(Context).map_err(refused)?;
        let mut assignment = TopicPartitionList::new();
        for (name, partitions) in topics {
            for partition in 0..*partitions {
                assignment
                    .add_partition_offset(name, partition, rdkafka::topic_partition_list::Offset::Beginning)
                    .map_err(refused)?;
            }
        }
        consumer.assign(&assignment).map_err(refused)?;
        let (queue, records) = mpsc::channel(QUEUE);
        let ending = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            consumer,
            names: topics.iter().map(|(name, _)| Arc::clone(name)).collect(),
            queue,
            ending: Arc::clone(&ending),
        };
        let thread = threads::spawn("observer", move || reader.run())
            .map_err(|source| KafkaRoomError::Thread { client: "observer".to_owned(), source })?;
        Ok((Self { ending, thread: Some(thread) }, records))
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // It ends within a turn, or when somebody reads its queue or drops it: not waited for, so that dropping never
        // depends on the other end.
        self.thread.take();
    }
}

struct Reader {
    consumer: BaseConsumer<Context>,
    names: Vec<Arc<str>>,
    queue: mpsc::Sender<TailedRecord>,
    ending: Arc<AtomicBool>,
}

impl Reader {
    fn run(self) {
        while !self.ending.load(Ordering::Acquire) {
            match self.consumer.poll(TURN) {
                Some(Ok(message)) => {
                    let Some(record) = self.record(&message) else { continue };
                    if self.queue.blocking_send(record).is_err() {
                        return;
                    }
                }
                // The client reconnects and goes on by itself; what stays unread is missed by whoever counts.
                Some(Err(error)) => tracing::debug!(%error, "observer"),
                None => {}
            }
        }
    }

    fn record(&self, message: &BorrowedMessage<'_>) -> Option<TailedRecord> {
        let topic = self.names.iter().find(|name| ***name == *message.topic())?;
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        Some(TailedRecord {
            topic: Arc::clone(topic),
            partition: message.partition(),
            offset: Offset(message.offset()),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect(),
        })
    }
}

struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        client::log("observer", level, fac, log_message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(client = "observer", %error, reason, "client error");
    }
}

impl ConsumerContext for Context {}
