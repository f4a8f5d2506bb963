//! Profiles for tasks: the values they stand for, what wins over them, and what is said about them.

use quorate::config::{ConsumerMode, Loaded, OffsetReset};

use super::{bad, good, only, shown, warnings, with_topics};

/// Quota, session, heartbeat and poll interval, and where reading starts, of each topic in turn.
fn values(loaded: &Loaded) -> Vec<(usize, String, String, String, OffsetReset)> {
    let settings = &loaded.settings;
    assert_eq!(settings.mode, ConsumerMode::Multi);
    let one = |(consumer, topic): (&quorate::config::ConsumerSettings, &quorate::config::TopicSettings)| {
        let native = |name: &str| consumer.properties.0[name].clone();
        let [session, heartbeat, interval] =
            ["session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms"].map(native);
        (topic.quota, session, heartbeat, interval, topic.auto_offset_reset)
    };
    settings.consumers.iter().zip(&settings.topics).map(one).collect()
}

fn row(
    quota: usize,
    [session, heartbeat, interval]: [&str; 3],
    reset: OffsetReset,
) -> (usize, String, String, String, OffsetReset) {
    (quota, session.to_owned(), heartbeat.to_owned(), interval.to_owned(), reset)
}

#[test]
fn row_1_28_the_profile_for_exclusive_tasks_is_the_recommended_table() {
    let loaded = good(&with_topics(Some(true), "profile = 'exclusive_task'", &["A"]));
    assert_eq!(values(&loaded), [row(1, ["60000", "10000", "600000"], OffsetReset::Latest)]);
    let native = &loaded.settings.consumers[0].properties.0;
    assert_eq!((&*native["enable.auto.commit"], &*native["enable.auto.offset.store"]), ("false", "false"));
    for (key, value) in [
        ("max_poll_records", "1"),
        ("enable_auto_commit", "false"),
        ("max_poll_interval_ms", "600000"),
        ("session_timeout_ms", "60000"),
        ("heartbeat_interval_ms", "10000"),
        ("auto_offset_reset", "\"latest\""),
    ] {
        assert_eq!(shown(&loaded, &format!("kafka.consumer.{key}")).as_deref(), Some(value), "{key}");
    }
    let origin = loaded.shown.values().find(|value| value.key == "kafka.consumer.heartbeat_interval_ms");
    assert_eq!(origin.map(|value| value.origin).as_deref(), Some("profile exclusive_task"));
}

#[test]
fn row_0_11_and_0_13_and_0_14_and_0_15_the_profile_for_tasks_reads_everything_in_small_turns() {
    let loaded = good(&with_topics(Some(true), "profile = 'task'", &["A"]));
    assert_eq!(values(&loaded), [row(10, ["30000", "3000", "300000"], OffsetReset::Earliest)]);
    assert_eq!(loaded.settings.consumers[0].properties.0["enable.auto.commit"], "false");
    assert_eq!(warnings(&loaded), Vec::<&str>::new());
}

#[test]
fn row_0_16_and_0_17_and_0_18_fetches_have_the_usual_values_in_any_spelling_the_service_has() {
    let loaded = good(&with_topics(Some(true), "profile = 'task'", &["A"]));
    let native = &loaded.settings.consumers[0].properties.0;
    let fetches = ["fetch.wait.max.ms", "fetch.min.bytes", "fetch.max.bytes"].map(|name| &*native[name]);
    assert_eq!(fetches, ["500", "1", "52428800"]);
    let consumer = |line: &str| with_topics(Some(true), line, &["A"]);
    for wrong in ["fetch_min_bytes = 0", "fetch_min_bytes = 100000001", "fetch_max_wait_ms = 300001"] {
        only(&bad(&consumer(wrong)), "is not between");
    }
    only(&bad(&consumer("fetch_max_bytes = 1000")), "must be at least");
}

#[test]
fn row_4_26_a_topic_may_have_a_profile_of_its_own_and_explicit_keys_win() {
    let own = "[topics.A]\nprofile = 'exclusive_task'\nheartbeat_interval_ms = 5000\nauto_offset_reset = 'earliest'\n";
    let text = with_topics(Some(true), "profile = 'task'\nsession_timeout_ms = 40000", &["A", "B"])
        .replace("[topics.A]\n", own);
    let expected = [
        row(1, ["60000", "5000", "600000"], OffsetReset::Earliest),
        row(10, ["40000", "3000", "300000"], OffsetReset::Earliest),
    ];
    let loaded = good(&text);
    assert_eq!(values(&loaded), expected);
    let printed = |key: &str| shown(&loaded, key);
    assert_eq!(printed("topics.A.max_poll_interval_ms").as_deref(), Some("600000"));
    assert_eq!(printed("topics.A.heartbeat_interval_ms").as_deref(), Some("5000"));
    assert_eq!((printed("topics.A.fetch_min_bytes"), printed("topics.B.max_poll_interval_ms")), (None, None));
}

