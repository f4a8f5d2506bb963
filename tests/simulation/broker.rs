//! A Kafka of vectors: logs with gaps, group offsets, assignments with epochs. It obeys the rules a real consumer obeys
//! (where reading begins, which commits are dropped) and knows nothing of what records mean.

use quorate_core::ident::{Epoch, Millis, NextOffset, Offset, Partition, TopicId};
use quorate_core::provenance::Incarnation;
use quorate_core::record::{PartitionPosition, RecordBatch};

use quorate::pipeline::durable::Standing;
use quorate::pipeline::ports::AssignedPartition;

/// The source topics, in the order of the plan, and how many partitions each has.
pub const TOPICS: [(&str, usize); 3] = [("LOAD", 2), ("ORDER", 2), ("PRICE", 1)];
pub const LOAD: usize = 0;
pub const ORDER: usize = 1;
pub const PRICE: usize = 2;

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

pub struct Stored {
    pub offset: i64,
    pub at: Millis,
    pub payload: String,
}

/// An assignment, as the consumer holds it.
#[derive(Clone, Copy)]
pub struct Held {
    pub epoch: u64,
    pub live_from: i64,
    /// Modules wait until everything before it was handed to the pipeline.
    pub load_until: i64,
    /// Everything before it was handed to the pipeline under this epoch.
    pub position: i64,
    /// The last position the pipeline asked to commit under this epoch.
    pub asked: Option<i64>,
}

#[derive(Default)]
pub struct Log {
    pub records: Vec<Stored>,
    pub end: i64,
    pub committed: Option<i64>,
    pub held: Option<Held>,
    /// Where this process stood when it last held the partition, and under which epoch.
    pub carried: Option<(i64, u64)>,
    /// The highest position that any life was handed out.
    pub reached: i64,
    /// How often the topic was recreated.
    pub incarnation: Incarnation,
}

impl Log {
    /// Up to where everything may be forgotten by the process: asked for, or committed in an earlier life.
    pub fn settled(&self) -> i64 {
        self.held.and_then(|held| held.asked).max(self.committed).unwrap_or(0)
    }

    fn next_record(&self, from: i64) -> usize {
        self.records.partition_point(|record| record.offset < from)
    }
}

#[derive(Default)]
pub struct Broker {
    logs: Vec<Vec<Log>>,
    epochs: u64,
}

impl Broker {
    pub fn new() -> Self {
        let logs = TOPICS.map(|(_, count)| (0..count).map(|_| Log::default()).collect());
        Self { logs: logs.into(), epochs: 0 }
    }

    pub fn places() -> impl Iterator<Item = Place> {
        let partitions = |topic: usize| (0..TOPICS[topic].1).map(move |partition| Place { topic, partition });
        (0..TOPICS.len()).flat_map(partitions)
    }

    pub fn log(&self, place: Place) -> &Log {
        &self.logs[place.topic][place.partition]
    }

    pub fn log_mut(&mut self, place: Place) -> &mut Log {
        &mut self.logs[place.topic][place.partition]
    }

    /// Appends a record after `gap` offsets that hold none, as transactions and compaction leave them.
    pub fn append(&mut self, place: Place, gap: i64, at: Millis, payload: String) -> i64 {
        let log = self.log_mut(place);
        let offset = log.end + gap;
        log.records.push(Stored { offset, at, payload });
        log.end = offset + 1;
        offset
    }

    /// Ends the log in offsets that hold no record.
    pub fn mark(&mut self, place: Place, offsets: i64) {
        self.log_mut(place).end += offsets;
    }

    /// Assigns a partition where the rules say: where it stands durably, whatever the group says, and otherwise at the
    /// committed position, or where this process stood if that is earlier; a process that holds nothing loads from the
    /// beginning first.
    pub fn assign(&mut self, place: Place, (stood, reload): (Option<Standing>, bool)) -> AssignedPartition {
        self.epochs += 1;
        let epoch = self.epochs;
        let log = self.log_mut(place);
        let (start, live_from, load_until) = match stood {
            Some(Standing { position, ceiling }) => {
                let live_from = position.live_from.max(position.next).0.min(log.end);
                let known = ceiling.map_or(live_from, |ceiling| ceiling.0.max(live_from));
                (if reload { 0 } else { position.next.0 }, live_from, known.min(log.end))
            }
            None => {
                let live_from = log.committed.unwrap_or(0);
                (log.carried.map_or(0, |(carried, _)| carried.min(live_from)), live_from, live_from.min(log.end))
            }
        };
        log.held = Some(Held { epoch, live_from, load_until, position: start, asked: None });
        let fresh = AssignedPartition::fresh(place.number(), Epoch(epoch), NextOffset(live_from), NextOffset(log.end));
        AssignedPartition { start: NextOffset(start), load_until: NextOffset(load_until), ..fresh }
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
        self.logs.iter_mut().flatten().for_each(|log| (log.held, log.carried) = (None, None));
    }

    /// Hands out up to `count` records of a held partition. The offsets handed out.
    pub fn hand_out(&mut self, place: Place, count: usize, batch: &mut RecordBatch) -> Vec<i64> {
        let log = self.log_mut(place);
        let Some(held) = log.held else { return Vec::new() };
        let offsets = push(log, place, held.position, count, held.epoch, batch);
        if let (Some(held), Some(last)) = (&mut log.held, offsets.last()) {
            held.position = last + 1;
            log.reached = log.reached.max(last + 1);
        }
        offsets
    }

    /// What a consumer had still in hand when its assignment ended.
    pub fn straggle(&self, place: Place, count: usize, batch: &mut RecordBatch) -> Option<PartitionPosition> {
        let log = self.log(place);
        let (from, epoch) = log.carried?;
        let last = *push(log, place, from, count, epoch, batch).last()?;
        let position = NextOffset(last + 1);
        Some(PartitionPosition { partition: place.number(), epoch: Epoch(epoch), position, end: None })
    }

    /// Moves the position over offsets that hold no record.
    pub fn pass_gaps(&mut self, place: Place) {
        let log = self.log_mut(place);
        let Some(held) = log.held else { return };
        let next = log.records.get(log.next_record(held.position)).map_or(log.end, |record| record.offset);
        log.held = Some(Held { position: next, ..held });
        log.reached = log.reached.max(next);
    }

    /// Where the consumer stands.
    pub fn position(&self, place: Place, tell_end: bool) -> Option<PartitionPosition> {
        let log = self.log(place);
        let held = log.held?;
        let (epoch, position) = (Epoch(held.epoch), NextOffset(held.position));
        let end = tell_end.then_some(NextOffset(log.end));
        Some(PartitionPosition { partition: place.number(), epoch, position, end })
    }
}

fn push(log: &Log, place: Place, from: i64, count: usize, epoch: u64, batch: &mut RecordBatch) -> Vec<i64> {
    let records = log.records[log.next_record(from)..].iter().take(count);
    let offsets = records.map(|record| {
        let at = (place.number(), Offset(record.offset), Epoch(epoch));
        batch.push(at, record.at, None, Some(record.payload.as_bytes())).expect("room in the batch");
        record.offset
    });
    offsets.collect()
}
