//! `window = { … }` of a topic: what is kept of it per station.

use std::sync::Arc;

use quorate_core::plan::{Column, Fill, GridPlan, Pointer, Steps, WallClock, WindowPlan};

use super::problem::Origin;
use super::raw::{Entry, Node, Value};
use super::reader::{Notes, Placed, Reader};
use super::scalar::{choice, list, pointer, positive_ms};

/// The steps a grid may have at the most.
const MAX_STEPS: i64 = 1_000_000;
/// What a grid's `value` says besides its columns.
const TAKEN: [&str; 4] = ["step_ms", "time", "series", "observed"];

#[derive(Clone, Copy)]
enum Kind {
    Latest,
    PerKey,
    Grid,
}

/// A window, and how long what it keeps stays in it (none: for ever).
pub(super) struct Window {
    pub(super) plan: WindowPlan,
    pub(super) span: Option<Placed<i64>>,
}

impl Window {
    fn latest() -> Self {
        Self { plan: WindowPlan::Latest, span: None }
    }
}

/// Reads the window of a topic whose times are written as `clock` says.
pub(super) fn read(topic: &Reader<'_>, clock: &WallClock) -> Window {
    let notes = topic.notes;
    let path = topic.path_of("window");
    let Some(entry) = topic.entry("window") else {
        notes.show(&path, &Value::Text("latest".to_owned()), &Origin::Default);
        return Window::latest();
    };
    if is_later(notes, entry) {
        return Window::latest();
    }
    let Some(table) = Reader::over(notes, path, &entry.node) else { return Window::latest() };
    let kinds = vec![("latest", Kind::Latest), ("per_key", Kind::PerKey), ("grid", Kind::Grid)];
    let window = match table.or("kind", "latest", choice(kinds, &[])).value {
        Kind::Latest => Window::latest(),
        Kind::PerKey => per_key(&table),
        Kind::Grid => grid(&table, clock),
    };
    table.finish();
    window
}

/// Whether the kind is one of the contract's that is not built yet; its other keys are not looked at then.
fn is_later(notes: &Notes, entry: &Entry) -> bool {
    let Value::Table(table) = &entry.node.value else { return false };
    let Some(Entry { node: Node { value: Value::Text(kind), origin, .. }, .. }) = table.0.get("kind") else {
        return false;
    };
    let later = matches!(kind.as_str(), "rows" | "bucket");
    if later {
        let help = "choose one of `grid`, `latest`, `per_key`";
        notes.unavailable(origin, &format!("window kind `{kind}`"), help);
    }
    later
}

fn per_key(table: &Reader<'_>) -> Window {
    let key = table.required("key", pointer, "the pointer to what tells readings apart, e.g. `key = \"/hostCode\"`");
    let expire = table.optional("expire", positive_ms);
    let plan = match key {
        Some(key) => WindowPlan::PerKey { key: key.value, expire_ms: expire.as_ref().map(|expire| expire.value) },
        None => WindowPlan::Latest,
    };
    Window { plan, span: expire }
}

fn grid(table: &Reader<'_>, clock: &WallClock) -> Window {
    let fills =
        vec![("zero", Fill::Zero), ("missing", Fill::Missing), ("forward", Fill::Forward), ("linear", Fill::Linear)];
    let step = table.required("step", positive_ms, "the length of a step, e.g. `step = \"1h\"`");
    let span = table.required("span", positive_ms, "how far back the grid reaches, e.g. `span = \"168h\"`");
    let fill = table.or("fill", "missing", choice(fills, &[]));
    let max_gap = table.optional("max_gap", positive_ms);
    let series = table.optional("series", list(pointer)).map_or_else(Vec::new, |series| series.value);
    let values = columns(table, "values");
    let totals = columns(table, "totals");
    check_names(table, &values, &totals);
    let plan = step.zip(span.as_ref()).and_then(|(step, span)| {
        let (steps, len) = steps(table.notes, &step, span, clock)?;
        let max_gap_ms = max_gap.map(|gap| gap.value);
        let (values, totals) = (named(&values), named(&totals));
        Some(WindowPlan::Grid(GridPlan { steps, len, fill: fill.value, max_gap_ms, series, values, totals }))
    });
    Window { plan: plan.unwrap_or(WindowPlan::Latest), span }
}

fn steps(notes: &Notes, step: &Placed<i64>, span: &Placed<i64>, clock: &WallClock) -> Option<(Steps, usize)> {
    let steps = Steps::new(step.value, clock.clone());
    if steps.is_none() {
        let help = "write a step of at most a day, or of whole days";
        notes.error(&step.origin, "a step longer than a day must be whole days", help);
    }
    let len = span.value / step.value;
    if span.value % step.value != 0 {
        notes.error(&span.origin, "`span` is not a whole number of steps", "make it a multiple of `step`");
    } else if len > MAX_STEPS {
        let help = format!("a grid has at most {MAX_STEPS} steps");
        notes.error(&span.origin, format!("`span` is {len} steps long"), help);
    }
    Some((steps?, usize::try_from(len).ok()?))
}

/// The pointers of a list, each at its own place.
fn columns(table: &Reader<'_>, key: &'static str) -> Vec<Placed<Pointer>> {
    let placed = |node: &Node| pointer(node).map(|value| Placed { value, origin: node.origin.clone() });
    table.optional(key, list(placed)).map_or_else(Vec::new, |list| list.value)
}

/// A column is named by the last step of its pointer, so there must be one, and no two alike.
fn check_names(table: &Reader<'_>, values: &[Placed<Pointer>], totals: &[Placed<Pointer>]) {
    let notes = table.notes;
    let written = |key: &str| table.entries().any(|(found, _)| found == key);
    if values.is_empty() && totals.is_empty() && !(written("values") || written("totals")) {
        let help = "add `values = [\"/pointer\"]`, one number per series, or `totals`, one per step";
        notes.missing(&table.origin, "a grid needs `values` or `totals`", help);
    }
    let mut names: Vec<&str> = Vec::new();
    for column in values.iter().chain(totals) {
        match column.value.name() {
            None => notes.error(&column.origin, "the empty pointer names no column", "point at a number"),
            Some(name) if TAKEN.contains(&name) => {
                let message = format!("no column can be called `{name}`: the grid itself says something by that name");
                notes.error(&column.origin, message, "rename the field where it is produced");
            }
            Some(name) if names.contains(&name) => {
                let message = format!("two pointers of this window end in `{name}`, which names the column");
                notes.error(&column.origin, message, "a window's columns need different names");
            }
            Some(name) => names.push(name),
        }
    }
}

fn named(columns: &[Placed<Pointer>]) -> Vec<Column> {
    let column = |at: &Pointer| Some(Column { at: at.clone(), name: Arc::from(at.name()?) });
    columns.iter().filter_map(|placed| column(&placed.value)).collect()
}
