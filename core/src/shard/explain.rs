//! Why there is a result or none: for any module and station each input's standing, the rule that blocks and since
//! when, and what would help.

use std::sync::Arc;

use serde::Serialize;

use super::Shard;
use super::run::{Phase, Run};
use crate::contract::{LineageRange, Status};
use crate::ident::{Millis, ModuleId, Station};
use crate::plan::{InputPlan, Plan, Source, Then, Trigger};
use crate::provenance::station_hash;

/// How one module stands with one station.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The moment this is told of.
    pub at: Millis,
    /// The module.
    pub module: Arc<str>,
    /// The station.
    pub station: Station,
    /// Whether a reading has named the station since the process started or its state was restored.
    pub known: bool,
    /// Where the run of this module for this station stands.
    pub run: RunStanding,
    /// When the module was last called for the station by this process.
    pub last_run_at: Option<Millis>,
    /// Since when the station has been incomplete; none when it is complete.
    pub blocked_since: Option<Millis>,
    /// Required inputs, then optional ones, in the order of the configuration.
    pub inputs: Vec<InputExplanation>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RunStanding {
    /// Topics are still being read as far back as state reaches.
    Loading,
    /// Something is to be seen, but the station is incomplete.
    Incomplete,
    /// Nothing has changed that the module has not seen.
    Idle,
    /// Nothing is due before this moment: the trigger is time.
    Scheduled {
        /// The next one.
        at: Millis,
    },
    /// Due when the interval since the last run is over.
    Delayed {
        /// When it is.
        until: Millis,
    },
    /// Due when the station's pause is over: the module kept failing for it.
    Quarantined {
        /// When it is.
        until: Millis,
        /// Runs that failed for good since one last did not.
        failures: u32,
    },
    /// Due when the module it depends on has finished, at the latest at this moment.
    Held {
        /// The latest.
        until: Millis,
    },
    /// Due: it waits for room among its module's calls.
    Ready,
    /// Being performed.
    Running,
}

/// How one input stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputExplanation {
    /// Its name: a topic, or the module that makes it.
    pub name: Arc<str>,
    /// Whether the module is not called without it.
    pub required: bool,
    /// Fresh, stale or missing.
    pub status: Status,
    /// Age of its newest reading in milliseconds.
    pub age_ms: Option<i64>,
    /// Event time of its newest reading.
    pub time: Option<Millis>,
    /// The records it is made of, lowest and highest offset per partition.
    pub records: Vec<LineageRange>,
    /// The age beyond which it is stale, in milliseconds.
    pub max_age_ms: Option<i64>,
    /// The declared cadence, in milliseconds.
    pub expect_ms: Option<i64>,
    /// Whether it is older than its declared cadence. That alone blocks nothing.
    pub overdue: bool,
    /// Why the module is not called on its account; none when it does not stand in the way.
    pub block: Option<Block>,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Block {
    /// The rule: `required_missing` or `max_age`.
    pub rule: &'static str,
    /// Since when.
    pub since: Millis,
    /// When it is worth an alarm, if ever.
    pub alarm_at: Option<Millis>,
    /// What would help, for people.
    pub unblock: String,
}

impl Shard {
    /// How `module` stands with the station called `id` at `now`; of a station that was never named, what is known for
    /// every station.
    #[must_use]
    pub fn explain(&self, module: ModuleId, id: &str, now: Millis) -> Explanation {
        let known = self.by_id.find(station_hash(id), |&ix| self.stations[ix as usize].id.as_str() == id).copied();
        let plan = self.plan.module(module);
        let run = known.map(|station| &self.stations[station as usize].runs[module.ix()]);
        Explanation {
            at: now,
            module: Arc::clone(&plan.name),
            station: id.into(),
            known: known.is_some(),
            run: self.run_standing(module, run),
            last_run_at: run.and_then(|run| run.last_at),
            blocked_since: known.and_then(|station| self.standing(station, module, now).blocked_since),
            inputs: plan
                .inputs()
                .map(|(input, required)| self.explain_input(known, module, input, required, now))
                .collect(),
        }
    }

    /// The required inputs that stand in the way.
    pub(super) fn explain_blocking(&self, station: u32, module: ModuleId, now: Millis) -> Vec<InputExplanation> {
        let requires = self.plan.module(module).requires.iter();
        let inputs = requires.map(|input| self.explain_input(Some(station), module, input, true, now));
        inputs.filter(|input| input.block.is_some()).collect()
    }

