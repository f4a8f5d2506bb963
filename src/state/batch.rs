//! From one flush to what is to be written: keys with their values, or without where they are to go.

use quorate_core::shard::{Changes, DoneChange, EarlyRecord, PendingChange, RunChange, SlotChange};

use super::disk::{Done, Early, Letter, Pending, Position, Run, Shape, Window};
use super::key::Key;
use super::{TopicShape, envelope};
use crate::pipeline::durable::Flush;

/// What is written at once. Of two writes of one key the later counts.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Keys in their order, with their values; none where the entry is removed.
    pub writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Everything of a flush.
    pub(super) fn of(flush: Flush, early: &mut EarlyByShard) -> Self {
        let mut batch = Self::default();
        if let Some(records) = early.changed(&flush.changes) {
            let records = (!records.is_empty()).then(|| Early::from(&*records));
            batch.put(&Key::Early, records);
        }
        for Changes { slots, runs, pending, done, early: _ } in flush.changes {
            for SlotChange { place, of, part, state } in slots {
                batch.put(&Key::Slot(place, of, part), state.map(Window::from));
            }
            for RunChange { station, module, state } in runs {
                batch.put(&Key::Run(station, module), state.map(Run::from));
            }
            for PendingChange { station, module, number, state } in pending {
                batch.put(&Key::Pending(station, module, number), state.map(Pending::from));
            }
            for DoneChange { station, module, key, at } in done {
                batch.put(&Key::Done(station, module, key), at.map(Done::from));
            }
        }
        for position in &flush.positions {
            let key = Key::Position(position.topic.clone(), position.partition);
            batch.put(&key, Some(Position::from(position)));
        }
        for letter in flush.letters {
            batch.put(&Key::Letter(letter.id), Some(Letter::from(letter)));
        }
        for id in flush.settled_letters {
            batch.put::<Letter>(&Key::Letter(id), None);
        }
        // Neighbours are written together; the sort keeps the order of writes to one key.
        batch.writes.sort_by(|(one, _), (other, _)| one.cmp(other));
        batch
    }

    /// How topics are shaped.
    pub(super) fn of_shapes(shapes: &[TopicShape]) -> Self {
        let mut batch = Self::default();
        for shape in shapes {
            batch.put(&Key::Topic(shape.name.clone()), Some(Shape::from(shape)));
        }
        batch
    }

    /// Adds one entry, or its removal.
    pub(super) fn put<M: prost::Message>(&mut self, key: &Key, payload: Option<M>) {
        let key = key.encode();
        let value = payload.map(|payload| envelope::seal(&key, &payload));
        self.writes.push((key, value));
    }
}

/// The global records that stations are still to see. Each shard tells its own, by its place in a flush, and only when
/// they change; the store keeps what any of them told, because the next process may have another number of shards.
#[derive(Debug, Default)]
pub(super) struct EarlyByShard {
    loaded: Vec<EarlyRecord>,
    told: Vec<Option<Vec<EarlyRecord>>>,
}

impl EarlyByShard {
    /// Nothing was told yet, so every shard still has what was loaded.
    pub(super) fn loaded(loaded: Vec<EarlyRecord>) -> Self {
        Self { loaded, told: Vec::new() }
    }

    fn changed(&mut self, changes: &[Changes]) -> Option<Vec<EarlyRecord>> {
        self.told.resize(changes.len().max(self.told.len()), None);
        let mut has_changed = false;
        for (told, changes) in self.told.iter_mut().zip(changes) {
            if let Some(records) = &changes.early {
                *told = Some(records.clone());
                has_changed = true;
            }
        }
        has_changed.then(|| {
            let of_all = self.told.iter().flat_map(|told| told.as_ref().unwrap_or(&self.loaded));
            let mut records: Vec<EarlyRecord> = of_all.cloned().collect();
            records.sort_by(|one, other| place(one).cmp(&place(other)));
            records.dedup();
            records
        })
    }
}

fn place(record: &EarlyRecord) -> (&str, i32, i64) {
    (&record.topic, record.partition, record.offset.0)
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::Offset;

    use super::*;

    #[test]
    fn a_global_record_is_kept_until_no_shard_has_stations_that_are_to_see_it() {
        let record = |offset| EarlyRecord { topic: "G".into(), partition: 0, offset: Offset(offset) };
        let tells = |early: Option<Vec<EarlyRecord>>| Changes { early, ..Changes::default() };
        let mut early = EarlyByShard::loaded(vec![record(1)]);
        assert_eq!(early.changed(&[tells(None), tells(None)]), None);
        assert_eq!(early.changed(&[tells(Some(vec![record(2)])), tells(None)]), Some(vec![record(1), record(2)]));
        assert_eq!(early.changed(&[tells(None), tells(Some(vec![]))]), Some(vec![record(2)]));
        assert_eq!(early.changed(&[tells(Some(vec![])), tells(None)]), Some(vec![]));
    }
}
