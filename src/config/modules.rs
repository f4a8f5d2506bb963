//! `[modules.NAME]`: what a module needs, and, from the files beside this one, what makes it due and how it is run.
//! Names of topics and of other modules stay names here; [`super::link`] finds out whether they exist.

use quorate_core::plan::{IncompletePlan, Then};

use super::failure::{self, Failure};
use super::problem::Origin;
use super::queue::{self, EXCLUSIVE, Queue};
use super::raw::{Node, Value};
use super::reader::{Placed, Reader};
use super::scalar::{choice, count, duration_ms, flag, name, positive_ms, topic_name};
use super::trigger::{self, Trigger};

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
    pub(super) queue: Queue,
    pub(super) failure: Failure,
    pub(super) concurrency: Placed<usize>,
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

/// Reads all modules, sorted by name. Of topics that are `exclusive` one task is in hand at a time.
pub(super) fn read(tables: &Reader<'_>, exclusive: &[String]) -> Vec<Module> {
    tables.named().map(|(name, table)| one(name, table, exclusive)).collect()
}

fn one(name: &str, table: Reader<'_>, exclusive: &[String]) -> Module {
    let output = default_output_topic(name);
    let trigger = trigger::read(&table);
    let is_exclusive = trigger.is_each() && trigger.named().iter().any(|on| exclusive.contains(&on.value));
    let module = Module {
        name: name.to_owned(),
        origin: table.origin.clone(),
        enabled: table.or("enabled", true, flag).value,
        requires: each(&table, "requires", A_TOPIC, input),
        optional: each(&table, "optional", A_TOPIC, input),
        depends_on: each(&table, "depends_on", A_MODULE, dependency),
        queue: queue::read(&table, name, &trigger, is_exclusive),
        trigger,
        incomplete: incomplete(&table),
        failure: failure::read(&table),
        concurrency: match is_exclusive {
            true => table.or_by(Origin::Profile(EXCLUSIVE), "concurrency", 1, count),
            false => table.or("concurrency", 8, count),
        },
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
