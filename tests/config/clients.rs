//! The clients that a configuration comes to: groups, quotas, budgets and native properties.

use std::time::Duration;

use quorate::config::{ConsumerMode, MissingTopic, OffsetReset, OutOfRange, Properties};
use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::BaseProducer;

use super::{SMALL, advice, bad, good, only, small_and, warnings, with_topics};

const TEN: [&str; 11] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K"];

#[test]
fn row_4_04_and_1_04_in_multi_mode_each_topic_has_its_own_group() {
    let settings = good(&with_topics(Some(true), "", &["TopicA", "TopicB"])).settings;
    let groups: Vec<_> = settings.consumers.iter().map(|c| (c.group.as_str(), c.topics.len())).collect();
    assert_eq!(groups, [("base-TopicA", 1), ("base-TopicB", 1)]);
    for (consumer, topic) in settings.consumers.iter().zip(["TopicA", "TopicB"]) {
        assert_eq!(consumer.properties.0["group.id"], consumer.group);
        assert_eq!(consumer.properties.0["client.id"], format!("base/consumer/{topic}"));
        assert_eq!(&*settings.plan.topic(consumer.topics[0]).name, topic);
    }
}

#[test]
fn row_4_04_a_group_that_quorate_keeps_for_itself_is_refused() {
    only(&bad(&with_topics(Some(true), "", &["emit"])), "base-emit, which quorate uses for itself");
    good(&with_topics(Some(false), "", &["emit"]));
}

#[test]
fn row_4_10_multi_consumer_mode_is_true_false_or_absent_which_is_false() {
    for (multi, mode, count) in
        [(Some(true), ConsumerMode::Multi, 2), (Some(false), ConsumerMode::Single, 1), (None, ConsumerMode::Single, 1)]
    {
        let settings = good(&with_topics(multi, "", &["A", "B"])).settings;
        assert_eq!((settings.mode, settings.consumers.len()), (mode, count));
        assert_eq!(settings.plan.topics.len(), 2);
    }
    let single = good(&with_topics(None, "", &["A", "B"])).settings;
    assert_eq!((single.consumers[0].group.as_str(), single.consumers[0].topics.len()), ("base", 2));
}

#[test]
fn row_4_10_one_topic_in_multi_mode_is_one_consumer_with_the_topics_group() {
    let settings = good(&with_topics(Some(true), "", &["A"])).settings;
    assert_eq!((settings.mode, settings.consumers[0].group.as_str()), (ConsumerMode::Multi, "base-A"));
}

fn auto_quota(topics: usize) -> usize {
    good(&with_topics(Some(true), "max_poll_records = 'auto'", &TEN[..topics])).settings.topics[0].quota
}

#[test]
fn row_4_16_auto_is_500_at_4_topics() {
    assert_eq!(auto_quota(4), 500);
}

#[test]
fn row_4_16_auto_is_300_at_5_topics() {
    assert_eq!(auto_quota(5), 300);
}

#[test]
fn row_4_16_auto_is_300_at_10_topics() {
    assert_eq!(auto_quota(10), 300);
}

#[test]
fn row_4_16_auto_is_200_at_11_topics() {
    assert_eq!(auto_quota(11), 200);
}

#[test]
fn row_4_26_profiles_are_named_sets_and_explicit_keys_win() {
    for (consumer, expected) in [
        ("", (500, "30000", "300000")),
        ("profile = 'catch_up'", (1000, "60000", "600000")),
        ("profile = 'realtime'", (300, "30000", "300000")),
        ("profile = 'catch_up'\nmax_poll_records = 7", (7, "60000", "600000")),
        ("profile = 'catch_up'\nsession_timeout_ms = 45000", (1000, "45000", "600000")),
    ] {
        let settings = good(&with_topics(Some(true), consumer, &["A"])).settings;
        let properties = &settings.consumers[0].properties.0;
        let found =
            (settings.topics[0].quota, &*properties["session.timeout.ms"], &*properties["max.poll.interval.ms"]);
        assert_eq!(found, expected, "{consumer}");
    }
}

