//! What topics and partitions need before records flow, and what keeps them from flowing: starts are looked up, missing and
//! denied topics tried again, errors sorted, a topic's id and its other owners kept in sight.

use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;

use super::super::backoff::Backoff;
use super::super::broken::BrokenKind;
use super::super::errors::{Trouble, TroubleKind};
use super::super::health::TopicState;
use super::super::intake::{Slot, SubscribedTopic, slot_of};
use super::super::ownership::{self, Doubt};
use super::super::{assign, clock, lookup};
use super::Poller;
use crate::pipeline::ports::LaneItem;

/// A topic without partitions is asked after for the first time after this, and then at this interval.
const FIRST_PROBE: Duration = Duration::from_secs(2);
const NEXT_PROBE: Duration = Duration::from_secs(10);
/// What fails is tried again after about so long, doubling up to the limit.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LIMIT: Duration = Duration::from_secs(60);
/// How often is looked whether the topics are ours alone.
const CENSUS: Duration = Duration::from_secs(1);

/// Attempts at what one topic needs before it flows.
pub(super) struct Care {
    again_at: Instant,
    backoff: Backoff,
    /// Whether partitions were waiting for their start at the last look.
    waiting: bool,
}

impl Care {
    pub(super) fn new() -> Self {
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

/// Looks at all positions, when one of them is said to be out of range.
pub(super) struct Rechecks {
    at: Option<Instant>,
    backoff: Backoff,
}

impl Rechecks {
    pub(super) fn new() -> Self {
        Self { at: None, backoff: Backoff::new(RETRY_FIRST, RETRY_LIMIT) }
    }
}

/// Partitions, and what keeps them from flowing.
impl Poller<'_> {
    pub(super) fn look_after_partitions(&mut self) {
        if self.rechecks.at.is_some_and(|at| clock::now() >= at) {
            match assign::recheck(self.context, self.consumer) {
                Ok(()) => self.rechecks = Rechecks::new(),
                Err(trouble) => {
                    self.rechecks.at = Some(self.rechecks.backoff.next_at());
                    tracing::warn!(group = &*self.context.group, %trouble, "positions not checked, trying again");
                }
            }
            self.pause_again();
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
                self.pause_again();
            }
            Err(error) => self.context.give_up(BrokenKind::Failed, format!("assignment: {error}")),
        }
    }

    /// Asks whether a topic without partitions exists at all; false when not. The new group protocol says nothing of missing
    /// topics.
    fn probe(&mut self, slot: Slot) -> bool {
        match lookup::partition_count(self.context, self.consumer, &self.context.topics[slot].name) {
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

    pub(super) fn classify(&mut self, error: &KafkaError) {
        let trouble = Trouble::of(error).explained(self.context.take_reason());
        let group = &*self.context.group;
        match trouble.kind {
            TroubleKind::OutOfRange => self.rechecks.at = Some(clock::now()),
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
            TroubleKind::Unreachable if self.context.tells_unreachable() => {
                tracing::info!(group, %trouble, "broker not reachable, the client retries");
            }
            TroubleKind::Unreachable => tracing::debug!(group, %trouble, "broker still not reachable"),
            TroubleKind::PolledTooLate => tracing::error!(group, %trouble, "polled too late, rejoining the group"),
            TroubleKind::Corrupt => self.fetch_again(&trouble),
            TroubleKind::Fenced => self.context.give_up(BrokenKind::Fenced, trouble.to_string()),
            TroubleKind::Unreleased => self.context.give_up(BrokenKind::Unreleased, trouble.to_string()),
            TroubleKind::Fatal => self.context.give_up(BrokenKind::Fatal, trouble.to_string()),
            TroubleKind::Other => tracing::warn!(group, %trouble, "consumer error"),
        }
    }

    /// The library's error values carry no topic, its words do. Without either, every topic that does not flow.
    fn named_in(&self, words: &str) -> Vec<Slot> {
        let topics = &self.context.topics;
        let is_part_of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let named = words.split(|c| !is_part_of_name(c)).map(|word| word.trim_end_matches('.'));
        let slots: Vec<Slot> = named.filter_map(|word| slot_of(topics, word)).collect();
        if !slots.is_empty() {
            return slots;
        }
        let table = self.context.table();
        (0..topics.len()).filter(|slot| !table.holds(*slot)).collect()
    }
}

/// Topics: whether they are still the same, and ours alone.
impl Poller<'_> {
    pub(super) fn look_after_topics(&mut self) {
        let mut outlived = Vec::new();
        for (slot, described) in self.watch.turn(self.context, self.consumer) {
            let id = self.context.topics[slot].id;
            self.context.health.update(id, |health| health.partition_count = Some(described.partitions));
            outlived.extend(self.context.table().outlived(slot, described.id).into_iter().map(|of| (slot, of)));
        }
        if !outlived.is_empty() {
            if let Err(error) = assign::begin_anew(self.context, self.consumer, &outlived) {
                self.context.give_up(BrokenKind::Failed, format!("assignment: {error}"));
            }
            self.pause_again();
            let told = self.context.table().take_events();
            self.outbox.extend(told);
        }
        if clock::now() >= self.next_census {
            self.next_census = clock::now() + CENSUS;
            (0..self.context.topics.len()).for_each(|slot| self.take_census(slot));
        }
    }

    /// Looks whether the whole topic is ours; a part that stays away is asked after.
    fn take_census(&mut self, slot: Slot) {
        let SubscribedTopic { id, name, .. } = &self.context.topics[slot];
        let count = self.context.health.partition_count(*id);
        let mut table = self.context.table();
        let (held, ownership) = table.ownership(slot, count);
        let doubt = ownership.doubt(held, clock::now(), self.context.timing.split_after);
        drop(table);
        let changed = match doubt {
            Doubt::None => None,
            Doubt::Settled => Some(false),
            Doubt::Ask => {
                let ours = self.context.table().ours(slot);
                let others = ownership::others(self.context, self.consumer, name, &ours);
                self.context.table().ownership(slot, count).1.told(held, others)
            }
        };
        let other = self.context.table().ownership(slot, count).1.split_with().cloned();
        let group = &*self.context.group;
        match (changed, &other) {
            (Some(true), Some(other)) => tracing::error!(
                topic = &**name,
                group,
                held = held.granted,
                of = count,
                other = &**other,
                "partitions of the topic belong to somebody else, so no input can be complete: stop the other process, or \
                 give it a group_id of its own"
            ),
            (Some(_), _) => tracing::info!(topic = &**name, group, "the topic is not shared any more"),
            (None, _) => {}
        }
        if let Some(other) = other {
            self.context.health.enter_unless_failing(*id, TopicState::SplitOwnership(other));
        } else if changed.is_some() {
            let flows = held.reading > 0;
            let state = if flows { TopicState::Assigned } else { TopicState::Connecting };
            self.context.health.enter_unless_failing(*id, state);
        }
        if let Some(is_missing) = assign::part(self.context, slot) {
            self.outbox.push(slot, LaneItem::Split(is_missing));
        }
    }
}
