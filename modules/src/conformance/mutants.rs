//! [`Mutant`]: inputs that differ from a sample in one way that the contract allows, however unlikely. Calls nothing.

use std::sync::Arc;

use quorate_core::contract::{Bucket, Column, Columns, Grid, ModuleInput, Reading, Scalar, Status, Value};
use quorate_core::ident::Millis;
use serde_json::Value as Json;

use crate::testing::{InputBuilder, bucket, hourly_grid, reading, readings};

/// Places of one reading that are changed one at a time, spread evenly; every place would take too long for a year's calendar.
const PLACES: usize = 40;
/// Elements of a list, or characters of a text, that is very long.
const VERY_LONG: usize = 5000;
const HOUR_MS: i64 = 3_600_000;

/// A changed sample.
pub(super) struct Mutant {
    pub(super) input: ModuleInput,
    /// What is changed, in words.
    pub(super) what: String,
}

/// Each input missing, and all.
pub(super) fn missing(sample: &ModuleInput) -> Vec<Mutant> {
    let each = (0..sample.inputs.len()).map(|nth| replaced(sample, nth, Value::Missing, "nothing"));
    let all = sample.inputs.iter().fold(InputBuilder::new(&sample.module), |all, input| all.missing(&input.topic));
    each.chain([Mutant { input: all.at(sample.at).build(), what: "every input missing".to_owned() }]).collect()
}

/// Each input as a window of every kind.
pub(super) fn wrong_kinds(sample: &ModuleInput) -> Vec<Mutant> {
    let kinds = [
        ("columns without any", Value::Columns(Columns::new(Vec::new(), Vec::new()))),
        ("a reading", reading("{}")),
        ("a list without readings", readings(&[])),
        ("a list of a reading", readings(&["{}"])),
        ("an empty bucket", bucket(Millis(0), Millis(1000), &[])),
        ("a grid without columns", hourly_grid(Millis(0), 24, 8, &["01"], Vec::new())),
    ];
    let of = |nth: usize| kinds.iter().map(move |(what, value)| replaced(sample, nth, value.clone(), what));
    (0..sample.inputs.len()).flat_map(of).collect()
}

/// Each input with values that nobody expects.
pub(super) fn extremes(sample: &ModuleInput) -> Vec<Mutant> {
    let of = |nth: usize| {
        let values: Vec<(String, Value)> = match &sample.inputs[nth].value {
            Value::Reading(reading) => {
                changed(reading).into_iter().map(|(what, reading)| (what, Value::Reading(reading))).collect()
            }
            Value::Readings(list) => {
                lists(list).into_iter().map(|(what, list)| (what, Value::Readings(list))).collect()
            }
            Value::Bucket(old) => {
                let with = |readings| Value::Bucket(Bucket { readings, ..old.clone() });
                lists(&old.readings).into_iter().map(|(what, list)| (what, with(list))).collect()
            }
            Value::Grid(grid) => grids(grid).into_iter().map(|(what, grid)| (what, Value::Grid(grid))).collect(),
            Value::Columns(columns) => {
                tables(columns).into_iter().map(|(what, columns)| (what, Value::Columns(columns))).collect()
            }
            Value::Missing => Vec::new(),
        };
        values.into_iter().map(move |(what, value)| replaced(sample, nth, value, &what))
    };
    (0..sample.inputs.len()).flat_map(of).collect()
}

fn replaced(sample: &ModuleInput, nth: usize, value: Value, what: &str) -> Mutant {
    let mut builder = InputBuilder::new(&sample.module).at(sample.at).station(sample.station.as_str());
    for (place, input) in sample.inputs.iter().enumerate() {
        builder = match (place == nth, &value) {
            (true, Value::Missing) => builder.missing(&input.topic),
            (true, value) => builder.with(&input.topic, Status::Fresh, Some(sample.at), value.clone()),
            (false, _) => builder.with(&input.topic, input.status, input.time, input.value.clone()),
        };
    }
    Mutant { input: builder.build(), what: format!("{what} for {}", sample.inputs[nth].topic) }
}

