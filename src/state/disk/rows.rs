//! The rows of a window as they are stored: by column.

use prost::{Message, Oneof};
use quorate_core::ident::{Millis, Offset};
use quorate_core::provenance::Provenance;
use quorate_core::{RowsColumnState, RowsContentState, RowsState};

use super::Malformed;
use super::window::all;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Rows {
    #[prost(message, repeated, tag = "1")]
    pub parts: Vec<RowsPart>,
}

/// Rows by column. Times and offsets are what they lie behind those of the row before, which is little.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RowsPart {
    #[prost(sint64, repeated, tag = "1")]
    time_steps: Vec<i64>,
    #[prost(uint32, repeated, tag = "2")]
    incarnations: Vec<u32>,
    #[prost(sint32, repeated, tag = "3")]
    partitions: Vec<i32>,
    #[prost(sint64, repeated, tag = "4")]
    offset_steps: Vec<i64>,
    #[prost(uint32, repeated, tag = "5")]
    elements: Vec<u32>,
    #[prost(oneof = "Content", tags = "6, 7")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Content {
    #[prost(message, tag = "6")]
    Texts(Texts),
    #[prost(message, tag = "7")]
    Columns(Columns),
}

#[derive(Clone, PartialEq, Message)]
struct Texts {
    #[prost(string, repeated, tag = "1")]
    texts: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Columns {
    #[prost(message, repeated, tag = "1")]
    columns: Vec<Column>,
}

#[derive(Clone, PartialEq, Message)]
struct Column {
    #[prost(double, repeated, tag = "1")]
    numbers: Vec<f64>,
    #[prost(uint32, repeated, tag = "2")]
    bool_rows: Vec<u32>,
    #[prost(bool, repeated, tag = "3")]
    bools: Vec<bool>,
    #[prost(uint32, repeated, tag = "4")]
    text_rows: Vec<u32>,
    #[prost(string, repeated, tag = "5")]
    texts: Vec<String>,
}

impl From<RowsState> for RowsPart {
    fn from(RowsState { times, origins, content }: RowsState) -> Self {
        let content = match content {
            RowsContentState::Texts(texts) => Content::Texts(Texts { texts }),
            RowsContentState::Columns(columns) => Content::Columns(Columns { columns: all(columns) }),
        };
        Self {
            time_steps: steps(times.iter().map(|time| time.0)),
            incarnations: origins.iter().map(|origin| origin.incarnation).collect(),
            partitions: origins.iter().map(|origin| origin.partition).collect(),
            offset_steps: steps(origins.iter().map(|origin| origin.offset.0)),
            elements: origins.iter().map(|origin| origin.element).collect(),
            content: Some(content),
        }
    }
}

impl TryFrom<RowsPart> for RowsState {
    type Error = Malformed;

    fn try_from(part: RowsPart) -> Result<Self, Malformed> {
        let rows = part.incarnations.len();
        if [part.partitions.len(), part.offset_steps.len(), part.elements.len()] != [rows; 3] {
            return Err(Malformed("rows of equal length"));
        }
        let offsets: Vec<i64> = sums(part.offset_steps).collect();
        let origins = (0..rows).map(|row| Provenance {
            incarnation: part.incarnations[row],
            partition: part.partitions[row],
            offset: Offset(offsets[row]),
            element: part.elements[row],
        });
        let content = match part.content.ok_or(Malformed("the content of rows"))? {
            Content::Texts(Texts { texts }) => RowsContentState::Texts(texts),
            Content::Columns(Columns { columns }) => {
                RowsContentState::Columns(columns.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { times: sums(part.time_steps).map(Millis).collect(), origins: origins.collect(), content })
    }
}

impl From<RowsColumnState> for Column {
    fn from(RowsColumnState { numbers, bools, texts }: RowsColumnState) -> Self {
        let ((bool_rows, bools), (text_rows, texts)) = (bools.into_iter().unzip(), texts.into_iter().unzip());
        Self { numbers, bool_rows, bools, text_rows, texts }
    }
}

impl TryFrom<Column> for RowsColumnState {
    type Error = Malformed;

    fn try_from(column: Column) -> Result<Self, Malformed> {
        if (column.bool_rows.len(), column.text_rows.len()) != (column.bools.len(), column.texts.len()) {
            return Err(Malformed("a value for each row"));
        }
        let bools = column.bool_rows.into_iter().zip(column.bools).collect();
        let texts = column.text_rows.into_iter().zip(column.texts).collect();
        Ok(Self { numbers: column.numbers, bools, texts })
    }
}

/// What each number lies behind the one before; wraps, so that any numbers come back.
fn steps(numbers: impl Iterator<Item = i64>) -> Vec<i64> {
    let step = |before: &mut i64, number: i64| Some(number.wrapping_sub(std::mem::replace(before, number)));
    numbers.scan(0, step).collect()
}

fn sums(steps: Vec<i64>) -> impl Iterator<Item = i64> {
    steps.into_iter().scan(0_i64, |sum, step| {
        *sum = sum.wrapping_add(step);
        Some(*sum)
    })
}
