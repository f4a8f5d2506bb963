//! The text of a reading: kept as received until somebody looks, then once in canonical form.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::contract::Reading;
use crate::decode::tree;
use crate::plan::{Pointer, Scope, TopicPlan, WindowPlan, array_index};

/// One reading's JSON. On the hot path a newer reading is copied over an older one and nothing else happens; parsing
/// waits until a module is to see it.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Received(String),
    Canonical(Reading),
}

impl Text {
    pub(super) fn received(text: &str) -> Self {
        Self::Received(text.to_owned())
    }

    /// Replaces the text, reusing the room of the old one.
    pub(super) fn replace(&mut self, text: &str) {
        match self {
            Self::Received(old) => {
                old.clear();
                old.push_str(text);
            }
            Self::Canonical(_) => *self = Self::received(text),
        }
    }

    /// The reading as a module sees it.
    pub(super) fn reading(&mut self, projection: &Projection) -> Reading {
        if let Self::Received(text) = self {
            *self = Self::Canonical(projection.canonical(text));
        }
        match self {
            Self::Canonical(reading) => reading.clone(),
            Self::Received(_) => Reading::from_json(Arc::from("null")),
        }
    }

    /// The text as it is kept now.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Received(text) => text,
            Self::Canonical(reading) => reading.as_json(),
        }
    }
}

/// What is kept of a reading: all of it, or the values at some pointers.
#[derive(Debug)]
pub(super) struct Projection {
    keep: Option<Vec<Pointer>>,
}

impl Projection {
    /// Pointers named by station, time or window are kept whatever `fields` says.
    pub(super) fn new(topic: &TopicPlan) -> Self {
        let keep = topic.fields.clone().map(|mut keep| {
            if let Scope::Station(at) = &topic.scope {
                keep.push(at.clone());
            }
            keep.extend(topic.time.as_ref().map(|field| field.at.clone()));
            if let WindowPlan::PerKey { key, .. } = &topic.window {
                keep.push(key.clone());
            }
            keep
        });
        Self { keep }
    }

    /// Keys sorted, of two equal keys the last, only what is kept.
    fn canonical(&self, text: &str) -> Reading {
        let value = parsed(text);
        let value = match &self.keep {
            None => value,
            Some(keep) => {
                let mut kept = Value::Object(Map::new());
                for pointer in keep {
                    if let Some(found) = at(&value, pointer) {
                        put(&mut kept, pointer.steps(), found.clone());
                    }
                }
                kept
            }
        };
        Reading::from_json(value.to_string().into())
    }
}

/// Keys sorted, of two equal keys the last.
pub(super) fn canonical(text: &str) -> Reading {
    Reading::from_json(parsed(text).to_string().into())
}

/// Decoding has read this text to its end before; it cannot fail here.
pub(super) fn parsed(text: &str) -> Value {
    tree(text).unwrap_or_default()
}

/// The value at a pointer into a JSON text, as canonical JSON; none where there is none or it is null.
pub(super) fn value_at(text: &str, pointer: &Pointer) -> Option<String> {
    at(&parsed(text), pointer).filter(|value| !value.is_null()).map(Value::to_string)
}

fn at<'v>(value: &'v Value, pointer: &Pointer) -> Option<&'v Value> {
    pointer.steps().iter().try_fold(value, |value, step| match value {
        Value::Object(entries) => entries.get(&**step),
        Value::Array(items) => array_index(step).and_then(|index| items.get(index)),
        _ => None,
    })
}

/// Puts `found` under `steps`; an array on the way becomes an object of its kept indices.
fn put(kept: &mut Value, steps: &[Box<str>], found: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *kept = found;
        return;
    };
    if let Value::Object(entries) = kept {
        let inner = entries.entry(step.to_string()).or_insert_with(|| Value::Object(Map::new()));
        put(inner, rest, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn projection(fields: Option<&[&str]>) -> Projection {
        let pointers = |names: &[&str]| names.iter().map(|name| Pointer::parse(name).expect("pointer")).collect();
        Projection { keep: fields.map(pointers) }
    }

    #[test]
    fn canonical_text_has_sorted_keys_and_of_two_equal_ones_the_last() {
        let mut text = Text::received(r#"{ "b": 1, "a": [5.0, 34.29], "b": 2 }"#);
        assert_eq!(text.reading(&projection(None)).as_json(), r#"{"a":[5.0,34.29],"b":2}"#);
    }

    #[test]
    fn a_projection_keeps_nested_places_and_leaves_out_the_rest() {
        let mut text = Text::received(r#"{"a":{"x":1,"y":2},"b":3,"c":[7,8]}"#);
        let kept = text.reading(&projection(Some(&["/a/y", "/c/1", "/none"])));
        assert_eq!(kept.as_json(), r#"{"a":{"y":2},"c":{"1":8}}"#);
    }
}
