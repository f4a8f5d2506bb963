//! [`Readings`]: what decoding a batch yields, as columns over the batch's own bytes. Nothing is allocated per
//! reading; texts are ranges of the source, or of a side buffer where escapes had to be resolved.

use std::sync::Arc;

use super::Reason;
pub use crate::contract::Scalar;
use crate::ident::Millis;
use crate::record::{RecordBatch, RecordRow};

/// A piece of text: a range of the source, or of the side buffer when the top bit of `start` is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

const SIDE: u32 = 1 << 31;

/// The readings and dead records of one batch.
#[derive(Debug)]
pub struct Readings {
    source: Arc<RecordBatch>,
    side: String,
    rows: Vec<ReadingRow>,
    cells: Vec<CellRow>,
    numbers: Vec<f64>,
    scalars: Vec<ScalarRow>,
    dead: Vec<DeadRecord>,
}

/// One reading: an element of a record, for one station or for all.
#[derive(Clone, Debug)]
pub struct ReadingRow {
    /// The record it came from, as a row of the source.
    pub record: u32,
    /// Its place in the record's list; none when the record is not a list.
    pub element: Option<u32>,
    /// Event time.
    pub time: Millis,
    /// Stable hash of the station's id; 0 for a global reading.
    pub station_hash: u64,
    pub(super) station: Option<Span>,
    pub(super) body: BodyRow,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum BodyRow {
    Text(Span),
    Keyed { key: Span, text: Span },
    Grid { cells: (u32, u32), totals: (u32, u32) },
    Columns { scalars: (u32, u32) },
    Result { hash: Option<u128>, text: Span },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ScalarRow {
    Null,
    Bool(bool),
    Number(f64),
    Text(Span),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct CellRow {
    pub(super) series: Span,
    pub(super) values: (u32, u32),
}

/// A reading's content in the form its window wants.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// The element's JSON text, as received.
    Text(&'a str),
    /// The same with the key it is kept under.
    Keyed {
        /// The key.
        key: &'a str,
        /// JSON text, as received.
        text: &'a str,
    },
    /// Numbers per series, and totals.
    Grid {
        /// The numbers of each series.
        cells: GridCells<'a>,
        /// One number per total of the plan; NaN is no observation.
        totals: GridTotals<'a>,
    },
    /// One value per column of a `rows` window.
    Columns(Scalars<'a>),
    /// A module's result that came through its output topic.
    Result {
        /// The input hash that stands in its envelope, if one does.
        hash: Option<u128>,
        /// JSON text of the envelope, or of the element of an older list, as received.
        text: &'a str,
    },
}

/// The values of one reading, in the order of the plan's columns.
#[derive(Clone, Copy, Debug)]
pub struct Scalars<'a> {
    readings: &'a Readings,
    scalars: &'a [ScalarRow],
}

impl<'a> Scalars<'a> {
    /// The values, one per column.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Scalar<'a>> {
        self.scalars.iter().map(move |scalar| match *scalar {
            ScalarRow::Null => Scalar::Null,
            ScalarRow::Bool(value) => Scalar::Bool(value),
            ScalarRow::Number(number) => Scalar::Number(number),
            ScalarRow::Text(span) => Scalar::Text(self.readings.text(span)),
        })
    }
}

/// One number per `totals` pointer; NaN is no observation.
pub type GridTotals<'a> = &'a [f64];

/// The series of one grid reading, in array order.
#[derive(Clone, Copy, Debug)]
pub struct GridCells<'a> {
    readings: &'a Readings,
    cells: &'a [CellRow],
}

/// The numbers of one series in one reading.
#[derive(Clone, Copy, Debug)]
pub struct GridCell<'a> {
    /// The series' name: a JSON array of strings.
    pub series: &'a str,
    /// One number per `values` pointer; NaN is no observation.
    pub values: &'a [f64],
}

impl<'a> GridCells<'a> {
    /// The cells in array order.
    pub fn iter(self) -> impl Iterator<Item = GridCell<'a>> {
        self.cells.iter().map(move |cell| GridCell {
            series: self.readings.text(cell.series),
            values: slice(&self.readings.numbers, cell.values),
        })
    }
}

/// A record, or one element of it, that was given up while decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRecord {
    /// The record, as a row of the source.
    pub record: u32,
    /// The element; none when the whole record is meant.
    pub element: Option<u32>,
    /// Why.
    pub reason: Reason,
    /// More about why, for people.
    pub detail: String,
}

/// How much had been decoded at some moment, to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    side: usize,
    rows: usize,
    cells: usize,
    numbers: usize,
    scalars: usize,
    dead: usize,
}

