//! What the documents say is so: their invariants are tested, their links lead somewhere, their configuration loads,
//! and no text of the repository speaks of the place where it was written.

use std::collections::BTreeSet;
use std::process::Command;

use quorate::config::{Purpose, Sources, load};

use super::{REPOSITORY, expect_none};

#[test]
fn every_invariant_has_a_test_and_every_test_an_invariant() {
    let named = |text: &str, before: &str, after: &str| -> BTreeSet<u32> {
        let starts = text.split(before).skip(1);
        starts.filter_map(|rest| rest.split_once(after)?.0.parse().ok()).collect()
    };
    let told = named(REPOSITORY.text("ARCHITECTURE.md"), "\n| A", " |");
    let mut kept = named(REPOSITORY.text("tests/tidy/rooms.rs"), "\nfn a", "_");
    kept.extend(named(REPOSITORY.text("tests/tidy/absence.rs"), "\nfn a", "_"));
    let odd = told.symmetric_difference(&kept);
    expect_none(
        odd.map(|id| format!("A{id}")),
        "an invariant stands in ARCHITECTURE.md and in tests/tidy under one number",
    );
}

#[test]
fn every_room_and_package_is_on_the_map() {
    let map = REPOSITORY.text("ARCHITECTURE.md");
    let rooms = REPOSITORY.product().filter_map(|source| {
        let (room, _) = source.path.strip_prefix("src/")?.split_once('/')?;
        Some(format!("`src/{room}/`"))
    });
    let manifest: toml::Table = REPOSITORY.text("Cargo.toml").parse().expect("TOML");
    let members = manifest["workspace"]["members"].as_array().expect("a list").iter();
    let members = members.map(|member| format!("`{}/`", member.as_str().expect("a path")));
    let missing: BTreeSet<String> = rooms.chain(members).filter(|name| !map.contains(name.as_str())).collect();
    expect_none(missing, "a room gets a line on the map in ARCHITECTURE.md");
}

#[test]
fn every_decision_is_listed_once_and_has_its_parts() {
    let index = REPOSITORY.text("docs/adr/README.md");
    let decisions = REPOSITORY.texts.iter().filter_map(|(path, text)| Some((path.strip_prefix("docs/adr/")?, text)));
    let mut found = Vec::new();
    for (name, text) in decisions.filter(|(name, _)| name.starts_with(|c: char| c.is_ascii_digit())) {
        if index.matches(&format!("]({name})")).count() != 1 {
            found.push(format!("{name}: not listed in docs/adr/README.md"));
        }
        let parts = ["## Context", "## Decision", "## Consequences"];
        found.extend(parts.into_iter().filter(|part| !text.contains(part)).map(|part| format!("{name}: no {part}")));
    }
    expect_none(found, "docs/adr/template.md shows what a decision consists of");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut found = Vec::new();
    for (path, text) in REPOSITORY.texts.iter().filter(|(path, _)| path.ends_with(".md")) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || target.contains("://") {
                continue;
            }
            let place = resolved(folder, file);
            let exists =
                REPOSITORY.texts.iter().any(|(path, _)| *path == place || path.starts_with(&format!("{place}/")));
            if !exists {
                found.push(format!("{path}: {target}"));
            }
        }
    }
    expect_none(found, "the link leads nowhere");
}

fn resolved(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn configurations_in_the_documents_load_without_a_word() {
    let known = quorate_modules::known();
    let mut tried = 0;
    for (path, text) in REPOSITORY.texts.iter().filter(|(path, _)| path == "README.md") {
        for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("my.toml");
            std::fs::write(&file, block).expect("written");
            let loaded = load(Sources { path: file, env: Vec::new(), set: Vec::new() }, Purpose::service(&known));
            match loaded {
                Ok(loaded) => assert!(loaded.warnings.is_empty(), "{path}:\n{}", loaded.warnings),
                Err(report) => panic!("{path}:\n{report}"),
            }
            tried += 1;
        }
    }
    assert!(tried > 0, "the README shows a configuration");
}

