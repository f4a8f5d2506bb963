//! Whose store it is, who has it open, and what is done about one that is not what was written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use redb::{Database, ReadableTable};

use super::super::disk::Meta;
use super::super::envelope;
use super::super::key::Key;
use super::super::local::ENTRIES;
use super::super::{Drops, SetAside, verify};
use super::*;

fn begun() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let store = opened(dir.path()).store;
    flush(&store, numbered(1, 3));
    flush(&store, numbered(2, 3));
    wait(store.raise(vec![ceiling(50)])).expect("raised");
    dir
}

/// Changes an entry as only a program that knows the layout can.
fn rewrite(dir: &Path, key: &Key, change: impl FnOnce(&[u8]) -> Vec<u8>) {
    let database = Database::open(dir.join("state.redb")).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    {
        let mut table = transaction.open_table(ENTRIES).expect("the table");
        let value = table.get(key.encode().as_slice()).expect("readable").expect("there").value().to_vec();
        table.insert(key.encode().as_slice(), change(&value).as_slice()).expect("written");
    }
    transaction.commit().expect("committed");
}

fn set_meta(dir: &Path, change: impl FnOnce(&mut Meta)) {
    rewrite(dir, &Key::Meta, |value| {
        let key = Key::Meta.encode();
        let mut meta: Meta = prost::Message::decode(envelope::open(&key, value).expect("whole")).expect("a message");
        change(&mut meta);
        envelope::seal(&key, &meta)
    });
}

#[track_caller]
fn expect_set_aside(dir: &Path, because: &str) {
    let before = fs::read_dir(dir).expect("readable").count();
    let Opened { store, positions, ceilings, is_fresh, set_aside, .. } = opened(dir);
    let SetAside { to, why } = set_aside.expect("set aside");
    assert!(why.contains(because), "{why}");
    assert!(is_fresh && positions.is_empty() && ceilings.is_empty());
    assert!(fs::read_dir(&to).expect("readable").count() > 0 && before > 0);
    // It works like any other, now and at the next start.
    flush(&store, numbered(9, 1));
    drop(store);
    assert_eq!(opened(dir).positions, [position(9)]);
}

#[test]
fn row_19_a_second_process_is_told_who_has_the_directory() {
    let dir = begun();
    let first = opened(dir.path());
    let pid = Some(std::process::id());
    assert_eq!(open(dir.path()).expect_err("in use"), OpenError::InUse { dir: dir.path().to_owned(), pid });
    drop(first);
    assert_eq!(opened(dir.path()).positions, [position(2)]);
}

#[test]
fn row_18_a_store_of_another_cluster_or_group_is_refused_and_left_alone() {
    let dir = begun();
    for (other, of) in [
        (Identity { cluster_id: "strange".to_owned(), ..identity() }, "belongs to cluster \"cluster\""),
        (Identity { group_id: "strange".to_owned(), ..identity() }, "belongs to group \"group\""),
    ] {
        let refused = LocalStore::open(dir.path(), &other, NOW).expect_err("refused").to_string();
        assert!(refused.contains(of) && refused.contains("set another state.dir"), "{refused}");
    }
    assert_eq!(opened(dir.path()).positions, [position(2)]);
}

#[test]
fn row_18_a_newer_format_is_refused_and_left_alone() {
    let dir = begun();
    set_meta(dir.path(), |meta| meta.format = 2);
    let refused = open(dir.path()).expect_err("refused");
    assert!(matches!(&refused, OpenError::Refused { what, .. } if what.contains("format 2")), "{refused}");
    set_meta(dir.path(), |meta| meta.format = 1);
    assert_eq!(opened(dir.path()).positions, [position(2)]);
}

#[test]
fn a_database_that_lost_an_acknowledged_commit_is_set_aside() {
    let dir = tempfile::tempdir().expect("a folder");
    let database = dir.path().join("state.redb");
    let store = opened(dir.path()).store;
    flush(&store, numbered(1, 3));
    drop(store);
    let older = fs::read(&database).expect("readable");
    let store = opened(dir.path()).store;
    flush(&store, numbered(2, 3));
    drop(store);
    fs::write(&database, older).expect("written");
    expect_set_aside(dir.path(), "commit 2 was acknowledged, the database goes back to 1");
}

#[test]
fn ceilings_that_go_back_are_set_aside() {
    let dir = begun();
    set_meta(dir.path(), |meta| meta.sequence = 4);
    expect_set_aside(dir.path(), "the file of ceilings goes back to commit 2 of 4");
}

#[test]
fn a_commit_that_was_not_acknowledged_any_more_is_kept() {
    let dir = begun();
    set_meta(dir.path(), |meta| meta.sequence = 3);
    let Opened { positions, set_aside, .. } = opened(dir.path());
    assert_eq!((positions, set_aside), (vec![position(2)], None));
    set_meta(dir.path(), |meta| meta.sequence = 2);
    expect_set_aside(dir.path(), "commit 3 was acknowledged");
}

