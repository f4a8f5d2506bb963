//! Holds modules against topics and the registry: whether names exist, inputs make sense, and nothing feeds on itself.
//! From what agrees it builds the plan.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::ident::TopicId;
use quorate_core::plan::{IncompletePlan, InputPlan, Limits, ModulePlan, Plan, Source, StationLimits, Trigger};

use super::Purpose;
use super::modules::{Input, Module};
use super::problem::Origin;
use super::reader::{Notes, Placed, listed, nearest};
use super::topics::Topic;

/// The version of a module that the registry does not know.
const UNKNOWN_VERSION: &str = "1";

/// Checks every module, and finds the topics that enabled ones name: their places in `topics`, ascending.
pub(super) fn check(notes: &Notes, topics: &[Topic], modules: &[Module], purpose: &Purpose<'_>) -> Vec<usize> {
    for module in modules {
        check_registry(notes, module, purpose);
        check_inputs(notes, topics, module);
        check_trigger(notes, module);
    }
    if !modules.iter().any(|module| module.enabled) {
        notes.missing(&Origin::Default, "no module is enabled: there is nothing to do", "add `[modules.NAME]`");
    }
    refuse_cycles(notes, modules);
    let named: BTreeSet<&str> =
        modules.iter().filter(|m| m.enabled).flat_map(Module::inputs).map(|input| input.topic.value.as_str()).collect();
    (0..topics.len()).filter(|ix| named.contains(topics[*ix].name())).collect()
}

/// A disabled module may be one that comes later.
fn check_registry(notes: &Notes, module: &Module, purpose: &Purpose<'_>) {
    let known = || purpose.known_modules.iter().map(|(name, _)| *name);
    if !module.enabled || !purpose.calls_modules || known().any(|name| name == module.name) {
        return;
    }
    let help = match nearest(&module.name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}; or set `enabled = false`", listed(known())),
    };
    notes.error(&module.origin, format!("there is no module `{}`", module.name), help);
}

fn check_inputs(notes: &Notes, topics: &[Topic], module: &Module) {
    if module.enabled && module.inputs().next().is_none() {
        let message = format!("module `{}` is enabled but names no topics", module.name);
        notes.missing(&module.origin, message, "add `requires = [\"TOPIC\"]`, or set `enabled = false`");
    }
    let mut seen: Vec<&str> = Vec::new();
    for (ix, input) in module.inputs().enumerate() {
        let name = input.topic.value.as_str();
        let Some(topic) = topics.iter().find(|topic| topic.name() == name) else {
            undeclared(notes, topics, module, input);
            continue;
        };
        if seen.contains(&name) {
            let required = module.requires.iter().any(|input| input.topic.value == name);
            let how = if required && ix >= module.requires.len() { "as required and as optional" } else { "twice" };
            notes.error(&input.topic.origin, format!("module `{}` names {name} {how}", module.name), "keep one");
        }
        seen.push(name);
        check_age(notes, topic, input);
    }
}

fn undeclared(notes: &Notes, topics: &[Topic], module: &Module, input: &Input) {
    let name = &input.topic.value;
    let help = match nearest(name, topics.iter().map(Topic::name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add a table `[topics.{name}]`"),
    };
    notes.missing(
        &input.topic.origin,
        format!("module `{}` names the topic {name}, which is not declared", module.name),
        help,
    );
}

fn check_age(notes: &Notes, topic: &Topic, input: &Input) {
    let (Some(max_age), Some(expect_ms)) = (&input.max_age, topic.expect_ms) else { return };
    if max_age.value < expect_ms {
        let message =
            format!("`max_age` of {} is shorter than its `expect`: the input is stale most of the time", topic.name());
        notes.warn(&max_age.origin, message, "make it at least as long as `expect`");
    }
}

fn check_trigger(notes: &Notes, module: &Module) {
    let inputs = || module.inputs().map(|input| input.topic.value.as_str());
    for Placed { value, origin } in module.on.iter().flatten() {
        if !inputs().any(|input| input == value) {
            let help = match nearest(value, inputs()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name one of its inputs".to_owned(),
            };
            notes.error(origin, format!("{value} is no input of module `{}`", module.name), help);
        }
    }
}

/// Modules that wait for each other's results, or for their own, are never called.
fn refuse_cycles(notes: &Notes, modules: &[Module]) {
    let enabled: Vec<&Module> = modules.iter().filter(|module| module.enabled).collect();
    let feeds = |from: &Module, to: &Module| to.inputs().any(|input| input.topic.value == from.output_topic.value);
    for start in &enabled {
        let mut reached = vec![*start];
        let mut next = 0;
        while let Some(at) = reached.get(next).copied() {
            next += 1;
            if feeds(at, start) {
                let message =
                    format!("module `{}` needs its own results, directly or through other modules", start.name);
                notes.error(&start.origin, message, "remove one of the inputs that close the circle");
                break;
            }
            for to in &enabled {
                if feeds(at, to) && !reached.iter().any(|seen| seen.name == to.name) {
                    reached.push(to);
                }
            }
        }
    }
}

/// The plan for the consumed topics and the enabled modules. Names that were not found are left out, so this must be
/// used only when [`check`] found no error.
pub(super) fn plan(
    topics: &[&Topic],
    modules: &[&Module],
    purpose: &Purpose<'_>,
    (limits, stations): (Limits, StationLimits),
) -> Plan {
    let id = |name: &str| {
        let ix = topics.iter().position(|topic| topic.name() == name)?;
        u16::try_from(ix).ok().map(TopicId)
    };
    let inputs = |inputs: &[Input]| {
        let planned = |input: &Input| {
            let max_age_ms = input.max_age.as_ref().map(|age| age.value);
            let source = Source::Topic(id(&input.topic.value)?);
            Some(InputPlan { name: Arc::from(input.topic.value.as_str()), source, max_age_ms })
        };
        inputs.iter().filter_map(planned).collect::<Vec<_>>()
    };
    let module = |module: &&Module| ModulePlan {
        name: Arc::from(module.name.as_str()),
        version: Arc::from(version(&module.name, purpose)),
        requires: inputs(&module.requires),
        optional: inputs(&module.optional),
        trigger: Trigger::Changes {
            on: module
                .on
                .as_ref()
                .map(|on| on.iter().filter_map(|topic| id(&topic.value)).map(Source::Topic).collect()),
            min_interval_ms: module.min_interval_ms,
        },
        incomplete: IncompletePlan::default(),
        run_ms: millis(module.retry.longest(module.timeout)),
        call_ms: millis(module.timeout),
    };
    Plan {
        topics: topics.iter().map(|topic| topic.plan.clone()).collect(),
        modules: modules.iter().map(module).collect(),
        limits,
        stations,
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn version<'p>(module: &str, purpose: &Purpose<'p>) -> &'p str {
    let known = purpose.known_modules.iter().find(|(name, _)| *name == module);
    known.map_or(UNKNOWN_VERSION, |(_, version)| version)
}
