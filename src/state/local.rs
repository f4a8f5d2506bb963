//! The store in a directory: one file of redb for everything, and a small one beside it for ceilings. What to write is
//! made in `batch`; how a directory becomes a store, in `open`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use async_trait::async_trait;
use quorate_core::ident::Millis;
use quorate_core::shard::Changes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::adopt::Fate;
use super::batch::{Batch, EarlyByShard};
use super::ceilings::Ceilings;
use super::directory::{Directory, unusable};
use super::disk::Meta;
use super::entry::{EntryReader, Pieces};
use super::key::{Key, KeyReader};
use super::threads::offload;
use super::{Drops, FORMAT, Identity, ModuleShape, OpenError, TopicShape};
use crate::fault::kill_point;
use crate::pipeline::durable::{Flush, StateStore, StoreError, StoredCeiling};

/// The only table.
pub(super) const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");

/// A store in a directory of its own. Clones are the same store; the directory is free again when all are gone.
#[derive(Clone, Debug)]
pub struct LocalStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Identity,
    database: Database,
    /// Whoever holds it commits. Taken before `ceilings`.
    writer: Mutex<Writer>,
    ceilings: Mutex<Ceilings>,
    /// The first error, which is the answer to everything that comes after it.
    failed: OnceLock<StoreError>,
    /// Goes last: the directory stays locked until the database is closed.
    directory: Directory,
}

#[derive(Debug)]
pub(super) struct Writer {
    /// Commits so far.
    pub(super) sequence: u64,
    pub(super) modules: Vec<ModuleShape>,
    pub(super) early: EarlyByShard,
}

impl LocalStore {
    pub(super) fn new(
        directory: Directory,
        identity: Identity,
        database: Database,
        ceilings: Ceilings,
        writer: Writer,
    ) -> Self {
        Self(Arc::new(Inner {
            identity,
            database,
            writer: Mutex::new(writer),
            ceilings: Mutex::new(ceilings),
            failed: OnceLock::new(),
            directory,
        }))
    }

    /// Hands on everything that shards are to take back in, in pieces of at most 10,000 entries or about 16 MiB, in no
    /// order that matters. Blocks.
    ///
    /// # Errors
    /// An entry is not as it was stored, though it was when the store was opened. The store is of no use any longer.
    pub fn load(&self, each: &mut dyn FnMut(Changes)) -> Result<(), StoreError> {
        self.0.unless_failed(|inner| inner.load(each))
    }

    /// Notes how topics and modules are shaped and forgets what does not go with it, durably and all at once. What was
    /// noted of other topics stays. Blocks.
    ///
    /// # Errors
    /// As for [`StateStore::flush`].
    pub fn adopt(&self, topics: &[TopicShape], modules: &[ModuleShape], drops: &Drops) -> Result<(), StoreError> {
        self.0.unless_failed(|inner| {
            let mut writer = lock(&inner.writer)?;
            writer.modules = modules.to_vec();
            inner.commit(&mut writer, Batch::of_shapes(topics), drops)
        })
    }

    /// Notes how these topics are shaped, durably. Blocks.
    ///
    /// # Errors
    /// As for [`StateStore::flush`].
    pub fn note(&self, topics: &[TopicShape]) -> Result<(), StoreError> {
        self.0.unless_failed(|inner| {
            let mut writer = lock(&inner.writer)?;
            inner.commit(&mut writer, Batch::of_shapes(topics), &Drops::default())
        })
    }

    /// Copies the store as it is into a folder of its own beside it, named after the time `now`, and says where. Blocks.
    ///
    /// # Errors
    /// The disk is in the way; the store is as it was.
    pub fn copy_aside(&self, now: Millis) -> Result<PathBuf, OpenError> {
        let directory = &self.0.directory;
        // Between two commits the files are what the next process would find.
        let _writer = self.0.writer.lock();
        let copied = directory.aside(now).and_then(|(to, _)| directory.copy_to(&to).map(|()| to));
        copied.map_err(|e| unusable("cannot copy the store in", &directory.path, &e))
    }
}

#[async_trait]
impl StateStore for LocalStore {
    async fn flush(&self, flush: Flush) -> Result<(), StoreError> {
        self.offload(|inner| inner.flush(flush)).await
    }

