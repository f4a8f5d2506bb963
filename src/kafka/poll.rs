//! The loop of one consumer's thread: serve orders, look after partitions and commits, hand batches over, poll.
//! It never waits for anything but its lane and the client, and for both only briefly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use super::backoff::Backoff;
use super::context::PollContext;
use super::drain::{self, Drained};
use super::errors::{Trouble, TroubleKind};
use super::health::TopicState;
use super::intake::{Slot, SubscribedTopic};
use super::mailbox::Mailbox;
use super::outbox::{Handed, Outbox};
use super::table::Placed;
use super::{assign, clock, commits, lookup, offsets};
use crate::pipeline::ports::LaneItem;

/// The longest one poll, or one wait for room, may hold up orders and commits.
const TURN: Duration = Duration::from_millis(100);
/// The same while only events are served.
const EVENT_TURN: Duration = Duration::from_millis(20);
/// After so many turns in which nothing happened they grow longer, and where the client stands, which costs it two changes
/// of threads, is asked after every third: silence costs next to nothing.
const SETTLED_TURNS: u32 = 30;
const QUIET_TURN: Duration = Duration::from_millis(300);
const SELDOM: u32 = 3;
/// Not polling is free for so long (heartbeats have their own thread); after it the partitions are paused, which costs
/// what is prefetched, and polling goes on for the group's sake.
const UNPOLLED_LIMIT: Duration = Duration::from_secs(5);
/// A topic without partitions is asked after for the first time after this, and then at this interval.
const FIRST_PROBE: Duration = Duration::from_secs(2);
const NEXT_PROBE: Duration = Duration::from_secs(10);
/// What fails is tried again after about so long, doubling up to the limit.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LIMIT: Duration = Duration::from_secs(60);

/// Why the loop ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Ordered to.
    Close(Instant),
    /// The client is of no use any more.
    Rebuild(String),
}

/// One client and the loop around it. Everything that outlives a client is borrowed.
pub(super) struct Poller<'a> {
    pub context: &'a Arc<PollContext>,
    pub consumer: &'a BaseConsumer<PollContext>,
    pub mailbox: &'a Mailbox,
    pub outbox: &'a mut Outbox,
    pub stopping: &'a mut bool,
    pub runtime: &'a tokio::runtime::Handle,
    care: Vec<Care>,
    recheck: Option<Instant>,
    rechecks: Backoff,
    full_since: Option<Instant>,
    paused: Option<Pause>,
    /// Turns since anything happened.
    quiet_turns: u32,
}

/// Attempts at what one topic needs before it flows.
struct Care {
    again_at: Instant,
    backoff: Backoff,
    /// Whether partitions were waiting for their start at the last look.
    waiting: bool,
}

impl Care {
    fn new() -> Self {
        let backoff = Backoff::new(RETRY_FIRST, RETRY_LIMIT);
        Self { again_at: clock::now() + FIRST_PROBE, backoff, waiting: false }
    }

    /// Whether an attempt is due. Partitions that were just granted are looked up at once, whatever failed before.
    fn is_due(&mut self, waiting: bool) -> bool {
        let just_granted = waiting && !self.waiting;
        self.waiting = waiting;
        if just_granted {
            self.backoff.reset();
        }
        just_granted || clock::now() >= self.again_at
    }
}

/// All partitions are paused.
#[derive(Clone, Copy)]
enum Pause {
    /// Until this lane holds no more than so many bytes.
    Until(Slot, usize),
    /// For good: nothing is taken in any more.
    Stopping,
}

impl<'a> Poller<'a> {
    pub(super) fn new(
        context: &'a Arc<PollContext>,
        consumer: &'a BaseConsumer<PollContext>,
        mailbox: &'a Mailbox,
        outbox: &'a mut Outbox,
        stopping: &'a mut bool,
        runtime: &'a tokio::runtime::Handle,
    ) -> Self {
        Self {
            context,
            consumer,
            mailbox,
            outbox,
            stopping,
            runtime,
            care: context.topics.iter().map(|_| Care::new()).collect(),
            recheck: None,
            rechecks: Backoff::new(RETRY_FIRST, RETRY_LIMIT),
            full_since: None,
            paused: None,
            quiet_turns: 0,
        }
    }

    /// Runs until ordered to close or until the client is broken.
    pub(super) fn run(&mut self) -> Ended {
        loop {
            if let Some(deadline) = self.serve_orders() {
                return Ended::Close(deadline);
            }
            if let Some(why) = self.context.broken() {
                return Ended::Rebuild(why);
            }
            commits::send_due(self.context, self.consumer);
            if *self.stopping {
                self.serve_while_stopping();
                continue;
            }
            self.look_after_partitions();
            match self.outbox.hand_over() {
                Handed::Clear => self.take_turn(),
                Handed::Full(slot) => self.wait_for_room(slot),
                Handed::Gone => *self.stopping = true,
            }
        }
    }

