//! The keys of `[kafka.consumer]`, which every `[topics.NAME]` may override.
//! Decides which of them wins, or the profile; knows native names, but builds no client.

use super::problem::Origin;
use super::profile::Profile;
use super::raw::{Value, is_bare};
use super::reader::{Misfit, Notes, Parsed, Placed, Reader};
use super::scalar::{choice, flag, name, within};
use super::settings::{MissingTopic, OffsetReset, OutOfRange, Recreated};

/// A number that goes to the client as it is.
pub(super) struct Number {
    pub(super) key: &'static str,
    pub(super) native: &'static str,
    default: i64,
    range: (i64, i64),
}

const fn number(key: &'static str, native: &'static str, default: i64, min: i64, max: i64) -> Number {
    Number { key, native, default, range: (min, max) }
}

/// Ranges are those of the native properties.
pub(super) const NUMBERS: [Number; 7] = [
    number("session_timeout_ms", "session.timeout.ms", 30_000, 1, 3_600_000),
    number("heartbeat_interval_ms", "heartbeat.interval.ms", 10_000, 1, 3_600_000),
    number("max_poll_interval_ms", "max.poll.interval.ms", 300_000, 1, 86_400_000),
    number("fetch_min_bytes", "fetch.min.bytes", 1, 1, 100_000_000),
    number("fetch_max_wait_ms", "fetch.wait.max.ms", 500, 0, 300_000),
    number("fetch_max_bytes", "fetch.max.bytes", 52_428_800, 1, 2_147_483_135),
    number("max_partition_fetch_bytes", "max.partition.fetch.bytes", 1_048_576, 1, 1_000_000_000),
];

/// How many records a topic may hand out in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quota {
    /// By the number of topics.
    Auto,
    Records(i64),
}

impl Quota {
    /// The quota when `topics` are consumed. Ten topics count as "from 5 to 10".
    pub(super) fn records(self, topics: usize) -> usize {
        match self {
            Self::Records(records) => usize::try_from(records).unwrap_or(usize::MAX),
            Self::Auto if topics < 5 => 500,
            Self::Auto if topics <= 10 => 300,
            Self::Auto => 200,
        }
    }
}

/// The group protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Classic,
    Consumer,
}

/// The keys as one table gives them.
#[derive(Default)]
pub(super) struct Keys {
    profile: Option<Placed<Profile>>,
    numbers: [Option<Placed<i64>>; NUMBERS.len()],
    quota: Option<Placed<Quota>>,
    reset: Option<Placed<OffsetReset>>,
    out_of_range: Option<Placed<OutOfRange>>,
    recreated: Option<Placed<Recreated>>,
    missing: Option<Placed<MissingTopic>>,
    instance: Option<Placed<String>>,
    protocol: Option<Placed<Protocol>>,
}

/// Reads the keys that `[kafka.consumer]` and `[topics.NAME]` share.
pub(super) fn read(table: &Reader<'_>) -> Keys {
    let resets =
        || vec![("earliest", OffsetReset::Earliest), ("latest", OffsetReset::Latest), ("error", OffsetReset::Error)];
    let reset = table.optional("auto_offset_reset", choice(resets(), &[]));
    let alias = table.optional("on_missing_offset", choice(resets(), &[]));
    if let (Some(_), Some(alias)) = (&reset, &alias) {
        let message = "`auto_offset_reset` and `on_missing_offset` are the same setting";
        table.notes.error(&alias.origin, message, "keep one of them");
    }
    let out_of_range =
        vec![("earliest", OutOfRange::Earliest), ("latest", OutOfRange::Latest), ("halt", OutOfRange::Halt)];
    let missing = vec![("wait", MissingTopic::Wait), ("fail", MissingTopic::Fail), ("create", MissingTopic::Create)];
    let recreated = vec![("earliest", Recreated::Earliest), ("halt", Recreated::Halt)];
    let protocols = vec![("classic", Protocol::Classic), ("consumer", Protocol::Consumer)];
    Keys {
        profile: table.optional("profile", choice(Profile::words(), Profile::LATER)),
        numbers: NUMBERS.each_ref().map(|n| table.optional(n.key, within(n.range.0, n.range.1))),
        quota: table.optional("max_poll_records", quota),
        reset: reset.or(alias),
        out_of_range: table.optional("on_out_of_range", choice(out_of_range, &[])),
        recreated: table.optional("on_recreate", choice(recreated, &[])),
        missing: table.optional("missing_topic", choice(missing, &[])),
        instance: table.optional("instance_id", name),
        protocol: table.optional("protocol", choice(protocols, &[])),
    }
}

