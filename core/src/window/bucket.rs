//! `bucket`: readings grouped by time. A bucket that closes is handed over once; what comes later for it is late.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::latest::Entry;
use super::text::Projection;
use super::{BucketState, ClosedBucketState, EntryState, OpenBucketState, View};
use crate::contract::{Bucket, Reading, Value};
use crate::ident::Millis;
use crate::plan::BucketPlan;
use crate::provenance::{Origin, Provenance, TopicSeed};

#[derive(Debug, Default)]
pub(crate) struct Buckets {
    open: BTreeMap<i64, Open>,
    /// Every bucket up to this number is closed.
    closed_until: Option<i64>,
    /// The newest closed bucket.
    newest: Option<Arc<Closed>>,
}

/// A bucket that still takes readings.
#[derive(Debug, Default)]
struct Open {
    readings: BTreeMap<(Millis, Provenance), Entry>,
    /// Whether any of it was read live: then it is to be handed over.
    live: bool,
    /// The newest record of it that was read live by this process: it stays unsettled until the bucket has been handed
    /// over.
    owed: Option<Origin>,
}

/// A bucket that takes no more readings.
#[derive(Debug)]
pub(crate) struct Closed {
    number: i64,
    /// How long buckets were when it was filled.
    every_ms: i64,
    readings: Arc<[Reading]>,
    entries: Box<[(Millis, Provenance)]>,
    sum: u128,
}

/// A bucket at the moment it closes.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) bucket: Arc<Closed>,
    /// Whether it is to be handed over; not so when all of it was only loaded.
    pub(crate) live: bool,
    /// The record that stays unsettled until it has been handed over.
    pub(crate) owed: Option<Origin>,
}

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing: it was there before.
    Known,
    /// It stands in an open bucket; `opened` when it is the first of it. The record before it is owed no longer.
    Kept { opened: bool, released: Option<Origin> },
    /// Its bucket is closed.
    Late,
}

impl Buckets {
    /// Takes a reading in. `live` is its record, where that stays unsettled until the bucket is handed over.
    pub(crate) fn apply(
        &mut self,
        plan: &BucketPlan,
        time: Millis,
        origin: Provenance,
        text: &str,
        live: Option<Origin>,
    ) -> Taken {
        let number = plan.number(time);
        if self.closed_until.is_some_and(|closed| number <= closed) {
            let known =
                self.newest.as_ref().is_some_and(|newest| newest.entries.binary_search(&(time, origin)).is_ok());
            return if known { Taken::Known } else { Taken::Late };
        }
        let bucket = self.open.entry(number).or_default();
        let opened = bucket.readings.is_empty();
        if bucket.readings.contains_key(&(time, origin)) {
            return Taken::Known;
        }
        bucket.readings.insert((time, origin), Entry::new(time, origin, text));
        bucket.live |= live.is_some();
        let released = live.and_then(|live| bucket.owed.replace(live));
        Taken::Kept { opened, released }
    }

    /// Of buckets that were only loaded the newest is handed over like one that was read live.
    pub(crate) fn hand_over_newest_loaded(&mut self) {
        if let Some(newest) = self.open.values_mut().rev().find(|open| !open.live) {
            newest.live = true;
        }
    }

    /// Closes the oldest buckets until no more than `open` are left open, oldest first: all before the newest where that
    /// is 1.
    pub(crate) fn close_earlier(&mut self, topic: &Closer<'_>, open: usize) -> Vec<Closing> {
        let Some((&first_left, _)) = self.open.iter().rev().nth(open - 1) else { return Vec::new() };
        self.close_while(topic, |number| number < first_left)
    }

    /// Closes every bucket whose time has run out at `clock`, oldest first.
    pub(crate) fn close_due(&mut self, topic: &Closer<'_>, clock: Millis) -> Vec<Closing> {
        self.close_while(topic, |number| topic.plan.closes_at(number).is_some_and(|deadline| deadline <= clock))
    }

    /// Closes every bucket.
    pub(crate) fn close_all(&mut self, topic: &Closer<'_>) -> Vec<Closing> {
        self.close_while(topic, |_| true)
    }

