//! `[topics.NAME]`: what a topic is read for, how it is consumed and how it is created.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::plan::{OnNull, Pointer, RecordsPointer, Scope, TimeField, TopicPlan, WallClock, WindowPlan};

use super::consumer::{self, Keys};
use super::dependencies::{Dependencies, Records};
use super::native::foreign;
use super::problem::Origin;
use super::raw::{Entry, Node, Value};
use super::reader::{Misfit, Notes, Parsed, Placed, Reader};
use super::scalar::{
    bytes, check_topic_name, choice, duration_ms, list, name, one_or_many, pointer, positive_ms, records_pointer,
    within,
};
use super::settings::{Provision, Rehydrate, Undecodable};
use super::window::{self, Window};

/// A topic as declared, whether or not it is consumed; or one that nobody declared and a module depends on.
pub(super) struct Topic {
    /// Whether it has a table.
    pub(super) declared: bool,
    pub(super) plan: TopicPlan,
    pub(super) origin: Origin,
    pub(super) keys: Keys,
    pub(super) on_failure: Undecodable,
    pub(super) rehydrate: Rehydrate,
    pub(super) expect_ms: Option<i64>,
    pub(super) provision: Option<Provision>,
    /// `max_message_bytes` of the provision.
    pub(super) message_bytes: Option<Placed<i64>>,
}

/// Reads all topics, sorted by name, those included that only `depends_on` speaks of.
pub(super) fn read(tables: &Reader<'_>, dependencies: &Dependencies<'_>) -> Vec<Topic> {
    let mut topics: Vec<Topic> =
        tables.named().map(|(name, table)| one(name, table, dependencies.records(name))).collect();
    for (name, dependency) in dependencies.results().filter(|(name, _)| !tables.has(name)) {
        let table = tables.unwritten(name, dependency.module.origin.clone());
        topics.push(one(name, table, Records::Results));
    }
    topics.sort_by(|a, b| a.name().cmp(b.name()));
    topics
}

fn one(name: &str, table: Reader<'_>, records: Records) -> Topic {
    let notes = table.notes;
    if let Err(message) = check_topic_name(name) {
        notes.error(&table.origin, message, "it must be the topic's name in Kafka");
    }
    let Shape { records, scope, time, fields, on_null, window } = match records {
        Records::Readings => readings(&table),
        Records::Results => results(&table, name),
    };
    let expect = table.optional("expect", cadence);
    let expect_ms = expect.as_ref().and_then(|expect| expect.value);
    consumer::refuse_global(&table);
    let provision = provision(&table);
    let plan = TopicPlan {
        name: Arc::from(name),
        records,
        scope,
        time,
        fields,
        on_null,
        window: window.plan.clone(),
        expect_ms,
    };
    let failures = vec![("dead_letter", Undecodable::DeadLetter), ("halt", Undecodable::Halt)];
    let on_failure = table.or("on_failure", "dead_letter", choice(failures, &[])).value;
    let rehydrate = rehydrate(&table, &window);
    check_cadence(notes, name, expect.as_ref(), &window);
    if let Some(created) = &provision {
        check_retention(notes, name, expect_ms, rehydrate, created);
    }
    let keys = consumer::read(&table);
    let (declared, origin) = (table.is_present(), table.origin.clone());
    table.finish_with(|key| foreign::advice(key, "kafka.consumer"));
    let (provision, message_bytes) = provision.map_or((None, None), |p| (Some(p.settings), p.message_bytes));
    Topic { declared, plan, origin, keys, on_failure, rehydrate, expect_ms, provision, message_bytes }
}

/// What becomes of a topic's records.
struct Shape {
    records: Vec<RecordsPointer>,
    scope: Scope,
    time: Option<TimeField>,
    fields: Option<Vec<Pointer>>,
    on_null: OnNull,
    window: Window,
}

