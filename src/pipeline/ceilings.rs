//! Ceilings: how far records of a partition may be applied before that is on record. After a crash nobody is called
//! until every partition has been read so far again, so that no result is older than one that was published before.

use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::ident::{NextOffset, Offset, Partition, TopicId};
use quorate_core::plan::Plan;
use quorate_core::progress::{Cut, Progress};
use tokio::sync::{Notify, mpsc};

use super::broken::Broken;
use super::durable::{Standings, StateStore, StoredCeiling};

/// Ceilings that may wait to be written: several for each partition there is.
const QUEUE: usize = 4096;

/// The router's end: asks for ceilings, and says what they admit.
pub(super) struct Ceilings {
    plan: Arc<Plan>,
    standings: Arc<Standings>,
    /// How far a ceiling lies ahead.
    ahead: i64,
    asked: HashMap<(TopicId, Partition), NextOffset>,
    writer: mpsc::Sender<StoredCeiling>,
}

/// What a ceiling says of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// All of it may be applied.
    Admitted,
    /// Not before a ceiling is raised, which has been asked for.
    Waits,
    /// Not before the partition's position is on record.
    Unflushed,
}

impl Ceilings {
    /// Whether a batch that reaches up to `last` of a partition may be applied.
    pub(super) fn admits(&mut self, progress: &Progress, topic: TopicId, last: &[(Partition, Offset)]) -> Admission {
        let mut admission = Admission::Admitted;
        for &(partition, last) in last {
            // Of an assignment that is over nothing is applied.
            let Some(life) = progress.incarnation(topic, partition) else { continue };
            let standing = self.standings.of(&self.plan.topic(topic).name, partition);
            let Some(standing) = standing.filter(|standing| standing.position.incarnation == life) else {
                return Admission::Unflushed;
            };
            let left = standing.ceiling.map_or(0, |ceiling| ceiling.0 - last.next().0);
            if standing.ceiling.is_none_or(|ceiling| !ceiling.covers(last)) {
                admission = Admission::Waits;
            }
            // Half of it is used: the next one is there before it is felt.
            if admission == Admission::Waits || left < self.ahead / 2 {
                self.ask(topic, partition, life, NextOffset(last.next().0.saturating_add(self.ahead)));
            }
        }
        admission
    }

    fn ask(&mut self, topic: TopicId, partition: Partition, incarnation: u32, at: NextOffset) {
        let asked = self.asked.entry((topic, partition)).or_insert(NextOffset(0));
        let unanswered = self.ahead / 4;
        if at.0.saturating_sub(asked.0).abs() > unanswered {
            let topic = Arc::clone(&self.plan.topic(topic).name);
            if self.writer.try_send(StoredCeiling { topic, partition, incarnation, at }).is_ok() {
                *asked = at;
            }
        }
    }

    /// A partition was assigned: what was asked for before says nothing of it.
    pub(super) fn assigned(&mut self, topic: TopicId, partition: Partition) {
        self.asked.remove(&(topic, partition));
    }
}

/// The writing end: one small write for all that were asked for meanwhile.
pub(super) struct CeilingWriter {
    store: Arc<dyn StateStore>,
    standings: Arc<Standings>,
    inbox: mpsc::Receiver<StoredCeiling>,
    wake: Arc<Notify>,
    broken: Broken,
}

/// Both ends. `wake` is notified whenever a ceiling was raised.
pub(super) fn ceilings(
    plan: Arc<Plan>,
    store: Arc<dyn StateStore>,
    standings: Arc<Standings>,
    ahead: i64,
    wake: Arc<Notify>,
    broken: Broken,
) -> (Ceilings, CeilingWriter) {
    let (writer, inbox) = mpsc::channel(QUEUE);
    let asking = Ceilings { plan, standings: Arc::clone(&standings), ahead, asked: HashMap::new(), writer };
    (asking, CeilingWriter { store, standings, inbox, wake, broken })
}

impl CeilingWriter {
    /// Runs until the router is gone, or the store fails.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.inbox.recv().await {
            let mut raised = vec![first];
            while let Ok(next) = self.inbox.try_recv() {
                raised.push(next);
            }
            if let Err(error) = self.store.raise(raised.clone()).await {
                self.broken.report(error);
                return;
            }
            self.standings.raised(raised);
            self.wake.notify_one();
        }
    }
}

/// Ceilings after a clean stop: nothing beyond the positions was applied. Of a topic that was not `loaded` an earlier life
/// may have applied more, and its ceilings stay.
pub(super) fn lowered(plan: &Plan, positions: &[Cut], loaded: &[bool]) -> Vec<StoredCeiling> {
    let ceiling = |cut: &Cut| StoredCeiling {
        topic: Arc::clone(&plan.topic(cut.topic).name),
        partition: cut.partition,
        incarnation: cut.incarnation,
        at: cut.reached,
    };
    let is_loaded = |cut: &&Cut| loaded.get(cut.topic.ix()).copied().unwrap_or(false);
    positions.iter().filter(is_loaded).map(ceiling).collect()
}
