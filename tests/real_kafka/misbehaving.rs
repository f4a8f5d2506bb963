//! A module that fails, panics, hangs and rejects, by the number of the reading, in a process that is killed around what it
//! gives up: every reading ends as a result or a dead letter, and a neighbour is never delayed.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use quorate::fault::KILL_POINT;
use quorate::{ModuleError, ModuleInput};
use quorate_testkit::{require_broker, within};
use tempfile::NamedTempFile;

use crate::follow::Results;
use crate::place::{Config, PATIENCE, Place, reading, stations, text};
use crate::running::Running;
use crate::scripted::{Scripted, echo};

/// The file with the configuration of the process that is killed.
const CONFIG: &str = "QUORATE_TEST_MISBEHAVING";

/// Readings of the moody module; of five kinds, and so many of each.
const READINGS: u64 = 40;
const REASONS: [Option<&str>; 5] =
    [None, Some("module_failed"), Some("module_panicked"), Some("module_timeout"), Some("module_rejected")];

/// How long a call may take, and how long one takes that hangs.
const TIMEOUT: &str = "300ms";
const HANGS: Duration = Duration::from_secs(2);

/// How soon the neighbour has to have its results, at the most. With its turn behind the moody one it would wait for all
/// that hang.
const SOON: Duration = Duration::from_secs(6);

/// Where the process dies, one after another, and how many passings there are before.
const DEATHS: [(&str, u64); 4] =
    [("letter_acknowledged", 3), ("after_module", 9), ("letter_acknowledged", 1), ("before_flush", 5)];

fn number(input: &ModuleInput) -> u64 {
    input.reading.as_ref().expect("called for each").offset.0 as u64
}

fn moody(input: &ModuleInput) -> Result<Vec<quorate::Output>, ModuleError> {
    match number(input) % 5 {
        1 => return Err(ModuleError::retriable("not now")),
        2 => panic!("never"),
        3 => thread::sleep(HANGS),
        4 => return Err(ModuleError::rejected("not this")),
        _ => {}
    }
    Ok(vec![echo(input)?])
}

/// The process that is killed: serves until nobody holds its standard input any more.
#[test]
#[ignore = "a part of another test, in a process of its own"]
fn misbehaving_child() {
    let Some(file) = env::var_os(CONFIG) else { panic!("this is a part of another test") };
    let toml = fs::read_to_string(file).expect("a configuration");
    let running = Running::of(&toml, &[&Scripted::answering("moody", moody), &Scripted::echo("steady")]);
    std::io::stdin().read_to_end(&mut Vec::new()).expect("the end of the input");
    assert!(running.stop().drained);
}

fn start(config: &NamedTempFile, death: Option<(&str, u64)>) -> Child {
    let mut command = Command::new(env::current_exe().expect("a path"));
    command.args(["--exact", "misbehaving::misbehaving_child", "--ignored", "--nocapture"]);
    // To print where a panic came from may take longer than a call.
    command.env(CONFIG, config.path()).env_remove(KILL_POINT).env("RUST_BACKTRACE", "0");
    command.envs(death.map(|(point, nth)| (KILL_POINT, format!("{point}:{nth}"))));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started")
}

fn configured(place: &Place<'_>) -> Config {
    let mut config = place.config();
    config.set("kafka.consumer", "instance_id", text("one"));
    config.set("kafka.consumer", "session_timeout_ms", "6000");
    config.set("kafka.consumer", "heartbeat_interval_ms", "500");
    place.reads(&mut config, &["MOODY", "STEADY"]);
    for (module, topic) in [("moody", "MOODY"), ("steady", "STEADY")] {
        place.requires(&mut config, module, &[topic]);
        let table = format!("modules.{module}");
        config.set(&table, "trigger", format!("{{ each = true, on = [{}] }}", text(&place.topic(topic))));
        config.set(&table, "timeout", text(TIMEOUT));
        // Every reading is to be worked on, however many before it failed.
        config.set(&table, "breaker", "false");
        config.set(&table, "retry", "{ attempts = 2, backoff = \"50ms\" }");
    }
    config
}

#[test]
fn row_4_03_a_module_that_misbehaves_in_every_way_loses_no_input_and_delays_no_neighbour() {
    let broker = require_broker!();
    let place = Place::on_disk(broker, "misbehaving");
    place.create(&["MOODY", "STEADY"]);
    let file = NamedTempFile::new().expect("a file");
    fs::write(file.path(), configured(&place).toml()).expect("the configuration is written");
    // Each of its own station: one that waits for its next call holds up none of the others.
    place.produce("MOODY", (0..READINGS).map(|n| reading(&format!("S{n}"), n)));

    let stations = stations(5);
    let mut results = Results::of(&place);
    for (round, death) in (1..).zip(DEATHS.into_iter().map(Some).chain([None])) {
        let mut child = start(&file, death);
        place.produce("STEADY", stations.iter().map(|station| reading(station, round)));
        let Some(death) = death else {
            let began = Instant::now();
            results.until_last(&place, "steady", &stations, &[("STEADY", round)]);
            assert!(began.elapsed() < SOON, "the neighbour waited for {:?}", began.elapsed());
            ["MOODY", "STEADY"].iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
            within(PATIENCE, "an end of every reading", || (ends(&place).len() as u64 == READINGS).then_some(()));
            drop(child.stdin.take());
            assert!(child.wait().expect("our own child").success());
            break;
        };
        let status = within(PATIENCE, &format!("the end at {death:?}"), || child.try_wait().expect("our own child"));
        assert_eq!(status.signal(), Some(6), "{death:?}: {status}");
    }

    for (n, ends) in ends(&place) {
        // What was told before a kill may be told once more.
        assert!(ends.iter().all(|end| end.as_deref() == REASONS[(n % 5) as usize]), "{n}: {ends:?}");
    }
    results.until_last(&place, "steady", &stations, &[("STEADY", DEATHS.len() as u64 + 1)]);
    let steady: BTreeMap<_, usize> =
        triggers(&place, &place.output(), "steady").into_iter().fold(BTreeMap::new(), |mut seen, (trigger, _)| {
            *seen.entry(trigger).or_default() += 1;
            seen
        });
    assert_eq!(steady.len(), stations.len() * (DEATHS.len() + 1), "{steady:?}");
}

/// What became of each reading of the moody module: results, and reasons of dead letters.
fn ends(place: &Place<'_>) -> BTreeMap<u64, Vec<Option<String>>> {
    let mut ends: BTreeMap<u64, Vec<Option<String>>> = BTreeMap::new();
    for topic in [place.output(), place.dead_letters()] {
        for (trigger, reason) in triggers(place, &topic, "moody") {
            let offset = trigger.split('/').nth_back(1).expect("an offset");
            ends.entry(offset.parse().expect("a number")).or_default().push(reason);
        }
    }
    ends
}

/// What the records of a topic were written for on account of a module, and why they were given up.
fn triggers(place: &Place<'_>, topic: &str, module: &str) -> Vec<(String, Option<String>)> {
    let records = place.broker.consume_all(topic);
    let of_module = records.iter().filter(|record| record.header("quorate-module") == Some(module.as_bytes()));
    let header = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    of_module
        .map(|record| {
            let trigger = header(record.header("quorate-trigger").expect("called for each"));
            (trigger, record.header("quorate-reason").map(header))
        })
        .collect()
}
