//! `[kafka.properties]`, and foreign spellings wherever they turn up.

use super::{advice, bad, good, only, small_and, warnings};

fn property(line: &str) -> String {
    small_and(&format!("[kafka.properties]\n{line}"))
}

/// Names of the Java client, aiokafka or kafka-python, and words of what to write instead.
const FOREIGN: &[(&str, &str)] = &[
    ("max.poll.records", "`max_poll_records` in [kafka.consumer]"),
    ("max_poll_records", "`max_poll_records` in [kafka.consumer]"),
    ("fetch.max.wait.ms", "`fetch_max_wait_ms` in [kafka.consumer]"),
    ("fetch_max_wait_ms", "`fetch_max_wait_ms` in [kafka.consumer]"),
    ("fetch_max_bytes", "`fetch_max_bytes` in [kafka.consumer]"),
    ("key.deserializer", "remove it"),
    ("value.deserializer", "remove it"),
    ("key_serializer", "remove it"),
    ("value_serializer", "remove it"),
    ("interceptor.classes", "remove it"),
    ("partitioner.class", "\"partitioner\""),
    ("max.request.size", "\"message.max.bytes\""),
    ("max_request_size", "\"message.max.bytes\""),
    ("buffer.memory", "\"queue.buffering.max.kbytes\""),
    ("max.block.ms", "remove it"),
    ("max_batch_size", "\"batch.size\""),
    ("receive.buffer.bytes", "\"socket.receive.buffer.bytes\""),
    ("send_buffer_bytes", "\"socket.send.buffer.bytes\""),
    ("metadata_max_age_ms", "\"metadata.max.age.ms\""),
    ("request_timeout_ms", "\"request.timeout.ms\""),
    ("consumer_timeout_ms", "remove it"),
    ("exclude_internal_topics", "remove it"),
    ("api_version", "remove it"),
    ("ssl_cafile", "`ca` in [kafka.security]"),
    ("ssl_certfile", "`certificate` in [kafka.security]"),
    ("ssl_keyfile", "`key` in [kafka.security]"),
    ("sasl_plain_username", "`username` in [kafka.security]"),
    ("sasl_plain_password", "`password` in [kafka.security]"),
    ("sasl.jaas.config", "`username` and `password` in [kafka.security]"),
    ("ssl.truststore.location", "`ca` (a PEM file) in [kafka.security]"),
    ("listener.missing-topics-fatal", "`missing_topic` in [kafka.consumer]"),
    ("default.api.timeout.ms", "\"socket.timeout.ms\""),
    ("linger_ms", "`linger_ms` in [kafka.producer]"),
    ("socket_timeout_ms", "\"socket.timeout.ms\""),
];

#[test]
fn row_2_01_every_foreign_name_is_an_error_that_says_what_to_write_instead() {
    for (name, words) in FOREIGN {
        let report = bad(&property(&format!("\"{name}\" = 1")));
        assert_eq!(report.errors(), 1, "{report}");
        let message = format!("librdkafka has no property \"{name}\"");
        assert!(advice(&report, &message).contains(words), "{report}");
        assert_eq!(report.line_column(only(&report, &message)), Some((12, 1)), "{report}");
    }
}

/// A table, a key in it, words of the advice.
const MISPLACED: &[(&str, &str, &str)] = &[
    ("kafka.consumer", "max.poll.records", "`max_poll_records`"),
    ("kafka.consumer", "linger_ms", "`linger_ms` in [kafka.producer]"),
    ("kafka.consumer", "linger.ms", "`linger_ms` in [kafka.producer]"),
    ("kafka.consumer", "acks", "`acks` in [kafka.producer]"),
    ("kafka.consumer", "key.deserializer", "remove it"),
    ("kafka.consumer", "request_timeout_ms", "\"socket.timeout.ms\""),
    ("kafka.consumer", "client_id", "\"client.id\" in [kafka.properties]"),
    ("kafka.consumer", "isolation_level", "\"isolation.level\" in [kafka.properties]"),
    ("kafka.consumer", "bootstrap_servers", "`bootstrap_servers` in [kafka]"),
    ("kafka.consumer", "security_protocol", "`protocol` in [kafka.security]"),
    ("kafka.producer", "retries", "\"retries\" in [kafka.properties]"),
    ("kafka.producer", "batch_size", "\"batch.size\" in [kafka.properties]"),
    ("kafka.producer", "max_request_size", "\"message.max.bytes\""),
    ("kafka.producer", "group_id", "`group_id` in [kafka.consumer]"),
    ("kafka.producer", "fetch_min_bytes", "`fetch_min_bytes` in [kafka.consumer]"),
];

