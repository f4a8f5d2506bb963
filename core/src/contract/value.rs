//! [`Value`]: one topic's window as a module sees it, and how to ask for the form that one expects.

use std::sync::Arc;

use serde::ser::{Serialize, Serializer};

use super::{Bucket, Columns, Grid, ModuleError, Reading};

/// One topic's window, in the form its kind gives it.
#[derive(Clone, Debug)]
pub enum Value {
    /// No reading at all; JSON null.
    Missing,
    /// `latest`: the newest reading.
    Reading(Reading),
    /// `per_key`: the newest reading of each key, sorted by key. `rows`: the last readings, oldest first.
    Readings(Arc<[Reading]>),
    /// `rows` with `columns`: the last readings, oldest first, column by column.
    Columns(Columns),
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

    /// The columns of a `rows` window that has them.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when the window is of another kind or empty.
    pub fn columns(&self) -> Result<&Columns, ModuleError> {
        match self {
            Self::Columns(columns) => Ok(columns),
            other => Err(other.unlike("columns (window kind `rows` with `columns`)")),
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
            Self::Columns(_) => "`rows` with `columns`",
            Self::Bucket(_) => "`bucket`",
            Self::Grid(_) => "`grid`",
        };
        ModuleError::rejected(format!("input should be {wanted} but is {kind}"))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing => serializer.serialize_none(),
            Self::Reading(reading) => reading.serialize(serializer),
            Self::Readings(readings) => readings.serialize(serializer),
            Self::Columns(columns) => columns.serialize(serializer),
            Self::Bucket(bucket) => bucket.serialize(serializer),
            Self::Grid(grid) => grid.serialize(serializer),
        }
    }
}
