//! Buckets of time: which close, for whom, and when they close by themselves.

use std::cmp::Reverse;

use super::station::StationState;
use super::{Change, DeadReading, Mode, Shard};
use crate::decode::{Body, Reason};
use crate::ident::{Millis, TopicId};
use crate::provenance::Origin;
use crate::window::{Arriving, Buckets, Closing, Handed, Taken, Window};

/// Whose a window is: one station's, or (none) every station's.
pub(super) type Whose = Option<u32>;

/// Closed buckets that are kept for one module of one station that is incomplete. One that stays so for longer loses the
/// oldest, counted.
pub(super) const PENDING: usize = 1_000;

/// Open buckets that a window may have while its topic loads: until then nothing closes, because readings of other
/// partitions may still follow. Beyond it the oldest close all the same: memory is bounded, whatever a topic holds.
const OPEN_WHILE_LOADING: usize = 64;

impl Shard {
    /// Takes a reading into the bucket of its time.
    pub(super) fn take_bucket(
        &mut self,
        (whose, topic): (Whose, TopicId),
        arriving: &Arriving<'_>,
        (origin, element, mode): (Origin, Option<u32>, Mode),
    ) -> Change {
        let Body::Text(text) = arriving.body else { return Change::Nothing };
        let of = &mut self.topics[topic.ix()];
        let owes = mode == Mode::Live && of.readers.iter().any(|(_, triggers)| *triggers);
        let Some(closer) = of.windows.closer() else { return Change::Nothing };
        let Some(buckets) = buckets_of(&mut self.stations, &mut of.global, whose, topic) else {
            return Change::Nothing;
        };
        let live = owes.then_some(origin);
        let (opened, released) = match buckets.apply(closer.plan, arriving.time, arriving.origin, text, live) {
            Taken::Known => return Change::Nothing,
            Taken::Late => {
                // A record that is read once more, after its partition came back, was accounted for the first time.
                let again = of.applied.get(&origin.partition).is_some_and(|&applied| origin.offset <= applied);
                let told = whose.is_some() || self.tells_of_global;
                if mode == Mode::Live && !again && told {
                    self.dead.push_back(DeadReading { origin, element, reason: Reason::Late });
                }
                return Change::Nothing;
            }
            Taken::Kept { opened, released } => (opened, released),
        };
        let number = closer.plan.number(arriving.time);
        if let Some(deadline) = closer.plan.closes_at(number).filter(|_| opened) {
            of.closing.push(Reverse((deadline, whose)));
        }
        let open = if of.loaded { 1 } else { OPEN_WHILE_LOADING };
        let closed = buckets.close_earlier(&closer, open);
        self.due.keep(live);
        self.due.handed_over(released);
        self.note_window(whose, topic);
        let any = !closed.is_empty();
        match (self.hand_over(whose, topic, closed), mode) {
            (true, _) => Change::Due,
            (false, Mode::Load) if any => Change::Due,
            (false, _) if any => Change::Seen,
            _ => Change::Nothing,
        }
    }

    /// Everything that a topic held at the start is in its buckets: those that a later one has opened after close.
    pub(super) fn close_loaded(&mut self, topic: TopicId, now: Millis) {
        let all = self.stations_of(None).map(Some);
        for whose in std::iter::once(None).chain(all) {
            let of = &mut self.topics[topic.ix()];
            let lost = of.lost;
            let Some(closer) = of.windows.closer() else { return };
            let Some(buckets) = buckets_of(&mut self.stations, &mut of.global, whose, topic) else { continue };
            if lost {
                buckets.hand_over_newest_loaded();
            }
            let closed = buckets.close_earlier(&closer, 1);
            if !closed.is_empty() || lost {
                self.note_window(whose, topic);
                self.hand_over(whose, topic, closed);
                self.wake_readers(whose, topic, now);
            }
        }
        let clock = self.topics[topic.ix()].event_clock.unwrap_or(now);
        self.close_due(topic, clock, now);
    }

