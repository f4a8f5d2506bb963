//! Overrides from the environment and the command line, and what `config show` says about them.

use quorate::config::{self, Loaded, Purpose, Report, Sources};

use super::{MODULES, SMALL};

fn load(env: &[(&str, &str)], set: &[&str]) -> Result<Loaded, Report> {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("config.toml");
    std::fs::write(&path, SMALL).expect("file");
    let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let set = set.iter().map(|argument| (*argument).to_owned()).collect();
    config::load(Sources { path, env, set }, Purpose::service(MODULES))
}

#[track_caller]
fn loaded(env: &[(&str, &str)], set: &[&str]) -> Loaded {
    load(env, set).unwrap_or_else(|report| panic!("{report}"))
}

#[track_caller]
fn origin(loaded: &Loaded, key: &str) -> (String, String) {
    let found = loaded.shown.values().find(|shown| shown.key == key);
    let found = found.unwrap_or_else(|| panic!("{key} is not shown:\n{}", loaded.shown.render(false)));
    (found.value.to_owned(), found.origin)
}

const GROUP: &str = "QUORATE__KAFKA__CONSUMER__GROUP_ID";

#[test]
fn row_3_01_arguments_win_over_the_environment_over_the_file_over_defaults() {
    assert_eq!(loaded(&[], &[]).settings.base_group, "base");
    assert_eq!(loaded(&[(GROUP, "env")], &[]).settings.base_group, "env");
    let all = loaded(&[(GROUP, "env")], &["kafka.consumer.group_id=first", "kafka.consumer.group_id=set"]);
    assert_eq!(all.settings.base_group, "set");
    assert_eq!(all.settings.consumers[0].group, "set-PARAM");
}

#[test]
fn row_3_01_each_value_is_shown_with_its_source() {
    let env = [("QUORATE__KAFKA__CONSUMER__PROFILE", "catch_up")];
    let loaded = loaded(&env, &["service.flush_interval=2s"]);
    let (value, place) = origin(&loaded, "kafka.consumer.group_id");
    assert_eq!(value, "\"base\"");
    assert!(place.ends_with("config.toml:5:12"), "{place}");
    assert_eq!(origin(&loaded, "service.flush_interval"), ("\"2s\"".into(), "--set service.flush_interval".into()));
    assert_eq!(origin(&loaded, "kafka.consumer.profile").1, "environment QUORATE__KAFKA__CONSUMER__PROFILE");
    assert_eq!(origin(&loaded, "kafka.consumer.session_timeout_ms"), ("60000".into(), "profile catch_up".into()));
    assert_eq!(origin(&loaded, "kafka.consumer.fetch_min_bytes"), ("1".into(), "default".into()));
    assert_eq!(origin(&loaded, "dead_letter.topic"), ("\"base-dead-letters\"".into(), "default".into()));
}

#[test]
fn the_native_properties_are_shown_on_request_only() {
    let shown = loaded(&[], &[]).shown;
    assert!(shown.render(true).contains("# native properties: consumer base-PARAM"));
    assert!(shown.render(true).contains("fetch.wait.max.ms = 500"));
    assert!(!shown.render(false).contains("fetch.wait.max.ms"));
}

#[test]
fn names_are_found_whatever_their_case_and_punctuation() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("config.toml");
    let text = SMALL.replace("PARAM", "SCHEDULE-STATION-Param");
    std::fs::write(&path, text).expect("file");
    let env = [
        ("QUORATE__TOPICS__SCHEDULE_STATION_PARAM__EXPECT".to_owned(), "1h".to_owned()),
        ("QUORATE__MODULES__PROBE__CONCURRENCY".to_owned(), "3".to_owned()),
        ("QUORATE__KAFKA__PROPERTIES__SOCKET_KEEPALIVE_ENABLE".to_owned(), "false".to_owned()),
        ("UNRELATED".to_owned(), "x".to_owned()),
    ];
    let loaded = config::load(Sources { path, env, set: vec![] }, Purpose::service(MODULES)).expect("loads");
    assert_eq!(loaded.settings.topics[0].expect_ms, Some(3_600_000));
    assert_eq!(loaded.settings.modules[0].concurrency, 3);
    assert_eq!(loaded.settings.producer.0["socket.keepalive.enable"], "false");
}

#[test]
fn overrides_are_toml_where_they_can_be_and_words_elsewhere() {
    let set = [
        "kafka.bootstrap_servers=a:1, b:2",
        "kafka.consumer.group_id=42",
        "topics.PARAM.window={ kind = 'per_key', key = '/k' }",
        "kafka.properties.socket.timeout.ms=5000",
        "kafka.properties.\"client.rack\"=r1",
    ];
    let settings = loaded(&[], &set).settings;
    assert_eq!(settings.client.0["bootstrap.servers"], "a:1,b:2");
    assert_eq!(settings.base_group, "42");
    assert_eq!(settings.client.0["socket.timeout.ms"], "5000");
    assert_eq!(settings.consumers[0].properties.0["client.rack"], "r1");
}

#[test]
fn an_override_that_fits_nowhere_is_a_problem_that_names_it() {
    for (set, words) in [
        ("kafka.consumer.grup_id=x", "--set kafka.consumer.grup_id: error: unknown key"),
        ("kafka.consumer.group_id.x=1", "`kafka.consumer.group_id` is not a table"),
        ("nonsense", "wants `KEY=VALUE`"),
        ("a..b=1", "not a dotted key"),
    ] {
        let report = load(&[], &[set]).expect_err(set);
        assert!(report.to_string().contains(words), "{report}");
    }
    let report = load(&[("QUORATE__KAFKA____X", "1")], &[]).expect_err("no key");
    assert!(report.to_string().contains("names no key"), "{report}");
    let report = load(&[("QUORATE__SERVICE__DRAIN_TIMEOUT", "soon")], &[]).expect_err("no duration");
    let line = "environment QUORATE__SERVICE__DRAIN_TIMEOUT: error: `service.drain_timeout`: `soon` is not a duration";
    assert!(report.to_string().starts_with(line), "{report}");
}
