//! `quorate record` on a real broker: it leaves no group and no commit behind, finds its place by time, and what it
//! wrote gives a replay the inputs that the live service had.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_core::replay::RecordedRecord;
use quorate_testkit::{Broker, Compression, require_broker, within};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use serde_json::Value;
use tempfile::TempDir;

use crate::place::{Config, PATIENCE, Place, stations};
use crate::process::quorate;
use crate::running::Running;
use crate::scripted::Scripted;

/// 2025-11-04, in the morning of Shanghai.
const BEGAN: i64 = 1_762_218_000_000;

/// A folder with a configuration in it.
struct Folder(TempDir);

impl Folder {
    fn with(config: &Config) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("config.toml"), config.toml()).expect("a configuration");
        Self(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("recording.ndjson")
    }

    /// Records into the file, and says what is in it.
    fn record(&self, arguments: &[&str]) -> Vec<RecordedRecord> {
        let path = self.path();
        let output = [&["record", "--output", path.to_str().expect("Unicode")], arguments].concat();
        self.run(&output);
        lines(&path)
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = quorate(arguments).current_dir(self.0.path()).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

fn lines(path: &Path) -> Vec<RecordedRecord> {
    let text = std::fs::read(path).expect("a recording");
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("a recorded record")).collect()
}

/// Readings of all stations in turns over three partitions, a second apart; among them what cannot be used.
fn fill(place: &Place<'_>, topic: &str, rounds: i64) {
    let name = place.topic(topic);
    let mut loader = place.broker.loader(Compression::Lz4);
    for round in 0..rounds {
        for (at, station) in (0..).zip(stations(10)) {
            let payload = format!(r#"{{"s":"{station}","n":{round}}}"#);
            let headers = OwnedHeaders::new().insert(Header { key: "round", value: Some(&round.to_string()) });
            let record = BaseRecord::to(&name).key(&station).payload(&payload).headers(headers);
            loader.send(record.partition(at % 3).timestamp(BEGAN + round * 1000 + i64::from(at)));
        }
    }
    loader.send(BaseRecord::<[u8], [u8]>::to(&name).partition(0).timestamp(BEGAN + 1).payload(&b"\xff\xfe"[..]));
    loader.send(BaseRecord::<[u8], [u8]>::to(&name).partition(1).timestamp(BEGAN + 2).key(&b"\xff"[..]));
    loader.finish();
}

/// Two filled topics that module `m` requires.
fn filled<'b>(broker: &'b Broker, name: &'static str) -> (Place<'b>, Config) {
    let place = Place::new(broker, name);
    place.create(&[]);
    let mut config = place.config();
    for topic in ["A", "B"] {
        broker.create_topic(&place.topic(topic), 3, &[("retention.ms", "-1")]);
        fill(&place, topic, 20);
    }
    place.reads(&mut config, &["A", "B"]);
    place.requires(&mut config, "m", &["A", "B"]);
    (place, config)
}

fn groups(broker: &Broker) -> Vec<String> {
    let client: BaseConsumer = broker.client_config().create().expect("a client");
    let list = client.fetch_group_list(None, Duration::from_secs(30)).expect("the broker answers");
    list.groups().iter().map(|group| group.name().to_owned()).collect()
}

#[test]
fn a_recording_holds_every_byte_by_time_and_leaves_no_group_behind() {
    let broker = require_broker!();
    let (place, config) = filled(broker, "recording");

    let recorded = Folder::with(&config).record(&[]);

    assert_eq!(recorded.len(), 2 * (20 * 10 + 2));
    for topic in ["A", "B"] {
        let name = place.topic(topic);
        let mut of_topic: Vec<_> = recorded.iter().filter(|record| record.topic == name).collect();
        of_topic.sort_by_key(|record| record.partition);
        let stored = broker.consume_all(&name);
        assert_eq!(of_topic.len(), stored.len());
        for (recorded, stored) in of_topic.into_iter().zip(stored) {
            assert_eq!((recorded.partition, recorded.offset), (stored.partition, stored.offset));
            assert_eq!(Some(recorded.ts), stored.timestamp_ms);
            assert_eq!((&recorded.key, &recorded.payload), (&stored.key, &stored.value));
            assert_eq!(recorded.headers, stored.headers);
        }
    }
    // Two records of each topic are late in their partitions, and everything waits for nothing but them.
    let times: Vec<_> = recorded.iter().map(|record| record.ts).filter(|ts| *ts > BEGAN + 2).collect();
    assert!(times.is_sorted(), "partitions are merged by time");
    let groups = groups(broker);
    let strangers: Vec<_> =
        groups.iter().filter(|name| name.contains("recording") || name.contains("quorate")).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

#[test]
fn a_recording_begins_at_a_time_and_ends_where_it_is_told_to() {
    let broker = require_broker!();
    let (place, config) = filled(broker, "rec_from_to");
    let folder = Folder::with(&config);
    let topic = place.topic("A");

    let late = folder.record(&["--topics", &topic, "--from", &(BEGAN + 15_000).to_string()]);
    // The two odd records stand behind the place that the time led to.
    assert_eq!(late.iter().filter(|record| record.ts >= BEGAN + 15_000).count(), 50);
    assert_eq!(late.len(), 52);
    assert_eq!(folder.record(&["--from", "2025-11-04T01:00:18Z", "--until", "7"]).len(), 7);
    assert_eq!(folder.record(&["--from", "end"]).len(), 0);
    assert_eq!(folder.record(&["--from", "end", "--until", "300ms"]).len(), 0);
}

#[test]
fn a_replay_of_a_recording_ends_with_the_inputs_that_the_live_service_had() {
    let broker = require_broker!();
    let (_, config) = filled(broker, "rec_replay");
    let folder = Folder::with(&config);
    folder.record(&[]);

    let input = folder.path();
    let replayed = folder.run(&["replay", "--input", input.to_str().expect("Unicode")]);
    let mut last = BTreeMap::new();
    for line in String::from_utf8(replayed).expect("text").lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        if let (Some("input"), Some(station)) = (event["event"].as_str(), event["station"].as_str()) {
            last.insert(station.to_owned(), event["input_hash"].as_str().expect("a hash").to_owned());
        }
    }
    assert_eq!(last.len(), 10);

    let module = Scripted::echo("m");
    let running = Running::start(&config, &[&module]);
    within(PATIENCE, "the inputs of the replay", || {
        let seen = module.seen().into_iter().map(|input| (input.station.to_string(), input.input_hash.to_string()));
        (seen.collect::<BTreeMap<_, _>>() == last).then_some(())
    });
    assert!(running.stop().drained);
}
