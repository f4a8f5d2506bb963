//! Holds modules against topics, against each other and against the registry: whether names exist, whether inputs make
//! sense. From what agrees it builds the plan.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::ident::{ModuleId, TopicId};
use quorate_core::plan::{self, InputPlan, Limits, ModulePlan, Plan, Source, StationLimits};

use super::Purpose;
use super::dependencies::{Dependencies, Upstream};
use super::modules::{Dependency, Input, Module};
use super::problem::Origin;
use super::queue;
use super::reader::{Notes, Placed, listed, nearest};
use super::settings::{OnceSettings, QuarantineSettings};
use super::topics::Topic;
use super::trigger::Trigger;

/// The version of a module that the registry does not know.
const UNKNOWN_VERSION: &str = "1";

/// Everything that can be named.
pub(super) struct Names<'a> {
    pub(super) topics: &'a [Topic],
    pub(super) modules: &'a [Module],
    pub(super) dependencies: &'a Dependencies<'a>,
    pub(super) purpose: &'a Purpose<'a>,
}

impl<'a> Names<'a> {
    pub(super) fn topic(&self, name: &str) -> Option<&'a Topic> {
        self.topics.iter().find(|topic| topic.name() == name)
    }

    /// The modules of the registry.
    fn registered(&self) -> impl Iterator<Item = &'a str> {
        self.purpose.known_modules.iter().map(|(name, _)| *name)
    }
}

/// Checks every module, and finds the topics that enabled ones are fed with, in the order given.
pub(super) fn check<'a>(notes: &Notes, names: &Names<'a>) -> Vec<&'a Topic> {
    for module in names.modules {
        check_registry(notes, names, module);
        check_topics(notes, names, module);
        check_dependencies(notes, names, module);
        check_trigger(notes, names, module);
        queue::check(notes, names, module);
    }
    let enabled = || names.modules.iter().filter(|module| module.enabled);
    if enabled().next().is_none() {
        notes.missing(&Origin::Default, "no module is enabled: there is nothing to do", "add `[modules.NAME]`");
    }
    names.dependencies.refuse_circles(notes);
    let inputs = || enabled().flat_map(Module::topics).map(|input| &input.topic);
    for (topic, dependency) in names.dependencies.results() {
        for input in inputs().filter(|input| input.value == topic) {
            let upstream = &dependency.module.value;
            let message =
                format!("{topic} is read as the results of module `{upstream}` already: a topic has one window");
            notes.error(&input.origin, message, format!("write `depends_on = [\"{upstream}\"]` instead"));
        }
    }
    let results = names.dependencies.results().map(|(topic, _)| topic);
    let consumed: BTreeSet<&str> = inputs().map(|input| input.value.as_str()).chain(results).collect();
    names.topics.iter().filter(|topic| consumed.contains(topic.name())).collect()
}

/// A disabled module may be one that comes later.
fn check_registry(notes: &Notes, names: &Names<'_>, module: &Module) {
    let known = || names.registered();
    if !module.enabled || !names.purpose.calls_modules || known().any(|name| name == module.name) {
        return;
    }
    let help = match nearest(&module.name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}; or set `enabled = false`", listed(known())),
    };
    notes.error(&module.origin, format!("there is no module `{}`", module.name), help);
}

fn check_topics(notes: &Notes, names: &Names<'_>, module: &Module) {
    if module.enabled && module.input_names().next().is_none() {
        let message = format!("module `{}` is enabled but names no inputs", module.name);
        notes.missing(&module.origin, message, "add `requires = [\"TOPIC\"]`, or set `enabled = false`");
    }
    let mut seen: Vec<&str> = Vec::new();
    for (ix, input) in module.topics().enumerate() {
        let name = input.topic.value.as_str();
        let Some(topic) = names.topic(name) else {
            undeclared(notes, names, module, input);
            continue;
        };
        if seen.contains(&name) {
            let required = module.requires.iter().any(|input| input.topic.value == name);
            let how = if required && ix >= module.requires.len() { "as required and as optional" } else { "twice" };
            notes.error(&input.topic.origin, format!("module `{}` names {name} {how}", module.name), "keep one");
        }
        seen.push(name);
        check_age(notes, name, input.max_age.as_ref(), ("expect", topic.expect_ms));
    }
}

