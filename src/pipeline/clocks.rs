//! Clocks of topics that stand still or begin with a backlog: their buckets close by the times of their records and not
//! by the wall.

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

    /// A topic that begins with a backlog follows its own clock from the start: buckets that an earlier life left open
    /// must not close by the wall clock over records that belong in them.
    pub(super) async fn hold_clock(&mut self, topic: TopicId) {
        if let Some(clock) = self.progress.event_clock(topic) {
            self.lanes[topic.ix()].behind = true;
            self.tell_all(|| ToShard::Behind(topic, clock)).await;
        }
    }
}
