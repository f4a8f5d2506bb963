//! What decoding one payload must come to, by the contract, worked out from a tree of the whole text: slowly, and with
//! none of the decoder's code.

use quorate_core::decode::Reason;
use quorate_core::ident::Millis;
use quorate_core::plan::{GridPlan, Limits, OnNull, Plan, Pointer, RowsPlan, Scope, Step, TopicPlan, WindowPlan};
use serde_json::json;

use crate::document::{Document, Extent, index, read};

/// The fate of one record.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Given up as a whole, for one of these reasons.
    Whole(Vec<Reason>),
    /// Passed over.
    Nothing,
    /// Each element in order, numbered when there is a list. With `or_too_large` it may be given up as a whole, too: what
    /// a repeated key hides is counted until it is hidden.
    Elements { numbered: bool, or_too_large: bool, each: Vec<(Document, Result<Expected, Reason>)> },
}

/// One reading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expected {
    pub(crate) station: Option<String>,
    pub(crate) time: Millis,
    pub(crate) body: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Text(Document),
    Keyed(String, Document),
    Columns(Vec<Document>),
    /// Series with their values, then totals; none is no observation.
    Grid(Vec<(String, Vec<Option<f64>>)>, Vec<Option<f64>>),
    Result(Option<u128>, Document),
}

/// The fate of `payload` in the only topic of `plan`, for a record written at `timestamp`.
pub(crate) fn fate(plan: &Plan, payload: Option<&[u8]>, timestamp: Millis) -> Fate {
    let (topic, limits) = (&plan.topics[0], plan.limits);
    let Some(payload) = payload else {
        return match topic.on_null {
            OnNull::Ignore => Fate::Nothing,
            OnNull::DeadLetter => Fate::Whole(vec![Reason::WrongShape]),
        };
    };
    if payload.len() > limits.record_bytes {
        return Fate::Whole(vec![Reason::TooLarge]);
    }
    let Ok(text) = std::str::from_utf8(payload) else { return Fate::Whole(vec![Reason::NotUtf8]) };
    match read(text) {
        // Elements before the place where it breaks may be too many.
        (None, extent) if many(text, limits) => {
            Fate::Whole([broken(extent, limits), vec![Reason::NotJson, Reason::TooLarge]].concat())
        }
        (None, extent) => Fate::Whole([broken(extent, limits), vec![Reason::NotJson]].concat()),
        (Some(_), extent) if !broken(extent, limits).is_empty() => Fate::Whole(broken(extent, limits)),
        (Some(document), extent) => {
            let or_too_large = extent.repeats && many(text, limits);
            of_document((topic, limits), &document, or_too_large, timestamp)
        }
    }
}

/// Whether a text may hold more elements than the limit says.
fn many(text: &str, limits: Limits) -> bool {
    text.matches(',').count() >= limits.elements
}

/// The limits that a text is beyond. Which of several is named depends on which is met first.
fn broken(extent: Extent, limits: Limits) -> Vec<Reason> {
    let large = extent.width > limits.elements || extent.string > limits.string_bytes;
    let deep = extent.depth > limits.depth;
    [(large, Reason::TooLarge), (deep, Reason::TooDeep)].into_iter().filter_map(|(is, why)| is.then_some(why)).collect()
}

fn of_document(
    (topic, limits): (&TopicPlan, Limits),
    document: &Document,
    or_too_large: bool,
    timestamp: Millis,
) -> Fate {
    for pointer in &topic.records {
        let mut found = Vec::new();
        let leads = follow(document, pointer.steps(), &mut found);
        if found.len() > limits.elements {
            return Fate::Whole(vec![Reason::TooLarge]);
        }
        if leads {
            let each = found.into_iter().map(|found| match found {
                (element, true) => (element.clone(), reading(topic, element, timestamp)),
                (element, false) => (element.clone(), Err(Reason::WrongShape)),
            });
            return Fate::Elements { numbered: pointer.is_list(), or_too_large, each: each.collect() };
        }
    }
    Fate::Whole(vec![Reason::WrongShape])
}

