//! Every type that is stored, with any content.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use quorate_core::contract::{InputHash, LineageRange};
use quorate_core::ident::{Millis, NextOffset, Offset, Station};
use quorate_core::provenance::Provenance;
use quorate_core::shard::{
    Changes, DoneChange, EarlyRecord, Of, PendingChange, PendingState, Place, RunChange, RunState, SlotChange,
};
use quorate_core::{
    BucketState, ClosedBucketState, EntryState, GridCellState, GridReadingState, OpenBucketState, PendingContent,
    ResultState, RowsColumnState, RowsContentState, RowsState, WindowState,
};

use crate::pipeline::durable::{Flush, StoredLetter, StoredPosition};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,4}", any::<String>()]
}

fn name() -> impl Strategy<Value = Arc<str>> {
    text().prop_map(Into::into)
}

fn long() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(i64::MIN), Just(i64::MAX), any::<i64>()]
}

fn number() -> impl Strategy<Value = f64> {
    let odd = [f64::NAN, -f64::NAN, 0.0, -0.0, f64::INFINITY, f64::MIN_POSITIVE, f64::MAX];
    prop_oneof![prop::sample::select(odd.to_vec()), any::<f64>()]
}

fn millis() -> impl Strategy<Value = Millis> {
    long().prop_map(Millis)
}

fn origin() -> impl Strategy<Value = Provenance> {
    (any::<u32>(), any::<i32>(), long(), any::<u32>()).prop_map(|(incarnation, partition, offset, element)| {
        Provenance { incarnation, partition, offset: Offset(offset), element }
    })
}

fn hash() -> impl Strategy<Value = Option<InputHash>> {
    of(any::<u128>().prop_map(InputHash))
}

fn entry() -> impl Strategy<Value = EntryState> {
    (millis(), origin(), text()).prop_map(|(time, origin, json)| EntryState { time, origin, json })
}

fn bucket() -> impl Strategy<Value = (i64, Vec<EntryState>)> {
    (long(), vec(entry(), 0..3))
}

fn cell() -> impl Strategy<Value = GridCellState> {
    (text(), any::<u32>(), vec(number(), 0..4)).prop_map(|(series, index, values)| GridCellState {
        series,
        index,
        values,
    })
}

fn grid() -> impl Strategy<Value = GridReadingState> {
    (millis(), origin(), vec(cell(), 0..3), vec(number(), 0..3))
        .prop_map(|(time, origin, cells, totals)| GridReadingState { time, origin, cells, totals })
}

fn result() -> impl Strategy<Value = ResultState> {
    let range = (name(), any::<i32>(), long(), long(), any::<u32>());
    let range = range.prop_map(|(topic, partition, from_offset, to_offset, incarnation)| LineageRange {
        topic,
        partition,
        from_offset,
        to_offset,
        incarnation,
    });
    (millis(), hash(), of(origin()), vec(range, 0..3), text())
        .prop_map(|(time, hash, origin, lineage, json)| ResultState { time, hash, origin, lineage, json })
}

fn column() -> impl Strategy<Value = RowsColumnState> {
    (vec(number(), 0..5), vec(any::<(u32, bool)>(), 0..3), vec((any::<u32>(), text()), 0..3))
        .prop_map(|(numbers, bools, texts)| RowsColumnState { numbers, bools, texts })
}

fn rows() -> impl Strategy<Value = RowsState> {
    let content = prop_oneof![
        vec(text(), 0..4).prop_map(RowsContentState::Texts),
        vec(column(), 0..3).prop_map(RowsContentState::Columns),
    ];
    (vec(millis(), 0..5), vec(origin(), 0..5), content).prop_map(|(times, origins, content)| RowsState {
        times,
        origins,
        content,
    })
}

fn open_bucket() -> impl Strategy<Value = OpenBucketState> {
    (bucket(), any::<bool>()).prop_map(|((number, readings), live)| OpenBucketState { number, live, readings })
}

