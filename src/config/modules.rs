//! `[modules.NAME]`: what a module needs, what makes it due, how it is run.
//! Names of topics and of other modules stay names here; [`super::link`] finds out whether they exist.

use std::time::Duration;

use quorate_core::plan::{IncompletePlan, Then};

use super::problem::Origin;
use super::raw::{Node, Value};
use super::reader::{Placed, Reader};
use super::scalar::{
    choice, count, duration, duration_ms, flag, list, name, positive, positive_ms, topic_name, within,
};
use super::settings::Retry;

/// What the name of a topic of results begins with unless the module says otherwise.
pub(super) const OUTPUT_PREFIX: &str = "MODULE-OUTPUT-";

/// A topic that a module is fed with, by name.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) topic: Placed<String>,
    pub(super) max_age: Option<Placed<i64>>,
}

/// Another module whose results a module is fed with, by name.
#[derive(Clone, Debug)]
pub(super) struct Dependency {
    pub(super) module: Placed<String>,
    pub(super) max_age: Option<Placed<i64>>,
    pub(super) optional: bool,
}

/// What makes a module due, by the names of its inputs.
#[derive(Clone, Debug)]
pub(super) enum Trigger {
    /// Changes of the inputs named, or of any.
    Changes { on: Option<Vec<Placed<String>>>, min_interval_ms: i64 },
    /// Time, in milliseconds.
    Every(i64),
}

/// A module as declared, whether or not it is enabled.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) enabled: bool,
    pub(super) requires: Vec<Input>,
    pub(super) optional: Vec<Input>,
    pub(super) depends_on: Vec<Dependency>,
    pub(super) trigger: Trigger,
    pub(super) incomplete: IncompletePlan,
    pub(super) timeout: Duration,
    pub(super) retry: Retry,
    pub(super) concurrency: usize,
    pub(super) output_topic: Placed<String>,
}

impl Module {
    /// The topics it names: the required ones, then the optional ones.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Input> {
        self.requires.iter().chain(&self.optional)
    }

    /// The names of all inputs.
    pub(super) fn input_names(&self) -> impl Iterator<Item = &str> {
        let topics = self.topics().map(|input| input.topic.value.as_str());
        topics.chain(self.depends_on.iter().map(|dependency| dependency.module.value.as_str()))
    }
}

/// Reads all modules, sorted by name.
pub(super) fn read(tables: &Reader<'_>) -> Vec<Module> {
    tables.named().map(|(name, table)| one(name, table)).collect()
}

fn one(name: &str, table: Reader<'_>) -> Module {
    let output = default_output_topic(name);
    if let Some(entry) = table.entry("max_pending") {
        table.notes.unavailable(&entry.key, "`max_pending`", "remove it");
    }
    table.or("on_failure", "retry_then_dead_letter", choice(vec![("retry_then_dead_letter", ())], &["commit", "halt"]));
    let module = Module {
        name: name.to_owned(),
        origin: table.origin.clone(),
        enabled: table.or("enabled", true, flag).value,
        requires: each(&table, "requires", A_TOPIC, input),
        optional: each(&table, "optional", A_TOPIC, input),
        depends_on: each(&table, "depends_on", A_MODULE, dependency),
        trigger: trigger(&table),
        incomplete: incomplete(&table),
        timeout: table.or("timeout", "30s", positive).value,
        retry: retry(&table),
        concurrency: table.or("concurrency", 8, count).value,
        output_topic: table.or("output_topic", output.as_str(), topic_name),
    };
    table.finish();
    module
}

/// `MODULE-OUTPUT-` and the name in upper case with hyphens; what cannot stand in a topic's name becomes one, too.
pub(super) fn default_output_topic(module: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_uppercase() } else { '-' };
    let mut name: String = OUTPUT_PREFIX.chars().chain(module.chars().map(legal)).collect();
    name.truncate(249);
    name
}

/// What an element of a list of inputs is, and how it is written.
type Kind = (&'static str, &'static str);
const A_TOPIC: Kind = ("a topic's name", "{ topic = \"TOPIC\", max_age = \"6h\" }");
const A_MODULE: Kind = ("a module's name", "{ module = \"NAME\", max_age = \"2h\", optional = true }");

/// An element of a list of inputs: a name, or a table that says more.
enum Written<'a> {
    Name(Placed<String>),
    Table(Reader<'a>),
}

