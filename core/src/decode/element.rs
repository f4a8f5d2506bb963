//! Turns one element of a record into a reading, or says why it cannot be one.

use serde::de::{DeserializeSeed, Deserializer};
use serde_json::Value;

use super::Reason;
use super::capture::{Capture, Captured, Captures};
use super::readings::{BodyRow, CellRow, DeadRecord, ReadingRow, Readings, ScalarRow, Span};
use super::skip::Guard;
use super::trie::{Slot, Trie};
use crate::ident::Millis;
use crate::plan::{Pointer, RowsPlan, Scope, TimeField, TopicPlan, WindowPlan};
use crate::provenance::station_hash;

/// Decodes the elements of one topic. Its scratch space is reused from element to element.
#[derive(Debug)]
pub(super) struct ElementDecoder {
    trie: Trie,
    station: Option<Slot>,
    time: Option<(Slot, TimeField)>,
    body: BodySlots,
    captures: Captures,
    name: String,
}

#[derive(Debug)]
enum BodySlots {
    Text,
    Keyed(Slot),
    Grid { series: Vec<Slot>, values: Vec<Slot>, totals: Vec<Slot> },
    Columns(Vec<Slot>),
    Result { at: Slot, hash: Slot },
}

/// What a window wants of a reading, by place in the list of pointers.
enum Wanted {
    Text,
    Keyed(usize),
    Grid([Vec<usize>; 3]),
    Columns(Vec<usize>),
    Result { at: usize, hash: usize },
}

impl Wanted {
    fn placed(self, slots: &[Slot]) -> BodySlots {
        let all = |places: Vec<usize>| places.into_iter().map(|place| slots[place]).collect();
        match self {
            Self::Text => BodySlots::Text,
            Self::Keyed(key) => BodySlots::Keyed(slots[key]),
            Self::Grid([series, values, totals]) => {
                BodySlots::Grid { series: all(series), values: all(values), totals: all(totals) }
            }
            Self::Columns(columns) => BodySlots::Columns(all(columns)),
            Self::Result { at, hash } => BodySlots::Result { at: slots[at], hash: slots[hash] },
        }
    }
}

/// Where an element stands, and when its record was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) record: u32,
    pub(super) element: Option<u32>,
    pub(super) timestamp: Millis,
}

/// The longest name of a series, in bytes: an array repeats what its reading has once in the name of every element.
const SERIES_BYTES: usize = 1024;

/// What resolved texts and series names of one batch may come to.
const SIDE_BYTES: usize = 256 << 20;