    /// Whether a bucket takes readings.
    pub(crate) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    fn close_while(&mut self, topic: &Closer<'_>, ends: impl Fn(i64) -> bool) -> Vec<Closing> {
        let mut closed = Vec::new();
        while let Some(first) = self.open.first_entry()
            && ends(*first.key())
        {
            let (number, open) = first.remove_entry();
            let Open { live, owed, .. } = open;
            let bucket = Arc::new(Closed::of(number, open.readings, topic));
            self.closed_until = Some(number);
            self.newest = Some(Arc::clone(&bucket));
            closed.push(Closing { bucket, live, owed });
        }
        closed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    pub(super) fn newest(&self) -> Option<&Arc<Closed>> {
        self.newest.as_ref()
    }

    pub(super) fn state(&self) -> Option<BucketState> {
        let open = |(&number, open): (&i64, &Open)| {
            let readings = open.readings.values().map(Entry::state).collect();
            OpenBucketState { number, live: open.live, readings }
        };
        let state = BucketState {
            open: self.open.iter().map(open).collect(),
            newest: self.newest.as_ref().map(|newest| (newest.number, newest.state())),
        };
        (!state.open.is_empty() || state.newest.is_some()).then_some(state)
    }

    pub(super) fn restore(&mut self, topic: &Closer<'_>, state: &BucketState) {
        if let Some((number, entries)) = &state.newest
            && self.closed_until.is_none_or(|closed| closed < *number)
        {
            self.newest = Some(Arc::new(Closed::restored(topic, *number, entries)));
            self.closed_until = Some(*number);
            self.open.retain(|open, _| open > number);
        }
        for OpenBucketState { number, live, readings } in &state.open {
            if self.closed_until.is_none_or(|closed| closed < *number) {
                let open = self.open.entry(*number).or_default();
                open.live |= live;
                open.readings.extend(restored(readings));
            }
        }
    }

    /// When the open buckets close by themselves.
    pub(crate) fn deadlines(&self, plan: &BucketPlan) -> impl Iterator<Item = Millis> {
        self.open.keys().filter_map(|&number| plan.closes_at(number))
    }
}

/// What closing a bucket of some topic needs.
pub(crate) struct Closer<'a> {
    pub(crate) plan: &'a BucketPlan,
    pub(super) projection: &'a Projection,
    pub(super) seed: &'a TopicSeed,
}

impl Closed {
    fn of(number: i64, mut readings: BTreeMap<(Millis, Provenance), Entry>, topic: &Closer<'_>) -> Self {
        let entries: Box<[_]> = readings.keys().copied().collect();
        Self {
            number,
            every_ms: topic.plan.every_ms,
            readings: readings.values_mut().map(|entry| entry.text.reading(topic.projection)).collect(),
            sum: entries.iter().fold(0, |sum: u128, (_, origin)| sum.wrapping_add(origin.hash(topic.seed))),
            entries,
        }
    }

    /// A bucket that [`Closed::state`] gave out.
    fn restored(topic: &Closer<'_>, number: i64, entries: &[EntryState]) -> Self {
        Self::of(number, restored(entries), topic)
    }

    /// A bucket that [`Closed::handed_state`] gave out: as long as it was then.
    pub(super) fn handed_restored(topic: &Closer<'_>, state: &ClosedBucketState) -> Self {
        let every_ms = state.every_ms.unwrap_or(topic.plan.every_ms);
        Self { every_ms, ..Self::restored(topic, state.number, &state.readings) }
    }

    /// When the bucket began.
    pub(crate) fn from(&self) -> Millis {
        Millis(self.number.saturating_mul(self.every_ms))
    }

    /// When it ended: the time of its input.
    pub(crate) fn to(&self) -> Millis {
        Millis(self.number.saturating_add(1).saturating_mul(self.every_ms))
    }

    pub(crate) fn view(&self) -> View {
        let bucket = Bucket { from: self.from(), to: self.to(), readings: Arc::clone(&self.readings) };
        View { value: Value::Bucket(bucket), sum: self.sum }
    }

    pub(crate) fn origins(&self, visit: &mut dyn FnMut(&Provenance)) {
        self.entries.iter().for_each(|(_, origin)| visit(origin));
    }

    pub(super) fn handed_state(&self) -> ClosedBucketState {
        ClosedBucketState { number: self.number, every_ms: Some(self.every_ms), readings: self.state() }
    }

    fn state(&self) -> Vec<EntryState> {
        let entries = self.entries.iter().zip(&*self.readings);
        let entry = |((time, origin), reading): (&(Millis, Provenance), &Reading)| EntryState {
            time: *time,
            origin: *origin,
            json: reading.as_json().to_owned(),
        };
        entries.map(entry).collect()
    }
}

