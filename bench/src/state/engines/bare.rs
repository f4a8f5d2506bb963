//! redb and fjall alone, as their makers deliver them but for the size of the cache.

use std::path::Path;
use std::time::{Duration, Instant};

use fjall::{KeyspaceCreateOptions, PersistMode};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use super::{CACHE_BYTES, Failure, Store};
use crate::state::content::{Content, Tally, entries};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");

pub struct Redb(redb::Database);

impl Redb {
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        Ok(Self(redb::Builder::new().set_cache_size(CACHE_BYTES).create(dir.join("bare.redb"))?))
    }
}

impl Store for Redb {
    fn flush(&mut self, number: u64, slots: &[u64]) -> Result<Duration, Failure> {
        let mut entries = entries(number, slots);
        let began = Instant::now();
        entries.sort_unstable();
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in entries {
                table.insert(key.as_slice(), value.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(began.elapsed())
    }

    fn read(&mut self, first: u64) -> Result<Content, Failure> {
        let mut tally = Tally::new(first);
        for entry in self.0.begin_read()?.open_table(TABLE)?.iter()? {
            let (key, value) = entry?;
            tally.take(key.value(), value.value());
        }
        Ok(tally.content())
    }
}

pub struct Fjall {
    database: fjall::Database,
    keyspace: fjall::Keyspace,
}

impl Fjall {
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let database = fjall::Database::builder(dir.join("fjall")).cache_size(CACHE_BYTES as u64).open()?;
        let keyspace = database.keyspace("entries", KeyspaceCreateOptions::default)?;
        Ok(Self { database, keyspace })
    }
}

impl Store for Fjall {
    fn flush(&mut self, number: u64, slots: &[u64]) -> Result<Duration, Failure> {
        let entries = entries(number, slots);
        let began = Instant::now();
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (key, value) in entries {
            batch.insert(&self.keyspace, key, value);
        }
        batch.commit()?;
        Ok(began.elapsed())
    }

    fn read(&mut self, first: u64) -> Result<Content, Failure> {
        let mut tally = Tally::new(first);
        for entry in self.keyspace.iter() {
            let (key, value) = entry.into_inner()?;
            tally.take(&key, &value);
        }
        Ok(tally.content())
    }
}
