//! `window = { … }` of a topic: what is kept of it per station.

use std::sync::Arc;

use quorate_core::plan::{BucketPlan, Column, Fill, GridPlan, Pad, Pointer, RowsPlan, Steps, WallClock, WindowPlan};

use super::problem::Origin;
use super::raw::{Node, Value};
use super::reader::{Notes, Placed, Reader};
use super::scalar::{choice, duration_ms, list, pointer, positive_ms, within};

/// The steps a grid may have at the most.
const MAX_STEPS: i64 = 1_000_000;
/// The readings that rows may have at the most.
const MAX_ROWS: i64 = 10_000_000;
/// What a grid's `value` says besides its columns.
const TAKEN: [&str; 4] = ["step_ms", "time", "series", "observed"];

#[derive(Clone, Copy)]
enum Kind {
    Latest,
    PerKey,
    Rows,
    Grid,
    Bucket,
}

/// A window, and how far back in time it reaches (none: as far as anything is known).
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
    let Some(table) = Reader::over(notes, path, &entry.node) else { return Window::latest() };
    let kinds = vec![
        ("latest", Kind::Latest),
        ("per_key", Kind::PerKey),
        ("rows", Kind::Rows),
        ("grid", Kind::Grid),
        ("bucket", Kind::Bucket),
    ];
    let window = match table.or("kind", "latest", choice(kinds, &[])).value {
        Kind::Latest => Window::latest(),
        Kind::PerKey => per_key(&table),
        Kind::Rows => rows(&table),
        Kind::Grid => grid(&table, clock),
        Kind::Bucket => bucket(&table),
    };
    table.finish();
    window
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

fn rows(table: &Reader<'_>) -> Window {
    let pads = vec![
        ("none", Pad::None),
        ("zero", Pad::Zero),
        ("missing", Pad::Missing),
        ("forward", Pad::Forward),
        ("linear", Pad::Linear),
    ];
    let size = table.required("size", within(1, MAX_ROWS), "how many readings are kept, e.g. `size = 12`");
    let span = table.optional("span", positive_ms);
    let columns = columns(table, "columns");
    let pad = table.or("pad", "none", choice(pads, &[]));
    if let Some(list) = &columns {
        check_names(table.notes, &list.value, &[]);
        if list.value.is_empty() {
            let help = "name at least one pointer, or leave `columns` out: then the module sees whole readings";
            table.notes.error(&list.origin, "rows without columns show nothing", help);
        }
    }
    if pad.value != Pad::None && !table.has("columns") {
        let help = "add `columns = [\"/pointer\"]`, or remove `pad`: readings as they are cannot be filled up";
        table.notes.missing(&pad.origin, "`pad` needs `columns`", help);
    }
    let plan = size.and_then(|size| {
        let size = usize::try_from(size.value).ok()?;
        let columns = columns.as_ref().map(|list| named(&list.value));
        let span_ms = span.as_ref().map(|span| span.value);
        Some(WindowPlan::Rows(RowsPlan { size, span_ms, columns, pad: pad.value }))
    });
    Window { plan: plan.unwrap_or(WindowPlan::Latest), span }
}

/// A bucket that is open at the start must be read from its beginning, and the one before it may be all there is.
fn bucket(table: &Reader<'_>) -> Window {
    let every = table.required("every", positive_ms, "the length of a bucket, e.g. `every = \"1s\"`");
    let close_after_ms = table.optional("close_after", duration_ms).map(|after| after.value);
    let Some(every) = every else { return Window::latest() };
    let every_ms = every.value;
    let reach_ms = every_ms.saturating_add(close_after_ms.unwrap_or(0).max(every_ms));
    let plan = WindowPlan::Bucket(BucketPlan { every_ms, close_after_ms });
    Window { plan, span: Some(Placed { value: reach_ms, origin: every.origin }) }
}

fn grid(table: &Reader<'_>, clock: &WallClock) -> Window {
    let fills =
        vec![("zero", Fill::Zero), ("missing", Fill::Missing), ("forward", Fill::Forward), ("linear", Fill::Linear)];
    let step = table.required("step", positive_ms, "the length of a step, e.g. `step = \"1h\"`");
    let span = table.required("span", positive_ms, "how far back the grid reaches, e.g. `span = \"168h\"`");
    let fill = table.or("fill", "missing", choice(fills, &[]));
    let max_gap = table.optional("max_gap", positive_ms);
    let series = table.optional("series", list(pointer)).map_or_else(Vec::new, |series| series.value);
    let values = columns(table, "values").map_or_else(Vec::new, |list| list.value);
    let totals = columns(table, "totals").map_or_else(Vec::new, |list| list.value);
    if !["values", "totals"].iter().any(|key| table.has(key)) {
        let help = "add `values = [\"/pointer\"]`, one number per series, or `totals`, one per step";
        table.notes.missing(&table.origin, "a grid needs `values` or `totals`", help);
    }
    check_names(table.notes, values.iter().chain(&totals), &TAKEN);
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
fn columns(table: &Reader<'_>, key: &'static str) -> Option<Placed<Vec<Placed<Pointer>>>> {
    let placed = |node: &Node| pointer(node).map(|value| Placed { value, origin: node.origin.clone() });
    table.optional(key, list(placed))
}

/// A column is named by the last step of its pointer, so there must be one, no two alike, and none of those that are
/// `taken` by something else.
fn check_names<'c>(notes: &Notes, columns: impl IntoIterator<Item = &'c Placed<Pointer>>, taken: &[&str]) {
    let mut names: Vec<&str> = Vec::new();
    for column in columns {
        match column.value.name() {
            None => notes.error(&column.origin, "the empty pointer names no column", "point at a value"),
            Some(name) if taken.contains(&name) => {
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
