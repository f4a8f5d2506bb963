//! The loop of one consumer's thread: serve orders, look after partitions and commits, hand batches over, poll.
//! It never waits for anything but its lane and the client, and for both only briefly.

mod care;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::backoff::Backoff;
use super::broken::{Broken, BrokenKind};
use super::context::PollContext;
use super::drain::{self, Drained};
use super::errors::Trouble;
use super::health::TopicState;
use super::intake::Slot;
use super::mailbox::Mailbox;
use super::outbox::{Handed, Outbox};
use super::table::Placed;
use super::watch::TopicWatch;
use super::{assign, clock, commits, offsets, told};
use crate::fault::kill_point;
use crate::pipeline::ports::LaneItem;
use care::{Care, Rechecks};

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

/// What arrived damaged is fetched again after about so long, doubling up to the limit: it may be damaged at the broker.
const DAMAGED_FIRST: Duration = Duration::from_millis(100);
const DAMAGED_LIMIT: Duration = Duration::from_secs(30);
/// Without damage for so long, the next one is a new one.
const DAMAGED_OVER: Duration = Duration::from_secs(90);

/// Why the loop ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Ordered to.
    Close(Instant),
    /// The client is of no use any more.
    Broken(Broken),
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
    rechecks: Rechecks,
    damaged: Backoff,
    /// When something last arrived damaged.
    damaged_at: Option<Instant>,
    watch: TopicWatch<'a>,
    next_census: Instant,
    full_since: Option<Instant>,
    paused: Option<Pause>,
    /// Turns since anything happened.
    quiet_turns: u32,
}

/// All partitions are paused.
#[derive(Clone, Copy)]
enum Pause {
    /// Until this lane holds no more than so many bytes.
    Until(Slot, usize),
    /// Until this moment: what arrived damaged is fetched again then.
    Damaged(Instant),
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
            rechecks: Rechecks::new(),
            damaged: Backoff::new(DAMAGED_FIRST, DAMAGED_LIMIT),
            damaged_at: None,
            watch: TopicWatch::new(context.timing.topic_check),
            next_census: clock::now(),
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
            if let Some(broken) = self.context.broken() {
                return Ended::Broken(broken);
            }
            commits::send_due(self.context, self.consumer);
            if *self.stopping {
                self.serve_while_stopping();
                continue;
            }
            self.look_after_topics();
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
        let stays_paused = match self.paused {
            Some(Pause::Until(slot, level)) => self.context.topics[slot].lane.queued_bytes() > level,
            Some(Pause::Damaged(until)) => clock::now() < until,
            Some(Pause::Stopping) | None => false,
        };
        if stays_paused {
            self.serve_paused();
            return;
        }
        match self.paused {
            Some(Pause::Damaged(_)) => self.assign_again(),
            Some(_) => self.resume(),
            None => {}
        }
        let patience = if self.quiet_turns > SETTLED_TURNS { QUIET_TURN } else { TURN };
        let drained = drain::drain(self.context, self.consumer, patience);
        if !drained.is_idle() {
            kill_point("after_poll");
        }
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

    /// A batch arrived damaged. Whether the client would pass it over or not: after a pause everything is fetched again
    /// from where it was polled to, which is before that batch, for an error ends its turn.
    fn fetch_again(&mut self, trouble: &Trouble) {
        if *self.stopping {
            return;
        }
        // Records of other partitions are no sign that this one is well again.
        let is_new = self.damaged_at.is_none_or(|at| clock::since(at) > DAMAGED_OVER);
        if is_new {
            self.damaged.reset();
        }
        self.damaged_at = Some(clock::now());
        let pause = self.damaged.next();
        tracing::error!(group = &*self.context.group, %trouble, retry_in = ?pause, "a batch is corrupt, fetching it again");
        self.pause();
        self.paused = Some(Pause::Damaged(clock::now() + pause));
    }

    /// Whether nothing happened in this turn, nor in those before it, and nobody needs to know where the client stands.
    fn is_quiet(&mut self, drained: &Drained) -> bool {
        let happened = !drained.is_idle() || drained.error.is_some() || self.context.table().has_events();
        self.quiet_turns = if happened { 0 } else { self.quiet_turns.saturating_add(1) };
        self.quiet_turns > SETTLED_TURNS && !self.quiet_turns.is_multiple_of(SELDOM)
    }

    fn queue(&mut self, slot: Slot, mut batch: quorate_core::record::RecordBatch, shown: Option<&[Placed]>) {
        let positions = self.context.table().after_batch(slot, &batch, shown);
        let topic = &self.context.topics[slot];
        let id = topic.id;
        told::received(topic, &batch);
        self.context.health.moved(id, &positions);
        if self.context.health.is_failing(id) {
            // Records flow again, so whatever was wrong is over.
            self.context.health.enter(id, TopicState::Assigned);
        }
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

    /// Assigning resumes what is assigned.
    fn pause_again(&self) {
        if matches!(self.paused, Some(Pause::Until(..) | Pause::Damaged(_))) {
            self.pause();
        }
    }

    fn resume(&mut self) {
        self.paused = None;
        self.context.table().set_paused(false);
        let partitions = self.native_partitions();
        if let Err(error) = self.consumer.resume(&partitions) {
            self.context.give_up(BrokenKind::Failed, format!("partitions not resumed: {error}"));
        }
    }

    /// Drops what the client has fetched, and goes on where the table says; the client's own place may be another one.
    fn assign_again(&mut self) {
        self.paused = None;
        self.context.table().set_paused(false);
        if let Err(error) = assign::begin_anew(self.context, self.consumer, &[]) {
            self.context.give_up(BrokenKind::Failed, format!("partitions not fetched again: {error}"));
        }
    }

    fn native_partitions(&self) -> rdkafka::TopicPartitionList {
        let table = self.context.table();
        offsets::names(table.reading().map(|(slot, partition, _)| (&*self.context.topics[slot].name, partition)))
    }
}
