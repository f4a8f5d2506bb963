//! What a file looks like: it says what it is for, has a name that means something, a length that can be read, and
//! gives a reason for every rule it sets aside.

use super::source::{Source, line_of, lines_with};
use super::{REPOSITORY, expect_none};

/// Lines a header may have, and the files whose header is a guide for those who use them.
const HEADER_LINES: usize = 5;
const GUIDES: [(&str, &str); 3] = [
    ("modules/src/load_prediction/mod.rs", "says what the module wants and gives, topic by topic"),
    ("modules/src/operation_optimization/mod.rs", "says what the module wants and gives, topic by topic"),
    ("modules/src/station_guidance/mod.rs", "says what the module wants and gives, topic by topic"),
];

/// Lines a file may have, tests at its end aside; and those above which a product file needs a reason.
const MOST_LINES: usize = 600;
const LONG_LINES: usize = 400;
const LONG: [(&str, &str); 0] = [];

/// Names that say nothing about what is inside.
const NAMELESS: [&str; 9] = ["utils", "util", "helpers", "helper", "common", "manager", "types", "imp", "misc"];

#[test]
fn a_file_begins_by_saying_what_it_is_for() {
    let wrong = REPOSITORY.sources.iter().filter_map(|source| {
        let lines = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        let is_guide = GUIDES.iter().any(|(path, _)| source.path == *path);
        let fits = (1..=HEADER_LINES).contains(&lines) || (is_guide && lines > 0);
        (!fits).then(|| format!("{}: {lines} lines", source.path))
    });
    expect_none(wrong, "one to five lines of `//!` first: what the file owns, what it must not know");
}

#[test]
fn a_file_can_be_read_in_one_sitting() {
    let wrong = REPOSITORY.sources.iter().filter_map(|source| {
        let all = source.text.lines().count();
        let lines = source.code.find("#[cfg(test)]\nmod tests {").map_or(all, |tests| line_of(&source.code, tests) - 1);
        let has_reason = source.product.is_empty() || LONG.iter().any(|(path, _)| source.path == *path);
        let limit = if has_reason { MOST_LINES } else { LONG_LINES };
        (lines > limit).then(|| format!("{}: {lines} lines, limit {limit}", source.path))
    });
    expect_none(wrong, "split along states or inputs; a product file of 400 to 600 lines gives its reason in LONG");
}

#[test]
fn most_files_are_short() {
    let mut lines: Vec<usize> = REPOSITORY.product().map(|source| source.text.lines().count()).collect();
    lines.sort_unstable();
    let median = lines[lines.len() / 2];
    assert!(median <= 180, "the median file has {median} lines; about 150 is the aim");
}

#[test]
fn a_file_is_named_after_what_is_in_it() {
    let nameless = |source: &&Source| {
        let mut parts = source.path.trim_end_matches(".rs").split('/');
        parts.any(|part| NAMELESS.contains(&part))
    };
    let found = REPOSITORY.sources.iter().filter(nameless).map(|source| source.path.clone());
    expect_none(found, "name the file after the thing it owns");
}

#[test]
fn exceptions_in_the_lists_above_are_needed() {
    let header = |path: &str| REPOSITORY.text(path).lines().take_while(|line| line.starts_with("//!")).count();
    let guides = GUIDES.iter().filter(|(path, _)| header(path) <= HEADER_LINES).map(|(path, _)| *path);
    let long =
        LONG.iter().filter(|(path, _)| REPOSITORY.text(path).lines().count() <= LONG_LINES).map(|(path, _)| *path);
    expect_none(guides.chain(long).map(str::to_owned), "remove the exception");
}

#[test]
fn a_rule_is_set_aside_only_with_a_reason() {
    let found = REPOSITORY.sources.iter().flat_map(|source| {
        let lints = ["allow(", "expect("].into_iter().flat_map(|lint| attributes(&source.code, lint));
        lints.filter(|(_, text)| !text.contains("reason")).map(|(line, text)| format!("{}:{line}: {text}", source.path))
    });
    expect_none(found, "write `#[expect(lint, reason = \"…\")]`, so that it goes when its cause goes");
}

#[test]
fn nothing_is_left_to_be_done() {
    let found = REPOSITORY.sources.iter().flat_map(|source| {
        let code = ["todo!", "unimplemented!"]
            .into_iter()
            .flat_map(|word| lines_with(&source.code, word).into_iter().map(move |line| (line, word)));
        let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")].into_iter();
        let marks = marks.flat_map(|word| lines_with(&source.text, word).into_iter().map(move |line| (line, word)));
        code.chain(marks).map(|(line, word)| format!("{}:{line}: {word}", source.path))
    });
    expect_none(found, "do it, or say in the changelog or an ADR that it is not there");
}

/// Attributes in which a lint level is set, each with its line and its text up to the closing bracket.
fn attributes<'a>(code: &'a str, lint: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let opens = move |at: &usize| {
        let before = code[..*at].trim_end();
        before.ends_with("#[") || before.ends_with("#![") || before.ends_with(',') && in_attribute(before)
    };
    code.match_indices(lint).map(|(at, _)| at).filter(opens).map(move |at| {
        let text = &code[at..];
        (line_of(code, at), text.split(']').next().unwrap_or(text))
    })
}

/// Whether what stands before is the beginning of `#[cfg_attr(…,`.
fn in_attribute(before: &str) -> bool {
    before.rfind("cfg_attr(").is_some_and(|attribute| !before[attribute..].contains(']'))
}
