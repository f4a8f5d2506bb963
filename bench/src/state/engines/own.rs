//! quorate's own store.

use std::path::Path;
use std::time::{Duration, Instant};

use quorate::pipeline::durable::{Flush, StateStore, StoredPosition};
use quorate::state::{Identity, LocalStore, Opened};
use quorate_core::ident::{Millis, NextOffset, Offset, Station};
use quorate_core::provenance::Provenance;
use quorate_core::shard::{Changes, Of, Place, SlotChange};
use quorate_core::{EntryState, WindowState};
use tokio::runtime::Runtime;

use super::{Failure, Store};
use crate::state::content::{Content, PARTITIONS, Tally, station, text};

pub struct Quorate {
    store: LocalStore,
    number: u64,
    runtime: Runtime,
}

impl Quorate {
    pub fn open(dir: &Path) -> Result<Self, Failure> {
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
    fn flush(&mut self, number: u64, slots: &[u64]) -> Result<Duration, Failure> {
        let at = number as i64;
        let slot = |&slot: &u64| {
            let origin = Provenance { incarnation: 0, partition: 0, offset: Offset(at), element: 0 };
            let state = WindowState::Latest(EntryState { time: Millis(at), origin, json: text(number, slot) });
            let place = Place::Station(Station::from(station(slot).as_str()));
            SlotChange { place, of: Of::Topic("T".into()), part: 0, state: Some(state) }
        };
        let changes = vec![Changes { slots: slots.iter().map(slot).collect(), ..Changes::default() }];
        let position = |partition| StoredPosition {
            topic: "T".into(),
            partition,
            incarnation: 0,
            topic_id: Some(1),
            next: NextOffset(at),
            live_from: NextOffset(0),
        };
        let positions = (0..PARTITIONS).map(position).collect();
        let began = Instant::now();
        self.runtime.block_on(self.store.flush(Flush { changes, positions, ..Flush::default() }))?;
        self.number = number;
        Ok(began.elapsed())
    }

    fn read(&mut self, first: u64) -> Result<Content, Failure> {
        let mut tally = Tally::new(first);
        self.store.load(&mut |piece| {
            for slot in piece.slots {
                if let (Place::Station(id), Some(WindowState::Latest(entry))) = (&slot.place, &slot.state) {
                    tally.slot(id.as_str().as_bytes(), entry.time.0.unsigned_abs());
                }
            }
        })?;
        Ok(Content { number: self.number, ..tally.content() })
    }
}
