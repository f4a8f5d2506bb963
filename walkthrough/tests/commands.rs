//! The commands of docs/walkthrough.md, run as it says, print what it says.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_station-alerts"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("the binary runs")
}

/// Runs a command that the document shows, and finds every line that it prints there.
fn is_as_shown(arguments: &str) {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/walkthrough.md");
    let document = fs::read_to_string(document).expect("the document");
    assert!(document.contains(&format!("cargo run -- {arguments}\n")), "{arguments} is not shown");
    let ended = run(&arguments.split_whitespace().collect::<Vec<_>>());
    let (told, printed) = (String::from_utf8_lossy(&ended.stderr), String::from_utf8_lossy(&ended.stdout));
    assert!(ended.status.success(), "{told}");
    assert_eq!(told, "", "no warning");
    assert!(!printed.is_empty());
    for line in printed.lines() {
        assert!(document.contains(&format!("\n{line}\n")), "not in the document: {line}");
    }
}

#[test]
fn check_knows_the_module_and_finds_nothing_wrong() {
    is_as_shown("check");
}

#[test]
fn replay_calls_the_module() {
    is_as_shown("replay --input records.ndjson --emit outputs,dead_letters --advance 1m");
}

#[test]
fn the_modules_of_quorate_are_there_too() {
    let enable = ["check", "--set", "modules.probe.requires=[\"SCHEDULE-STATION-PARAM\"]"];
    let told = String::from_utf8(run(&enable).stdout).expect("text");
    assert!(told.contains("2 modules"), "{told}");
}
