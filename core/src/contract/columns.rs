//! [`Columns`]: the last readings of a topic, one column per pointer, and their JSON form.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Column, ModuleError};
use crate::ident::Millis;

/// The last readings of a topic, column by column, oldest first, brought to length as the topic's `pad` says. Cloning
/// it copies no values. As JSON, an object with one array per column.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Rows: how many values each column has, those that only pad included.
    pub len: usize,
    /// How many readings they are made of.
    pub readings: usize,
    /// One column per pointer of the topic's `columns`.
    pub columns: Arc<[Column]>,
    times: Arc<[Times]>,
}

/// Event times of some rows, and which of them count.
pub(crate) type Times = (Arc<Vec<Millis>>, std::ops::Range<usize>);

impl Columns {
    /// Columns of equal length; `times` belong to the last of their rows, one each. For tests of modules.
    #[must_use]
    pub fn new(columns: Vec<Column>, times: Vec<Millis>) -> Self {
        let (len, readings) = (columns.first().map_or(times.len(), Column::len), times.len());
        Self::of_parts(len, readings, columns.into(), [(Arc::new(times), 0..readings)].into())
    }

    /// `times` belong to the last rows, one each.
    pub(crate) fn of_parts(len: usize, readings: usize, columns: Arc<[Column]>, times: Arc<[Times]>) -> Self {
        Self { len, readings, columns, times }
    }

    /// The column called `name`.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when the topic's `columns` have none of that name.
    pub fn column(&self, name: &str) -> Result<&Column, ModuleError> {
        self.columns
            .iter()
            .find(|column| &*column.name == name)
            .ok_or_else(|| ModuleError::rejected(format!("rows have no column {name}")))
    }

    /// Event time of each row; none where a row only pads. Stretched rows (`pad = "linear"`) are nobody's and have none.
    pub fn times(&self) -> impl Iterator<Item = Option<Millis>> {
        let known: usize = self.times.iter().map(|(_, range)| range.len()).sum();
        let padded = std::iter::repeat_n(None, self.len.saturating_sub(known));
        padded.chain(self.times.iter().flat_map(|(times, range)| times[range.clone()].iter().copied().map(Some)))
    }
}

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for column in &*self.columns {
            map.serialize_entry(&*column.name, column)?;
        }
        map.end()
    }
}
