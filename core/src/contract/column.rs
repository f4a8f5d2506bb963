//! [`Column`]: the values of one column as a module sees them, in shared pieces.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde::ser::{Serialize, Serializer};

use super::Scalar;
use super::chunk::Chunk;

/// One column of a grid or of rows. Cloning it copies no values.
#[derive(Clone, Debug)]
pub struct Column {
    /// The last step of its pointer.
    pub name: Arc<str>,
    /// Whether it has one value per step or row rather than one per step and series.
    pub total: bool,
    /// How many of the values were really sent; the others are gaps, filled or padded.
    pub observed: usize,
    pieces: Arc<[Piece]>,
}

/// Part of a chunk.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    chunk: Arc<Chunk>,
    from: usize,
    to: usize,
}

impl Piece {
    pub(crate) fn new(chunk: &Arc<Chunk>, range: Range<usize>) -> Self {
        Self { chunk: Arc::clone(chunk), from: range.start, to: range.end }
    }

    pub(crate) fn observed(&self) -> usize {
        self.chunk.observed_in(self.from..self.to)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = Scalar<'_>> {
        (self.from..self.to).map(|at| self.chunk.value(at))
    }

    fn numbers(&self) -> &[f64] {
        &self.chunk.numbers()[self.from..self.to]
    }
}

impl Column {
    /// A column of numbers. In a grid `data` holds `steps * series` of them (`steps` for a total), row by row.
    #[must_use]
    pub fn new(name: Arc<str>, total: bool, observed: usize, data: Vec<f64>) -> Self {
        let piece = Piece { from: 0, to: data.len(), chunk: Arc::new(Chunk::of_numbers(data)) };
        Self { name, total, observed, pieces: [piece].into() }
    }

    /// A column of rows, of whatever kind each value is.
    #[must_use]
    pub fn of_values<'a>(name: Arc<str>, values: impl IntoIterator<Item = Scalar<'a>>) -> Self {
        let mut chunk = Chunk::default();
        for value in values {
            chunk.insert(chunk.len(), value, |len| len.max(4));
        }
        let piece = Piece { from: 0, to: chunk.len(), chunk: Arc::new(chunk) };
        Self { name, total: true, observed: piece.observed(), pieces: [piece].into() }
    }

    /// A column of rows, in pieces.
    pub(crate) fn of_pieces(name: Arc<str>, observed: usize, pieces: Arc<[Piece]>) -> Self {
        Self { name, total: true, observed, pieces }
    }

    /// How many values it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.to - piece.from).sum()
    }

    /// Whether it has no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers in chunks, in order; a gap, and what is no number, is NaN. A column may be kept in several pieces;
    /// do not rely on their lengths.
    pub fn chunks(&self) -> impl Iterator<Item = &[f64]> {
        self.pieces.iter().map(Piece::numbers)
    }

    /// All numbers, when they are kept in one piece.
    #[must_use]
    pub fn as_slice(&self) -> Option<&[f64]> {
        match &*self.pieces {
            [] => Some(&[]),
            [piece] => Some(piece.numbers()),
            _ => None,
        }
    }

    /// All numbers, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<f64> {
        let mut all = Vec::with_capacity(self.len());
        self.chunks().for_each(|chunk| all.extend_from_slice(chunk));
        all
    }

    /// The strings, in order; none for what is no string.
    pub fn texts(&self) -> impl Iterator<Item = Option<&str>> {
        self.values().map(|value| match value {
            Scalar::Text(text) => Some(text),
            Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => None,
        })
    }

    /// The values, in order, each as what it is.
    pub fn values(&self) -> impl Iterator<Item = Scalar<'_>> {
        self.pieces.iter().flat_map(Piece::values)
    }

    /// All numbers in one piece, copied if need be.
    pub(super) fn contiguous(&self) -> Cow<'_, [f64]> {
        self.as_slice().map_or_else(|| Cow::Owned(self.to_vec()), Cow::Borrowed)
    }
}

/// One array of its values; NaN becomes null.
impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.values())
    }
}