type Refusal = (Reason, &'static str);

impl ElementDecoder {
    pub(super) fn new(topic: &TopicPlan) -> Self {
        let [at, hash] = ["at", "input_hash"].map(Pointer::of_key);
        let mut pointers: Vec<&Pointer> = Vec::new();
        let mut want = |pointer| {
            pointers.push(pointer);
            pointers.len() - 1
        };
        let station = match &topic.scope {
            Scope::Station(at) => Some(want(at)),
            Scope::Global => None,
        };
        let time = topic.time.as_ref().map(|field| (want(&field.at), field.clone()));
        let body = match &topic.window {
            WindowPlan::Latest | WindowPlan::Bucket(_) | WindowPlan::Rows(RowsPlan { columns: None, .. }) => {
                Wanted::Text
            }
            WindowPlan::PerKey { key, .. } => Wanted::Keyed(want(key)),
            WindowPlan::Rows(RowsPlan { columns: Some(columns), .. }) => {
                Wanted::Columns(columns.iter().map(|column| want(&column.at)).collect())
            }
            WindowPlan::Grid(grid) => Wanted::Grid([
                grid.series.iter().map(&mut want).collect(),
                grid.values.iter().map(|column| want(&column.at)).collect(),
                grid.totals.iter().map(|column| want(&column.at)).collect(),
            ]),
            WindowPlan::Results => Wanted::Result { at: want(&at), hash: want(&hash) },
        };
        let (trie, slots) = Trie::new(&pointers);
        Self {
            station: station.map(|index| slots[index]),
            time: time.map(|(index, field)| (slots[index], field)),
            body: body.placed(&slots),
            trie,
            captures: Captures::default(),
            name: String::new(),
        }
    }

    /// Whether the window wants the element's text.
    pub(super) fn keeps_text(&self) -> bool {
        matches!(self.body, BodySlots::Text | BodySlots::Keyed(_) | BodySlots::Result { .. })
    }

    /// Decodes one element that stands `depth` containers deep. Only broken JSON and broken limits are errors; an
    /// element that cannot be a reading is noted as dead.
    pub(super) fn decode<'de, D: Deserializer<'de>>(
        &mut self,
        readings: &mut Readings,
        guard: &Guard,
        depth: usize,
        place: Place,
        text: Option<&str>,
        deserializer: D,
    ) -> Result<(), D::Error> {
        self.captures.reset(&self.trie);
        let capture = Capture { node: self.trie.root(), captures: &mut self.captures, readings, guard, depth };
        let is_object = capture.deserialize(deserializer)?;
        let before = readings.mark();
        if let Err((reason, detail)) = self.finish(readings, place, text, is_object) {
            readings.rewind(before);
            let detail = detail.to_owned();
            readings.push_dead(DeadRecord { record: place.record, element: place.element, reason, detail });
        }
        Ok(())
    }

    fn finish(
        &mut self,
        readings: &mut Readings,
        place: Place,
        text: Option<&str>,
        is_object: bool,
    ) -> Result<(), Refusal> {
        if !is_object {
            return Err((Reason::WrongShape, "reading is not an object"));
        }
        let station = self.station(readings)?;
        let mut time = self.time(readings, place.timestamp)?;
        let text = text.map(|text| readings.borrowed(text));
        let body = match (&self.body, text) {
            (BodySlots::Keyed(slot), Some(text)) => {
                let key = scalar_text(readings, self.captures.at(*slot));
                BodyRow::Keyed { key: key.ok_or((Reason::WrongShape, "no key in the reading"))?, text }
            }
            (BodySlots::Text, Some(text)) => BodyRow::Text(text),
            (BodySlots::Result { at, hash }, Some(text)) => {
                if let Captured::Int(at) = self.captures.at(*at) {
                    time = Millis(at);
                }
                BodyRow::Result { hash: self.hash(readings, *hash), text }
            }
            (BodySlots::Columns(_), _) => self.columns(readings)?,
            (BodySlots::Grid { .. }, _) | (_, None) => self.grid(readings)?,
        };
        let station_hash = station.map_or(0, |span| station_hash(readings.resolve(span)));
        readings.push_row(ReadingRow {
            record: place.record,
            element: place.element,
            time,
            station_hash,
            station,
            body,
        });
        Ok(())
    }

    fn station(&self, readings: &mut Readings) -> Result<Option<Span>, Refusal> {
        let Some(slot) = self.station else { return Ok(None) };
        match scalar_text(readings, self.captures.at(slot)) {
            Some(span) if !readings.resolve(span).is_empty() => Ok(Some(span)),
            _ => Err((Reason::MissingStation, "no station in the reading")),
        }
    }

    fn time(&self, readings: &mut Readings, timestamp: Millis) -> Result<Millis, Refusal> {
        let Some((slot, field)) = &self.time else { return Ok(timestamp) };
        let text = scalar_text(readings, self.captures.at(*slot)).ok_or((Reason::BadTime, "no time in the reading"))?;
        let unparsable = (Reason::BadTime, "time does not have the topic's format, or does not exist in its zone");
        field.parse(readings.resolve(text)).ok_or(unparsable)
    }

    /// The input hash of a result: 32 hexadecimal digits. Any other text is none.
    fn hash(&self, readings: &Readings, slot: Slot) -> Option<u128> {
        let Captured::Text(span) = self.captures.at(slot) else { return None };
        let digits = readings.resolve(span);
        // The parser would also take a sign, and fewer digits.
        let is_hash = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if is_hash { u128::from_str_radix(digits, 16).ok() } else { None }
    }

    fn columns(&self, readings: &mut Readings) -> Result<BodyRow, Refusal> {
        let BodySlots::Columns(slots) = &self.body else { return Err((Reason::WrongShape, "no columns")) };
        let first = readings.scalars_end();
        for slot in slots {
            let scalar = match self.captures.at(*slot) {
                Captured::Null => ScalarRow::Null,
                Captured::Bool(value) => ScalarRow::Bool(value),
                Captured::Text(span) => ScalarRow::Text(span),
                Captured::Absent => return Err((Reason::WrongShape, "no value for a column in the reading")),
                captured => match number(captured) {
                    Some(number) => ScalarRow::Number(number),
                    None => return Err((Reason::WrongShape, "a column's value is a list or an object")),
                },
            };
            readings.push_scalar(scalar);
        }
        Ok(BodyRow::Columns { scalars: (first, readings.scalars_end()) })
    }

    fn grid(&mut self, readings: &mut Readings) -> Result<BodyRow, Refusal> {
        let BodySlots::Grid { series, values, totals } = &self.body else {
            return Err((Reason::WrongShape, "no text"));
        };
        let captures = &self.captures;
        let (first_cell, _) = readings.ends();
        match array_length(captures, series)? {
            Some(len) => {
                for index in 0..len {
                    push_cell(readings, captures, &mut self.name, (series, values), Some((index, len)))?;
                }
            }
            None => {
                push_cell(readings, captures, &mut self.name, (series, values), None)?;
            }
        }
        let (last_cell, first_total) = readings.ends();
        for slot in totals {
            let number = number(captures.at(*slot)).ok_or((Reason::WrongShape, "a total is not a number"))?;
            readings.push_number(number);
        }
        let (_, last_total) = readings.ends();
        Ok(BodyRow::Grid { cells: (first_cell, last_cell), totals: (first_total, last_total) })
    }
}

/// The common length of those series pointers that lead to arrays; none when none does.
fn array_length(captures: &Captures, series: &[Slot]) -> Result<Option<usize>, Refusal> {
    let mut length = None;
    for slot in series {
        if let Captured::Items(from, to) = captures.at(*slot) {
            if length.is_some_and(|length| length != to - from) {
                return Err((Reason::WrongShape, "series arrays of unequal length"));
            }
            length = Some(to - from);
        }
    }
    Ok(length)
}

/// Appends the cell of one series: element `index` of arrays of `len` where `at` is given.
fn push_cell(
    readings: &mut Readings,
    captures: &Captures,
    name: &mut String,
    (series, values): (&[Slot], &[Slot]),
    at: Option<(usize, usize)>,
) -> Result<(), Refusal> {
    name.clear();
    name.push('[');
    for (position, slot) in series.iter().enumerate() {
        let captured = match (captures.at(*slot), at) {
            (Captured::Items(from, to), Some((index, _))) => captures.items(from, to)[index],
            (captured, _) => captured,
        };
        if position > 0 {
            name.push(',');
        }
        let span = scalar_text(readings, captured).ok_or((Reason::WrongShape, "no series in the reading"))?;
        push_quoted(name, readings.resolve(span));
    }
    name.push(']');
    if name.len() > SERIES_BYTES || readings.side_bytes() > SIDE_BYTES {
        return Err((Reason::TooLarge, "series names are too long"));
    }
    let name = readings.owned(name);
    let (_, first) = readings.ends();
    for slot in values {
        let captured = match (captures.at(*slot), at) {
            (Captured::Items(from, to), Some((index, len))) if to - from == len => captures.items(from, to)[index],
            (Captured::Absent | Captured::Null, _) => Captured::Null,
            (captured, None) => captured,
            _ => return Err((Reason::WrongShape, "values and series are not arrays of equal length")),
        };
        readings.push_number(number(captured).ok_or((Reason::WrongShape, "a value is not a number"))?);
    }
    let (_, last) = readings.ends();
    readings.push_cell(CellRow { series: name, values: (first, last) });
    Ok(())
}

/// Appends `text` as a JSON string. Names hardly ever need escapes, and there is one for every value of a grid.
fn push_quoted(name: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        name.push_str(&Value::from(text).to_string());
    } else {
        name.push('"');
        name.push_str(text);
        name.push('"');
    }
}

/// A string as it is, an integer as its decimal text.
fn scalar_text(readings: &mut Readings, captured: Captured) -> Option<Span> {
    match captured {
        Captured::Text(span) => Some(span),
        Captured::Int(number) => Some(readings.owned(&number.to_string())),
        Captured::Big(number) => Some(readings.owned(&number.to_string())),
        _ => None,
    }
}

/// A number, or NaN where there is no observation; none for anything else.
fn number(captured: Captured) -> Option<f64> {
    match captured {
        Captured::Absent | Captured::Null => Some(f64::NAN),
        #[expect(clippy::cast_precision_loss, reason = "JSON numbers are 64-bit floats")]
        Captured::Int(number) => Some(number as f64),
        #[expect(clippy::cast_precision_loss, reason = "JSON numbers are 64-bit floats")]
        Captured::Big(number) => Some(number as f64),
        Captured::Float(number) => Some(number),
        Captured::Bool(_) | Captured::Text(_) | Captured::Items(..) | Captured::Nested => None,
    }
}