fn undeclared(notes: &Notes, names: &Names<'_>, module: &Module, input: &Input) {
    let name = &input.topic.value;
    let publisher = names.modules.iter().find(|other| other.output_topic.value == *name);
    let help = match (publisher, nearest(name, names.topics.iter().map(Topic::name))) {
        (Some(publisher), _) => format!("write `depends_on = [\"{}\"]`", publisher.name),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => format!("add a table `[topics.{name}]`"),
    };
    let message = format!("module `{}` names the topic {name}, which is not declared", module.name);
    notes.missing(&input.topic.origin, message, help);
}

fn check_dependencies(notes: &Notes, names: &Names<'_>, module: &Module) {
    for (ix, dependency) in module.depends_on.iter().enumerate() {
        let Placed { value: name, origin } = &dependency.module;
        if *name == module.name {
            notes.error(origin, format!("module `{name}` depends on itself"), "remove it");
            continue;
        }
        if module.depends_on[..ix].iter().any(|other| other.module.value == *name) {
            notes.error(origin, format!("module `{}` depends on `{name}` twice", module.name), "keep one");
        } else if module.topics().any(|input| input.topic.value == *name) {
            let message = format!("two inputs of module `{}` are called `{name}`: a topic and a module", module.name);
            notes.error(origin, message, "give the topic another name");
        }
        check_upstream(notes, names, module, dependency);
    }
}

/// A module that runs elsewhere is known by its table, or by a table of the topic it publishes to.
fn check_upstream(notes: &Notes, names: &Names<'_>, module: &Module, dependency: &Dependency) {
    let Placed { value: name, origin } = &dependency.module;
    let output = names.dependencies.output_topic(name);
    let topic = names.topic(&output).filter(|topic| topic.declared);
    let upstream = names.dependencies.declared(name);
    let is_known = upstream.is_some() || topic.is_some() || names.registered().any(|known| known == name);
    if names.purpose.calls_modules && !is_known {
        let declared = names.modules.iter().map(|module| module.name.as_str());
        let others = names.registered().chain(declared).filter(|other| *other != module.name);
        let help = match nearest(name, others) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("if it runs elsewhere, add a table `[topics.{output}]` for its results"),
        };
        notes.missing(origin, format!("module `{}` depends on `{name}`, which is no module", module.name), help);
    }
    let max_age = dependency.max_age.as_ref();
    match upstream.map(|upstream| &upstream.trigger) {
        Some(Trigger::Every(ms)) => check_age(notes, name, max_age, ("every", Some(*ms))),
        _ => check_age(notes, name, max_age, ("expect", topic.and_then(|topic| topic.expect_ms))),
    }
}

/// What comes less often than it must be young is stale most of the time.
fn check_age(notes: &Notes, input: &str, max_age: Option<&Placed<i64>>, (key, cadence_ms): (&str, Option<i64>)) {
    let (Some(max_age), Some(cadence_ms)) = (max_age, cadence_ms) else { return };
    if max_age.value < cadence_ms {
        let message = format!("`max_age` of {input} is shorter than its `{key}`: the input is stale most of the time");
        notes.warn(&max_age.origin, message, format!("make it at least as long as `{key}`"));
    }
}

fn check_trigger(notes: &Notes, names: &Names<'_>, module: &Module) {
    let on = module.trigger.named().iter();
    for Placed { value, origin } in on.filter(|on| !module.input_names().any(|input| input == on.value)) {
        let upstreams = || module.depends_on.iter().map(|dependency| dependency.module.value.as_str());
        let published = upstreams().find(|upstream| names.dependencies.output_topic(upstream) == *value);
        let help = match published.or_else(|| nearest(value, module.input_names())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name one of its inputs".to_owned(),
        };
        notes.error(origin, format!("{value} is no input of module `{}`", module.name), help);
    }
}

