//! Rows as plain data, and back: one by one into their places, or as a segment in one piece.

use std::ops::Range;
use std::sync::Arc;

use super::super::text::Text;
use super::super::{RowsColumnState, RowsContentState, RowsState};
use super::Rows;
use super::segment::{Content, SEGMENT_ROWS, Segment};
use crate::contract::{Chunk, Scalar};
use crate::plan::RowsPlan;
use crate::provenance::TopicSeed;

impl Segment {
    /// Some rows as plain data.
    pub(super) fn state(&self, range: Range<usize>) -> RowsState {
        RowsState {
            times: self.times[range.clone()].to_vec(),
            origins: range.clone().map(|at| self.key(at).1).collect(),
            content: match &self.content {
                Content::Texts(texts) => {
                    RowsContentState::Texts(texts[range].iter().map(|text| text.as_str().to_owned()).collect())
                }
                Content::Columns(chunks) => {
                    RowsContentState::Columns(chunks.iter().map(|chunk| column(chunk, range.clone())).collect())
                }
            },
        }
    }

    /// The segment of some rows; none when they are of another form than the plan's, not in order, or too many for one.
    pub(super) fn of_state(plan: &RowsPlan, id: u64, state: &RowsState) -> Option<Self> {
        let rows = state.times.len();
        let keys = || state.times.iter().zip(&state.origins);
        if !(1..=SEGMENT_ROWS).contains(&rows) || state.origins.len() != rows || !keys().is_sorted_by(|a, b| a < b) {
            return None;
        }
        let content = match (&state.content, &plan.columns) {
            (RowsContentState::Texts(texts), None) if texts.len() == rows => {
                Content::Texts(texts.iter().map(|text| Text::received(text)).collect())
            }
            (RowsContentState::Columns(columns), Some(wanted)) if columns.len() == wanted.len() => {
                Content::Columns(columns.iter().map(|column| Arc::new(column.chunk(rows))).collect())
            }
            _ => return None,
        };
        Some(Self::stored(id, state.times.clone(), &state.origins, content))
    }
}

impl Rows {
    /// Takes rows in one by one, each into its place. Those of another form, or of more or fewer columns, are passed
    /// over.
    pub(super) fn insert_all(&mut self, plan: &RowsPlan, seed: &TopicSeed, state: &RowsState) {
        let keys = state.times.iter().copied().zip(state.origins.iter().copied()).enumerate();
        match (&state.content, &plan.columns) {
            (RowsContentState::Texts(texts), None) => {
                for ((_, key), text) in keys.zip(texts) {
                    self.insert(plan, seed, key, |content, at| content.insert_text(at, text));
                }
            }
            (RowsContentState::Columns(columns), Some(wanted)) if columns.len() == wanted.len() => {
                for (row, key) in keys {
                    let values = columns.iter().map(|column| column.value(row));
                    self.insert(plan, seed, key, |content, at| content.insert_values(at, values));
                }
            }
            _ => {}
        }
    }
}

fn column(chunk: &Chunk, range: Range<usize>) -> RowsColumnState {
    let mut state = RowsColumnState { numbers: chunk.numbers()[range.clone()].to_vec(), ..RowsColumnState::default() };
    if chunk.is_plain() {
        return state;
    }
    for (row, at) in (0..).zip(range) {
        match chunk.value(at) {
            Scalar::Null | Scalar::Number(_) => {}
            Scalar::Bool(value) => state.bools.push((row, value)),
            Scalar::Text(text) => state.texts.push((row, text.to_owned())),
        }
    }
    state
}

impl RowsColumnState {
    fn chunk(&self, rows: usize) -> Chunk {
        if self.bools.is_empty() && self.texts.is_empty() && self.numbers.len() == rows {
            return Chunk::of_numbers(self.numbers.clone());
        }
        let mut chunk = Chunk::default();
        (0..rows).for_each(|row| chunk.insert(row, self.value(row), |len| rows - len));
        chunk
    }

    fn value(&self, row: usize) -> Scalar<'_> {
        let number = self.numbers.get(row).copied().unwrap_or(f64::NAN);
        if !number.is_nan() {
            return Scalar::Number(number);
        }
        let Ok(row) = u32::try_from(row) else { return Scalar::Null };
        if let Ok(place) = self.texts.binary_search_by_key(&row, |(row, _)| *row) {
            return Scalar::Text(&self.texts[place].1);
        }
        let place = self.bools.binary_search_by_key(&row, |(row, _)| *row);
        place.map_or(Scalar::Null, |place| Scalar::Bool(self.bools[place].1))
    }
}
