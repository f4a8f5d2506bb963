//! The door to whatever keeps state outside the process: what one flush holds, where partitions stand durably, and what
//! a store must promise. Knows nothing of files.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use quorate_core::ident::{NextOffset, Partition};
use quorate_core::provenance::Incarnation;
use quorate_core::shard::Changes;
use thiserror::Error;
use tokio::sync::watch;

/// Keeps state outside the process.
///
/// Whatever was acknowledged is found again, whole, by the next process; whatever was not may be missing, whole.
#[async_trait]
pub trait StateStore: Send + Sync + 'static {
    /// Writes everything or nothing, and returns once it is durable. Calls follow one another.
    ///
    /// # Errors
    /// Nothing of the flush counts as written, and the store takes nothing more: what memory holds beyond it is only
    /// safe with whoever reads the records again.
    async fn flush(&self, flush: Flush) -> Result<(), StoreError>;

    /// Raises ceilings, durably. Never waits for a flush that is under way.
    ///
    /// # Errors
    /// As for [`StateStore::flush`].
    async fn raise(&self, ceilings: Vec<StoredCeiling>) -> Result<(), StoreError>;
}

/// Remembers beyond the end of the process which calls are under way, so that one that keeps ending it can be left alone.
pub trait CallLog: Send + Sync + 'static {
    /// A call of a module for a station begins; none when that is not noted. Never waits for a disk.
    fn began(&self, module: &str, station: &str) -> Option<u64>;

    /// It has ended, whatever came of it.
    fn ended(&self, call: u64);
}

/// A call in the middle of which processes have ended, the last ones that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadly {
    /// The module.
    pub module: String,
    /// The station.
    pub station: String,
    /// How many.
    pub deaths: u32,
}

/// A call under way, until it is dropped.
pub(super) struct UnderWay(Option<(Arc<dyn CallLog>, u64)>);

impl UnderWay {
    pub(super) fn begin(log: Option<&Arc<dyn CallLog>>, module: &str, station: &str) -> Self {
        Self(log.and_then(|log| Some((Arc::clone(log), log.began(module, station)?))))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.iter().for_each(|(log, call)| log.ended(*call));
    }
}

/// Why a store gave up. It stays so until it is opened again.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("state store: {0}")]
pub struct StoreError(pub String);

/// One consistent cut through the service.
#[derive(Clone, Debug, Default)]
pub struct Flush {
    /// What changed in each shard since the flush before.
    pub changes: Vec<Changes>,
    /// Where each assigned partition stands. Everything before it is in `changes`, this time or earlier.
    pub positions: Vec<StoredPosition>,
    /// Dead letters that are not acknowledged yet, beyond those of the flush before.
    pub letters: Vec<StoredLetter>,
    /// Dead letters of earlier flushes that are acknowledged.
    pub settled_letters: Vec<u64>,
}

/// Where one partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPosition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: Partition,
    /// Which life of the topic.
    pub incarnation: Incarnation,
    /// The id of the topic in that life; none when the broker does not say.
    pub topic_id: Option<u128>,
    /// The first offset whose effect is not part of the state.
    pub next: NextOffset,
    /// Records before this only load state; beyond `next` while a topic is still being loaded.
    pub live_from: NextOffset,
}

/// Nothing of a partition at or beyond this was ever applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCeiling {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: Partition,
    /// Which life of the topic.
    pub incarnation: Incarnation,
    /// The first offset that was not applied.
    pub at: NextOffset,
}

/// A dead letter that waits to be acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLetter {
    /// Names it within the store.
    pub id: u64,
    /// The reason, as it stands in the letter.
    pub reason: String,
    /// The record it came from: topic, partition, offset.
    pub origin: Option<(Arc<str>, Partition, i64)>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// Header names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Where one partition stands durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The position of the last flush.
    pub position: StoredPosition,
    /// The durable ceiling, if there ever was one.
    pub ceiling: Option<NextOffset>,
}

/// Where all partitions stand durably: written by whoever flushes, read by consumers when a partition begins.
#[derive(Debug, Default)]
pub struct Standings(watch::Sender<HashMap<(Arc<str>, Partition), Standing>>);

impl Standings {
    /// Where a partition stands; none when nothing of it was ever flushed.
    #[must_use]
    pub fn of(&self, topic: &Arc<str>, partition: Partition) -> Option<Standing> {
        self.0.borrow().get(&(Arc::clone(topic), partition)).cloned()
    }

    /// Notes positions that were flushed.
    pub fn flushed(&self, positions: impl IntoIterator<Item = StoredPosition>) {
        self.0.send_modify(|standings| {
            for position in positions {
                let place = (Arc::clone(&position.topic), position.partition);
                let before = standings.remove(&place);
                let same = before.filter(|before| before.position.incarnation == position.incarnation);
                let ceiling = same.and_then(|before| before.ceiling);
                standings.insert(place, Standing { position, ceiling });
            }
        });
    }

    /// Notes ceilings that were raised.
    pub fn raised(&self, ceilings: impl IntoIterator<Item = StoredCeiling>) {
        self.0.send_modify(|standings| {
            for StoredCeiling { topic, partition, incarnation, at } in ceilings {
                let standing = standings.get_mut(&(topic, partition));
                let same = standing.filter(|standing| standing.position.incarnation == incarnation);
                same.into_iter().for_each(|standing| standing.ceiling = Some(at));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(incarnation: Incarnation, next: i64) -> StoredPosition {
        let next = NextOffset(next);
        StoredPosition { topic: "T".into(), partition: 0, incarnation, topic_id: None, next, live_from: NextOffset(0) }
    }

    #[test]
    fn a_ceiling_belongs_to_one_life_of_its_topic() {
        let standings = Standings::default();
        let ceiling = |incarnation| StoredCeiling { topic: "T".into(), partition: 0, incarnation, at: NextOffset(90) };
        standings.flushed([position(0, 5)]);
        standings.raised([ceiling(0)]);
        standings.flushed([position(0, 7)]);
        let kept = standings.of(&"T".into(), 0).expect("flushed");
        assert_eq!((kept.position.next, kept.ceiling), (NextOffset(7), Some(NextOffset(90))));
        standings.flushed([position(1, 2)]);
        standings.raised([ceiling(0)]);
        assert_eq!(standings.of(&"T".into(), 0).expect("flushed").ceiling, None);
    }
}
