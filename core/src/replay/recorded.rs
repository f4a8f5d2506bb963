//! [`RecordedRecord`]: a Kafka record as one line of JSON, read as `kcat -C -J` prints it and written so that anything
//! that reads JSON can read it. Bytes stay what they were, text or not. Knows nothing of plans, clocks or files.

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::base64;
use crate::ident::Partition;

/// Header names and values, in their order; names may repeat.
type Headers = Vec<(String, Option<Vec<u8>>)>;

/// One recorded Kafka record.
///
/// Strings are read as bytes: kcat passes a payload that is no UTF-8 through as it is, and a `\u` escape may be half of
/// a pair. Such a payload is a record like any other here, and a dead letter where it is decoded. JSON that is written
/// has to be UTF-8, so there `payload_base64` (`key_base64`, `headers_base64`) carries what `payload` can only show with
/// U+FFFD in it; when such a field is read, it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Line")]
pub struct RecordedRecord {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
    /// The offset.
    pub offset: i64,
    /// The timestamp in milliseconds; -1 where there is none, which kcat leaves out.
    pub ts: i64,
    /// Header names and values, in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The payload; null is a tombstone.
    pub payload: Option<Vec<u8>>,
}

impl RecordedRecord {
    /// What a record without a timestamp has instead, as in Kafka itself.
    pub const NO_TIMESTAMP: i64 = -1;
}

/// The fields of a line that are looked at.
#[derive(Deserialize)]
struct Line {
    topic: String,
    partition: Partition,
    offset: i64,
    ts: Option<i64>,
    #[serde(default, deserialize_with = "headers")]
    headers: Headers,
    #[serde(default)]
    headers_base64: Vec<(String, Option<Base64>)>,
    #[serde(default)]
    key: Bytes,
    key_base64: Option<Base64>,
    #[serde(default)]
    payload: Bytes,
    payload_base64: Option<Base64>,
}

impl From<Line> for RecordedRecord {
    fn from(line: Line) -> Self {
        let Line { topic, partition, offset, ts, .. } = line;
        let exact = |base64: Option<Base64>, bytes: Bytes| base64.map(|base64| base64.0).or(bytes.0);
        let headers = match line.headers_base64 {
            none if none.is_empty() => line.headers,
            exact => exact.into_iter().map(|(name, value)| (name, value.map(|value| value.0))).collect(),
        };
        Self {
            topic,
            partition,
            offset,
            ts: ts.unwrap_or(Self::NO_TIMESTAMP),
            headers,
            key: exact(line.key_base64, line.key),
            payload: exact(line.payload_base64, line.payload),
        }
    }
}

/// The bytes of a string, or null.
#[derive(Default)]
struct Bytes(Option<Vec<u8>>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_option(ItemVisitor)? {
            Item::Bytes(bytes) => Ok(Self(bytes)),
            Item::List(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &"a string or null")),
        }
    }
}

/// Bytes as base64.
struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        base64::decode(&text).map(Self).ok_or_else(|| de::Error::custom("not base64"))
    }
}

/// What may stand in a list of headers.
enum Item {
    /// A name or a value.
    Bytes(Option<Vec<u8>>),
    /// A name with its value, or the values of one name.
    List(Vec<Option<Vec<u8>>>),
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string or null")
    }

    fn visit_none<E>(self) -> Result<Item, E> {
        Ok(Item::Bytes(None))
    }

    fn visit_unit<E>(self) -> Result<Item, E> {
        Ok(Item::Bytes(None))
    }

    /// Asked for bytes, the JSON reader checks no UTF-8, and still takes a list.
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Item, D::Error> {
        deserializer.deserialize_bytes(self)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Item, E> {
        Ok(Item::Bytes(Some(bytes.to_vec())))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Item, E> {
        self.visit_bytes(text.as_bytes())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Item, A::Error> {
        let mut values = Vec::new();
        while let Some(Bytes(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Item::List(values))
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(ItemVisitor)
    }
}

/// Headers in each of their shapes: names and values in turn, a list of pairs, or names with lists of values.
fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Headers, D::Error> {
    deserializer.deserialize_any(HeadersVisitor)
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("header names and values in turn, pairs of them, or an object of them")
    }

    fn visit_unit<E>(self) -> Result<Headers, E> {
        Ok(Headers::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Headers, A::Error> {
        let mut headers = Headers::new();
        let mut open = None;
        while let Some(item) = list.next_element()? {
            match (open.take(), item) {
                (None, Item::Bytes(Some(bytes))) => open = Some(name(&bytes)),
                (Some(name), Item::Bytes(value)) => headers.push((name, value)),
                (None, Item::List(pair)) => match <[_; 2]>::try_from(pair) {
                    Ok([Some(bytes), value]) => headers.push((name(&bytes), value)),
                    _ => return Err(de::Error::custom("a header is no pair of a name and a value")),
                },
                (None, Item::Bytes(None)) => return Err(de::Error::custom("a header's name is null")),
                (Some(_), Item::List(_)) => return Err(de::Error::custom("a header's value is a list")),
            }
        }
        match open {
            Some(name) => Err(de::Error::custom(format_args!("header {name:?} has no value"))),
            None => Ok(headers),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Headers::new();
        while let Some((name, item)) = map.next_entry::<String, Item>()? {
            match item {
                Item::Bytes(value) => headers.push((name, value)),
                Item::List(values) => headers.extend(values.into_iter().map(|value| (name.clone(), value))),
            }
        }
        Ok(headers)
    }
}

/// Kafka's header names are text; one that is not is shown as well as it can be.
fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Serialize for RecordedRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("topic", &self.topic)?;
        line.serialize_entry("partition", &self.partition)?;
        line.serialize_entry("offset", &self.offset)?;
        line.serialize_entry("ts", &self.ts)?;
        if !self.headers.is_empty() {
            let shown = self.headers.iter().flat_map(|(name, value)| [Some(name.into()), shown(value.as_deref())]);
            line.serialize_entry("headers", &shown.collect::<Vec<_>>())?;
        }
        if self.headers.iter().any(|(_, value)| !is_text(value.as_deref())) {
            let exact = self.headers.iter().map(|(name, value)| (name, value.as_deref().map(base64::encode)));
            line.serialize_entry("headers_base64", &exact.collect::<Vec<_>>())?;
        }
        for (name, base64_name, bytes) in
            [("key", "key_base64", self.key.as_deref()), ("payload", "payload_base64", self.payload.as_deref())]
        {
            line.serialize_entry(name, &shown(bytes))?;
            if !is_text(bytes) {
                line.serialize_entry(base64_name, &bytes.map(base64::encode))?;
            }
        }
        line.end()
    }
}

fn shown(bytes: Option<&[u8]>) -> Option<std::borrow::Cow<'_, str>> {
    bytes.map(String::from_utf8_lossy)
}

fn is_text(bytes: Option<&[u8]>) -> bool {
    bytes.is_none_or(|bytes| std::str::from_utf8(bytes).is_ok())
}
