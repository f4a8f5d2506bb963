//! The broker that tests of Kafka's behaviour stand on: it starts, answers, survives what tests do to it, and leaves
//! nothing behind. Says nothing about quorate itself.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use quorate_testkit::{Broker, BrokerOptions, Compression, User, Witness, require_broker};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

#[test]
fn everything_produced_is_read_back_in_order() {
    let broker = require_broker!();
    broker.create_topic("read-back", 3, &[("retention.ms", "3600000")]);
    let mut loader = broker.loader(Compression::Lz4);
    for n in 0..10_000u32 {
        let (key, value) = (format!("station-{}", n % 50), n.to_string());
        let headers = OwnedHeaders::new().insert(Header { key: "n", value: Some(&value) });
        loader.send(BaseRecord::to("read-back").key(&key).payload(&value).headers(headers).timestamp(1 + i64::from(n)));
    }
    assert_eq!(loader.finish(), 10_000);

    let records = broker.consume_all("read-back");

    assert_eq!(records.len(), 10_000);
    assert_eq!(broker.end_offsets("read-back").values().sum::<i64>(), 10_000);
    let mut latest = BTreeMap::new();
    for record in &records {
        let n: i64 = std::str::from_utf8(record.value.as_deref().expect("a value")).expect("text").parse().expect("n");
        assert_eq!(record.header("n"), record.value.as_deref());
        assert_eq!(record.timestamp_ms, Some(1 + n));
        assert!(latest.insert(record.key.clone(), n).is_none_or(|before| before < n), "order within a key");
    }
    assert_eq!(latest.len(), 50);
}

#[test]
fn kafkas_own_tool_shows_what_a_group_committed() {
    let broker = require_broker!();
    broker.create_topic("shown", 2, &[]);
    broker.produce("shown", (0..10).map(|n| (format!("k{n}"), "v")));
    let offsets = BTreeMap::from([(0, 1), (1, 2)]);

    broker.commit("shown-group", "shown", &offsets);

    assert_eq!(broker.committed("shown-group", "shown"), offsets);
    assert!(broker.committed("another-group", "shown").is_empty());
    let output = broker.tool("kafka-consumer-groups", ["--describe", "--group", "shown-group"]);
    let shown = String::from_utf8(output.stdout).expect("text");
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    assert!(output.status.success());
    assert!(rows.contains(&vec!["shown-group", "shown", "0", "1"]), "{shown}");
    assert!(rows.contains(&vec!["shown-group", "shown", "1", "2"]), "{shown}");
}

#[test]
fn topics_grow_lose_their_oldest_records_and_go() {
    let broker = require_broker!();
    broker.create_topic("changing", 1, &[]);
    broker.produce("changing", (0..10).map(|n| ("k", n.to_string())));

    broker.delete_before("changing", 0, 4);
    broker.grow_topic("changing", 3);

    assert_eq!(broker.start_offsets("changing"), BTreeMap::from([(0, 4), (1, 0), (2, 0)]));
    assert_eq!(broker.consume_all("changing").len(), 6);
    broker.delete_topic("changing");
    broker.create_topic("changing", 1, &[]);
    assert!(broker.consume_all("changing").is_empty());
}

#[test]
fn a_killed_broker_comes_back_on_the_same_ports_with_the_same_records() {
    let broker = require_broker!(Broker::start(BrokerOptions::default()));
    broker.create_topic("kept", 1, &[]);
    broker.produce("kept", (0..1_000).map(|n| ("k", n.to_string())));
    broker.commit("kept-group", "kept", &BTreeMap::from([(0, 700)]));
    let (bootstrap, pid) = (broker.bootstrap(), broker.pid());

    broker.kill();
    assert_eq!(broker.pid(), None);
    broker.restart();

    assert_eq!(broker.bootstrap(), bootstrap);
    assert_ne!(broker.pid(), pid);
    assert_eq!(broker.consume_all("kept").len(), 1_000);
    assert_eq!(broker.committed("kept-group", "kept"), BTreeMap::from([(0, 700)]));
}

#[test]
fn a_paused_broker_answers_nobody_until_it_is_resumed() {
    let broker = require_broker!(Broker::start(BrokerOptions::default()));
    let client: BaseConsumer = broker.client_config().create().expect("valid properties");

    broker.pause();
    client.fetch_metadata(None, Duration::from_millis(500)).expect_err("a frozen broker does not answer");
    broker.resume();

    client.fetch_metadata(None, Duration::from_secs(30)).expect("the broker answers again");
}

#[test]
fn a_denied_topic_is_refused_to_the_service_until_it_is_allowed() {
    let broker = require_broker!(Broker::start(BrokerOptions::secured()));
    broker.create_topic("open", 1, &[]);
    broker.create_topic("denied", 1, &[]);
    broker.deny_topic(User::Svc, "denied");
    let service: BaseConsumer = broker.client_config_as(User::Svc).create().expect("valid properties");
    let admin: BaseConsumer = broker.client_config_as(User::Admin).create().expect("valid properties");
    let ask = |client: &BaseConsumer, topic| client.fetch_watermarks(topic, 0, Duration::from_secs(10));
    let refusal = |client: &BaseConsumer| {
        let metadata = client.fetch_metadata(Some("denied"), Duration::from_secs(10)).expect("the broker answers");
        metadata.topics()[0].error().map(RDKafkaErrorCode::from)
    };

    assert_eq!(ask(&service, "open"), Ok((0, 0)));
    assert_eq!(refusal(&service), Some(RDKafkaErrorCode::TopicAuthorizationFailed));
    assert_eq!(ask(&admin, "denied"), Ok((0, 0)));
    broker.allow_topic(User::Svc, "denied");
    assert_eq!(refusal(&service), None);
    assert_eq!(ask(&service, "denied"), Ok((0, 0)));
}

#[test]
fn nothing_is_left_of_a_broker_whose_test_was_killed() {
    let _ = require_broker!();
    let mut test = Command::new(std::env::current_exe().expect("this test binary"))
        .args(["--exact", "broker_of_a_test_that_is_killed", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test binary can be run");
    let output = BufReader::new(test.stdout.take().expect("piped"));
    let line = output.lines().map_while(Result::ok).find(|line| line.contains("broker pid "));
    let pid = line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("the test tells its broker's pid");
    let broker = Witness::of(pid).expect("the broker runs");

    assert!(!broker.sees_end_within(Duration::ZERO));
    test.kill().expect("our own child can be killed");
    test.wait().expect("our own child can be waited for");

    assert!(broker.sees_end_within(Duration::from_secs(30)), "broker {pid} is left running");
}

/// Only run by [`nothing_is_left_of_a_broker_whose_test_was_killed`].
#[test]
#[ignore = "waits to be killed"]
fn broker_of_a_test_that_is_killed() {
    let broker = require_broker!();
    println!("broker pid {}", broker.pid().expect("the broker runs"));
    // Ends early if the test that runs this one dies first.
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn a_dropped_broker_takes_its_process_with_it() {
    let broker = require_broker!(Broker::start(BrokerOptions::default()));
    let process = Witness::of(broker.pid().expect("the broker runs")).expect("the broker runs");
    let client: BaseConsumer = broker.client_config().create().expect("valid properties");

    drop(broker);

    assert!(process.sees_end_within(Duration::ZERO));
    let answer = client.fetch_metadata(None, Duration::from_millis(500));
    assert!(matches!(answer, Err(KafkaError::MetadataFetch(_))), "nobody listens any more");
}
