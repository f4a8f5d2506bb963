//! What the processes write: one number, in every place of a flush at once, so that half a flush would show.

use std::path::Path;

use quorate::pipeline::durable::{Flush, StoredCeiling, StoredPosition};
use quorate::state::{Identity, LocalStore, OpenError, Opened};
use quorate_core::ident::{Millis, NextOffset, Offset, Station};
use quorate_core::provenance::Provenance;
use quorate_core::shard::{Changes, Of, Place, SlotChange};
use quorate_core::{EntryState, WindowState};

/// How many windows hold the number at least. Some processes write more.
pub const STATIONS: usize = 300;

/// What a store holds.
#[derive(Debug, Default)]
pub struct Found {
    pub number: i64,
    pub ceiling: i64,
}

pub fn open(dir: &Path) -> Result<Opened, OpenError> {
    let identity = Identity { cluster_id: "cluster".to_owned(), group_id: "group".to_owned() };
    LocalStore::open(&dir.join("state"), &identity, Millis(0))
}

/// Opens a store in which everything agrees.
#[track_caller]
pub fn opened(dir: &Path) -> Found {
    let Opened { store, positions, ceilings, set_aside, .. } = open(dir).expect("opened");
    assert_eq!(set_aside, None);
    let number = positions.first().map_or(0, |position| position.next.0);
    let mut slots = 0;
    let each = &mut |piece: Changes| {
        for slot in piece.slots.iter().filter(|slot| (0..STATIONS).any(|nth| slot.place == place(nth))) {
            let Some(WindowState::Latest(entry)) = &slot.state else { panic!("{slot:?}") };
            assert_eq!(entry.time.0, number, "{:?}", slot.place);
            slots += 1;
        }
    };
    store.load(each).expect("loaded");
    assert_eq!(slots, if number == 0 { 0 } else { STATIONS });
    Found { number, ceiling: ceilings.first().map_or(0, |ceiling| ceiling.at.0) }
}

pub fn flush(number: i64, stations: usize) -> Flush {
    let slot = |station| {
        let origin = Provenance { incarnation: 0, partition: 0, offset: Offset(number), element: 0 };
        let entry = EntryState { time: Millis(number), origin, json: format!("{{\"number\":{number:0>400}}}") };
        SlotChange {
            place: place(station),
            of: Of::Topic("T".into()),
            part: 0,
            state: Some(WindowState::Latest(entry)),
        }
    };
    let changes = vec![Changes { slots: (0..stations).map(slot).collect(), ..Changes::default() }];
    let (next, live_from) = (NextOffset(number), NextOffset(0));
    let position = StoredPosition { topic: "T".into(), partition: 0, incarnation: 0, topic_id: None, next, live_from };
    Flush { changes, positions: vec![position], ..Flush::default() }
}

fn place(station: usize) -> Place {
    Place::Station(Station::from(format!("station-{station:06}").as_str()))
}

pub fn ceiling(at: i64) -> StoredCeiling {
    StoredCeiling { topic: "T".into(), partition: 0, incarnation: 0, at: NextOffset(at) }
}
