//! Completeness: what status an input has, whether a run may take place, and what becomes of one that may not.

use std::sync::Arc;

use super::Shard;
use super::buckets::PENDING;
use super::run::Phase;
use crate::contract::Status;
use crate::ident::{Millis, ModuleId};
use crate::plan::{InputPlan, Source, Then, Trigger};
use crate::provenance::Origin;

/// How a station stands with a module, as of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Since when a required input has been absent or too old; none when the station is complete.
    pub(super) blocked_since: Option<Millis>,
    /// When that is worth an alarm.
    pub(super) alarm_at: Option<Millis>,
    /// When a further input can grow too old.
    pub(super) stale_at: Option<Millis>,
    /// Whether an input expires by the clock of a backlog: nobody knows when that will be.
    pub(super) in_backlog: bool,
}

impl Shard {
    /// An input's status, and the time of its newest reading.
    pub(super) fn status(&self, station: u32, input: &InputPlan, now: Millis) -> (Status, Option<Millis>) {
        let newest = match input.source {
            Source::Topic(id) => {
                let topic = &self.topics[id.ix()];
                self.window(station, id).newest(&topic.windows, topic.event_clock.unwrap_or(now))
            }
            Source::Module(id) => self.stations[station as usize].results[id.ix()].newest(),
        };
        (status_of(newest, input, now), newest)
    }

    /// Whether every required input of `module` is present and young enough.
    pub(super) fn is_complete(&self, station: u32, module: ModuleId, now: Millis) -> bool {
        self.plan.module(module).requires.iter().all(|input| self.status(station, input, now).0 == Status::Fresh)
    }

    /// Whether a run may take place: the station is complete, or the module's policy does without.
    fn may_run(&self, station: u32, module: ModuleId, now: Millis) -> bool {
        if self.is_complete(station, module, now) {
            return true;
        }
        let plan = self.plan.module(module);
        match (plan.incomplete.then, plan.incomplete.after_ms) {
            (Then::LastGood, _) => {
                plan.requires.iter().all(|input| self.status(station, input, now).0 != Status::Missing)
            }
            (Then::Partial, Some(after_ms)) => {
                let since = self.standing(station, module, now).blocked_since;
                since.is_some_and(|since| now.since(since) >= after_ms)
            }
            _ => false,
        }
    }

    /// How the station stands with `module`.
    pub(super) fn standing(&self, station: u32, module: ModuleId, now: Millis) -> Standing {
        let plan = self.plan.module(module);
        let mut standing = Standing::default();
        for input in &plan.requires {
            match self.status(station, input, now) {
                (Status::Fresh, Some(time)) => {
                    standing.stale_at = earliest(standing.stale_at, self.stale_at(input, time));
                    standing.in_backlog |= self.expires_in_backlog(input);
                }
                (status, time) => {
                    let since = self.blocked_since(station, input, (status, time), now);
                    let alarm_ms = plan.incomplete.after_ms.or_else(|| self.expect_ms(input));
                    standing.blocked_since = earliest(standing.blocked_since, Some(since));
                    standing.alarm_at = earliest(standing.alarm_at, alarm_ms.map(|alarm_ms| since.plus(alarm_ms)));
                }
            }
        }
        standing
    }

    /// Since when an input has been absent or too old.
    pub(super) fn blocked_since(
        &self,
        station: u32,
        input: &InputPlan,
        (status, time): (Status, Option<Millis>),
        now: Millis,
    ) -> Millis {
        let seen = self.stations[station as usize].seen_at.unwrap_or(now);
        match (status, time, input.source) {
            (Status::Stale, Some(time), _) => time.plus(input.max_age_ms.unwrap_or(0)),
            (_, _, Source::Topic(id)) => {
                self.window(station, id).emptied_at(&self.topics[id.ix()].windows).unwrap_or(seen)
            }
            _ => seen,
        }
    }

    /// The declared cadence of an input.
    pub(super) fn expect_ms(&self, input: &InputPlan) -> Option<i64> {
        match input.source {
            Source::Topic(id) => self.plan.topic(id).expect_ms,
            Source::Module(_) => None,
        }
    }

    /// When an input whose newest reading is of `time` counts no more.
    fn stale_at(&self, input: &InputPlan, time: Millis) -> Option<Millis> {
        // Exactly as old as the limit is young enough.
        let too_old = input.max_age_ms.map(|max_age_ms| time.plus(max_age_ms).plus(1));
        let expired = match input.source {
            Source::Topic(id) if !self.expires_in_backlog(input) => self.topics[id.ix()].windows.expires_at(time),
            _ => None,
        };
        earliest(too_old, expired)
    }

    fn expires_in_backlog(&self, input: &InputPlan) -> bool {
        let Source::Topic(id) = input.source else { return false };
        let topic = &self.topics[id.ix()];
        topic.event_clock.is_some() && topic.windows.expires()
    }