#[test]
fn row_4_09_a_topic_may_override_what_its_consumer_does() {
    let text = with_topics(Some(true), "session_timeout_ms = 40000", &["A", "B"]).replace(
        "[topics.A]\n",
        "[topics.A]\nsession_timeout_ms = 50000\nmax_poll_records = 3\non_missing_offset = 'error'\non_out_of_range = 'halt'\n\
         missing_topic = 'fail'\nfetch_max_wait_ms = 7\ninstance_id = 'host-a'\n",
    );
    let settings = good(&text).settings;
    let [a, b] = [&settings.consumers[0].properties.0, &settings.consumers[1].properties.0];
    assert_eq!((&*a["session.timeout.ms"], &*b["session.timeout.ms"]), ("50000", "40000"));
    assert_eq!((&*a["fetch.wait.max.ms"], &*b["fetch.wait.max.ms"]), ("7", "500"));
    assert_eq!((&*a["group.instance.id"], b.contains_key("group.instance.id")), ("host-a", false));
    assert_eq!(a["client.id"], "base/consumer/A/host-a");
    let topic = &settings.topics[0];
    assert_eq!((topic.quota, settings.topics[1].quota), (3, 500));
    assert_eq!(topic.auto_offset_reset, OffsetReset::Error);
    assert_eq!((topic.on_out_of_range, topic.missing_topic), (OutOfRange::Halt, MissingTopic::Fail));
}

#[test]
fn row_4_09_in_single_mode_overrides_that_cannot_apply_warn() {
    let text = with_topics(None, "", &["A"]).replace(
        "[topics.A]\n",
        "[topics.A]\nsession_timeout_ms = 50000\nmax_poll_records = 3\nauto_offset_reset = 'error'\n",
    );
    let loaded = good(&text);
    assert_eq!(warnings(&loaded).len(), 1, "{}", loaded.warnings);
    assert!(warnings(&loaded)[0].contains("`session_timeout_ms` of A has no effect"));
    assert_eq!(loaded.settings.consumers[0].properties.0["session.timeout.ms"], "30000");
    assert_eq!((loaded.settings.topics[0].quota, loaded.settings.topics[0].auto_offset_reset), (3, OffsetReset::Error));
}

#[test]
fn row_4_11_latest_is_accepted_with_a_warning() {
    let loaded = good(&with_topics(Some(true), "auto_offset_reset = 'latest'", &["A", "B"]));
    assert_eq!(warnings(&loaded).len(), 1, "{}", loaded.warnings);
    assert_eq!(loaded.settings.topics[0].auto_offset_reset, OffsetReset::Latest);
    let both = with_topics(Some(true), "auto_offset_reset = 'latest'\non_missing_offset = 'latest'", &["A"]);
    only(&bad(&both), "are the same setting");
}

#[test]
fn row_4_14_brokers_are_a_list_or_one_string_nested_or_at_the_top() {
    let nested = |value: &str| SMALL.replace("[\"localhost:9092\"]", value);
    let top = format!(
        "bootstrap_servers = ['a:1', 'b:2']\n{}",
        SMALL.replace("[kafka]\nbootstrap_servers = [\"localhost:9092\"]\n", "")
    );
    for text in [nested("['a:1', 'b:2']"), nested("'a:1,b:2'"), nested("'a:1, b:2,'"), top] {
        let settings = good(&text).settings;
        assert_eq!(settings.client.0["bootstrap.servers"], "a:1,b:2", "{text}");
        assert_eq!(settings.producer.0["bootstrap.servers"], "a:1,b:2");
        assert_eq!(settings.consumers[0].properties.0["bootstrap.servers"], "a:1,b:2");
    }
    only(&bad(&format!("bootstrap_servers = 'a:1'\n{SMALL}")), "stands here and in [kafka]");
    only(&bad(&nested("''")), "must name at least one broker");
}

#[test]
fn a_consumer_is_told_everything_it_needs_and_nothing_twice() {
    let consumer = &good(SMALL).settings.consumers[0].properties;
    for (name, value) in [
        ("auto.offset.reset", "error"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "false"),
        ("isolation.level", "read_committed"),
        ("check.crcs", "true"),
        ("group.protocol", "classic"),
        ("queued.min.messages", "100000"),
        ("queued.max.messages.kbytes", "262144"),
        ("fetch.queue.backoff.ms", "5"),
        ("fetch.wait.max.ms", "500"),
        ("fetch.min.bytes", "1"),
        ("fetch.max.bytes", "52428800"),
        ("max.partition.fetch.bytes", "1048576"),
        ("statistics.interval.ms", "1000"),
        ("topic.metadata.refresh.interval.ms", "10000"),
        ("reconnect.backoff.max.ms", "1000"),
        ("socket.keepalive.enable", "true"),
        ("heartbeat.interval.ms", "10000"),
    ] {
        assert_eq!(consumer.0[name], value, "{name}");
    }
    assert!(!consumer.0.contains_key("group.instance.id"));
    assert!(!consumer.0.keys().any(|name| name == "fetch.message.max.bytes" || name.contains("poll.records")));
}

