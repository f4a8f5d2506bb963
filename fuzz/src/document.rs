//! [`Document`]: JSON as a tree of its own, so that what the core reads can be compared with something that shares
//! none of its code; and how large and deep a text is.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value; of two equal keys the last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Document {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer above `i64::MAX`.
    Big(u64),
    Float(f64),
    Text(String),
    List(Vec<Document>),
    Object(BTreeMap<String, Document>),
}

/// What the limits of a plan are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Containers inside each other.
    pub(crate) depth: usize,
    /// Elements of the longest array, entries of the largest object.
    pub(crate) width: usize,
    /// Bytes of the longest string or key.
    pub(crate) string: usize,
    /// Some object has two equal keys.
    pub(crate) repeats: bool,
}

/// Reads one JSON text; none when it is not JSON. The extent is that of what was read.
pub(crate) fn read(text: &str) -> (Option<Document>, Extent) {
    let extent = Cell::default();
    let mut json = serde_json::Deserializer::from_str(text);
    json.disable_recursion_limit();
    let read = Read { extent: &extent, depth: 0 }.deserialize(&mut json);
    let document = read.and_then(|document| json.end().map(|()| document)).ok();
    (document, extent.get())
}

impl Document {
    /// The value under `steps`: keys of objects, indices of arrays.
    pub(crate) fn at<S: AsRef<str>>(&self, steps: &[S]) -> Option<&Self> {
        steps.iter().try_fold(self, |value, step| match value {
            Self::Object(entries) => entries.get(step.as_ref()),
            Self::List(items) => items.get(index(step.as_ref())?),
            _ => None,
        })
    }

    /// A string as it is, an integer as its decimal text.
    pub(crate) fn scalar(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Int(number) => Some(number.to_string()),
            Self::Big(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "JSON numbers are 64-bit floats")]
            Self::Int(number) => Some(*number as f64),
            #[expect(clippy::cast_precision_loss, reason = "JSON numbers are 64-bit floats")]
            Self::Big(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }
}

/// An array index by RFC 6901: digits without a leading zero.
pub(crate) fn index(step: &str) -> Option<usize> {
    let canonical = step.parse::<usize>().ok()?;
    (canonical.to_string() == step).then_some(canonical)
}

#[derive(Clone, Copy)]
struct Read<'a> {
    extent: &'a Cell<Extent>,
    depth: usize,
}

impl Read<'_> {
    fn note(&self, note: impl FnOnce(&mut Extent)) {
        let mut extent = self.extent.get();
        note(&mut extent);
        self.extent.set(extent);
    }

    fn inside(self) -> Self {
        let depth = self.depth + 1;
        self.note(|extent| extent.depth = extent.depth.max(depth));
        Self { depth, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Read<'_> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read<'_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Document, E> {
        Ok(Document::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Document, E> {
        Ok(Document::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Document, E> {
        Ok(i64::try_from(number).map_or(Document::Big(number), Document::Int))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Document, E> {
        Ok(Document::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Document, E> {
        self.note(|extent| extent.string = extent.string.max(text.len()));
        Ok(Document::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Document, A::Error> {
        let inside = self.inside();
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
            self.note(|extent| extent.width = extent.width.max(list.len()));
        }
        Ok(Document::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Document, A::Error> {
        let inside = self.inside();
        let mut object = BTreeMap::new();
        let mut count = 0;
        while let Some(key) = entries.next_key_seed(inside)? {
            let Document::Text(key) = key else { return Err(A::Error::custom("a key is a string")) };
            count += 1;
            let before = object.insert(key, entries.next_value_seed(inside)?);
            self.note(|extent| {
                extent.width = extent.width.max(count);
                extent.repeats |= before.is_some();
            });
        }
        Ok(Document::Object(object))
    }
}
