//! Modules that depend on modules: results are handed on inside the shard, and a dependent waits for what is at work on
//! the same version of its input.

use super::run::{End, Phase, RunId, Running};
use super::{Mode, Shard};
use crate::ident::{Millis, ModuleId};
use crate::plan::{ModulePlan, Plan, Source};
use crate::provenance::Origin;
use crate::window::RunResult;

/// How long a dependent waits for the modules it depends on, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    /// Before its first run: as long as these may need for one input, all attempts together.
    first_ms: i64,
    /// Later: one call. A module that keeps failing delays nobody for longer.
    later_ms: i64,
}

/// The modules that `plan` depends on.
pub(super) fn upstream(plan: &ModulePlan) -> Vec<ModuleId> {
    let module = |source| match source {
        Source::Module(module) => Some(module),
        Source::Topic(_) => None,
    };
    plan.inputs().filter_map(|(input, _)| module(input.source)).collect()
}

/// The modules that depend on `module`, each with whether its results trigger them.
pub(super) fn dependents(plan: &Plan, module: ModuleId) -> Vec<(ModuleId, bool)> {
    let source = Source::Module(module);
    let fed = plan.modules().filter(|(_, plan)| plan.inputs().any(|(input, _)| input.source == source));
    fed.map(|(id, plan)| (id, plan.is_triggered_by(source))).collect()
}

/// The modules that depend on `module`, directly or through others, in dependency order.
pub(super) fn downstream(plan: &Plan, module: ModuleId) -> Vec<ModuleId> {
    let mut found = vec![module];
    for (id, plan) in plan.modules() {
        if upstream(plan).iter().any(|up| found.contains(up)) {
            found.push(id);
        }
    }
    found.split_off(1)
}

/// One deadline for the whole chain above a module: the longest way through it.
pub(super) fn patience(plan: &Plan, module: ModuleId) -> Patience {
    let longest = |of: &dyn Fn(ModuleId) -> i64| upstream(plan.module(module)).into_iter().map(of).max().unwrap_or(0);
    Patience {
        first_ms: longest(&|up| plan.module(up).run_ms.saturating_add(patience(plan, up).first_ms)),
        later_ms: longest(&|up| plan.module(up).call_ms.saturating_add(patience(plan, up).later_ms)),
    }
}

impl Shard {
    /// Reports how a run ended.
    pub fn finish(&mut self, run: RunId, end: End, now: Millis) {
        let RunId { station, module } = run;
        let state = &mut self.stations[station as usize];
        // Dependents go on in this station's turn; a further run of its own waits its turn like any other.
        let counted = std::mem::replace(&mut self.turn, state.runs[module.ix()].turn);
        let is_done = matches!(end, End::Done(_));
        let result = match end {
            End::Done(result) => {
                self.note_success(station, module);
                result
            }
            End::GivenUp => {
                self.note_failure(station, module, now);
                None
            }
            End::PutBack => {
                self.due.put_back(state, run);
                self.halt(module);
                self.turn = counted;
                self.release_dependents(station, module);
                return;
            }
        };
        let Some(Running { owed, early, pending, hash, .. }) = self.due.end(&mut self.stations[station as usize], run)
        else {
            return;
        };
        self.stations[station as usize].runs[module.ix()].ended = hash;
        self.note_run(station, module);
        let handed = pending.as_ref().and_then(|pending| pending.owed);
        if let Some(result) = result {
            // Dependents owe the records of this run before it lets go of them.
            self.hand_on(station, module, result, (owed.or(handed), &early), now);
        }
        self.release_dependents(station, module);
        owed.into_iter().for_each(|origin| self.due.settled(origin));
        early.into_iter().for_each(|origin| self.due.handed_over(Some(origin)));
        if let Some(pending) = pending {
            self.due.handed_over(pending.owed);
            self.note_gone(station, module, pending.number);
            // In the same changes: no store has the key without the reading being gone, or the other way round.
            self.remember(station, module, pending.key.filter(|_| is_done), now);
        }
        self.turn = counted + 1;
        self.consider(station, module, None, now);
    }

    /// Keeps a result for dependents, and wakes them. A renewal triggers nobody, but may be young enough again for one
    /// that waits.
    fn hand_on(
        &mut self,
        station: u32,
        module: ModuleId,
        result: RunResult,
        (origin, early): (Option<Origin>, &[Origin]),
        now: Millis,
    ) {
        if self.modules[module.ix()].dependents.is_empty() {
            return;
        }
        let changed = self.stations[station as usize].results[module.ix()].hand_over(result);
        self.changed.slot(&mut self.stations[station as usize], station, Source::Module(module));
        for at in 0..self.modules[module.ix()].dependents.len() {
            let (dependent, triggers) = self.modules[module.ix()].dependents[at];
            if changed && triggers {
                let state = &mut self.stations[station as usize];
                match origin {
                    Some(origin) => self.due.note_change(state, dependent, origin, Mode::Live),
                    None => state.runs[dependent.ix()].changed = true,
                }
                // No record stands for a run that was due before: without a word of it the dependent's would look as if
                // loading alone had made it due.
                state.runs[dependent.ix()].due_before |= self.queues.durable && !self.modules[dependent.ix()].loaded;
                self.note_run(station, dependent);
            }
            self.consider(station, dependent, origin.filter(|_| changed), now);
            let state = &mut self.stations[station as usize];
            if changed && state.runs[dependent.ix()].phase != Phase::Idle {
                early.iter().for_each(|&origin| self.due.owe_early(state, dependent, origin));
            }
            self.look(station, dependent, now);
        }
    }

    /// Lets everything go that waited for `module`, unless it waits for another one, too.
    pub(super) fn release_dependents(&mut self, station: u32, module: ModuleId) {
        for at in 0..self.modules[module.ix()].downstream.len() {
            let dependent = self.modules[module.ix()].downstream[at];
            let state = &self.stations[station as usize];
            if state.runs[dependent.ix()].phase == Phase::Held && !self.is_upstream_at_work(station, dependent) {
                let state = &mut self.stations[station as usize];
                let turn = state.runs[dependent.ix()].turn;
                self.due.schedule(state, (station, dependent), turn, None);
            }
        }
    }

    /// Makes ready what was to wait until `now`. One whose interval is over may still have to wait for another module.
    pub(super) fn release_timed(&mut self, now: Millis) {
        while let Some((station, module, waited)) = self.due.pop_timed(now, &self.stations) {
            self.turn += 1;
            let hold = if waited == Phase::Delayed { self.held_until(station, module, now) } else { None };
            let wait = hold.filter(|&until| until > now).map(|until| (Phase::Held, until));
            self.due.schedule(&mut self.stations[station as usize], (station, module), self.turn, wait);
        }
    }

    /// Until when a due run waits for modules it depends on; none when none of them is at work.
    pub(super) fn held_until(&self, station: u32, module: ModuleId, now: Millis) -> Option<Millis> {
        if !self.is_upstream_at_work(station, module) {
            return None;
        }
        let Patience { first_ms, later_ms } = self.modules[module.ix()].patience;
        // Of this process: what an earlier one published may have known more than was kept of the modules above.
        let is_first = !self.stations[station as usize].runs[module.ix()].ran;
        Some(now.plus(if is_first { first_ms } else { later_ms }))
    }

    /// Whether a module above `module` is at work for the station.
    pub(super) fn is_upstream_at_work(&self, station: u32, module: ModuleId) -> bool {
        let runs = &self.stations[station as usize].runs;
        let mut above = self.modules[module.ix()].upstream.iter();
        above.any(|&up| runs[up.ix()].is_at_work() || self.is_upstream_at_work(station, up))
    }
}
