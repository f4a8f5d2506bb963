//! When the router takes a consistent cut, and how: at each interval, when much has changed or somebody waits for it, and
//! at the end.

use std::time::Duration;

use quorate_core::progress::Cut;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::checkpoint::Checkpoint;
use super::ports::Commit;
use super::router::{Router, topic_id};
use super::shard_task::ToShard;
use crate::fault::kill_point;

/// Bytes handed out since the last cut at which the next one is not waited for.
const DIRTY_BYTES: usize = 64 << 20;

/// The least time between a cut and one that is wanted out of turn.
const CUT_GAP: Duration = Duration::from_millis(20);

/// What was handed out since the last cut, and when the next one is wanted.
#[derive(Default)]
pub(super) struct Dirt {
    bytes: usize,
    cut_at: Option<Instant>,
    wanted_at: Option<Instant>,
}

impl Dirt {
    /// So many bytes were handed out.
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= DIRTY_BYTES {
            self.hurry();
        }
    }

    /// When a cut is wanted out of turn.
    pub(super) fn wanted_at(&self) -> Option<Instant> {
        self.wanted_at
    }

    /// A cut is wanted soon, but not right behind another one.
    pub(super) fn hurry(&mut self) {
        let earliest = self.cut_at.map_or_else(Instant::now, |at| at + CUT_GAP);
        self.wanted_at.get_or_insert(earliest);
    }
}

impl Router {
    /// What may be committed of partitions that are about to be taken away. Where state is kept that is known without
    /// asking anybody.
    pub(super) async fn settle_now(&mut self, reply: oneshot::Sender<Vec<Commit>>) {
        match &self.keeping {
            Some((keeping, _)) => drop(reply.send(keeping.durable(&self.progress.cut()))),
            None => self.cut(false, Some(reply)).await,
        }
    }

    /// Takes a cut unless the one before is still being written: then what has changed waits for the next one, and who
    /// wants one soon is not asked again at once, which would keep the router busy for as long as that write takes.
    pub(super) async fn cut_if_free(&mut self) {
        if self.checkpoints.capacity() > 0 {
            self.cut(false, None).await;
        } else if let Some(wanted_at) = &mut self.dirt.wanted_at {
            *wanted_at = Instant::now() + CUT_GAP;
        }
    }

    /// Takes a consistent cut: positions as they stand, and how each shard stands after everything handed out so far.
    async fn cut(&mut self, last: bool, reply: Option<oneshot::Sender<Vec<Commit>>>) {
        self.dirt = Dirt { cut_at: Some(Instant::now()), ..Dirt::default() };
        let positions: Vec<Cut> = self.progress.cut();
        let loaded = (0..self.lanes.len()).map(|lane| self.progress.is_loaded(topic_id(lane))).collect();
        let mut shards = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let (tell, told) = oneshot::channel();
            drop(shard.send(ToShard::Cut(tell)).await);
            shards.push(told);
        }
        let departed = if self.keeping.is_some() { self.progress.departed() } else { Vec::new() };
        drop(self.checkpoints.send(Checkpoint { positions, departed, shards, loaded, last, reply }).await);
    }

    pub(super) async fn drain(mut self, reply: oneshot::Sender<()>) {
        let mut quiet = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let (tell, told) = oneshot::channel();
            drop(shard.send(ToShard::Drain(tell)).await);
            quiet.push(told);
        }
        kill_point("during_drain");
        // Whoever waits for this may lose patience: what is settled meanwhile is committed meanwhile.
        let dead = self.dead.clone();
        let mut settled = Box::pin(async move {
            futures::future::join_all(quiet).await;
            dead.drained().await;
        });
        while tokio::time::timeout(self.flush_interval, &mut settled).await.is_err() {
            self.cut_if_free().await;
        }
        let (tell, told) = oneshot::channel();
        self.cut(true, Some(tell)).await;
        // Without an answer the last cut was not written, and whoever waits must not take that for a drain.
        if told.await.is_ok() {
            let _ = reply.send(());
        }
    }
}

/// Sleeps until a moment; for ever when there is none.
pub(super) async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
