//! What must not happen at all, or in one place only: reading clocks, making threads, growing without bound.

use super::source::{Source, lines_with};
use super::{REPOSITORY, expect_none, naming, saying};

/// Where the clock of the operating system is read.
const CLOCKS: [&str; 2] = ["src/runtime/clock.rs", "src/kafka/clock.rs"];
/// Rooms whose deadlines follow the runtime's timer, which tests move by hand.
const TIMED_BY_RUNTIME: [&str; 4] = ["app", "pipeline", "runtime", "demo"];
/// Where threads and tasks are made.
const SPAWNERS: [&str; 5] = [
    "src/runtime/",
    "src/kafka/threads.rs",
    "src/state/threads.rs",
    "src/demo/view/mod.rs",
    "modules/src/conformance/attempt.rs",
];
/// Rooms that print.
const PRINTERS: [&str; 2] = ["cli", "demo"];
/// Numbers for onlookers, which nothing is decided by.
const COUNTS: &str = "src/pipeline/counts.rs";
/// The one file of unsafe code.
const UNSAFE: &str = "src/kafka/ffi.rs";

#[test]
fn a7_nobody_reads_a_clock_but_the_clocks() {
    let mut found = Vec::new();
    for source in REPOSITORY.product().filter(|source| !CLOCKS.contains(&source.path.as_str())) {
        let of_system = names(source, &["std", "time", "Instant"]);
        let timer = !of_system && source.room().is_some_and(|room| TIMED_BY_RUNTIME.contains(&room));
        found.extend(naming([source], |path| match path {
            [.., "SystemTime" | "Timestamp" | "Zoned", "now"] => true,
            [.., "Instant", "now"] => !timer,
            _ => false,
        }));
        found.extend(calls(source, "elapsed").filter(|_| !timer));
    }
    expect_none(found, "time is an argument; ask a `Clock`, or the room's own clock file");
}

#[test]
fn a8_threads_and_tasks_are_made_in_one_place_of_a_room() {
    let mut found = Vec::new();
    for source in REPOSITORY.product().filter(|source| !SPAWNERS.iter().any(|place| source.path.starts_with(place))) {
        // A command makes the runtime that everything else runs on.
        let is_command = source.path.starts_with("src/cli/");
        found.extend(naming([source], |path| match path {
            [.., "tokio" | "task", what] => what.starts_with("spawn") || *what == "JoinSet",
            [.., "thread", "spawn" | "scope" | "Builder"] => true,
            [.., "runtime", "Builder" | "Runtime"] => !is_command,
            _ => false,
        }));
        found.extend(calls(source, "spawn").filter(|call| !call.ends_with(" tasks.spawn(")));
        found.extend(calls(source, "spawn_blocking"));
    }
    expect_none(found, "threads and tasks have a name and somebody who watches: `runtime::Tasks`, `kafka::threads`");
}

#[test]
fn a9_every_queue_is_bounded() {
    let found = REPOSITORY.product().flat_map(|source| {
        let of_std = names(source, &["std", "sync", "mpsc"]);
        naming([source], |path| match path {
            ["std", "sync", "mpsc", "channel" | "Sender", ..] => true,
            ["mpsc", "channel" | "Sender", ..] => of_std,
            _ => path.iter().any(|part| part.starts_with("unbounded")),
        })
    });
    expect_none(found, "a limit stands beside everything that grows: `sync_channel`, tokio's `channel(capacity)`");
}

#[test]
fn a10_no_lock_stands_around_domain_state() {
    let owners = ["core/", "src/pipeline/", "src/fleet/"];
    let is_owner =
        |source: &&Source| owners.iter().any(|owner| source.path.starts_with(owner)) && source.path != COUNTS;
    let found = saying(REPOSITORY.product().filter(is_owner), &["Mutex", "RwLock", "Condvar", "RefCell"]);
    expect_none(found, "state has one owner, which is sent messages");
}

#[test]
fn a11_unsafe_code_stands_in_one_audited_file() {
    let others = REPOSITORY.sources.iter().filter(|source| source.path != UNSAFE);
    let found = others.flat_map(|source| {
        let lines = lines_with(&source.code, "unsafe");
        lines.into_iter().map(|line| format!("{}:{line}: unsafe", source.path))
    });
    expect_none(found, "a call that the client library's binding does not offer belongs into src/kafka/ffi.rs");
}

#[test]
fn a12_only_commands_print() {
    let macros = ["print!", "println!", "eprint!", "eprintln!", "dbg!"];
    let mut found = saying(REPOSITORY.product(), &macros);
    let silent = REPOSITORY.product().filter(|source| !source.room().is_some_and(|room| PRINTERS.contains(&room)));
    found.extend(naming(silent, |path| matches!(path, [.., "stdout"])));
    expect_none(found, "standard output belongs to what a command prints; everything else is a log event");
}

#[test]
fn a13_an_offset_becomes_a_position_in_one_place() {
    let elsewhere = REPOSITORY.product().filter(|source| source.path != "core/src/ident.rs");
    let found = saying(elsewhere, &["offset + 1", "offset() + 1", "offset.0 + 1"]);
    expect_none(found, "use `Offset::next`: what is committed is the position after a record, never its offset");
}

#[test]
fn a14_nothing_is_committed_but_explicit_positions() {
    let implicit = ["commit_consumer_state", "commit_message", "store_offset", "store_offsets"];
    expect_none(saying(REPOSITORY.product(), &implicit), "a commit names each partition and its settled position");
    let built_in = REPOSITORY.text("src/config/native/clients.rs");
    for property in ["enable.auto.commit", "enable.auto.offset.store"] {
        assert!(built_in.contains(&format!("(\"{property}\", \"false\")")), "{property} is false in every consumer");
    }
}

fn names(source: &Source, wanted: &[&str]) -> bool {
    source.named().iter().any(|named| named.path == wanted)
}

/// Calls of a method, each with the word before the dot.
fn calls<'a>(source: &'a Source, method: &str) -> impl Iterator<Item = String> + 'a {
    let call = format!(".{method}(");
    let lines = lines_with(&source.product, &call);
    lines.into_iter().map(move |line| {
        let text = source.product.lines().nth(line - 1).unwrap_or_default();
        let before = text.split(&call).next().unwrap_or_default();
        let word = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        format!("{}:{line}: {word}{call}", source.path)
    })
}
