//! What both stores promise, and what a directory may look like when it is opened.

mod both;
mod damage;
mod generated;
mod layout;
mod opening;

use std::path::Path;

use quorate_core::ident::{Millis, NextOffset, Offset, Station};
use quorate_core::provenance::Provenance;
use quorate_core::shard::{Changes, Of, Place, RunChange, RunState, SlotChange};
use quorate_core::{EntryState, WindowState};

use super::{Identity, LocalStore, OpenError, Opened};
use crate::pipeline::durable::{Flush, StateStore, StoredCeiling, StoredLetter, StoredPosition};

/// A moment in 2026.
const NOW: Millis = Millis(1_780_000_000_000);

fn identity() -> Identity {
    Identity { cluster_id: "cluster".to_owned(), group_id: "group".to_owned() }
}

fn open(dir: &Path) -> Result<Opened, OpenError> {
    LocalStore::open(dir, &identity(), NOW)
}

fn opened(dir: &Path) -> Opened {
    open(dir).expect("opened")
}

fn position(next: i64) -> StoredPosition {
    let next = NextOffset(next);
    StoredPosition {
        topic: "T".into(),
        partition: 0,
        incarnation: 1,
        topic_id: Some(7),
        next,
        live_from: NextOffset(0),
    }
}

fn ceiling(at: i64) -> StoredCeiling {
    StoredCeiling { topic: "T".into(), partition: 0, incarnation: 1, at: NextOffset(at) }
}

fn letter(id: u64) -> StoredLetter {
    let origin = Some(("T".into(), 0, 4));
    StoredLetter { id, reason: "not_json".to_owned(), origin, key: None, value: Some(vec![0]), headers: vec![] }
}

fn latest(number: i64) -> WindowState {
    let origin = Provenance { incarnation: 1, partition: 0, offset: Offset(number), element: 0 };
    WindowState::Latest(EntryState { time: Millis(number), origin, json: format!("{{\"number\":{number}}}") })
}

fn slot(station: usize, topic: &str, state: Option<WindowState>) -> SlotChange {
    let place = Place::Station(Station::from(format!("station {station}").as_str()));
    SlotChange { place, of: Of::Topic(topic.into()), part: 0, state }
}

/// A flush that writes its number into the windows of so many stations, and everywhere else.
fn numbered(number: i64, stations: usize) -> Flush {
    let slots = (0..stations).map(|station| slot(station, "T", Some(latest(number)))).collect();
    let run = RunState { due: true, last_at: Some(Millis(number)), ended: None, failures: 0 };
    let runs = vec![RunChange { station: Station::from("station 0"), module: "m".into(), state: Some(run) }];
    let changes = vec![Changes { slots, runs, ..Changes::default() }];
    let letters = vec![letter(number.unsigned_abs())];
    Flush { changes, positions: vec![position(number)], letters, settled_letters: vec![] }
}

fn loaded(store: &LocalStore) -> Changes {
    let mut all = Changes::default();
    store.load(&mut |piece| gather(&mut all, piece)).expect("loaded");
    all
}

fn gather(all: &mut Changes, piece: Changes) {
    all.slots.extend(piece.slots);
    all.runs.extend(piece.runs);
    all.pending.extend(piece.pending);
    all.done.extend(piece.done);
    all.early = piece.early.or(all.early.take());
}

/// Waits for one flush or raise outside of any runtime.
fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(work)
}

fn flush(store: &LocalStore, flush: Flush) {
    wait(store.flush(flush)).expect("flushed");
}