fn restored(entries: &[EntryState]) -> BTreeMap<(Millis, Provenance), Entry> {
    let entry = |e: &EntryState| ((e.time, e.origin), Entry::new(e.time, e.origin, &e.json));
    entries.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{Offset, TopicId};
    use crate::plan::{OnNull, RecordsPointer, Scope, TopicPlan, WindowPlan};

    const SECONDS: BucketPlan = BucketPlan { every_ms: 1_000, close_after_ms: Some(1_000) };

    fn origin(offset: i64) -> Provenance {
        Provenance { incarnation: 0, partition: 0, offset: Offset(offset), element: 0 }
    }

    fn live(offset: i64) -> Option<Origin> {
        Some(Origin { topic: TopicId(0), partition: 0, offset: Offset(offset) })
    }

    fn with_closer<T>(work: impl FnOnce(&Closer<'_>) -> T) -> T {
        let topic = TopicPlan {
            name: "T".into(),
            records: vec![RecordsPointer::parse("").expect("pointer")],
            scope: Scope::Global,
            time: None,
            fields: None,
            on_null: OnNull::DeadLetter,
            window: WindowPlan::Bucket(SECONDS),
            expect_ms: None,
        };
        let (projection, seed) = (Projection::new(&topic), TopicSeed::new("T"));
        work(&Closer { plan: &SECONDS, projection: &projection, seed: &seed })
    }

    fn apply(buckets: &mut Buckets, offset: i64, time: i64) -> Taken {
        buckets.apply(&SECONDS, Millis(time), origin(offset), &format!("{{\"n\":{offset}}}"), live(offset))
    }

    fn offsets(closed: &[Closing]) -> Vec<Vec<i64>> {
        closed.iter().map(|c| c.bucket.entries.iter().map(|(_, origin)| origin.offset.0).collect()).collect()
    }

    #[test]
    fn a_later_bucket_closes_the_earlier_one_which_takes_no_more() {
        with_closer(|closer| {
            let mut buckets = Buckets::default();
            assert_eq!(apply(&mut buckets, 0, 100), Taken::Kept { opened: true, released: None });
            assert_eq!(apply(&mut buckets, 1, 50), Taken::Kept { opened: false, released: live(0) });
            assert!(buckets.close_earlier(closer, 1).is_empty());
            apply(&mut buckets, 2, 1_000);
            let closed = buckets.close_earlier(closer, 1);
            assert_eq!(offsets(&closed), [[1, 0]], "in order of time");
            assert_eq!(closed[0].owed, live(1), "the newest record stands for all");
            assert_eq!(apply(&mut buckets, 3, 999), Taken::Late);
            assert_eq!(apply(&mut buckets, 1, 50), Taken::Known, "the same reading again is not late");
        });
    }

    #[test]
    fn a_bucket_closes_by_itself_when_close_after_has_passed_since_its_end() {
        with_closer(|closer| {
            let mut buckets = Buckets::default();
            apply(&mut buckets, 0, 100);
            assert_eq!(buckets.deadlines(&SECONDS).collect::<Vec<_>>(), [Millis(2_000)]);
            assert!(buckets.close_due(closer, Millis(1_999)).is_empty());
            assert_eq!(offsets(&buckets.close_due(closer, Millis(2_000))), [[0]]);
            assert!(buckets.close_due(closer, Millis(9_000)).is_empty(), "once");
        });
    }

    #[test]
    fn a_restored_window_hands_over_what_was_open_and_nothing_twice() {
        with_closer(|closer| {
            let mut buckets = Buckets::default();
            apply(&mut buckets, 0, 100);
            apply(&mut buckets, 1, 1_100);
            buckets.close_earlier(closer, 1);
            let state = buckets.state().expect("not empty");
            let mut restored = Buckets::default();
            restored.restore(closer, &state);
            assert_eq!(restored.state(), Some(state));
            assert_eq!(apply(&mut restored, 5, 200), Taken::Late);
            assert_eq!(offsets(&restored.close_due(closer, Millis(5_000))), [[1]]);
        });
    }

    #[test]
    fn what_was_only_loaded_is_handed_over_where_it_may_not_have_been() {
        for lost in [false, true] {
            let mut buckets = Buckets::default();
            let taken = buckets.apply(&SECONDS, Millis(0), origin(0), r#"{"n":0}"#, None);
            assert_eq!(taken, Taken::Kept { opened: true, released: None });
            if lost {
                buckets.hand_over_newest_loaded();
            }
            assert!(with_closer(|closer| buckets.close_all(closer)[0].live == lost), "{lost}");
        }
    }
}
