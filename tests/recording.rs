//! `quorate record` against the client library's mock cluster: what is written, where it ends, how it is stopped. What
//! groups and times are to a broker, a real one has to show.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use quorate::kafka::EmbeddedBroker;
use quorate_core::replay::RecordedRecord;
use quorate_testkit::within;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A broker with two topics that a module requires, one of them with three partitions, and one that nobody reads.
struct Scene {
    broker: EmbeddedBroker,
    producer: BaseProducer,
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        let broker = EmbeddedBroker::start(1).expect("a cluster");
        for (topic, partitions) in [("A", 3), ("B", 1), ("UNUSED", 1)] {
            broker.create_topic(topic, partitions).expect("a topic");
        }
        let mut config = ClientConfig::new();
        let producer = config.set("bootstrap.servers", broker.servers()).create().expect("a producer");
        let dir = tempfile::tempdir().expect("a folder");
        let toml = format!(
            "[kafka]\nbootstrap_servers = {:?}\nstartup_timeout = \"20s\"\n[kafka.consumer]\ngroup_id = \"g\"\n\
             multi_consumer_mode = true\n[topics.A]\nstation = \"/s\"\n[topics.B]\nstation = \"/s\"\n\
             [topics.UNUSED]\nstation = \"/s\"\n[modules.probe]\nenabled = true\nrequires = [\"A\", \"B\"]\n",
            broker.servers()
        );
        fs::write(dir.path().join("config.toml"), toml).expect("a configuration");
        Self { broker, producer, dir }
    }

    fn send(&self, record: BaseRecord<'_, [u8], [u8]>) {
        self.producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        self.producer.flush(PATIENCE).expect("the cluster acknowledges");
    }

    fn reading(&self, topic: &str, partition: i32, ts: i64, station: &str) {
        let payload = format!(r#"{{"s":"{station}","ts":{ts}}}"#);
        self.send(BaseRecord::to(topic).partition(partition).timestamp(ts).payload(payload.as_bytes()));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command.args(arguments).current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program runs")
    }
}

fn records(lines: &[u8]) -> Vec<RecordedRecord> {
    let lines = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("a recorded record")).collect()
}

