//! Windows as plain data, to be kept outside the process and brought back. What is stored on disk has types of its
//! own; these only say what a window is made of.

use super::Window;
use crate::contract::{InputHash, LineageRange};
use crate::ident::Millis;
use crate::provenance::Provenance;

/// The content of a window.
#[derive(Clone, Debug, PartialEq)]
pub enum WindowState {
    /// The reading of a `latest` window.
    Latest(EntryState),
    /// The readings of a `per_key` window with their keys.
    PerKey(Vec<(String, EntryState)>),
    /// The readings of a `grid` window, each with the values that it still owns.
    Grid(Vec<GridReadingState>),
    /// The open buckets and the newest closed one.
    Buckets(BucketState),
    /// The newest result of a module.
    Results(ResultState),
    /// The rows of a `rows` window, in parts that follow one another.
    Rows(Vec<RowsState>),
}

/// One reading that is kept as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryState {
    /// Event time.
    pub time: Millis,
    /// Where it came from.
    pub origin: Provenance,
    /// Its JSON.
    pub json: String,
}

/// The content of a `bucket` window. Every bucket up to the newest closed one is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketState {
    /// The open buckets in order of time.
    pub open: Vec<OpenBucketState>,
    /// The newest closed bucket.
    pub newest: Option<(i64, Vec<EntryState>)>,
}

/// A bucket that still takes readings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenBucketState {
    /// Its number.
    pub number: i64,
    /// Whether it is to be handed over once it closes; not so when all of it was only loaded.
    pub live: bool,
    /// Its readings.
    pub readings: Vec<EntryState>,
}

/// A closed bucket, or one reading.
#[derive(Clone, Debug, PartialEq)]
pub enum PendingContent {
    /// A bucket.
    Bucket(ClosedBucketState),
    /// One reading.
    Reading(EntryState),
}

/// A bucket that waits to be handed over. It stays what it was, whatever becomes of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedBucketState {
    /// Its number.
    pub number: i64,
    /// How long buckets were when it was filled, in milliseconds; none where that was not noted: as long as they are.
    pub every_ms: Option<i64>,
    /// Its readings.
    pub readings: Vec<EntryState>,
}

/// The result of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultState {
    /// When its input was assembled.
    pub time: Millis,
    /// The hash of that input, if it is known.
    pub hash: Option<InputHash>,
    /// The record it came in; none when it was made in this process.
    pub origin: Option<Provenance>,
    /// The records its input was made of, where it was made in this process.
    pub lineage: Vec<LineageRange>,
    /// Its JSON.
    pub json: String,
}

/// One reading of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct GridReadingState {
    /// Event time.
    pub time: Millis,
    /// Where it came from.
    pub origin: Provenance,
    /// The series it owns values of.
    pub cells: Vec<GridCellState>,
    /// Its totals; NaN where it owns none.
    pub totals: Vec<f64>,
}

/// The values of one series in one reading.
#[derive(Clone, Debug, PartialEq)]
pub struct GridCellState {
    /// The series' name: a JSON array of strings.
    pub series: String,
    /// Place in the reading's arrays.
    pub index: u32,
    /// One number per value column; NaN where another reading owns it.
    pub values: Vec<f64>,
}

/// Some rows of a window, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsState {
    /// Event time of each row.
    pub times: Vec<Millis>,
    /// Where each row came from.
    pub origins: Vec<Provenance>,
    /// What is kept of each row.
    pub content: RowsContentState,
}

/// What is kept of some rows.
#[derive(Clone, Debug, PartialEq)]
pub enum RowsContentState {
    /// The JSON of each reading.
    Texts(Vec<String>),
    /// The values, in the order of the plan's columns.
    Columns(Vec<RowsColumnState>),
}

/// One column of some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowsColumnState {
    /// One number per row; NaN for a gap and for what is no number.
    pub numbers: Vec<f64>,
    /// The rows that are true or false, in order.
    pub bools: Vec<(u32, bool)>,
    /// The rows that are strings, in order.
    pub texts: Vec<(u32, String)>,
}

impl Window {
    /// Gives out the window's content, or none when it is empty. Rows come in parts, each under its number, and only
    /// those that changed since the last call; everything else is one part of number 0.
    pub(crate) fn take_state(&mut self, give: &mut dyn FnMut(u64, Option<WindowState>)) {
        let whole = match self {
            Self::Latest(latest) => latest.state().map(WindowState::Latest),
            Self::PerKey(per_key) => Some(per_key.state()).filter(|state| !state.is_empty()).map(WindowState::PerKey),
            Self::Buckets(buckets) => buckets.state().map(WindowState::Buckets),
            Self::Results(results) => results.state().map(WindowState::Results),
            Self::Grid(grid) => Some(grid.state()).filter(|state| !state.is_empty()).map(WindowState::Grid),
            Self::Rows(rows) => {
                return rows.take_parts(&mut |part, rows| give(part, rows.map(|rows| WindowState::Rows(vec![rows]))));
            }
        };
        give(0, whole);
    }

    /// Visits the parts that a store may have of it.
    pub(crate) fn stored(&self, visit: &mut dyn FnMut(u64)) {
        match self {
            Self::Rows(rows) => rows.stored().for_each(visit),
            _ => visit(0),
        }
    }
}
