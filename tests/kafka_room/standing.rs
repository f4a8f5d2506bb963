//! Where reading begins when something is durable, and what the group is told of it.

use std::sync::Arc;

use quorate::pipeline::durable::{Standings, StoredPosition};
use quorate::pipeline::ports::{Commit, Consumers};
use quorate_core::ident::{NextOffset, TopicId};
use rdkafka::topic_partition_list::Offset;

use super::{Onlooker, PATIENCE, Room, broker_with, consumer, produce, topic};

/// Standings of partition 0 of topic T.
fn standing_at(next: i64) -> Arc<Standings> {
    let standings = Standings::default();
    let next = NextOffset(next);
    standings.flushed([StoredPosition {
        topic: "T".into(),
        partition: 0,
        incarnation: 4,
        topic_id: None,
        next,
        live_from: next,
    }]);
    Arc::new(standings)
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_begins_at_the_durable_position_and_the_group_follows_forward_only() {
    // What the group has committed: nothing (deleted, or expired), less, and more than we know of.
    for (committed, foreign) in [(None, 0), (Some(2), 0), (Some(8), 1)] {
        let broker = broker_with(&[("T", 1)]);
        produce(broker.servers(), "T", 0, (0..8).map(|i| i.to_string()));
        let group = Onlooker::of(&broker, "g-T");
        if let Some(committed) = committed {
            group.commit("T", committed);
        }
        let consumers = vec![consumer(broker.servers(), "g-T", &[0])];
        let mut room = Room::start_at(&["T"], vec![topic(100)], consumers, standing_at(5));
        let at = room.assigned(0).await[0];
        assert_eq!((at.start, at.live_from, at.incarnation), (NextOffset(5), NextOffset(5), 4));
        assert_eq!(room.batches(0, 3).await[0].rows()[0].offset.0, 5);
        assert_eq!(room.consumers.health().snapshot()[0].foreign_progress, foreign);

        room.consumers.commit(&[Commit { topic: TopicId(0), partition: 0, epoch: at.epoch, next: NextOffset(6) }]);
        room.consumers.close(PATIENCE).await;
        let expected = committed.unwrap_or(6).max(6);
        assert_eq!(group.committed("T", 0), Offset::Offset(expected), "from {committed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_before_the_durable_position_is_another_life() {
    let broker = broker_with(&[("T", 1)]);
    produce(broker.servers(), "T", 0, (0..3).map(|i| i.to_string()));
    let consumers = vec![consumer(broker.servers(), "g-T", &[0])];
    let mut room = Room::start_at(&["T"], vec![topic(100)], consumers, standing_at(500));
    let at = room.assigned(0).await[0];
    assert_eq!((at.start, at.live_from, at.incarnation), (NextOffset(0), NextOffset(0), 5));
    room.batches(0, 3).await;
    assert_eq!(room.consumers.health().snapshot()[0].renewals, 1);
    room.consumers.close(PATIENCE).await;
}
