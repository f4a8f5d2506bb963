//! A Kafka of vectors: logs with gaps, group offsets, assignments with epochs. Where reading begins is decided by the
//! rules that the service itself goes by; which commits are dropped, by those of a real consumer. It knows nothing of
//! what records mean.

use std::collections::BTreeMap;

use quorate::kafka::start::{Life, Notice, Start};
use quorate_core::ident::{Epoch, Millis, NextOffset, Offset, Partition, TopicId};
use quorate_core::provenance::Incarnation;
use quorate_core::record::{PartitionPosition, RecordBatch};

use quorate::pipeline::ports::AssignedPartition;

/// The source topics, in the order of the plan, and how many partitions each has at first.
pub const TOPICS: [(&str, usize); 4] = [("LOAD", 2), ("ORDER", 2), ("PRICE", 1), ("TARIFF", 1)];
pub const LOAD: usize = 0;
pub const ORDER: usize = 1;
pub const PRICE: usize = 2;
/// Its readings are for all stations.
pub const TARIFF: usize = 3;

/// A partition of a source topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub topic: usize,
    pub partition: usize,
}

impl Place {
    pub fn topic_id(self) -> TopicId {
        TopicId(u16::try_from(self.topic).expect("a topic"))
    }

    pub fn number(self) -> Partition {
        Partition::try_from(self.partition).expect("a partition")
    }

    pub fn name(self) -> &'static str {
        TOPICS[self.topic].0
    }
}

/// What a record is about: stations by their numbers, or (none) nobody; none where it cannot be read at all.
pub type Stations = Option<Vec<Option<usize>>>;

pub struct Stored {
    pub offset: i64,
    pub at: Millis,
    pub stations: Stations,
    pub payload: String,
}

/// An assignment, as the consumer holds it.
#[derive(Clone, Copy)]
pub struct Held {
    pub epoch: u64,
    pub life: Life,
    pub live_from: i64,
    /// Modules wait until everything before it was handed to the pipeline.
    pub load_until: i64,
    /// Everything before it was handed to the pipeline under this epoch.
    pub position: i64,
    /// Likewise, by the last record.
    pub read: i64,
    /// The last position the pipeline asked to commit under this epoch.
    pub asked: Option<i64>,
}

#[derive(Default)]
pub struct Log {
    pub records: Vec<Stored>,
    /// The first offset that still exists.
    pub low: i64,
    pub end: i64,
    pub committed: Option<i64>,
    pub held: Option<Held>,
    /// Where this process stood when it last held the partition, and under which epoch.
    pub carried: Option<(i64, u64)>,
    /// What a consumer may still have in hand of a log that is no more, polled under an epoch that is over.
    pub polled: Vec<Stored>,
    /// The life of the topic that this process read last.
    pub life: Option<Life>,
    /// The highest position that was handed out to anybody, in each life of the topic.
    pub reached: BTreeMap<Incarnation, i64>,
    /// Its end was lost, and nobody could see that any more once it is as long again as it was.
    pub is_cut_short: bool,
    /// The life that began on that account, until it is durable.
    pub renewed_as: Option<Incarnation>,
}

impl Log {
    fn next_record(&self, from: i64) -> usize {
        self.records.partition_point(|record| record.offset < from)
    }

    /// A position in a life of its topic is durable.
    pub fn stands(&mut self, incarnation: Incarnation) {
        self.is_cut_short &= self.renewed_as != Some(incarnation);
    }

    fn reach(&mut self, incarnation: Incarnation, position: i64) {
        let reached = self.reached.entry(incarnation).or_default();
        *reached = position.max(*reached);
    }
}

#[derive(Default)]
pub struct Broker {
    pub(super) topics: Vec<Topic>,
    epochs: u64,
}

pub struct Topic {
    /// Names it; another one of the same name has another.
    pub id: u128,
    pub logs: Vec<Log>,
    /// How many partitions it had when this process first looked.
    pub first_count: Option<usize>,
}

impl Broker {
    pub fn new() -> Self {
        let logs = |count| (0..count).map(|_| Log::default()).collect();
        let topics = TOPICS.map(|(_, count)| Topic { id: 1, logs: logs(count), first_count: None });
        Self { topics: topics.into(), epochs: 0 }
    }

    pub fn places(&self) -> Vec<Place> {
        (0..TOPICS.len()).flat_map(|topic| self.places_of(topic)).collect()
    }

    pub fn places_of(&self, topic: usize) -> Vec<Place> {
        (0..self.topics[topic].logs.len()).map(|partition| Place { topic, partition }).collect()
    }

    pub fn log(&self, place: Place) -> &Log {
        &self.topics[place.topic].logs[place.partition]
    }

    pub fn log_mut(&mut self, place: Place) -> &mut Log {
        &mut self.topics[place.topic].logs[place.partition]
    }

    /// Appends a record. Before it there may be offsets that hold none, as transactions and compaction leave them.
    pub fn append(&mut self, place: Place, record: Stored) {
        let log = self.log_mut(place);
        log.end = record.offset + 1;
        log.records.push(record);
    }

