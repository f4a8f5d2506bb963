//! Entries read back: from a key and a value to what they say.

use std::sync::Arc;

use prost::Message;
use quorate_core::ident::{Partition, Station};
use quorate_core::shard::{Changes, DoneChange, EarlyRecord, Of, PendingChange, Place, RunChange, SlotChange};
use thiserror::Error;

use super::disk::{Done, Early, Letter, Malformed, Meta, Pending, Position, Run, Shape, Window};
use super::key::{Key, KeyReader};
use super::{TopicShape, envelope};
use crate::pipeline::durable::{StoredLetter, StoredPosition};

/// What an entry says.
#[derive(Debug, PartialEq)]
pub(super) enum Entry {
    Meta(Meta),
    Topic(TopicShape),
    Position(StoredPosition),
    Letter(StoredLetter),
    Early(Vec<EarlyRecord>),
    Slot(SlotChange),
    Run(RunChange),
    Pending(PendingChange),
    Done(DoneChange),
}

/// An entry that is not as it was stored.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("bad entry {key}: {why}")]
pub(super) struct BadEntry {
    /// The key, as far as it is one.
    pub key: String,
    /// What is wrong.
    pub why: &'static str,
}

/// Reads entries in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct EntryReader(KeyReader);

impl EntryReader {
    pub(super) fn read(&mut self, key: &[u8], value: &[u8]) -> Result<Entry, BadEntry> {
        let Some(about) = self.0.decode(key) else {
            return Err(BadEntry { key: key.escape_ascii().to_string(), why: "no such key" });
        };
        let bad = |why| BadEntry { key: format!("{about:?}"), why };
        let payload = envelope::open(key, value).ok_or_else(|| bad("wrong checksum"))?;
        decode(about.clone(), payload).map_err(|Malformed(why)| bad(why))
    }
}

fn decode(key: Key, payload: &[u8]) -> Result<Entry, Malformed> {
    Ok(match key {
        Key::Meta => Entry::Meta(message(payload)?),
        Key::Topic(name) => Entry::Topic(message::<Shape>(payload)?.of(name)),
        Key::Position(topic, partition) => position(topic, partition, payload)?,
        Key::Letter(id) => Entry::Letter(message::<Letter>(payload)?.of(id)),
        Key::Early => Entry::Early(message::<Early>(payload)?.into()),
        Key::Slot(place, of, part) => slot(place, of, part, payload)?,
        Key::Run(station, module) => run(station, module, payload)?,
        Key::Pending(station, module, number) => {
            let state = Some(message::<Pending>(payload)?.try_into()?);
            Entry::Pending(PendingChange { station, module, number, state })
        }
        Key::Done(station, module, key) => {
            let at = Some(message::<Done>(payload)?.into());
            Entry::Done(DoneChange { station, module, key, at })
        }
    })
}

fn position(topic: Arc<str>, partition: Partition, payload: &[u8]) -> Result<Entry, Malformed> {
    message::<Position>(payload)?.of(topic, partition).map(Entry::Position)
}

fn slot(place: Place, of: Of, part: u64, payload: &[u8]) -> Result<Entry, Malformed> {
    let state = Some(message::<Window>(payload)?.try_into()?);
    Ok(Entry::Slot(SlotChange { place, of, part, state }))
}

fn run(station: Station, module: Arc<str>, payload: &[u8]) -> Result<Entry, Malformed> {
    let state = Some(message::<Run>(payload)?.try_into()?);
    Ok(Entry::Run(RunChange { station, module, state }))
}

fn message<M: Message + Default>(payload: &[u8]) -> Result<M, Malformed> {
    M::decode(payload).map_err(|_| Malformed("no message"))
}

/// Gathers changes and hands them on in pieces of bounded size.
pub(super) struct Pieces<'a> {
    each: &'a mut dyn FnMut(Changes),
    piece: Changes,
    entries: usize,
    bytes: usize,
}

impl<'a> Pieces<'a> {
    const MOST_ENTRIES: usize = 10_000;
    const MOST_BYTES: usize = 16 << 20;

    pub(super) fn new(each: &'a mut dyn FnMut(Changes)) -> Self {
        Self { each, piece: Changes::default(), entries: 0, bytes: 0 }
    }

    /// Takes an entry that took so many bytes; one that no shard knows of is passed over.
    pub(super) fn add(&mut self, entry: Entry, bytes: usize) {
        match entry {
            Entry::Slot(slot) => self.piece.slots.push(slot),
            Entry::Run(run) => self.piece.runs.push(run),
            Entry::Pending(pending) => self.piece.pending.push(pending),
            Entry::Done(done) => self.piece.done.push(done),
            Entry::Early(records) => self.piece.early = Some(records),
            Entry::Meta(_) | Entry::Topic(_) | Entry::Position(_) | Entry::Letter(_) => return,
        }
        self.entries += 1;
        self.bytes += bytes;
        if self.entries >= Self::MOST_ENTRIES || self.bytes >= Self::MOST_BYTES {
            self.hand_on();
        }
    }

    /// Hands on what is left.
    pub(super) fn end(mut self) {
        if self.entries > 0 {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        (self.entries, self.bytes) = (0, 0);
        (self.each)(std::mem::take(&mut self.piece));
    }
}