/// Lists of readings: none, very many, and the first and last one changed.
fn lists(list: &[Reading]) -> Vec<(String, Arc<[Reading]>)> {
    let many = list.iter().cycle().take(if list.is_empty() { 0 } else { VERY_LONG }).cloned().collect();
    let mut found: Vec<(String, Arc<[Reading]>)> =
        vec![("no readings".to_owned(), Arc::new([])), ("very many readings".to_owned(), many)];
    for nth in (0..list.len()).filter(|nth| *nth == 0 || nth + 1 == list.len()) {
        for (what, reading) in changed(&list[nth]) {
            let mut list = list.to_vec();
            list[nth] = reading;
            found.push((format!("{what} in reading {nth}"), list.into()));
        }
    }
    found
}

/// A reading with one value changed, or all of one type.
fn changed(reading: &Reading) -> Vec<(String, Reading)> {
    let Ok(document) = reading.parse::<Json>() else { return Vec::new() };
    let mut found = Vec::new();
    let mut keep = |what: String, document: &Json| {
        found.push((what, Reading::from_json(document.to_string().into())));
    };
    for whole in
        [Json::Null, Json::from("text"), Json::from(0), Json::Array(Vec::new()), Json::Object(serde_json::Map::new())]
    {
        keep(format!("the reading {whole}"), &whole);
    }
    let places = places(&document);
    let step = places.len().div_ceil(PLACES).max(1);
    for place in places.iter().step_by(step) {
        for (what, replace) in REPLACEMENTS {
            let mut document = document.clone();
            if document.pointer_mut(place).is_some_and(replace) {
                keep(format!("{what} at {place}"), &document);
            }
        }
    }
    for (what, replace) in REPLACEMENTS {
        let mut document = document.clone();
        everywhere(&mut document, replace);
        keep(format!("{what} everywhere"), &document);
    }
    found
}

/// Changes a value in place; false when it is of another type.
type Replace = fn(&mut Json) -> bool;

const REPLACEMENTS: [(&str, Replace); 13] = [
    ("1e308", |value| put(value, Json::is_number, || Json::from(1e308))),
    ("-1e308", |value| put(value, Json::is_number, || Json::from(-1e308))),
    ("-0.0", |value| put(value, Json::is_number, || Json::from(-0.0))),
    ("the lowest integer", |value| put(value, Json::is_number, || Json::from(i64::MIN))),
    ("null for a number", |value| put(value, Json::is_number, || Json::Null)),
    ("text for a number", |value| put(value, Json::is_number, || Json::from("7"))),
    ("an empty text", |value| put(value, Json::is_string, || Json::from(""))),
    ("a very long text", |value| put(value, Json::is_string, || Json::from("é".repeat(VERY_LONG)))),
    ("a number for text", |value| put(value, Json::is_string, || Json::from(7))),
    ("null for text", |value| put(value, Json::is_string, || Json::Null)),
    ("an empty list", |value| put(value, Json::is_array, || Json::Array(Vec::new()))),
    ("a very long list", lengthen),
    ("null for an object", |value| put(value, Json::is_object, || Json::Null)),
];

fn put(value: &mut Json, fits: fn(&Json) -> bool, replacement: impl Fn() -> Json) -> bool {
    let fits = fits(value);
    if fits {
        *value = replacement();
    }
    fits
}

fn lengthen(value: &mut Json) -> bool {
    match value {
        Json::Array(list) if !list.is_empty() => {
            *list = list.iter().cycle().take(VERY_LONG).cloned().collect();
            true
        }
        _ => false,
    }
}

/// Applies `replace` to the outermost values that it fits, below the document itself.
fn everywhere(document: &mut Json, replace: Replace) {
    let each = |value: &mut Json| {
        if !replace(value) {
            everywhere(value, replace);
        }
    };
    match document {
        Json::Array(list) => list.iter_mut().for_each(each),
        Json::Object(fields) => fields.values_mut().for_each(each),
        _ => {}
    }
}

