//! How the process ends: by a signal, by a second one, by a frozen broker, by a kill; and what the next one finds.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_testkit::{Broker, BrokerOptions, User, require_broker, within};

use crate::follow::Results;
use crate::place::{Config, PATIENCE, Place, reading, rounds, stations, text};
use crate::process::{Process, Signal};

/// What ending costs beyond waiting for others.
const SLACK: Duration = Duration::from_secs(3);

/// The configuration of a service with the module `probe`, which gives back what it is given.
fn config(place: &Place<'_>, topics: &[&str]) -> Config {
    let mut config = place.config();
    place.reads(&mut config, topics);
    place.requires(&mut config, "probe", topics);
    config
}

#[test]
fn row_1_31_sigterm_ends_with_0_in_time_and_the_next_start_gets_its_partitions_at_once() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_1_31");
    let topics = ["A", "B"];
    place.create(&topics);
    let stations = stations(20);
    let config = config(&place, &topics);
    let mut results = Results::of(&place);
    for (n, signal) in [(1, Signal::TERM), (2, Signal::INT), (3, Signal::TERM)] {
        let mut process = Process::run(&config);
        let started = process.until_logged("topic started", topics.len());
        // The session of a member that did not leave would last 30 s.
        assert!(started < Duration::from_secs(10), "partitions came after {started:?}");
        for topic in topics {
            place.produce(topic, stations.iter().map(|station| reading(station, n)));
        }
        results.until_last(&place, "probe", &stations, &[("A", n), ("B", n)]);
        process.signal(signal);
        let (code, _) = process.until_ended(Duration::from_secs(5));
        assert_eq!(code, Some(0), "{}", process.log());
        for topic in topics {
            let ends = broker.end_offsets(&place.topic(topic));
            assert_eq!(broker.committed(&place.group(topic), &place.topic(topic)), ends, "settled at the end");
        }
    }
}

#[test]
fn row_1_31_sigterm_ends_in_time_though_the_broker_is_frozen() {
    let broker = &require_broker!(Broker::start(BrokerOptions::default()));
    let place = Place::new(broker, "row_1_31_frozen");
    place.create(&["A"]);
    let stations = stations(20);
    let mut config = config(&place, &["A"]);
    let drain = Duration::from_secs(4);
    config.set("service", "drain_timeout", text("4s"));
    let mut process = Process::run(&config);
    place.produce("A", stations.iter().map(|station| reading(station, 1)));
    let mut results = Results::of(&place);
    results.until_last(&place, "probe", &stations, &[("A", 1)]);
    place.until_all_committed(&place.group("A"), "A");

    broker.pause();
    process.signal(Signal::TERM);
    let (code, _) = process.until_ended(drain + SLACK);
    broker.resume();
    assert_eq!(code, Some(0), "nothing was due:\n{}", process.log());

    // Nor does a start wait longer for a broker that does not answer than it was told to.
    broker.pause();
    config.set("kafka", "startup_timeout", text("2s"));
    let mut process = Process::run(&config);
    let (code, _) = process.until_ended(Duration::from_secs(2) + SLACK);
    broker.resume();
    assert_eq!(code, Some(4), "{}", process.log());
}

#[test]
fn runs_still_due_at_the_deadline_end_with_5_and_a_second_signal_ends_with_130() {
    let broker = &require_broker!(Broker::start(BrokerOptions::secured()));
    let place = Place::new(broker, "still_due");
    place.create(&["A"]);
    let mut config = config(&place, &["A"]);
    // A process that ends at once leaves no group; the next one waits for the end of its session.
    config.set("kafka.consumer", "session_timeout_ms", "6000");
    config.set("kafka.consumer", "heartbeat_interval_ms", "500");
    config.set("kafka", "bootstrap_servers", text(&broker.sasl_bootstrap()));
    config.set("kafka.security", "protocol", text("sasl_plaintext"));
    config.set("kafka.security", "sasl_mechanism", text("PLAIN"));
    config.set("kafka.security", "username", text("svc"));
    config.set("kafka.security", "password", "{ env = \"SVC_PASSWORD\" }");
    let env = [("SVC_PASSWORD", User::Svc.password())];
    broker.deny_topic(User::Svc, &place.output());
    place.produce("A", [reading("S0", 1)]);
    let due = |config: &Config| {
        let mut process = Process::run_with(config, &env);
        process.until_logged("record not delivered", 1);
        process
    };

    config.set("service", "drain_timeout", text("3s"));
    let mut process = due(&config);
    process.signal(Signal::TERM);
    assert_eq!(process.until_ended(Duration::from_secs(3) + SLACK).0, Some(5), "{}", process.log());
    assert!(!process.log().contains(env[0].1), "the password is in the log");

    config.set("service", "drain_timeout", text("10m"));
    let mut process = due(&config);
    let status = within(PATIENCE, "a second signal to end it", || {
        process.signal(Signal::TERM);
        process.ended()
    });
    assert_eq!(status.code(), Some(130), "{}", process.log());

    broker.allow_topic(User::Svc, &place.output());
    let mut process = Process::run_with(&config, &env);
    place.until_all_committed(&place.group("A"), "A");
    assert_eq!(broker.consume_all(&place.output()).len(), 1);
    process.signal(Signal::TERM);
    assert_eq!(process.until_ended(PATIENCE).0, Some(0));
}

#[test]
fn sigkill_under_load_loses_nothing_that_the_next_start_does_not_make_good() {
    let broker = require_broker!();
    let place = Place::new(broker, "sigkill");
    let topics = ["A", "B"];
    place.create(&topics);
    let stations = stations(100);
    let mut config = config(&place, &topics);
    // A static member gets its partitions back without waiting for the session of the one that was killed.
    config.set("kafka.consumer", "instance_id", text("one"));
    place.produce("B", stations.iter().map(|station| reading(station, 1)));
    let mut results = Results::of(&place);

    let rounds = 5;
    for round in 0..rounds {
        let before = results.count();
        let mut process = Process::run(&config);
        std::thread::scope(|scope| {
            let (place, stations) = (&place, &stations);
            let loading = scope.spawn(move || load(place, stations, round * 100, round * 100 + 100));
            // Each round is killed at another moment of its work; it owes a result for every station.
            within(PATIENCE, "results", || (results.count() > before + round as usize * 20).then_some(()));
            process.signal(Signal::KILL);
            assert_eq!(process.until_ended(PATIENCE).0, None);
            loading.join().expect("the loader does not panic");
        });
    }

    let mut process = Process::run(&config);
    results.until_last(&place, "probe", &stations, &[("A", rounds * 100 - 1), ("B", 1)]);
    topics.iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    let dead: BTreeSet<_> = broker
        .consume_all(&place.dead_letters())
        .iter()
        .map(|letter| letter.header("quorate-origin").expect("an origin").to_vec())
        .collect();
    assert_eq!(dead.len() as u64, rounds * 100, "every bad record is a dead letter, some perhaps twice");
    process.signal(Signal::TERM);
    assert_eq!(process.until_ended(PATIENCE).0, Some(0));
}

/// Readings `from..to` of every station, and a bad record after each round.
fn load(place: &Place<'_>, stations: &[String], from: u64, to: u64) {
    let bad = || ("bad".to_owned(), "no reading".to_owned());
    place.produce("A", (from..to).flat_map(|n| rounds(stations, n..n + 1).chain([bad()])));
}
