//! State outside the process: windows, what is owed, where partitions stand, dead letters that wait. [`LocalStore`]
//! keeps it in a directory that one process at a time has open, [`MemoryStore`] in memory, for tests.
//!
//! One promise above all: what was acknowledged is found again, or its loss is found out. Knows the pipeline's door and
//! the core's plain data; not what windows mean, nor Kafka.

mod adopt;
mod batch;
mod calls;
mod ceilings;
mod device;
mod directory;
mod disk;
mod entry;
mod envelope;
mod key;
mod local;
mod memory;
mod open;
mod threads;
mod verify;

use std::path::PathBuf;

use thiserror::Error;

use crate::pipeline::durable::{StoredCeiling, StoredLetter, StoredPosition};

pub use adopt::{Drops, Holdings, ModuleShape, TopicShape};
pub use calls::Calls;
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use verify::{Kind, Verified, verify};

/// The layout of everything in a store. A store of a newer one is refused.
const FORMAT: u32 = 1;

/// Whose state it is. A store belongs to one group of one cluster for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's id, as its brokers tell it.
    pub cluster_id: String,
    /// The base of the groups' names.
    pub group_id: String,
}

/// A store that was opened, and everything of it but windows and debts: see [`LocalStore::load`].
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: LocalStore,
    /// Where partitions stand.
    pub positions: Vec<StoredPosition>,
    /// What nothing beyond was applied of.
    pub ceilings: Vec<StoredCeiling>,
    /// Dead letters that wait.
    pub letters: Vec<StoredLetter>,
    /// How the windows of each topic were shaped.
    pub topics: Vec<TopicShape>,
    /// What each module was when its runs were recorded.
    pub modules: Vec<ModuleShape>,
    /// What there is.
    pub holdings: Holdings,
    /// Nothing was ever kept here: topics are to be read again.
    pub is_fresh: bool,
    /// What was kept here before is gone, now or since a start that came to nothing.
    pub was_lost: bool,
    /// What was found instead and could not be used.
    pub set_aside: Option<SetAside>,
}

/// A store that could not be used, kept for whoever wants to look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is.
    pub to: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Why a store could not be opened. All of them end the service with exit code 6.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OpenError {
    /// Another process has it open.
    #[error("state directory {dir} is in use{}: stop the other process or set another state.dir", by(*pid))]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The process, if it told.
        pid: Option<u32>,
    },
    /// It is a store, but not one for this service.
    #[error("{what}; {remedy}")]
    Refused {
        /// What speaks against it.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The directory or a file in it cannot be used.
    #[error("{what}; {remedy}")]
    Unusable {
        /// What failed.
        what: String,
        /// What to do.
        remedy: String,
    },
}

fn by(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

#[cfg(test)]
mod tests;
