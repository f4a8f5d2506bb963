//! The promises of the door, kept by the store on disk and by the one in memory alike.

use std::time::Duration;

use async_trait::async_trait;
use quorate_core::contract::InputHash;
use quorate_core::ident::{Offset, Station};
use quorate_core::shard::{Changes, EarlyRecord, Of, Place, RunChange, RunState, SlotChange};

use super::super::{Drops, Holdings, LocalStore, MemoryStore, ModuleShape, TopicShape};
use super::*;
use crate::pipeline::durable::StoreError;

/// A store that the next process can open.
#[async_trait]
trait Reopened: StateStore + Sized {
    fn begin() -> (tempfile::TempDir, Self);
    fn next(self, dir: &Path) -> (Self, Told);
    fn all(&self) -> Changes;
    fn shaped(&self, topics: &[TopicShape], modules: &[ModuleShape], drops: &Drops) -> Result<(), StoreError>;
}

/// What a process is told when it opens a store.
struct Told {
    positions: Vec<StoredPosition>,
    ceilings: Vec<StoredCeiling>,
    letters: Vec<StoredLetter>,
    topics: Vec<TopicShape>,
    modules: Vec<ModuleShape>,
    holdings: Holdings,
}

impl Reopened for LocalStore {
    fn begin() -> (tempfile::TempDir, Self) {
        let dir = tempfile::tempdir().expect("a folder");
        let Opened { store, is_fresh, .. } = opened(dir.path());
        assert!(is_fresh);
        (dir, store)
    }

    fn next(self, dir: &Path) -> (Self, Told) {
        drop(self);
        let Opened { store, positions, ceilings, letters, topics, modules, holdings, is_fresh, was_lost, set_aside } =
            opened(dir);
        assert_eq!((is_fresh, was_lost, set_aside), (false, false, None));
        (store, Told { positions, ceilings, letters, topics, modules, holdings })
    }

    fn all(&self) -> Changes {
        loaded(self)
    }

    fn shaped(&self, topics: &[TopicShape], modules: &[ModuleShape], drops: &Drops) -> Result<(), StoreError> {
        self.adopt(topics, modules, drops)
    }
}

impl Reopened for MemoryStore {
    fn begin() -> (tempfile::TempDir, Self) {
        (tempfile::tempdir().expect("a folder"), Self::default())
    }

    fn next(self, _: &Path) -> (Self, Told) {
        let next = self.reopened();
        let (positions, ceilings) = (next.positions(), next.ceilings());
        let (modules, holdings) = (next.modules(), next.holdings());
        let told = Told { positions, ceilings, letters: next.letters(), topics: next.topics(), modules, holdings };
        (next, told)
    }

    fn all(&self) -> Changes {
        let mut all = Changes::default();
        self.load(&mut |piece| gather(&mut all, piece));
        all
    }

    fn shaped(&self, topics: &[TopicShape], modules: &[ModuleShape], drops: &Drops) -> Result<(), StoreError> {
        self.adopt(topics, modules, drops)
    }
}