/// Collects what a pointer leads to; an element in which the rest of it leads nowhere stands for itself.
fn follow<'d>(at: &'d Document, steps: &[Step], found: &mut Vec<(&'d Document, bool)>) -> bool {
    match (steps.split_first(), at) {
        (None, _) => {
            found.push((at, true));
            true
        }
        (Some((Step::Each, rest)), Document::List(items)) => {
            for item in items {
                if !follow(item, rest, found) {
                    found.push((item, false));
                }
            }
            true
        }
        (Some((Step::Key(key), rest)), Document::Object(entries)) => {
            entries.get(&**key).is_some_and(|value| follow(value, rest, found))
        }
        (Some((Step::Key(key), rest)), Document::List(items)) => {
            index(key).and_then(|index| items.get(index)).is_some_and(|value| follow(value, rest, found))
        }
        _ => false,
    }
}

fn reading(topic: &TopicPlan, element: &Document, timestamp: Millis) -> Result<Expected, Reason> {
    if !matches!(element, Document::Object(_)) {
        return Err(Reason::WrongShape);
    }
    let scalar = |at: &Pointer| element.at(at.steps()).and_then(Document::scalar);
    let station = match &topic.scope {
        Scope::Station(at) => Some(scalar(at).filter(|station| !station.is_empty()).ok_or(Reason::MissingStation)?),
        Scope::Global => None,
    };
    let mut time = match &topic.time {
        Some(field) => scalar(&field.at).and_then(|text| field.parse(&text)).ok_or(Reason::BadTime)?,
        None => timestamp,
    };
    let body = match &topic.window {
        WindowPlan::Latest | WindowPlan::Bucket(_) | WindowPlan::Rows(RowsPlan { columns: None, .. }) => {
            Content::Text(element.clone())
        }
        WindowPlan::PerKey { key, .. } => Content::Keyed(scalar(key).ok_or(Reason::WrongShape)?, element.clone()),
        WindowPlan::Rows(RowsPlan { columns: Some(columns), .. }) => {
            Content::Columns(columns.iter().map(|column| value_of(element, &column.at)).collect::<Result<_, _>>()?)
        }
        WindowPlan::Grid(grid) => grid_of(grid, element)?,
        WindowPlan::Results => {
            if let Some(Document::Int(at)) = element.at(&["at"]) {
                time = Millis(*at);
            }
            Content::Result(element.at(&["input_hash"]).and_then(hash), element.clone())
        }
    };
    Ok(Expected { station, time, body })
}

/// A column's value, with every number as a float.
fn value_of(element: &Document, at: &Pointer) -> Result<Document, Reason> {
    match element.at(at.steps()) {
        None | Some(Document::List(_) | Document::Object(_)) => Err(Reason::WrongShape),
        Some(value) => Ok(value.number().map_or_else(|| value.clone(), Document::Float)),
    }
}

fn hash(value: &Document) -> Option<u128> {
    let Document::Text(text) = value else { return None };
    let is_hash = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { u128::from_str_radix(text, 16).ok() } else { None }
}

/// The longest name of a series, in bytes.
const SERIES_BYTES: usize = 1024;

fn grid_of(grid: &GridPlan, element: &Document) -> Result<Content, Reason> {
    let at = |pointer: &Pointer| element.at(pointer.steps());
    let series: Vec<Option<&Document>> = grid.series.iter().map(at).collect();
    let mut lengths = series.iter().filter_map(|value| match value {
        Some(Document::List(items)) => Some(items.len()),
        _ => None,
    });
    let length = lengths.next();
    if lengths.any(|other| Some(other) != length) {
        return Err(Reason::WrongShape);
    }
    let mut cells = Vec::new();
    for place in 0..length.unwrap_or(1) {
        let mut name = Vec::new();
        for part in &series {
            let part = match part {
                Some(Document::List(items)) => items.get(place),
                other => *other,
            };
            name.push(part.and_then(Document::scalar).ok_or(Reason::WrongShape)?);
        }
        let name = json!(name).to_string();
        if name.len() > SERIES_BYTES {
            return Err(Reason::TooLarge);
        }
        let mut values = Vec::new();
        for column in &grid.values {
            values.push(match (at(&column.at), length) {
                (Some(Document::List(items)), Some(length)) if items.len() == length => observed(items.get(place))?,
                (None | Some(Document::Null), _) => None,
                (value, None) => observed(value)?,
                _ => return Err(Reason::WrongShape),
            });
        }
        cells.push((name, values));
    }
    let totals = grid.totals.iter().map(|column| observed(at(&column.at))).collect::<Result<_, _>>()?;
    Ok(Content::Grid(cells, totals))
}

fn observed(value: Option<&Document>) -> Result<Option<f64>, Reason> {
    match value {
        None | Some(Document::Null) => Ok(None),
        Some(value) => value.number().map(Some).ok_or(Reason::WrongShape),
    }
}
