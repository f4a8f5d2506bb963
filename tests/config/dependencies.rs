//! `depends_on`: where results come from, what is refused, and the order that follows.

use quorate::config::{self, Loaded, Purpose, Rehydrate, Report};
use quorate_core::ident::{ModuleId, TopicId};
use quorate_core::plan::{InputPlan, OnNull, Scope, Source, TopicPlan, WindowPlan};

use super::{advice, bad, good, only, small_and, warnings};

const REGISTRY: &[(&str, &str)] = &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("probe", "1")];

/// Tables behind those of the small configuration, for a registry of `a` to `d` and `probe`.
fn load(
    tables: &str,
    purpose: fn(&'static [(&'static str, &'static str)]) -> Purpose<'static>,
) -> Result<Loaded, Report> {
    config::from_str("config.toml", &small_and(tables), purpose(REGISTRY))
}

#[track_caller]
fn run(tables: &str) -> Loaded {
    load(tables, Purpose::service).unwrap_or_else(|report| panic!("{report}"))
}

#[track_caller]
fn refused(tables: &str) -> Report {
    match load(tables, Purpose::service) {
        Ok(_) => panic!("no error in\n{tables}"),
        Err(report) => report,
    }
}

/// Names and sources of a module's required inputs, then of its optional ones.
#[track_caller]
fn inputs<'l>(loaded: &'l Loaded, module: &str) -> [Vec<(&'l str, Source)>; 2] {
    let plan = &loaded.settings.plan;
    let module = plan.module(plan.module_id(module).expect("enabled"));
    [&module.requires, &module.optional].map(|list| list.iter().map(|input| (&*input.name, input.source)).collect())
}

#[track_caller]
fn topic<'l>(loaded: &'l Loaded, name: &str) -> (Source, &'l TopicPlan) {
    let plan = &loaded.settings.plan;
    let id = plan.topic_id(name).expect("consumed");
    (Source::Topic(id), plan.topic(id))
}

fn order(loaded: &Loaded) -> Vec<&str> {
    loaded.settings.plan.modules.iter().map(|module| &*module.name).collect()
}

#[test]
fn inputs_stand_in_the_order_topics_then_modules_required_then_optional() {
    let loaded =
        run("[topics.X]\nscope = 'global'\n[modules.a]\nrequires = ['PARAM']\n[modules.b]\nrequires = ['PARAM']\n\
                      [modules.c]\nrequires = ['PARAM']\noptional = ['X']\n\
                      depends_on = [{ module = 'b', optional = true }, { module = 'a', max_age = '2h' }, 'probe']");
    let (param, x) = (Source::Topic(TopicId(0)), Source::Topic(TopicId(1)));
    let module = |ix| Source::Module(ModuleId(ix));
    assert_eq!(order(&loaded), ["a", "b", "probe", "c"]);
    let expected = [vec![("PARAM", param), ("a", module(0)), ("probe", module(2))], vec![("X", x), ("b", module(1))]];
    assert_eq!(inputs(&loaded, "c"), expected);
    let age = InputPlan { name: "a".into(), source: module(0), max_age_ms: Some(7_200_000) };
    assert_eq!(loaded.settings.plan.modules[3].requires[1], age);
    assert!(loaded.settings.plan.topic_id("MODULE-OUTPUT-A").is_none(), "what is handed on needs no topic");
}

#[test]
fn settings_of_modules_stand_in_the_order_of_the_plan() {
    let loaded =
        run("[modules.a]\ndepends_on = ['d']\n[modules.d]\nrequires = ['PARAM']\n[modules.c]\ndepends_on = ['a']");
    assert_eq!(order(&loaded), ["d", "a", "c", "probe"]);
    let settings: Vec<_> = loaded.settings.modules.iter().map(|module| &*module.name).collect();
    assert_eq!(settings, order(&loaded));
}

#[test]
fn a_module_stands_behind_those_whose_output_topic_it_names() {
    let loaded =
        run("[modules.d]\nrequires = ['PARAM']\noutput_topic = 'FIRST'\n[topics.FIRST]\nstation = '/station_id'\n\
                      [modules.a]\noptional = ['FIRST']");
    assert_eq!(order(&loaded), ["d", "a", "probe"]);
    assert!(matches!(topic(&loaded, "FIRST").1.window, WindowPlan::Latest));
}

