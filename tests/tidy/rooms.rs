//! Who may import whom, and which room has which library to itself.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;
use super::{REPOSITORY, expect_none, naming};

/// A room of `src/`, and the rooms it may name. A room that is not listed may name none of ours.
const MAY_NAME: [(&str, &[&str]); 15] = [
    ("main", &["lib"]),
    ("lib", &["app", "cli"]),
    ("testing", &["app", "config"]),
    ("cli", &["app", "config", "demo", "kafka", "runtime", "state", "telemetry"]),
    ("demo", &["app", "config", "fleet", "kafka", "pipeline", "runtime"]),
    ("app", &["config", "failures", "kafka", "pipeline", "runtime", "state"]),
    ("state", &["pipeline"]),
    ("kafka", &["config", "pipeline"]),
    ("runtime", &["pipeline"]),
    ("failures", &["pipeline"]),
    ("telemetry", &["config"]),
    ("pipeline", &[]),
    ("config", &[]),
    ("fleet", &[]),
    (EVERYWHERE, &[]),
];

/// What any room may name: places where a test lets the process die.
const EVERYWHERE: &str = "fault";

/// What outside the pipeline may be named of it by those that stand behind its doors.
const DOORS: [&str; 3] = ["ports", "lane", "durable"];
const BEHIND_DOORS: [&str; 4] = ["failures", "kafka", "runtime", "state"];

/// A library of the outside world, and the rooms (or packages) that know it.
const HOMES: [(&str, &[&str]); 15] = [
    ("rdkafka", &["kafka"]),
    ("hyper", &["failures"]),
    ("openssl", &["failures"]),
    ("tokio_openssl", &["failures"]),
    ("toml", &["config"]),
    ("miette", &["config"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("ratatui", &["demo"]),
    ("tracing_subscriber", &["telemetry"]),
    ("quorate_modules", &["app", "testing"]),
    ("redb", &["state"]),
    ("prost", &["state"]),
    ("crc32c", &["state"]),
    ("augurs", &["modules"]),
];

/// What the core is made of. Nothing here does IO, keeps time or makes threads. Arrow's arrays are there for those who
/// ask for them with a feature: a module can be given its columns in them, and only the contract can build them.
const OF_THE_CORE: [&str; 9] = [
    "arrow-array",
    "arrow-schema",
    "async-trait",
    "hashbrown",
    "jiff",
    "serde",
    "serde_json",
    "thiserror",
    "xxhash-rust",
];

/// What a module author sees of the core.
const OF_A_MODULE: [&str; 2] = ["contract", "ident"];

#[test]
fn a1_the_core_depends_on_nothing_that_acts() {
    let others = dependencies("core").into_iter().filter(|name| !OF_THE_CORE.contains(&name.as_str()));
    expect_none(
        others,
        "the core is pure; a library that it may use is added to OF_THE_CORE, with an ADR if it is big",
    );

    let acts = |path: &[&str]| matches!(path, ["std", "env" | "fs" | "io" | "net" | "process" | "thread" | "time", ..]);
    let core = REPOSITORY.product().filter(|source| source.path.starts_with("core/"));
    expect_none(naming(core, acts), "the core takes and gives values: time is an argument, IO is the shell's");
}

#[test]
fn a2_a_module_sees_the_contract_and_nothing_else() {
    let of_ours = dependencies("modules").into_iter().filter(|name| name.starts_with("quorate"));
    expect_none(of_ours.filter(|name| name != "quorate-core"), "modules know the core only");

    let peeks = |path: &[&str]| matches!(path, ["quorate_core", part, ..] if !OF_A_MODULE.contains(part));
    let modules = REPOSITORY.product().filter(|source| source.path.starts_with("modules/"));
    expect_none(naming(modules, peeks), "a module is given inputs and gives outputs: `contract` and `ident` suffice");
}

#[test]
fn a3_rooms_import_downwards_only() {
    let below: BTreeMap<&str, &[&str]> = MAY_NAME.into_iter().collect();
    let found = rooms().flat_map(|(source, room)| {
        let below = below.get(room).copied().unwrap_or_default();
        naming([source], |path| match path {
            ["crate" | "quorate", other, ..] => {
                *other != room && *other != EVERYWHERE && is_room(other) && !below.contains(other)
            }
            _ => false,
        })
    });
    expect_none(found, "who may import whom stands in MAY_NAME and in ARCHITECTURE.md; let the caller hand it in");
}

#[test]
fn a3_the_rule_table_knows_every_room_and_has_no_circle() {
    let strangers: BTreeSet<&str> = rooms().map(|(_, room)| room).filter(|room| !is_room(room)).collect();
    let strangers = strangers.into_iter().map(str::to_owned);
    expect_none(strangers, "a room that is added gets a line in MAY_NAME and in ARCHITECTURE.md");

    let rank = |room: &str| MAY_NAME.iter().position(|(name, _)| *name == room);
    let edges = MAY_NAME.iter().flat_map(|(room, below)| below.iter().map(move |other| (*room, *other)));
    let upwards = edges.filter(|(room, other)| rank(other) <= rank(room));
    expect_none(upwards.map(|(room, other)| format!("{room} → {other}")), "each room stands above those it names");
}

#[test]
fn a4_the_pipeline_is_entered_by_its_doors() {
    let through_the_wall = |path: &[&str]| match path {
        ["crate", "pipeline", part, ..] => !DOORS.contains(part),
        ["crate", "pipeline"] => true,
        _ => false,
    };
    let behind = rooms().filter(|(_, room)| BEHIND_DOORS.contains(room)).map(|(source, _)| source);
    expect_none(
        naming(behind, through_the_wall),
        "Kafka, the store and module threads know `pipeline::{ports, lane, durable}` only",
    );
}

#[test]
fn a5_a_library_of_the_outside_world_has_its_room() {
    let found = REPOSITORY.product().flat_map(|source| {
        let package = source.path.split('/').next().unwrap_or_default();
        let home = source.room().unwrap_or(package);
        naming([source], |path| HOMES.iter().any(|(library, rooms)| path[0] == *library && !rooms.contains(&home)))
    });
    expect_none(found, "the room that a library belongs to stands in HOMES; ask that room for what you need");
}

#[test]
fn a6_no_room_is_given_the_whole_configuration() {
    let given_parts = ["kafka", "pipeline", "runtime", "state", "telemetry", "fleet"];
    let whole = |path: &[&str]| matches!(path, ["crate", "config", "Settings", ..]);
    let rooms = rooms().filter(|(_, room)| given_parts.contains(room)).map(|(source, _)| source);
    expect_none(naming(rooms, whole), "the composition root hands each room its own part of the settings");
}

/// The files of `src/` with their rooms.
fn rooms() -> impl Iterator<Item = (&'static Source, &'static str)> {
    REPOSITORY.product().filter_map(|source| Some((source, source.room()?)))
}

fn is_room(name: &str) -> bool {
    MAY_NAME.iter().any(|(room, _)| *room == name)
}

/// What a package is built from, tests aside.
fn dependencies(package: &str) -> Vec<String> {
    let manifest: toml::Table = REPOSITORY.text(&format!("{package}/Cargo.toml")).parse().expect("TOML");
    let table = manifest["dependencies"].as_table().expect("a table");
    table.keys().cloned().collect()
}
