//! `[kafka.properties]`: native properties as users give them, checked before any client is built.

use super::catalogue::{self, Kind, Native};
use super::foreign;
use crate::config::problem::Origin;
use crate::config::raw::{Entry, Value};
use crate::config::reader::{Notes, Reader, listed, nearest};
use crate::config::secret::Vault;

/// A property that was given.
#[derive(Clone, Debug)]
pub(in crate::config) struct Given {
    pub(in crate::config) native: &'static Native,
    pub(in crate::config) value: String,
    pub(in crate::config) origin: Origin,
}

/// Properties that quorate sets itself or must not have, and why or what to write instead.
const RESERVED: &[(&str, &str)] = &[
    ("auto.commit.interval.ms", "write `auto_commit_interval_ms` in [kafka.consumer]"),
    ("auto.offset.reset", "write `auto_offset_reset` and `on_out_of_range` in [kafka.consumer]"),
    ("bootstrap.servers", "write `bootstrap_servers` in [kafka]"),
    ("builtin.features", "it only tells what the library was built with"),
    ("consume.callback.max.messages", "it concerns an interface that quorate does not use"),
    ("delivery.report.only.error", "quorate needs every delivery report: a result counts once it is acknowledged"),
    ("enable.auto.commit", "write `enable_auto_commit` in [kafka.consumer]"),
    ("enable.auto.offset.store", "quorate commits settled positions only, never what was merely handed over"),
    ("enable.partition.eof", "quorate finds the end of a partition by its position"),
    ("enabled_events", "quorate decides which events it takes"),
    ("group.id", "write `group_id` in [kafka.consumer]"),
    ("group.instance.id", "write `instance_id` in [kafka.consumer]"),
    ("group.protocol", "write `protocol` in [kafka.consumer]"),
    ("group.protocol.type", "quorate's groups are consumer groups"),
    ("internal.termination.signal", "it is for programs that end without closing their clients"),
    ("log.queue", "quorate takes the client's log lines itself"),
    ("offset.store.method", "positions are kept by the broker"),
    ("offset.store.path", "positions are kept by the broker"),
    ("offset.store.sync.interval.ms", "positions are kept by the broker"),
    ("plugin.library.paths", "loading code into the service is not allowed"),
    ("ssl.engine.id", "loading code into the service is not allowed"),
    ("ssl.engine.location", "loading code into the service is not allowed"),
    ("ssl.providers", "loading code into the service is not allowed"),
    ("transaction.timeout.ms", "exactly-once delivery is not available in this version"),
    ("transactional.id", "exactly-once delivery is not available in this version"),
];

/// Reads the table. Unquoted dotted names, which TOML takes for nested tables, are as good as quoted ones.
pub(in crate::config) fn read(table: &Reader<'_>, vault: &Vault<'_>) -> Vec<Given> {
    let mut given: Vec<Given> = Vec::new();
    let mut queue: Vec<(String, &Entry)> = table.entries().map(|(key, entry)| (key.to_owned(), entry)).collect();
    queue.reverse();
    while let Some((name, entry)) = queue.pop() {
        match (&entry.node.value, catalogue::find(&name)) {
            (Value::Table(inner), None) => {
                queue.extend(inner.0.iter().map(|(key, entry)| (format!("{name}.{key}"), entry)));
            }
            (_, None) => unknown(table.notes, &name, entry),
            (_, Some(native)) => given.extend(one(table, vault, &name, native, entry)),
        }
    }
    refuse_aliases(table.notes, &given);
    given
}

fn unknown(notes: &Notes, name: &str, entry: &Entry) {
    let help = foreign::advice(name, "kafka.properties").or_else(|| {
        let near = nearest(name, catalogue::names())?;
        Some(format!("did you mean \"{near}\"?"))
    });
    let help = help.unwrap_or_else(|| "see the list of properties in librdkafka's CONFIGURATION.md".to_owned());
    notes.error(&entry.key, format!("librdkafka has no property \"{name}\""), help);
}

fn one(table: &Reader<'_>, vault: &Vault<'_>, name: &str, native: &'static Native, entry: &Entry) -> Option<Given> {
    let (notes, path) = (table.notes, table.path_of(name));
    if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| *reserved == native.name) {
        notes.error(&entry.key, format!("\"{name}\" cannot be set here"), *why);
        return None;
    }
    let origin = entry.node.origin.clone();
    let value = match &entry.node.value {
        Value::Table(_) => vault.read(notes, &path, &entry.node)?.value,
        _ if native.kind == Kind::Secret => vault.read(notes, &path, &entry.node)?.value,
        Value::List(_) => {
            notes.error(&origin, format!("\"{name}\" must not be a list"), "write one string, with commas");
            return None;
        }
        Value::Text(text) => text.clone(),
        other => entry.node.words.as_deref().map_or_else(|| other.to_string(), |words| words.trim().to_owned()),
    };
    if let Err(why) = native.kind.check(&value) {
        notes.error(&origin, format!("\"{name}\" {why}"), "the ranges are those of librdkafka 2.12.1");
        return None;
    }
    if !matches!(entry.node.value, Value::Table(_)) {
        notes.show(&path, &entry.node.value, &origin);
    }
    Some(Given { native, value, origin })
}

/// The client's configuration is an unordered map, so two names of one property would win at random.
fn refuse_aliases(notes: &Notes, given: &[Given]) {
    for (ix, second) in given.iter().enumerate() {
        if given[..ix].iter().any(|first| first.native == second.native) {
            let message = format!("\"{}\" is set twice, once by another of its names", second.native.name);
            notes.error(&second.origin, message, format!("keep \"{}\" only", second.native.name));
        }
    }
}

impl Kind {
    /// Whether a value is one that the property takes. Values of secrets are not looked at.
    fn check(self, value: &str) -> Result<(), String> {
        let fits = |fits: bool, what: String| if fits { Ok(()) } else { Err(format!("must be {what}, not `{value}`")) };
        match self {
            Self::Bool => fits(matches!(value, "true" | "false"), "true or false".to_owned()),
            Self::Int(min, max) => fits(
                value.parse::<i64>().is_ok_and(|number| (min..=max).contains(&number)),
                format!("an integer between {min} and {max}"),
            ),
            Self::Float(min, max) => fits(
                value.parse::<f64>().is_ok_and(|number| number >= min as f64 && number <= max as f64),
                format!("a number between {min} and {max}"),
            ),
            Self::OneOf(words) => fits(words.contains(&value), format!("one of {}", listed(words.iter().copied()))),
            Self::Acks => fits(
                value == "all" || value.parse::<i64>().is_ok_and(|number| (-1..=1000).contains(&number)),
                "`all` or an integer between -1 and 1000".to_owned(),
            ),
            Self::Text | Self::Secret => Ok(()),
            Self::Code => Err("is a callback or an object: it cannot be set in a file".to_owned()),
        }
    }
}