/// Ways in which `a` is not called in this process.
const ELSEWHERE: &[(&str, &str)] = &[
    ("", "MODULE-OUTPUT-A"),
    ("[modules.a]\nenabled = false\nrequires = ['PARAM']\n", "MODULE-OUTPUT-A"),
    ("[modules.a]\nenabled = false\nrequires = ['PARAM']\noutput_topic = 'OTHER'\n", "OTHER"),
];

#[test]
fn results_of_a_module_that_is_not_enabled_here_are_read_from_its_topic_which_nobody_must_declare() {
    for (upstream, name) in ELSEWHERE {
        let loaded = run(&format!("{upstream}[modules.b]\ndepends_on = ['a']"));
        let (source, plan) = topic(&loaded, name);
        assert_eq!(inputs(&loaded, "b"), [vec![("a", source)], vec![]]);
        assert!(matches!(plan.window, WindowPlan::Results) && plan.time.is_none() && plan.fields.is_none());
        assert!(matches!(&plan.scope, Scope::Station(at) if at.name() == Some("station_id")));
        assert_eq!((plan.on_null, plan.expect_ms), (OnNull::Ignore, None));
        let lists: Vec<_> = plan.records.iter().map(|records| (records.steps().len(), records.is_list())).collect();
        assert_eq!(lists, [(2, true), (2, true), (0, false)]);
        let shell = &loaded.settings.topics[loaded.settings.plan.topic_id(name).expect("consumed").ix()];
        assert_eq!((shell.quota, shell.rehydrate, shell.provision.is_none()), (500, Rehydrate::Beginning, true));
        assert_eq!(loaded.settings.consumers.len(), 2);
        assert!(warnings(&loaded).is_empty(), "{}", loaded.warnings);
    }
}

#[test]
fn a_table_of_the_topic_of_results_says_how_it_is_consumed_and_may_say_where_results_stand() {
    let loaded =
        run("[modules.b]\ndepends_on = ['a']\n[topics.MODULE-OUTPUT-A]\nmax_poll_records = 7\nexpect = '1h'\n\
                      records = '/rows/*'\nstation = '/id'\nprovision = { partitions = 3, replication = 1 }");
    let (_, plan) = topic(&loaded, "MODULE-OUTPUT-A");
    assert!(matches!(plan.window, WindowPlan::Results));
    assert!(matches!(&plan.scope, Scope::Station(at) if at.name() == Some("id")));
    assert_eq!((plan.records.len(), plan.expect_ms), (1, Some(3_600_000)));
    let settings = &loaded.settings.topics[0];
    assert_eq!((settings.quota, settings.provision.is_some()), (7, true));
}

#[test]
fn what_a_topic_of_results_cannot_say_has_no_effect_and_is_warned_about() {
    for (line, key) in [
        ("window = { kind = 'rows', size = 6 }", "window"),
        ("time = { at = '/t', format = '%s' }", "time"),
        ("fields = ['/output']", "fields"),
        ("scope = 'global'", "scope"),
    ] {
        let loaded = run(&format!("[modules.b]\ndepends_on = ['a']\n[topics.MODULE-OUTPUT-A]\n{line}"));
        let warnings = warnings(&loaded);
        assert!(
            warnings.len() == 1 && warnings[0].contains(&format!("`{key}` of MODULE-OUTPUT-A has no effect")),
            "{line}"
        );
        assert!(matches!(topic(&loaded, "MODULE-OUTPUT-A").1.window, WindowPlan::Results));
    }
}

#[test]
fn a_topic_that_is_only_written_needs_no_description_and_is_not_consumed() {
    let loaded = good(&small_and("[topics.MODULE-OUTPUT-PROBE]\nprovision = { partitions = 3, replication = 1 }"));
    assert!(warnings(&loaded).is_empty() && loaded.settings.plan.topics.len() == 1);
    let report = bad(&small_and("[topics.MODULE-OUTPUT-X]\n[modules.digest]\nrequires = ['MODULE-OUTPUT-X']"));
    only(&report, "`topics.MODULE-OUTPUT-X.station` is missing");
}