#[test]
fn row_1_07_latest_with_positions_that_are_committed_as_they_settle_is_warned_about() {
    let consumer = |lines: &str| good(&with_topics(Some(true), lines, &["A", "B"]));
    for (lines, column) in [("profile = 'exclusive_task'", 11), ("auto_offset_reset = 'latest'", 21)] {
        let loaded = consumer(lines);
        let found = only(&loaded.warnings, "queued before the first start");
        assert_eq!(loaded.warnings.line_column(found), Some((6, column)), "{lines}");
        assert!(found.help.as_deref().is_some_and(|help| help.contains("`auto_offset_reset = \"earliest\"`")));
    }
    let own =
        with_topics(Some(true), "", &["A", "B"]).replace("[topics.B]\n", "[topics.B]\nprofile = 'exclusive_task'\n");
    let loaded = good(&own);
    assert_eq!(loaded.warnings.line_column(only(&loaded.warnings, "`latest` skips")), Some((10, 11)));
    assert!(consumer("profile = 'exclusive_task'\nauto_offset_reset = 'earliest'").warnings.is_empty());
}

#[test]
fn in_single_mode_a_topics_profile_decides_its_quota_and_where_it_starts_and_says_so() {
    let text = with_topics(None, "", &["A"]).replace("[topics.A]\n", "[topics.A]\nprofile = 'task'\n");
    let loaded = good(&text);
    assert_eq!((loaded.settings.topics[0].quota, warnings(&loaded).len()), (10, 1));
    assert!(warnings(&loaded)[0].contains("`profile` of A decides only how many records a turn has"));
}

/// What is said about a module that reads exclusive tasks, besides what is said about the number of topics.
fn said(profile: &str, module: &str) -> Vec<(String, String)> {
    let text = with_topics(Some(true), "auto_offset_reset = 'earliest'", &["A", "B", "C"])
        .replace("[topics.A]\n", &format!("[topics.A]\nprofile = '{profile}'\n"));
    let loaded = good(&format!("{text}{module}"));
    let advice = loaded.advice.problems().iter();
    advice.map(|problem| (problem.message.clone(), problem.help.clone().unwrap_or_default())).collect()
}

#[test]
fn row_1_28_what_keeps_exclusive_tasks_from_being_exclusive_is_advised_against() {
    let each = "trigger = { each = true, on = ['A'] }\n";
    let coalesces = ("module `probe` may pass over tasks of A", "`trigger = { each = true, on = [\"A\"] }`");
    let several = ("module `probe` may have 8 tasks of A in hand", "`concurrency = 1`");
    let (one, eight) = ("concurrency = 1\n", "concurrency = 8\n");
    for (module, expected) in [
        (String::new(), vec![coalesces, several]),
        (each.to_owned(), vec![]),
        (one.to_owned(), vec![coalesces]),
        (format!("{each}{eight}"), vec![several]),
    ] {
        let mut found = said("exclusive_task", &module);
        found.sort_by_key(|(message, _)| message.contains("in hand"));
        assert_eq!(found.len(), expected.len(), "{module}\n{found:?}");
        for ((message, help), (words, remedy)) in found.iter().zip(expected) {
            assert!(message.contains(words) && help.contains(remedy), "{module}\n{found:?}");
        }
    }
    assert_eq!(said("task", ""), []);
}

#[test]
fn row_1_01_and_1_28_of_exclusive_tasks_one_is_in_hand_and_none_waits_outside_kafka_unless_a_module_says_otherwise() {
    let hands = |keys: &str, module: &str| {
        let text = with_topics(Some(true), keys, &["A"])
            .replace("[topics.A]\n", "[topics.A]\nauto_offset_reset = 'earliest'\n");
        let loaded = good(&format!("{text}trigger = {{ each = true, on = ['A'] }}\n{module}"));
        let module = &loaded.settings.modules[0];
        let origin =
            loaded.shown.values().find(|value| value.key == "modules.probe.concurrency").map(|value| value.origin);
        (module.concurrency, module.max_pending, origin.unwrap_or_default())
    };
    assert_eq!(hands("profile = 'exclusive_task'", ""), (1, 1, "profile exclusive_task".to_owned()));
    assert_eq!(hands("profile = 'task'", ""), (8, 10_000, "default".to_owned()));
    let (concurrency, max_pending, _) = hands("profile = 'exclusive_task'", "concurrency = 2\nmax_pending = 5\n");
    assert_eq!((concurrency, max_pending), (2, 5));
}

#[test]
fn the_log_tells_of_each_record_of_a_queue_and_of_no_other_topic() {
    let is_queue = |text: &str| good(text).settings.topics[0].is_queue;
    assert!(is_queue(&with_topics(Some(true), "profile = 'task'", &["A"])));
    assert!(is_queue(&with_topics(Some(true), "profile = 'exclusive_task'", &["A"])));
    assert!(!is_queue(&with_topics(Some(true), "profile = 'catch_up'", &["A"])));
    assert!(!is_queue(&with_topics(Some(true), "", &["A"])));
}

#[test]
fn row_4_30_what_waits_between_clients_and_modules_is_bounded_by_the_same_total_as_what_clients_hold() {
    let loaded = good(&with_topics(Some(true), "prefetch_total_mb = 32", &["A", "B"]));
    let held: usize = loaded.settings.consumers.iter().map(|consumer| consumer.prefetch_bytes).sum();
    assert_eq!((held, loaded.settings.service.lane_bytes), (32 << 20, 32 << 20));
}
