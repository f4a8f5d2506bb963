//! The contenders behind one door: quorate's own store, and bare engines that keep the same keys and about the same bytes.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::Path;

use clap::ValueEnum;
use fjall::{KeyspaceCreateOptions, PersistMode};
use quorate::pipeline::durable::{Flush, StateStore, StoredPosition};
use quorate::state::{Identity, LocalStore, Opened};
use quorate_core::ident::{Millis, NextOffset, Offset, Station};
use quorate_core::provenance::Provenance;
use quorate_core::shard::{Changes, Of, Place, SlotChange};
use quorate_core::{EntryState, WindowState};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

pub type Failure = Box<dyn std::error::Error>;

/// Partitions whose positions each flush writes.
pub const PARTITIONS: i32 = 13;
/// Text kept of a reading; with its origin and key about 400 bytes.
const TEXT_BYTES: usize = 360;
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");

/// Who stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// `LocalStore`: redb, own checksums, the number of the last commit beside it.
    Quorate,
    /// redb alone.
    Redb,
    /// fjall, one batch a flush, synced.
    Fjall,
    /// Frames appended to one file and synced; never compacted, so only its writing can be compared.
    Journal,
}

/// What is found in a store.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Content {
    /// Windows.
    pub slots: u64,
    /// The number of the last flush, by the positions; 0 when there are none.
    pub number: u64,
    /// The lowest number of any window that the last flush wrote, if the first windows are always written.
    pub lowest: u64,
}

/// A store that is open.
pub trait Store {
    /// Writes a number into windows and all positions, durably, at once.
    fn flush(&mut self, number: u64, slots: &mut dyn Iterator<Item = u64>) -> Result<(), Failure>;
    /// Reads everything; `lowest` is over the first so many windows.
    fn read(&mut self, first: u64) -> Result<Content, Failure>;
}

/// Opens what is in a directory, or begins there.
pub fn open(engine: Engine, dir: &Path) -> Result<Box<dyn Store>, Failure> {
    Ok(match engine {
        Engine::Quorate => Box::new(Quorate::open(dir)?),
        Engine::Redb => Box::new(Redb(redb::Builder::new().set_cache_size(64 << 20).create(dir.join("bare.redb"))?)),
        Engine::Fjall => {
            let database = fjall::Database::builder(dir.join("fjall")).open()?;
            let keyspace = database.keyspace("entries", KeyspaceCreateOptions::default)?;
            Box::new(Fjall { database, keyspace })
        }
        Engine::Journal => Box::new(Journal::open(&dir.join("journal"))?),
    })
}

/// The entries of one flush.
fn entries(number: u64, slots: &mut dyn Iterator<Item = u64>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let value = |bytes: usize| [&number.to_le_bytes()[..], text(number).as_bytes()].concat()[..bytes].to_vec();
    let mut entries: Vec<_> =
        slots.map(|slot| (format!("s{}/T", station(slot)).into(), value(TEXT_BYTES + 8))).collect();
    entries.extend((0..PARTITIONS).map(|partition| (format!("p{partition}").into(), value(24))));
    entries.sort_unstable();
    entries
}

/// Stations in no order, as their ids are.
fn station(slot: u64) -> String {
    format!("{:016x}", slot.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Text that does not compress to nothing.
fn text(number: u64) -> String {
    let mut state = number | 1;
    let mut text = String::with_capacity(TEXT_BYTES);
    while text.len() < TEXT_BYTES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{:08x}", state >> 32));
    }
    text
}

/// Adds up what is read, entry by entry.
struct Tally {
    first: Vec<Vec<u8>>,
    content: Content,
}

impl Tally {
    fn new(first: u64) -> Self {
        let mut first: Vec<Vec<u8>> = (0..first).map(|slot| format!("s{}/T", station(slot)).into()).collect();
        first.sort_unstable();
        Self { first, content: Content { lowest: u64::MAX, ..Content::default() } }
    }

    fn take(&mut self, key: &[u8], value: &[u8]) {
        let number = value.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if key.starts_with(b"p") {
            self.content.number = self.content.number.max(number);
        } else {
            self.slot(key, number);
        }
    }

    fn slot(&mut self, key: &[u8], number: u64) {
        self.content.slots += 1;
        if self.first.binary_search_by(|first| first.as_slice().cmp(key)).is_ok() {
            self.content.lowest = self.content.lowest.min(number);
        }
    }
}

struct Quorate {
    store: LocalStore,
    number: u64,
    runtime: Runtime,
}

impl Quorate {
    fn open(dir: &Path) -> Result<Self, Failure> {
        let identity = Identity { cluster_id: "bench".to_owned(), group_id: "bench".to_owned() };
        let Opened { store, positions, set_aside, .. } = LocalStore::open(&dir.join("state"), &identity, Millis(0))?;
        if let Some(set_aside) = set_aside {
            return Err(set_aside.why.into());
        }
        let number = positions.first().map_or(0, |position| position.next.0.unsigned_abs());
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self { store, number, runtime })
    }
}

