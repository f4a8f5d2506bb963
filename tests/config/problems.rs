//! Problems: all of them in one run, each at its place, with advice; and how they look.

use quorate::config::{self, Look, Purpose};

use super::{MODULES, SMALL, advice, bad, good, only, service, small_and, warnings};

/// Six mistakes of six kinds; the number of each line is its place in the file.
const SIX: &str = r#"[kafka]
bootstrap_servers = ["localhost:9092"]
startup_timeout = "60"
[kafka.consumer]
grup_id = "x"
group_id = "base"
session_timeout_ms = "fast"
"max.poll.records" = 5
[topics.PARAM]
station = "stationId"
[modules.probe]
requires = ["PARM"]
"#;

#[test]
fn all_problems_are_reported_in_one_run_each_at_its_line_and_column() {
    let report = bad(SIX);
    let places: Vec<_> = report.problems().iter().map(|problem| report.line_column(problem)).collect();
    let expected = [(3, 19), (5, 1), (7, 22), (8, 1), (10, 11), (12, 13)];
    assert_eq!(places, expected.map(Some), "{report}");
    assert_eq!(report.errors(), 6);
    assert_eq!(advice(&report, "unknown key `kafka.consumer.grup_id`"), "did you mean `group_id`?");
    assert_eq!(advice(&report, "max.poll.records"), "write `max_poll_records` in [kafka.consumer]");
    assert_eq!(advice(&report, "topics.PARAM.station"), "did you mean `/stationId`?");
    assert_eq!(advice(&report, "PARM"), "did you mean `PARAM`?");
}

#[test]
fn a_report_is_one_line_per_problem_where_there_is_no_terminal() {
    let report = bad(SIX);
    assert_eq!(report.render(Look::of_stream(false, false)), report.to_string());
    let line = "config.toml:5:1: error: unknown key `kafka.consumer.grup_id` (did you mean `group_id`?)";
    assert!(report.to_string().lines().any(|found| found == line), "{report}");
}

#[test]
fn a_report_is_drawn_with_snippets_on_a_terminal_and_colourless_with_no_color() {
    let report = bad(SIX);
    let colourful = report.render(Look::of_stream(true, false));
    let plain = report.render(Look::of_stream(true, true));
    assert!(colourful.contains('\u{1b}') && !plain.contains('\u{1b}'));
    for words in ["config.toml:5:1", "grup_id = \"x\"", "did you mean `group_id`?"] {
        assert!(plain.contains(words), "{words} in\n{plain}");
    }
    assert!(report.render(Look::Narrated).contains("config.toml"));
}

#[test]
fn text_that_is_not_toml_is_reported_with_the_problems_around_it() {
    let report = bad("[kafka]\nbootstrap_servers = [\n[kafka.consumer]\ngrup_id = 'x'\n");
    assert!(report.problems().iter().any(|problem| problem.message.starts_with("not TOML")), "{report}");
    assert!(!report.to_string().contains("is missing"), "{report}");
    assert!(bad("a = 'x").has_errors());
}

#[test]
fn a_file_that_is_not_there_is_a_problem() {
    let sources = config::Sources { path: "/nowhere/config.toml".into(), env: [], set: vec![] };
    let report = config::load(sources, Purpose::service(MODULES)).expect_err("no file");
    assert!(report.to_string().starts_with("/nowhere/config.toml: error: the file cannot be read"), "{report}");
}

#[test]
fn row_0_01_an_empty_configuration_names_every_key_that_is_missing() {
    let report = bad("");
    for words in
        ["`kafka.bootstrap_servers` is missing", "`kafka.consumer.group_id` is missing", "no module is enabled"]
    {
        only(&report, words);
    }
}