fn readings(table: &Reader<'_>) -> Shape {
    let time = time(table);
    let clock = time.as_ref().map_or_else(WallClock::utc, |time| time.clock().clone());
    Shape {
        records: records(table, ""),
        scope: scope(table),
        time,
        fields: table.optional("fields", list(pointer)).map(|fields| fields.value),
        on_null: on_null(table, "dead_letter"),
        window: window::read(table, &clock),
    }
}

/// Results are either single, as they are published, or in one of the lists that older services send.
fn results(table: &Reader<'_>, topic: &str) -> Shape {
    for key in ["scope", "time", "fields", "window"] {
        if let Some(Entry { key: place, .. }) = table.entry(key) {
            let message = format!("`{key}` of {topic} has no effect: its records are the results of a module");
            table.notes.warn(place, message, "remove it, or name the topic in `requires` to read it as any other");
        }
    }
    Shape {
        records: records(table, ["/results/*", "/stations/*", ""]),
        scope: Scope::Station(table.or("station", "/station_id", pointer).value),
        time: None,
        fields: None,
        on_null: on_null(table, "ignore"),
        window: Window { plan: WindowPlan::Results, span: None },
    }
}

fn on_null(table: &Reader<'_>, default: &'static str) -> OnNull {
    let meanings = vec![("dead_letter", OnNull::DeadLetter), ("ignore", OnNull::Ignore)];
    table.or("on_null", default, choice(meanings, &[])).value
}

fn records(table: &Reader<'_>, default: impl Into<Value>) -> Vec<RecordsPointer> {
    let pointers = |node: &Node| -> Parsed<Vec<RecordsPointer>> {
        match one_or_many(records_pointer)(node)? {
            empty if empty.is_empty() => Err(Misfit::new("must name at least one pointer").into()),
            pointers => Ok(pointers),
        }
    };
    table.or("records", default, pointers).value
}

fn scope(table: &Reader<'_>) -> Scope {
    let station = table.optional("station", pointer);
    let global = table.optional("scope", choice(vec![("global", ())], &[]));
    match (station, global) {
        (Some(_), Some(global)) => {
            let message = "`station` and `scope = \"global\"` exclude each other";
            table.notes.error(&global.origin, message, "keep one of them");
            Scope::Global
        }
        (Some(station), None) => Scope::Station(station.value),
        (None, found) => {
            if found.is_none() && !table.has("station") && !table.has("scope") {
                let message = format!("`{}` is missing", table.path_of("station"));
                let help = "the pointer to the station's id inside a reading, e.g. `station = \"/stationId\"`; or \
                            `scope = \"global\"` when readings belong to every station";
                table.notes.missing(&table.origin, message, help);
            }
            Scope::Global
        }
    }
}

fn time(topic: &Reader<'_>) -> Option<TimeField> {
    let table = topic.table("time");
    if !table.is_present() {
        return None;
    }
    let at = table.required("at", pointer, "where the time stands in a reading, e.g. `at = \"/sendTime\"`");
    let format = table.required("format", name, "how it is written, e.g. `format = \"%Y-%m-%d %H:%M:%S\"`");
    let zone = table.or("zone", "UTC", name);
    let (notes, origin) = (table.notes, table.origin.clone());
    table.finish();
    match TimeField::new(at?.value, &format?.value, &zone.value) {
        Ok(field) => Some(field),
        Err(error) => {
            notes.error(&origin, error.to_string(), "times without an offset are read in `zone`");
            None
        }
    }
}

/// `expect`: a duration, or `on_change` for none.
fn cadence(node: &Node) -> Parsed<Option<i64>> {
    match &node.value {
        Value::Text(text) if text == "on_change" => Ok(None),
        _ => match positive_ms(node) {
            Ok(ms) => Ok(Some(ms)),
            Err(_) => Err(Misfit::new("must be a duration such as \"1h\", or \"on_change\"").into()),
        },
    }
}

#[derive(Clone, Copy)]
enum Load {
    Beginning,
    Span,
    None,
}

