//! Dead letters: what is given up goes to the dead-letter topic with its reason and origin, and nothing behind it is
//! committed before it is acknowledged there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use quorate_core::contract::ModuleInput;
use quorate_core::decode::{DeadRecord, Readings, Reason, element_json};
use quorate_core::ident::{Millis, TopicId};
use quorate_core::plan::Plan;
use quorate_core::provenance::Origin;
use quorate_core::shard::DeadReading;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::counts::Counts;
use super::ports::{OutgoingRecord, PublishError, Publisher};
use super::shard_task::{Gauges, Unsettled};

/// Lists of dead letters that may wait to be taken over by the writer, which never makes them wait for Kafka.
const QUEUE: usize = 1024;

/// Dead letters on their way to Kafka at the same time.
const IN_FLIGHT: usize = 1000;

/// Bytes of dead letters of one topic at which its lane stops.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// Something given up, ready to be written.
#[derive(Clone, Debug)]
pub(super) struct DeadLetter {
    origin: Option<Origin>,
    reason: Reason,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, Vec<u8>)>,
}

impl DeadLetter {
    /// A record, or one element of it, that could not be decoded.
    pub(super) fn of_record(plan: &Plan, readings: &Readings, dead: &DeadRecord, at: Millis) -> Self {
        Self::from_source(plan, readings, dead.record, dead.element, dead.reason, &dead.detail, at)
    }

    /// A reading that a shard gave up; none when the batch has no such record.
    pub(super) fn of_reading(plan: &Plan, readings: &Readings, dead: &DeadReading) -> Option<Self> {
        let source = readings.source();
        let is_it = |row: &quorate_core::record::RecordRow| {
            row.partition == dead.origin.partition && row.offset == dead.origin.offset
        };
        let record = u32::try_from(source.rows().iter().position(is_it)?).ok()?;
        let at = source.rows()[record as usize].timestamp;
        Some(Self::from_source(plan, readings, record, dead.element, dead.reason, "", at))
    }

    /// A run that failed for good: its value is the assembled input.
    pub(super) fn of_run(input: &ModuleInput, reason: Reason, detail: String, attempts: u32, at: Millis) -> Self {
        let mut headers = vec![
            ("quorate-module", input.module.as_bytes().to_vec()),
            ("quorate-station", input.station.as_str().as_bytes().to_vec()),
            ("quorate-input-hash", input.input_hash.to_string().into_bytes()),
        ];
        headers.extend(common(reason, &detail, attempts, at));
        Self {
            origin: None,
            reason,
            key: Some(input.station.as_str().as_bytes().to_vec()),
            value: Some(input.to_json().into_bytes()),
            headers,
        }
    }

    fn from_source(
        plan: &Plan,
        readings: &Readings,
        record: u32,
        element: Option<u32>,
        reason: Reason,
        detail: &str,
        at: Millis,
    ) -> Self {
        let source = readings.source();
        let row = &source.rows()[record as usize];
        let topic = plan.topic(source.topic());
        let payload = source.payload(row);
        let value = match (element, payload) {
            (Some(element), Some(payload)) => element_json(&topic.records, payload, element).map(String::into_bytes),
            _ => payload.map(<[u8]>::to_vec),
        };
        let origin = Origin { topic: source.topic(), partition: row.partition, offset: row.offset };
        let place = format!("{}/{}/{}", topic.name, row.partition, row.offset);
        let mut headers = vec![("quorate-origin", place.into_bytes())];
        if let Some(element) = element {
            headers.push(("quorate-element", element.to_string().into_bytes()));
        }
        headers.extend(common(reason, detail, 1, at));
        Self { origin: Some(origin), reason, key: source.key(row).map(<[u8]>::to_vec), value, headers }
    }

    fn cost(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + 256
    }

    /// The record to produce; without its value when the broker found it too large.
    fn record(&self, topic: &Arc<str>, truncated: bool) -> OutgoingRecord {
        let mut headers = self.headers.clone();
        let value = if truncated {
            headers.push(("quorate-truncated", self.value.as_ref().map_or(0, Vec::len).to_string().into_bytes()));
            Some(Vec::new())
        } else {
            self.value.clone()
        };
        OutgoingRecord { topic: Arc::clone(topic), key: self.key.clone(), value, headers }
    }
}