#[test]
fn where_no_module_is_called_results_come_through_topics_and_names_need_not_be_known() {
    let tables = "[modules.a]\nrequires = ['PARAM']\noutput_topic = 'OF-A'\n[modules.b]\ndepends_on = ['a', 'nobody']";
    let loaded = load(tables, Purpose::replay).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(order(&loaded), ["a", "b", "probe"]);
    let expected = vec![("a", topic(&loaded, "OF-A").0), ("nobody", topic(&loaded, "MODULE-OUTPUT-NOBODY").0)];
    assert_eq!(inputs(&loaded, "b"), [expected, vec![]]);
    let tables = tables.replace(", 'nobody'", "");
    let loaded = load(&tables, Purpose::replay_with_outputs).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(inputs(&loaded, "b"), [vec![("a", Source::Module(ModuleId(0)))], vec![]]);
}

/// Tables, words of the message, words of the advice.
const REFUSED: &[(&str, &str, &str)] = &[
    ("[modules.a]\ndepends_on = ['prob']", "module `a` depends on `prob`, which is no module", "`probe`"),
    ("[modules.a]\ndepends_on = ['nobody']", "depends on `nobody`", "[topics.MODULE-OUTPUT-NOBODY]"),
    ("[modules.a]\nenabled = false\ndepends_on = ['nobody']", "depends on `nobody`", "MODULE-OUTPUT-NOBODY"),
    ("[modules.a]\ndepends_on = ['b', { module = 'b' }]", "module `a` depends on `b` twice", "keep one"),
    (
        "[modules.a]\nrequires = ['MODULE-OUTPUT-PROBE']",
        "names the topic MODULE-OUTPUT-PROBE, which is not declared",
        "`depends_on = [\"probe\"]`",
    ),
    ("[modules.a]\ndepends_on = ['a']", "module `a` depends on itself", "remove"),
    (
        "[topics.b]\nscope = 'global'\n[modules.a]\nrequires = ['b']\ndepends_on = ['b']",
        "are called `b`",
        "another name",
    ),
    (
        "[modules.a]\nrequires = ['PARAM']\ndepends_on = 'b'",
        "`modules.a.depends_on` must be a list, not a string",
        "module =",
    ),
    ("[modules.a]\nrequires = ['PARAM']\ndepends_on = ['']", "`modules.a.depends_on[0]` must not be empty", "module ="),
    ("[modules.a]\nrequires = ['PARAM']\ndepends_on = [5]", "must be a module's name or a table", "module ="),
    ("[modules.a]\nrequires = ['PARAM']\ndepends_on = [{ topic = 'b', module = 'c' }]", "unknown key", "`module`"),
    (
        "[modules.a]\nrequires = ['PARAM']\ndepends_on = [{ max_age = '2h' }]",
        "`modules.a.depends_on[0].module` is missing",
        "module =",
    ),
    (
        "[modules.a]\nrequires = ['PARAM']\ndepends_on = [{ module = 'b', optional = 1 }]",
        "must be `true` or `false`",
        "",
    ),
    (
        "[topics.MODULE-OUTPUT-A]\nstation = '/station_id'\n[modules.b]\ndepends_on = ['a']\n[modules.c]\nrequires = ['MODULE-OUTPUT-A']",
        "MODULE-OUTPUT-A is read as the results of module `a` already",
        "`depends_on = [\"a\"]`",
    ),
    (
        "[kafka.consumer]\nmissing_topic = 'create'\n[topics.PARAM.provision]\npartitions = 1\nreplication = 1\n[modules.b]\ndepends_on = ['a']",
        "MODULE-OUTPUT-A is to be created when it is missing, but nothing says how",
        "provision",
    ),
];

#[test]
fn dependencies_that_cannot_be_met_are_refused() {
    for (tables, message, help) in REFUSED {
        let text = match tables.strip_prefix("[kafka.consumer]\n") {
            Some(rest) => small_and(rest.split_once('\n').expect("a line").1)
                .replace("[kafka.consumer]\n", "[kafka.consumer]\nmissing_topic = 'create'\n"),
            None => small_and(tables),
        };
        let report = config::from_str("config.toml", &text, Purpose::service(REGISTRY)).expect_err(tables);
        assert_eq!(report.errors(), 1, "{tables}\n{report}");
        assert!(advice(&report, message).contains(help), "{tables}\n{report}");
    }
}

