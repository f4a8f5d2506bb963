//! Rows in the store: each segment is a part of its own, given out when it changed and taken back under its number.
//! A part that lost rows at its head only is not given out again: they leave once more when it is taken back.

use super::super::RowsState;
use super::segment::{Saved, Segment};
use super::{Rows, RowsPlan};
use crate::provenance::TopicSeed;

impl Rows {
    /// Gives out what changed since the last call, by part; none for a part that is no more.
    pub(in super::super) fn take_parts(&mut self, give: &mut dyn FnMut(u64, Option<RowsState>)) {
        self.gone.drain(..).for_each(|part| give(part, None));
        // What changes is nearly always at the end.
        for at in (0..self.segments.len()).rev() {
            if self.unsaved == 0 {
                break;
            }
            let segment = &mut self.segments[at];
            if segment.saved != Saved::Yes {
                segment.saved = Saved::Yes;
                self.unsaved -= 1;
                let from = if at == 0 { self.left } else { 0 };
                give(segment.id, Some(segment.state(from..segment.len())));
            }
        }
    }

    /// Takes back a part that [`Rows::take_parts`] gave out. Parts of one store come in any order; parts of an earlier
    /// and of a later moment in the order of these moments. Rows of another form, or of more or fewer columns, are
    /// passed over.
    pub(in super::super) fn restore(&mut self, plan: &RowsPlan, seed: &TopicSeed, part: u64, state: &RowsState) {
        self.next = self.next.max(part.saturating_add(1));
        self.gone.retain(|&gone| gone != part);
        if self.segments.iter().all(|segment| segment.id != part)
            && let Some(segment) = Segment::of_state(plan, part, state)
            && let Some(at) = self.gap_for(&segment)
        {
            self.take_in(plan, seed, at, segment);
        } else {
            self.restore_rows(plan, seed, part, state);
        }
    }

    /// Where a segment belongs; none when it would lie across others.
    fn gap_for(&mut self, segment: &Segment) -> Option<usize> {
        if self.left > 0 && segment.key(0) < self.segments[0].key(self.left) {
            self.forget_head();
        }
        let at = self.segments.partition_point(|other| other.last() < segment.key(0));
        self.segments.get(at).is_none_or(|next| segment.last() < next.key(0)).then_some(at)
    }

    fn take_in(&mut self, plan: &RowsPlan, seed: &TopicSeed, at: usize, segment: Segment) {
        self.len += segment.len();
        let hashes = (0..segment.len()).map(|row| segment.key(row).1.hash(seed));
        self.sum = hashes.fold(self.sum, u128::wrapping_add);
        self.segments.insert(at, segment);
        self.let_go(plan, seed);
    }

    /// Takes rows in one by one where others stand already. They need not end up in a segment of their part's number,
    /// so all that stand near them are to be stored anew.
    fn restore_rows(&mut self, plan: &RowsPlan, seed: &TopicSeed, part: u64, state: &RowsState) {
        self.insert_all(plan, seed, state);
        let keys = || state.times.iter().copied().zip(state.origins.iter().copied());
        if let (Some(first), Some(last)) = (keys().min(), keys().max()) {
            let from = self.segments.partition_point(|segment| segment.last() < first);
            let to = self.segments.partition_point(|segment| segment.key(0) <= last);
            (from..to).for_each(|at| self.note(at));
        }
        match self.segments.iter().position(|segment| segment.id == part) {
            Some(at) => {
                self.note(at);
                self.segments[at].saved = Saved::Before;
            }
            None => self.gone.push(part),
        }
    }

    /// Begins a segment at a place among the others. Something is put in at once: none is empty.
    pub(super) fn begin(&mut self, plan: &RowsPlan, at: usize) {
        self.add(at, Segment::new(plan, 0));
    }

    /// Puts a segment among the others that the store has never heard of.
    pub(super) fn add(&mut self, at: usize, mut segment: Segment) {
        (segment.id, segment.saved) = (self.next, Saved::Never);
        self.segments.insert(at, segment);
        self.next = self.next.wrapping_add(1);
        self.unsaved += 1;
    }

    /// Notes that a segment changed.
    #[inline]
    pub(super) fn note(&mut self, at: usize) {
        let saved = &mut self.segments[at].saved;
        if *saved == Saved::Yes {
            *saved = Saved::Before;
            self.unsaved += 1;
        }
    }

    /// Notes that a segment is no more.
    pub(super) fn drop_part(&mut self, segment: &Segment) {
        self.unsaved -= usize::from(segment.saved != Saved::Yes);
        if segment.saved != Saved::Never {
            self.gone.push(segment.id);
        }
    }
}
