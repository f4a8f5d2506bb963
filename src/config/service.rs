//! The tables that concern the process as a whole: `[service]`, `[limits]`, `[stations]`, `[log]`, and those that are
//! accepted although nothing is done with them: `[http]`, `[control]`.

use std::time::Duration;

use quorate_core::plan::{Limits, StationLimits};

use super::raw::{Node, Value};
use super::reader::{Misfit, Parsed, Placed, Reader};
use super::scalar::{bytes, choice, count, name, positive, positive_ms, topic_name};
use super::secret::Vault;
use super::settings::LogFormat;

/// `[service]`.
pub(super) struct Service {
    pub(super) drain_timeout: Duration,
    pub(super) flush_interval: Duration,
    pub(super) module_threads: usize,
}

pub(super) fn service(root: &Reader<'_>) -> Service {
    let table = root.table("service");
    let service = Service {
        drain_timeout: table.or("drain_timeout", "30s", positive).value,
        flush_interval: table.or("flush_interval", "1s", positive).value,
        module_threads: table.or("module_threads", 4, count).value,
    };
    table.finish();
    service
}

pub(super) fn limits(root: &Reader<'_>) -> Limits {
    let table = root.table("limits");
    let limits = Limits {
        record_bytes: table.or("record_bytes", "100MiB", bytes).value,
        depth: table.or("depth", 128, depth).value,
        elements: table.or("elements", 1_000_000, count).value,
        string_bytes: table.or("string_bytes", "1MiB", bytes).value,
    };
    table.finish();
    limits
}

/// How deep a record may be nested: what reads and prints one takes stack for each level.
fn depth(node: &Node) -> Parsed<usize> {
    match count(node)? {
        depth if depth > Limits::MAX_DEPTH => {
            let message = format!("{depth} is not between 1 and {}", Limits::MAX_DEPTH);
            Err(Misfit::new(message).help("each level takes stack, and records are rarely nested ten deep").into())
        }
        depth => Ok(depth),
    }
}

pub(super) fn stations(root: &Reader<'_>) -> StationLimits {
    let table = root.table("stations");
    let limits = StationLimits {
        max: table.or("max", 1_000_000, count).value,
        new_per_minute: table.or("new_per_minute", 100_000, count).value,
        forget_after_ms: table.or("forget_after", "400d", forgetting).value,
    };
    table.finish();
    limits
}

/// `forget_after`: a duration, or `never` for none.
fn forgetting(node: &Node) -> Parsed<Option<i64>> {
    match &node.value {
        Value::Text(text) if text == "never" => Ok(None),
        _ => positive_ms(node).map(Some).map_err(|misfits| {
            let help = |misfit: Misfit| misfit.help("write how long, e.g. \"400d\", or \"never\"");
            misfits.into_iter().map(help).collect()
        }),
    }
}

pub(super) fn log(root: &Reader<'_>) -> LogFormat {
    let table = root.table("log");
    let formats = vec![("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = table.or("format", "text", choice(formats, &[])).value;
    table.finish();
    format
}

/// `[dead_letter]`: the topic, if one is named.
pub(super) fn dead_letter(root: &Reader<'_>, group: &str) -> Placed<String> {
    let table = root.table("dead_letter");
    let default = format!("{group}-dead-letters");
    let topic = table.or("topic", default.as_str(), name);
    if let Err(message) = super::scalar::check_topic_name(&topic.value) {
        let help = "set `topic` in [dead_letter]; by default it is `<group_id>-dead-letters`";
        table.notes.error(&topic.origin, message, help);
    }
    table.finish();
    topic
}

/// Checks the tables that are not active in this version.
pub(super) fn inactive(root: &Reader<'_>, vault: &Vault<'_>) {
    let http = root.table("http");
    http.optional("listen", name);
    if let Some(entry) = http.entry("token") {
        let closed = Vault { open: false, ..*vault };
        closed.read(http.notes, &http.path_of("token"), &entry.node);
    }
    let control = root.table("control");
    control.optional("topic", topic_name);
    for (table, effect) in [(http, "nothing is served"), (control, "no commands are read")] {
        if table.is_present() {
            let message = format!("[{}] is not active in this version", table.name());
            table.notes.warn(&table.origin, message, effect);
        }
        table.finish();
    }
}
