//! The plan of a module: what it needs before it is called, what makes it due, and what happens while it is incomplete.

use std::sync::Arc;

use super::Pointer;
use crate::ident::{ModuleId, TopicId};

/// What a module needs before it is called, and what makes it due.
#[derive(Clone, Debug)]
pub struct ModulePlan {
    /// The module's name.
    pub name: Arc<str>,
    /// The module's version; part of its input hash.
    pub version: Arc<str>,
    /// Inputs without which it is not called.
    pub requires: Vec<InputPlan>,
    /// Inputs it sees when they are there.
    pub optional: Vec<InputPlan>,
    /// What makes it due.
    pub trigger: Trigger,
    /// What happens while required inputs are absent or too old.
    pub incomplete: IncompletePlan,
    /// The longest that one input of this module may take from its first call to its end, all attempts together, in
    /// milliseconds. A dependent that has never run for the station waits this long for it.
    pub run_ms: i64,
    /// The longest that one call may take, in milliseconds. A dependent that has run before waits this long for it.
    pub call_ms: i64,
    /// When a station whose runs keep failing pauses; none: never.
    pub quarantine: Option<QuarantinePlan>,
    /// What tells a reading that it is done with; only with [`Trigger::Each`].
    pub once: Option<OncePlan>,
}

/// What tells readings of one station apart that are worked on once only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OncePlan {
    /// Where a reading has its key. One without is always worked on.
    pub key: Pointer,
    /// How long keys are remembered, in milliseconds.
    pub keep_ms: i64,
    /// How many keys are remembered at most, by all shards together; the oldest leave first.
    pub max: usize,
}

/// When a station whose runs of one module keep failing for good pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantinePlan {
    /// After so many failures in a row.
    pub after: u32,
    /// The first pause in milliseconds; it doubles with each further failure.
    pub pause_ms: i64,
    /// The longest pause in milliseconds.
    pub max_pause_ms: i64,
}

impl ModulePlan {
    /// Required inputs, then optional ones, each with whether it is required.
    pub fn inputs(&self) -> impl Iterator<Item = (&InputPlan, bool)> {
        self.requires.iter().map(|input| (input, true)).chain(self.optional.iter().map(|input| (input, false)))
    }

    /// Whether a change of `source` makes the module due.
    #[must_use]
    pub fn is_triggered_by(&self, source: Source) -> bool {
        match &self.trigger {
            Trigger::Every { .. } => false,
            Trigger::Changes { on: Some(on), .. } => on.contains(&source),
            Trigger::Changes { on: None, .. } => self.inputs().any(|(input, _)| input.source == source),
            Trigger::Each { on } => on.contains(&source),
        }
    }
}

/// One input of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputPlan {
    /// What the module calls it: the topic's name, or the name of the module it depends on.
    pub name: Arc<str>,
    /// Where it comes from.
    pub source: Source,
    /// The age, in milliseconds, beyond which it is stale.
    pub max_age_ms: Option<i64>,
}

/// Where an input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A consumed topic. Results of a module that runs elsewhere are consumed, too: window kind
    /// [`Results`](super::WindowPlan::Results).
    Topic(TopicId),
    /// The results of a module of this very plan, handed on without a detour.
    Module(ModuleId),
}

/// What makes a module due for a station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A change of an input.
    Changes {
        /// Inputs whose change counts; none means every input.
        on: Option<Vec<Source>>,
        /// Least time between two inputs of one station, in milliseconds.
        min_interval_ms: i64,
    },
    /// Time: at multiples of the interval, counted from the Unix epoch, for every complete station.
    Every {
        /// The interval in milliseconds, at least 1.
        interval_ms: i64,
    },
    /// Readings: each one is a run, in order per station.
    Each {
        /// Topics whose readings each cause a run of their own.
        on: Vec<Source>,
    },
}

/// What happens while required inputs are absent or too old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IncompletePlan {
    /// How long a station may be incomplete before the alarm, in milliseconds; none: as long as the blocking topic's
    /// declared cadence says.
    pub after_ms: Option<i64>,
    /// What becomes of runs that are due meanwhile.
    pub then: Then,
}

/// What becomes of a run that is due while its station is incomplete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// It waits until the station is complete.
    #[default]
    Wait,
    /// It is dropped and counted.
    Skip,
    /// Once the station has been incomplete for `after_ms` the module is called with what there is.
    Partial,
    /// An input that is only too old counts as present.
    LastGood,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triggered(trigger: Trigger, source: Source) -> bool {
        let input = |topic| InputPlan { name: Arc::from("T"), source: Source::Topic(TopicId(topic)), max_age_ms: None };
        let plan = ModulePlan {
            name: Arc::from("m"),
            version: Arc::from("1"),
            requires: vec![input(0)],
            optional: vec![input(1)],
            trigger,
            incomplete: IncompletePlan::default(),
            run_ms: 1,
            call_ms: 1,
            quarantine: None,
            once: None,
        };
        plan.is_triggered_by(source)
    }

    #[test]
    fn each_reading_of_the_topics_named_makes_a_module_due_and_no_other_input_does() {
        let [required, optional] = [0, 1].map(|topic| Source::Topic(TopicId(topic)));
        let each = Trigger::Each { on: vec![optional] };
        assert!(triggered(each.clone(), optional) && !triggered(each, required));
        let any = Trigger::Changes { on: None, min_interval_ms: 0 };
        assert!(triggered(any.clone(), optional) && triggered(any, required));
    }
}
