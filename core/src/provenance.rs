//! Where a reading came from, and the stable hashes that rest on it. The byte layouts here are part of the product:
//! changing one changes every input hash and moves stations to other shards.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::ident::{Offset, Partition, Station, TopicId};

/// Counts how often a topic was deleted and recreated; 0 at first and in replay.
pub type Incarnation = u32;

/// The exact origin of one reading. Readings of one topic are ordered by time, then by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Provenance {
    /// Which life of the topic.
    pub incarnation: Incarnation,
    /// The partition.
    pub partition: Partition,
    /// The record's place in it.
    pub offset: Offset,
    /// The element of the record; 0 when the record is not a list.
    pub element: u32,
}

impl Provenance {
    /// A hash of this origin in the topic called `topic`; sums of these identify sets of readings.
    #[must_use]
    pub fn hash(&self, topic: &TopicSeed) -> u128 {
        let mut bytes = [0_u8; 36];
        bytes[..16].copy_from_slice(&topic.0.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.partition.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.offset.0.to_le_bytes());
        bytes[32..].copy_from_slice(&self.element.to_le_bytes());
        xxh3_128(&bytes)
    }
}

/// The part of a provenance hash that is the same for a whole topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSeed(u128);

impl TopicSeed {
    /// The seed of the topic called `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(xxh3_128(name.as_bytes()))
    }
}

/// The hash by which a station finds its shard and its slot in tables; independent of Kafka partitions.
#[must_use]
pub fn station_hash(station: &str) -> u64 {
    xxh3_64(station.as_bytes())
}

/// The hash by which a module remembers that it is done with what a station's key, a JSON value, names.
#[must_use]
pub fn key_hash(station: &Station, key: &str) -> u128 {
    let mut bytes = Vec::with_capacity(8 + station.as_str().len() + key.len());
    // Its length first, so that no two pairs have the same bytes.
    bytes.extend_from_slice(&(station.as_str().len() as u64).to_le_bytes());
    bytes.extend_from_slice(station.as_str().as_bytes());
    bytes.extend_from_slice(key.as_bytes());
    xxh3_128(&bytes)
}

/// The shard, out of `shards`, that owns stations of this hash.
#[must_use]
pub fn shard_of(station_hash: u64, shards: usize) -> usize {
    // The upper bits, because tables inside the shard use the lower ones.
    usize::try_from(station_hash >> 32).unwrap_or(0) % shards.max(1)
}

/// A record's place in the service: topic, partition, offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: Partition,
    /// The offset.
    pub offset: Offset,
}
