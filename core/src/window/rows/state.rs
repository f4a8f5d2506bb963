//! Rows as plain data, segment by segment. Taking them in again, in any order, gives the same window.

use std::ops::Range;

use super::super::{RowsColumnState, RowsContentState, RowsState};
use super::Rows;
use super::segment::Content;
use crate::contract::{Chunk, Scalar};
use crate::plan::RowsPlan;
use crate::provenance::TopicSeed;

impl Rows {
    pub(in super::super) fn state(&self) -> Vec<RowsState> {
        let state = self.parts().map(|(segment, range)| RowsState {
            times: segment.times[range.clone()].to_vec(),
            origins: range.clone().map(|at| segment.key(at).1).collect(),
            content: match &segment.content {
                Content::Texts(texts) => {
                    RowsContentState::Texts(texts[range].iter().map(|text| text.as_str().to_owned()).collect())
                }
                Content::Columns(chunks) => {
                    RowsContentState::Columns(chunks.iter().map(|chunk| column(chunk, range.clone())).collect())
                }
            },
        });
        state.collect()
    }

    /// Takes rows in that [`Rows::state`] gave out. Rows of another form, or of more or fewer columns, are passed over.
    pub(in super::super) fn restore(&mut self, plan: &RowsPlan, seed: &TopicSeed, state: &RowsState) {
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