    /// Ends the log in offsets that hold no record.
    pub fn mark(&mut self, place: Place, offsets: i64) {
        self.log_mut(place).end += offsets;
    }

    /// Whether what is held of a partition is worth nothing: the topic is another one, or ends before, or begins after.
    pub fn is_outlived(&self, place: Place) -> bool {
        let log = self.log(place);
        log.held.is_some_and(|held| {
            held.life.topic_id != Some(self.topics[place.topic].id) || !(log.low..=log.end).contains(&held.position)
        })
    }

    /// Up to where everything may be forgotten by the process: asked for, or committed in an earlier life.
    pub fn settled(&self, place: Place) -> i64 {
        let log = self.log(place);
        let held = log.held.filter(|held| held.life.topic_id == Some(self.topics[place.topic].id));
        held.and_then(|held| held.asked).max(log.committed).unwrap_or(0)
    }

    /// Assigns a partition where it was decided to begin.
    pub fn assign(&mut self, place: Place, start: Start) -> AssignedPartition {
        self.epochs += 1;
        let epoch = self.epochs;
        let log = self.log_mut(place);
        let Start { start, live_from, load_until, life, announce, notice, .. } = start;
        log.held = Some(Held {
            epoch,
            life,
            live_from: live_from.0,
            load_until: load_until.0,
            position: start.0,
            read: start.0,
            asked: announce.then_some(live_from.0),
        });
        log.life = Some(life);
        log.renewed_as = matches!(notice, Some(Notice::Truncated { .. })).then_some(life.incarnation);
        log.is_cut_short &= log.renewed_as.is_some();
        log.reach(life.incarnation, start.0.max(live_from.0));
        let (epoch, end) = (Epoch(epoch), NextOffset(log.end));
        let Life { incarnation, topic_id } = life;
        AssignedPartition { partition: place.number(), epoch, start, live_from, end, load_until, incarnation, topic_id }
    }

    /// Takes a partition away. The epoch that is over.
    pub fn revoke(&mut self, place: Place) -> Option<u64> {
        let log = self.log_mut(place);
        let held = log.held.take()?;
        log.carried = Some((held.position, held.epoch));
        Some(held.epoch)
    }

    /// The process is gone, and with it what it knew.
    pub fn forget(&mut self) {
        for topic in &mut self.topics {
            topic.first_count = None;
            for log in &mut topic.logs {
                (log.held, log.carried, log.life, log.renewed_as) = (None, None, None, None);
                log.polled.clear();
            }
        }
    }

    /// Hands out up to `count` records of a held partition. The offsets handed out.
    pub fn hand_out(&mut self, place: Place, count: usize, batch: &mut RecordBatch) -> Vec<i64> {
        if self.is_outlived(place) {
            return Vec::new();
        }
        let log = self.log_mut(place);
        let Some(held) = log.held else { return Vec::new() };
        let offsets = push(&log.records, place, held.position, count, held.epoch, batch);
        if let (Some(held), Some(last)) = (&mut log.held, offsets.last()) {
            (held.position, held.read) = (last + 1, last + 1);
            let (incarnation, position) = (held.life.incarnation, held.position);
            log.reach(incarnation, position);
        }
        offsets
    }

    /// What a consumer had still in hand when its assignment ended.
    pub fn straggle(&self, place: Place, count: usize, batch: &mut RecordBatch) -> Option<PartitionPosition> {
        let log = self.log(place);
        let (from, epoch) = log.carried?;
        let polled = if log.polled.is_empty() { &log.records } else { &log.polled };
        let last = *push(polled, place, from, count, epoch, batch).last()?;
        let position = NextOffset(last + 1);
        Some(PartitionPosition { partition: place.number(), epoch: Epoch(epoch), position, end: None })
    }

    /// Moves the position over offsets that hold no record.
    pub fn pass_gaps(&mut self, place: Place) {
        if self.is_outlived(place) {
            return;
        }
        let log = self.log_mut(place);
        let Some(held) = log.held else { return };
        let next = log.records.get(log.next_record(held.position)).map_or(log.end, |record| record.offset);
        log.held = Some(Held { position: next, ..held });
        log.reach(held.life.incarnation, next);
    }

    /// Where the consumer stands.
    pub fn position(&self, place: Place, tell_end: bool) -> Option<PartitionPosition> {
        let log = self.log(place);
        let held = log.held?;
        let (epoch, position) = (Epoch(held.epoch), NextOffset(held.position));
        let end = (tell_end && !self.is_outlived(place)).then_some(NextOffset(log.end));
        Some(PartitionPosition { partition: place.number(), epoch, position, end })
    }
}

fn push(records: &[Stored], place: Place, from: i64, count: usize, epoch: u64, batch: &mut RecordBatch) -> Vec<i64> {
    let records = records[records.partition_point(|record| record.offset < from)..].iter().take(count);
    let offsets = records.map(|record| {
        let at = (place.number(), Offset(record.offset), Epoch(epoch));
        batch.push(at, record.at, None, Some(record.payload.as_bytes())).expect("room in the batch");
        record.offset
    });
    offsets.collect()
}