    fn serve_orders(&mut self) -> Option<Instant> {
        let orders = self.mailbox.take();
        if !orders.commits.is_empty() {
            commits::wanted(self.context, &orders.commits);
        }
        *self.stopping |= orders.stop;
        orders.close
    }

    fn serve_while_stopping(&mut self) {
        if !matches!(self.paused, Some(Pause::Stopping)) {
            self.pause();
            self.paused = Some(Pause::Stopping);
            self.outbox.clear();
        }
        if let Some(error) = drain::serve_events(self.consumer, EVENT_TURN) {
            self.classify(&error);
        }
        self.context.table().take_events();
    }
}

/// Records.
impl Poller<'_> {
    fn take_turn(&mut self) {
        self.full_since = None;
        if let Some(Pause::Until(slot, level)) = self.paused {
            if self.context.topics[slot].lane.queued_bytes() > level {
                self.serve_paused();
                return;
            }
            self.resume();
        }
        let patience = if self.quiet_turns > SETTLED_TURNS { QUIET_TURN } else { TURN };
        let drained = drain::drain(self.context, self.consumer, patience);
        self.accept(drained);
    }

    fn accept(&mut self, drained: Drained) {
        if self.is_quiet(&drained) {
            return;
        }
        let shown = assign::shown(self.context, self.consumer);
        for (slot, batch) in drained.full {
            self.queue(slot, batch, None);
        }
        for (slot, batch) in drained.last {
            self.queue(slot, batch, Some(&shown));
        }
        for slot in 0..self.context.topics.len() {
            let moved = self.context.table().moved(slot, &shown);
            if !moved.is_empty() {
                self.context.health.moved(self.context.topics[slot].id, &moved);
                self.outbox.push(slot, LaneItem::Positions(moved));
            }
        }
        let told = self.context.table().take_events();
        self.outbox.extend(told);
        if let Some(error) = drained.error {
            self.classify(&error);
        }
    }

    /// Whether nothing happened in this turn, nor in those before it, and nobody needs to know where the client stands.
    fn is_quiet(&mut self, drained: &Drained) -> bool {
        let happened = !drained.is_idle() || drained.error.is_some() || self.context.table().has_events();
        self.quiet_turns = if happened { 0 } else { self.quiet_turns.saturating_add(1) };
        self.quiet_turns > SETTLED_TURNS && !self.quiet_turns.is_multiple_of(SELDOM)
    }

    fn queue(&mut self, slot: Slot, mut batch: quorate_core::record::RecordBatch, shown: Option<&[Placed]>) {
        let positions = self.context.table().after_batch(slot, &batch, shown);
        self.context.health.moved(self.context.topics[slot].id, &positions);
        batch.set_positions(positions);
        self.outbox.push(slot, LaneItem::Batch(batch));
    }

    fn wait_for_room(&mut self, slot: Slot) {
        if self.paused.is_some() {
            self.serve_paused();
            return;
        }
        let lane = &self.context.topics[slot].lane;
        let since = *self.full_since.get_or_insert_with(clock::now);
        if clock::since(since) < UNPOLLED_LIMIT {
            self.runtime.block_on(lane.wait_for_room(TURN));
            return;
        }
        let level = lane.queued_bytes() / 4;
        tracing::info!(topic = &*self.context.topics[slot].name, "lane stays full, partitions paused");
        self.pause();
        self.paused = Some(Pause::Until(slot, level));
    }

    /// Keeps the group's events flowing. A record that slipped through a pause is kept like any other.
    fn serve_paused(&mut self) {
        let drained = drain::drain(self.context, self.consumer, TURN);
        if drained.is_idle() && drained.error.is_none() {
            let told = self.context.table().take_events();
            self.outbox.extend(told);
        } else {
            self.accept(drained);
        }
    }

    fn pause(&self) {
        let partitions = self.native_partitions();
        self.context.table().set_paused(true);
        if let Err(error) = self.consumer.pause(&partitions) {
            tracing::debug!(group = &*self.context.group, %error, "partitions not paused");
        }
    }

    fn resume(&mut self) {
        self.paused = None;
        self.context.table().set_paused(false);
        let partitions = self.native_partitions();
        if let Err(error) = self.consumer.resume(&partitions) {
            self.context.give_up(format!("partitions not resumed: {error}"));
        }
    }

    fn native_partitions(&self) -> rdkafka::TopicPartitionList {
        let table = self.context.table();
        offsets::names(table.reading().map(|(slot, partition, _)| (&*self.context.topics[slot].name, partition)))
    }
}

