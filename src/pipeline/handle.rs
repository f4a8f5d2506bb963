//! [`Handle`]: how a running pipeline is talked to: what has happened, how stations stand, what is settled, and its end.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::ident::ModuleId;
use quorate_core::provenance::{shard_of, station_hash};
use quorate_core::shard::{Explanation, Quarantine};
use tokio::sync::{mpsc, oneshot, watch};

use super::broken::Broken;
use super::counts::{Counts, Tally};
use super::durable::StoreError;
use super::loading::LoadingTopic;
use super::ports::Commit;
use super::router::ToRouter;
use super::shard_task::{Census, ModuleCensus, ToShard};

/// Talks to a running pipeline.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) router: mpsc::Sender<ToRouter>,
    pub(super) shards: Vec<mpsc::Sender<ToShard>>,
    pub(super) counts: Arc<Counts>,
    pub(super) broken: Broken,
    pub(super) loaded: Arc<watch::Sender<Vec<bool>>>,
}

impl Handle {
    /// What has happened so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.counts.tally()
    }

    /// Resolves once state can no longer be kept: nothing more is taken in from then on.
    pub async fn broken(&self) -> StoreError {
        self.broken.failed().await
    }

    /// Per topic of the plan whether it was read as far as state reaches back, and, where state is kept, that is durable.
    /// Empty before anything was.
    #[must_use]
    pub fn loaded(&self) -> watch::Receiver<Vec<bool>> {
        self.loaded.subscribe()
    }

    /// Topics that are being read as far back as state reaches, once a flush interval: how far each is, and how long it
    /// may still take.
    #[must_use]
    pub fn loading(&self) -> Vec<LoadingTopic> {
        self.counts.loading()
    }

    /// Whether state can no longer be kept.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.is_reported()
    }

    /// How many stations are known and complete, summed over the shards.
    pub async fn census(&self) -> Census {
        let mut sum = Census { standstills: self.counts.standstills(), ..Census::default() };
        for shard in &self.shards {
            let (reply, census) = oneshot::channel();
            drop(shard.send(ToShard::Census(reply)).await);
            let Ok(census) = census.await else { continue };
            sum.stations += census.stations;
            sum.open_runs += census.open_runs;
            sum.standings = census.standings;
            sum.modules.resize(census.modules.len(), ModuleCensus::default());
            sum.modules.iter_mut().zip(&census.modules).for_each(|(sum, module)| sum.add(module));
        }
        sum
    }

    /// How a module stands with a station; none when the pipeline has ended.
    pub async fn explain(&self, module: ModuleId, station: &str) -> Option<Explanation> {
        let shard = &self.shards[shard_of(station_hash(station), self.shards.len())];
        let (reply, explained) = oneshot::channel();
        shard.send(ToShard::Explain { module, station: station.into(), reply }).await.ok()?;
        explained.await.ok()
    }

    /// The stations that pause because `module` keeps failing for them, at most `limit` of them; a census has their number.
    pub async fn quarantined(&self, module: ModuleId, limit: usize) -> Vec<Quarantine> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let (reply, told) = oneshot::channel();
            drop(shard.send(ToShard::Quarantined { module, limit: limit - found.len(), reply }).await);
            found.extend(told.await.unwrap_or_default());
        }
        found
    }

    /// What may be committed at this moment, for partitions that are about to be taken away. Empty when the pipeline
    /// does not answer within `patience`.
    pub async fn settle_now(&self, patience: Duration) -> Vec<Commit> {
        let (reply, settled) = oneshot::channel();
        let asking = async {
            self.router.send(ToRouter::SettleNow(reply)).await.ok()?;
            settled.await.ok()
        };
        tokio::time::timeout(patience, asking).await.ok().flatten().unwrap_or_default()
    }

    /// Serves lanes no more, lets what is ready or in flight end, and commits what is settled. False when that took
    /// longer than `patience`: runs are still owed then, and start again next time.
    pub async fn drain(&self, patience: Duration) -> bool {
        let (reply, drained) = oneshot::channel();
        let draining = async {
            self.router.send(ToRouter::Drain(reply)).await.ok()?;
            drained.await.ok()
        };
        tokio::time::timeout(patience, draining).await.ok().flatten().is_some()
    }
}
