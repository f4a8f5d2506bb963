//! A test's own corner of a broker: names that no other test uses, records for its topics, and configurations that
//! begin like those of production with shorter intervals.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use quorate_testkit::{Broker, Compression, Offsets, within};
use rdkafka::producer::BaseRecord;
use tempfile::TempDir;

/// The longest wait for anything that has no bound of its own. A machine that builds something else meanwhile is slow.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Tests run side by side, except that one that measures time has the cores to itself.
static CORES: RwLock<()> = RwLock::new(());

/// A share of the machine, or all of it.
pub enum Cores {
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

impl Cores {
    fn shared() -> Self {
        Self::Shared { _guard: CORES.read().unwrap_or_else(PoisonError::into_inner) }
    }

    fn alone() -> Self {
        Self::Alone { _guard: CORES.write().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// A corner of a broker. Topics are called by a short name; on the broker the test's name stands before it.
pub struct Place<'b> {
    pub broker: &'b Broker,
    name: &'static str,
    /// Where the service keeps its state, if it does: one folder for all its starts.
    state: Option<TempDir>,
    _cores: Cores,
}

impl<'b> Place<'b> {
    /// A corner for the test called `name`. The service keeps no state: the groups' positions are the truth.
    pub fn new(broker: &'b Broker, name: &'static str) -> Self {
        Self { broker, name, state: None, _cores: Cores::shared() }
    }

    /// The same for a service that keeps its state on disk, as it does unless it is told otherwise.
    pub fn on_disk(broker: &'b Broker, name: &'static str) -> Self {
        Self { state: Some(tempfile::tempdir().expect("a folder")), ..Self::new(broker, name) }
    }

    /// A corner without state, while no other test of this binary runs.
    pub fn alone(broker: &'b Broker, name: &'static str) -> Self {
        Self { broker, name, state: None, _cores: Cores::alone() }
    }

    /// Whether the service keeps its state on disk.
    pub fn is_on_disk(&self) -> bool {
        self.state.is_some()
    }

    /// A topic's name on the broker.
    pub fn topic(&self, short: &str) -> String {
        format!("{}-{short}", self.name)
    }

    /// The base of group names, and the one group in single mode.
    pub fn base(&self) -> &'static str {
        self.name
    }

    /// A topic's group in multi mode.
    pub fn group(&self, short: &str) -> String {
        format!("{}-{}", self.name, self.topic(short))
    }

    /// Where results and dead letters go.
    pub fn output(&self) -> String {
        self.topic("results")
    }

    pub fn dead_letters(&self) -> String {
        self.topic("dead")
    }

    /// Creates topics of one partition, and those that results and dead letters go to.
    pub fn create(&self, topics: &[&str]) {
        for topic in topics.iter().chain(&["results", "dead"]) {
            self.broker.create_topic(&self.topic(topic), 1, &[]);
        }
    }

    /// Writes records of stations to a topic.
    pub fn produce(&self, topic: &str, records: impl IntoIterator<Item = (String, String)>) -> u64 {
        let topic = self.topic(topic);
        let mut loader = self.broker.loader(Compression::Lz4);
        for (station, value) in records {
            loader.send(BaseRecord::to(&topic).key(&station).payload(&value));
        }
        loader.finish()
    }

    /// Waits until a group has committed everything its topic holds.
    pub fn until_all_committed(&self, group: &str, topic: &str) {
        let topic = self.topic(topic);
        let ends: Offsets = self.broker.end_offsets(&topic).into_iter().filter(|(_, end)| *end > 0).collect();
        within(PATIENCE, &format!("{group} to commit {ends:?} of {topic}"), || {
            let mut committed = self.broker.committed(group, &topic);
            committed.retain(|_, offset| *offset > 0);
            (committed == ends).then_some(())
        });
    }

    /// A configuration of this place with nothing in it yet but what concerns all tests.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        config.set("kafka", "bootstrap_servers", text(&self.broker.bootstrap()));
        config.set("kafka", "startup_timeout", text("30s"));
        config.set("kafka.consumer", "group_id", text(self.name));
        config.set("kafka.consumer", "multi_consumer_mode", "true");
        config.set("state", "mode", text(if self.is_on_disk() { "local" } else { "memory" }));
        if let Some(dir) = &self.state {
            config.set("state", "dir", text(dir.path().to_str().expect("a Unicode path")));
        }
        config.set("kafka.consumer", "auto_offset_reset", text("earliest"));
        config.set("kafka.consumer", "fetch_max_wait_ms", "50");
        config.set("kafka.properties", "\"topic.metadata.refresh.interval.ms\"", "1000");
        config.set("service", "flush_interval", text("100ms"));
        config.set("dead_letter", "topic", text(&self.dead_letters()));
        config
    }

    /// A topic of the configuration whose records hold one reading of one station.
    pub fn reads(&self, config: &mut Config, topics: &[&str]) {
        for topic in topics {
            config.set(&format!("topics.{}", self.topic(topic)), "station", text("/s"));
        }
    }

    /// A module of the configuration that requires these topics; its results go to this place's output.
    pub fn requires(&self, config: &mut Config, module: &str, topics: &[&str]) {
        let topics: Vec<String> = topics.iter().map(|topic| text(&self.topic(topic))).collect();
        let table = format!("modules.{module}");
        config.set(&table, "enabled", "true");
        config.set(&table, "requires", format!("[{}]", topics.join(", ")));
        config.set(&table, "retry", "{ attempts = 1 }");
        config.set(&table, "output_topic", text(&self.output()));
    }
}

/// A configuration under construction: a later value for a key replaces an earlier one.
#[derive(Clone, Debug, Default)]
pub struct Config(BTreeMap<String, BTreeMap<String, String>>);

impl Config {
    /// Sets a key of a table to a value, both as they stand in a file.
    pub fn set(&mut self, table: &str, key: &str, value: impl Into<String>) {
        self.0.entry(table.to_owned()).or_default().insert(key.to_owned(), value.into());
    }

    /// Takes a key out again.
    pub fn unset(&mut self, table: &str, key: &str) {
        self.0.get_mut(table).and_then(|keys| keys.remove(key)).expect("a key that was set");
    }

    /// The file.
    pub fn toml(&self) -> String {
        let mut toml = String::new();
        for (table, keys) in &self.0 {
            writeln!(toml, "[{table}]").expect("memory");
            keys.iter().for_each(|(key, value)| writeln!(toml, "{key} = {value}").expect("memory"));
        }
        toml
    }
}

/// A string as it stands in a file.
pub fn text(value: &str) -> String {
    format!("{value:?}")
}

/// One reading of a station, with its key.
pub fn reading(station: &str, n: u64) -> (String, String) {
    (station.to_owned(), format!(r#"{{"s":"{station}","n":{n}}}"#))
}

/// Readings of every station, one round after another.
pub fn rounds(stations: &[String], rounds: std::ops::Range<u64>) -> impl Iterator<Item = (String, String)> {
    rounds.flat_map(|n| stations.iter().map(move |station| reading(station, n)))
}

/// Names of so many stations.
pub fn stations(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("S{n}")).collect()
}
