//! One pass over a reading that keeps what stands at the plan's pointers and passes over the rest.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::readings::{Readings, Span};
use super::skip::{Guard, Skip};
use super::trie::{Node, Slot, Trie};

/// What stood at a pointer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Captured {
    Absent,
    Null,
    Bool(bool),
    Int(i64),
    /// An integer above `i64::MAX`.
    Big(u64),
    Float(f64),
    Text(Span),
    /// An array, as a range of the captured items.
    Items(usize, usize),
    /// An object, or an array inside an array.
    Nested,
}

/// What was captured of one reading. Reused from reading to reading.
#[derive(Debug, Default)]
pub(super) struct Captures {
    slots: Vec<Captured>,
    items: Vec<Captured>,
}

impl Captures {
    pub(super) fn reset(&mut self, trie: &Trie) {
        self.slots.clear();
        self.slots.resize(trie.slots(), Captured::Absent);
        self.items.clear();
    }

    pub(super) fn at(&self, slot: Slot) -> Captured {
        self.slots[slot.0]
    }

    pub(super) fn items(&self, from: usize, to: usize) -> &[Captured] {
        &self.items[from..to]
    }
}

/// Captures the value at one node of the trie and below it.
pub(super) struct Capture<'a> {
    pub(super) node: &'a Node,
    pub(super) captures: &'a mut Captures,
    pub(super) readings: &'a mut Readings,
    pub(super) guard: &'a Guard,
    pub(super) depth: usize,
}

impl Capture<'_> {
    fn keep(self, captured: Captured) {
        if let Some(slot) = self.node.slot() {
            self.captures.slots[slot.0] = captured;
        }
    }
}

/// Whether the value was an object is what the caller of the root wants to know.
impl<'de> DeserializeSeed<'de> for Capture<'_> {
    type Value = bool;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Capture<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        self.keep(Captured::Null);
        Ok(false)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        self.keep(Captured::Bool(value));
        Ok(false)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<bool, E> {
        self.keep(Captured::Int(number));
        Ok(false)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<bool, E> {
        self.keep(unsigned(number));
        Ok(false)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<bool, E> {
        self.keep(Captured::Float(number));
        Ok(false)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<bool, E> {
        self.guard.string(text.len())?;
        let span = self.readings.borrowed(text);
        self.keep(Captured::Text(span));
        Ok(false)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        self.guard.string(text.len())?;
        let span = self.readings.owned(text);
        self.keep(Captured::Text(span));
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let Self { node, captures, readings, guard, depth } = self;
        let depth = depth + 1;
        guard.enter(depth)?;
        let from = captures.items.len();
        let mut count = 0;
        loop {
            let more = if let Some(node) = node.at_index(count) {
                let inner = Capture { node, captures, readings, guard, depth };
                items.next_element_seed(inner)?.is_some()
            } else if node.is_leaf() && node.slot().is_some() {
                let item = items.next_element_seed(Item { readings, guard, depth })?;
                captures.items.extend(item);
                item.is_some()
            } else {
                items.next_element_seed(Skip { guard, depth })?.is_some()
            };
            if !more {
                break;
            }
            count += 1;
            guard.element(count)?;
        }
        if let Some(slot) = node.slot() {
            captures.slots[slot.0] =
                if node.is_leaf() { Captured::Items(from, captures.items.len()) } else { Captured::Nested };
        }
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let Self { node, captures, readings, guard, depth } = self;
        let depth = depth + 1;
        guard.enter(depth)?;
        if let Some(slot) = node.slot() {
            captures.slots[slot.0] = Captured::Nested;
        }
        let mut count = 0;
        while let Some(child) = entries.next_key_seed(Key { node, guard })? {
            count += 1;
            guard.element(count)?;
            match child {
                Some(node) => {
                    // Of two equal keys the last counts, with everything below it.
                    captures.slots[node.below()].fill(Captured::Absent);
                    entries.next_value_seed(Capture { node, captures, readings, guard, depth })?;
                }
                None => entries.next_value_seed(Skip { guard, depth })?,
            }
        }
        Ok(true)
    }
}

/// Looks a key up among the children of a node.
struct Key<'a> {
    node: &'a Node,
    guard: &'a Guard,
}

impl<'de, 'a> DeserializeSeed<'de> for Key<'a> {
    type Value = Option<&'a Node>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = Option<&'a Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    #[inline]
    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        self.guard.string(key.len())?;
        Ok(self.node.child(key))
    }
}

/// Captures one element of an array.
struct Item<'a> {
    readings: &'a mut Readings,
    guard: &'a Guard,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = Captured;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Captured, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = Captured;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Captured, E> {
        Ok(Captured::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Captured, E> {
        Ok(Captured::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Captured, E> {
        Ok(Captured::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Captured, E> {
        Ok(unsigned(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Captured, E> {
        Ok(Captured::Float(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Captured, E> {
        self.guard.string(text.len())?;
        Ok(Captured::Text(self.readings.borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Captured, E> {
        self.guard.string(text.len())?;
        Ok(Captured::Text(self.readings.owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Captured, A::Error> {
        Skip { guard: self.guard, depth: self.depth }.visit_seq(items)?;
        Ok(Captured::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Captured, A::Error> {
        Skip { guard: self.guard, depth: self.depth }.visit_map(entries)?;
        Ok(Captured::Nested)
    }
}

fn unsigned(number: u64) -> Captured {
    i64::try_from(number).map_or(Captured::Big(number), Captured::Int)
}
