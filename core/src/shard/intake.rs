//! Readings in: which windows they change, and whom that makes due once their whole record is in.

use super::buckets::Whose;
use super::{Change, DeadReading, Mode, Shard, Touched};
use crate::decode::{ReadingRow, Readings, Reason};
use crate::ident::{Millis, ModuleId, TopicId};
use crate::plan::Source;
use crate::provenance::{Origin, Provenance};
use crate::record::RecordRow;
use crate::window::{Arriving, Window};

impl Shard {
    /// Takes in those readings of a batch that are this shard's. `rows` index the readings, in order; `mode` says for
    /// each record whether it may invoke.
    pub fn apply(
        &mut self,
        topic: TopicId,
        readings: &Readings,
        rows: impl Iterator<Item = u32>,
        mode: impl Fn(&RecordRow) -> Mode,
        now: Millis,
    ) {
        let mut current: Option<(u32, Origin, Mode)> = None;
        for index in rows {
            let row = &readings.rows()[index as usize];
            if let Some((record, origin, mode)) = current
                && record != row.record
            {
                self.end_record(origin, mode, now);
                current = None;
            }
            let (_, origin, mode) = *current.get_or_insert_with(|| {
                self.record += 1;
                let raw = readings.record(row);
                (row.record, Origin { topic, partition: raw.partition, offset: raw.offset }, mode(raw))
            });
            self.take(topic, readings, row, (origin, mode), now);
        }
        if let Some((_, origin, mode)) = current {
            self.end_record(origin, mode, now);
        }
        // Only then: readings of the batch itself must not be late on its account.
        let clock = self.topics[topic.ix()].event_clock.unwrap_or(now);
        self.close_due(topic, clock, now);
    }

    fn take(
        &mut self,
        topic: TopicId,
        readings: &Readings,
        row: &ReadingRow,
        (origin, mode): (Origin, Mode),
        now: Millis,
    ) {
        let provenance = Provenance {
            incarnation: self.topics[topic.ix()].life(origin.partition),
            partition: origin.partition,
            offset: origin.offset,
            element: row.element.unwrap_or(0),
        };
        let arriving = Arriving { time: row.time, origin: provenance, body: readings.body(row) };
        let Some(id) = readings.station(row) else {
            let mut change = self.put(None, topic, &arriving, (origin, row.element, mode), now);
            if mode == Mode::Live && !self.topics[topic.ix()].each.is_empty() {
                self.enqueue_each(None, topic, &arriving, origin, now);
                change = change.max(Change::Seen);
            }
            self.global_change = self.global_change.max(change);
            return;
        };
        let Some((station, is_new)) = self.find_or_admit(id, row.station_hash, mode, now) else {
            // What is loaded again was given up in an earlier life.
            if mode == Mode::Live {
                let reason = Reason::TooManyStations;
                self.dead.push_back(DeadReading { origin, element: row.element, reason });
            }
            return;
        };
        let mut change = self.put(Some(station), topic, &arriving, (origin, row.element, mode), now);
        if mode == Mode::Live && !self.topics[topic.ix()].each.is_empty() {
            self.enqueue_each(Some(station), topic, &arriving, origin, now);
            change = change.max(Change::Seen);
        }
        self.touch(station, change, is_new);
    }

    /// Puts a reading into its window.
    #[inline]
    fn put(
        &mut self,
        whose: Whose,
        topic: TopicId,
        arriving: &Arriving<'_>,
        (origin, element, mode): (Origin, Option<u32>, Mode),
        now: Millis,
    ) -> Change {
        let state = &mut self.topics[topic.ix()];
        if state.windows.closer().is_some() {
            return self.take_bucket((whose, topic), arriving, (origin, element, mode));
        }
        let clock = state.event_clock.unwrap_or(now);
        let window = match (whose, &mut state.global) {
            (Some(station), _) => &mut self.stations[station as usize].windows[topic.ix()],
            (None, Some(window)) => window,
            (None, None) => return Change::Nothing,
        };
        let change = match (window.apply(&state.windows, arriving, clock), window.renewed()) {
            (true, _) => Change::Due,
            (false, true) => Change::Seen,
            (false, false) => return Change::Nothing,
        };
        self.note_window(whose, topic);
        change
    }

    /// Notes that a window's content is to be saved.
    #[inline]
    pub(super) fn note_window(&mut self, whose: Whose, topic: TopicId) {
        match whose {
            Some(station) => {
                self.changed.slot(&mut self.stations[station as usize], station, Source::Topic(topic));
            }
            None => self.changed.global(topic),
        }
    }

