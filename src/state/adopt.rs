//! What of a store depends on the configuration it was filled under: how topics and modules were shaped, how much there is
//! of each, and what is forgotten where they are shaped differently. Decides nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prost::Message;
use quorate_core::shard::Of;

use super::disk::Run;
use super::entry::Entry;
use super::envelope;
use super::key::{Key, KeyReader};

/// How the windows of a topic were shaped when they were filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicShape {
    /// The topic.
    pub name: Arc<str>,
    /// What of its settings decides what its windows hold; compared, never read.
    pub shape: String,
    /// How far back its windows reach, by each limit that they have.
    pub reach: Vec<i64>,
    /// The topic was not read to the end of what they are to hold.
    pub unread: bool,
    /// What was there before is gone, and nothing has taken its place yet.
    pub lost: bool,
}

/// What a module was when its runs were recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleShape {
    /// The module.
    pub name: Arc<str>,
    /// What tells its runs from those of another one of its name; compared, never read.
    pub shape: String,
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Windows, or parts of long ones, by topic.
    pub windows: BTreeMap<Arc<str>, u64>,
    /// Modules of which runs are recorded.
    pub runs: BTreeSet<Arc<str>>,
    /// Modules of which results are kept for those that depend on them.
    pub results: BTreeSet<Arc<str>>,
}

impl Holdings {
    pub(super) fn take(&mut self, entry: &Entry) {
        let note = |names: &mut BTreeSet<Arc<str>>, name: &Arc<str>| {
            if !names.contains(name) {
                names.insert(Arc::clone(name));
            }
        };
        match entry {
            Entry::Run(run) => note(&mut self.runs, &run.module),
            Entry::Slot(slot) => match &slot.of {
                Of::Module(name) => note(&mut self.results, name),
                Of::Topic(name) => *self.windows.entry(Arc::clone(name)).or_default() += 1,
            },
            _ => {}
        }
    }
}

/// What a store is to forget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// The windows of these topics.
    pub windows: Vec<Arc<str>>,
    /// All that is recorded of runs of these modules, except that a run is due.
    pub runs: Vec<Arc<str>>,
    /// The results of these modules.
    pub results: Vec<Arc<str>>,
}

/// What becomes of an entry.
pub(super) enum Fate {
    Stays,
    Goes,
    /// Another value takes its place.
    Becomes(Vec<u8>),
}

impl Drops {
    pub(super) fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.runs.is_empty() && self.results.is_empty()
    }

    pub(super) fn fate(&self, reader: &mut KeyReader, key: &[u8], value: &[u8]) -> Fate {
        let goes = match reader.decode(key) {
            Some(Key::Slot(_, Of::Topic(topic), _)) => self.windows.contains(&topic),
            Some(Key::Slot(_, Of::Module(module), _)) => self.results.contains(&module),
            Some(Key::Run(_, module)) if self.runs.contains(&module) => {
                let run = envelope::open(key, value).and_then(|payload| Run::decode(payload).ok());
                return match run.and_then(Run::only_due) {
                    Some(due) => Fate::Becomes(envelope::seal(key, &due)),
                    None => Fate::Goes,
                };
            }
            _ => false,
        };
        if goes { Fate::Goes } else { Fate::Stays }
    }
}