/// Every block below a line like `**`src/lib.rs`**` is that file, without the attribute that tests the document itself.
#[test]
fn the_walkthrough_shows_the_files_of_its_crate() {
    let blocks = REPOSITORY.text("docs/walkthrough.md").split("\n**`").skip(1);
    let blocks: Vec<(&str, &str)> = blocks
        .filter_map(|rest| {
            let (path, rest) = rest.split_once("`**\n\n```")?;
            let (block, _) = rest.split_once("\n```")?;
            Some((path, block.split_once('\n')?.1))
        })
        .collect();
    let differs = blocks.iter().filter(|(path, block)| {
        let file = REPOSITORY.text(&format!("walkthrough/{path}"));
        file.split("\n#[cfg(doctest)]").next().map(str::trim_end) != Some(*block)
    });
    expect_none(differs.map(|(path, _)| (*path).to_owned()), "show the file as it is");

    let shown: BTreeSet<&str> = blocks.iter().map(|(path, _)| *path).collect();
    let files =
        ["config.toml", "records.ndjson", "src/lib.rs", "src/main.rs", "src/peak_alert.rs", "tests/peak_alert.rs"];
    assert_eq!(shown, BTreeSet::from(files));
}

#[test]
fn the_readme_lists_the_exit_codes_that_help_lists() {
    let help = Command::new(env!("CARGO_BIN_EXE_quorate")).arg("--help").output().expect("help");
    let help = String::from_utf8(help.stdout).expect("text");
    let (_, table) = help.split_once("Exit codes:").expect("a table");
    let codes = |lines: &mut dyn Iterator<Item = &str>| -> BTreeSet<u32> {
        lines.filter_map(|line| line.trim_start_matches(['|', ' ']).split([' ', '|']).next()?.parse().ok()).collect()
    };
    let told = REPOSITORY.text("README.md").split_once("## Exit codes").expect("a section").1;
    let told = told.split_once("\n## ").map_or(told, |(section, _)| section);
    assert_eq!(codes(&mut told.lines()), codes(&mut table.lines()));
}

#[test]
fn the_changelog_knows_the_version() {
    let manifest: toml::Table = REPOSITORY.text("Cargo.toml").parse().expect("TOML");
    let version = manifest["workspace"]["package"]["version"].as_str().expect("text");
    assert!(REPOSITORY.text("CHANGELOG.md").contains(&format!("\n## [{version}]")), "no entry for {version}");
}

/// Paths of one machine, and the words of whoever happened to write: neither means anything to a reader.
#[test]
fn texts_speak_of_the_service_and_not_of_its_making() {
    let paths = ["work", "farm", "home", "root", "Users"].map(|folder| format!("/{folder}/"));
    let words = ["ag ent", "ag ents", "suba gent", "suba gents", "ll m", "chatb ot"].map(|word| word.replace(' ', ""));
    let phrases =
        ["this", "previous", "last", "next", "earlier", "another"].map(|which| format!("{which} sess{}", "ion"));
    let mut found = Vec::new();
    for (path, text) in REPOSITORY.texts.iter().filter(|(path, _)| path != "Cargo.lock") {
        for (number, line) in (1..).zip(text.lines()) {
            let lower = line.to_lowercase();
            let is_path = |folder: &String| line.match_indices(folder.as_str()).any(|(at, _)| !continues(&line[..at]));
            let is_word = |word: &String| lower.split(|c: char| !c.is_alphanumeric()).any(|found| found == word);
            let told = paths.iter().any(is_path)
                || words.iter().any(is_word)
                || phrases.iter().any(|phrase| lower.contains(phrase.as_str()))
                || numbered(&lower);
            if told {
                found.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    expect_none(found, "say what is so, for a reader who has only the repository");
}

/// Whether a path goes on behind this, so that what follows is not its first folder.
fn continues(before: &str) -> bool {
    before.ends_with(|c: char| c.is_alphanumeric() || ".-_~}*".contains(c))
}

/// Whether a line refers to an entry of a tracker by its number.
fn numbered(line: &str) -> bool {
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let hash = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "#&'\"[".contains(c));
    line.match_indices('#').any(|(at, _)| digit(&line[at + 1..]) && hash(at)) || line.split("issue ").skip(1).any(digit)
}