#[test]
fn row_2_02_a_key_in_the_wrong_table_is_an_error_that_names_the_right_one() {
    for (table, key, words) in MISPLACED {
        let text =
            small_and("").replace("[kafka.consumer]\n", &format!("[{table}]\n\"{key}\" = 1\n[kafka.consumer]\n"));
        let text = if *table == "kafka.consumer" {
            small_and("").replace("[kafka.consumer]\n", &format!("[kafka.consumer]\n\"{key}\" = 1\n"))
        } else {
            text
        };
        let report = bad(&text);
        assert_eq!(report.errors(), 1, "{report}");
        assert!(advice(&report, "unknown key").contains(words), "{report}");
    }
}

#[test]
fn row_2_02_a_property_goes_only_to_the_clients_it_concerns() {
    let lines = "\"check.crcs\" = false\n\"batch.num.messages\" = 7\n\"socket.timeout.ms\" = 9000\n\"debug\" = 'cgrp'";
    let settings = good(&property(lines)).settings;
    let consumer = &settings.consumers[0].properties.0;
    assert_eq!(consumer["check.crcs"], "false");
    assert!(!consumer.contains_key("batch.num.messages"));
    assert_eq!(settings.producer.0["batch.num.messages"], "7");
    assert!(!settings.producer.0.contains_key("check.crcs"));
    for properties in [consumer, &settings.producer.0, &settings.client.0] {
        assert_eq!((properties["socket.timeout.ms"].as_str(), properties["debug"].as_str()), ("9000", "cgrp"));
    }
    assert!(!settings.client.0.contains_key("check.crcs") && !settings.client.0.contains_key("batch.num.messages"));
}

#[test]
fn row_2_09_two_names_of_one_property_are_an_error() {
    let report = bad(&property("\"fetch.message.max.bytes\" = 1048576\n\"max.partition.fetch.bytes\" = 1048576"));
    only(&report, "\"max.partition.fetch.bytes\" is set twice");
    let report = bad(&property("\"queue.buffering.max.ms\" = 7")
        .replace("[kafka.consumer]", "[kafka.producer]\nlinger_ms = 3\n[kafka.consumer]"));
    only(&report, "\"linger.ms\" and `linger_ms` are the same setting");
    let settings = good(&property("\"fetch.message.max.bytes\" = 5000\n\"queue.buffering.max.ms\" = 7")).settings;
    assert_eq!(settings.consumers[0].properties.0["max.partition.fetch.bytes"], "5000");
    assert!(!settings.consumers[0].properties.0.contains_key("fetch.message.max.bytes"));
    assert_eq!(settings.producer.0["linger.ms"], "7");
}