#[test]
fn row_4_17_results_are_acknowledged_by_all_replicas_and_compressed() {
    let producer = &good(SMALL).settings.producer.0;
    for (name, value) in [
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("compression.type", "gzip"),
        ("linger.ms", "5"),
        ("message.timeout.ms", "0"),
        ("partitioner", "murmur2_random"),
        ("message.max.bytes", "1048576"),
        ("client.id", "base/producer"),
    ] {
        assert_eq!(producer[name], value, "{name}");
    }
}

#[test]
fn row_0_03_weak_acks_need_idempotence_off() {
    let producer =
        |lines: &str| SMALL.replace("[kafka.consumer]", &format!("[kafka.producer]\n{lines}\n[kafka.consumer]"));
    for acks in ["1", "0", "'1'", "'0'"] {
        only(&bad(&producer(&format!("acks = {acks}"))), "contradicts `enable_idempotence` = true");
        let loaded = good(&producer(&format!("acks = {acks}\nenable_idempotence = false")));
        assert!(warnings(&loaded)[0].contains("before it is safe"));
    }
    only(&bad(&producer("acks = 2")), "must be \"all\", 1 or 0");
    assert_eq!(good(&producer("acks = -1")).settings.producer.0["acks"], "all");
}

#[test]
fn row_0_04_a_client_id_of_the_user_is_the_base_of_all() {
    let settings = good(&small_and("[kafka.properties]\n\"client.id\" = 'mine'")).settings;
    assert_eq!(settings.consumers[0].properties.0["client.id"], "mine/consumer/PARAM");
    assert_eq!((&*settings.producer.0["client.id"], &*settings.client.0["client.id"]), ("mine/producer", "mine/admin"));
}

#[test]
fn row_0_14_and_0_15_and_1_11_session_heartbeat_and_poll_interval_must_fit() {
    let consumer = |lines: &str| with_topics(Some(true), lines, &["A"]);
    only(
        &bad(&consumer("session_timeout_ms = 400000")),
        "`max_poll_interval_ms` (300000) must be at least `session_timeout_ms` (400000)",
    );
    only(&bad(&consumer("heartbeat_interval_ms = 30000")), "must be less than `session_timeout_ms` (30000)");
    let loaded = good(&consumer("heartbeat_interval_ms = 10001"));
    assert!(warnings(&loaded)[0].contains("more than a third of `session_timeout_ms` (30000)"));
    assert!(good(&consumer("heartbeat_interval_ms = 10000")).warnings.is_empty());
}

#[test]
fn a_mistake_that_concerns_every_consumer_is_reported_once() {
    let report = bad(&with_topics(Some(true), "session_timeout_ms = 400000", &TEN));
    assert_eq!(report.problems().len(), 1, "{report}");
}

#[test]
fn with_the_consumer_protocol_what_the_broker_decides_is_refused_by_its_name() {
    let settings = good(&with_topics(Some(true), "protocol = 'consumer'\nprofile = 'catch_up'", &["A"])).settings;
    let properties = &settings.consumers[0].properties.0;
    assert_eq!(properties["group.protocol"], "consumer");
    for name in ["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"] {
        assert!(!properties.contains_key(name), "{name}");
    }
    for (line, broker) in [
        ("session_timeout_ms = 45000", "group.consumer.session.timeout.ms"),
        ("heartbeat_interval_ms = 5000", "group.consumer.heartbeat.interval.ms"),
    ] {
        let report = bad(&with_topics(Some(true), &format!("protocol = 'consumer'\n{line}"), &["A"]));
        assert!(advice(&report, "cannot be set with `protocol = \"consumer\"`").contains(broker), "{report}");
    }
    let strategy = with_topics(Some(true), "protocol = 'consumer'", &["A"]);
    let report = bad(&format!("{strategy}[kafka.properties]\n\"partition.assignment.strategy\" = 'range'\n"));
    assert!(advice(&report, "partition.assignment.strategy").contains("group.consumer.assignors"));
}

#[test]
fn row_0_38_how_a_group_shares_partitions_out_is_the_operators_choice() {
    let text = with_topics(Some(true), "", &["A"]);
    let strategy = |text: &str| good(text).settings.consumers[0].properties.0["partition.assignment.strategy"].clone();
    assert_eq!(strategy(&text), "range");
    let sticky = "[kafka.properties]\n\"partition.assignment.strategy\" = 'cooperative-sticky'\n";
    assert_eq!(strategy(&format!("{text}{sticky}")), "cooperative-sticky");
}

