//! `quorate replay` on what recordings really look like: bytes that are no text, lines that are cut off, several files,
//! more than fits into memory. What events say is the matter of `vectors.rs`.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

/// Four topics of every scope and several windows, two modules that answer with what they were given.
const CONFIG: &str = r#"
[topics.LATEST]
station = "/s"
[topics.KEYED]
records = "/list/*"
station = "/s"
window = { kind = "per_key", key = "/k", expire = "1h" }
[topics.GRID]
station = "/s"
window = { kind = "grid", step = "1m", span = "30m", fill = "linear", series = ["/k"], values = ["/v"] }
[topics.GLOBAL]
scope = "global"

[modules.probe]
enabled = true
requires = ["LATEST", "GRID"]
optional = ["KEYED"]
trigger = { on = ["GRID"], min_interval = "5s" }
[modules.digest]
enabled = true
requires = [{ topic = "KEYED", max_age = "10m" }, "GLOBAL"]
"#;

/// A folder with the configuration and recordings in it.
struct Recordings(TempDir);

impl Recordings {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("config.toml"), CONFIG).expect("the configuration");
        Self(dir)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        fs::write(self.0.path().join(name), bytes).expect("a recording");
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command.arg("replay").args(arguments).current_dir(self.0.path()).env_clear();
        command
    }

    fn replay(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("the program runs")
    }
}

