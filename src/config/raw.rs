//! The configuration before it means anything: a tree of values, each with the place it was written at.
//! Knows TOML, but no key of ours.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem};

/// A value and where it was written.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// The words of an override before they were read as TOML: `42` may be meant as a name.
    pub(super) words: Option<Box<str>>,
}

/// What TOML can say.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// A date or time, or an integer beyond 64 bits: nothing any key takes.
    Other(String),
    List(Vec<Node>),
    Table(Table),
}

/// A table by key; the order of keys means nothing.
#[derive(Clone, Default)]
pub(super) struct Table(pub(super) BTreeMap<String, Entry>);

/// A key's place and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: Origin,
    pub(super) node: Node,
}

/// Reads a file. What can be read is returned even when some of it is not TOML.
pub(super) fn parse_file(text: &str) -> (Table, Vec<Problem>) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let problems = errors.iter().map(|error| {
        let origin = Origin::File(error.span().unwrap_or(0..0));
        Problem::error(&origin, format!("not TOML: {}", error.message().replace('\n', ", ")))
    });
    (table(document.into_inner(), &|span| Origin::File(span)), problems.collect())
}

/// Reads the value of an override: TOML when it is some, else the words themselves.
pub(super) fn parse_words(words: &str, origin: &Origin) -> Node {
    let value = match DeValue::parse(words.trim()) {
        Ok(value) => convert(value.into_inner(), &|_| origin.clone()),
        Err(_) => Value::Text(words.to_owned()),
    };
    Node { value, origin: origin.clone(), words: Some(words.into()) }
}

type OriginOf<'a> = &'a dyn Fn(std::ops::Range<usize>) -> Origin;

fn table(raw: DeTable<'_>, origin: OriginOf<'_>) -> Table {
    let entries = raw.into_iter().map(|(key, value)| {
        let entry = Entry { key: origin(key.span()), node: node(value, origin) };
        (key.into_inner().into_owned(), entry)
    });
    Table(entries.collect())
}

fn node(raw: Spanned<DeValue<'_>>, origin: OriginOf<'_>) -> Node {
    Node { origin: origin(raw.span()), value: convert(raw.into_inner(), origin), words: None }
}

fn convert(raw: DeValue<'_>, origin: OriginOf<'_>) -> Value {
    match raw {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other(number.to_string()),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => Value::Float(number),
            Err(_) => Value::Other(number.as_str().to_owned()),
        },
        DeValue::Boolean(flag) => Value::Bool(flag),
        DeValue::Datetime(moment) => Value::Other(moment.to_string()),
        DeValue::Array(list) => Value::List(list.into_iter().map(|item| node(item, origin)).collect()),
        DeValue::Table(raw) => Value::Table(table(raw, origin)),
    }
}

impl Value {
    /// What it is, in words, for messages about another kind of value being wanted.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a boolean",
            Self::Other(_) => "a date, or a number out of range",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl<const N: usize> From<[&str; N]> for Value {
    fn from(texts: [&str; N]) -> Self {
        let node = |text: &str| Node { value: text.into(), origin: Origin::Default, words: None };
        Self::List(texts.into_iter().map(node).collect())
    }
}

/// The value as it would be written in a file.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write_text(f, text),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Bool(flag) => flag.fmt(f),
            Self::Other(text) => f.write_str(text),
            Self::List(items) => {
                f.write_char('[')?;
                for (ix, item) in items.iter().enumerate() {
                    f.write_str(if ix > 0 { ", " } else { "" })?;
                    item.value.fmt(f)?;
                }
                f.write_char(']')
            }
            Self::Table(table) => {
                f.write_char('{')?;
                for (ix, (key, entry)) in table.0.iter().enumerate() {
                    f.write_str(if ix > 0 { ", " } else { " " })?;
                    write_key(f, key)?;
                    write!(f, " = {}", entry.node.value)?;
                }
                f.write_str(" }")
            }
        }
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

fn write_key(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    if is_bare(key) { f.write_str(key) } else { write_text(f, key) }
}

/// Whether a key needs no quotes.
pub(super) fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
