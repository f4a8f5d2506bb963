//! `quorate state verify` as a command: what it prints, and how it ends.

use std::fs;
use std::path::Path;
use std::process::Command;

use quorate::pipeline::durable::StateStore as _;
use quorate::state::Opened;
use serde_json::{Value, json};

use crate::content::{ceiling, flush, open};

/// A store with so many windows, as a service leaves it.
fn leave(dir: &Path, stations: usize) {
    let Opened { store, .. } = open(dir).expect("opened");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(store.flush(flush(7, stations))).expect("flushed");
    runtime.block_on(store.raise(vec![ceiling(90)])).expect("raised");
}

/// The exit code, standard output, standard error.
fn verify(dir: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    let output = command.args(["state", "verify", "--dir"]).arg(dir.join("state")).args(more).output().expect("run");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_whole_store_is_counted_by_kind_with_its_positions() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), 12);
    let (code, printed, _) = verify(dir.path(), &["--json"]);
    let found: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!((code, &found["problems"]), (Some(0), &json!([])));
    assert_eq!((&found["cluster_id"], &found["group_id"]), (&json!("cluster"), &json!("group")));
    assert_eq!(found["kinds"]["windows"]["entries"], json!(12));
    assert!(found["kinds"]["windows"]["bytes"].as_u64() > Some(12 * 400));
    let position = json!({ "topic": "T", "partition": 0, "incarnation": 0, "next": 7, "live_from": 0 });
    assert_eq!(found["positions"], json!([position]));
    let (code, printed, _) = verify(dir.path(), &[]);
    assert_eq!(code, Some(0));
    for words in ["cluster cluster, group group", "windows", "T[0]", "no problems"] {
        assert!(printed.contains(words), "{words} in\n{printed}");
    }
}

#[test]
fn a_damaged_store_ends_with_6_and_says_what_is_wrong_and_is_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), 300);
    let database =
        fs::read_dir(dir.path().join("state")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let database = database.max_by_key(|path| fs::metadata(path).expect("a file").len()).expect("a database");
    let mut bytes = fs::read(&database).expect("bytes");
    let needle = format!("{:0>400}", 7);
    let at = bytes.windows(400).position(|window| window == needle.as_bytes()).expect("a stored window");
    bytes[at + 200] ^= 1;
    fs::write(&database, &bytes).expect("written");
    for _ in 0..2 {
        let (code, printed, _) = verify(dir.path(), &["--json"]);
        let found: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(code, Some(6), "{found}");
        assert!(found["problems"].as_array().is_some_and(|problems| !problems.is_empty()), "{found}");
    }
}

#[test]
fn a_store_that_is_in_use_or_is_not_there_is_refused_with_6() {
    let dir = tempfile::tempdir().expect("a folder");
    let (code, printed, said) = verify(dir.path(), &[]);
    assert_eq!((code, printed.as_str()), (Some(6), ""));
    assert!(said.contains("there is no store"), "{said}");
    leave(dir.path(), 1);
    let held = open(dir.path()).expect("opened");
    let (code, printed, said) = verify(dir.path(), &[]);
    assert_eq!((code, printed.as_str()), (Some(6), ""));
    assert!(said.contains(&format!("in use by process {}", std::process::id())), "{said}");
    drop(held);
    assert_eq!(verify(dir.path(), &[]).0, Some(0));
}
