//! What is handed over one by one: closed buckets, and readings of which each is a run of its own. Where state is kept
//! durably nothing of it is handed over before it is.

use std::collections::VecDeque;

use super::Shard;
use super::run::Pending;
use crate::ident::{Millis, ModuleId, Station, TopicId};
use crate::provenance::Origin;
use crate::window::{Arriving, Handed};

/// One place in a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    pub(super) station: u32,
    pub(super) module: ModuleId,
    pub(super) number: u64,
}

/// What came into queues and left them since changes were last taken, and what was given out since.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// Whether somebody keeps it durably. Without, nothing is noted here.
    pub(super) durable: bool,
    pub(super) came: Vec<Queued>,
    pub(super) went: Vec<(Station, ModuleId, u64)>,
    /// The number of the next thing in any queue: a place whose station was forgotten must not use one again.
    pub(super) next: u64,
    /// Per set of changes that was given out and is not known to be durable.
    pub(super) given: VecDeque<Vec<Queued>>,
    /// Whether readings that each are a run of their own are among it: somebody waits for these.
    pub(super) hurried: bool,
}

impl Shard {
    /// States that changes are kept durably: what they hold is not settled by any run, and what is handed over one by
    /// one waits for [`Shard::flushed`].
    pub fn keep_durably(&mut self) {
        self.queues.durable = true;
    }

    /// What an earlier life kept of a topic is gone. Its positions passed buckets that were open: of each station's buckets
    /// that are only loaded the newest is handed over, once more and the same if it was before.
    pub(super) fn windows_were_lost(&mut self, topic: &str) {
        if let Some(topic) = self.plan.topic_id(topic) {
            self.topics[topic.ix()].lost = true;
        }
    }

    /// The oldest changes that were taken and not confirmed are durable.
    pub fn flushed(&mut self, now: Millis) {
        for Queued { station, module, number } in self.queues.given.pop_front().unwrap_or_default() {
            let run = self.stations[station as usize].runs.get_mut(module.ix());
            if let Some(pending) = run.and_then(|run| run.pending(number)) {
                pending.ready = true;
                self.turn += 1;
                self.consider(station, module, None, now);
            }
        }
    }

    /// Whether something waits for nothing but to become durable.
    #[must_use]
    pub fn waits_for_flush(&self) -> bool {
        let Queues { came, given, .. } = &self.queues;
        !came.is_empty() || given.iter().any(|given| !given.is_empty())
    }

    /// Whether that is a reading of which each is a run, or one of these has ended: the sooner it is durable the sooner
    /// the next one starts.
    #[must_use]
    pub fn is_hurried(&self) -> bool {
        self.queues.hurried
    }

    /// How much of a topic waits to be handed over one by one: a bucket is one, a reading one for every 16 KiB that
    /// it begins.
    #[must_use]
    pub fn backlog(&self, topic: TopicId) -> usize {
        self.due.backlog(topic)
    }

    /// Puts something at the end of a queue.
    pub(super) fn enqueue(
        &mut self,
        (station, module): (u32, ModuleId),
        topic: TopicId,
        (what, key): (Handed, Option<u128>),
        owed: Option<Origin>,
    ) {
        let state = &mut self.stations[station as usize];
        let number = self.queues.next;
        self.queues.next += 1;
        let ready = !self.queues.durable;
        self.due.enqueue(state, module, Pending { number, topic, what, owed, ready, key });
        if self.queues.durable {
            self.queues.came.push(Queued { station, module, number });
            self.queues.hurried |= self.due.is_each(module);
        }
    }

    /// Drops the oldest of a queue; false when there is none.
    pub(super) fn drop_pending(&mut self, station: u32, module: ModuleId) -> bool {
        let dropped = self.due.drop_pending(&mut self.stations[station as usize], module);
        dropped.inspect(|pending| self.note_gone(station, module, pending.number)).is_some()
    }

    /// Notes that something left its queue for good.
    pub(super) fn note_gone(&mut self, station: u32, module: ModuleId, number: u64) {
        if self.queues.durable {
            let station = self.stations[station as usize].id.clone();
            self.queues.went.push((station, module, number));
            self.queues.hurried |= self.due.is_each(module);
        }
    }

    /// A live reading is a run of its own for every module that asked for each.
    pub(super) fn enqueue_each(
        &mut self,
        whose: Option<u32>,
        topic: TopicId,
        arriving: &Arriving<'_>,
        origin: Origin,
        now: Millis,
    ) {
        let of = &self.topics[topic.ix()];
        // A record that is read once more, after its partition came back, is in the queue or done.
        let again = of.applied.get(&origin.partition).is_some_and(|&applied| origin.offset <= applied);
        let crate::decode::Body::Text(text) = arriving.body else { return };
        if again {
            return;
        }
        let what = Handed::reading(&of.windows, arriving.time, arriving.origin, text);
        for station in self.stations_of(whose) {
            if !self.stations[station as usize].known {
                continue;
            }
            for at in 0..self.topics[topic.ix()].each.len() {
                let module = self.topics[topic.ix()].each[at];
                let key = self.once_key(&self.stations[station as usize].id, module, &what);
                if !self.pass_over(module, key, now) {
                    self.enqueue((station, module), topic, (what.clone(), key), Some(origin));
                }
            }
        }
    }
}
