//! Parts of a topic that are not ours: modules that need it wait from the moment on in which that is known, and go on
//! once everything read meanwhile has been heard of.

use quorate_core::ident::TopicId;

use super::router::{Head, Router};
use super::shard_task::ToShard;

impl Router {
    /// Tells the shards whether a part of a topic is missing. What a lane says in its turn may be no longer so.
    pub(super) async fn tell_part(&mut self, topic: TopicId, partial: bool) {
        let partial = partial || self.lanes[topic.ix()].receiver.is_partial();
        if std::mem::replace(&mut self.lanes[topic.ix()].partial, partial) != partial {
            self.tell_all(|| ToShard::Split(topic, partial)).await;
        }
    }

    /// Looks past what waits in the lanes. That a part is missing counts at once. That none is counts in its turn, behind
    /// the assignments that brought it back; where its turn never comes, because the lane waits for the very modules
    /// that wait for it, it counts at once, too.
    pub(super) async fn heed_parts(&mut self, heads: &[Head]) {
        for (topic, head) in (0..).map(TopicId).zip(heads) {
            let lane = &self.lanes[topic.ix()];
            let partial = lane.receiver.is_partial();
            if partial != lane.partial && (partial || matches!(head, Head::Owes)) {
                self.tell_part(topic, partial).await;
            }
        }
    }
}