    /// Closes the buckets of a topic whose time has run out at `clock`, and makes due what that calls for.
    pub(super) fn close_due(&mut self, topic: TopicId, clock: Millis, now: Millis) {
        while self.topics[topic.ix()].loaded
            && let Some(&Reverse((deadline, whose))) = self.topics[topic.ix()].closing.peek()
            && deadline <= clock
        {
            let of = &mut self.topics[topic.ix()];
            of.closing.pop();
            let Some(closer) = of.windows.closer() else { return };
            let Some(buckets) = buckets_of(&mut self.stations, &mut of.global, whose, topic) else { continue };
            let closed = buckets.close_due(&closer, clock);
            if closed.is_empty() {
                continue;
            }
            self.note_window(whose, topic);
            self.hand_over(whose, topic, closed);
            self.wake_readers(whose, topic, now);
        }
    }

    /// Closes what a silent station left open of a topic whose buckets do not close by themselves. True when there is
    /// nothing open any more.
    pub(super) fn close_left_open(&mut self, station: u32, topic: TopicId, now: Millis) -> bool {
        let (of, whose) = (&mut self.topics[topic.ix()], Some(station));
        let Some(closer) = of.windows.closer() else { return true };
        let Some(buckets) = buckets_of(&mut self.stations, &mut of.global, whose, topic) else { return true };
        if !buckets.is_open() {
            return true;
        }
        if closer.plan.close_after_ms.is_some() {
            return false;
        }
        let closed = buckets.close_all(&closer);
        self.note_window(whose, topic);
        self.hand_over(whose, topic, closed);
        self.wake_readers(whose, topic, now);
        true
    }

    fn wake_readers(&mut self, whose: Whose, topic: TopicId, now: Millis) {
        for station in self.stations_of(whose) {
            if !self.stations[station as usize].known {
                continue;
            }
            self.turn += 1;
            for at in 0..self.topics[topic.ix()].readers.len() {
                let (module, _) = self.topics[topic.ix()].readers[at];
                self.consider(station, module, None, now);
                self.look(station, module, now);
            }
        }
    }

    /// Notes when the open buckets of a restored window close by themselves.
    pub(super) fn expect_closings(&mut self, whose: Whose, topic: TopicId) {
        let of = &mut self.topics[topic.ix()];
        let buckets = buckets_of(&mut self.stations, &mut of.global, whose, topic);
        if let (Some(buckets), Some(closer)) = (buckets, of.windows.closer()) {
            of.closing.extend(buckets.deadlines(closer.plan).map(|deadline| Reverse((deadline, whose))));
        }
    }

    /// When a bucket of a topic that is read to its end closes by itself.
    pub(super) fn next_closing(&self) -> Option<Millis> {
        let topics = self.topics.iter().filter(|topic| topic.event_clock.is_none() && topic.loaded);
        topics.filter_map(|topic| topic.closing.peek().map(|Reverse((deadline, _))| *deadline)).min()
    }

    /// Notes for every module that a bucket triggers that it is to see it. One that was only loaded was handed over in
    /// an earlier life. True when there is one.
    fn hand_over(&mut self, whose: Whose, topic: TopicId, closed: Vec<Closing>) -> bool {
        let mut any = false;
        for Closing { bucket, live, owed } in closed {
            if !live {
                continue;
            }
            any = true;
            for station in self.stations_of(whose) {
                if !self.stations[station as usize].known {
                    continue;
                }
                for at in 0..self.topics[topic.ix()].readers.len() {
                    let (module, triggers) = self.topics[topic.ix()].readers[at];
                    if triggers {
                        self.enqueue((station, module), topic, (Handed::Bucket(bucket.clone()), None), owed);
                    }
                }
            }
            self.due.handed_over(owed);
        }
        any
    }

    pub(super) fn stations_of(&self, whose: Whose) -> std::ops::Range<u32> {
        whose.map_or(0..self.station_count(), |station| station..station + 1)
    }
}

/// The buckets of one station, or those that all stations share.
fn buckets_of<'a>(
    stations: &'a mut [StationState],
    global: &'a mut Option<Window>,
    whose: Whose,
    topic: TopicId,
) -> Option<&'a mut Buckets> {
    let window = match whose {
        Some(station) => stations[station as usize].windows.get_mut(topic.ix())?,
        None => global.as_mut()?,
    };
    match window {
        Window::Buckets(buckets) => Some(buckets),
        _ => None,
    }
}