pub(super) fn window() -> impl Strategy<Value = WindowState> {
    prop_oneof![
        entry().prop_map(WindowState::Latest),
        vec((text(), entry()), 0..4).prop_map(WindowState::PerKey),
        vec(grid(), 0..3).prop_map(WindowState::Grid),
        (vec(open_bucket(), 0..3), of(bucket()))
            .prop_map(|(open, newest)| WindowState::Buckets(BucketState { open, newest })),
        result().prop_map(WindowState::Results),
        vec(rows(), 0..3).prop_map(WindowState::Rows),
    ]
}

fn station() -> impl Strategy<Value = Station> {
    text().prop_map(|id| Station::from(id.as_str()))
}

fn slot() -> impl Strategy<Value = SlotChange> {
    let place = prop_oneof![Just(Place::Global), station().prop_map(Place::Station)];
    let kind = prop_oneof![name().prop_map(Of::Topic), name().prop_map(Of::Module)];
    (place, kind, 0..3_u64, window()).prop_map(|(place, of, part, state)| SlotChange {
        place,
        of,
        part,
        state: Some(state),
    })
}

fn run() -> impl Strategy<Value = RunChange> {
    let state = (any::<bool>(), of(millis()), hash(), any::<u32>())
        .prop_map(|(due, last_at, ended, failures)| RunState { due, last_at, ended, failures });
    (station(), name(), state).prop_map(|(station, module, state)| RunChange { station, module, state: Some(state) })
}

fn pending() -> impl Strategy<Value = PendingChange> {
    let content = prop_oneof![
        (bucket(), of(long())).prop_map(|((number, readings), every_ms)| {
            PendingContent::Bucket(ClosedBucketState { number, every_ms, readings })
        }),
        entry().prop_map(PendingContent::Reading),
    ];
    let state = (name(), content).prop_map(|(topic, content)| PendingState { topic, content });
    (station(), name(), any::<u64>(), state).prop_map(|(station, module, number, state)| PendingChange {
        station,
        module,
        number,
        state: Some(state),
    })
}

fn done() -> impl Strategy<Value = DoneChange> {
    (station(), name(), any::<u128>(), millis()).prop_map(|(station, module, key, at)| DoneChange {
        station,
        module,
        key,
        at: Some(at),
    })
}

fn changes() -> impl Strategy<Value = Changes> {
    let record = (name(), any::<i32>(), long()).prop_map(|(topic, partition, offset)| EarlyRecord {
        topic,
        partition,
        offset: Offset(offset),
    });
    (vec(slot(), 0..4), vec(run(), 0..3), vec(pending(), 0..3), vec(done(), 0..3), of(vec(record, 1..3)))
        .prop_map(|(slots, runs, pending, done, early)| Changes { slots, runs, pending, done, early })
}

fn position() -> impl Strategy<Value = StoredPosition> {
    (name(), any::<i32>(), any::<u32>(), of(any::<u128>()), long(), long()).prop_map(
        |(topic, partition, incarnation, topic_id, next, live_from)| {
            let (next, live_from) = (NextOffset(next), NextOffset(live_from));
            StoredPosition { topic, partition, incarnation, topic_id, next, live_from }
        },
    )
}

fn letter() -> impl Strategy<Value = StoredLetter> {
    let bytes = || vec(any::<u8>(), 0..4);
    let origin = of((name(), any::<i32>(), long()));
    (any::<u64>(), text(), origin, of(bytes()), of(bytes()), vec((text(), bytes()), 0..3))
        .prop_map(|(id, reason, origin, key, value, headers)| StoredLetter { id, reason, origin, key, value, headers })
}

pub(super) fn flush() -> impl Strategy<Value = Flush> {
    (vec(changes(), 0..3), vec(position(), 0..3), vec(letter(), 0..3)).prop_map(|(changes, positions, letters)| Flush {
        changes,
        positions,
        letters,
        settled_letters: vec![],
    })
}
