//! What a configuration comes to: each value with where it came from, and each client's native properties.
//! For `quorate config show`; secrets are masked before they get here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::problem::{Listing, Origin};
use super::settings::{Properties, Settings};

/// A value as it would be written in a file, and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// The effective configuration, ready to be shown.
#[derive(Clone, Debug)]
pub struct Effective {
    entries: BTreeMap<String, Entry>,
    clients: Vec<(String, Properties)>,
    listing: Arc<Listing>,
}

/// One effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveValue<'a> {
    /// The dotted key, as `--set` takes it.
    pub key: &'a str,
    /// The value, as it would be written in a file; secrets are masked.
    pub value: &'a str,
    /// Where it came from: `config.toml:3:5`, `environment …`, `--set …`, `profile …` or `default`.
    pub origin: String,
}

impl Effective {
    pub(super) fn new(entries: BTreeMap<String, Entry>, settings: &Settings, listing: Arc<Listing>) -> Self {
        let consumers = settings.consumers.iter().map(|c| (format!("consumer {}", c.group), c.properties.clone()));
        let mut clients = vec![("admin".to_owned(), settings.client.clone())];
        clients.push(("producer".to_owned(), settings.producer.clone()));
        clients.extend(consumers);
        Self { entries, clients, listing }
    }

    /// Every value, by key.
    pub fn values(&self) -> impl Iterator<Item = EffectiveValue<'_>> {
        self.entries.iter().map(|(key, entry)| EffectiveValue {
            key,
            value: &entry.value,
            origin: self.listing.place(&entry.origin),
        })
    }

    /// Each client's native properties: its role, and names with values.
    #[must_use]
    pub fn clients(&self) -> &[(String, Properties)] {
        &self.clients
    }

    /// One line per value, `key = value  # origin`; with `kafka` also each client's native properties.
    #[must_use]
    pub fn render(&self, kafka: bool) -> String {
        let lines: Vec<_> = self.values().map(|v| (format!("{} = {}", v.key, v.value), v.origin)).collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).filter(|width| *width <= 80).max().unwrap_or(0);
        let mut out = String::new();
        for (line, origin) in lines {
            let _ = writeln!(out, "{line:width$}  # {origin}");
        }
        for (role, properties) in self.clients.iter().filter(|_| kafka) {
            let _ = writeln!(out, "\n# native properties: {role}");
            for (name, value) in properties.shown() {
                let _ = writeln!(out, "{name} = {value}");
            }
        }
        out
    }
}
