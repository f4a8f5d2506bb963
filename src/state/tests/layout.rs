//! Whatever is stored comes back, and its bytes stay what they are.

use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;
use quorate_core::shard::PendingState;
use quorate_core::{ClosedBucketState, PendingContent, WindowState};

use super::super::TopicShape;
use super::super::batch::{Batch, EarlyByShard};
use super::super::disk::{Pending, Shape, Window};
use super::super::entry::{Entry, EntryReader};
use super::super::key::Key;
use super::generated;
use super::{latest, letter, position, slot};
use crate::pipeline::durable::Flush;

/// What stands in the store after a flush, by key; of two writes of one key the last.
fn expected(flush: &Flush) -> BTreeMap<Vec<u8>, String> {
    let mut all = BTreeMap::new();
    let mut put = |key: Key, entry: Entry| drop(all.insert(key.encode(), format!("{entry:?}")));
    for changes in &flush.changes {
        for slot in changes.slots.iter().cloned() {
            put(Key::Slot(slot.place.clone(), slot.of.clone(), slot.part), Entry::Slot(slot));
        }
        for run in changes.runs.iter().cloned() {
            put(Key::Run(run.station.clone(), run.module.clone()), Entry::Run(run));
        }
        for pending in changes.pending.iter().cloned() {
            let key = Key::Pending(pending.station.clone(), pending.module.clone(), pending.number);
            put(key, Entry::Pending(pending));
        }
        for done in changes.done.iter().cloned() {
            put(Key::Done(done.station.clone(), done.module.clone(), done.key), Entry::Done(done));
        }
    }
    for position in flush.positions.iter().cloned() {
        put(Key::Position(position.topic.clone(), position.partition), Entry::Position(position));
    }
    for letter in flush.letters.iter().cloned() {
        put(Key::Letter(letter.id), Entry::Letter(letter));
    }
    all
}

proptest! {
    #[test]
    fn every_entry_of_any_flush_comes_back_bit_by_bit(flush in generated::flush()) {
        let batch = Batch::of(flush.clone(), &mut EarlyByShard::default());
        let written: BTreeMap<_, _> = batch.writes.into_iter().collect();
        let mut reader = EntryReader::default();
        let mut read = BTreeMap::new();
        for (key, value) in &written {
            let entry = reader.read(key, value.as_ref().expect("nothing is removed"));
            read.insert(key.clone(), format!("{:?}", entry.expect("good")));
        }
        let early = read.remove(&Key::Early.encode());
        prop_assert_eq!(early.is_some(), flush.changes.iter().any(|changes| changes.early.is_some()));
        prop_assert_eq!(read, expected(&flush));
    }

    #[test]
    fn unknown_fields_are_skipped(window in generated::window(), tag in 100..1000_u32, value in any::<u64>()) {
        let mut bytes = Window::from(window.clone()).encode_to_vec();
        prost::encoding::uint64::encode(tag, &value, &mut bytes);
        let read = WindowState::try_from(Window::decode(&*bytes).expect("a message"));
        prop_assert_eq!(format!("{:?}", read), format!("Ok({window:?})"));
    }

    #[test]
    fn bytes_that_are_no_window_are_refused_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(window) = Window::decode(&*bytes) {
            let _ = WindowState::try_from(window);
        }
    }
}

#[test]
fn the_bytes_of_entries_do_not_change() {
    let mut flush = Flush { positions: vec![position(5)], letters: vec![letter(2)], ..Flush::default() };
    flush
        .changes
        .push(quorate_core::shard::Changes { slots: vec![slot(1, "T", Some(latest(3)))], ..Default::default() });
    let batch = Batch::of(flush, &mut EarlyByShard::default());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let bytes = batch.writes.iter().map(|(_, value)| hex(value.as_ref().expect("a value")));
    let wanted = [
        "01f9bcef330801121007000000000000000000000000000000180a",
        "01a38fbc870a086e6f745f6a736f6e12050a01541808220100",
        "0175b8b70d0a1608061204080118061a0c7b226e756d626572223a337d",
    ];
    assert_eq!(bytes.collect::<Vec<_>>(), wanted);
}

#[test]
fn what_was_stored_before_reach_went_by_limits_and_buckets_had_a_length_is_read() {
    let [read, unread] = [&b"\x0a\x01a\x10\x78"[..], b"\x0a\x01a\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
        .map(|bytes| Shape::decode(bytes).expect("a message").of("T".into()));
    let shape = TopicShape { name: "T".into(), shape: "a".to_owned(), reach: vec![], unread: false, lost: false };
    assert_eq!((read, unread), (shape.clone(), TopicShape { unread: true, ..shape }));
    let waits = PendingState::try_from(Pending::decode(&b"\x0a\x01T\x12\x02\x08\x0a"[..]).expect("a message"));
    let bucket = ClosedBucketState { number: 5, every_ms: None, readings: vec![] };
    assert_eq!(waits, Ok(PendingState { topic: "T".into(), content: PendingContent::Bucket(bucket) }));
}