#[test]
fn a_module_that_runs_elsewhere_is_known_by_its_topic() {
    let loaded = run("[topics.MODULE-OUTPUT-NOBODY]\n[modules.a]\ndepends_on = ['nobody']");
    assert_eq!(inputs(&loaded, "a"), [vec![("nobody", topic(&loaded, "MODULE-OUTPUT-NOBODY").0)], vec![]]);
}

#[test]
fn a_topic_that_only_disabled_modules_name_as_such_may_be_read_as_results() {
    let loaded = run("[topics.MODULE-OUTPUT-A]\nstation = '/station_id'\n[modules.b]\ndepends_on = ['a']\n\
                      [modules.c]\nenabled = false\nrequires = ['MODULE-OUTPUT-A']");
    assert!(matches!(topic(&loaded, "MODULE-OUTPUT-A").1.window, WindowPlan::Results));
}

#[test]
fn modules_that_wait_for_each_other_are_refused_once_per_circle_and_the_circle_is_told() {
    let three = "[modules.a]\ndepends_on = ['b']\n[modules.b]\ndepends_on = [{ module = 'c', optional = true }]\n\
                 [modules.c]\ndepends_on = ['a']";
    let report = refused(three);
    assert_eq!(report.errors(), 1, "{report}");
    only(&report, "module `a` needs its own results: a → b → c → a");
    assert_eq!(report.line_column(&report.problems()[0]), Some((12, 15)), "{report}");

    let two = "[modules.a]\ndepends_on = ['c', 'b']\n[modules.b]\ndepends_on = ['a']\n[modules.c]\ndepends_on = ['a']\n\
               [modules.d]\ndepends_on = ['a']";
    let report = refused(two);
    assert_eq!(report.errors(), 2, "{report}");
    only(&report, ": a → b → a");
    only(&report, ": a → c → a");
    assert!(run(&two.replace("['c', 'b']", "[]\nrequires = ['PARAM']")).warnings.is_empty());
}

#[test]
fn circles_are_found_through_topics_and_without_calls_as_well() {
    let topics = "[topics.MODULE-OUTPUT-A]\nstation = '/station_id'\n[topics.OF-B]\nstation = '/station_id'\n";
    let by_topic = format!(
        "{topics}[modules.a]\nrequires = ['OF-B']\n[modules.b]\noptional = ['MODULE-OUTPUT-A']\noutput_topic = 'OF-B'"
    );
    only(&refused(&by_topic), ": a → b → a");
    let mixed =
        format!("{topics}[modules.a]\nrequires = ['OF-B']\n[modules.b]\ndepends_on = ['a']\noutput_topic = 'OF-B'");
    only(&refused(&mixed), ": a → b → a");
    only(&load(&mixed, Purpose::replay).expect_err("a circle"), ": a → b → a");
    let own = "[topics.OWN]\nstation = '/s'\n[modules.a]\nrequires = ['OWN']\noutput_topic = 'OWN'";
    only(&refused(own), "module `a` needs its own results: a → a");
    assert!(
        load(&mixed.replace("output_topic = 'OF-B'", "enabled = false\noutput_topic = 'OF-B'"), Purpose::service)
            .is_ok()
    );
}

#[test]
fn a_dependency_that_must_be_younger_than_it_comes_is_warned_about() {
    let every = "[modules.a]\nrequires = ['PARAM']\ntrigger = { every = '1h' }\n[modules.b]\n";
    let topic = "[topics.MODULE-OUTPUT-A]\nexpect = '1h'\n[modules.b]\n";
    for (tables, key) in [(every, "every"), (topic, "expect")] {
        for (max_age, warned) in [("59m", true), ("1h", false)] {
            let loaded = run(&format!("{tables}depends_on = [{{ module = 'a', max_age = '{max_age}' }}]"));
            let expected = format!("`max_age` of a is shorter than its `{key}`");
            assert_eq!(
                warnings(&loaded).iter().any(|warning| warning.contains(&expected)),
                warned,
                "{tables}{max_age}"
            );
        }
    }
}