/// Partitions, and what keeps them from flowing.
impl Poller<'_> {
    fn look_after_partitions(&mut self) {
        if self.recheck.is_some_and(|at| clock::now() >= at) {
            match assign::recheck(self.context, self.consumer) {
                Ok(()) => {
                    self.recheck = None;
                    self.rechecks.reset();
                }
                Err(trouble) => {
                    self.recheck = Some(self.rechecks.next_at());
                    tracing::warn!(group = &*self.context.group, %trouble, "positions not checked, trying again");
                }
            }
            let told = self.context.table().take_events();
            self.outbox.extend(told);
        }
        let mut beginnings = Vec::new();
        for slot in 0..self.context.topics.len() {
            let granted = !self.context.table().granted(slot).is_empty();
            if !self.care[slot].is_due(granted) {
                continue;
            }
            if granted {
                match lookup::look_up(self.context, self.consumer, slot) {
                    Ok(found) => beginnings.extend(found),
                    Err(trouble) => {
                        // It may have taken its whole time-out: the group is served before the next one.
                        self.fail(slot, trouble);
                        break;
                    }
                }
            } else if !self.context.table().holds(slot) && !self.probe(slot) {
                break;
            }
        }
        if beginnings.is_empty() {
            return;
        }
        match assign::begin(self.context, self.consumer, &beginnings) {
            Ok(items) => {
                for (slot, _) in &items {
                    self.care[*slot].backoff.reset();
                }
                self.outbox.extend(items);
                if matches!(self.paused, Some(Pause::Until(..))) {
                    self.pause();
                }
            }
            Err(error) => self.context.give_up(format!("assignment: {error}")),
        }
    }

    /// Asks whether a topic without partitions exists at all; false when not. The new group protocol says nothing of missing
    /// topics.
    fn probe(&mut self, slot: Slot) -> bool {
        match lookup::partition_count(self.consumer, &self.context.topics[slot].name) {
            Err(trouble) => {
                self.fail(slot, trouble);
                false
            }
            Ok(count) => {
                let id = self.context.topics[slot].id;
                self.context.health.update(id, |health| health.partition_count = Some(count));
                self.context.health.enter(id, TopicState::Connecting);
                self.care[slot].backoff.reset();
                self.care[slot].again_at = clock::now() + NEXT_PROBE;
                true
            }
        }
    }

    /// Names the topic that fails, once per state in the log, and tries again later.
    fn fail(&mut self, slot: Slot, trouble: Trouble) {
        let SubscribedTopic { id, name, .. } = &self.context.topics[slot];
        let pause = self.care[slot].backoff.next();
        self.care[slot].again_at = clock::now() + pause;
        let group = &*self.context.group;
        if self.context.health.enter(*id, TopicState::Failed(trouble.clone())) {
            tracing::warn!(topic = &**name, group, %trouble, retry_in = ?pause, "topic failed, others go on");
        } else {
            tracing::debug!(topic = &**name, group, %trouble, retry_in = ?pause, "topic still fails");
        }
    }

    fn classify(&mut self, error: &KafkaError) {
        let trouble = Trouble::of(error).explained(self.context.take_reason());
        let group = &*self.context.group;
        match trouble.kind {
            TroubleKind::OutOfRange => self.recheck = Some(clock::now()),
            TroubleKind::Missing | TroubleKind::TopicDenied | TroubleKind::Halted => {
                for slot in self.named_in(&trouble.detail) {
                    self.fail(slot, trouble.clone());
                }
            }
            TroubleKind::GroupDenied | TroubleKind::LoginRefused => {
                for slot in 0..self.context.topics.len() {
                    if !self.context.table().holds(slot) {
                        self.fail(slot, trouble.clone());
                    }
                }
            }
            TroubleKind::Unreachable => tracing::info!(group, %trouble, "broker not reachable, the client retries"),
            TroubleKind::PolledTooLate => tracing::error!(group, %trouble, "polled too late, rejoining the group"),
            TroubleKind::Corrupt => tracing::error!(group, %trouble, "records skipped, their batch is corrupt"),
            TroubleKind::Fenced | TroubleKind::Fatal => self.context.give_up(trouble.to_string()),
            TroubleKind::Other => tracing::warn!(group, %trouble, "consumer error"),
        }
    }

    /// The library's error values carry no topic, its words do. Without either, every topic that does not flow.
    fn named_in(&self, words: &str) -> Vec<Slot> {
        let topics = &self.context.topics;
        let is_part_of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let named = words.split(|c| !is_part_of_name(c)).map(|word| word.trim_end_matches('.'));
        let slots: Vec<Slot> = named.filter_map(|word| super::intake::slot_of(topics, word)).collect();
        if !slots.is_empty() {
            return slots;
        }
        let table = self.context.table();
        (0..topics.len()).filter(|slot| !table.holds(*slot)).collect()
    }
}