#[test]
fn row_2_05_the_prefetch_total_is_divided_over_the_consumers() {
    let settings = good(&with_topics(Some(true), "prefetch_total_mb = 11", &TEN)).settings;
    assert!(settings.consumers.iter().all(|consumer| consumer.prefetch_bytes == 1 << 20));
    assert!(settings.consumers.iter().all(|c| c.properties.0["queued.max.messages.kbytes"] == "1024"));
    let sum: usize = settings.consumers.iter().map(|consumer| consumer.prefetch_bytes).sum();
    assert_eq!(sum, 11 << 20);
    let report = bad(&with_topics(Some(true), "prefetch_total_mb = 10", &TEN));
    assert_eq!(advice(&report, "less than 1 MiB for each of 11 consumers"), "set it to 11 or more");
    good(&with_topics(Some(false), "prefetch_total_mb = 1", &TEN));
}

#[test]
fn row_0_18_fetches_fit_the_budget_the_message_and_the_response() {
    let number = |properties: &std::collections::BTreeMap<String, String>, name: &str| {
        properties[name].parse::<u64>().expect(name)
    };
    let text = with_topics(Some(true), "prefetch_total_mb = 4", &["A", "B"]).replace(
        "[topics.A]\n",
        "[topics.A]\nprovision = { partitions = 1, replication = 1, max_message_bytes = '16MiB' }\n",
    );
    let settings = good(&text).settings;
    let [a, b] = [&settings.consumers[0].properties.0, &settings.consumers[1].properties.0];
    assert_eq!((number(a, "fetch.max.bytes"), number(b, "fetch.max.bytes")), (16 << 20, 2 << 20));
    for properties in [a, b] {
        assert!(number(properties, "receive.message.max.bytes") >= number(properties, "fetch.max.bytes") + 512);
        // A record at the limit on records must still arrive, to become a dead letter rather than an endless retry.
        assert!(number(properties, "receive.message.max.bytes") > 100 << 20);
    }
    let larger = small_and("[kafka.properties]\n\"message.max.bytes\" = 200000000");
    let consumer = &good(&larger).settings.consumers[0].properties.0;
    assert_eq!(number(consumer, "fetch.max.bytes"), 200_000_000);
}

#[test]
fn row_2_07_automatic_commits_only_change_how_often_settled_positions_are_committed() {
    let every = |lines: &str| good(&with_topics(Some(true), lines, &["A"])).settings.service.flush_interval;
    assert_eq!(every(""), Duration::from_secs(1));
    assert_eq!(every("auto_commit_interval_ms = 7000"), Duration::from_secs(1));
    assert_eq!(every("enable_auto_commit = true"), Duration::from_secs(5));
    let settings = good(&with_topics(Some(true), "enable_auto_commit = true", &["A"])).settings;
    assert_eq!(settings.consumers[0].properties.0["enable.auto.commit"], "false");
}

#[test]
fn row_0_07_the_producer_sends_what_its_topics_take() {
    let output = "[topics.MODULE-OUTPUT-PROBE]\nstation = '/station_id'\n\
                  provision = { partitions = 1, replication = 1, max_message_bytes = '8MiB' }\n";
    assert_eq!(good(&small_and(output)).settings.producer.0["message.max.bytes"], "8388608");
    let loaded = good(&small_and(&format!("{output}[kafka.properties]\n\"message.max.bytes\" = 2000000")));
    assert!(warnings(&loaded)[0].contains("the producer sends at most 2000000"), "{}", loaded.warnings);
}

fn native(properties: &Properties) -> ClientConfig {
    let mut config = ClientConfig::new();
    properties.0.iter().for_each(|(name, value)| {
        config.set(name, value);
    });
    config
}

#[test]
fn the_client_library_takes_every_map_that_comes_out_of_here() {
    let login = "[kafka.security]\nprotocol = 'ssl'\n";
    let mut texts = vec![
        SMALL.to_owned(),
        small_and(login),
        with_topics(None, "prefetch_total_mb = 1", &TEN),
        with_topics(Some(true), "prefetch_total_mb = 11\nprofile = 'catch_up'\ninstance_id = 'host-a'", &TEN),
        with_topics(Some(true), "protocol = 'consumer'\nmax_poll_records = 'auto'", &["A"]),
        small_and("[kafka.properties]\n\"message.max.bytes\" = 900000000\n\"linger.ms\" = 0.5\nretries = 200"),
        small_and("[limits]\nrecord_bytes = '2GiB'"),
    ];
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    texts.extend(codecs.map(|codec| small_and(&format!("[kafka.producer]\ncompression_type = '{codec}'"))));
    for text in texts {
        let settings = good(&text).settings;
        for consumer in &settings.consumers {
            let client: Result<BaseConsumer, _> = native(&consumer.properties).create();
            assert!(client.is_ok(), "{text}\n{:?}", client.err());
        }
        for properties in [&settings.producer, &settings.client] {
            let client: Result<BaseProducer, _> = native(properties).create();
            assert!(client.is_ok(), "{text}\n{:?}", client.err());
        }
    }
}
