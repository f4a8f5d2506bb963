//! Clocks of topics that stand still, begin with a backlog or lack a part: their buckets close by the times of their
//! records and not by the wall.

use quorate_core::ident::TopicId;

use super::router::{Head, Router, topic_id};
use super::shard_task::ToShard;

impl Router {
    /// While a lane stands still its topic's clock does, too: buckets must not close over records that wait in it.
    pub(super) async fn hold_clocks(&mut self, heads: &[Head]) {
        for lane in
            (0..heads.len()).filter(|&lane| matches!(heads[lane], Head::Owes | Head::Stopped | Head::StandsStill))
        {
            let newest = self.progress.newest(topic_id(lane));
            if let Some(newest) = newest.filter(|_| !self.lanes[lane].behind) {
                self.lanes[lane].behind = true;
                self.tell_all(|| ToShard::Behind(topic_id(lane), newest)).await;
            }
        }
    }

    /// A topic that begins with a backlog, or of which a part was taken away, follows its own clock from that moment on:
    /// buckets must not close by the wall clock over records that belong in them and are still to come.
    pub(super) async fn follow_clock(&mut self, topic: TopicId) {
        match self.progress.event_clock(topic) {
            Some(clock) => {
                self.lanes[topic.ix()].behind = true;
                self.tell_all(|| ToShard::Behind(topic, clock)).await;
            }
            None => self.catch_up(topic).await,
        }
    }

    /// A topic that is read to its end follows the wall clock.
    pub(super) async fn catch_up(&mut self, topic: TopicId) {
        if self.lanes[topic.ix()].behind && self.progress.event_clock(topic).is_none() {
            self.lanes[topic.ix()].behind = false;
            self.tell_all(|| ToShard::CaughtUp(topic)).await;
        }
    }
}