fn places(lines: &[u8]) -> Vec<(String, i32, i64)> {
    records(lines).into_iter().map(|record| (record.topic, record.partition, record.ts)).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn a_recording_holds_what_the_enabled_modules_read_by_time_and_replays() {
    let scene = Scene::new();
    for (topic, partition, ts) in
        [("A", 0, 10), ("A", 0, 40), ("A", 2, 20), ("A", 2, 15), ("B", 0, 30), ("UNUSED", 0, 5)]
    {
        scene.reading(topic, partition, ts, "S");
    }

    let output = scene.run(&["record", "--output", "r.ndjson"]);

    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(output.stdout.is_empty());
    let recorded = fs::read(scene.path("r.ndjson")).expect("a recording");
    let place = |topic: &str, partition, ts| (topic.to_owned(), partition, ts);
    assert_eq!(
        places(&recorded),
        [place("A", 0, 10), place("A", 2, 20), place("A", 2, 15), place("B", 0, 30), place("A", 0, 40)],
        "by time, and within a partition by offset"
    );
    assert_eq!(scene.run(&["record"]).stdout, recorded, "standard output gets the same");

    let replayed = scene.run(&["replay", "--input", "r.ndjson"]);
    let inputs: Vec<Value> = BufReader::new(&replayed.stdout[..])
        .lines()
        .map(|line| serde_json::from_str(&line.expect("text")).expect("JSON"))
        .collect();
    let seen: Vec<_> = inputs.iter().map(|input| (&input["at"], &input["inputs"]["A"]["value"]["ts"])).collect();
    assert_eq!(seen, [(&Value::from(30), &Value::from(20)), (&Value::from(40), &Value::from(40))]);
}

#[test]
fn null_payloads_bytes_and_headers_are_recorded_as_they_are() {
    let scene = Scene::new();
    let headers = || {
        OwnedHeaders::new()
            .insert(Header { key: "text", value: Some(&b"a\n\"b\""[..]) })
            .insert(Header { key: "bytes", value: Some(&b"\xff\x00"[..]) })
            .insert(Header { key: "null", value: None::<&[u8]> })
    };
    scene.send(
        BaseRecord::to("B").partition(0).timestamp(1).key(&b"\xfe"[..]).payload(&b"\xff{\x00"[..]).headers(headers()),
    );
    scene.send(BaseRecord::to("B").partition(0).timestamp(2).key(&b"k"[..]));
    scene.send(BaseRecord::to("B").partition(0).timestamp(3).payload(&b""[..]));

    let output = scene.run(&["record", "--topics", "B"]);

    assert!(std::str::from_utf8(&output.stdout).is_ok(), "anything that reads JSON reads it");
    let some = |bytes: &[u8]| Some(bytes.to_vec());
    let headers: Vec<_> = [("text", some(b"a\n\"b\"")), ("bytes", some(b"\xff\x00")), ("null", None)]
        .map(|(n, v)| (n.to_owned(), v))
        .into();
    let record = |offset, ts| RecordedRecord { topic: "B".to_owned(), offset, ts, ..RecordedRecord::default() };
    assert_eq!(
        records(&output.stdout),
        [
            RecordedRecord { key: some(b"\xfe"), payload: some(b"\xff{\x00"), headers, ..record(0, 1) },
            RecordedRecord { key: some(b"k"), ..record(1, 2) },
            RecordedRecord { payload: some(b""), ..record(2, 3) },
        ]
    );
    fs::write(scene.path("r"), &output.stdout).expect("written");
    let replayed = String::from_utf8(scene.run(&["replay", "--input", "r"]).stdout).expect("text");
    let reasons = ["not_utf8", "wrong_shape", "not_json"];
    assert_eq!(replayed.lines().count(), 3);
    assert!(replayed.lines().zip(reasons).all(|(line, reason)| line.contains(reason)), "{replayed}");
}

#[test]
fn topics_narrow_to_any_declared_one_and_no_other() {
    let scene = Scene::new();
    scene.reading("A", 0, 1, "S");
    scene.reading("UNUSED", 0, 2, "S");
    assert_eq!(places(&scene.run(&["record", "--topics", "UNUSED,B"]).stdout), [("UNUSED".to_owned(), 0, 2)]);
    let output = scene.run(&["record", "--topics", "OTHER"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("[topics.OTHER]"), "{}", said(&output));
}

/// A recording that goes on.
struct Live(Child, BufReader<std::process::ChildStdout>);

impl Live {
    fn start(scene: &Scene, arguments: &[&str]) -> Self {
        let mut child = scene.command(arguments).stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        Self(child, lines)
    }

    fn next(&mut self) -> RecordedRecord {
        let mut line = Vec::new();
        self.1.read_until(b'\n', &mut line).expect("a line");
        serde_json::from_slice(&line).expect("a recorded record")
    }

    fn until_ended(&mut self) -> Option<i32> {
        within(PATIENCE, "the end of the recording", || self.0.try_wait().expect("our own child")).code()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_comes_later_is_recorded_as_it_comes_until_enough_is_there() {
    let scene = Scene::new();
    scene.reading("A", 0, 50, "S");
    let mut live = Live::start(&scene, &["record", "--until", "4"]);
    assert_eq!(live.next().ts, 50);
    for (partition, ts) in [(1, 10), (2, 30), (1, 20)] {
        scene.reading("A", partition, ts, "S");
        assert_eq!(live.next().ts, ts);
    }
    assert_eq!(live.until_ended(), Some(0));
}

#[test]
fn a_signal_ends_a_recording_after_a_complete_line() {
    let scene = Scene::new();
    (0..20).for_each(|ts| scene.reading("A", 0, ts, "S"));
    let mut live = Live::start(&scene, &["record", "--until", "never", "--output", "r"]);
    within(PATIENCE, "twenty lines", || (records(&fs::read(scene.path("r")).ok()?).len() == 20).then_some(()));
    kill_process(Pid::from_child(&live.0), Signal::INT).expect("our own child");
    assert_eq!(live.until_ended(), Some(0));
    let recorded = fs::read(scene.path("r")).expect("a recording");
    assert!(recorded.ends_with(b"}\n"));
}

#[test]
fn without_a_broker_it_ends_with_4_and_leaves_an_earlier_file_alone() {
    let scene = Scene::new();
    fs::write(scene.path("r"), "earlier").expect("a file");
    scene.broker.set_reachable(false).expect("the cluster obeys");
    let output = scene.run(&["record", "--output", "r", "--set", "kafka.startup_timeout=1s"]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert_eq!(fs::read(scene.path("r")).expect("a file"), b"earlier");
}
