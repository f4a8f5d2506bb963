//! The native properties of each client, complete: built in, then ours, then `[kafka.properties]`, then a topic's own.

use std::collections::BTreeMap;

use super::catalogue::Scope;
use super::passthrough::Given;
use crate::config::consumer::{NUMBERS, Protocol, Tuning};
use crate::config::problem::Origin;
use crate::config::reader::Notes;
use crate::config::security::Setting;
use crate::config::settings::Properties;

/// The fixed part of every client.
const EVERY: &[(&str, &str)] = &[
    ("log.connection.close", "false"),
    // After a broker's restart clients are back within a second or two instead of ten.
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.keepalive.enable", "true"),
    // How soon new partitions are found and a denied topic heals.
    ("topic.metadata.refresh.interval.ms", "10000"),
];

/// The fixed part of every consumer.
const CONSUMER: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "false"),
    // Every start position is given with the assignment; the client must never choose one itself.
    ("auto.offset.reset", "error"),
    ("check.crcs", "true"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "false"),
    ("fetch.queue.backoff.ms", "5"),
    ("isolation.level", "read_committed"),
    // Queues are bounded by bytes: a partition above this many records would be backed off.
    ("queued.min.messages", "100000"),
    ("statistics.interval.ms", "1000"),
];

/// The fixed part of the producer.
const PRODUCER: &[(&str, &str)] = &[
    // For ever: a result is retried until the broker has it or refuses it.
    ("message.timeout.ms", "0"),
    // Java's partitioner, so that keys lie where other clients expect them.
    ("partitioner", "murmur2_random"),
    ("queue.buffering.max.kbytes", "65536"),
    ("statistics.interval.ms", "1000"),
];

/// What a fetch response may say besides records.
const RESPONSE_SLACK: i64 = 1 << 20;
/// The library's own limit on responses.
const RESPONSE_BYTES: i64 = 100_000_000;
/// The default `max.message.bytes` of topics; the library's own default is smaller.
const MESSAGE_BYTES: i64 = 1 << 20;

/// One property, who set it, and under which name that was.
#[derive(Clone, Debug)]
pub(in crate::config) struct Set {
    pub(in crate::config) value: String,
    pub(in crate::config) origin: Origin,
    pub(in crate::config) key: String,
    /// A topic's own table is more special than `[kafka.properties]`.
    of_topic: bool,
}

/// A client's properties with their origins, by canonical name.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Map(pub(in crate::config) BTreeMap<&'static str, Set>);

impl Map {
    fn fixed(&mut self, name: &'static str, value: impl ToString) {
        self.ours(name, name, value, &Origin::Default, false);
    }

    fn ours(&mut self, name: &'static str, key: &str, value: impl ToString, origin: &Origin, of_topic: bool) {
        let set = Set { value: value.to_string(), origin: origin.clone(), key: key.to_owned(), of_topic };
        self.0.insert(name, set);
    }

    fn settings(&mut self, settings: &[Setting]) {
        for (native, key, placed) in settings {
            self.ours(native, key, &placed.value, &placed.origin, false);
        }
    }

    /// Lays a given property over ours; the same thing said under two names is an error.
    fn given(&mut self, notes: &Notes, given: &Given) {
        let name = given.native.name;
        if let Some(ours) = self.0.get(name) {
            if ours.of_topic {
                return;
            }
            if ours.origin.is_given() {
                let message = format!("\"{name}\" and `{}` are the same setting", ours.key);
                notes.error(&given.origin, message, format!("keep `{}`", ours.key));
                return;
            }
        }
        self.ours(name, name, &given.value, &given.origin, false);
    }

    /// The property as a number.
    pub(in crate::config) fn number(&self, name: &str) -> Option<i64> {
        let number: f64 = self.0.get(name)?.value.parse().ok()?;
        Some(number as i64)
    }

    pub(in crate::config) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|set| set.value.as_str())
    }

    /// The properties alone, as a client takes them.
    pub(in crate::config) fn properties(&self) -> Properties {
        Properties(self.0.iter().map(|(name, set)| ((*name).to_owned(), set.value.clone())).collect())
    }
}

/// What all clients have in common.
pub(in crate::config) struct Common<'a> {
    pub(in crate::config) notes: &'a Notes,
    /// The base of client ids: the group id.
    pub(in crate::config) base: &'a str,
    pub(in crate::config) settings: &'a [Setting],
    pub(in crate::config) given: &'a [Given],
}

