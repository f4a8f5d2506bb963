//! The text of a record's elements, for their dead letters: found again without building a tree, all in one pass.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::plan::{RecordsPointer, Step, array_index};

/// The JSON text, as received, of every element of a payload that was decoded before, in the order in which elements
/// are counted. Where a pointer leads nowhere inside an element it is that element. `pointers` are the topic's
/// `records`.
#[must_use]
pub fn elements_json<'p>(pointers: &[RecordsPointer], payload: &'p [u8]) -> Vec<&'p str> {
    let Ok(text) = std::str::from_utf8(payload) else { return Vec::new() };
    let mut found = Vec::new();
    for pointer in pointers {
        found.clear();
        if collect(text.trim_ascii(), pointer.steps(), &mut found) {
            break;
        }
    }
    found
}

fn collect<'p>(text: &'p str, steps: &[Step], found: &mut Vec<&'p str>) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        found.push(text);
        return true;
    };
    match step {
        Step::Each => {
            let Some(items) = parse::<Vec<&RawValue>>(text) else { return false };
            for item in items {
                if !collect(item.get(), rest, found) {
                    found.push(item.get());
                }
            }
            true
        }
        Step::Key(key) => {
            let value = match parse::<BTreeMap<String, &RawValue>>(text) {
                Some(entries) => entries.get(&**key).copied(),
                None => array_index(key).and_then(|index| parse::<Vec<&RawValue>>(text)?.get(index).copied()),
            };
            value.is_some_and(|value| collect(value.get(), rest, found))
        }
    }
}

/// Parses one level; what is inside stays text, however deep.
fn parse<'p, T: Deserialize<'p>>(text: &'p str) -> Option<T> {
    serde_json::from_str(text).ok()
}