fn quota(node: &super::raw::Node) -> Parsed<Quota> {
    match &node.value {
        Value::Text(text) if text == "auto" => Ok(Quota::Auto),
        Value::Integer(_) => within(1, 1_000_000)(node).map(Quota::Records),
        _ => Err(Misfit::new("must be a number of records or \"auto\"").into()),
    }
}

/// The value that won, and whether the topic's own table said it.
#[derive(Clone, Debug)]
pub(super) struct Won<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
    pub(super) of_topic: bool,
}

/// The values in force for one topic, or for all.
pub(super) struct Tuning {
    pub(super) numbers: [Won<i64>; NUMBERS.len()],
    pub(super) quota: Won<Quota>,
    pub(super) reset: Won<OffsetReset>,
    pub(super) out_of_range: Won<OutOfRange>,
    pub(super) recreated: Won<Recreated>,
    pub(super) missing: Won<MissingTopic>,
    pub(super) instance: Won<Option<String>>,
    pub(super) protocol: Won<Protocol>,
}

/// What is in force: the topic's own keys, then its profile, then the keys and the profile of `[kafka.consumer]`,
/// then the defaults.
pub(super) fn tune(all: &Keys, topic: Option<&Keys>) -> Tuning {
    let numbers = std::array::from_fn(|ix| {
        let key = NUMBERS[ix].key;
        pick(all, topic, |keys| keys.numbers[ix].clone(), |profile| profile.number(key), NUMBERS[ix].default)
    });
    Tuning {
        numbers,
        quota: pick(all, topic, |keys| keys.quota.clone(), |profile| Some(profile.quota()), Quota::Records(500)),
        reset: pick(all, topic, |keys| keys.reset.clone(), Profile::reset, OffsetReset::Earliest),
        out_of_range: pick(all, topic, |keys| keys.out_of_range.clone(), |_| None, OutOfRange::Earliest),
        recreated: pick(all, topic, |keys| keys.recreated.clone(), |_| None, Recreated::Earliest),
        missing: pick(all, topic, |keys| keys.missing.clone(), |_| None, MissingTopic::Wait),
        instance: pick(all, topic, |keys| some(keys.instance.clone()), |_| None, None),
        protocol: pick(all, topic, |keys| keys.protocol.clone(), |_| None, Protocol::Classic),
    }
}

fn some<T>(placed: Option<Placed<T>>) -> Option<Placed<Option<T>>> {
    placed.map(|placed| Placed { value: Some(placed.value), origin: placed.origin })
}

fn pick<T>(
    all: &Keys,
    topic: Option<&Keys>,
    explicit: impl Fn(&Keys) -> Option<Placed<T>>,
    of_profile: impl Fn(Profile) -> Option<T>,
    default: T,
) -> Won<T> {
    for (keys, of_topic) in topic.map(|keys| (keys, true)).into_iter().chain([(all, false)]) {
        if let Some(Placed { value, origin }) = explicit(keys) {
            return Won { value, origin, of_topic };
        }
        if let Some((profile, value)) = keys.profile.as_ref().and_then(|p| Some((p.value, of_profile(p.value)?))) {
            return Won { value, origin: Origin::Profile(profile.name()), of_topic };
        }
    }
    Won { value: default, origin: Origin::Default, of_topic: false }
}