impl Store for Quorate {
    fn flush(&mut self, number: u64, slots: &mut dyn Iterator<Item = u64>) -> Result<(), Failure> {
        let at = number as i64;
        let json = text(number);
        let slots = slots.map(|slot| {
            let origin = Provenance { incarnation: 0, partition: 0, offset: Offset(at), element: 0 };
            let state = WindowState::Latest(EntryState { time: Millis(at), origin, json: json.clone() });
            let place = Place::Station(Station::from(station(slot).as_str()));
            SlotChange { place, of: Of::Topic("T".into()), part: 0, state: Some(state) }
        });
        let changes = vec![Changes { slots: slots.collect(), ..Changes::default() }];
        let position = |partition| StoredPosition {
            topic: "T".into(),
            partition,
            incarnation: 0,
            topic_id: Some(1),
            next: NextOffset(at),
            live_from: NextOffset(0),
        };
        let positions = (0..PARTITIONS).map(position).collect();
        self.runtime.block_on(self.store.flush(Flush { changes, positions, ..Flush::default() }))?;
        self.number = number;
        Ok(())
    }

    fn read(&mut self, first: u64) -> Result<Content, Failure> {
        let mut tally = Tally::new(first);
        self.store.load(&mut |piece| {
            for slot in piece.slots {
                if let (Place::Station(id), Some(WindowState::Latest(entry))) = (&slot.place, &slot.state) {
                    tally.slot(format!("s{id}/T").as_bytes(), entry.time.0.unsigned_abs());
                }
            }
        })?;
        Ok(Content { number: self.number, ..tally.content })
    }
}

struct Redb(redb::Database);

impl Store for Redb {
    fn flush(&mut self, number: u64, slots: &mut dyn Iterator<Item = u64>) -> Result<(), Failure> {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in entries(number, slots) {
                table.insert(key.as_slice(), value.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn read(&mut self, first: u64) -> Result<Content, Failure> {
        let mut tally = Tally::new(first);
        for entry in self.0.begin_read()?.open_table(TABLE)?.iter()? {
            let (key, value) = entry?;
            tally.take(key.value(), value.value());
        }
        Ok(tally.content)
    }
}

struct Fjall {
    database: fjall::Database,
    keyspace: fjall::Keyspace,
}

impl Store for Fjall {
    fn flush(&mut self, number: u64, slots: &mut dyn Iterator<Item = u64>) -> Result<(), Failure> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (key, value) in entries(number, slots) {
            batch.insert(&self.keyspace, key, value);
        }
        Ok(batch.commit()?)
    }

    fn read(&mut self, first: u64) -> Result<Content, Failure> {
        let mut tally = Tally::new(first);
        for entry in self.keyspace.iter() {
            let (key, value) = entry.into_inner()?;
            tally.take(&key, &value);
        }
        Ok(tally.content)
    }
}

struct Journal {
    file: File,
    entries: std::collections::HashMap<Vec<u8>, Vec<u8>>,
}

impl Journal {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut reader = BufReader::new(&file);
        let mut entries = std::collections::HashMap::new();
        let mut header = [0; 12];
        // A frame that was cut off or changed ends it: whether there were more cannot be told.
        while reader.read_exact(&mut header).is_ok() {
            let length = u64::from_le_bytes(header[..8].try_into()?);
            let mut frame = Vec::new();
            (&mut reader).take(length).read_to_end(&mut frame)?;
            if crc32c::crc32c(&frame) != u32::from_le_bytes(header[8..].try_into()?) {
                break;
            }
            let mut rest = frame.as_slice();
            while let (Some(key), Some(value)) = (part(&mut rest), part(&mut rest)) {
                entries.insert(key, value);
            }
        }
        Ok(Self { file, entries })
    }
}

fn part(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (part, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(part.to_vec())
}

impl Store for Journal {
    fn flush(&mut self, number: u64, slots: &mut dyn Iterator<Item = u64>) -> Result<(), Failure> {
        let mut frame = Vec::new();
        for (key, value) in entries(number, slots) {
            frame.extend_from_slice(&(key.len() as u32).to_le_bytes());
            frame.extend_from_slice(&key);
            frame.extend_from_slice(&(value.len() as u32).to_le_bytes());
            frame.extend_from_slice(&value);
        }
        let header = [&(frame.len() as u64).to_le_bytes()[..], &crc32c::crc32c(&frame).to_le_bytes()].concat();
        self.file.write_all(&[header, frame].concat())?;
        Ok(self.file.sync_data()?)
    }

    fn read(&mut self, first: u64) -> Result<Content, Failure> {
        let mut tally = Tally::new(first);
        self.entries.iter().for_each(|(key, value)| tally.take(key, value));
        Ok(tally.content)
    }
}