/// Windows that forget are loaded as far back as they reach, others from the beginning.
fn rehydrate(table: &Reader<'_>, window: &Window) -> Rehydrate {
    let loads = vec![("beginning", Load::Beginning), ("span", Load::Span), ("none", Load::None)];
    let default = if window.span.is_some() { "span" } else { "beginning" };
    let load = table.or("rehydrate", default, choice(loads, &[]));
    match (load.value, &window.span) {
        (Load::Beginning, _) => Rehydrate::Beginning,
        (Load::None, _) => Rehydrate::None,
        (Load::Span, Some(span)) => Rehydrate::Span { span_ms: span.value },
        (Load::Span, None) => {
            let message = "`rehydrate = \"span\"` needs a window that reaches back for a time";
            table.notes.error(
                &load.origin,
                message,
                "use a grid or a bucket, rows with `span`, `per_key` with `expire`; or \"beginning\"",
            );
            Rehydrate::Beginning
        }
    }
}

fn check_cadence(notes: &Notes, topic: &str, expect: Option<&Placed<Option<i64>>>, window: &Window) {
    let Some(expect_ms) = expect.and_then(|expect| expect.value) else { return };
    let Some(span) = window.span.as_ref().filter(|span| span.value < expect_ms) else { return };
    let what = match window.plan {
        // A bucket is handed over before it leaves, however much later the next reading comes.
        WindowPlan::Bucket(_) => return,
        WindowPlan::PerKey { .. } => "`expire`",
        _ => "`span`",
    };
    let message = format!("{what} of {topic} is shorter than `expect`: readings leave before the next ones come");
    notes.warn(&span.origin, message, "make it at least as long as `expect`");
}

struct Created {
    settings: Provision,
    message_bytes: Option<Placed<i64>>,
    /// How long records are kept, when they are not compacted.
    retention: Option<Placed<i64>>,
}

fn provision(topic: &Reader<'_>) -> Option<Created> {
    let table = topic.table("provision");
    if !table.is_present() {
        return None;
    }
    let partitions = table.required("partitions", within(1, 100_000), "e.g. `partitions = 3`");
    let replication = table.required("replication", within(1, 1000), "e.g. `replication = 3`");
    let retention = table.optional("retention", duration_ms);
    let cleanups = ["delete", "compact", "compact,delete"].map(|word| (word, word)).to_vec();
    let cleanup = table.optional("cleanup", choice(cleanups, &[]));
    let message_bytes =
        table.optional("max_message_bytes", |node| bytes(node).map(|size| i64::try_from(size).unwrap_or(i64::MAX)));
    table.finish();
    let mut config = BTreeMap::new();
    let mut set = |name: &str, value: Option<String>| config.extend(value.map(|value| (name.to_owned(), value)));
    set("retention.ms", retention.as_ref().map(|retention| retention.value.to_string()));
    set("cleanup.policy", cleanup.as_ref().map(|cleanup| cleanup.value.to_owned()));
    set("max.message.bytes", message_bytes.as_ref().map(|size| size.value.to_string()));
    let narrow = |number: Placed<i64>| i32::try_from(number.value).ok();
    let settings = Provision { partitions: narrow(partitions?)?, replication: narrow(replication?)?, config };
    let deletes = cleanup.is_none_or(|cleanup| cleanup.value != "compact");
    Some(Created { settings, message_bytes, retention: retention.filter(|_| deletes) })
}

/// State that a start without a store needs must still be in the topic.
fn check_retention(notes: &Notes, topic: &str, expect_ms: Option<i64>, rehydrate: Rehydrate, created: &Created) {
    let Some(retention) = &created.retention else { return };
    let needed_ms = match rehydrate {
        Rehydrate::Span { span_ms } => Some(span_ms),
        Rehydrate::Beginning => expect_ms,
        Rehydrate::None => None,
    };
    if needed_ms.is_some_and(|needed| retention.value < needed) {
        let message = format!("{topic} keeps records for less time than a start without state must read back");
        let help = "lengthen `retention`, or use `cleanup = \"compact\"` with keys";
        notes.warn(&retention.origin, message, help);
    }
}

impl Topic {
    pub(super) fn name(&self) -> &str {
        &self.plan.name
    }
}