/// JSON Pointers to every value below the document itself.
fn places(document: &Json) -> Vec<String> {
    let below = |step: String, value: &Json| {
        let deeper = places(value).into_iter().map(|place| format!("/{step}{place}")).collect::<Vec<_>>();
        std::iter::once(format!("/{step}")).chain(deeper)
    };
    match document {
        Json::Array(list) => list.iter().enumerate().flat_map(|(nth, value)| below(nth.to_string(), value)).collect(),
        Json::Object(fields) => {
            fields.iter().flat_map(|(key, value)| below(key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        _ => Vec::new(),
    }
}

/// Columns with every value alike, and none.
fn tables(columns: &Columns) -> Vec<(String, Columns)> {
    let values = [
        ("1e308", Scalar::Number(1e308)),
        ("-1e308", Scalar::Number(-1e308)),
        ("null", Scalar::Null),
        ("true", Scalar::Bool(true)),
        ("an empty text", Scalar::Text("")),
    ];
    let times: Vec<Millis> = columns.times().map(Option::unwrap_or_default).collect();
    let filled = |value: Scalar<'static>| {
        let alike = |column: &Column| Column::of_values(Arc::clone(&column.name), vec![value; column.len()]);
        Columns::new(columns.columns.iter().map(alike).collect(), times.clone())
    };
    let mut found: Vec<_> =
        values.into_iter().map(|(what, value)| (format!("{what} everywhere"), filled(value))).collect();
    found.push(("no columns".to_owned(), Columns::new(Vec::new(), Vec::new())));
    found
}

/// A grid with every number alike, without steps, series or columns, with other times and another step.
fn grids(grid: &Grid) -> Vec<(String, Grid)> {
    let mut found: Vec<(String, Grid)> = [1e308, -1e308, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
        .into_iter()
        .map(|number| (format!("{number:e} everywhere"), with_columns(grid, |cells| vec![number; cells])))
        .collect();
    let alternating = |cells| (0..cells).map(|cell| if cell % 2 == 0 { 1e308 } else { -1e308 }).collect();
    found.push(("±1e308 in turn".to_owned(), with_columns(grid, alternating)));
    let zeros = |cells| vec![0.0; cells];
    let none = Grid { starts: Arc::new([]), times: Arc::new([]), ..grid.clone() };
    found.push(("no steps".to_owned(), with_columns(&none, zeros)));
    found.push(("no series".to_owned(), with_columns(&Grid { series: Arc::new([]), ..grid.clone() }, zeros)));
    found.push(("no columns".to_owned(), Grid { columns: Arc::new([]), ..grid.clone() }));
    for start in [i64::MIN, 0, i64::MAX] {
        let starts = (0..grid.starts.len() as i64).map(|step| Millis(start).plus(step * HOUR_MS)).collect();
        found.push((format!("times from {start} ms on"), Grid { starts, ..grid.clone() }));
    }
    let unreadable = grid.times.iter().map(|_| "?".into()).collect();
    found.push(("times that cannot be read".to_owned(), Grid { times: unreadable, ..grid.clone() }));
    for step_ms in [1, i64::MAX] {
        found.push((format!("steps of {step_ms} ms"), Grid { step_ms, ..grid.clone() }));
    }
    found
}

/// The grid with columns of the same names, filled anew to the size that its steps and series ask for.
fn with_columns(grid: &Grid, fill: impl Fn(usize) -> Vec<f64>) -> Grid {
    let anew = |column: &Column| {
        let width = if column.total { 1 } else { grid.series.len() };
        let data = fill(grid.starts.len() * width);
        let observed = data.iter().filter(|number| !number.is_nan()).count();
        Column::new(Arc::clone(&column.name), column.total, observed, data)
    };
    Grid { columns: grid.columns.iter().map(anew).collect(), ..grid.clone() }
}
