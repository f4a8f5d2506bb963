//! Columns and grids as Arrow record batches, for modules whose models want arrays. The first column is `time`, in
//! milliseconds and UTC; a gap is null.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float64Array, LargeStringArray, RecordBatch, TimestampMillisecondArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::{Column, Columns, Grid, ModuleError, Scalar};
use crate::ident::Millis;

/// The metadata of a grid's value columns: the names of the series as a JSON array, in the order of a list's elements.
const SERIES: &str = "series";

impl Columns {
    /// One row per row. `time` is null where a row only pads. A column of numbers is `Float64`, one of truth values
    /// `Boolean`, any other `LargeUtf8`, in which what is no string stands as its JSON.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when Arrow refuses the columns.
    pub fn to_arrow(&self) -> Result<RecordBatch, ModuleError> {
        let columns = self.columns.iter().map(|column| {
            let values = array(column);
            (Field::new(&*column.name, values.data_type().clone(), true), values)
        });
        batch(time(self.times(), true), columns.collect())
    }
}

impl Grid {
    /// One row per step. A total is `Float64`; a value column is a list of `Float64` as long as there are series, whose
    /// names are in the column's metadata under `series`.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when Arrow refuses the columns: a list has at most 2^31 − 1 elements.
    pub fn to_arrow(&self) -> Result<RecordBatch, ModuleError> {
        let series = serde_json::to_string(&self.series).map_err(refused)?;
        let columns: Result<Vec<_>, ModuleError> = self
            .columns
            .iter()
            .map(|column| {
                let values = if column.total { array(column) } else { self.lists(column)? };
                let field = Field::new(&*column.name, values.data_type().clone(), true);
                let metadata = HashMap::from([(SERIES.to_owned(), series.clone())]);
                Ok((if column.total { field } else { field.with_metadata(metadata) }, values))
            })
            .collect();
        batch(time(self.starts.iter().copied().map(Some), false), columns?)
    }

    fn lists(&self, column: &Column) -> Result<ArrayRef, ModuleError> {
        let element = Arc::new(Field::new_list_field(DataType::Float64, true));
        let wide = i32::try_from(self.series.len()).map_err(refused)?;
        let lists = FixedSizeListArray::try_new_with_length(element, wide, numbers(column), None, self.starts.len());
        Ok(Arc::new(lists.map_err(refused)?))
    }
}

fn batch(time: (Field, ArrayRef), columns: Vec<(Field, ArrayRef)>) -> Result<RecordBatch, ModuleError> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = std::iter::once(time).chain(columns).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|e: ArrowError| refused(e))
}

fn time(times: impl Iterator<Item = Option<Millis>>, nullable: bool) -> (Field, ArrayRef) {
    let times: TimestampMillisecondArray = times.map(|time| time.map(|time| time.0)).collect();
    let times: ArrayRef = Arc::new(times.with_timezone_utc());
    (Field::new("time", times.data_type().clone(), nullable), times)
}