    async fn raise(&self, ceilings: Vec<StoredCeiling>) -> Result<(), StoreError> {
        self.offload(|inner| lock(&inner.ceilings)?.raise(ceilings).map_err(failure)).await
    }
}

impl LocalStore {
    async fn offload<W>(&self, work: W) -> Result<(), StoreError>
    where
        W: FnOnce(&Inner) -> Result<(), StoreError> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        let done = offload(move || inner.unless_failed(work)).await;
        done.unwrap_or_else(|| Err(self.0.fail(StoreError("a write did not come to its end".to_owned()))))
    }
}

impl Inner {
    /// Does something unless something failed before, and remembers if it fails.
    fn unless_failed(&self, work: impl FnOnce(&Self) -> Result<(), StoreError>) -> Result<(), StoreError> {
        match self.failed.get() {
            Some(e) => Err(e.clone()),
            None => work(self).map_err(|e| self.fail(e)),
        }
    }

    fn fail(&self, e: StoreError) -> StoreError {
        self.failed.get_or_init(|| e).clone()
    }

    fn flush(&self, flush: Flush) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer)?;
        // Whoever waited for the one before may have waited for its failure.
        if let Some(e) = self.failed.get() {
            return Err(e.clone());
        }
        let batch = Batch::of(flush, &mut writer.early);
        self.commit(&mut writer, batch, &Drops::default())
    }

    /// The database first, then the number of the commit beside it: an acknowledged commit that the database loses is
    /// missed at the next start.
    fn commit(&self, writer: &mut Writer, mut batch: Batch, drops: &Drops) -> Result<(), StoreError> {
        let sequence = writer.sequence + 1;
        batch.put(&Key::Meta, Some(meta(&self.identity, sequence, &writer.modules)));
        let transaction = self.database.begin_write().map_err(failure)?;
        if !drops.is_empty() {
            forget(&transaction, drops).map_err(failure)?;
        }
        apply(&transaction, &batch).map_err(failure)?;
        kill_point("store_before_commit");
        transaction.commit().map_err(failure)?;
        kill_point("store_after_commit");
        lock(&self.ceilings)?.committed(sequence).map_err(failure)?;
        writer.sequence = sequence;
        Ok(())
    }

    fn load(&self, each: &mut dyn FnMut(Changes)) -> Result<(), StoreError> {
        let transaction = self.database.begin_read().map_err(failure)?;
        let table = transaction.open_table(ENTRIES).map_err(failure)?;
        let (mut reader, mut pieces) = (EntryReader::default(), Pieces::new(each));
        for entry in table.iter().map_err(failure)? {
            let (key, value) = entry.map_err(failure)?;
            let (key, value) = (key.value(), value.value());
            pieces.add(reader.read(key, value).map_err(failure)?, key.len() + value.len());
        }
        pieces.end();
        Ok(())
    }
}

/// What the store says of itself after so many commits.
pub(super) fn meta(identity: &Identity, sequence: u64, modules: &[ModuleShape]) -> Meta {
    let Identity { cluster_id, group_id } = identity.clone();
    Meta { format: FORMAT, cluster_id, group_id, sequence, modules: modules.iter().map(Into::into).collect() }
}

/// Writes a batch; nothing counts before the transaction is committed.
pub(super) fn apply(transaction: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(ENTRIES)?;
    for (key, value) in &batch.writes {
        match value {
            Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
            None => drop(table.remove(key.as_slice())?),
        }
    }
    Ok(())
}

fn forget(transaction: &WriteTransaction, drops: &Drops) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(ENTRIES)?;
    let (mut reader, mut others) = (KeyReader::default(), Vec::new());
    table.retain(|key, value| match drops.fate(&mut reader, key, value) {
        Fate::Stays => true,
        Fate::Goes => false,
        Fate::Becomes(other) => {
            others.push((key.to_vec(), other));
            true
        }
    })?;
    for (key, value) in others {
        table.insert(key.as_slice(), value.as_slice())?;
    }
    Ok(())
}

/// Panicking while holding a lock leaves half of something behind it.
fn lock<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>, StoreError> {
    mutex.lock().map_err(|_| StoreError("an earlier write did not come to its end".to_owned()))
}

fn failure(e: impl std::fmt::Display) -> StoreError {
    StoreError(e.to_string())
}
