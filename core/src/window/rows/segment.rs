//! A segment: some thousand rows in order, each column in one piece that is shared with the inputs made of it.

use std::ops::Range;
use std::sync::Arc;

use super::super::text::Text;
use super::places::Places;
use crate::contract::{Chunk, Scalar, make_room};
use crate::ident::Millis;
use crate::plan::RowsPlan;
use crate::provenance::Provenance;

/// The most rows of a segment. A module's snapshot makes the next change copy the columns of one segment. In unit tests
/// a handful of rows fills several.
pub(super) const SEGMENT_ROWS: usize = if cfg!(test) { 8 } else { 4096 };

#[derive(Debug)]
pub(super) struct Segment {
    /// What it is stored by: unique within its window, never given to another one.
    pub(super) id: u64,
    pub(super) saved: Saved,
    pub(super) times: Arc<Vec<Millis>>,
    places: Places,
    pub(super) content: Content,
}

/// How a segment stands with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    /// The store has never heard of it.
    Never,
    /// The store has it as it was.
    Before,
    /// The store has it, perhaps with rows that have left.
    Yes,
}

/// What is kept of each row.
#[derive(Debug)]
pub(super) enum Content {
    /// The reading's text.
    Texts(Vec<Text>),
    /// One value per column.
    Columns(Box<[Arc<Chunk>]>),
}

impl Segment {
    pub(super) fn new(plan: &RowsPlan, id: u64) -> Self {
        let content = match &plan.columns {
            Some(columns) => Content::Columns(columns.iter().map(|_| Arc::default()).collect()),
            None => Content::Texts(Vec::new()),
        };
        Self { id, saved: Saved::Never, times: Arc::default(), places: Places::default(), content }
    }

    /// A segment that the store has, of these rows; they stand in order.
    pub(super) fn stored(id: u64, times: Vec<Millis>, origins: &[Provenance], content: Content) -> Self {
        let places = Places::of(origins.iter().copied());
        Self { id, saved: Saved::Yes, times: Arc::new(times), places, content }
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// What row `at` is ordered by.
    pub(super) fn key(&self, at: usize) -> (Millis, Provenance) {
        (self.times[at], self.places.get(at))
    }

    /// What the last row is ordered by. No segment of a window is empty.
    pub(super) fn last(&self) -> (Millis, Provenance) {
        self.key(self.len() - 1)
    }

    /// The row of this key, or the one that it belongs before.
    pub(super) fn find(&self, key: (Millis, Provenance)) -> Result<usize, usize> {
        let before = self.times.partition_point(|&time| time < key.0);
        let same = self.times[before..].partition_point(|&time| time == key.0);
        let (mut from, mut to) = (before, before + same);
        while from < to {
            let middle = from.midpoint(to);
            match self.places.get(middle).cmp(&key.1) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        Err(from)
    }

    /// Puts a row before row `at`; `fill` does so with its content.
    pub(super) fn insert(
        &mut self,
        at: usize,
        (time, origin): (Millis, Provenance),
        fill: impl FnOnce(&mut Content, usize),
    ) {
        let times = Arc::make_mut(&mut self.times);
        make_room(times, grow);
        times.insert(at, time);
        self.places.insert(at, origin, grow);
        fill(&mut self.content, at);
    }

    /// Gives back what a row that has left holds by itself.
    pub(super) fn forget(&mut self, at: usize) {
        if let Content::Texts(texts) = &mut self.content {
            texts[at] = Text::received("");
        }
    }

    /// Takes the rows of a range out into a segment that stands in place of this one. What is taken out must not be asked for here again.
    pub(super) fn part(&mut self, range: Range<usize>) -> Self {
        let places = Places::of(range.clone().map(|row| self.places.get(row)));
        let content = match &mut self.content {
            Content::Texts(texts) => Content::Texts(
                texts[range.clone()].iter_mut().map(|text| std::mem::replace(text, Text::received(""))).collect(),
            ),
            Content::Columns(chunks) => {
                Content::Columns(chunks.iter().map(|chunk| Arc::new(chunk.part(range.clone()))).collect())
            }
        };
        let times = Arc::new(self.times[range].to_vec());
        Self { id: self.id, saved: self.saved, times, places, content }
    }

    /// Takes in all rows of another one, which follow its own.
    pub(super) fn append(&mut self, other: Self) {
        let (before, more) = (self.len(), other.len());
        for at in 0..more {
            self.places.insert(before + at, other.places.get(at), |_| more - at);
        }
        let times = Arc::make_mut(&mut self.times);
        times.reserve_exact(more);
        times.extend_from_slice(&other.times);
        match (&mut self.content, other.content) {
            (Content::Texts(texts), Content::Texts(others)) => {
                texts.reserve_exact(more);
                texts.extend(others);
            }
            (Content::Columns(chunks), Content::Columns(others)) => {
                chunks.iter_mut().zip(&others).for_each(|(chunk, other)| Arc::make_mut(chunk).append(other));
            }
            // All segments of a window are of one form.
            (Content::Texts(_), Content::Columns(_)) | (Content::Columns(_), Content::Texts(_)) => {}
        }
    }

    /// Visits at least the lowest and the highest offset of each partition.
    pub(super) fn extremes(&self, visit: &mut dyn FnMut(&Provenance)) {
        self.places.extremes(visit);
    }
}

impl Content {
    pub(super) fn insert_text(&mut self, at: usize, text: &str) {
        if let Self::Texts(texts) = self {
            make_room(texts, grow);
            texts.insert(at, Text::received(text));
        }
    }

    /// Takes one value for each column; a column without one has a gap.
    pub(super) fn insert_values<'a>(&mut self, at: usize, mut values: impl Iterator<Item = Scalar<'a>>) {
        if let Self::Columns(chunks) = self {
            for chunk in chunks.iter_mut() {
                Arc::make_mut(chunk).insert(at, values.next().unwrap_or(Scalar::Null), grow);
            }
        }
    }
}

/// How much room to make behind `len` rows: a quarter, up to a whole segment.
fn grow(len: usize) -> usize {
    (len / 4).max(4).min(SEGMENT_ROWS.saturating_sub(len))
}