fn line(topic: &str, offset: usize, ts: i64, payload: &str) -> String {
    let payload = Value::from(payload);
    format!(r#"{{"topic":"{topic}","partition":0,"offset":{offset},"ts":{ts},"payload":{payload}}}"#) + "\n"
}

/// Of each event what it is and where, in order.
fn events(output: &Output) -> Vec<String> {
    let lines = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let event = |line: &[u8]| {
        let event: Value = serde_json::from_slice(line).expect("JSON");
        match event["event"].as_str().expect("a name") {
            "dead_letter" => format!("{} {}", event["offset"], event["reason"].as_str().expect("a reason")),
            other => format!("{other} {}", event["station"].as_str().expect("a station")),
        }
    };
    lines.map(event).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn a_payload_that_is_no_text_is_a_dead_letter_and_the_replay_goes_on() {
    let mut bytes = line("LATEST", 0, 1, r#"{"s":"a"}"#).into_bytes();
    bytes.extend(b"{\"topic\":\"LATEST\",\"partition\":0,\"offset\":1,\"ts\":2,\"key\":\"\xff\",\"payload\":\"{\\\"s\\\":\\\"\xff\\\"}\"}\n");
    bytes.extend(br#"{"topic":"LATEST","partition":0,"offset":2,"ts":3,"payload":"\"\ud800\""}"#);
    bytes.extend(b"\r\n\n");
    bytes.extend(line("LATEST", 3, 4, "null").bytes());
    let recordings = Recordings::new();

    let output = recordings.file("r", bytes).replay(&["--input", "r"]);

    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(events(&output), ["1 not_utf8", "2 not_utf8", "3 wrong_shape"]);
    assert_eq!(said(&output), "", "nothing is drawn where no terminal is");
}

#[test]
fn a_line_that_is_no_record_ends_the_replay_with_its_place_a_remedy_and_everything_before_it() {
    let good = line("LATEST", 0, 1, "x");
    for (bad, place, words) in [
        ("{\"topic\":\"T\",\"partition\":\"x\"}\n", "b:2:28", "kcat -C -J"),
        ("% Reached end of topic\n", "b:2:1", "kcat -C -J"),
        ("{\"topic\":\"LATEST\",\"par", "b:2:22", "cut off"),
    ] {
        let recordings = Recordings::new();
        recordings.file("a", &good).file("b", format!("{good}{bad}{}", if bad.ends_with('\n') { &good } else { "" }));

        let output = recordings.replay(&["--input", "a", "b", "a"]);

        assert_eq!(output.status.code(), Some(1));
        assert_eq!(events(&output), ["0 not_json", "0 not_json"], "the line before it in each file");
        let said = said(&output);
        assert!(said.contains(&format!("{place}: not a recorded record")) && said.contains(words), "{said}");
    }
}

#[test]
fn a_file_that_does_not_exist_is_known_before_the_first_record() {
    let recordings = Recordings::new();
    let output = recordings.file("a", line("LATEST", 0, 1, "x")).replay(&["--input", "a", "missing"]);
    assert_eq!((output.status.code(), events(&output).len()), (Some(1), 0));
    assert!(said(&output).contains("missing: "), "{}", said(&output));
}

/// A replay that is fed through a pipe.
struct Fed {
    child: Child,
    events: BufReader<std::process::ChildStdout>,
}

impl Fed {
    fn start(recordings: &Recordings, arguments: &[&str]) -> Self {
        let mut command = recordings.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let events = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, events }
    }

    fn feed(&mut self, text: &str) {
        self.child.stdin.as_mut().expect("its input").write_all(text.as_bytes()).expect("it reads");
    }

    fn next_event(&mut self) -> String {
        let mut event = String::new();
        self.events.read_line(&mut event).expect("text");
        event
    }

    /// Closes its input; it must end well.
    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("our own child").success());
    }
}

#[test]
fn events_of_a_live_pipe_are_printed_while_it_is_open() {
    let recordings = Recordings::new();
    let mut fed = Fed::start(&recordings, &["--input", "-"]);
    for offset in 0..3 {
        fed.feed(&line("LATEST", offset, 1, "x"));
        assert!(fed.next_event().contains(&format!("\"offset\":{offset},")));
    }
    fed.end();
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_replay_and_that_is_no_failure() {
    let recordings = Recordings::new();
    let mut fed = Fed::start(&recordings, &["--input", "-"]);
    let bad = line("LATEST", 0, 1, "x");
    fed.feed(&bad);
    assert!(fed.next_event().contains("not_json"));
    let Fed { mut child, events } = fed;
    drop(events);
    let mut input = child.stdin.take().expect("its input");
    // Its input is endless: only the closed output can end it, and then it takes no more of this.
    while input.write_all(bad.as_bytes()).is_ok() {}
    assert!(child.wait().expect("our own child").success());
}

/// Peak memory of a replay, however long: 10 MiB are usual with the windows of a hundred stations.
#[cfg(target_os = "linux")]
const PEAK_KBYTES: u64 = 24 << 10;

/// 64 MiB pass through unless QUORATE_REPLAY_MIB asks for more.
#[cfg(target_os = "linux")]
#[test]
fn a_replay_takes_no_more_memory_the_longer_it_is() {
    let mib = std::env::var("QUORATE_REPLAY_MIB").map_or(64, |mib| mib.parse().expect("a number"));
    let recordings = Recordings::new();
    let mut fed = Fed::start(&recordings, &["--input", "-", "--emit", "dead_letters"]);

    let (mut chunk, mut fed_bytes, mut offset) = (String::new(), 0, 0);
    while fed_bytes < mib << 20 {
        chunk.clear();
        while chunk.len() < 1 << 20 {
            let (station, minute) = (offset % 100, offset / 100);
            let payload = format!(r#"{{"s":"S{station}","k":"gun","v":{offset},"more":"{offset:0200}"}}"#);
            let topic = ["LATEST", "GRID"][offset % 2];
            chunk += &line(topic, offset, i64::try_from(minute).expect("small") * 60_000, &payload);
            offset += 1;
        }
        fed.feed(&chunk);
        fed_bytes += chunk.len();
    }
    fed.feed(&line("LATEST", offset, 0, "the last one"));
    assert!(fed.next_event().contains(&format!("\"offset\":{offset},")), "everything is read");
    let peak = peak_kbytes(fed.child.id());
    fed.end();

    assert!(peak <= PEAK_KBYTES, "{peak} KiB for {mib} MiB");
}

#[cfg(target_os = "linux")]
fn peak_kbytes(pid: u32) -> u64 {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).expect("a process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Payloads of every topic, usable or not, of a few stations.
fn payloads() -> impl Strategy<Value = (&'static str, String)> {
    let station = 0..4_u32;
    prop_oneof![
        (station.clone(), 0..9_u32).prop_map(|(s, n)| ("LATEST", format!(r#"{{"s":"S{s}","n":{n}}}"#))),
        proptest::collection::vec((station.clone(), 0..3_u32), 0..4).prop_map(|list| {
            let list: Vec<_> = list.iter().map(|(s, k)| format!(r#"{{"s":"S{s}","k":{k}}}"#)).collect();
            ("KEYED", format!(r#"{{"list":[{}]}}"#, list.join(",")))
        }),
        (station, 0..3_u32, -9.0..9.0_f64)
            .prop_map(|(s, k, v)| ("GRID", format!(r#"{{"s":"S{s}","k":"{k}","v":{v}}}"#))),
        (0..9_u32).prop_map(|n| ("GLOBAL", format!(r#"{{"n":{n}}}"#))),
        prop_oneof![Just("LATEST"), Just("KEYED"), Just("GRID")].prop_map(|topic| (topic, "broken".to_owned())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_same_records_give_the_same_bytes_with_outputs_and_all(
        records in proptest::collection::vec((payloads(), -5_000..90_000_i64), 1..120),
    ) {
        let (mut text, mut ts) = (String::new(), 1_762_218_000_000);
        for (offset, ((topic, payload), step)) in records.iter().enumerate() {
            ts += step;
            write!(text, "{}", line(topic, offset, ts, payload)).expect("memory");
        }
        let recordings = Recordings::new();
        recordings.file("r", text);
        let replay = || {
            let emit = "inputs,outputs,dead_letters,incomplete";
            let output = recordings.replay(&["--input", "r", "--emit", emit, "--advance", "1h"]);
            assert!(output.status.success(), "{}", said(&output));
            output.stdout
        };
        let first = replay();
        prop_assert!(!first.is_empty() || records.iter().all(|((topic, _), _)| *topic == "GLOBAL"));
        prop_assert_eq!(first, replay());
    }
}