/// The plan for the consumed topics and the enabled modules, both in this order. Names that were not found are left
/// out, so this must be used only when [`check`] found no error.
pub(super) fn plan(
    names: &Names<'_>,
    topics: &[&Topic],
    modules: &[&Module],
    (limits, stations): (Limits, StationLimits),
) -> Plan {
    let planner = Planner { names, topics, modules };
    Plan {
        topics: topics.iter().map(|topic| queue::keeping_keys(&topic.plan, modules)).collect(),
        modules: modules.iter().map(|module| planner.module(module)).collect(),
        limits,
        stations,
    }
}

/// Turns names into places of the plan.
struct Planner<'a> {
    names: &'a Names<'a>,
    topics: &'a [&'a Topic],
    modules: &'a [&'a Module],
}

impl Planner<'_> {
    fn module(&self, module: &Module) -> ModulePlan {
        let dependencies =
            |optional| module.depends_on.iter().filter(move |d| d.optional == optional).map(|d| self.dependency(d));
        let topics = |inputs: &[Input]| inputs.iter().map(|input| self.input(input)).collect::<Vec<_>>();
        let requires: Vec<_> = topics(&module.requires).into_iter().chain(dependencies(false)).flatten().collect();
        let optional: Vec<_> = topics(&module.optional).into_iter().chain(dependencies(true)).flatten().collect();
        let source = |name: &str| {
            let mut inputs = requires.iter().chain(&optional);
            inputs.find(|input| &*input.name == name).map(|input| input.source)
        };
        let sources = |on: &[Placed<String>]| on.iter().filter_map(|name| source(&name.value)).collect();
        let trigger = match &module.trigger {
            Trigger::Every(interval_ms) => plan::Trigger::Every { interval_ms: *interval_ms },
            Trigger::Each { on } => plan::Trigger::Each { on: sources(on) },
            Trigger::Changes { on, min_interval_ms } => {
                plan::Trigger::Changes { on: on.as_deref().map(sources), min_interval_ms: *min_interval_ms }
            }
        };
        ModulePlan {
            name: Arc::from(module.name.as_str()),
            version: Arc::from(version(&module.name, self.names.purpose)),
            trigger,
            requires,
            optional,
            incomplete: module.incomplete,
            run_ms: millis(module.failure.longest()),
            call_ms: millis(module.failure.timeout),
            quarantine: module.failure.quarantine.map(quarantine),
            once: module.queue.once.as_ref().map(once),
        }
    }

    fn input(&self, input: &Input) -> Option<InputPlan> {
        let source = self.topic(&input.topic.value)?;
        Some(named(&input.topic, source, input.max_age.as_ref()))
    }

    fn dependency(&self, dependency: &Dependency) -> Option<InputPlan> {
        let source = match self.names.dependencies.upstream(&dependency.module.value) {
            Upstream::Topic(topic) => self.topic(&topic)?,
            Upstream::Here(name) => {
                let ix = self.modules.iter().position(|module| module.name == name)?;
                Source::Module(ModuleId(u16::try_from(ix).ok()?))
            }
        };
        Some(named(&dependency.module, source, dependency.max_age.as_ref()))
    }

    fn topic(&self, name: &str) -> Option<Source> {
        let ix = self.topics.iter().position(|topic| topic.name() == name)?;
        u16::try_from(ix).ok().map(TopicId).map(Source::Topic)
    }
}

fn named(name: &Placed<String>, source: Source, max_age: Option<&Placed<i64>>) -> InputPlan {
    InputPlan { name: Arc::from(name.value.as_str()), source, max_age_ms: max_age.map(|age| age.value) }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn version<'p>(module: &str, purpose: &Purpose<'p>) -> &'p str {
    let known = purpose.known_modules.iter().find(|(name, _)| *name == module);
    known.map_or(UNKNOWN_VERSION, |(_, version)| version)
}

fn once(settings: &OnceSettings) -> plan::OncePlan {
    let OnceSettings { key, keep, max } = settings;
    plan::OncePlan { key: key.clone(), keep_ms: millis(*keep), max: *max }
}

fn quarantine(settings: QuarantineSettings) -> plan::QuarantinePlan {
    let QuarantineSettings { after, pause, max_pause } = settings;
    plan::QuarantinePlan { after, pause_ms: millis(pause), max_pause_ms: millis(max_pause) }
}
