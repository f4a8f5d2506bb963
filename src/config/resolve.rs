//! Puts the tables together: reads each, holds them against each other, and builds the settings.
//! The settings mean something only when no error was noted on the way.

use std::sync::Arc;
use std::time::Duration;

use super::consumer::{self, Keys, Tuning};
use super::dependencies::Dependencies;
use super::link::{self, Names};
use super::modules::{self, Module};
use super::native::clients::{Common, Map, Room};
use super::native::{checks, foreign, passthrough};
use super::problem::Origin;
use super::raw::{Node, Table};
use super::reader::{Misfit, Notes, Parsed, Placed, Reader};
use super::scalar::{one_or_many, positive, text};
use super::secret::Vault;
use super::security::Setting;
use super::settings::{
    ConsumerMode, ConsumerSettings, MissingTopic, ModuleSettings, ServiceSettings, Settings, TopicSettings,
};
use super::topics::{self, Topic};
use super::{Purpose, groups, producer, queue, security, service, state};

/// Below this a consumer's prefetch is not worth having.
const LEAST_PREFETCH_BYTES: i64 = 1 << 20;
/// The group id where none is needed: nothing is connected to.
const NO_GROUP: &str = "quorate";

/// The `[kafka]` tables as read.
struct Kafka {
    startup_timeout: Duration,
    shared: Vec<Setting>,
    producer: Vec<Setting>,
    given: Vec<passthrough::Given>,
    keys: Keys,
    global: consumer::Global,
    group: String,
}

pub(super) fn resolve(notes: &Notes, tree: &Table, vault: &Vault<'_>, purpose: &Purpose<'_>) -> Settings {
    let root = Reader::root(notes, tree);
    let kafka = kafka(&root, vault, purpose);
    let process = service::service(&root);
    let bounds = (service::limits(&root), service::stations(&root));
    let log_format = service::log(&root);
    let dead_letter = service::dead_letter(&root, &kafka.group);
    let state = state::read(&root);
    service::inactive(&root, vault);
    let exclusive = consumer::exclusive_topics(&kafka.keys, &root.table("topics"));
    let modules = modules::read(&root.table("modules"), &exclusive);
    let dependencies = Dependencies::new(&modules, purpose.calls_modules);
    let declared = topics::read(&root.table("topics"), &dependencies);
    root.finish();

    let names = Names { topics: &declared, modules: &modules, dependencies: &dependencies, purpose };
    let consumed = link::check(notes, &names);
    let enabled = dependencies.in_order();
    check_loop(notes, &consumed, &dead_letter);

    let mode = if kafka.global.multi.value { ConsumerMode::Multi } else { ConsumerMode::Single };
    if mode == ConsumerMode::Single {
        declared.iter().for_each(|topic| consumer::warn_inert(notes, topic.name(), &topic.keys));
    }
    let tunings: Vec<Tuning> = consumed.iter().map(|t| consumer::tune(&kafka.keys, Some(&t.keys))).collect();
    for (topic, tuning) in consumed.iter().zip(&tunings) {
        consumer::warn_latest(notes, &kafka.keys, &topic.keys, &tuning.reset);
        check_creation(notes, topic, tuning);
        if mode == ConsumerMode::Multi {
            consumer::show_profile(notes, topic.name(), tuning);
        }
    }
    check_groups(notes, mode, &kafka.group, &consumed);
    let exclusive = consumed.iter().filter(|topic| consumer::is_exclusive(&kafka.keys, &topic.keys));
    queue::advise(notes, &enabled, &exclusive.map(|topic| topic.name()).collect::<Vec<_>>());
    consumer::advise_mode(notes, &kafka.global.multi, consumed.len());

    let common = Common { notes, base: &kafka.group, settings: &kafka.shared, given: &kafka.given };
    let client = common.client();
    let consumers = consumers(&common, &kafka, mode, &consumed, &tunings, bounds.0.record_bytes);
    let producer = produced(&common, &kafka, &declared, &enabled);
    // What was handed over and is not decoded yet may be as much as what the clients hold.
    let lane_bytes = usize::try_from(kafka.global.prefetch_mb.value << 20).unwrap_or(usize::MAX);
    let flush_interval = match &kafka.global {
        global if global.auto_commit.value => {
            Duration::from_millis(global.auto_commit_interval_ms.value.unsigned_abs())
        }
        _ => process.flush_interval,
    };
    Settings {
        plan: Arc::new(link::plan(&names, &consumed, &enabled, bounds)),
        mode,
        base_group: kafka.group,
        topics: consumed
            .iter()
            .zip(&tunings)
            .map(|(t, tuning)| topic_settings(t, tuning, consumer::is_queue(&kafka.keys, &t.keys), consumed.len()))
            .collect(),
        consumers,
        producer: producer.properties(),
        client: client.properties(),
        modules: enabled.iter().map(|module| module_settings(module)).collect(),
        state,
        service: ServiceSettings {
            startup_timeout: kafka.startup_timeout,
            drain_timeout: process.drain_timeout,
            flush_interval,
            module_threads: process.module_threads,
            lane_bytes,
        },
        dead_letter_topic: dead_letter.value,
        log_format,
    }
}