    fn run_standing(&self, module: ModuleId, run: Option<&Run>) -> RunStanding {
        let state = &self.modules[module.ix()];
        if !state.loaded {
            return RunStanding::Loading;
        }
        let Some(run) = run else { return RunStanding::Incomplete };
        match (run.phase, run.until, &self.plan.module(module).trigger) {
            (Phase::Delayed, Some(until), _) if run.paused_until == Some(until) => {
                RunStanding::Quarantined { until, failures: run.failures }
            }
            (Phase::Delayed, Some(until), _) => RunStanding::Delayed { until },
            (Phase::Held, Some(until), _) => RunStanding::Held { until },
            (Phase::Running, ..) => RunStanding::Running,
            (Phase::Idle, _, Trigger::Every { .. }) => {
                state.next_tick.map_or(RunStanding::Idle, |at| RunStanding::Scheduled { at })
            }
            (Phase::Idle, ..) if run.wants() => RunStanding::Incomplete,
            (Phase::Idle, ..) => RunStanding::Idle,
            _ => RunStanding::Ready,
        }
    }

    fn explain_input(
        &self,
        station: Option<u32>,
        module: ModuleId,
        input: &InputPlan,
        required: bool,
        now: Millis,
    ) -> InputExplanation {
        let (status, time) = match (station, input.source) {
            (Some(station), _) => self.status(station, input, now),
            (None, source) => self.global_status(source, input, now),
        };
        let age_ms = time.map(|time| now.since(time));
        let expect_ms = self.expect_ms(input);
        let stands_in_the_way = required && status != Status::Fresh;
        InputExplanation {
            name: Arc::clone(&input.name),
            required,
            status,
            age_ms,
            time,
            records: station.map_or_else(Vec::new, |station| self.records_of(station, input.source)),
            max_age_ms: input.max_age_ms,
            expect_ms,
            overdue: age_ms.zip(expect_ms).is_some_and(|(age, expect)| age > expect),
            block: stands_in_the_way.then(|| self.block(station, module, input, (status, time), now)),
        }
    }

    fn block(
        &self,
        station: Option<u32>,
        module: ModuleId,
        input: &InputPlan,
        status: (Status, Option<Millis>),
        now: Millis,
    ) -> Block {
        let plan = self.plan.module(module);
        let since = station.map_or(now, |station| self.blocked_since(station, input, status, now));
        let alarm_ms = plan.incomplete.after_ms.or_else(|| self.expect_ms(input));
        let rule = if status.0 == Status::Stale { "max_age" } else { "required_missing" };
        let mut unblock = needed(&self.plan, input);
        match (plan.incomplete.then, status.0, plan.incomplete.after_ms) {
            (Then::Partial, _, Some(after_ms)) => {
                unblock.push_str(&format!("; without it the module is called {after_ms} ms after it began to lack"));
            }
            (Then::LastGood, Status::Stale, _) => unblock.push_str("; the old one is used until then"),
            _ => {}
        }
        Block { rule, since, alarm_at: alarm_ms.map(|alarm_ms| since.plus(alarm_ms)), unblock }
    }

    /// The status of an input for a station that was never named: what is global it has all the same.
    fn global_status(&self, source: Source, input: &InputPlan, now: Millis) -> (Status, Option<Millis>) {
        let Source::Topic(id) = source else { return (Status::Missing, None) };
        let topic = &self.topics[id.ix()];
        let clock = topic.event_clock.unwrap_or(now);
        let newest = topic.global.as_ref().and_then(|window| window.newest(&topic.windows, clock));
        (super::readiness::status_of(newest, input, now), newest)
    }
}

/// What would make an input usable.
fn needed(plan: &Plan, input: &InputPlan) -> String {
    let what = match input.source {
        Source::Module(_) => format!("a result of {} for this station", input.name),
        Source::Topic(id) => match plan.topic(id).scope {
            crate::plan::Scope::Global => format!("a record on {}", plan.topic(id).name),
            crate::plan::Scope::Station(_) => format!("a record on {} that names this station", plan.topic(id).name),
        },
    };
    match input.max_age_ms {
        Some(max_age_ms) => format!("{what}, not older than {max_age_ms} ms"),
        None => what,
    }
}
