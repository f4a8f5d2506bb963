//! Parts of a topic that are not ours, or came back and were not read yet: modules that need it wait from the moment on
//! in which that is known, and go on once everything read elsewhere meanwhile has been read here.

use std::time::Duration;

use quorate_core::ident::TopicId;
use tracing::{info, warn};

use super::router::{Head, LOAD_PATIENCE, Lane, Router, topic_id};
use super::shard_task::ToShard;

impl Router {
    /// Looks what modules have to wait for, also past what waits in the lanes: that a part is missing counts at once. That
    /// none is counts in its turn, behind the assignments that brought it back; where its turn never comes, because the
    /// lane waits for the very modules that wait for it, it counts at once, too.
    pub(super) async fn heed_parts(&mut self, heads: &[Head]) {
        for (topic, head) in (0..).map(TopicId).zip(heads) {
            let is_read = self.progress.is_loaded(topic);
            let waits_for_modules = matches!(head, Head::Owes);
            let lane = &mut self.lanes[topic.ix()];
            lane.split = lane.receiver.is_partial() || (lane.split && !waits_for_modules);
            let is_unread = lane.loaded && !is_read && !lane.given_up && !waits_for_modules;
            let partial = lane.split || is_unread;
            if std::mem::replace(&mut lane.partial, partial) != partial {
                self.tell_all(|| ToShard::Split(topic, partial)).await;
            }
            if self.lanes[topic.ix()].is_to_load(is_read) {
                self.lanes[topic.ix()].loaded = true;
                info!(topic = &*self.plan.topic(topic).name, "state loaded");
                self.tell_all(|| ToShard::Loaded(topic)).await;
            }
        }
    }

    /// Gives up on topics of which nothing more can be read that modules wait for. Called once per flush interval.
    pub(super) async fn stop_waiting_for_silent_topics(&mut self, heads: &[Head]) {
        for (lane, head) in heads.iter().enumerate() {
            let topic = topic_id(lane);
            let read = self.progress.loading(topic).map(|loading| loading.read);
            let is_read = self.progress.is_loaded(topic);
            let lane = &mut self.lanes[lane];
            // What waits in the lane was read, and takes as long as it takes.
            let moves = std::mem::replace(&mut lane.read, read) != read || head.holds_records();
            if (lane.loaded && is_read) || lane.given_up || moves {
                lane.silent = Duration::ZERO;
                continue;
            }
            lane.silent += self.flush_interval;
            if lane.silent <= LOAD_PATIENCE {
                continue;
            }
            lane.given_up = true;
            let name = &*self.plan.topic(topic).name;
            if !std::mem::replace(&mut lane.loaded, true) {
                warn!(topic = name, "not readable for 60 s, modules no longer wait for its state");
                self.tell_all(|| ToShard::Loaded(topic)).await;
            } else {
                warn!(topic = name, "not readable for 60 s, modules no longer wait for what was read elsewhere");
            }
        }
    }
}

impl Lane {
    /// Whether shards are to hear now that the topic is loaded.
    fn is_to_load(&self, is_read: bool) -> bool {
        !self.loaded && is_read && !self.split
    }
}