    /// Notes that the record in hand names a station.
    #[inline]
    fn touch(&mut self, station: u32, change: Change, is_new: bool) {
        let state = &mut self.stations[station as usize];
        if state.touched_by == self.record {
            let touched = &mut self.touched[state.touched_at];
            touched.change = touched.change.max(change);
        } else {
            state.touched_by = self.record;
            state.touched_at = self.touched.len();
            self.touched.push(Touched { station, change, is_new });
        }
    }

    /// After a whole record: what it changed makes modules due, station by station in the order it names them.
    fn end_record(&mut self, origin: Origin, mode: Mode, now: Millis) {
        let global = std::mem::take(&mut self.global_change);
        if global != Change::Nothing {
            for station in 0..self.station_count() {
                if self.stations[station as usize].known {
                    self.touch(station, global, false);
                }
            }
            self.keep_early_global(global, origin, mode);
        }
        let mut touched = std::mem::take(&mut self.touched);
        for Touched { station, change, is_new } in touched.drain(..) {
            self.turn += 1;
            if is_new {
                self.greet(station, now);
            }
            if change == Change::Due {
                self.note_change(station, origin, mode, now);
            }
            if mode == Mode::Live {
                self.consider_touched(Touched { station, change, is_new }, origin.topic, Some(origin), now);
                continue;
            }
            if is_new {
                self.consider_global(station, now);
            }
            if self.stations[station as usize].runs.iter().any(|run| !run.pending.is_empty()) {
                // A bucket that was read live was closed by a record that only loads.
                self.consider_touched(Touched { station, change, is_new: false }, origin.topic, None, now);
            }
        }
        self.touched = touched;
        let applied = self.topics[origin.topic.ix()].applied.entry(origin.partition).or_insert(origin.offset);
        *applied = origin.offset.max(*applied);
    }

    /// A live global record concerns stations that are only about to be loaded, too.
    fn keep_early_global(&mut self, change: Change, origin: Origin, mode: Mode) {
        let topic = &mut self.topics[origin.topic.ix()];
        let waits = |(module, triggers): &(ModuleId, bool)| *triggers && !self.modules[module.ix()].loaded;
        if mode == Mode::Live && change == Change::Due && topic.early.is_none() && topic.readers.iter().any(waits) {
            topic.early = Some(origin);
            self.changed.early = true;
            self.due.keep(Some(origin));
        }
    }

    /// A changed window is a change for the modules that it triggers. One that is loaded again while its module runs
    /// already was seen in an earlier life, unless the station was incomplete then too.
    fn note_change(&mut self, station: u32, origin: Origin, mode: Mode, now: Millis) {
        // A bucket that closed is in the queue of everyone it triggers.
        if mode == Mode::Live && self.topics[origin.topic.ix()].windows.closer().is_some() {
            return;
        }
        for at in 0..self.topics[origin.topic.ix()].readers.len() {
            let (module, triggers) = self.topics[origin.topic.ix()].readers[at];
            let seen =
                || mode == Mode::Load && self.modules[module.ix()].loaded && self.is_complete(station, module, now);
            if triggers && !seen() {
                self.due.note_change(&mut self.stations[station as usize], module, origin, mode);
                self.note_run(station, module);
            }
        }
    }

    /// Considers, in dependency order, the modules that read what changed; for a new station all, because what is global
    /// is new to it too.
    fn consider_touched(&mut self, touched: Touched, topic: TopicId, cause: Option<Origin>, now: Millis) {
        let Touched { station, change, is_new } = touched;
        if is_new {
            for module in (0..).map(ModuleId).take(self.modules.len()) {
                let cause = cause.filter(|_| self.may_owe(module, topic));
                self.consider(station, module, cause, now);
                self.look(station, module, now);
            }
        } else if change != Change::Nothing {
            for at in 0..self.topics[topic.ix()].readers.len() {
                let (module, _) = self.topics[topic.ix()].readers[at];
                self.consider(station, module, cause, now);
                self.look(station, module, now);
            }
        }
    }

    /// Whether a record of `topic` that names a new station can be what `module` is called for: it reads the topic, or needs
    /// nothing of the station itself.
    fn may_owe(&self, module: ModuleId, topic: TopicId) -> bool {
        let plan = self.plan.module(module);
        plan.inputs().any(|(input, _)| input.source == Source::Topic(topic)) || self.are_global(plan.requires.iter())
    }

    /// Global readings belong to a station from its first moment on.
    fn greet(&mut self, station: u32, now: Millis) {
        self.stations[station as usize].seen_at = Some(now);
        self.schedule_ticks(now);
        for topic in &self.topics {
            if topic.global.as_ref().is_none_or(Window::is_empty) {
                continue;
            }
            for &(module, _) in topic.readers.iter().filter(|(_, triggers)| *triggers) {
                self.stations[station as usize].runs[module.ix()].changed = true;
            }
        }
    }
}
