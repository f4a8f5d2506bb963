//! The store on disk under processes that die, disks that are full, and two who want the same directory.

#![allow(clippy::disallowed_methods, reason = "tests spawn, wait and read the clock as they need")]

#[path = "state/child.rs"]
mod child;
#[path = "state/content.rs"]
mod content;
#[path = "state/verify.rs"]
mod verify;

use std::time::Duration;

use child::{Child, Ending, Work};
use content::{Found, STATIONS, opened};

/// A seeded sequence: the same moments at every run, as far as a scheduler lets them.
fn moments(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |x| {
        Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .map(|x| x >> 33)
}

#[test]
fn row_1_a_process_killed_at_any_moment_loses_nothing_acknowledged_and_leaves_nothing_torn() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut before = Found::default();
    for moment in moments(7).take(24) {
        let mut child = Child::start(dir.path(), Work::Flush, None);
        child.wait_for_acks(1 + moment % 5);
        let ended = child.kill_after(Duration::from_micros(moment % 20_000));
        let found = opened(dir.path());
        assert!(found.number >= ended.flushed && found.ceiling >= ended.raised, "{found:?} after {ended:?}");
        assert!(found.number >= before.number, "{found:?} after {before:?}");
        before = found;
    }
}

#[test]
fn row_1_a_process_that_dies_at_each_step_of_a_write_leaves_all_of_it_or_nothing() {
    for (place, flushed) in [
        ("store_open:1", [0, 0]),
        ("store_before_commit:3", [2, 2]),
        ("store_after_commit:3", [2, 3]),
        ("store_before_raise:3", [2, 3]),
        ("store_after_raise:3", [2, 3]),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let ended = Child::start(dir.path(), Work::Flush, Some(place)).wait();
        let found = opened(dir.path());
        assert!((flushed[0]..=flushed[1]).contains(&found.number), "{place}: {found:?}");
        assert!(found.number >= ended.flushed && found.ceiling >= ended.raised, "{place}: {found:?} after {ended:?}");
    }
}

#[test]
fn row_15_a_full_disk_ends_the_store_and_keeps_what_was_acknowledged() {
    let dir = tempfile::tempdir().expect("a folder");
    let ended @ Ending { flushed, .. } = Child::start(dir.path(), Work::Fill, None).wait();
    assert!(ended.told.contains("refused for good"), "{ended:?}");
    assert!(flushed > 0, "{ended:?}");
    let found = opened(dir.path());
    assert!(found.number >= flushed, "{found:?} after {ended:?}");
    // With room again it goes on.
    let mut child = Child::start(dir.path(), Work::Flush, None);
    child.wait_for_acks(1);
    let ended = child.kill_after(Duration::ZERO);
    assert!(opened(dir.path()).number >= ended.flushed);
}

#[test]
fn row_19_two_processes_never_have_one_store() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut first = Child::start(dir.path(), Work::Flush, None);
    first.wait_for_acks(1);
    let second = Child::start(dir.path(), Work::Flush, None).wait();
    let told = format!("is in use by process {}", first.id());
    assert!(second.told.contains(&told) && second.flushed == 0, "{second:?}");
    first.wait_for_acks(1);
    let ended = first.kill_after(Duration::ZERO);
    assert!(opened(dir.path()).number >= ended.flushed);
}

/// What the children of the tests above do.
#[test]
#[ignore = "a part of the other tests, in a process of its own"]
fn child() {
    child::run(STATIONS);
}
