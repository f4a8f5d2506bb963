//! How a directory becomes a store: refused if it is somebody else's, set aside if it is not what was written, made if
//! it is not there. Nothing is handed out before all of it was read and found good.

use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use quorate_core::ident::Millis;
use quorate_core::shard::EarlyRecord;
use redb::{Builder, Database, ReadableDatabase, ReadableTable};
use tracing::{error, info};

use super::batch::{Batch, EarlyByShard};
use super::ceilings::{self, Ceilings, Found};
use super::directory::{Directory, create_private, sync, unusable};
use super::disk::Meta;
use super::entry::{Entry, EntryReader};
use super::key::Key;
use super::local::{ENTRIES, LocalStore, Writer, apply, meta};
use super::{FORMAT, Holdings, Identity, ModuleShape, OpenError, Opened, SetAside, TopicShape, device};
use crate::fault::kill_point;
use crate::pipeline::durable::{StoredCeiling, StoredLetter, StoredPosition};

/// The name of the database's file.
pub(super) const DATABASE: &str = "state.redb";
/// A database that is being made.
const UNFINISHED: &str = "state.redb.new";
/// State is kept in memory by the shards; the database needs its upper pages only, and room for the pages of one flush in
/// half of this: what does not fit is written to the file twice, when it is pushed out and when its checksum is known. It
/// is enough for some 15,000 scattered windows.
const CACHE_BYTES: usize = 128 << 20;

/// Why a directory is not opened as it is.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// It is not what was written.
    Corrupt(String),
    /// Something that setting it aside would not help with.
    Other(OpenError),
}

impl LocalStore {
    /// Opens the store of a directory, or makes one. A store that is not what was written is moved into a folder beside
    /// the new one, named after the time `now`, and nothing is ever deleted. Blocks, for as long as it takes to read
    /// everything once.
    ///
    /// # Errors
    /// Another process has the directory open; the store belongs to another service or version; the disk is in the way.
    pub fn open(dir: &Path, identity: &Identity, now: Millis) -> Result<Opened, OpenError> {
        let directory = Directory::lock(dir)?;
        kill_point("store_open");
        let (content, set_aside) = match read(dir, identity) {
            Ok(content) => (content, None),
            Err(Obstacle::Other(e)) => return Err(e),
            Err(Obstacle::Corrupt(why)) => {
                let set_aside = set_aside(&directory, why, now)?;
                let content = read(dir, identity).map_err(|obstacle| match obstacle {
                    Obstacle::Other(e) => e,
                    Obstacle::Corrupt(why) => OpenError::Unusable {
                        what: format!("a store just made in {} is not as it was written: {why}", dir.display()),
                        remedy: "see to the disk".to_owned(),
                    },
                })?;
                (content, Some(set_aside))
            }
        };
        let Content { database, sequence, modules, scanned, ceilings, stale_file } = content;
        let mut file = Ceilings::new(dir, sequence, ceilings.clone());
        if stale_file {
            file.committed(sequence).map_err(|e| unusable("cannot write in", dir, &e))?;
        }
        let was_lost = set_aside.is_some() || (sequence == 0 && has_set_aside(&directory)?);
        let writer = Writer { sequence, modules: modules.clone(), early: EarlyByShard::loaded(scanned.early) };
        let store = LocalStore::new(directory, identity.clone(), database, file, writer);
        Ok(Opened {
            store,
            positions: scanned.positions,
            ceilings,
            letters: scanned.letters,
            topics: scanned.topics,
            modules,
            holdings: scanned.holdings,
            is_fresh: sequence == 0,
            was_lost,
            set_aside,
        })
    }
}

fn set_aside(directory: &Directory, why: String, now: Millis) -> Result<SetAside, OpenError> {
    let dir = &directory.path;
    let failed = |e| unusable("cannot set a bad store aside in", dir, &e);
    let (to, kept) = directory.aside(now).map_err(failed)?;
    // Said first: whoever looks for the store must find where it went, whatever happens meanwhile.
    error!(
        why,
        set_aside = %to.display(),
        kept,
        "the state store is not what was written: it is set aside, a fresh one is made, topics are read again"
    );
    directory.move_to(&to).map_err(failed)?;
    Ok(SetAside { to, why })
}

