//! The resolved configuration: what every key means after defaults, profiles, overrides and secrets.
//! Plain data; the composition root hands each room its part.

mod module;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::ident::TopicId;
use quorate_core::plan::Plan;

pub use module::{
    BreakerSettings, CallbackSettings, FailureSettings, ModuleSettings, OnFailure, OnceSettings, QuarantineSettings,
    Retry,
};

/// Everything a run of the service needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What topics are read for and modules need. Holds only topics that an enabled module names.
    pub plan: Arc<Plan>,
    /// One consumer per topic, or one for all.
    pub mode: ConsumerMode,
    /// `group_id` as configured, before any suffix.
    pub base_group: String,
    /// Per-topic settings, in the order of `plan.topics`.
    pub topics: Vec<TopicSettings>,
    /// The consumers to build: one per topic, or one.
    pub consumers: Vec<ConsumerSettings>,
    /// Native properties of the one producer.
    pub producer: Properties,
    /// Native properties every client shares: brokers, security. What an admin client is built from.
    pub client: Properties,
    /// Per-module settings, in the order of `plan.modules`.
    pub modules: Vec<ModuleSettings>,
    /// Where state is kept between two lives of the process.
    pub state: StateSettings,
    /// The `[service]` table and the like.
    pub service: ServiceSettings,
    /// Where dead letters go.
    pub dead_letter_topic: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// How topics are spread over consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerMode {
    /// Each topic has its own consumer, group `<group_id>-<topic>`.
    Multi,
    /// One consumer for all topics, group `<group_id>`.
    Single,
}

/// Native librdkafka properties, one canonical name each. `Debug` masks secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(pub BTreeMap<String, String>);

impl Properties {
    /// Whether a property's value must never be shown.
    #[must_use]
    pub fn is_secret(name: &str) -> bool {
        super::secrecy::is_secret(name)
    }

    /// Names and values as they may be shown: secrets are masked.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), if Self::is_secret(name) { "********" } else { value }))
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

/// One consumer to build.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// The group it joins.
    pub group: String,
    /// The topics it subscribes.
    pub topics: Vec<TopicId>,
    /// Its native properties, complete.
    pub properties: Properties,
    /// What it may hold prefetched, in bytes.
    pub prefetch_bytes: usize,
}

/// What the shell does with one topic.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    /// `max_poll_records`: the most records handed out in one turn.
    pub quota: usize,
    /// Where a partition without a committed offset starts.
    pub auto_offset_reset: OffsetReset,
    /// What to do when the position no longer exists.
    pub on_out_of_range: OutOfRange,
    /// What to do when the topic was deleted and created again.
    pub on_recreate: Recreated,
    /// What becomes of a record that cannot be decoded.
    pub on_failure: Undecodable,
    /// Its records are tasks, by its profile: the log tells of each.
    pub is_queue: bool,
    /// What is read again at a start without state.
    pub rehydrate: Rehydrate,
    /// What to do while the topic does not exist.
    pub missing_topic: MissingTopic,
    /// Declared cadence, in milliseconds; none for `on_change` or absent.
    pub expect_ms: Option<i64>,
    /// How the topic is created, when the configuration says so.
    pub provision: Option<Provision>,
}

/// Where a partition without a committed offset starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// At its first record.
    Earliest,
    /// At its end.
    Latest,
    /// Nowhere: the topic fails with a message.
    Error,
}

/// What to do when a position no longer exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfRange {
    /// Go on at the first record there is.
    Earliest,
    /// Go on at the end.
    Latest,
    /// Stop the topic.
    Halt,
}

/// What to do when a topic was deleted and created again, so that positions of its former life mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recreated {
    /// Go on at the first record there is.
    Earliest,
    /// Stop the topic.
    Halt,
}

/// What becomes of a record that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// It is a dead letter, and reading goes on.
    DeadLetter,
    /// The topic's lane stops at it, with a message; other topics go on.
    Halt,
}

/// What is read again, without invoking, at a start without state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rehydrate {
    /// Everything there is.
    Beginning,
    /// Records of the last `span_ms` milliseconds before the start.
    Span {
        /// The window's span.
        span_ms: i64,
    },
    /// Nothing.
    None,
}

/// What to do while a topic does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingTopic {
    /// Wait for it; only modules that need it are incomplete.
    Wait,
    /// Refuse to start.
    Fail,
    /// Create it as `provision` says.
    Create,
}

/// How a topic is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provision {
    /// Number of partitions.
    pub partitions: i32,
    /// Replication factor.
    pub replication: i32,
    /// Topic configuration: `retention.ms`, `cleanup.policy`, `max.message.bytes`.
    pub config: BTreeMap<String, String>,
}

/// Where state is kept between two lives of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSettings {
    /// On disk, or not at all.
    pub mode: StateMode,
    /// The folder of the store, relative to the working directory. Without meaning in [`StateMode::Memory`].
    pub dir: PathBuf,
}

/// Where state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateMode {
    /// In an embedded store on this machine, which holds the positions as well.
    Local,
    /// In memory alone: the group's positions are the truth, and state is read again at each start.
    Memory,
}

/// The `[service]` table, and what else concerns the process as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// How long to try to reach a broker at start.
    pub startup_timeout: Duration,
    /// How long a shutdown may take.
    pub drain_timeout: Duration,
    /// How often settled positions are committed.
    pub flush_interval: Duration,
    /// Threads for modules that compute.
    pub module_threads: usize,
    /// What all lanes together may hold, in bytes.
    pub lane_bytes: usize,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
