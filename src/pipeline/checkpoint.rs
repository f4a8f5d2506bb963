//! From cuts to commits: waits for what each shard still owes at a cut, and asks the consumers to commit what is
//! settled. The only edge of the pipeline that runs back.

use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::ident::{Epoch, NextOffset, Partition, TopicId};
use quorate_core::progress::Cut;
use tokio::sync::{mpsc, oneshot};

use super::dead_letters::DeadLetterSender;
use super::gauges::Unsettled;
use super::ports::{Commit, Consumers};

/// Cuts that may wait for their shards.
pub(super) const QUEUE: usize = 4;

/// A consistent cut through the pipeline.
pub(super) struct Checkpoint {
    /// Where every partition stood.
    pub(super) positions: Vec<Cut>,
    /// What each shard owes behind those positions.
    pub(super) owed: Vec<oneshot::Receiver<Unsettled>>,
    /// Who else wants to know, if anybody.
    pub(super) reply: Option<oneshot::Sender<Vec<Commit>>>,
}

pub(super) struct Settler {
    pub(super) inbox: mpsc::Receiver<Checkpoint>,
    pub(super) consumers: Arc<dyn Consumers>,
    pub(super) dead: DeadLetterSender,
    pub(super) committed: HashMap<(TopicId, Partition), (Epoch, NextOffset)>,
}

impl Settler {
    /// Runs until the router is gone.
    pub(super) async fn run(mut self) {
        while let Some(Checkpoint { positions, owed, reply }) = self.inbox.recv().await {
            let Some(mut oldest) = oldest(owed).await else { continue };
            // Asked only now: a shard hands over what it gives up while it takes readings in.
            let Some(dead) = self.dead.unacknowledged().await else { continue };
            merge(&mut oldest, dead);
            let settled = positions.iter().filter_map(|cut| {
                let next = cut.committable(oldest.get(&(cut.topic, cut.partition)).copied())?;
                Some(Commit { topic: cut.topic, partition: cut.partition, epoch: cut.epoch, next })
            });
            let settled: Vec<Commit> = settled.collect();
            let news: Vec<Commit> = settled.iter().filter(|commit| self.is_news(commit)).copied().collect();
            for commit in &news {
                self.committed.insert((commit.topic, commit.partition), (commit.epoch, commit.next));
            }
            if !news.is_empty() {
                self.consumers.commit(&news);
            }
            if let Some(reply) = reply {
                drop(reply.send(settled));
            }
        }
    }

    fn is_news(&self, commit: &Commit) -> bool {
        let before = self.committed.get(&(commit.topic, commit.partition));
        before.is_none_or(|&(epoch, next)| epoch != commit.epoch || next < commit.next)
    }
}

/// The lowest offset anybody still owes, per partition; none when somebody is gone, and with them what they knew.
async fn oldest(owed: Vec<oneshot::Receiver<Unsettled>>) -> Option<Unsettled> {
    let mut oldest = Unsettled::new();
    for unsettled in owed {
        merge(&mut oldest, unsettled.await.ok()?);
    }
    Some(oldest)
}

fn merge(oldest: &mut Unsettled, more: Unsettled) {
    for (place, offset) in more {
        let lowest = oldest.entry(place).or_insert(offset);
        *lowest = offset.min(*lowest);
    }
}
