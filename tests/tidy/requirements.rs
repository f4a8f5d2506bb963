//! Requirements and the tests named after them: docs/requirements.md says of each where it is proven, and is right.

use std::collections::BTreeSet;

use super::source::Source;
use super::{REPOSITORY, expect_none};

const PAGE: &str = "docs/requirements.md";

/// A requirement and a test that proves it: `("4-04", "tests/config/clients.rs", "row_4_04_…")`.
type Proof = (String, String, String);

#[test]
fn every_test_named_after_a_requirement_stands_beside_it_on_the_page() {
    let told: BTreeSet<Proof> = told(REPOSITORY.text(PAGE)).collect();
    let missing = REPOSITORY.sources.iter().flat_map(proofs).filter(|proof| !told.contains(proof));
    let missing = missing.map(|(id, path, test)| format!("| {id} | … | `{path}`: `{test}` |"));
    expect_none(missing, "give the requirement its line in docs/requirements.md, or the test a name without a number");
}

#[test]
fn every_test_on_the_page_of_requirements_exists() {
    let exists = |path: &str, test: &str| {
        let source = REPOSITORY.sources.iter().find(|source| source.path == path);
        source.is_some_and(|source| functions(source).any(|name| name == test))
    };
    let gone = told(REPOSITORY.text(PAGE)).filter(|(_, path, test)| !exists(path, test));
    expect_none(gone.map(|(id, path, test)| format!("{id}: `{path}`: `{test}`")), "the test has another name or place");
}

#[test]
fn every_requirement_stands_on_the_page_once_and_with_a_proof() {
    let text = REPOSITORY.text(PAGE);
    let proven: BTreeSet<String> = told(text).map(|(id, ..)| id).collect();
    let mut seen = BTreeSet::new();
    let odd = lines(text).filter(|(id, _)| !seen.insert(id.to_owned()) || !proven.contains(*id));
    expect_none(odd.map(|(id, _)| id.to_owned()), "one line for each requirement, with at least one test");
}

/// The lines of the page's tables: the requirement, and where it is proven.
fn lines(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.lines().filter_map(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let ((id, _), (_, proofs)) = (cells.split_once(" | ")?, cells.rsplit_once(" | ")?);
        let is_id = id.ends_with(|c: char| c.is_ascii_digit());
        is_id.then_some((id, proofs))
    })
}

/// What the page says: of what stands in backquotes a file begins a list of tests.
fn told(page: &str) -> impl Iterator<Item = Proof> {
    lines(page).flat_map(|(id, proofs)| {
        let (mut path, mut found) = (String::new(), Vec::new());
        for word in proofs.split('`').skip(1).step_by(2) {
            if word.ends_with(".rs") {
                word.clone_into(&mut path);
            } else {
                found.push((id.to_owned(), path.clone(), word.to_owned()));
            }
        }
        found
    })
}

/// The tests of a file that are named after requirements, once for each.
fn proofs(source: &Source) -> impl Iterator<Item = Proof> {
    let of =
        |name: &str| ids(name).into_iter().map(|id| (id, source.path.clone(), name.to_owned())).collect::<Vec<_>>();
    functions(source).flat_map(of)
}

fn functions(source: &Source) -> impl Iterator<Item = &str> {
    source.code.split("fn ").skip(1).filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
}

/// The requirements in a name: `row_a9_…` is A9, `row_4_04_…` 4-04, `row_20_…` 20; `row_c7_and_c8_…` is two and
/// `row_d1_to_d5_…` five.
fn ids(name: &str) -> Vec<String> {
    let words: Vec<&str> = name.split('_').collect();
    let (mut found, mut at): (Vec<String>, usize) = (Vec::new(), 0);
    // Whether the words so far end with an identifier, so that `and` and `to` go on with another.
    let mut goes_on = false;
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1..).and_then(id);
        match (*word, next) {
            ("row", Some((id, length))) => {
                found.push(id);
                (at, goes_on) = (at + 1 + length, true);
            }
            ("and", Some((id, length))) if goes_on => {
                found.push(id);
                at += 1 + length;
            }
            ("to", Some((last, length))) if goes_on => {
                found.extend(between(found.last().expect("one goes before"), &last));
                found.push(last);
                at += 1 + length;
            }
            _ => (at, goes_on) = (at + 1, false),
        }
    }
    found
}

/// The identifier that words begin with, and how many words it takes.
fn id(words: &[&str]) -> Option<(String, usize)> {
    let is_number = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    let first = *words.first()?;
    match words.get(1) {
        Some(second) if is_number(first) && is_number(second) => Some((format!("{first}-{second}"), 2)),
        _ if is_number(first) => Some((first.to_owned(), 1)),
        _ => {
            let (letter, number) = first.split_at_checked(1)?;
            let is_row = letter.starts_with(|c: char| c.is_ascii_lowercase()) && is_number(number);
            is_row.then(|| (first.to_ascii_uppercase(), 1))
        }
    }
}

/// What lies between two identifiers of one letter.
fn between(first: &str, last: &str) -> Vec<String> {
    let number = |id: &str| id.get(1..).and_then(|digits| digits.parse::<u32>().ok());
    let (Some(from), Some(to)) = (number(first), number(last)) else { return Vec::new() };
    (from + 1..to).map(|number| format!("{}{number}", &first[..1])).collect()
}

#[test]
fn names_tell_their_requirements() {
    for (name, wanted) in [
        ("row_a9_good_ones_are_used", &["A9"][..]),
        ("row_4_04_a_group", &["4-04"]),
        ("row_20_what_is_not_json", &["20"]),
        ("row_c7_and_c8_a_time_and_a_place", &["C7", "C8"]),
        ("row_0_14_and_0_15_session", &["0-14", "0-15"]),
        ("row_d1_to_d4_in_turn", &["D1", "D2", "D3", "D4"]),
        ("row_4_04_each_and_row_4_27_a_missing_one", &["4-04", "4-27"]),
        ("row_state", &[]),
        ("a_row_of_guns", &[]),
        ("from_a1_to_a2", &[]),
    ] {
        assert_eq!(ids(name), wanted, "{name}");
    }
    let page = "| id | asked |\n| --- | --- |\n| A1 | a `b` | `x.rs`: `row_a1_c`, `d`; `y.rs`: `e` |\n";
    let proof = |path: &str, test: &str| ("A1".to_owned(), path.to_owned(), test.to_owned());
    assert_eq!(told(page).collect::<Vec<_>>(), [proof("x.rs", "row_a1_c"), proof("x.rs", "d"), proof("y.rs", "e")]);
}
