//! Looks through a store without using it: what there is of each kind, and every entry that is not as it was stored.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{ReadableDatabase, ReadableTable};

use super::ceilings::{self, Found};
use super::directory::{Directory, unusable};
use super::entry::{Entry, EntryReader};
use super::local::ENTRIES;
use super::open::{DATABASE, Obstacle, agrees, obstacle, open_database, read_meta};
use super::{Identity, OpenError};
use crate::pipeline::durable::StoredPosition;

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is, if that can be read.
    pub identity: Option<Identity>,
    /// Durable commits so far.
    pub commits: u64,
    /// Entries by kind, with their bytes, keys included.
    pub kinds: BTreeMap<&'static str, Kind>,
    /// Where partitions stand.
    pub positions: Vec<StoredPosition>,
    /// Everything that is wrong with it; empty when the service would start with it.
    pub problems: Vec<String>,
}

/// The entries of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// How many.
    pub entries: u64,
    /// Their keys and values.
    pub bytes: u64,
}

/// Reads a whole store. After a crash the database repairs itself first, as it does when the service starts; nothing is
/// set aside. Blocks.
///
/// # Errors
/// There is no store, another process has it open, or the disk is in the way.
pub fn verify(dir: &Path) -> Result<Verified, OpenError> {
    let path = dir.join(DATABASE);
    std::fs::metadata(&path).map_err(|e| unusable("there is no store to look through:", &path, &e))?;
    let _directory = Directory::lock(dir)?;
    let (kinds, positions, problems) = (BTreeMap::new(), Vec::new(), Vec::new());
    let mut verified = Verified { identity: None, commits: 0, kinds, positions, problems };
    match verified.look(dir, &path) {
        Ok(()) => {}
        Err(Obstacle::Corrupt(why)) => verified.problems.push(why),
        Err(Obstacle::Other(e)) => return Err(e),
    }
    Ok(verified)
}

impl Verified {
    fn look(&mut self, dir: &Path, path: &Path) -> Result<(), Obstacle> {
        let found = ceilings::read(dir).map_err(|e| Obstacle::Other(unusable("cannot read in", dir, &e)))?;
        let database = open_database(path)?;
        let meta = read_meta(&database, path)?;
        self.commits = meta.sequence;
        self.identity = Some(Identity { cluster_id: meta.cluster_id, group_id: meta.group_id });
        let at = |e| obstacle("cannot read", path, e);
        let transaction = database.begin_read().map_err(|e| at(e.into()))?;
        let table = transaction.open_table(ENTRIES).map_err(|e| at(e.into()))?;
        let mut reader = EntryReader::default();
        for entry in table.iter().map_err(|e| at(e.into()))? {
            let (key, value) = entry.map_err(|e| at(e.into()))?;
            match reader.read(key.value(), value.value()) {
                Ok(entry) => {
                    let kind = self.kinds.entry(name(&entry)).or_default();
                    kind.entries += 1;
                    kind.bytes += (key.value().len() + value.value().len()) as u64;
                    if let Entry::Position(position) = entry {
                        self.positions.push(position);
                    }
                }
                Err(e) => self.problems.push(e.to_string()),
            }
        }
        match found {
            Found::Nothing => agrees(meta.sequence, None),
            Found::Whole(acknowledged, _) => agrees(meta.sequence, Some(acknowledged)),
            Found::Torn => Err(Obstacle::Corrupt("the file of ceilings is not as it was written".to_owned())),
            Found::Newer(format) => Err(Obstacle::Corrupt(format!("the file of ceilings has format {format}"))),
        }
    }
}

fn name(entry: &Entry) -> &'static str {
    match entry {
        Entry::Meta(_) => "store",
        Entry::Topic(_) => "topics",
        Entry::Position(_) => "positions",
        Entry::Letter(_) => "dead letters",
        Entry::Early(_) => "global records to be seen",
        Entry::Slot(_) => "windows",
        Entry::Run(_) => "runs",
        Entry::Pending(_) => "waiting buckets and readings",
        Entry::Done(_) => "keys of what is done",
    }
}