fn kafka(root: &Reader<'_>, vault: &Vault<'_>, purpose: &Purpose<'_>) -> Kafka {
    let notes = root.notes;
    let outer = root.optional("bootstrap_servers", brokers);
    let table = root.table("kafka");
    let inner = if purpose.connects && outer.is_none() {
        table.required("bootstrap_servers", brokers, "e.g. `bootstrap_servers = [\"localhost:9092\"]` in [kafka]")
    } else {
        table.optional("bootstrap_servers", brokers)
    };
    if let (Some(outer), Some(_)) = (&outer, &inner) {
        notes.error(&outer.origin, "`bootstrap_servers` stands here and in [kafka]", "keep the one in [kafka]");
    }
    let servers = inner.or(outer).unwrap_or(Placed { value: String::new(), origin: Origin::Default });

    let secure = table.table("security");
    let mut shared = security::read(&secure, vault, &servers.value);
    secure.finish_with(|key| foreign::advice(key, "kafka.security"));
    shared.push(("bootstrap.servers", "bootstrap_servers", servers));

    let consumer_table = table.table("consumer");
    let keys = consumer::read(&consumer_table);
    let global = consumer::read_global(&consumer_table, purpose.connects);
    consumer::show(&consumer_table, &consumer::tune(&keys, None));
    consumer_table.finish_with(|key| foreign::advice(key, "kafka.consumer"));

    let producer_table = table.table("producer");
    let producer = producer::read(&producer_table);
    producer_table.finish_with(|key| foreign::advice(key, "kafka.producer"));

    let given = passthrough::read(&table.table("properties"), vault);
    let startup_timeout = table.or("startup_timeout", "60s", positive).value;
    table.finish_with(|key| foreign::advice(key, "kafka"));
    let group = global.group.as_ref().map_or_else(|| NO_GROUP.to_owned(), |group| group.value.clone());
    Kafka { startup_timeout, shared, producer, given, keys, global, group }
}

/// A list of `host:port`, or one string with commas.
fn brokers(node: &Node) -> Parsed<String> {
    let listed = one_or_many(text)(node)?.join(",");
    let servers: Vec<&str> = listed.split(',').map(str::trim).filter(|server| !server.is_empty()).collect();
    if servers.is_empty() {
        return Err(Misfit::new("must name at least one broker").help("e.g. `[\"localhost:9092\"]`").into());
    }
    Ok(servers.join(","))
}

/// Dead letters that are read again would become dead letters again.
fn check_loop(notes: &Notes, consumed: &[&Topic], dead_letter: &Placed<String>) {
    if let Some(topic) = consumed.iter().find(|topic| topic.name() == dead_letter.value) {
        let message = format!("{} is consumed and takes the dead letters", dead_letter.value);
        notes.error(&topic.origin, message, "name another `topic` in [dead_letter]");
    }
}

/// Two consumers in one group with different topics rebalance each other for ever.
fn check_groups(notes: &Notes, mode: ConsumerMode, base: &str, consumed: &[&Topic]) {
    if mode == ConsumerMode::Single {
        return;
    }
    let help = "choose another `group_id`, or another topic name";
    for topic in consumed {
        let group = groups::of_topic(base, topic.name());
        if groups::is_reserved(base, &group) {
            let message = format!("the group of this topic would be {group}, which quorate uses for itself");
            notes.error(&topic.origin, message, help);
        }
    }
    let pairs: Vec<_> = consumed.iter().map(|topic| (base, topic.name())).collect();
    for ((_, first), (_, second)) in groups::colliding(&pairs) {
        notes.error(&Origin::Default, format!("{first} and {second} would share a group"), help);
    }
}

/// What is to be created must be described.
fn check_creation(notes: &Notes, topic: &Topic, tuning: &Tuning) {
    if tuning.missing.value == MissingTopic::Create && topic.provision.is_none() {
        let message = format!("{} is to be created when it is missing, but nothing says how", topic.name());
        notes.error(&topic.origin, message, "add `provision = { partitions = 3, replication = 3 }`");
    }
}