/// Writes down what is in force for all topics where nothing was written.
pub(super) fn show(table: &Reader<'_>, tuning: &Tuning) {
    for (key, value, origin, _) in unwritten(tuning) {
        table.notes.show(&table.path_of(key), &value, origin);
    }
}

/// Writes down what a profile of its own says about a topic.
pub(super) fn show_profile(notes: &Notes, topic: &str, tuning: &Tuning) {
    let topic = if is_bare(topic) { topic.to_owned() } else { format!("\"{topic}\"") };
    for (key, value, origin, _) in unwritten(tuning).into_iter().filter(|(.., of_topic)| *of_topic) {
        notes.show(&format!("topics.{topic}.{key}"), &value, origin);
    }
}

/// The values in force that nobody wrote: key, value, where from, and whether the topic's own profile says so.
fn unwritten(tuning: &Tuning) -> Vec<(&'static str, Value, &Origin, bool)> {
    let reset = match tuning.reset.value {
        OffsetReset::Earliest => "earliest",
        OffsetReset::Latest => "latest",
        OffsetReset::Error => "error",
    };
    let mut found: Vec<(&'static str, Value, &Origin, bool)> = vec![
        ("auto_offset_reset", reset.into(), &tuning.reset.origin, tuning.reset.of_topic),
        ("on_out_of_range", "earliest".into(), &tuning.out_of_range.origin, false),
        ("on_recreate", "earliest".into(), &tuning.recreated.origin, false),
        ("missing_topic", "wait".into(), &tuning.missing.origin, false),
        ("protocol", "classic".into(), &tuning.protocol.origin, false),
    ];
    let numbers = NUMBERS.iter().zip(&tuning.numbers);
    found.extend(numbers.map(|(number, won)| (number.key, won.value.into(), &won.origin, won.of_topic)));
    if let Quota::Records(records) = tuning.quota.value {
        found.push(("max_poll_records", records.into(), &tuning.quota.origin, tuning.quota.of_topic));
    }
    found.retain(|(_, _, origin, _)| !origin.is_given());
    found
}

/// Warns about keys of a topic that one consumer for all topics cannot honour.
pub(super) fn warn_inert(notes: &Notes, topic: &str, keys: &Keys) {
    const HELP: &str = "set `multi_consumer_mode = true`, or set it in [kafka.consumer]";
    let mut inert: Vec<(&str, &Origin)> = Vec::new();
    inert.extend(NUMBERS.iter().zip(&keys.numbers).filter_map(|(n, set)| Some((n.key, &set.as_ref()?.origin))));
    inert.extend(keys.instance.iter().map(|set| ("instance_id", &set.origin)));
    inert.extend(keys.protocol.iter().map(|set| ("protocol", &set.origin)));
    for (key, origin) in inert {
        let message = format!("`{key}` of {topic} has no effect: one consumer serves all topics");
        notes.warn(origin, message, HELP);
    }
    if let Some(set) = &keys.profile {
        let message = format!(
            "`profile` of {topic} decides only how many records a turn has and where reading starts: one consumer \
             serves all topics"
        );
        notes.warn(&set.origin, message, HELP);
    }
}

/// Warns about positions that would be skipped, at the place that says so or asks for the profile that does.
pub(super) fn warn_latest(notes: &Notes, all: &Keys, topic: &Keys, reset: &Won<OffsetReset>) {
    if reset.value == OffsetReset::Latest {
        let profile = if reset.of_topic { &topic.profile } else { &all.profile };
        let place = match (&reset.origin, profile) {
            (Origin::Profile(_), Some(profile)) => &profile.origin,
            (origin, _) => origin,
        };
        let message = "`latest` skips what was not read yet wherever there is no committed position: what is queued \
                       before the first start, and what comes in around a switch of `multi_consumer_mode`, which \
                       gives the groups other names";
        let help = "set `auto_offset_reset = \"earliest\"`, or hand positions over before switching";
        notes.warn(place, message, help);
    }
}

/// From this many topics on each deserves a consumer of its own: fewer hardly hold each other up, and every consumer
/// costs connections, a thread and a group to watch.
const WORTH_A_CONSUMER_EACH: usize = 3;

