//! The values a module sees: readings as JSON documents, grids as columns of `f64`.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use super::ModuleError;
use crate::ident::Millis;

/// One topic's window, in the form its kind gives it.
#[derive(Clone, Debug)]
pub enum Value {
    /// No reading at all; JSON null.
    Missing,
    /// `latest`: the newest reading.
    Reading(Reading),
    /// `per_key`: the newest reading of each key, sorted by key. `rows`: the last readings, oldest first.
    Readings(Arc<[Reading]>),
    /// `bucket`: the readings of one closed bucket.
    Bucket(Bucket),
    /// `grid`: one value per series and step.
    Grid(Grid),
}

impl Value {
    /// The reading of a `latest` window, or the result of a module that this one depends on.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when the window is of another kind or empty.
    pub fn reading(&self) -> Result<&Reading, ModuleError> {
        match self {
            Self::Reading(reading) => Ok(reading),
            other => Err(other.unlike("a single reading (window kind `latest`)")),
        }
    }

    /// The readings of a `per_key` window, or of a `rows` window without columns.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when the window is of another kind or empty.
    pub fn readings(&self) -> Result<&[Reading], ModuleError> {
        match self {
            Self::Readings(readings) => Ok(readings),
            other => Err(other.unlike("a list of readings (window kind `per_key` or `rows`)")),
        }
    }

    /// The bucket of a `bucket` window.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when the window is of another kind or empty.
    pub fn bucket(&self) -> Result<&Bucket, ModuleError> {
        match self {
            Self::Bucket(bucket) => Ok(bucket),
            other => Err(other.unlike("a bucket (window kind `bucket`)")),
        }
    }

    /// The grid of a `grid` window.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when the window is of another kind or empty.
    pub fn grid(&self) -> Result<&Grid, ModuleError> {
        match self {
            Self::Grid(grid) => Ok(grid),
            other => Err(other.unlike("a grid (window kind `grid`)")),
        }
    }

    fn unlike(&self, wanted: &str) -> ModuleError {
        let kind = match self {
            Self::Missing => "missing",
            Self::Reading(_) => "`latest`",
            Self::Readings(_) => "a list of readings",
            Self::Bucket(_) => "`bucket`",
            Self::Grid(_) => "`grid`",
        };
        ModuleError::rejected(format!("input should be {wanted} but is {kind}"))
    }
}

/// One decoded element of a record, as canonical JSON: keys sorted, of two equal keys the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    json: Arc<str>,
}

impl Reading {
    /// Wraps text that is known to be one JSON value.
    #[must_use]
    pub fn from_json(json: Arc<str>) -> Self {
        Self { json }
    }

    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// The reading as a type of the module's own; unknown keys are up to that type.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] naming the field that does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ModuleError> {
        serde_json::from_str(&self.json).map_err(|e| ModuleError::rejected(format!("reading has another shape: {e}")))
    }
}

impl Serialize for Reading {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw(&self.json).serialize(serializer)
    }
}

/// The readings of one closed bucket, by time, then provenance.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Bucket {
    /// When the bucket begins, inclusive.
    pub from: Millis,
    /// When it ends, exclusive.
    pub to: Millis,
    /// What was read of it.
    pub readings: Arc<[Reading]>,
}

/// Borrowed JSON text that serialises as itself; `null` where the text is not JSON, which no constructor lets happen.
fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).unwrap_or(RawValue::NULL)
}

/// Values on a regular grid of steps, filled as the topic's configuration says. A gap is NaN (JSON: null).
///
/// Shapes: `steps` rows; a value column holds `steps * series.len()` numbers, row by row; a total holds `steps`.
#[derive(Clone, Debug)]
pub struct Grid {
    /// Length of a step in milliseconds.
    pub step_ms: i64,
    /// Start of each step, oldest first, regular except where local days change length.
    pub starts: Arc<[Millis]>,
    /// Start of each step in the topic's own format and zone.
    pub times: Arc<[Box<str>]>,
    /// Name of each series: the values found at the `series` pointers.
    pub series: Arc<[Box<[Box<str>]>]>,
    /// One column per `values` pointer, then one per `totals` pointer.
    pub columns: Arc<[Column]>,
}

/// One column of a grid.
#[derive(Clone, Debug)]
pub struct Column {
    /// The last step of its pointer.
    pub name: Arc<str>,
    /// Whether it has one number per step rather than one per step and series.
    pub total: bool,
    /// How many of the numbers were really sent; the others are filled or NaN.
    pub observed: usize,
    data: Arc<[f64]>,
}

impl Column {
    /// A column over `data`, which holds `steps * series` numbers (`steps` for a total), row by row.
    #[must_use]
    pub fn new(name: Arc<str>, total: bool, observed: usize, data: Arc<[f64]>) -> Self {
        Self { name, total, observed, data }
    }

    /// The numbers in chunks, in order. A column may be kept in several pieces; do not rely on their lengths.
    pub fn chunks(&self) -> impl Iterator<Item = &[f64]> {
        std::iter::once(&*self.data)
    }

    /// All numbers, when they are kept in one piece.
    #[must_use]
    pub fn as_slice(&self) -> Option<&[f64]> {
        Some(&self.data)
    }

    /// All numbers, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<f64> {
        self.data.to_vec()
    }
}

impl Grid {
    /// The column called `name`.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when neither `values` nor `totals` has it.
    pub fn column(&self, name: &str) -> Result<&Column, ModuleError> {
        self.columns
            .iter()
            .find(|column| &*column.name == name)
            .ok_or_else(|| ModuleError::rejected(format!("grid has no column {name}")))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing => serializer.serialize_none(),
            Self::Reading(reading) => reading.serialize(serializer),
            Self::Readings(readings) => readings.serialize(serializer),
            Self::Bucket(bucket) => bucket.serialize(serializer),
            Self::Grid(grid) => grid.serialize(serializer),
        }
    }
}

impl Serialize for Grid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("step_ms", &self.step_ms)?;
        map.serialize_entry("time", &self.times)?;
        map.serialize_entry("series", &self.series)?;
        for column in &*self.columns {
            let width = if column.total { None } else { Some(self.series.len()) };
            map.serialize_entry(&*column.name, &Rows { data: &column.data, width, rows: self.starts.len() })?;
        }
        map.serialize_entry("observed", &Observed(&self.columns))?;
        map.end()
    }
}

/// A column as JSON: one array per step, or one number per step for a total. NaN becomes null.
struct Rows<'a> {
    data: &'a [f64],
    width: Option<usize>,
    rows: usize,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(width) = self.width else { return self.data.serialize(serializer) };
        let mut seq = serializer.serialize_seq(Some(self.rows))?;
        for row in 0..self.rows {
            seq.serialize_element(&self.data[row * width..(row + 1) * width])?;
        }
        seq.end()
    }
}

struct Observed<'a>(&'a [Column]);

impl Serialize for Observed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for column in self.0 {
            map.serialize_entry(&*column.name, &column.observed)?;
        }
        map.end()
    }
}
