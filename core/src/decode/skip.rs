//! Passing over JSON that nobody asks for: its syntax, depth, sizes and numbers are checked all the same.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Reason;
use crate::plan::Limits;

/// The limits of one record, and which of them was broken. Parsing stops at the first.
pub(super) struct Guard {
    limits: Limits,
    broken: Cell<Option<(Reason, usize)>>,
}

impl Guard {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, broken: Cell::new(None) }
    }

    /// The limit that was broken, if that is why parsing stopped.
    pub(super) fn verdict(&self) -> Option<(Reason, String)> {
        self.broken.get().map(|(reason, limit)| (reason, format!("limit {limit}")))
    }

    /// Admits a container nested `depth` deep, counted from 1.
    #[inline]
    pub(super) fn enter<E: Error>(&self, depth: usize) -> Result<(), E> {
        if depth > self.limits.depth { Err(self.refuse(Reason::TooDeep, self.limits.depth)) } else { Ok(()) }
    }

    /// Admits the `count`th element of an array.
    #[inline]
    pub(super) fn element<E: Error>(&self, count: usize) -> Result<(), E> {
        if count > self.limits.elements { Err(self.refuse(Reason::TooLarge, self.limits.elements)) } else { Ok(()) }
    }

    /// Admits a string of `len` bytes.
    #[inline]
    pub(super) fn string<E: Error>(&self, len: usize) -> Result<(), E> {
        if len > self.limits.string_bytes {
            Err(self.refuse(Reason::TooLarge, self.limits.string_bytes))
        } else {
            Ok(())
        }
    }

    #[cold]
    fn refuse<E: Error>(&self, reason: Reason, limit: usize) -> E {
        self.broken.set(Some((reason, limit)));
        E::custom(reason.as_str())
    }
}

/// Passes over one value that stands `depth` containers deep.
#[derive(Clone, Copy)]
pub(super) struct Skip<'g> {
    pub(super) guard: &'g Guard,
    pub(super) depth: usize,
}

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    #[inline]
    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.guard.string(text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = Skip { guard: self.guard, depth: self.depth + 1 };
        self.guard.enter(inner.depth)?;
        let mut count = 0;
        while items.next_element_seed(inner)?.is_some() {
            count += 1;
            self.guard.element(count)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = Skip { guard: self.guard, depth: self.depth + 1 };
        self.guard.enter(inner.depth)?;
        let mut count = 0;
        while entries.next_key_seed(inner)?.is_some() {
            count += 1;
            self.guard.element(count)?;
            entries.next_value_seed(inner)?;
        }
        Ok(())
    }
}
