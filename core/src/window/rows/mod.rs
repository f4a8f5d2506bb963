//! `rows`: the last readings by time, then provenance, kept in segments: as text, or column by column. Old rows leave
//! at the head without being moved; a late one goes into its place.

mod parts;
mod places;
mod segment;
mod state;
mod view;

use std::collections::VecDeque;

use crate::decode::Body;
use crate::ident::Millis;
use crate::plan::RowsPlan;
use crate::provenance::{Provenance, TopicSeed};
use segment::{Content, SEGMENT_ROWS, Segment};

/// How long the newest segment grows before another one begins. It is stored anew after each reading, so it is short;
/// full ones are joined into longer ones.
const OPEN_ROWS: usize = if cfg!(test) { 2 } else { 64 };

/// Fewer rows than this that have left are not worth the move of those that stay.
const WORTH_MOVING: usize = if cfg!(test) { 2 } else { 16 };

#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Oldest first, none empty.
    segments: VecDeque<Segment>,
    /// Rows at the head of the first segment that have left; fewer than it has.
    left: usize,
    /// Rows that are there.
    len: usize,
    /// Sum over the hashes of their provenances.
    sum: u128,
    /// The number of the next new segment.
    next: u64,
    /// Segments that the store does not have as they are.
    unsaved: usize,
    /// Segments that the store has and that are no more.
    gone: Vec<u64>,
}

impl Rows {
    #[inline]
    pub(super) fn apply(
        &mut self,
        plan: &RowsPlan,
        seed: &TopicSeed,
        time: Millis,
        origin: Provenance,
        body: Body<'_>,
    ) -> bool {
        match (body, &plan.columns) {
            (Body::Text(text), None) => {
                self.insert(plan, seed, (time, origin), |content, at| content.insert_text(at, text))
            }
            (Body::Columns(values), Some(_)) => {
                self.insert(plan, seed, (time, origin), |content, at| content.insert_values(at, values.iter()))
            }
            _ => false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Event time of the newest reading.
    #[inline]
    pub(super) fn newest(&self) -> Option<Millis> {
        self.segments.back().and_then(|segment| segment.times.last().copied())
    }

    /// Visits at least the reading of the lowest and of the highest offset in each partition; whole segments know theirs.
    pub(super) fn origins(&self, visit: &mut dyn FnMut(&Provenance)) {
        for (number, segment) in self.segments.iter().enumerate() {
            if number == 0 && self.left > 0 {
                (self.left..segment.len()).for_each(|row| visit(&segment.key(row).1));
            } else {
                segment.extremes(visit);
            }
        }
    }

    /// Takes one reading in, unless it is there already or falls out at once; `fill` puts its content in place.
    fn insert(
        &mut self,
        plan: &RowsPlan,
        seed: &TopicSeed,
        key: (Millis, Provenance),
        fill: impl FnOnce(&mut Content, usize),
    ) -> bool {
        if self.falls_out(plan, key) {
            return false;
        }
        let Some((segment, at)) = self.place(key) else { return false };
        let (segment, at) = self.make_room(plan, segment, at);
        self.segments[segment].insert(at, key, fill);
        self.note(segment);
        self.len += 1;
        self.sum = self.sum.wrapping_add(key.1.hash(seed));
        self.let_go(plan, seed);
        true
    }

    /// Whether a reading would be the first to leave. Those that have left are older than any that does not fall out.
    fn falls_out(&self, plan: &RowsPlan, key: (Millis, Provenance)) -> bool {
        let Some(newest) = self.newest() else { return plan.size == 0 };
        plan.span_ms.is_some_and(|span| newest.since(key.0) > span)
            || (self.len >= plan.size && key <= self.segments[0].key(self.left))
    }

    /// The segment and row before which a reading belongs; none when it is there.
    fn place(&self, key: (Millis, Provenance)) -> Option<(usize, usize)> {
        let Some(last) = self.segments.back() else { return Some((0, 0)) };
        if key > last.last() {
            return Some((self.segments.len() - 1, last.len()));
        }
        let segment = self.segments.partition_point(|segment| segment.last() < key);
        self.segments[segment].find(key).err().map(|at| (segment, at))
    }

    /// Makes room in a full segment: before or behind everything a new one begins, in the middle it is cut in two.
    fn make_room(&mut self, plan: &RowsPlan, segment: usize, at: usize) -> (usize, usize) {
        let Some(len) = self.segments.get(segment).map(Segment::len) else {
            self.begin(plan, 0);
            return (0, 0);
        };
        if at == len && len >= OPEN_ROWS {
            self.join_full();
            self.begin(plan, self.segments.len());
            return (self.segments.len() - 1, 0);
        }
        if len < SEGMENT_ROWS {
            return (segment, at);
        }
        if segment == 0 && self.left > 0 {
            let left = self.left;
            self.forget_head();
            return (0, at - left);
        }
        if segment == 0 && at == 0 {
            self.begin(plan, 0);
            return (0, 0);
        }
        let half = len / 2;
        let (front, back) = (self.segments[segment].part(0..half), self.segments[segment].part(half..len));
        self.segments[segment] = front;
        self.note(segment);
        self.add(segment + 1, back);
        if at <= half { (segment, at) } else { (segment + 1, at - half) }
    }

    /// Joins the newest segments, as long as one is less than twice as long as all behind it: few are left, and a row
    /// is moved a few times in its life.
    fn join_full(&mut self) {
        while let Some(before) = self.segments.len().checked_sub(2) {
            if before == 0 && self.left > 0 {
                self.forget_head();
            }
            let (front, back) = (self.segments[before].len(), self.segments[before + 1].len());
            let room = SEGMENT_ROWS - front;
            if front >= 2 * back || room == 0 {
                return;
            }
            self.note(before);
            if back > room {
                self.note(before + 1);
                let (first, rest) =
                    (self.segments[before + 1].part(0..room), self.segments[before + 1].part(room..back));
                self.segments[before].append(first);
                self.segments[before + 1] = rest;
            } else if let Some(back) = self.segments.pop_back() {
                self.drop_part(&back);
                self.segments[before].append(back);
            }
        }
    }

    /// Lets those leave that are more than `size`, or older than the newest by more than the span.
    fn let_go(&mut self, plan: &RowsPlan, seed: &TopicSeed) {
        let Some(newest) = self.newest() else { return };
        while self.len > 0 {
            let (time, origin) = self.segments[0].key(self.left);
            if self.len <= plan.size && plan.span_ms.is_none_or(|span| newest.since(time) <= span) {
                break;
            }
            self.sum = self.sum.wrapping_sub(origin.hash(seed));
            self.segments[0].forget(self.left);
            self.len -= 1;
            self.left += 1;
            if self.left == self.segments[0].len() {
                self.left = 0;
                if let Some(emptied) = self.segments.pop_front() {
                    self.drop_part(&emptied);
                }
            }
        }
        if self.left >= WORTH_MOVING && self.left > self.segments[0].len() / 2 {
            self.forget_head();
        }
    }

    /// Gives back the room of those that have left.
    fn forget_head(&mut self) {
        let len = self.segments[0].len();
        self.segments[0] = self.segments[0].part(self.left..len);
        self.left = 0;
    }
}

#[cfg(test)]
mod tests;
