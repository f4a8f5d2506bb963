//! Records in and out of a broker, in bulk: what tests put in, and everything a topic holds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Headers, Message, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::broker::{ANSWER_WITHIN, Broker};

/// How a loader packs its batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// LZ4, for backlogs that would fill a disk.
    Lz4,
}

/// One record as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumed {
    /// The partition it was in.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its time in milliseconds, where it has one.
    pub timestamp_ms: Option<i64>,
    /// Its key; none is a null key.
    pub key: Option<Vec<u8>>,
    /// Its value; none is a null value.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order; none is a null value.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Consumed {
    /// The value of the first header with this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(header, _)| header == name)?.1.as_deref()
    }
}

/// Writes records as fast as the broker takes them; in order, none lost, none twice.
pub struct Loader {
    producer: BaseProducer<Deliveries>,
    sent: u64,
}

/// Records between two looks at what was acknowledged.
const SERVE_EVERY: u64 = 1024;

impl Loader {
    /// Queues one record; waits while the queue is full. The client library takes a time of 0 for none at all.
    pub fn send<K: ToBytes + ?Sized, V: ToBytes + ?Sized>(&mut self, record: BaseRecord<'_, K, V>) {
        let mut record = record;
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    self.producer.poll(Duration::from_millis(10));
                    record = refused;
                }
                Err((why, _)) => panic!("a record could not be queued: {why}"),
            }
        }
        self.sent += 1;
        if self.sent.is_multiple_of(SERVE_EVERY) {
            self.producer.poll(Duration::ZERO);
        }
    }

    /// Returns when every record is acknowledged, with their number.
    pub fn finish(self) -> u64 {
        self.producer.flush(ANSWER_WITHIN * 4).expect("the broker acknowledges");
        let deliveries = self.producer.context();
        if let Some(why) = deliveries.failure.lock().expect("nobody panics with the lock").as_ref() {
            panic!("a record was not delivered: {why}");
        }
        let acknowledged = deliveries.acknowledged.load(Ordering::Acquire);
        assert_eq!(acknowledged, self.sent, "every record is acknowledged");
        acknowledged
    }
}

#[derive(Debug, Default)]
struct Deliveries {
    acknowledged: AtomicU64,
    failure: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::AcqRel);
            }
            Err((why, _)) => {
                self.failure.lock().expect("nobody panics with the lock").get_or_insert_with(|| why.clone());
            }
        }
    }
}

impl Broker {
    /// A writer for many records, with partitions, times and headers as each record says.
    #[must_use]
    pub fn loader(&self, compression: Compression) -> Loader {
        let codec = match compression {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
        };
        let mut config = self.client_config();
        config.set("compression.type", codec).set("enable.idempotence", "true").set("linger.ms", "20");
        config.set("queue.buffering.max.messages", "500000").set("queue.buffering.max.kbytes", "262144");
        let producer = config.create_with_context(Deliveries::default()).expect("the producer's properties are valid");
        Loader { producer, sent: 0 }
    }

    /// Writes keys and values to a topic, partitioned by key, and returns when all are acknowledged, with their number.
    pub fn produce<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = (K, V)>,
    ) -> u64 {
        let mut loader = self.loader(Compression::None);
        for (key, value) in records {
            loader.send(BaseRecord::to(topic).key(key.as_ref()).payload(value.as_ref()));
        }
        loader.finish()
    }

    /// Everything a topic holds at the time of the call, partition by partition in order of offsets. Records of
    /// transactions that were aborted or are still open are left out.
    #[must_use]
    pub fn consume_all(&self, topic: &str) -> Vec<Consumed> {
        let ends = self.watermarks(topic);
        let mut open: Vec<i32> =
            ends.iter().filter(|(_, (low, high))| low < high).map(|(&partition, _)| partition).collect();
        let mut start = TopicPartitionList::new();
        for &partition in &open {
            start.add_partition_offset(topic, partition, Offset::Beginning).expect("a valid offset");
        }
        let consumer = self.reader();
        consumer.assign(&start).expect("partitions that exist can be assigned");
        let mut records = Vec::new();
        while !open.is_empty() {
            match consumer.poll(ANSWER_WITHIN).expect("records, or the end, arrive in time") {
                Ok(message) => {
                    let (_, end) = ends[&message.partition()];
                    if message.offset() < end {
                        records.push(consumed(&message));
                    }
                    if message.offset() + 1 >= end {
                        open.retain(|&partition| partition != message.partition());
                    }
                }
                Err(KafkaError::PartitionEOF(ended)) => open.retain(|&partition| partition != ended),
                Err(why) => panic!("{topic} could not be read: {why}"),
            }
        }
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    fn reader(&self) -> BaseConsumer {
        let mut config = self.client_config();
        // A group is asked for and never joined.
        config.set("group.id", "quorate-testkit").set("enable.auto.commit", "false");
        config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "20");
        // A reader that is faster than its queue fills must not wait a second for the next fetch.
        config.set("fetch.queue.backoff.ms", "5");
        config.create().expect("the consumer's properties are valid")
    }
}

fn consumed<M: Message>(message: &M) -> Consumed {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    });
    Consumed {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}
