//! `trigger` of a module: what makes it due, by the names of its inputs.
//! Whether these exist is [`super::link`]'s, whether each of their readings can be a run of its own [`super::queue`]'s.

use super::raw::Node;
use super::reader::{Placed, Reader};
use super::scalar::{duration_ms, flag, list, name, positive_ms};

/// What makes a module due, by the names of its inputs.
#[derive(Clone, Debug)]
pub(super) enum Trigger {
    /// Changes of the inputs named, or of any.
    Changes { on: Option<Vec<Placed<String>>>, min_interval_ms: i64 },
    /// Time, in milliseconds.
    Every(i64),
    /// Readings of the topics named: each is a run of its own.
    Each { on: Vec<Placed<String>> },
}

impl Trigger {
    /// The inputs it names, if it names any.
    pub(super) fn named(&self) -> &[Placed<String>] {
        match self {
            Self::Changes { on: Some(on), .. } | Self::Each { on } => on,
            Self::Changes { on: None, .. } | Self::Every(_) => &[],
        }
    }

    /// Whether readings are runs of their own.
    pub(super) fn is_each(&self) -> bool {
        matches!(self, Self::Each { .. })
    }
}

pub(super) fn read(module: &Reader<'_>) -> Trigger {
    let table = module.table("trigger");
    let each = table.optional("each", flag).filter(|each| each.value);
    let every = table.optional("every", positive_ms);
    let placed = |node: &Node| name(node).map(|value| Placed { value, origin: node.origin.clone() });
    let on = table.optional("on", list(placed));
    let min_interval = table.optional("min_interval", duration_ms);
    if let Some(on) = on.as_ref().filter(|on| on.value.is_empty()) {
        let help = match each {
            Some(_) => "name the topics whose readings are runs of their own",
            None => "name inputs, or leave `on` out: then any input makes it due",
        };
        table.notes.error(&on.origin, "a trigger without inputs never makes a module due", help);
    }
    if let Some(each) = each.as_ref().filter(|_| !table.has("on")) {
        let help = "name the topics whose readings are runs of their own, e.g. `on = [\"TOPIC\"]`";
        table.notes.missing(&each.origin, "`each` needs `on`", help);
    }
    let (first, others, help) = match each {
        Some(_) => {
            ("each", ["every", "min_interval"], "every reading is a run of its own, whatever the time: keep one")
        }
        None => ("every", ["on", "min_interval"], "time makes a module due, or changes of its inputs do: keep one"),
    };
    for entry in others.iter().filter(|_| table.has(first)).filter_map(|other| Some((other, table.entry(other)?))) {
        let (other, entry) = entry;
        table.notes.error(&entry.key, format!("`{first}` and `{other}` exclude each other"), help);
    }
    table.finish();
    match (each, every) {
        (Some(_), _) => Trigger::Each { on: on.map_or_else(Vec::new, |on| on.value) },
        (None, Some(every)) => Trigger::Every(every.value),
        (None, None) => Trigger::Changes {
            on: on.map(|on| on.value),
            min_interval_ms: min_interval.map_or(0, |interval| interval.value),
        },
    }
}
