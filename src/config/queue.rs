//! Work queues: modules for which each reading is a run of its own, in order, and what is done once only.
//! Reads the keys that only they have, and finds out whether their topics can be read like that.

use quorate_core::plan::{Pointer, Scope, TopicPlan, WindowPlan};

use super::link::Names;
use super::modules::Module;
use super::problem::Origin;
use super::profile::Profile;
use super::raw::Node;
use super::reader::{Misfit, Notes, Parsed, Reader};
use super::scalar::{count, pointer, positive};
use super::settings::OnceSettings;
use super::trigger::Trigger;

/// Readings that may wait for a run of their own unless the module says otherwise.
const MAX_PENDING: usize = 10_000;

/// The profile of topics of which one task is in hand at a time: what else waits, waits in Kafka.
pub(super) const EXCLUSIVE: &str = Profile::ExclusiveTask.name();

/// What only a module of a work queue has.
pub(super) struct Queue {
    pub(super) max_pending: usize,
    pub(super) once: Option<OnceSettings>,
}

pub(super) fn read(module: &Reader<'_>, name: &str, trigger: &Trigger, is_exclusive: bool) -> Queue {
    let each = trigger.is_each();
    let max_pending = match each {
        true if is_exclusive => module.or_by(Origin::Profile(EXCLUSIVE), "max_pending", 1, count).value,
        true => module.or("max_pending", 10_000, count).value,
        false => module.optional("max_pending", count).map_or(MAX_PENDING, |max| max.value),
    };
    if let Some(entry) = module.entry("max_pending").filter(|_| !each) {
        let message = format!("`max_pending` of module `{name}` has no effect: what waits for it coalesces");
        module.notes.warn(&entry.key, message, "remove it, or write `trigger = { each = true, on = [\"TOPIC\"] }`");
    }
    let table = module.table("once");
    if !table.is_present() {
        return Queue { max_pending, once: None };
    }
    if !each {
        let help =
            "write `trigger = { each = true, on = [\"TOPIC\"] }`: changes that coalesce have no key of their own";
        module.notes.error(&table.origin, "`once` needs the trigger `each`", help);
    }
    let key = table.required("key", key, "the pointer to what tells readings apart, e.g. `key = \"/task_uuid\"`");
    let keep = table.or("keep", "7d", positive).value;
    let max = table.or("max", 1_000_000, count).value;
    table.finish();
    Queue { max_pending, once: key.map(|key| OnceSettings { key: key.value, keep, max }) }
}

fn key(node: &Node) -> Parsed<Pointer> {
    let at = pointer(node)?;
    if at.steps().is_empty() {
        let misfit = Misfit::new("the empty pointer is the whole reading, which is no key");
        return Err(misfit.help("point at a string or a number, e.g. `/task_uuid`").into());
    }
    Ok(at)
}

/// Readings can be runs of their own where they belong to one station, and where the newest one is what a module sees.
pub(super) fn check(notes: &Notes, names: &Names<'_>, module: &Module) {
    let Trigger::Each { on } = &module.trigger else { return };
    for input in on {
        let topic = names.topic(&input.value).filter(|_| module.topics().any(|i| i.topic.value == input.value));
        if let Some(topic) = topic {
            check_topic(notes, &topic.plan, &input.origin);
        } else if module.depends_on.iter().any(|dependency| dependency.module.value == input.value) {
            let message = format!("`{}` is a module, and `each` wants topics", input.value);
            let help = "name a topic, or leave `each` out: results of modules coalesce";
            notes.error(&input.origin, message, help);
        }
    }
}

fn check_topic(notes: &Notes, topic: &TopicPlan, origin: &Origin) {
    let name = &topic.name;
    if let Some(kind) = kind(&topic.window) {
        let message = format!("`each` wants the newest reading of {name}, whose window is `{kind}`");
        let help = format!("remove `window` of [topics.{name}], or leave `each` out: then changes coalesce");
        notes.error(origin, message, help);
    }
    if matches!(topic.scope, Scope::Global) {
        let message = format!("a reading of {name} belongs to every station and can be no run of its own");
        notes.error(origin, message, "leave `each` out: then a change makes every station due");
    }
}

/// The kind of a window that keeps something else than the newest reading.
fn kind(window: &WindowPlan) -> Option<&'static str> {
    match window {
        WindowPlan::Latest => None,
        WindowPlan::PerKey { .. } => Some("per_key"),
        WindowPlan::Rows(_) => Some("rows"),
        WindowPlan::Grid(_) => Some("grid"),
        WindowPlan::Bucket(_) => Some("bucket"),
        WindowPlan::Results => Some("results"),
    }
}

/// The topic as it must be read for these modules: what their keys point at is kept, also by a projection.
pub(super) fn keeping_keys(topic: &TopicPlan, modules: &[&Module]) -> TopicPlan {
    let mut topic = topic.clone();
    let Some(fields) = &mut topic.fields else { return topic };
    for module in modules.iter().filter(|module| module.trigger.named().iter().any(|on| *on.value == *topic.name)) {
        let Some(once) = &module.queue.once else { continue };
        if !fields.iter().any(|field| once.key.steps().starts_with(field.steps())) {
            fields.push(once.key.clone());
        }
    }
    topic
}

/// Says what stands in the way of handling exactly one task after another, when a topic is read by a profile that
/// promises it.
pub(super) fn advise(notes: &Notes, modules: &[&Module], exclusive: &[&str]) {
    for module in modules {
        let mut topics = module.topics().map(|input| input.topic.value.as_str());
        let Some(topic) = topics.find(|topic| exclusive.contains(topic)) else { continue };
        let name = &module.name;
        if !module.trigger.is_each() {
            let message = format!("module `{name}` may pass over tasks of {topic}: those of one station coalesce");
            let help = format!("`trigger = {{ each = true, on = [\"{topic}\"] }}` makes each a run of its own");
            notes.advise(&module.origin, message, help);
        }
        if module.concurrency.value > 1 {
            let message = format!(
                "module `{name}` may have {} tasks of {topic} in hand, though the profile `exclusive_task` reads one \
                 at a time",
                module.concurrency.value
            );
            let given = Some(&module.concurrency.origin).filter(|origin| origin.is_given());
            notes.advise(given.unwrap_or(&module.origin), message, "set `concurrency = 1`");
        }
    }
}