    /// Makes an idle run due that has something to see, if its module is loaded and its station ready. `cause` is the
    /// record in hand: it stays unsettled while the run is owed on its account. While the module is not loaded nobody
    /// knows whether something is due, so every live record that it reads is owed until then.
    pub(super) fn consider(&mut self, station: u32, module: ModuleId, cause: Option<Origin>, now: Millis) {
        let loaded = self.modules[module.ix()].loaded;
        let state = &mut self.stations[station as usize];
        let run = &state.runs[module.ix()];
        if run.phase != Phase::Idle || (loaded && !run.wants()) {
            return;
        }
        if !loaded {
            cause.into_iter().for_each(|origin| self.due.owe_early(state, module, origin));
            self.note_run(station, module);
            return;
        }
        if let Some(origin) = cause {
            self.due.owe(state, module, origin);
        }
        // What is missing may be the very result that is being made.
        let skips = self.plan.module(module).incomplete.then == Then::Skip;
        if self.may_run(station, module, now) || (skips && self.is_upstream_at_work(station, module)) {
            let wait = self.must_wait(station, module, now);
            let state = &mut self.stations[station as usize];
            self.due.schedule(state, (station, module), self.turn, wait);
        } else {
            self.put_off(station, module);
        }
        self.note_run(station, module);
    }

    /// What a due run must wait for: the end of its interval or of a pause, or a module it depends on.
    fn must_wait(&self, station: u32, module: ModuleId, now: Millis) -> Option<(Phase, Millis)> {
        let paused = self.stations[station as usize].runs[module.ix()].paused_until.filter(|&until| until > now);
        if let Some(until) = paused {
            return Some((Phase::Delayed, until));
        }
        if let Trigger::Changes { min_interval_ms, .. } = self.plan.module(module).trigger {
            // A clock that was set back must not hold a run until it catches up.
            let last = self.stations[station as usize].runs[module.ix()].last_at.filter(|&last| last <= now);
            let over = last.map(|last| last.plus(min_interval_ms)).filter(|&over| over > now);
            if let Some(over) = over {
                return Some((Phase::Delayed, over));
            }
        }
        self.held_until(station, module, now).map(|until| (Phase::Held, until))
    }

    /// Whether the run that was taken from the queue may start. One that may not is put off.
    pub(super) fn is_ready(&mut self, station: u32, module: ModuleId, now: Millis) -> bool {
        self.drop_stale(station, module, now);
        self.drop_done(station, module, now);
        let wants = self.stations[station as usize].runs[module.ix()].wants();
        if wants && self.may_run(station, module, now) {
            return true;
        }
        self.put_off(station, module);
        self.release_dependents(station, module);
        false
    }

    /// The station is incomplete: nothing is due. What was to be seen is remembered, or dropped and counted.
    fn put_off(&mut self, station: u32, module: ModuleId) {
        let plan = Arc::clone(&self.plan);
        let plan = plan.module(module);
        if plan.incomplete.then == Then::Skip && self.stations[station as usize].runs[module.ix()].wants() {
            let mut dropped = 0;
            while self.drop_pending(station, module) {
                dropped += 1;
            }
            // What only changed is one run, however often it did.
            self.modules[module.ix()].skipped += dropped.max(1);
            self.stations[station as usize].runs[module.ix()].changed = false;
            self.note_run(station, module);
        }
        let keeps_all = matches!(plan.trigger, Trigger::Each { .. });
        while !keeps_all && self.stations[station as usize].runs[module.ix()].pending.len() > PENDING {
            self.drop_pending(station, module);
            self.modules[module.ix()].skipped += 1;
        }
        let state = &mut self.stations[station as usize];
        if matches!(plan.trigger, Trigger::Every { .. }) {
            state.runs[module.ix()].changed = false;
        }
        self.due.wait(state, module);
    }

    /// A required bucket or reading that has grown too old while it waited cannot be handed over any more, unless the module's
    /// policy does without.
    fn drop_stale(&mut self, station: u32, module: ModuleId, now: Millis) {
        let plan = Arc::clone(&self.plan);
        let plan = plan.module(module);
        if matches!(plan.incomplete.then, Then::LastGood | Then::Partial) {
            return;
        }
        while let Some(next) = self.stations[station as usize].runs[module.ix()].pending.front() {
            let required = plan.requires.iter().find(|input| input.source == Source::Topic(next.topic));
            let max_age_ms = required.and_then(|input| input.max_age_ms);
            if max_age_ms.is_none_or(|max_age_ms| now.since(next.what.time()) <= max_age_ms) {
                return;
            }
            self.drop_pending(station, module);
            self.modules[module.ix()].skipped += 1;
        }
    }
}

/// The status of an input whose newest reading is of `newest`.
pub(super) fn status_of(newest: Option<Millis>, input: &InputPlan, now: Millis) -> Status {
    match newest {
        None => Status::Missing,
        Some(time) if input.max_age_ms.is_some_and(|max_age_ms| now.since(time) > max_age_ms) => Status::Stale,
        Some(_) => Status::Fresh,
    }
}

fn earliest(a: Option<Millis>, b: Option<Millis>) -> Option<Millis> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