/// The elements of a list of inputs.
fn each<T>(
    table: &Reader<'_>,
    key: &'static str,
    (what, example): Kind,
    read: impl Fn(Written<'_>, &str) -> Option<T>,
) -> Vec<T> {
    let Some(entry) = table.entry(key) else { return Vec::new() };
    let path = table.path_of(key);
    let Value::List(items) = &entry.node.value else {
        let message = format!("`{path}` must be a list, not {}", entry.node.value.kind());
        table.notes.error(&entry.node.origin, message, format!("e.g. `[\"NAME\", {example}]`"));
        return Vec::new();
    };
    table.notes.show(&path, &entry.node.value, &entry.node.origin);
    let one = |(ix, item): (usize, &Node)| {
        let help = format!("e.g. `{example}`");
        let path = format!("{path}[{ix}]");
        match &item.value {
            Value::Text(name) if name.trim().is_empty() => {
                table.notes.error(&item.origin, format!("`{path}` must not be empty"), help);
                None
            }
            Value::Text(name) => {
                read(Written::Name(Placed { value: name.clone(), origin: item.origin.clone() }), &help)
            }
            Value::Table(_) => read(Written::Table(Reader::over(table.notes, path, item)?), &help),
            other => {
                let message = format!("`{path}` must be {what} or a table, not {}", other.kind());
                table.notes.error(&item.origin, message, help);
                None
            }
        }
    };
    items.iter().enumerate().filter_map(one).collect()
}

fn input(written: Written<'_>, help: &str) -> Option<Input> {
    let table = match written {
        Written::Name(topic) => return Some(Input { topic, max_age: None }),
        Written::Table(table) => table,
    };
    let topic = table.required("topic", topic_name, help);
    let max_age = table.optional("max_age", positive_ms);
    table.finish();
    Some(Input { topic: topic?, max_age })
}

fn dependency(written: Written<'_>, help: &str) -> Option<Dependency> {
    let table = match written {
        Written::Name(module) => return Some(Dependency { module, max_age: None, optional: false }),
        Written::Table(table) => table,
    };
    let module = table.required("module", name, help);
    let max_age = table.optional("max_age", positive_ms);
    let optional = table.optional("optional", flag).is_some_and(|optional| optional.value);
    table.finish();
    Some(Dependency { module: module?, max_age, optional })
}

fn trigger(module: &Reader<'_>) -> Trigger {
    let table = module.table("trigger");
    let each = table.entry("each");
    if let Some(entry) = each {
        let help = "use `{ on = [\"INPUT\"] }` or `{ every = \"15m\" }`";
        table.notes.unavailable(&entry.key, "trigger `each`", help);
    }
    let every = table.optional("every", positive_ms);
    let placed = |node: &Node| name(node).map(|value| Placed { value, origin: node.origin.clone() });
    let on = table.optional("on", list(placed));
    let min_interval = table.optional("min_interval", duration_ms);
    if let Some(on) = on.as_ref().filter(|on| on.value.is_empty() && each.is_none()) {
        let help = "name inputs, or leave `on` out: then any input makes it due";
        table.notes.error(&on.origin, "a trigger without inputs never makes a module due", help);
    }
    if table.has("every") {
        for key in ["on", "min_interval"] {
            if let Some(entry) = table.entry(key) {
                let message = format!("`every` and `{key}` exclude each other");
                let help = "time makes a module due, or changes of its inputs do: keep one";
                table.notes.error(&entry.key, message, help);
            }
        }
    }
    table.finish();
    match every {
        Some(every) => Trigger::Every(every.value),
        None => Trigger::Changes {
            on: on.map(|on| on.value),
            min_interval_ms: min_interval.map_or(0, |interval| interval.value),
        },
    }
}

fn incomplete(module: &Reader<'_>) -> IncompletePlan {
    let table = module.table("incomplete");
    let policies =
        vec![("wait", Then::Wait), ("skip", Then::Skip), ("partial", Then::Partial), ("last_good", Then::LastGood)];
    let then = table.or("then", "wait", choice(policies, &[]));
    let after = table.optional("after", duration_ms);
    if then.value == Then::Partial && !table.has("after") {
        let help = "say how long to wait for complete inputs first, e.g. `after = \"10m\"`";
        table.notes.missing(&then.origin, "`then = \"partial\"` needs `after`", help);
    }
    table.finish();
    IncompletePlan { after_ms: after.map(|after| after.value), then: then.value }
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
