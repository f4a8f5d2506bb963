//! `[modules.NAME]`: what a module needs, what makes it due, how it is run.
//! Names of topics stay names here; [`super::link`] finds out whether they exist.

use std::time::Duration;

use super::problem::Origin;
use super::raw::{Entry, Node, Value};
use super::reader::{Placed, Reader};
use super::scalar::{choice, count, duration, duration_ms, flag, list, positive, positive_ms, topic_name, within};
use super::settings::Retry;

/// One of a module's inputs, by name.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) topic: Placed<String>,
    pub(super) max_age: Option<Placed<i64>>,
}

/// A module as declared, whether or not it is enabled.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) enabled: bool,
    pub(super) requires: Vec<Input>,
    pub(super) optional: Vec<Input>,
    pub(super) on: Option<Vec<Placed<String>>>,
    pub(super) min_interval_ms: i64,
    pub(super) timeout: Duration,
    pub(super) retry: Retry,
    pub(super) concurrency: usize,
    pub(super) output_topic: Placed<String>,
}

impl Module {
    /// Required inputs, then optional ones.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &Input> {
        self.requires.iter().chain(&self.optional)
    }
}

/// Reads all modules, sorted by name.
pub(super) fn read(tables: &Reader<'_>) -> Vec<Module> {
    tables.named().map(|(name, table)| one(name, table)).collect()
}

fn one(name: &str, table: Reader<'_>) -> Module {
    let requires = inputs(&table, "requires");
    let optional = inputs(&table, "optional");
    refuse_unbuilt(&table);
    let (on, min_interval_ms) = trigger(&table);
    incomplete(&table);
    let output = default_output_topic(name);
    let module = Module {
        name: name.to_owned(),
        origin: table.origin.clone(),
        enabled: table.or("enabled", true, flag).value,
        requires,
        optional,
        on,
        min_interval_ms,
        timeout: table.or("timeout", "30s", positive).value,
        retry: retry(&table),
        concurrency: table.or("concurrency", 8, count).value,
        output_topic: table.or("output_topic", output.as_str(), topic_name),
    };
    table.finish();
    module
}

/// `MODULE-OUTPUT-` and the name in upper case with hyphens; what cannot stand in a topic's name becomes one, too.
fn default_output_topic(module: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_uppercase() } else { '-' };
    let mut name: String = "MODULE-OUTPUT-".chars().chain(module.chars().map(legal)).collect();
    name.truncate(249);
    name
}

fn inputs(table: &Reader<'_>, key: &'static str) -> Vec<Input> {
    let Some(entry) = table.entry(key) else { return Vec::new() };
    let path = table.path_of(key);
    let Value::List(items) = &entry.node.value else {
        let message = format!("`{path}` must be a list, not {}", entry.node.value.kind());
        table.notes.error(&entry.node.origin, message, "e.g. `[\"TOPIC\", { topic = \"OTHER\", max_age = \"6h\" }]`");
        return Vec::new();
    };
    table.notes.show(&path, &entry.node.value, &entry.node.origin);
    items.iter().enumerate().filter_map(|(ix, item)| input(table, &format!("{path}[{ix}]"), item)).collect()
}

fn input(table: &Reader<'_>, path: &str, item: &Node) -> Option<Input> {
    match &item.value {
        Value::Text(name) => {
            let topic = Placed { value: name.clone(), origin: item.origin.clone() };
            Some(Input { topic, max_age: None })
        }
        Value::Table(_) => {
            let table = Reader::over(table.notes, path.to_owned(), item)?;
            let topic = table.required("topic", topic_name, "e.g. `{ topic = \"TOPIC\", max_age = \"6h\" }`");
            let max_age = table.optional("max_age", positive_ms);
            table.finish();
            Some(Input { topic: topic?, max_age })
        }
        other => {
            let message = format!("`{path}` must be a topic's name or a table, not {}", other.kind());
            table.notes.error(&item.origin, message, "e.g. `{ topic = \"TOPIC\", max_age = \"6h\" }`");
            None
        }
    }
}

/// Keys of the contract that this version does not have.
fn refuse_unbuilt(table: &Reader<'_>) {
    if let Some(entry) = table.entry("max_pending") {
        table.notes.unavailable(&entry.key, "`max_pending`", "remove it");
    }
    if let Some(Entry { key, node }) = table.entry("depends_on") {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                table.notes.show(&table.path_of("depends_on"), &node.value, &node.origin)
            }
            _ => {
                let help = "declare the other module's output topic and name it in `requires`";
                table.notes.unavailable(key, "`depends_on`", help);
            }
        }
    }
    let policies = choice(vec![("retry_then_dead_letter", ())], &["commit", "halt"]);
    table.or("on_failure", "retry_then_dead_letter", policies);
}

fn trigger(table: &Reader<'_>) -> (Option<Vec<Placed<String>>>, i64) {
    let table = table.table("trigger");
    let mut unbuilt = false;
    for key in ["every", "each"] {
        if let Some(entry) = table.entry(key) {
            unbuilt = true;
            table.notes.unavailable(&entry.key, &format!("trigger `{key}`"), "use `{ on = [\"TOPIC\"] }`");
        }
    }
    let placed = |node: &Node| topic_name(node).map(|value| Placed { value, origin: node.origin.clone() });
    let on = table.optional("on", list(placed));
    if let Some(on) = on.as_ref().filter(|on| on.value.is_empty() && !unbuilt) {
        let help = "name topics, or leave `on` out: then any input makes it due";
        table.notes.error(&on.origin, "a trigger without topics never makes a module due", help);
    }
    let min_interval = table.optional("min_interval", duration_ms).map_or(0, |interval| interval.value);
    table.finish();
    (on.map(|on| on.value), min_interval)
}

fn incomplete(table: &Reader<'_>) {
    let table = table.table("incomplete");
    table.optional("then", choice(vec![("wait", ())], &["skip", "partial", "last_good"]));
    if let Some(after) = table.optional("after", duration_ms) {
        let help = "the module waits for complete inputs all the same";
        table.notes.warn(&after.origin, "the alarm for incomplete inputs is not active in this version", help);
    }
    table.finish();
}

fn retry(table: &Reader<'_>) -> Retry {
    let table = table.table("retry");
    let attempts = table.or("attempts", 3, within(1, 1000));
    let backoff = table.or("backoff", "1s", duration);
    let max_backoff = table.or("max_backoff", "30s", duration);
    if backoff.value > max_backoff.value {
        let help = "lengthen `max_backoff` or shorten `backoff`";
        table.notes.error(&backoff.origin, "`backoff` is longer than `max_backoff`", help);
    }
    table.finish();
    let attempts = u32::try_from(attempts.value).unwrap_or(u32::MAX);
    Retry { attempts, backoff: backoff.value, max_backoff: max_backoff.value }
}