impl Common<'_> {
    /// `<base>/<role>`, then the topic and the instance where there are any. A `client.id` of the user is the base.
    fn client_id(&self, parts: &[&str]) -> String {
        let base = self.given.iter().find(|given| given.native.name == "client.id").map(|given| given.value.as_str());
        std::iter::once(base.unwrap_or(self.base)).chain(parts.iter().copied()).collect::<Vec<_>>().join("/")
    }

    fn given_number(&self, name: &str) -> i64 {
        let given = self.given.iter().find(|given| given.native.name == name);
        given.and_then(|given| given.value.parse().ok()).unwrap_or(0)
    }

    fn start(&self) -> Map {
        let mut map = Map::default();
        EVERY.iter().for_each(|(name, value)| map.fixed(name, value));
        map.settings(self.settings);
        map
    }

    fn lay_over(&self, map: &mut Map, scope: Scope) {
        let concerned = |given: &&Given| given.native.scope == Scope::Both || given.native.scope == scope;
        let named = self.given.iter().filter(|given| given.native.name != "client.id");
        named.filter(concerned).for_each(|given| map.given(self.notes, given));
    }

    /// The properties that every client shares, with the id of an admin client.
    pub(in crate::config) fn client(&self) -> Map {
        let mut map = self.start();
        map.fixed("client.id", self.client_id(&["admin"]));
        self.lay_over(&mut map, Scope::Both);
        map
    }

    /// The producer. `message_bytes` is the largest message that a topic it writes to is said to take.
    pub(in crate::config) fn producer(&self, settings: &[Setting], message_bytes: Option<i64>) -> Map {
        let mut map = self.start();
        PRODUCER.iter().for_each(|(name, value)| map.fixed(name, value));
        map.fixed("client.id", self.client_id(&["producer"]));
        map.fixed("message.max.bytes", message_bytes.unwrap_or(0).clamp(MESSAGE_BYTES, 1_000_000_000));
        map.settings(settings);
        self.lay_over(&mut map, Scope::Producer);
        map
    }

    /// One consumer of `group`.
    pub(in crate::config) fn consumer(&self, group: &str, tuning: &Tuning, room: Room<'_>) -> Map {
        let mut map = self.start();
        CONSUMER.iter().for_each(|(name, value)| map.fixed(name, value));
        let instance = tuning.instance.value.as_deref();
        let id: Vec<&str> = ["consumer"].into_iter().chain(room.topic).chain(instance).collect();
        map.fixed("client.id", self.client_id(&id));
        map.fixed("group.id", group);
        map.fixed("queued.max.messages.kbytes", (room.prefetch_bytes / 1024).clamp(1, 2_097_151));
        let room = Room { message_bytes: room.message_bytes.max(self.given_number("message.max.bytes")), ..room };
        for (number, won) in NUMBERS.iter().zip(&tuning.numbers) {
            let roomy = matches!(number.key, "fetch_max_bytes" | "max_partition_fetch_bytes") && !won.origin.is_given();
            let value = if roomy { won.value.min(room.prefetch_bytes).max(room.least(number.key)) } else { won.value };
            map.ours(number.native, number.key, value, &won.origin, won.of_topic);
        }
        if let Some(instance) = instance {
            map.ours("group.instance.id", "instance_id", instance, &tuning.instance.origin, tuning.instance.of_topic);
        }
        let protocol = &tuning.protocol;
        let word = if protocol.value == Protocol::Classic { "classic" } else { "consumer" };
        map.ours("group.protocol", "protocol", word, &protocol.origin, protocol.of_topic);
        if protocol.value == Protocol::Classic {
            map.fixed("partition.assignment.strategy", "range");
        }
        self.lay_over(&mut map, Scope::Consumer);
        if protocol.value == Protocol::Consumer {
            leave_to_broker(self.notes, &mut map);
        }
        if !map.0.contains_key("receive.message.max.bytes") {
            let largest = map.number("fetch.max.bytes").unwrap_or(0).max(room.record_bytes);
            let response = largest.saturating_add(RESPONSE_SLACK).clamp(RESPONSE_BYTES, i64::from(i32::MAX));
            map.fixed("receive.message.max.bytes", response);
        }
        map
    }
}

/// What one consumer is given, and what it must be able to take in.
#[derive(Clone, Copy)]
pub(in crate::config) struct Room<'a> {
    /// The topic, when it is the only one.
    pub(in crate::config) topic: Option<&'a str>,
    /// Its share of `prefetch_total_mb`.
    pub(in crate::config) prefetch_bytes: i64,
    /// The largest message that its topics are said to hold.
    pub(in crate::config) message_bytes: i64,
    /// The largest record that is looked at; beyond it the broker's answer may not be read at all.
    pub(in crate::config) record_bytes: i64,
}

impl Room<'_> {
    /// Fetches that are too small for one message cost a second request for it.
    fn least(&self, key: &str) -> i64 {
        if key == "fetch_max_bytes" { self.message_bytes.clamp(MESSAGE_BYTES, 2_147_483_135) } else { 1 }
    }
}

/// Under the consumer protocol the broker decides these, and the library refuses them.
const BROKERS_OWN: &[(&str, &str)] = &[
    ("session.timeout.ms", "group.consumer.session.timeout.ms"),
    ("heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms"),
    ("partition.assignment.strategy", "group.consumer.assignors"),
];

fn leave_to_broker(notes: &Notes, map: &mut Map) {
    for (name, broker) in BROKERS_OWN {
        if let Some(set) = map.0.remove(name).filter(|set| set.origin.is_given()) {
            let message = format!("`{}` cannot be set with `protocol = \"consumer\"`", set.key);
            notes.error(
                &set.origin,
                message,
                format!("it is the broker's `{broker}`; or use `protocol = \"classic\"`"),
            );
        }
    }
}