macro_rules! of_both {
    ($($test:ident),* $(,)?) => {
        mod local {
            $(#[tokio::test(start_paused = true)] async fn $test() { super::$test::<super::LocalStore>().await; })*
        }
        mod memory {
            $(#[tokio::test(start_paused = true)] async fn $test() { super::$test::<super::MemoryStore>().await; })*
        }
    };
}

of_both!(
    what_was_flushed_is_found_by_the_next_process,
    what_became_empty_is_gone,
    the_newest_write_counts,
    ceilings_are_replaced_and_stay,
    global_records_are_kept_until_every_shard_has_let_go,
    a_topic_of_another_shape_loses_its_windows_only,
    of_a_module_that_became_another_one_it_is_only_on_record_what_is_due,
    a_large_state_comes_in_pieces,
);

async fn what_was_flushed_is_found_by_the_next_process<S: Reopened>() {
    let (dir, store) = S::begin();
    store.flush(numbered(3, 2)).await.expect("flushed");
    let (store, told) = store.next(dir.path());
    assert_eq!((told.positions, told.letters), (vec![position(3)], vec![letter(3)]));
    let Flush { changes, .. } = numbered(3, 2);
    assert_eq!(store.all(), changes[0]);
}

async fn what_became_empty_is_gone<S: Reopened>() {
    let (dir, store) = S::begin();
    store.flush(numbered(3, 2)).await.expect("flushed");
    let run = RunChange { station: Station::from("station 0"), module: "m".into(), state: None };
    let changes = Changes { slots: vec![slot(0, "T", None)], runs: vec![run], ..Changes::default() };
    let empty = Flush { changes: vec![changes], settled_letters: vec![3, 99], ..Flush::default() };
    store.flush(empty).await.expect("flushed");
    let (store, told) = store.next(dir.path());
    assert_eq!((told.positions, told.letters), (vec![position(3)], vec![]));
    assert_eq!(store.all(), Changes { slots: vec![slot(1, "T", Some(latest(3)))], ..Changes::default() });
}

async fn the_newest_write_counts<S: Reopened>() {
    let (dir, store) = S::begin();
    for number in 1..4 {
        store.flush(numbered(number, 1)).await.expect("flushed");
    }
    let (store, told) = store.next(dir.path());
    assert_eq!(told.positions, [position(3)]);
    assert_eq!(store.all().slots, [slot(0, "T", Some(latest(3)))]);
}

async fn ceilings_are_replaced_and_stay<S: Reopened>() {
    let (dir, store) = S::begin();
    let other = StoredCeiling { partition: 1, ..ceiling(8) };
    store.raise(vec![ceiling(5), other.clone()]).await.expect("raised");
    store.raise(vec![ceiling(9)]).await.expect("raised");
    store.flush(numbered(1, 1)).await.expect("flushed");
    let (_, told) = store.next(dir.path());
    assert_eq!(told.ceilings, [ceiling(9), other]);
}

async fn global_records_are_kept_until_every_shard_has_let_go<S: Reopened>() {
    let (dir, store) = S::begin();
    let record = |offset| EarlyRecord { topic: "G".into(), partition: 0, offset: Offset(offset) };
    let tells = |early| Changes { early, ..Changes::default() };
    let of = |changes| Flush { changes, ..Flush::default() };
    store.flush(of(vec![tells(Some(vec![record(1)])), tells(Some(vec![record(1)]))])).await.expect("flushed");
    let (store, _) = store.next(dir.path());
    assert_eq!(store.all().early, Some(vec![record(1)]));
    store.flush(of(vec![tells(None), tells(Some(vec![])), tells(None)])).await.expect("flushed");
    assert_eq!(store.all().early, Some(vec![record(1)]));
    store.flush(of(vec![tells(Some(vec![])), tells(None), tells(Some(vec![]))])).await.expect("flushed");
    let (store, _) = store.next(dir.path());
    assert_eq!(store.all().early, None);
}

fn shape(name: &str, shape: &str) -> TopicShape {
    TopicShape { name: name.into(), shape: shape.to_owned(), reach: vec![60, i64::MAX], unread: false, lost: false }
}

async fn a_topic_of_another_shape_loses_its_windows_only<S: Reopened>() {
    let (dir, store) = S::begin();
    store.shaped(&[shape("T", "a"), shape("U", "a")], &[], &Drops::default()).expect("adopted");
    let mut flush = numbered(3, 2);
    let global = SlotChange { place: Place::Global, ..slot(0, "T", Some(latest(4))) };
    let of_module = SlotChange { of: Of::Module("T".into()), ..slot(0, "", Some(latest(5))) };
    flush.changes[0].slots.extend([global, slot(0, "U", Some(latest(6))), of_module.clone()]);
    store.flush(flush).await.expect("flushed");
    let (store, told) = store.next(dir.path());
    let held = Holdings {
        windows: [("T".into(), 3), ("U".into(), 1)].into(),
        runs: ["m".into()].into(),
        results: ["T".into()].into(),
    };
    assert_eq!(told.holdings, held);
    let unread = TopicShape { unread: true, lost: true, ..shape("T", "b") };
    let drops = Drops { windows: vec!["T".into()], ..Drops::default() };
    store.shaped(std::slice::from_ref(&unread), &[], &drops).expect("adopted");
    let (store, told) = store.next(dir.path());
    assert_eq!(told.topics, [unread, shape("U", "a")]);
    assert_eq!(told.positions, [position(3)]);
    assert_eq!(store.all().slots, [slot(0, "U", Some(latest(6))), of_module]);
}

async fn of_a_module_that_became_another_one_it_is_only_on_record_what_is_due<S: Reopened>() {
    let (dir, store) = S::begin();
    let module = |shape: &str| ModuleShape { name: "m".into(), shape: shape.to_owned() };
    store.shaped(&[], &[module("a")], &Drops::default()).expect("adopted");
    let run = |station: &str, module: &str, due| {
        let state = RunState { due, last_at: Some(NOW), ended: Some(InputHash(1)), failures: 2 };
        RunChange { station: Station::from(station), module: module.into(), state: Some(state) }
    };
    let of_module = |module: &str| SlotChange { of: Of::Module(module.into()), ..slot(0, "", Some(latest(5))) };
    let runs = vec![run("due", "m", true), run("not due", "m", false), run("not due", "other", false)];
    let changes = Changes { runs, slots: vec![of_module("m"), of_module("other")], ..Changes::default() };
    store.flush(Flush { changes: vec![changes], ..Flush::default() }).await.expect("flushed");
    let (store, told) = store.next(dir.path());
    assert_eq!(told.modules, [module("a")]);
    let drops = Drops { runs: vec!["m".into()], results: vec!["other".into()], ..Drops::default() };
    store.shaped(&[], &[module("b")], &drops).expect("adopted");
    let (store, told) = store.next(dir.path());
    assert_eq!(told.modules, [module("b")]);
    let only_due = RunState { due: true, ..RunState::default() };
    let due = RunChange { state: Some(only_due), ..run("due", "m", true) };
    assert_eq!(
        (store.all().runs, store.all().slots),
        (vec![due, run("not due", "other", false)], vec![of_module("m")])
    );
}

async fn a_large_state_comes_in_pieces<S: Reopened>() {
    let (dir, store) = S::begin();
    store.flush(numbered(1, 25_000)).await.expect("flushed");
    let (store, _) = store.next(dir.path());
    assert_eq!(store.all().slots.len(), 25_000);
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_was_told_to_fail_is_not_kept_and_nothing_is_taken_after_it() {
    let store = MemoryStore::default();
    store.delay_flushes(Duration::from_secs(60));
    store.flush(numbered(1, 1)).await.expect("flushed");
    store.fail_flush(2);
    store.flush(numbered(2, 1)).await.expect("flushed");
    let failed = store.flush(numbered(3, 1)).await.expect_err("told to fail");
    assert_eq!(store.flush(numbered(4, 1)).await, Err(failed.clone()));
    assert_eq!(store.raise(vec![ceiling(1)]).await, Err(failed));
    assert_eq!((store.flushes(), store.reopened().positions()), (2, vec![position(2)]));
}
