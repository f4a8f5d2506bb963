//! From cuts to commits. Without a store a position may be committed once nothing before it is owed; with one, once it
//! is durable together with the state behind it and everything still owed. The only edge of the pipeline that runs back.

use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::ident::{Epoch, NextOffset, Partition, TopicId};
use quorate_core::plan::Plan;
use quorate_core::progress::Cut;
use quorate_core::shard::Changes;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::broken::Broken;
use super::ceilings::lowered;
use super::dead_letters::DeadLetterSender;
use super::durable::{Flush, Standings, StateStore, StoreError, StoredPosition};
use super::gauges::Unsettled;
use super::ports::{Commit, Consumers};
use super::shard_task::ToShard;
use crate::fault::kill_point;

/// Cuts that may wait for their shards.
pub(super) const QUEUE: usize = 1;

/// A consistent cut through the pipeline.
pub(super) struct Checkpoint {
    /// Where every partition stood.
    pub(super) positions: Vec<Cut>,
    /// Where partitions stood that were taken away; only where state is kept.
    pub(super) departed: Vec<Cut>,
    /// What each shard says of that moment.
    pub(super) shards: Vec<oneshot::Receiver<ShardCut>>,
    /// Per topic whether it had been read as far as state reaches back.
    pub(super) loaded: Vec<bool>,
    /// Nothing is applied after it.
    pub(super) last: bool,
    /// Who else wants to know, if anybody.
    pub(super) reply: Option<oneshot::Sender<Vec<Commit>>>,
}

/// One shard at a cut.
#[derive(Debug, Default)]
pub(super) struct ShardCut {
    /// What it owes.
    pub(super) unsettled: Unsettled,
    /// What changed since the cut before; only where state is kept.
    pub(super) changes: Changes,
}

/// Where state is kept.
#[derive(Clone)]
pub(super) struct Keeping {
    pub(super) plan: Arc<Plan>,
    pub(super) store: Arc<dyn StateStore>,
    pub(super) standings: Arc<Standings>,
    pub(super) shards: Vec<mpsc::Sender<ToShard>>,
    pub(super) wake: Arc<Notify>,
}

pub(super) struct Settler {
    pub(super) inbox: mpsc::Receiver<Checkpoint>,
    pub(super) consumers: Arc<dyn Consumers>,
    pub(super) dead: DeadLetterSender,
    pub(super) keeping: Option<Keeping>,
    pub(super) broken: Broken,
    /// Per topic whether what it held is part of the state; where state is kept, durably so.
    pub(super) loaded: Arc<watch::Sender<Vec<bool>>>,
    pub(super) committed: HashMap<(TopicId, Partition), (Epoch, NextOffset)>,
}

impl Settler {
    /// Runs until the router is gone, or the store fails.
    pub(super) async fn run(mut self) {
        while let Some(checkpoint) = self.inbox.recv().await {
            let Checkpoint { positions, departed, shards, loaded, last, reply } = checkpoint;
            let Some(cuts) = collect(shards).await else { continue };
            // Asked only now: a shard hands over what it gives up while it takes readings in.
            let settled = match &self.keeping {
                None => self.settled(&positions, cuts).await,
                Some(keeping) => {
                    match self.keep(keeping, (&positions, &departed), cuts, last.then_some(&*loaded)).await {
                        Ok(settled) => settled,
                        Err(error) => return self.broken.report(error),
                    }
                }
            };
            // Whoever waits hears nothing of a cut that somebody did not answer, rather than that nothing was settled.
            let Some(settled) = settled else { continue };
            self.note_loaded(loaded);
            let news: Vec<Commit> = settled.iter().filter(|commit| self.is_news(commit)).copied().collect();
            for commit in &news {
                self.committed.insert((commit.topic, commit.partition), (commit.epoch, commit.next));
            }
            kill_point("before_group_commit");
            if !news.is_empty() {
                self.consumers.commit(&news);
            }
            if let Some(reply) = reply {
                drop(reply.send(settled));
            }
        }
    }

    /// What may be committed where nothing outlives the process but what is committed.
    async fn settled(&self, positions: &[Cut], cuts: Vec<ShardCut>) -> Option<Vec<Commit>> {
        let letters = self.dead.cut().await?;
        let mut oldest = letters.unsettled;
        cuts.into_iter().for_each(|cut| merge(&mut oldest, cut.unsettled));
        let owed = |cut: &Cut| oldest.get(&(cut.topic, cut.partition)).copied();
        Some(commits(positions, |cut| cut.committable(owed(cut))))
    }

