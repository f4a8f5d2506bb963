//! Follows a `records` pointer through a message to the readings it means.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Reason;
use super::element::{ElementDecoder, Place};
use super::readings::{DeadRecord, Readings};
use super::skip::{Guard, Skip};
use crate::ident::Millis;
use crate::plan::{Step, array_index};

/// The walk through one record: what decodes its elements, where they go, and how many there were.
pub(super) struct Walk<'a> {
    element: &'a mut ElementDecoder,
    readings: &'a mut Readings,
    record: u32,
    timestamp: Millis,
    text: &'a str,
    is_list: bool,
    seen: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        element: &'a mut ElementDecoder,
        readings: &'a mut Readings,
        record: u32,
        timestamp: Millis,
        text: &'a str,
        is_list: bool,
    ) -> Self {
        Self { element, readings, record, timestamp, text, is_list, seen: 0 }
    }

    /// The place of the next element.
    fn place(&mut self) -> Place {
        let element = if self.is_list { u32::try_from(self.seen).ok() } else { None };
        self.seen += 1;
        Place { record: self.record, element, timestamp: self.timestamp }
    }
}

/// Follows the rest of a pointer into one value that stands `depth` containers deep. Yields whether it leads anywhere.
pub(super) struct Locate<'w, 'a> {
    walk: &'w mut Walk<'a>,
    guard: &'w Guard,
    steps: &'w [Step],
    depth: usize,
}

impl<'w, 'a> Locate<'w, 'a> {
    pub(super) fn new(walk: &'w mut Walk<'a>, guard: &'w Guard, steps: &'w [Step], depth: usize) -> Self {
        Self { walk, guard, steps, depth }
    }

    /// Decodes the value the pointer leads to as one reading.
    fn element<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        let place = self.walk.place();
        self.guard.element(self.walk.seen)?;
        let Walk { element, readings, text, .. } = self.walk;
        if !element.keeps_text() {
            element.decode(readings, self.guard, self.depth, place, None, deserializer)?;
        } else if self.depth == 0 {
            element.decode(readings, self.guard, 0, place, Some(text.trim_ascii()), deserializer)?;
        } else {
            let raw = <&RawValue>::deserialize(deserializer)?.get();
            let mut json = serde_json::Deserializer::from_str(raw);
            json.disable_recursion_limit();
            element.decode(readings, self.guard, self.depth, place, Some(raw), &mut json).map_err(Error::custom)?;
        }
        Ok(true)
    }
}

impl<'de> DeserializeSeed<'de> for Locate<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        if self.steps.is_empty() { self.element(deserializer) } else { deserializer.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Locate<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        self.guard.string(text.len())?;
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let Self { walk, guard, steps, depth } = self;
        let depth = depth + 1;
        guard.enter(depth)?;
        let wanted = match steps.split_first() {
            Some((Step::Key(key), rest)) => Some((&**key, rest)),
            _ => None,
        };
        let (before, seen) = (walk.readings.mark(), walk.seen);
        let mut found = false;
        let mut count = 0;
        while let Some(matches) = entries.next_key_seed(KeyIs { key: wanted.map(|(key, _)| key), guard })? {
            count += 1;
            guard.element(count)?;
            match wanted {
                Some((_, rest)) if matches => {
                    // Of two equal keys the last counts.
                    walk.readings.rewind(before);
                    walk.seen = seen;
                    found = entries.next_value_seed(Locate::new(walk, guard, rest, depth))?;
                }
                _ => entries.next_value_seed(Skip { guard, depth })?,
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let Self { walk, guard, steps, depth } = self;
        let depth = depth + 1;
        guard.enter(depth)?;
        let Some((step, rest)) = steps.split_first() else { return Ok(false) };
        let index = match step {
            Step::Each => None,
            Step::Key(key) => Some(array_index(key)),
        };
        let mut found = index.is_none();
        let mut count = 0;
        loop {
            let seen = walk.seen;
            let item = if index.is_none_or(|wanted| wanted == Some(count)) {
                items.next_element_seed(Locate::new(walk, guard, rest, depth))?
            } else {
                items.next_element_seed(Skip { guard, depth })?.map(|()| false)
            };
            let Some(leads) = item else { break };
            count += 1;
            guard.element(count)?;
            found |= leads;
            if index.is_none() && !leads {
                // An element in which the rest of the pointer leads nowhere is given up alone.
                walk.seen = seen;
                let place = walk.place();
                let detail = "nothing stands where `records` points".to_owned();
                let reason = Reason::WrongShape;
                walk.readings.push_dead(DeadRecord { record: place.record, element: place.element, reason, detail });
            }
        }
        Ok(found)
    }
}

/// Whether a key is the one that is looked for.
struct KeyIs<'a> {
    key: Option<&'a str>,
    guard: &'a Guard,
}

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        self.guard.string(key.len())?;
        Ok(self.key == Some(key))
    }
}