/// Whether a store was set aside here. One that holds nothing yet was made in its place.
fn has_set_aside(directory: &Directory) -> Result<bool, OpenError> {
    directory.has_set_aside().map_err(|e| unusable("cannot look into", &directory.path, &e))
}

/// A directory's content, found good.
struct Content {
    database: Database,
    sequence: u64,
    modules: Vec<ModuleShape>,
    scanned: Scanned,
    ceilings: Vec<StoredCeiling>,
    /// The file of ceilings does not tell the last commit.
    stale_file: bool,
}

/// What of the entries is kept apart from shards.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub positions: Vec<StoredPosition>,
    pub letters: Vec<StoredLetter>,
    pub topics: Vec<TopicShape>,
    pub early: Vec<EarlyRecord>,
    pub holdings: Holdings,
}

impl Scanned {
    pub(super) fn take(&mut self, entry: Entry) {
        self.holdings.take(&entry);
        match entry {
            Entry::Topic(shape) => self.topics.push(shape),
            Entry::Position(position) => self.positions.push(position),
            Entry::Letter(letter) => self.letters.push(letter),
            Entry::Early(records) => self.early = records,
            Entry::Meta(_) | Entry::Slot(_) | Entry::Run(_) | Entry::Pending(_) | Entry::Done(_) => {}
        }
    }
}

fn read(dir: &Path, identity: &Identity) -> Result<Content, Obstacle> {
    for leftover in [UNFINISHED, Ceilings::NEXT] {
        match fs::remove_file(dir.join(leftover)) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(io("cannot clear up in", dir, &e)),
            _ => {}
        }
    }
    let found = ceilings::read(dir).map_err(|e| io("cannot read the ceilings in", dir, &e))?;
    let (acknowledged, ceilings) = match found {
        Found::Newer(format) => return Err(newer(dir, format)),
        Found::Torn => return Err(Obstacle::Corrupt("the file of ceilings is not as it was written".to_owned())),
        Found::Nothing => (None, Vec::new()),
        Found::Whole(sequence, ceilings) => (Some(sequence), ceilings),
    };
    let path = dir.join(DATABASE);
    if !path.try_exists().map_err(|e| io("cannot look into", dir, &e))? {
        if acknowledged.is_some() {
            return Err(Obstacle::Corrupt("the database is gone".to_owned()));
        }
        make(dir, identity)?;
    }
    let database = open_database(&path)?;
    let meta = read_meta(&database, &path)?;
    belongs(dir, &meta, identity)?;
    agrees(meta.sequence, acknowledged)?;
    let scanned = guarded(|| scan(&database, &path))?;
    let stale_file = acknowledged != Some(meta.sequence);
    let modules = meta.modules.into_iter().map(Into::into).collect();
    Ok(Content { database, sequence: meta.sequence, modules, scanned, ceilings, stale_file })
}

/// Makes a database that stands under its name only when it is whole.
fn make(dir: &Path, identity: &Identity) -> Result<(), Obstacle> {
    info!(dir = %dir.display(), "making a state store");
    let path = dir.join(UNFINISHED);
    let at = |e| obstacle("cannot make", &path, e);
    let database = open_database(&path)?;
    let mut batch = Batch::default();
    batch.put(&Key::Meta, Some(meta(identity, 0, &[])));
    let transaction = database.begin_write().map_err(|e| at(e.into()))?;
    apply(&transaction, &batch).map_err(at)?;
    transaction.commit().map_err(|e| at(e.into()))?;
    database.close().map_err(|e| at(e.into()))?;
    fs::rename(&path, dir.join(DATABASE)).map_err(|e| io("cannot rename", &path, &e))?;
    sync(dir).map_err(|e| io("cannot sync", dir, &e))
}

/// Opens the database and has it check every page of its trees against its checksum.
pub(super) fn open_database(path: &Path) -> Result<Database, Obstacle> {
    let file = create_private(path).map_err(|e| io("cannot open", path, &e))?;
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    guarded(|| device::open(&builder, file).map_err(|e| obstacle("cannot open", path, e.into())))
}

/// A file that was changed by others can make the database panic.
fn guarded<T>(work: impl FnOnce() -> Result<T, Obstacle>) -> Result<T, Obstacle> {
    let panicked = |_| Err(Obstacle::Corrupt("the database cannot read its file".to_owned()));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}