/// What is added to [`SMALL`], words of the message, words of the advice.
const REFUSED: &[(&str, &str, &str)] = &[
    ("[servce]", "unknown key `servce`", "`service`"),
    ("[service]\ndrain_timout = '1s'", "unknown key `service.drain_timout`", "`drain_timeout`"),
    ("[service]\nmodule_threads = 0", "`service.module_threads`: 0 is not between", ""),
    ("[limits]\nrecord_bytes = '5 apples'", "`5 apples` is not a size", "MiB"),
    ("[limits]\ndepth = 513", "513 is not between 1 and 512", "each level takes stack"),
    ("[log]\nformat = 'jsn'", "unknown value `jsn`", "`json`"),
    ("[stations]\nforget_after = 'nevr'", "`nevr` is not a duration", "\"never\""),
    ("[stations]\nforget_after = '0s'", "must be longer than nothing", "\"400d\""),
    ("[topics.X]\nscope = 'global'\non_recreate = 'hlt'", "unknown value `hlt`", "`halt`"),
    ("[topics.X]\nscope = 'global'\non_failure = 'commit'", "unknown value `commit`", "`dead_letter`, `halt`"),
    ("[topics.X]\nscope = 'global'\nprofile = 'control'", "`control` is not available in this version", "`task`"),
    ("[topics.X]\nscope = 'global'\ngroup_id = 'x'", "cannot differ from topic to topic", "[kafka.consumer]"),
    ("[topics.X]\nscope = 'global'\nenable_auto_commit = true", "is not available in this version", "[kafka.consumer]"),
    ("[topics.X]\nscope = 'global'\nlinger_ms = 5", "unknown key `topics.X.linger_ms`", "[kafka.producer]"),
    (
        "[topics.X]\nscope = 'global'\nmissing_topic = 'create'\n[modules.digest]\nrequires = ['X']",
        "nothing says how",
        "provision",
    ),
    ("[topics.'X Y']\nscope = 'global'", "is no topic name", ""),
    ("[topics.X]", "`topics.X.station` is missing", "scope"),
    ("[topics.X]\nstation = '/s'\nscope = 'global'", "exclude each other", ""),
    (
        "[modules.digest]\nrequires = ['PARAM']\ntrigger = { on = ['PARM'] }",
        "PARM is no input of module `digest`",
        "`PARAM`",
    ),
    ("[modules.digest]\nrequires = ['PARAM']\ntrigger = { on = [] }", "never makes a module due", ""),
    (
        "[modules.digest]\nrequires = ['PARAM']\nretry = { backoff = '1m' }",
        "`backoff` is longer than `max_backoff`",
        "",
    ),
    (
        "[modules.digest]\nrequires = ['PARAM']\noptional = ['PARAM']",
        "names PARAM as required and as optional",
        "keep one",
    ),
    ("[modules.digest]\nrequires = ['PARAM', { topic = 'PARAM' }]", "names PARAM twice", "keep one"),
    ("[modules.digest]\nrequires = ['PARAM']\noutput_topic = 'PARAM'", "needs its own results", ""),
    ("[modules.digst]\nrequires = ['PARAM']", "there is no module `digst`", "`digest`"),
    ("[modules.digest]\nenabled = true", "names no inputs", "requires"),
    ("[dead_letter]\ntopic = 'PARAM'", "takes the dead letters", ""),
    ("[state]\nmod = 'local'", "unknown key `state.mod`", "`mode`"),
    ("[state]\nmode = 'sharded'", "`sharded` is not available in this version", "`local`, `memory`"),
    ("[state]\nmode = 'memry'", "unknown value `memry`", "`memory`"),
    ("[state]\ndelivery = 'exactly_once'", "`exactly_once` is not available in this version", "`at_least_once`"),
    ("[state]\ndir = ''", "`state.dir`: must not be empty", ""),
    ("[http]\nlisten_on = 'x'", "unknown key `http.listen_on`", ""),
];

#[test]
fn what_cannot_be_used_is_refused_with_advice() {
    for (more, message, help) in REFUSED {
        let report = bad(&small_and(more));
        assert_eq!(report.errors(), 1, "{more}\n{report}");
        assert!(advice(&report, message).contains(help), "{more}\n{report}");
    }
}

/// What is added to [`SMALL`], words of the warning.
const SUSPICIOUS: &[(&str, &str)] = &[
    ("[http]\nlisten = '127.0.0.1:8088'\ntoken = { env = 'UNSET' }", "[http] is not active in this version"),
    ("[control]\ntopic = 'base-control'", "[control] is not active in this version"),
    (
        "[topics.X]\nscope = 'global'\nexpect = '1h'\nwindow = { kind = 'per_key', key = '/k', expire = '1m' }",
        "`expire` of X is shorter than `expect`",
    ),
    (
        "[topics.X]\nscope = 'global'\nexpect = '1y'\nprovision = { partitions = 1, replication = 1, retention = '7d' }",
        "keeps records for less time",
    ),
    (
        "[topics.X]\nscope = 'global'\nexpect = '1h'\n[modules.digest]\noptional = [{ topic = 'X', max_age = '1m' }]",
        "`max_age` of X is shorter",
    ),
];

#[test]
fn what_is_suspicious_is_warned_about() {
    for (more, message) in SUSPICIOUS {
        let loaded = good(&small_and(more));
        let warnings = warnings(&loaded);
        assert!(warnings.len() == 1 && warnings[0].contains(message), "{more}\n{}", loaded.warnings);
    }
}

#[test]
fn the_small_configuration_of_these_tests_has_nothing_wrong() {
    assert!(good(SMALL).warnings.is_empty());
}

#[test]
fn replay_needs_neither_brokers_nor_known_modules() {
    let text = "[topics.PARAM]\nstation = '/s'\n[modules.somebody_elses]\nrequires = ['PARAM']\n";
    let loaded = config::from_str("c", text, Purpose::replay(MODULES)).expect("replay");
    assert_eq!(&*loaded.settings.plan.modules[0].version, "1");
    let report = config::from_str("c", text, Purpose::replay_with_outputs(MODULES)).expect_err("unknown module");
    assert_eq!(report.errors(), 1);
    assert!(service(text).expect_err("no brokers").errors() > 1);
}

#[test]
fn a_module_that_is_not_enabled_needs_no_code_and_consumes_nothing() {
    let loaded = good(&small_and("[topics.X]\nscope = 'global'\n[modules.later]\nenabled = false\nrequires = ['X']"));
    assert_eq!(loaded.settings.plan.topics.len(), 1);
    let report = bad(&small_and("[modules.later]\nenabled = false\nrequires = ['Y']"));
    only(&report, "names the topic Y, which is not declared");
}