impl Readings {
    pub(super) fn new(source: Arc<RecordBatch>) -> Self {
        let rows = Vec::with_capacity(source.len());
        Self {
            source,
            side: String::new(),
            rows,
            cells: Vec::new(),
            numbers: Vec::new(),
            scalars: Vec::new(),
            dead: Vec::new(),
        }
    }

    /// The batch they were decoded from.
    #[must_use]
    pub fn source(&self) -> Arc<RecordBatch> {
        Arc::clone(&self.source)
    }

    /// All readings, by record, then element.
    #[must_use]
    pub fn rows(&self) -> &[ReadingRow] {
        &self.rows
    }

    /// All dead records, by record, then element.
    #[must_use]
    pub fn dead(&self) -> &[DeadRecord] {
        &self.dead
    }

    /// The record a reading came from.
    #[must_use]
    pub fn record(&self, row: &ReadingRow) -> &RecordRow {
        &self.source.rows()[row.record as usize]
    }

    /// The station a reading belongs to; none for a global one.
    #[must_use]
    pub fn station(&self, row: &ReadingRow) -> Option<&str> {
        row.station.map(|span| self.text(span))
    }

    /// A reading's content.
    #[must_use]
    pub fn body(&self, row: &ReadingRow) -> Body<'_> {
        match row.body {
            BodyRow::Text(text) => Body::Text(self.text(text)),
            BodyRow::Keyed { key, text } => Body::Keyed { key: self.text(key), text: self.text(text) },
            BodyRow::Grid { cells: (from, to), totals } => Body::Grid {
                cells: GridCells { readings: self, cells: &self.cells[from as usize..to as usize] },
                totals: slice(&self.numbers, totals),
            },
            BodyRow::Columns { scalars: (from, to) } => {
                Body::Columns(Scalars { readings: self, scalars: &self.scalars[from as usize..to as usize] })
            }
            BodyRow::Result { hash, text } => Body::Result { hash, text: self.text(text) },
        }
    }

    fn text(&self, span: Span) -> &str {
        let start = (span.start & !SIDE) as usize;
        let range = start..start + span.len as usize;
        if span.start & SIDE != 0 {
            return &self.side[range];
        }
        self.source.text(range).unwrap_or_default()
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            side: self.side.len(),
            rows: self.rows.len(),
            cells: self.cells.len(),
            numbers: self.numbers.len(),
            scalars: self.scalars.len(),
            dead: self.dead.len(),
        }
    }

    pub(super) fn rewind(&mut self, mark: Mark) {
        self.side.truncate(mark.side);
        self.rows.truncate(mark.rows);
        self.cells.truncate(mark.cells);
        self.numbers.truncate(mark.numbers);
        self.scalars.truncate(mark.scalars);
        self.dead.truncate(mark.dead);
    }

    pub(super) fn push_row(&mut self, row: ReadingRow) {
        self.rows.push(row);
    }

    pub(super) fn push_dead(&mut self, dead: DeadRecord) {
        self.dead.push(dead);
    }

    pub(super) fn push_cell(&mut self, cell: CellRow) {
        self.cells.push(cell);
    }

    pub(super) fn push_number(&mut self, number: f64) {
        self.numbers.push(number);
    }

    pub(super) fn push_scalar(&mut self, scalar: ScalarRow) {
        self.scalars.push(scalar);
    }

    /// Where the next scalar will stand.
    pub(super) fn scalars_end(&self) -> u32 {
        narrow(self.scalars.len())
    }

    /// Where the next cell and the next number will stand.
    pub(super) fn ends(&self) -> (u32, u32) {
        (narrow(self.cells.len()), narrow(self.numbers.len()))
    }

    /// The span of `text`, which borrows from the source.
    pub(super) fn borrowed(&self, text: &str) -> Span {
        let start = (text.as_ptr() as usize).wrapping_sub(self.source.bytes().as_ptr() as usize);
        debug_assert!(start + text.len() <= self.source.bytes().len(), "text is not part of the source");
        Span { start: narrow(start), len: narrow(text.len()) }
    }

    /// Copies `text` into the side buffer.
    pub(super) fn owned(&mut self, text: &str) -> Span {
        let start = narrow(self.side.len()) | SIDE;
        self.side.push_str(text);
        Span { start, len: narrow(text.len()) }
    }

    /// How much the side buffer holds.
    pub(super) fn side_bytes(&self) -> usize {
        self.side.len()
    }

    /// The text of a span of these readings, for the element decoder.
    pub(super) fn resolve(&self, span: Span) -> &str {
        self.text(span)
    }
}

fn slice(numbers: &[f64], (from, to): (u32, u32)) -> &[f64] {
    &numbers[from as usize..to as usize]
}

/// A batch holds at most 2 GiB, and each of its bytes yields at most one cell or number.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