    /// Writes everything that changed, and says what may be committed on that account. The `last` time it is told which
    /// topics were read as far as an earlier life had known them.
    async fn keep(
        &self,
        keeping: &Keeping,
        (positions, departed): (&[Cut], &[Cut]),
        cuts: Vec<ShardCut>,
        last: Option<&[bool]>,
    ) -> Result<Option<Vec<Commit>>, StoreError> {
        let Some(letters) = self.dead.cut().await else { return Ok(None) };
        let stored: Vec<StoredPosition> = positions.iter().chain(departed).map(|cut| keeping.position(cut)).collect();
        let changes = cuts.into_iter().map(|cut| cut.changes).collect();
        let (letters, settled_letters) = (letters.added, letters.settled);
        let flush = Flush { changes, positions: stored.clone(), letters, settled_letters };
        // A silent service writes nothing.
        if last.is_some() || !keeping.holds(&flush) {
            kill_point("before_flush");
            keeping.store.flush(flush).await?;
            kill_point("after_flush");
        }
        if let Some(loaded) = last {
            keeping.store.raise(lowered(&keeping.plan, positions, loaded)).await?;
        }
        keeping.standings.flushed(stored);
        for shard in &keeping.shards {
            drop(shard.send(ToShard::Flushed).await);
        }
        keeping.wake.notify_one();
        Ok(Some(commits(positions, |cut| cut.committable(None))))
    }

    /// A topic stays loaded, whatever becomes of its partitions.
    fn note_loaded(&self, now: Vec<bool>) {
        self.loaded.send_if_modified(|loaded| {
            loaded.resize(now.len(), false);
            let news = loaded.iter().zip(&now).any(|(before, now)| *now && !before);
            loaded.iter_mut().zip(now).for_each(|(loaded, now)| *loaded |= now);
            news
        });
    }

    fn is_news(&self, commit: &Commit) -> bool {
        let before = self.committed.get(&(commit.topic, commit.partition));
        before.is_none_or(|&(epoch, next)| epoch != commit.epoch || next < commit.next)
    }
}

impl Keeping {
    /// Whether the store holds all of this already.
    fn holds(&self, flush: &Flush) -> bool {
        let stands = |position: &StoredPosition| {
            let standing = self.standings.of(&position.topic, position.partition);
            standing.is_some_and(|standing| standing.position == *position)
        };
        flush.letters.is_empty()
            && flush.settled_letters.is_empty()
            && flush.changes.iter().all(|changes| *changes == Changes::default())
            && flush.positions.iter().all(stands)
    }

    fn position(&self, cut: &Cut) -> StoredPosition {
        StoredPosition {
            topic: Arc::clone(&self.plan.topic(cut.topic).name),
            partition: cut.partition,
            incarnation: cut.incarnation,
            topic_id: cut.topic_id,
            next: cut.reached,
            live_from: cut.live_from,
        }
    }

    /// What is durable of these partitions at this moment.
    pub(super) fn durable(&self, positions: &[Cut]) -> Vec<Commit> {
        commits(positions, |cut| {
            let standing = self.standings.of(&self.plan.topic(cut.topic).name, cut.partition)?.position;
            // A partition that is read again from before where it goes on commits nothing until it is past that.
            let next = standing.next.min(cut.position);
            (standing.incarnation == cut.incarnation && next >= cut.live_from).then_some(next)
        })
    }
}

fn commits(positions: &[Cut], next: impl Fn(&Cut) -> Option<NextOffset>) -> Vec<Commit> {
    let commit =
        |cut: &Cut| Some(Commit { topic: cut.topic, partition: cut.partition, epoch: cut.epoch, next: next(cut)? });
    positions.iter().filter_map(commit).collect()
}

/// What all shards say; none when somebody is gone, and with them what they knew.
async fn collect(shards: Vec<oneshot::Receiver<ShardCut>>) -> Option<Vec<ShardCut>> {
    let mut cuts = Vec::with_capacity(shards.len());
    for cut in shards {
        cuts.push(cut.await.ok()?);
    }
    Some(cuts)
}

fn merge(oldest: &mut Unsettled, more: Unsettled) {
    for (place, offset) in more {
        let lowest = oldest.entry(place).or_insert(offset);
        *lowest = offset.min(*lowest);
    }
}