fn array(column: &Column) -> ArrayRef {
    let has = |kind: fn(Scalar<'_>) -> bool| column.values().any(kind);
    let (texts, truths) = (has(|v| matches!(v, Scalar::Text(_))), has(|v| matches!(v, Scalar::Bool(_))));
    if !texts && !truths {
        return numbers(column);
    }
    if texts || has(|v| matches!(v, Scalar::Number(_))) {
        return Arc::new(column.values().map(text).collect::<LargeStringArray>());
    }
    Arc::new(column.values().map(truth_value).collect::<BooleanArray>())
}

fn numbers(column: &Column) -> ArrayRef {
    let numbers = column.chunks().flatten().map(|number| (!number.is_nan()).then_some(*number));
    Arc::new(numbers.collect::<Float64Array>())
}

fn truth_value(value: Scalar<'_>) -> Option<bool> {
    if let Scalar::Bool(value) = value { Some(value) } else { None }
}

fn text(value: Scalar<'_>) -> Option<String> {
    match value {
        Scalar::Null => None,
        Scalar::Text(text) => Some(text.to_owned()),
        Scalar::Bool(_) | Scalar::Number(_) => serde_json::to_string(&value).ok(),
    }
}

fn refused(why: impl std::fmt::Display) -> ModuleError {
    ModuleError::rejected(format!("input has no form in Arrow: {why}"))
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, TimestampMillisecondType};
    use arrow_schema::TimeUnit;

    use super::*;

    #[test]
    fn rows_become_one_typed_array_per_column_beside_their_times() {
        let columns = [
            Column::of_values("n".into(), [Scalar::Null, Scalar::Number(1.5), Scalar::Number(2.0)]),
            Column::of_values("s".into(), [Scalar::Null, Scalar::Text("x"), Scalar::Number(0.5)]),
            Column::of_values("b".into(), [Scalar::Null, Scalar::Bool(true), Scalar::Bool(false)]),
            Column::of_values("m".into(), [Scalar::Null, Scalar::Bool(true), Scalar::Number(3.0)]),
        ];
        let batch = Columns::new(columns.into(), vec![Millis(1), Millis(2)]).to_arrow().expect("a batch");

        assert_eq!(batch.num_rows(), 3);
        let time = batch.column(0).as_primitive::<TimestampMillisecondType>();
        assert_eq!(time.data_type(), &DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into())));
        assert_eq!(time.iter().collect::<Vec<_>>(), [None, Some(1), Some(2)]);
        let numbers = batch.column(1).as_primitive::<Float64Type>();
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [None, Some(1.5), Some(2.0)]);
        let texts = batch.column(2).as_string::<i64>();
        assert_eq!(texts.iter().collect::<Vec<_>>(), [None, Some("x"), Some("0.5")]);
        let truths = batch.column(3).as_boolean();
        assert_eq!(truths.iter().collect::<Vec<_>>(), [None, Some(true), Some(false)]);
        let mixed = batch.column(4).as_string::<i64>();
        assert_eq!(mixed.iter().collect::<Vec<_>>(), [None, Some("true"), Some("3.0")]);
    }

    fn grid(series: &[&str], values: Vec<f64>) -> Grid {
        Grid {
            step_ms: 1_000,
            starts: [Millis(0), Millis(1_000)].into(),
            times: ["0".into(), "1".into()].into(),
            series: series.iter().map(|name| [Box::from(*name)].into()).collect(),
            columns: [Column::new("v".into(), false, 0, values), Column::new("t".into(), true, 1, vec![f64::NAN, 7.0])]
                .into(),
        }
    }

    #[test]
    fn a_grid_becomes_one_list_per_step_whose_elements_are_the_series() {
        let batch = grid(&["a", "b"], vec![1.0, f64::NAN, 3.0, 4.0]).to_arrow().expect("a batch");
        let time = batch.column(0).as_primitive::<TimestampMillisecondType>();
        assert_eq!((time.values().to_vec(), time.null_count()), (vec![0, 1_000], 0));
        let steps = batch.column(1).as_fixed_size_list();
        assert_eq!(steps.value_length(), 2);
        let values = steps.values().as_primitive::<Float64Type>();
        assert_eq!(values.iter().collect::<Vec<_>>(), [Some(1.0), None, Some(3.0), Some(4.0)]);
        assert_eq!(batch.schema().field(1).metadata()[SERIES], r#"[["a"],["b"]]"#);
        let total = batch.column(2).as_primitive::<Float64Type>();
        assert_eq!(total.iter().collect::<Vec<_>>(), [None, Some(7.0)]);
    }

    #[test]
    fn a_grid_without_series_has_empty_lists() {
        let batch = grid(&[], Vec::new()).to_arrow().expect("a batch");
        assert_eq!((batch.num_rows(), batch.column(1).as_fixed_size_list().value_length()), (2, 0));
    }
}