/// Says when the other mode suits the number of topics better.
pub(super) fn advise_mode(notes: &Notes, multi: &Placed<bool>, topics: usize) {
    match (multi.value, topics) {
        (true, 1..WORTH_A_CONSUMER_EACH) => {
            let message =
                format!("a consumer for each topic pays from {WORTH_A_CONSUMER_EACH} topics on; consumed: {topics}");
            notes.advise(&multi.origin, message, "`multi_consumer_mode = false` needs one consumer and one group");
        }
        (false, WORTH_A_CONSUMER_EACH..) => {
            let message = format!("one consumer serves {topics} topics: a backlog on one delays the others");
            let help = "`multi_consumer_mode = true` gives each a consumer and a group of its own";
            notes.advise(&multi.origin, message, help);
        }
        _ => {}
    }
}

/// The keys that only `[kafka.consumer]` has.
pub(super) struct Global {
    pub(super) group: Option<Placed<String>>,
    pub(super) multi: Placed<bool>,
    pub(super) prefetch_mb: Placed<i64>,
    pub(super) auto_commit: Placed<bool>,
    pub(super) auto_commit_interval_ms: Placed<i64>,
}

/// Whether a topic is read as a queue of tasks.
pub(super) fn is_queue(all: &Keys, topic: &Keys) -> bool {
    matches!(profile(all, topic), Some(Profile::Task | Profile::ExclusiveTask))
}

/// Whether it is one of which one task is in hand at a time.
pub(super) fn is_exclusive(all: &Keys, topic: &Keys) -> bool {
    profile(all, topic) == Some(Profile::ExclusiveTask)
}

/// The topics that are such queues, by name, before anything else of them is read.
pub(super) fn exclusive_topics(all: &Keys, tables: &Reader<'_>) -> Vec<String> {
    let profile = |table: &Reader<'_>| match table.entry("profile").map(|entry| &entry.node.value) {
        Some(Value::Text(name)) => name == Profile::ExclusiveTask.name(),
        Some(_) => false,
        None => all.profile.as_ref().is_some_and(|profile| profile.value == Profile::ExclusiveTask),
    };
    tables.named().filter(|(_, table)| profile(table)).map(|(name, _)| name.to_owned()).collect()
}

/// The profile in force for a topic.
fn profile(all: &Keys, topic: &Keys) -> Option<Profile> {
    topic.profile.as_ref().or(all.profile.as_ref()).map(|profile| profile.value)
}

/// Reads the keys that only `[kafka.consumer]` has. The group id is required where the service is to connect.
pub(super) fn read_global(table: &Reader<'_>, connects: bool) -> Global {
    let group = if connects {
        table.required("group_id", name, "e.g. `group_id = \"data-analysis-service\"` in [kafka.consumer]")
    } else {
        table.optional("group_id", name)
    };
    Global {
        group,
        multi: table.or("multi_consumer_mode", false, flag),
        prefetch_mb: table.or("prefetch_total_mb", 256, within(1, 1 << 20)),
        auto_commit: table.or("enable_auto_commit", false, flag),
        auto_commit_interval_ms: table.or("auto_commit_interval_ms", 5000, within(1, 86_400_000)),
    }
}

/// Refuses, in a topic's table, the keys that only `[kafka.consumer]` has.
pub(super) fn refuse_global(table: &Reader<'_>) {
    for key in ["group_id", "multi_consumer_mode", "prefetch_total_mb"] {
        if let Some(entry) = table.entry(key) {
            let message = format!("`{}` cannot differ from topic to topic", table.path_of(key));
            table.notes.error(&entry.key, message, format!("write `{key}` in [kafka.consumer]"));
        }
    }
    for key in ["enable_auto_commit", "auto_commit_interval_ms"] {
        if let Some(entry) = table.entry(key) {
            let what = format!("`{key}` for a single topic");
            table.notes.unavailable(&entry.key, &what, format!("write `{key}` in [kafka.consumer]"));
        }
    }
}
