//! Draining a consumer: wait once, then take without waiting what is already fetched, in batches of at most the quota.
//! The only place that touches the client's messages; a batch call of the native library would replace this file and
//! nothing else.

use std::time::Duration;

use quorate_core::ident::{Epoch, Millis, Offset, Partition};
use quorate_core::record::{BatchFull, RecordBatch};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};

use super::broken::BrokenKind;
use super::context::PollContext;
use super::intake::{Slot, slot_of};
use crate::fault::is_deaf;

/// A batch is full once it holds so many bytes, whatever the quota, and so is a turn.
const TURN_BYTES: usize = 1 << 20;
/// Batches of a turn. What is done once a turn (orders, positions, events) costs as much as polling dozens of records.
const TURN_BATCHES: usize = 8;
/// What Kafka itself writes where a record has no timestamp.
const NO_TIMESTAMP: i64 = -1;

/// What one turn brought.
#[derive(Debug, Default)]
pub(super) struct Drained {
    /// Full batches, in order. Positions behind them are those of their last records.
    pub full: Vec<(Slot, RecordBatch)>,
    /// The last batch of each topic that had records.
    pub last: Vec<(Slot, RecordBatch)>,
    /// The error that ended the turn.
    pub error: Option<KafkaError>,
}

impl Drained {
    /// Whether there was nothing to poll.
    pub(super) fn is_idle(&self) -> bool {
        self.last.is_empty() && self.full.is_empty()
    }
}

/// Takes one turn. A rebalance ends it, so that all records of a batch were read under assignments of one moment.
pub(super) fn drain(context: &PollContext, consumer: &BaseConsumer<PollContext>, patience: Duration) -> Drained {
    let mut turn = Turn { context, place: None, bytes: 0, drained: Drained::default() };
    let mut wait = patience;
    while let Some(polled) = consumer.poll(wait) {
        wait = Duration::ZERO;
        match polled {
            Ok(message) => {
                if turn.take(&message) {
                    break;
                }
            }
            Err(error) => {
                turn.drained.error = Some(error);
                break;
            }
        }
    }
    if is_deaf(&context.group) {
        return Drained::default();
    }
    turn.drained
}

/// Polls for events only. Records that come nevertheless are dropped: their positions are never settled.
pub(super) fn serve_events(consumer: &BaseConsumer<PollContext>, patience: Duration) -> Option<KafkaError> {
    consumer.poll(patience).and_then(Result::err)
}

struct Turn<'a> {
    context: &'a PollContext,
    /// Where the last record came from; records come in runs.
    place: Option<(Slot, Partition, Epoch)>,
    /// Payloads taken so far.
    bytes: usize,
    drained: Drained,
}

impl Turn<'_> {
    /// Copies one record; true when the turn is over.
    fn take(&mut self, message: &BorrowedMessage<'_>) -> bool {
        let Some((slot, epoch)) = self.place_of(message) else { return false };
        let timestamp = Millis(message.timestamp().to_millis().unwrap_or(NO_TIMESTAMP));
        let at = (message.partition(), Offset(message.offset()), epoch);
        let topic = &self.context.topics[slot];
        let quota = topic.settings.quota.max(1);
        let ix = self.batch_of(slot);
        let Drained { full, last, .. } = &mut self.drained;
        let batch = &mut last[ix].1;
        let mut pushed = Err(BatchFull);
        if batch.len() < quota && batch.bytes().len() < TURN_BYTES {
            pushed = batch.push(at, timestamp, message.key(), message.payload());
        }
        if pushed.is_err() {
            let next = RecordBatch::with_capacity(topic.id, batch.len(), batch.bytes().len());
            full.push((slot, std::mem::replace(batch, next)));
            pushed = batch.push(at, timestamp, message.key(), message.payload());
        }
        if pushed.is_err() {
            // Kafka's own size field is a signed 32-bit number of bytes, the same as an empty batch can hold.
            let why = format!("a record of {} bytes cannot be held", message.payload_len());
            self.context.give_up(BrokenKind::Failed, why);
            return true;
        }
        self.bytes += message.payload_len();
        self.bytes >= TURN_BYTES || (batch.len() >= quota && full.len() + 1 >= TURN_BATCHES)
    }

    /// The batch of a topic that takes records now.
    fn batch_of(&mut self, slot: Slot) -> usize {
        let last = &mut self.drained.last;
        last.iter().position(|(of, _)| *of == slot).unwrap_or_else(|| {
            last.push((slot, RecordBatch::new(self.context.topics[slot].id)));
            last.len() - 1
        })
    }

    fn place_of(&mut self, message: &BorrowedMessage<'_>) -> Option<(Slot, Epoch)> {
        let topics = &self.context.topics;
        let slot = if topics.len() == 1 { 0 } else { slot_of(topics, message.topic())? };
        match self.place {
            Some((of, partition, epoch)) if (of, partition) == (slot, message.partition()) => Some((slot, epoch)),
            _ => {
                let epoch = self.context.table().epoch(slot, message.partition())?;
                self.place = Some((slot, message.partition(), epoch));
                Some((slot, epoch))
            }
        }
    }
}
