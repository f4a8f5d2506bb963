//! The contenders behind one door: quorate's own store, and engines that keep the same keys and about the same bytes.

mod bare;
mod journal;
mod own;
mod witness;

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::content::Content;

pub type Failure = Box<dyn std::error::Error>;

/// What every engine may keep in memory of its files; as much as quorate's own store may.
const CACHE_BYTES: usize = 128 << 20;

/// Who stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// `LocalStore`: redb, own checksums, the number of the last commit beside it.
    Quorate,
    /// redb alone.
    Redb,
    /// fjall alone, one batch a flush, synced.
    Fjall,
    /// Frames appended to one file and synced; never compacted, so only its writing can be compared.
    Journal,
    /// fjall with the number of the last flush beside it.
    FjallWitness,
    /// The journal with the number of the last flush beside it.
    JournalWitness,
}

/// A store that is open.
pub trait Store {
    /// Writes a number into windows and all positions, durably, at once. How long that took, once it was made up what
    /// to write.
    fn flush(&mut self, number: u64, slots: &[u64]) -> Result<Duration, Failure>;
    /// Reads everything; `lowest` is over the first so many windows.
    fn read(&mut self, first: u64) -> Result<Content, Failure>;
}

/// Opens what is in a directory, or begins there.
pub fn open(engine: Engine, dir: &Path) -> Result<Box<dyn Store>, Failure> {
    Ok(match engine {
        Engine::Quorate => Box::new(own::Quorate::open(dir)?),
        Engine::Redb => Box::new(bare::Redb::open(dir)?),
        Engine::Fjall => Box::new(bare::Fjall::open(dir)?),
        Engine::Journal => Box::new(journal::Journal::open(dir)?),
        Engine::FjallWitness => Box::new(witness::Witnessed::new(bare::Fjall::open(dir)?, dir)?),
        Engine::JournalWitness => Box::new(witness::Witnessed::new(journal::Journal::open(dir)?, dir)?),
    })
}
