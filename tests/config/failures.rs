//! What becomes of failures: policies, deadlines, pauses, and who is told.

use std::time::Duration;

use quorate::config::{
    BreakerSettings, CallbackSettings, FailureSettings, Loaded, ModuleSettings, OnFailure, QuarantineSettings,
    Recreated, Retry, Undecodable,
};

use super::{SMALL, advice, bad, good, shown, small_and, warnings, with_topics};

/// [`SMALL`], whose module has these lines, too.
fn probe(lines: &str) -> String {
    small_and(lines)
}

fn settings(loaded: &Loaded) -> &ModuleSettings {
    &loaded.settings.modules[0]
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_failure_is_tried_again_and_then_a_dead_letter_unless_said_otherwise() {
    let loaded = good(SMALL);
    let module = settings(&loaded);
    assert_eq!(module.on_failure, OnFailure::RetryThenDeadLetter);
    assert_eq!((module.retry.attempts, module.deadline), (3, None));
    assert_eq!(module.breaker, Some(BreakerSettings { failure_ratio: 0.5, of: 20, pause: seconds(30) }));
    assert_eq!(module.quarantine, Some(QuarantineSettings { after: 3, pause: seconds(60), max_pause: seconds(3600) }));
    assert_eq!(module.failure, FailureSettings { topic: true, log: false, callback: None });
    let printed = ["on_failure", "breaker.failure_ratio", "breaker.of", "quarantine.max_pause", "failure_sinks"];
    let printed = printed.map(|key| shown(&loaded, &format!("modules.probe.{key}")).expect(key));
    assert_eq!(printed, ["\"retry_then_dead_letter\"", "0.5", "20", "\"1h\"", "[\"topic\"]"]);
}

#[test]
fn to_commit_a_failure_is_to_try_once() {
    let loaded = good(&probe("on_failure = 'commit'\ntimeout = '10s'"));
    let module = settings(&loaded);
    assert_eq!((module.on_failure, module.retry.attempts), (OnFailure::Commit, 1));
    assert_eq!(loaded.settings.plan.modules[0].run_ms, 10_000);
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(shown(&loaded, "modules.probe.retry.attempts").as_deref(), Some("1"));
    let loaded = good(&probe("on_failure = 'commit'\nretry = { attempts = 5 }"));
    assert_eq!(settings(&loaded).retry.attempts, 1);
    assert!(warnings(&loaded)[0].contains("`retry` has no effect"), "{}", loaded.warnings);
}

#[test]
fn a_module_may_stop_at_a_failure_while_others_go_on() {
    let loaded = good(&probe("on_failure = 'halt'\n[modules.digest]\nrequires = ['PARAM']"));
    let policies: Vec<_> = loaded.settings.modules.iter().map(|module| (&*module.name, module.on_failure)).collect();
    assert_eq!(policies, [("digest", OnFailure::RetryThenDeadLetter), ("probe", OnFailure::Halt)]);
    assert_eq!(settings(&loaded).retry.attempts, 3);
}

#[test]
fn attempts_have_a_deadline_of_their_own() {
    let lines = "timeout = '10s'\nretry = { attempts = 4, backoff = '1s', max_backoff = '3s' }\n";
    for (deadline, run_ms) in [("", 46_000), ("deadline = '20s'", 20_000), ("deadline = '1h'", 46_000)] {
        let loaded = good(&probe(&format!("{lines}{deadline}")));
        assert_eq!(loaded.settings.plan.modules[0].run_ms, run_ms, "{deadline}");
        assert_eq!(settings(&loaded).retry, Retry { attempts: 4, backoff: seconds(1), max_backoff: seconds(3) });
    }
    assert_eq!(settings(&good(&probe("timeout = '10s'\ndeadline = '10s'"))).deadline, Some(seconds(10)));
    let report = bad(&probe("timeout = '10s'\ndeadline = '9s'"));
    assert!(advice(&report, "`deadline` is shorter than `timeout`").contains("lengthen `deadline`"));
    assert_eq!(report.line_column(&report.problems()[0]), Some((12, 12)), "{report}");
}

#[test]
fn a_breaker_and_a_quarantine_can_be_set_in_part_and_switched_off() {
    let breaker = |lines: &str| settings(&good(&probe(lines))).breaker;
    let whole = BreakerSettings { failure_ratio: 0.5, of: 20, pause: seconds(30) };
    assert_eq!(
        breaker("breaker = { of = 5, pause = '1s' }"),
        Some(BreakerSettings { of: 5, pause: seconds(1), ..whole })
    );
    assert_eq!(breaker("breaker = { failure_ratio = 1 }"), Some(BreakerSettings { failure_ratio: 1.0, ..whole }));
    assert_eq!((breaker("breaker = true"), breaker("breaker = false")), (Some(whole), None));
    let quarantine = |lines: &str| settings(&good(&probe(lines))).quarantine;
    let whole = QuarantineSettings { after: 3, pause: seconds(60), max_pause: seconds(3600) };
    assert_eq!(quarantine("quarantine = { after = 1 }"), Some(QuarantineSettings { after: 1, ..whole }));
    assert_eq!((quarantine("quarantine = true"), quarantine("quarantine = false")), (Some(whole), None));
    let off = good(&probe("breaker = false\nquarantine = false"));
    assert_eq!(shown(&off, "modules.probe.breaker").as_deref(), Some("false"));
    assert_eq!(shown(&off, "modules.probe.breaker.of"), None);
}

#[test]
fn a_failure_is_told_to_a_topic_a_log_and_a_callback() {
    let told = |lines: &str| settings(&good(&probe(lines))).failure.clone();
    let callback = CallbackSettings {
        url: "http://127.0.0.1:9000/failed?of=probe".to_owned(),
        timeout: seconds(30),
        attempts: 3,
        backoff: seconds(1),
    };
    let url = "url = 'http://127.0.0.1:9000/failed?of=probe'";
    for (lines, topic, log, callback) in [
        ("failure_sinks = ['topic', 'log']".to_owned(), true, true, None),
        ("failure_sinks = ['log']".to_owned(), false, true, None),
        (format!("failure_callback = {{ {url} }}"), true, false, Some(callback.clone())),
        (format!("failure_sinks = []\nfailure_callback = {{ {url} }}"), false, false, Some(callback.clone())),
        (
            format!("failure_callback = {{ {url}, timeout = '5s', attempts = 7, backoff = '0s' }}"),
            true,
            false,
            Some(CallbackSettings { timeout: seconds(5), attempts: 7, backoff: seconds(0), ..callback }),
        ),
    ] {
        assert_eq!(told(&lines), FailureSettings { topic, log, callback }, "{lines}");
    }
    for host in ["localhost", "a.b-c.example:80", "10.0.0.1:65535", "[::1]:9000", "[::1]", "task_service"] {
        good(&probe(&format!("failure_callback = {{ url = 'http://{host}/x' }}")));
        good(&probe(&format!("failure_callback = {{ url = 'http://{host}' }}")));
    }
}

/// Lines of a module, words of the message, words of the advice.
const REFUSED: &[(&str, &str, &str)] = &[
    ("on_failure = 'dead_letter'", "unknown value `dead_letter`", "`retry_then_dead_letter`"),
    ("deadline = '0s'", "must be longer than nothing", ""),
    ("retry = { jitter = true }", "unknown key `modules.probe.retry.jitter`", ""),
    ("retry = { max_backoff = '10ms' }", "`backoff` is longer than `max_backoff`", "lengthen `max_backoff`"),
    ("breaker = 'off'", "`modules.probe.breaker` must be a table or `false`, not a string", "`false` switches it off"),
    ("breaker = { failure_ratio = 0 }", "0 is not above 0 and at most 1", "0.5"),
    ("breaker = { failure_ratio = 1.5 }", "1.5 is not above 0 and at most 1", "`breaker = false`"),
    ("breaker = { failure_ratio = nan }", "is not above 0 and at most 1", ""),
    ("breaker = { failure_ratio = '50%' }", "must be a number, not a string", ""),
    ("breaker = { of = 0 }", "0 is not between 1 and", ""),
    ("breaker = { pause = '0s' }", "must be longer than nothing", ""),
    ("breaker = { pauze = '1s' }", "unknown key `modules.probe.breaker.pauze`", "`pause`"),
    ("quarantine = { after = 0 }", "0 is not between 1 and", ""),
    ("quarantine = { pause = '2h' }", "`pause` is longer than `max_pause`", "lengthen `max_pause`"),
    ("quarantine = { max_pause = '1s' }", "`pause` is longer than `max_pause`", "shorten `pause`"),
    ("failure_sinks = []", "a failure would leave no trace", "failure_callback"),
    ("failure_sinks = ['topik']", "unknown value `topik`", "`topic`"),
    ("failure_sinks = 'log'", "must be a list", ""),
    ("failure_callback = { timeout = '1s' }", "`modules.probe.failure_callback.url` is missing", "http://"),
    ("failure_callback = { url = 'https://a/b' }", "https is not available in this version", "use http"),
    ("failure_callback = { url = 'a/b' }", "begins with `http://` and a host", "e.g."),
    ("failure_callback = { url = 'http://' }", "begins with `http://` and a host", "e.g."),
    ("failure_callback = { url = 'http:///x' }", "begins with `http://` and a host", "e.g."),
    ("failure_callback = { url = 'http://a:0/x' }", "begins with `http://` and a host", "e.g."),
    ("failure_callback = { url = 'http://a:http/x' }", "begins with `http://` and a host", "e.g."),
    ("failure_callback = { url = 'http://a b/x' }", "begins with `http://` and a host", "e.g."),
    ("failure_callback = { url = 'http://a/x#y' }", "begins with `http://` and a host", "e.g."),
    ("failure_callback = { url = 'http://[1]/x' }", "begins with `http://` and a host", "e.g."),
    ("failure_callback = { url = 'http://a', attempts = 0 }", "0 is not between 1 and", ""),
    ("failure_callback = { url = 'http://a', method = 'PUT' }", "failure_callback.method`", "known here"),
];

#[test]
fn failures_that_would_be_handled_in_no_way_are_refused() {
    for (lines, message, help) in REFUSED {
        let report = bad(&probe(lines));
        assert_eq!(report.errors(), 1, "{lines}\n{report}");
        assert!(advice(&report, message).contains(help), "{lines}\n{report}");
    }
}

#[test]
fn an_address_with_a_login_is_refused_and_shown_nowhere() {
    let report = bad(&probe("failure_callback = { url = 'http://svc:canary@127.0.0.1/x' }"));
    advice(&report, "an address must not hold a login");
    let drawn = report.render(quorate::config::Look::of_stream(true, true));
    assert!(drawn.contains("failure_callback") && !drawn.contains("canary"), "{drawn}");
    assert!(!report.to_string().contains("canary"), "{report}");
}

#[test]
fn a_topic_may_stop_at_what_cannot_be_decoded_or_where_it_begins_anew() {
    let text = with_topics(Some(true), "on_recreate = 'halt'", &["A", "B"])
        .replace("[topics.A]\n", "[topics.A]\non_failure = 'halt'\non_recreate = 'earliest'\n");
    let found: Vec<_> = good(&text).settings.topics.iter().map(|t| (t.on_failure, t.on_recreate)).collect();
    assert_eq!(found, [(Undecodable::Halt, Recreated::Earliest), (Undecodable::DeadLetter, Recreated::Halt)]);
    let topic = &good(SMALL).settings.topics[0];
    assert_eq!((topic.on_failure, topic.on_recreate), (Undecodable::DeadLetter, Recreated::Earliest));
}