#[test]
fn files_that_are_gone_are_missed() {
    let dir = begun();
    fs::remove_file(dir.path().join("ceilings")).expect("removed");
    expect_set_aside(dir.path(), "the file of ceilings is gone");
    fs::remove_file(dir.path().join("state.redb")).expect("removed");
    expect_set_aside(dir.path(), "the database is gone");
}

#[test]
fn one_bad_entry_is_enough_to_set_a_store_aside() {
    let dir = begun();
    let key = Key::Position("T".into(), 0);
    rewrite(dir.path(), &key, |value| [value, &[0x28, 0x01]].concat());
    expect_set_aside(dir.path(), "Position(\"T\", 0): wrong checksum");
}

#[test]
fn what_was_set_aside_once_is_never_touched_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut places: Vec<PathBuf> = Vec::new();
    for _ in 0..3 {
        fs::write(dir.path().join("ceilings"), "torn").expect("written");
        let aside = opened(dir.path()).set_aside.expect("set aside");
        places.push(aside.to);
    }
    let names = ["set-aside-20260528T202640Z", "set-aside-20260528T202640Z-2", "set-aside-20260528T202640Z-3"];
    assert_eq!(places, names.map(|name| dir.path().join(name)));
    assert!(places.iter().all(|place| fs::read(place.join("ceilings")).is_ok_and(|content| content == b"torn")));
}

#[test]
fn that_a_store_was_lost_is_known_until_something_else_was_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    assert!(!opened(dir.path()).was_lost, "there was none");
    fs::write(dir.path().join("ceilings"), "torn").expect("written");
    let Opened { set_aside, was_lost, .. } = opened(dir.path());
    assert!(was_lost && set_aside.is_some());
    // Its process ended before it had kept anything.
    let Opened { store, set_aside, was_lost, .. } = opened(dir.path());
    assert!(was_lost && set_aside.is_none());
    flush(&store, numbered(1, 1));
    drop(store);
    assert!(!opened(dir.path()).was_lost);
}

#[test]
fn a_copy_that_is_set_aside_is_a_store_as_it_was() {
    let dir = begun();
    let store = opened(dir.path()).store;
    let copy = store.copy_aside(NOW).expect("copied");
    let drops = Drops { windows: vec!["T".into()], ..Drops::default() };
    store.adopt(&[], &[], &drops).expect("adopted");
    assert!(loaded(&store).slots.is_empty());
    let Opened { store, positions, ceilings, set_aside, .. } = opened(&copy);
    assert_eq!((positions, ceilings, set_aside), (vec![position(2)], vec![ceiling(50)], None));
    assert_eq!(loaded(&store).slots.len(), 3);
}

#[test]
fn a_start_that_was_cut_off_leaves_nothing_in_the_way() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("state.redb.new"), "half a database").expect("written");
    fs::write(dir.path().join("ceilings.next"), "half a file").expect("written");
    let Opened { is_fresh, set_aside, .. } = opened(dir.path());
    assert_eq!((is_fresh, set_aside), (true, None));
}

#[test]
fn only_the_owner_may_look_into_a_store() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().join("deep/state");
    let store = opened(&state).store;
    flush(&store, numbered(1, 1));
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    let modes = ["lock", "state.redb", "ceilings"].map(|file| mode(&state.join(file)));
    assert_eq!(modes, [0o600; 3]);
}

#[test]
fn a_directory_that_cannot_be_one_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("state");
    fs::write(&file, "a file").expect("written");
    let e = open(&file).expect_err("no directory");
    assert!(matches!(&e, OpenError::Unusable { remedy, .. } if remedy.contains("state.dir")), "{e}");
}

#[test]
fn a_store_that_is_looked_through_tells_what_it_holds_and_every_bad_entry() {
    let dir = begun();
    let good = verify(dir.path()).expect("looked through");
    let counts = good.kinds.iter().map(|(name, kind)| (*name, kind.entries)).collect::<Vec<_>>();
    assert_eq!(counts, [("dead letters", 2), ("positions", 1), ("runs", 1), ("store", 1), ("windows", 3)]);
    assert_eq!((good.identity, good.commits, good.problems), (Some(identity()), 2, vec![]));
    for key in [Key::Position("T".into(), 0), Key::Letter(1)] {
        rewrite(dir.path(), &key, |value| [value, &[0x28, 0x01]].concat());
    }
    let bad = verify(dir.path()).expect("looked through").problems;
    assert_eq!(bad, ["bad entry Position(\"T\", 0): wrong checksum", "bad entry Letter(1): wrong checksum"]);
    assert!(verify(&dir.path().join("nothing")).is_err());
}