/// What the store says of itself. Read before anything else: another format may keep anything else differently.
pub(super) fn read_meta(database: &Database, path: &Path) -> Result<Meta, Obstacle> {
    let key = Key::Meta.encode();
    let value = guarded(|| {
        let at = |e| obstacle("cannot read", path, e);
        let transaction = database.begin_read().map_err(|e| at(e.into()))?;
        let table = transaction.open_table(ENTRIES).map_err(|e| at(e.into()))?;
        let value = table.get(key.as_slice()).map_err(|e| at(e.into()))?;
        value
            .map(|value| value.value().to_vec())
            .ok_or_else(|| Obstacle::Corrupt("it does not say whose it is".to_owned()))
    })?;
    match EntryReader::default().read(&key, &value) {
        Ok(Entry::Meta(meta)) => Ok(meta),
        Ok(_) => Err(Obstacle::Corrupt("it does not say whose it is".to_owned())),
        Err(e) => Err(Obstacle::Corrupt(e.to_string())),
    }
}

fn belongs(dir: &Path, meta: &Meta, identity: &Identity) -> Result<(), Obstacle> {
    if meta.format > FORMAT {
        return Err(newer(dir, meta.format));
    }
    let pairs = [("cluster", &meta.cluster_id, &identity.cluster_id), ("group", &meta.group_id, &identity.group_id)];
    match pairs.into_iter().find(|(_, its, ours)| its != ours) {
        None => Ok(()),
        Some((whose, its, ours)) => Err(Obstacle::Other(OpenError::Refused {
            what: format!("the state in {} belongs to {whose} {its:?}, this service to {ours:?}", dir.display()),
            remedy: "set another state.dir, or move this one away to begin anew".to_owned(),
        })),
    }
}

/// The file is written after each commit and before the next: it is the database's commit, or the one before.
pub(super) fn agrees(sequence: u64, acknowledged: Option<u64>) -> Result<(), Obstacle> {
    match acknowledged {
        None if sequence == 0 => Ok(()),
        None => Err(Obstacle::Corrupt("the file of ceilings is gone".to_owned())),
        Some(told) if told > sequence => {
            Err(Obstacle::Corrupt(format!("commit {told} was acknowledged, the database goes back to {sequence}")))
        }
        Some(told) if told + 1 < sequence => {
            Err(Obstacle::Corrupt(format!("the file of ceilings goes back to commit {told} of {sequence}")))
        }
        Some(_) => Ok(()),
    }
}

/// Reads every entry.
fn scan(database: &Database, path: &Path) -> Result<Scanned, Obstacle> {
    let at = |e| obstacle("cannot read", path, e);
    let transaction = database.begin_read().map_err(|e| at(e.into()))?;
    let table = transaction.open_table(ENTRIES).map_err(|e| at(e.into()))?;
    let (mut reader, mut scanned) = (EntryReader::default(), Scanned::default());
    for entry in table.iter().map_err(|e| at(e.into()))? {
        let (key, value) = entry.map_err(|e| at(e.into()))?;
        let entry = reader.read(key.value(), value.value()).map_err(|e| Obstacle::Corrupt(e.to_string()))?;
        scanned.take(entry);
    }
    Ok(scanned)
}

fn newer(dir: &Path, format: u32) -> Obstacle {
    Obstacle::Other(OpenError::Refused {
        what: format!("the state in {} has format {format}, this version knows {FORMAT}", dir.display()),
        remedy: "run the version that wrote it, or set another state.dir".to_owned(),
    })
}

fn io(what: &str, path: &Path, e: &std::io::Error) -> Obstacle {
    Obstacle::Other(unusable(what, path, e))
}

/// What the database's errors mean for its file.
pub(super) fn obstacle(what: &str, path: &Path, e: redb::Error) -> Obstacle {
    match e {
        // What a file gives that was cut, or is no database.
        redb::Error::Io(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => {
            Obstacle::Corrupt(e.to_string())
        }
        redb::Error::Io(e) => io(what, path, &e),
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            Obstacle::Other(OpenError::InUse { dir: path.to_owned(), pid: None })
        }
        e => Obstacle::Corrupt(e.to_string()),
    }
}