fn common(reason: Reason, detail: &str, attempts: u32, at: Millis) -> [(&'static str, Vec<u8>); 4] {
    [
        ("quorate-reason", reason.as_str().as_bytes().to_vec()),
        ("quorate-detail", detail.as_bytes().to_vec()),
        ("quorate-at", at.0.to_string().into_bytes()),
        ("quorate-attempts", attempts.to_string().into_bytes()),
    ]
}

/// What the writer is told.
enum ToWriter {
    Write(Vec<DeadLetter>, Option<oneshot::Sender<()>>),
    Cut(oneshot::Sender<Unsettled>),
    Drain(oneshot::Sender<()>),
}

/// Hands dead letters to the writer.
#[derive(Clone)]
pub(super) struct DeadLetterSender(mpsc::Sender<ToWriter>);

impl DeadLetterSender {
    /// Hands letters over without waiting for Kafka.
    pub(super) async fn send(&self, letters: Vec<DeadLetter>) {
        drop(self.0.send(ToWriter::Write(letters, None)).await);
    }

    /// Hands a letter over and waits until it is acknowledged; for ever when the process is ending.
    pub(super) async fn settle(&self, letter: DeadLetter) {
        let (reply, settled) = oneshot::channel();
        drop(self.0.send(ToWriter::Write(vec![letter], Some(reply))).await);
        if settled.await.is_err() {
            std::future::pending().await
        }
    }

    /// The lowest unacknowledged offsets among everything handed over before; none when the writer is gone.
    pub(super) async fn unacknowledged(&self) -> Option<Unsettled> {
        let (reply, unsettled) = oneshot::channel();
        self.0.send(ToWriter::Cut(reply)).await.ok()?;
        unsettled.await.ok()
    }

    /// Resolves once everything handed over is acknowledged.
    pub(super) async fn drained(&self) {
        let (reply, drained) = oneshot::channel();
        drop(self.0.send(ToWriter::Drain(reply)).await);
        drop(drained.await);
    }
}

/// Writes dead letters.
pub(super) struct DeadLetterWriter {
    inbox: mpsc::Receiver<ToWriter>,
    topic: Arc<str>,
    publisher: Arc<dyn Publisher>,
    counts: Arc<Counts>,
    gauges: Gauges,
    bytes: Gauges,
    waiting: std::collections::VecDeque<(DeadLetter, Option<oneshot::Sender<()>>)>,
    sending: FuturesUnordered<BoxFuture<'static, Sent>>,
    /// Unacknowledged letters of records, by where the record stands.
    open: BTreeMap<Origin, usize>,
    drained: Vec<oneshot::Sender<()>>,
}

/// A letter that was acknowledged.
struct Sent {
    letter: DeadLetter,
    reply: Option<oneshot::Sender<()>>,
}

/// A writer to `topic`, and the way to reach it. `gauges` count unacknowledged letters per topic of the plan, `bytes`
/// what they hold in memory.
pub(super) fn writer(
    topic: Arc<str>,
    publisher: Arc<dyn Publisher>,
    counts: Arc<Counts>,
    gauges: Gauges,
    bytes: Gauges,
) -> (DeadLetterSender, DeadLetterWriter) {
    let (sender, inbox) = mpsc::channel(QUEUE);
    let writer = DeadLetterWriter {
        inbox,
        topic,
        publisher,
        counts,
        gauges,
        bytes,
        waiting: std::collections::VecDeque::new(),
        sending: FuturesUnordered::new(),
        open: BTreeMap::new(),
        drained: Vec::new(),
    };
    (DeadLetterSender(sender), writer)
}

impl DeadLetterWriter {
    /// Runs until every sender is gone.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                told = self.inbox.recv() => match told {
                    Some(told) => self.told(told),
                    None => return,
                },
                Some(sent) = self.sending.next() => self.sent(sent),
            }
            while self.sending.len() < IN_FLIGHT
                && let Some((letter, reply)) = self.waiting.pop_front()
            {
                self.sending.push(send(Arc::clone(&self.publisher), Arc::clone(&self.topic), letter, reply).boxed());
            }
            if self.sending.is_empty() {
                for reply in self.drained.drain(..) {
                    let _ = reply.send(());
                }
            }
        }
    }

    fn told(&mut self, told: ToWriter) {
        match told {
            ToWriter::Write(letters, mut reply) => {
                for letter in letters {
                    self.counts.add_dead_letter(letter.reason);
                    if let Some(origin) = letter.origin {
                        *self.open.entry(origin).or_default() += 1;
                        self.gauge(origin.topic, 1, letter.cost(), true);
                    }
                    self.waiting.push_back((letter, reply.take()));
                }
            }
            ToWriter::Cut(reply) => drop(reply.send(self.oldest())),
            ToWriter::Drain(reply) => self.drained.push(reply),
        }
    }

    fn sent(&mut self, sent: Sent) {
        if let Some(origin) = sent.letter.origin {
            self.gauge(origin.topic, 1, sent.letter.cost(), false);
            if let Some(open) = self.open.get_mut(&origin) {
                *open -= 1;
                if *open == 0 {
                    self.open.remove(&origin);
                }
            }
        }
        if let Some(reply) = sent.reply {
            let _ = reply.send(());
        }
    }

    fn oldest(&self) -> Unsettled {
        let mut oldest = Unsettled::new();
        for origin in self.open.keys() {
            // Origins are sorted: the first of a partition is its lowest.
            oldest.entry((origin.topic, origin.partition)).or_insert(origin.offset);
        }
        oldest
    }

    fn gauge(&self, topic: TopicId, letters: usize, bytes: usize, more: bool) {
        for (gauge, by) in [(&self.gauges[topic.ix()], letters), (&self.bytes[topic.ix()], bytes)] {
            if more {
                gauge.fetch_add(by, Ordering::Relaxed)
            } else {
                gauge.fetch_sub(by, Ordering::Relaxed)
            };
        }
    }
}

/// Publishes a letter until it is acknowledged: first as it is, then without its value, then again and again, because
/// a dead letter that cannot be written must hold its offset rather than be lost.
async fn send(
    publisher: Arc<dyn Publisher>,
    topic: Arc<str>,
    letter: DeadLetter,
    reply: Option<oneshot::Sender<()>>,
) -> Sent {
    let mut truncated = false;
    loop {
        match publisher.publish(letter.record(&topic, truncated)).await {
            Ok(()) => return Sent { letter, reply },
            Err(PublishError::Closed) => std::future::pending().await,
            Err(PublishError::Refused(detail)) if !truncated => {
                warn!(topic = &*topic, detail, "dead letter refused, will be written without its value");
                truncated = true;
            }
            Err(PublishError::Refused(detail)) => {
                error!(topic = &*topic, detail, "dead letter refused; its offset stays uncommitted");
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        }
    }
}

/// As many gauges as the plan has topics, all 0.
pub(super) fn gauges(topics: usize) -> Gauges {
    (0..topics).map(|_| AtomicUsize::new(0)).collect()
}
