//! Dead letters: what is given up goes to the dead-letter topic with its reason and origin, and nothing behind it is
//! committed before it is acknowledged there.

mod letter;
mod outbox;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use quorate_core::ident::TopicId;
use quorate_core::provenance::Origin;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::counts::Counts;
use super::durable::StoredLetter;
use super::gauges::{Gauges, Unsettled};
use super::ports::{PublishError, Publisher};
use crate::fault::kill_point;
pub(super) use letter::DeadLetter;
use letter::Form;
pub(super) use outbox::Outbox;

/// Lists of dead letters that may wait to be taken over by the writer, which never makes them wait for Kafka.
const QUEUE: usize = 1024;

/// Dead letters on their way to Kafka at the same time.
const IN_FLIGHT: usize = 1000;

/// Bytes of dead letters of one topic at which its lane stops.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// What the writer is told.
enum ToWriter {
    Write(Vec<DeadLetter>, Option<oneshot::Sender<()>>),
    Restore(Vec<StoredLetter>),
    Cut(oneshot::Sender<LetterCut>),
    Drain(oneshot::Sender<()>),
}

/// The letters of records at one moment.
#[derive(Debug, Default)]
pub(super) struct LetterCut {
    /// Per partition the lowest offset of which a letter is not acknowledged.
    pub(super) unsettled: Unsettled,
    /// Letters that are not acknowledged, and were not at the cut before.
    pub(super) added: Vec<StoredLetter>,
    /// Letters of earlier cuts that are acknowledged.
    pub(super) settled: Vec<u64>,
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

    /// Hands letters over that an earlier life of the process kept and did not see acknowledged.
    pub(super) async fn restore(&self, letters: Vec<StoredLetter>) {
        drop(self.0.send(ToWriter::Restore(letters)).await);
    }

    /// How everything stands that was handed over before; none when the writer is gone.
    pub(super) async fn cut(&self) -> Option<LetterCut> {
        let (reply, cut) = oneshot::channel();
        self.0.send(ToWriter::Cut(reply)).await.ok()?;
        cut.await.ok()
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
    waiting: VecDeque<Letter>,
    sending: FuturesUnordered<BoxFuture<'static, Letter>>,
    /// Unacknowledged letters of records, by where the record stands.
    open: BTreeMap<Origin, usize>,
    /// Where letters are kept until they are acknowledged; none where nothing is kept.
    outbox: Option<Outbox>,
    /// The number of the next letter.
    next: u64,
    drained: Vec<oneshot::Sender<()>>,
}

/// A letter on its way.
struct Letter {
    id: u64,
    letter: Arc<DeadLetter>,
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
    outbox: Option<Outbox>,
) -> (DeadLetterSender, DeadLetterWriter) {
    let (sender, inbox) = mpsc::channel(QUEUE);
    let writer = DeadLetterWriter {
        inbox,
        topic,
        publisher,
        counts,
        gauges,
        bytes,
        waiting: VecDeque::new(),
        sending: FuturesUnordered::new(),
        open: BTreeMap::new(),
        outbox,
        next: 0,
        drained: Vec::new(),
    };
    (DeadLetterSender(sender), writer)
}

impl DeadLetterWriter {
    /// Runs until every sender is gone.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                // At most `IN_FLIGHT` are acknowledged at a time, so the inbox has its turn.
                biased;
                Some(sent) = self.sending.next() => self.sent(sent),
                told = self.inbox.recv() => match told {
                    Some(told) => self.told(told),
                    None => return,
                },
            }
            while self.sending.len() < IN_FLIGHT
                && let Some(letter) = self.waiting.pop_front()
            {
                self.sending.push(send(Arc::clone(&self.publisher), Arc::clone(&self.topic), letter).boxed());
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
                    letter.reason.into_iter().for_each(|reason| self.counts.add_dead_letter(reason));
                    self.take_over(Arc::new(letter), reply.take());
                }
            }
            ToWriter::Restore(letters) => {
                for stored in letters {
                    let id = stored.id;
                    self.next = self.next.max(id.saturating_add(1));
                    self.outbox.iter_mut().for_each(|outbox| outbox.restored(id));
                    self.waiting.push_back(Letter { id, letter: Arc::new(DeadLetter::restored(stored)), reply: None });
                }
            }
            ToWriter::Cut(reply) => drop(reply.send(self.cut())),
            ToWriter::Drain(reply) => self.drained.push(reply),
        }
    }

    fn take_over(&mut self, letter: Arc<DeadLetter>, reply: Option<oneshot::Sender<()>>) {
        let id = self.next;
        self.next += 1;
        if let Some(origin) = letter.origin {
            *self.open.entry(origin).or_default() += 1;
            self.gauge(origin.topic, 1, letter.cost(), true);
            self.outbox.iter_mut().for_each(|outbox| outbox.came(id, &letter));
        }
        self.waiting.push_back(Letter { id, letter, reply });
    }

    fn sent(&mut self, Letter { id, letter, reply }: Letter) {
        kill_point("letter_acknowledged");
        if let Some(origin) = letter.origin {
            self.gauge(origin.topic, 1, letter.cost(), false);
            if let Some(open) = self.open.get_mut(&origin) {
                *open -= 1;
                if *open == 0 {
                    self.open.remove(&origin);
                }
            }
        }
        self.outbox.iter_mut().for_each(|outbox| outbox.went(id));
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }

    fn cut(&mut self) -> LetterCut {
        let (added, settled) = self.outbox.as_mut().map(Outbox::take).unwrap_or_default();
        LetterCut { unsettled: self.oldest(), added, settled }
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

/// Publishes a letter until it is acknowledged: as it is, then with less and less of it, then again and again, because
/// a dead letter that cannot be written must hold its offset rather than be lost.
async fn send(publisher: Arc<dyn Publisher>, topic: Arc<str>, sent: Letter) -> Letter {
    let mut form = Form::Whole;
    loop {
        match publisher.publish(sent.letter.record(&topic, form)).await {
            Ok(()) => return sent,
            Err(PublishError::Closed) => std::future::pending().await,
            Err(PublishError::Refused(detail)) => {
                warn!(topic = &*topic, detail, ?form, "dead letter refused, will be written with less of it");
                form = match form {
                    Form::Whole => Form::WithoutValue,
                    Form::WithoutValue => Form::Bare,
                    Form::Bare => {
                        error!(topic = &*topic, detail, "dead letter refused; its offset stays uncommitted");
                        tokio::time::sleep(Duration::from_secs(10)).await;
                        Form::Bare
                    }
                };
            }
        }
    }
}