/// A line of `[kafka.properties]`, words of the message, words of the advice.
const REFUSED: &[(&str, &str, &str)] = &[
    ("\"soket.keepalive.enable\" = true", "librdkafka has no property", "\"socket.keepalive.enable\""),
    ("\"group.id\" = 'x'", "cannot be set here", "`group_id` in [kafka.consumer]"),
    ("\"enable.auto.commit\" = true", "cannot be set here", "`enable_auto_commit`"),
    ("\"auto.commit.enable\" = true", "cannot be set here", "`enable_auto_commit`"),
    ("\"auto.offset.reset\" = 'latest'", "cannot be set here", "`auto_offset_reset`"),
    ("\"enable.auto.offset.store\" = true", "cannot be set here", "settled"),
    ("\"metadata.broker.list\" = 'x'", "cannot be set here", "`bootstrap_servers`"),
    ("\"plugin.library.paths\" = 'x'", "cannot be set here", "not allowed"),
    ("\"ssl.engine.location\" = 'x'", "cannot be set here", "not allowed"),
    ("\"transactional.id\" = 'x'", "cannot be set here", "not available in this version"),
    ("\"rebalance_cb\" = 'x'", "is a callback", ""),
    ("\"socket.keepalive.enable\" = 'yes'", "must be true or false, not `yes`", ""),
    ("\"socket.timeout.ms\" = 1", "must be an integer between 10 and 300000", ""),
    ("\"isolation.level\" = 'committed'", "must be one of `read_committed`, `read_uncommitted`", ""),
    ("\"compression.type\" = 'brotli'", "must be one of", ""),
    ("\"ssl.key.password\" = 'x'", "must not be written down here", "env"),
    ("\"client.rack\" = ['a']", "must not be a list", ""),
    (
        "\"reconnect.backoff.ms\" = 5000",
        "`reconnect.backoff.max.ms` (1000) must be at least `reconnect.backoff.ms` (5000)",
        "",
    ),
    (
        "\"fetch.max.bytes\" = 1000\n\"message.max.bytes\" = 2000",
        "`fetch.max.bytes` (1000) must be at least `message.max.bytes` (2000)",
        "",
    ),
    ("\"receive.message.max.bytes\" = 2000000", "must be at least 512 more than", ""),
    ("\"statistics.interval.ms\" = 0", "without statistics", ""),
    ("\"queued.max.messages.kbytes\" = 2000000", "more than `prefetch_total_mb`", ""),
    ("\"message.timeout.ms\" = 3", "`message.timeout.ms` (3) must be more than `linger_ms` (5)", ""),
    ("\"acks\" = 1", "`acks` = 1 contradicts `enable_idempotence` = true", "enable_idempotence = false"),
    ("\"max.in.flight\" = 6", "contradicts `enable_idempotence`", ""),
    ("\"retries\" = 0", "contradicts `enable_idempotence`", ""),
    ("\"queuing.strategy\" = 'lifo'", "contradicts `enable_idempotence`", ""),
    (
        "\"session.timeout.ms\" = 400000",
        "`max_poll_interval_ms` (300000) must be at least `session.timeout.ms` (400000)",
        "",
    ),
];

#[test]
fn properties_that_no_client_would_take_are_refused() {
    for (line, message, help) in REFUSED {
        let report = bad(&property(line));
        assert!(advice(&report, message).contains(help), "{line}\n{report}");
        assert_eq!(report.errors(), 1, "{line}\n{report}");
    }
}

#[test]
fn unquoted_names_are_as_good_as_quoted_ones() {
    let settings = good(&property("socket.timeout.ms = 9000\nclient.rack = 'r'")).settings;
    assert_eq!(settings.client.0["socket.timeout.ms"], "9000");
    assert_eq!(settings.client.0["client.rack"], "r");
}

#[test]
fn row_2_04_the_documents_producer_is_accepted() {
    let lines = "\"batch.size\" = 32768\n\"retries\" = 3\n\"retry.backoff.ms\" = 100";
    let text = property(lines).replace(
        "[kafka.consumer]",
        "[kafka.producer]\nacks = 'all'\ncompression_type = 'snappy'\nlinger_ms = 10\nenable_idempotence = true\n[kafka.consumer]",
    );
    let loaded = good(&text);
    let warnings = warnings(&loaded);
    assert!(warnings.len() == 1 && warnings[0].contains("after 3 retries"), "{warnings:?}");
    let producer = &loaded.settings.producer.0;
    for (name, value) in [("batch.size", "32768"), ("compression.type", "snappy"), ("linger.ms", "10"), ("acks", "all")]
    {
        assert_eq!(producer[name], value);
    }
}
