//! Rows as a module sees them: readings in a list, or columns brought to length.

use std::ops::Range;
use std::sync::Arc;

use super::super::View;
use super::super::grid::between_at;
use super::super::text::Projection;
use super::Rows;
use super::segment::{Content, SEGMENT_ROWS, Segment};
use crate::contract::{Chunk, Column, Columns, Piece, Reading, Scalar, Times, Value};
use crate::plan::{Column as ColumnPlan, Pad, RowsPlan};

impl Rows {
    pub(in super::super) fn view(&mut self, plan: &RowsPlan, projection: &Projection) -> View {
        let value = match &plan.columns {
            _ if self.is_empty() => Value::Missing,
            Some(columns) => Value::Columns(self.columns(plan, columns)),
            None => Value::Readings(self.readings(projection)),
        };
        View { value, sum: self.sum }
    }

    /// The segments with the rows of each that are there.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&Segment, Range<usize>)> {
        let from = std::iter::once(self.left).chain(std::iter::repeat(0));
        self.segments.iter().zip(from).map(|(segment, from)| (segment, from..segment.len()))
    }

    fn readings(&mut self, projection: &Projection) -> Arc<[Reading]> {
        let mut readings = Vec::with_capacity(self.len);
        let mut left = self.left;
        for segment in &mut self.segments {
            if let Content::Texts(texts) = &mut segment.content {
                readings.extend(texts.iter_mut().skip(left).map(|text| text.reading(projection)));
            }
            left = 0;
        }
        readings.into()
    }

    fn columns(&self, plan: &RowsPlan, columns: &[ColumnPlan]) -> Columns {
        let short = if plan.pad == Pad::None { 0 } else { plan.size.saturating_sub(self.len) };
        let columns = columns.iter().enumerate().map(|(place, column)| {
            let pieces: Vec<Piece> = self.pieces(place).collect();
            let observed = pieces.iter().map(Piece::observed).sum();
            let pieces = if short > 0 { padded(pieces, plan.pad, self.len, short) } else { pieces };
            Column::of_pieces(Arc::clone(&column.name), observed, pieces.into())
        });
        let columns = columns.collect();
        let stretched = short > 0 && plan.pad == Pad::Linear;
        let times = self.parts().filter(|_| !stretched);
        let times: Arc<[Times]> = times.map(|(segment, range)| (Arc::clone(&segment.times), range)).collect();
        Columns::of_parts(self.len + short, self.len, columns, times)
    }

    fn pieces(&self, column: usize) -> impl Iterator<Item = Piece> {
        self.parts().filter_map(move |(segment, range)| match &segment.content {
            Content::Columns(chunks) => Some(Piece::new(&chunks[column], range)),
            Content::Texts(_) => None,
        })
    }
}

/// Brings `len` values, at least one, to `short` more. Where stretching does not start from a number, the first value
/// is repeated.
fn padded(pieces: Vec<Piece>, pad: Pad, len: usize, short: usize) -> Vec<Piece> {
    let first = pieces.iter().flat_map(Piece::values).next().unwrap_or(Scalar::Null);
    let filler = match pad {
        Pad::None => return pieces,
        Pad::Zero => Scalar::Number(0.0),
        Pad::Missing => Scalar::Null,
        Pad::Linear if !first.number().is_nan() => {
            let values: Vec<f64> = pieces.iter().flat_map(Piece::values).map(Scalar::number).collect();
            let chunk = Arc::new(Chunk::of_numbers(stretched(&values, len + short)));
            return vec![Piece::new(&chunk, 0..len + short)];
        }
        Pad::Forward | Pad::Linear => first,
    };
    // However much is missing, it is one block over and over.
    let block = Arc::new(Chunk::of_one(filler, short.min(SEGMENT_ROWS)));
    let starts = (0..short).step_by(block.len());
    let filling = starts.map(|from| Piece::new(&block, 0..block.len().min(short - from)));
    filling.chain(pieces).collect()
}

/// `size` values, element `i` at position `i·(n−1)/(size−1)` of the given `n`, interpolated. A gap reaches as far as
/// its neighbours.
fn stretched(values: &[f64], size: usize) -> Vec<f64> {
    let last = values.len() - 1;
    let intervals = (size - 1).max(1);
    let at = |element: usize| {
        // In 128 bits no product overflows, and the position is exact.
        let position = element as u128 * last as u128;
        let (left, part) = (position / intervals as u128, position % intervals as u128);
        let left = usize::try_from(left).unwrap_or(last);
        if part == 0 { values[left] } else { between_at(values[left], values[left + 1], fraction(part, intervals)) }
    };
    (0..size).map(at).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a window has far fewer rows than 2^52")]
fn fraction(part: u128, of: usize) -> f64 {
    part as f64 / of as f64
}
