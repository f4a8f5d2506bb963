//! [`Grid`]: values on a regular grid of steps, and its JSON form.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{Column, ModuleError};
use crate::ident::Millis;

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

impl Serialize for Grid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("step_ms", &self.step_ms)?;
        map.serialize_entry("time", &self.times)?;
        map.serialize_entry("series", &self.series)?;
        for column in &*self.columns {
            if column.total {
                map.serialize_entry(&*column.name, column)?;
            } else {
                let steps = Steps { data: &column.contiguous(), series: self.series.len(), steps: self.starts.len() };
                map.serialize_entry(&*column.name, &steps)?;
            }
        }
        map.serialize_entry("observed", &Observed(&self.columns))?;
        map.end()
    }
}

/// A value column as JSON: one array per step. NaN becomes null.
struct Steps<'a> {
    data: &'a [f64],
    series: usize,
    steps: usize,
}

impl Serialize for Steps<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.steps))?;
        for step in 0..self.steps {
            seq.serialize_element(&self.data[step * self.series..(step + 1) * self.series])?;
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