fn consumers(
    common: &Common<'_>,
    kafka: &Kafka,
    mode: ConsumerMode,
    consumed: &[&Topic],
    tunings: &[Tuning],
    record_bytes: usize,
) -> Vec<ConsumerSettings> {
    let count = i64::try_from(if mode == ConsumerMode::Multi { consumed.len() } else { 1 }).unwrap_or(i64::MAX).max(1);
    let share = share(common.notes, &kafka.global, count);
    let record_bytes = i64::try_from(record_bytes).unwrap_or(i64::MAX);
    let ids = || (0u16..).map(quorate_core::ident::TopicId);
    let message_bytes = |topic: &Topic| topic.message_bytes.as_ref().map_or(0, |size| size.value);
    let build = |group: String, topics: Vec<_>, tuning: &Tuning, room: Room<'_>| {
        let map = common.consumer(&group, tuning, room);
        checks::consumer(common.notes, &map);
        let prefetch_bytes = prefetch(common.notes, &kafka.global, &map, count);
        ConsumerSettings { group, topics, properties: map.properties(), prefetch_bytes }
    };
    let room = |topic, message_bytes| Room { topic, prefetch_bytes: share, message_bytes, record_bytes };
    if mode == ConsumerMode::Single {
        let largest = consumed.iter().map(|topic| message_bytes(topic)).max().unwrap_or(0);
        let topics = ids().take(consumed.len()).collect();
        let tuning = consumer::tune(&kafka.keys, None);
        return vec![build(kafka.group.clone(), topics, &tuning, room(None, largest))];
    }
    let each = ids().zip(consumed.iter().zip(tunings));
    each.map(|(id, (topic, tuning))| {
        let room = room(Some(topic.name()), message_bytes(topic));
        build(groups::of_topic(&kafka.group, topic.name()), vec![id], tuning, room)
    })
    .collect()
}

/// Each consumer's part of `prefetch_total_mb`, in bytes.
fn share(notes: &Notes, global: &consumer::Global, count: i64) -> i64 {
    let total = global.prefetch_mb.value << 20;
    if total < count.saturating_mul(LEAST_PREFETCH_BYTES) {
        let message =
            format!("`prefetch_total_mb` = {} leaves less than 1 MiB for each of {count} consumers", total >> 20);
        notes.error(&global.prefetch_mb.origin, message, format!("set it to {count} or more"));
    }
    (total / count).max(LEAST_PREFETCH_BYTES)
}

/// What the client was really told, held against the total.
fn prefetch(notes: &Notes, global: &consumer::Global, map: &Map, count: i64) -> usize {
    let name = "queued.max.messages.kbytes";
    let bytes = map.number(name).unwrap_or(0).saturating_mul(1024);
    let total = global.prefetch_mb.value << 20;
    if let Some(set) = map.0.get(name).filter(|set| set.origin.is_given() && bytes.saturating_mul(count) > total) {
        let message =
            format!("{count} consumers × \"{name}\" = {} MiB, more than `prefetch_total_mb`", (bytes * count) >> 20);
        notes.error(&set.origin, message, "leave the property out: the total is divided over the consumers");
    }
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn produced(common: &Common<'_>, kafka: &Kafka, declared: &[Topic], enabled: &[&Module]) -> Map {
    let written = |topic: &&Topic| enabled.iter().any(|module| module.output_topic.value == topic.name());
    let sizes = || declared.iter().filter(written).filter_map(|topic| topic.message_bytes.as_ref());
    let map = common.producer(&kafka.producer, sizes().map(|size| size.value).max());
    checks::producer(common.notes, &map);
    let limit = map.number("message.max.bytes").unwrap_or(i64::MAX);
    for size in sizes().filter(|size| size.value > limit) {
        let message = format!("the topic takes messages of {} bytes, the producer sends at most {limit}", size.value);
        common.notes.warn(&size.origin, message, "raise \"message.max.bytes\" in [kafka.properties]");
    }
    map
}

fn topic_settings(topic: &Topic, tuning: &Tuning, is_queue: bool, consumed: usize) -> TopicSettings {
    TopicSettings {
        quota: tuning.quota.value.records(consumed),
        auto_offset_reset: tuning.reset.value,
        on_out_of_range: tuning.out_of_range.value,
        on_recreate: tuning.recreated.value,
        on_failure: topic.on_failure,
        is_queue,
        rehydrate: topic.rehydrate,
        missing_topic: tuning.missing.value,
        expect_ms: topic.expect_ms,
        provision: topic.provision.clone(),
    }
}

fn module_settings(module: &Module) -> ModuleSettings {
    let Module { failure, queue, .. } = module;
    ModuleSettings {
        name: Arc::from(module.name.as_str()),
        timeout: failure.timeout,
        retry: failure.retry,
        concurrency: module.concurrency.value,
        output_topic: module.output_topic.value.clone(),
        on_failure: failure.on_failure,
        deadline: failure.deadline,
        breaker: failure.breaker,
        quarantine: failure.quarantine,
        failure: failure.told.clone(),
        once: queue.once.clone(),
        max_pending: queue.max_pending,
    }
}
