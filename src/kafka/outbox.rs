//! What a consumer's thread still has to hand to its lanes. It never blocks: an item waits here until its lane has
//! room, and nothing is polled for a topic while something waits.

use std::collections::VecDeque;
use std::sync::Arc;

use super::health::ConsumerHealth;
use super::intake::{Slot, SubscribedTopic};
use crate::pipeline::lane::Room;
use crate::pipeline::ports::LaneItem;

/// Items waiting for room, in order per topic.
pub(super) struct Outbox {
    topics: Arc<[SubscribedTopic]>,
    health: Arc<ConsumerHealth>,
    waiting: Vec<VecDeque<LaneItem>>,
}

impl Outbox {
    pub(super) fn new(topics: Arc<[SubscribedTopic]>, health: Arc<ConsumerHealth>) -> Self {
        let waiting = topics.iter().map(|_| VecDeque::new()).collect();
        Self { topics, health, waiting }
    }

    pub(super) fn push(&mut self, slot: Slot, item: LaneItem) {
        if let LaneItem::Split(partial) = &item {
            self.topics[slot].lane.announce(*partial);
        }
        self.waiting[slot].push_back(item);
    }

    pub(super) fn extend(&mut self, items: impl IntoIterator<Item = (Slot, LaneItem)>) {
        for (slot, item) in items {
            self.push(slot, item);
        }
    }

    /// Drops what waits: the pipeline takes nothing more.
    pub(super) fn clear(&mut self) {
        self.waiting.iter_mut().for_each(VecDeque::clear);
    }

    /// Hands over what fits.
    pub(super) fn hand_over(&mut self) -> Handed {
        let mut handed = Handed::Clear;
        for (slot, waiting) in self.waiting.iter_mut().enumerate() {
            let topic = &self.topics[slot];
            while let Some(item) = waiting.pop_front() {
                match topic.lane.room() {
                    Room::Free => self.health.update(topic.id, |health| {
                        if let LaneItem::Batch(batch) = &item {
                            health.batches += 1;
                            health.records += batch.len() as u64;
                        }
                    }),
                    Room::Full => {
                        waiting.push_front(item);
                        break;
                    }
                    Room::Closed => return Handed::Gone,
                }
                // The lane has room and this thread is its only sender, so this returns at once.
                if !futures::executor::block_on(topic.lane.send(item)) {
                    return Handed::Gone;
                }
            }
            match topic.lane.room() {
                Room::Free => {}
                Room::Full => handed = Handed::Full(slot),
                Room::Closed => return Handed::Gone,
            }
        }
        handed
    }
}

/// How the lanes stand after handing over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handed {
    /// Every lane has room.
    Clear,
    /// This topic's lane has none.
    Full(Slot),
    /// The pipeline is gone.
    Gone,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quorate_core::ident::{Epoch, Millis, Offset, TopicId};
    use quorate_core::record::RecordBatch;
    use tokio::sync::Notify;

    use super::*;
    use crate::config::{Purpose, from_str};
    use crate::pipeline::lane::lane;

    const CONFIG: &str = r#"
        [kafka]
        bootstrap_servers = ["localhost:9092"]
        [kafka.consumer]
        group_id = "test"
        [topics.T]
        station = "/s"
        [modules.m]
        requires = ["T"]
    "#;

    #[test]
    fn a_word_about_a_missing_part_is_heard_although_it_waits_behind_a_full_lane() {
        let loaded = from_str("test.toml", CONFIG, Purpose::service(&[("m", "1")]));
        let settings = loaded.unwrap_or_else(|report| panic!("{}", report.plain())).settings;
        let (sender, receiver) = lane(1, Arc::new(Notify::new()));
        let topic = SubscribedTopic {
            id: TopicId(0),
            name: "T".into(),
            settings: settings.topics[0].clone(),
            reload: false,
            standings: Arc::default(),
            client: Arc::new(settings.client),
            lane: sender,
        };
        let topics: Arc<[SubscribedTopic]> = vec![topic].into();
        let mut outbox = Outbox::new(topics, Arc::new(ConsumerHealth::new(vec![None])));
        let mut batch = RecordBatch::new(TopicId(0));
        batch.push((0, Offset(0), Epoch(1)), Millis(0), None, Some(b"{}")).expect("room");
        outbox.push(0, LaneItem::Batch(batch));
        outbox.push(0, LaneItem::Split(true));
        assert_eq!(outbox.hand_over(), Handed::Full(0));
        assert!(receiver.is_partial());
        outbox.push(0, LaneItem::Split(false));
        assert!(!receiver.is_partial(), "what was said last counts");
    }
}
