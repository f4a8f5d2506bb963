//! Work queues: readings that are runs of their own, how many may wait, and what is done once only.

use std::time::Duration;

use quorate::config::{Loaded, ModuleSettings, OnceSettings};
use quorate_core::ident::TopicId;
use quorate_core::plan::{ModulePlan, Pointer, Source, Trigger};

use super::{advice, bad, good, only, shown, warnings};

const EACH: &str = "trigger = { each = true, on = ['TASKS'] }\n";

/// `digest` works on TASKS, whose table has `topic` as well, and knows of ALL, HOURS and the results of `probe`.
fn digest(topic: &str, lines: &str) -> String {
    format!(
        "[kafka]\nbootstrap_servers = 'a:1'\n[kafka.consumer]\ngroup_id = 'base'\n\
         [topics.TASKS]\nstation = '/station'\n{topic}\n[topics.ALL]\nscope = 'global'\n\
         [topics.HOURS]\nstation = '/station'\nwindow = {{ kind = 'rows', size = 3 }}\n\
         [modules.probe]\nrequires = ['ALL']\n\
         [modules.digest]\nrequires = ['TASKS', 'HOURS']\noptional = ['ALL']\ndepends_on = ['probe']\n{lines}\n"
    )
}

fn plan(loaded: &Loaded) -> &ModulePlan {
    let plan = &loaded.settings.plan;
    plan.module(plan.module_id("digest").expect("enabled"))
}

fn settings(loaded: &Loaded) -> &ModuleSettings {
    loaded.settings.modules.iter().find(|module| &*module.name == "digest").expect("enabled")
}

fn tasks(loaded: &Loaded) -> TopicId {
    loaded.settings.plan.topic_id("TASKS").expect("consumed")
}

#[test]
fn each_reading_of_the_topics_named_is_a_run_of_its_own() {
    let loaded = good(&digest("", EACH));
    assert_eq!(plan(&loaded).trigger, Trigger::Each { on: vec![Source::Topic(tasks(&loaded))] });
    assert_eq!(settings(&loaded).max_pending, 10_000);
    assert_eq!(shown(&loaded, "modules.digest.max_pending").as_deref(), Some("10000"));
    assert_eq!(warnings(&loaded), Vec::<&str>::new());
    let loaded = good(&digest("", &format!("{EACH}max_pending = 5")));
    assert_eq!(settings(&loaded).max_pending, 5);
    let loaded = good(&digest("", "trigger = { each = false, on = ['TASKS'] }"));
    assert!(matches!(plan(&loaded).trigger, Trigger::Changes { on: Some(_), .. }));
}

/// A trigger, words of the message, words of the advice.
const REFUSED: &[(&str, &str, &str)] = &[
    ("{ each = true }", "`each` needs `on`", "on = [\"TOPIC\"]"),
    ("{ each = true, on = [] }", "a trigger without inputs never makes a module due", "name the topics"),
    ("{ each = true, on = ['TASKS'], every = '1m' }", "`each` and `every` exclude each other", "keep one"),
    (
        "{ each = true, on = ['TASKS'], min_interval = '1s' }",
        "`each` and `min_interval` exclude each other",
        "run of its own",
    ),
    ("{ each = true, on = ['TASKS', 'probe'] }", "`probe` is a module, and `each` wants topics", "name a topic"),
    ("{ each = true, on = ['TASK'] }", "TASK is no input of module `digest`", "`TASKS`"),
    ("{ each = true, on = ['HOURS'] }", "HOURS, whose window is `rows`", "remove `window` of [topics.HOURS]"),
    ("{ each = true, on = ['ALL'] }", "a reading of ALL belongs to every station", "leave `each` out"),
    ("{ each = 'yes', on = ['TASKS'] }", "must be `true` or `false`", ""),
    ("{ eech = true, on = ['TASKS'] }", "unknown key `modules.digest.trigger.eech`", "`each`"),
];

#[test]
fn a_queue_that_cannot_be_one_is_refused_with_advice() {
    for (trigger, message, help) in REFUSED {
        let report = bad(&digest("", &format!("trigger = {trigger}")));
        assert_eq!(report.errors(), 1, "{trigger}\n{report}");
        assert!(advice(&report, message).contains(help), "{trigger}\n{report}");
    }
    for (window, kind) in [
        ("{ kind = 'per_key', key = '/k' }", "per_key"),
        ("{ kind = 'grid', step = '1h', span = '4h', values = ['/v'] }", "grid"),
        ("{ kind = 'bucket', every = '1s' }", "bucket"),
    ] {
        let report = bad(&digest(&format!("window = {window}"), EACH));
        only(&report, &format!("whose window is `{kind}`"));
    }
    good(&digest("window = { kind = 'latest' }", EACH));
}

#[test]
fn what_is_wrong_with_a_queue_is_reported_at_its_place() {
    let report = bad(&digest("", "trigger = { each = true, on = ['TASKS', 'HOURS'], min_interval = '1s' }"));
    let places: Vec<_> = report.problems().iter().filter_map(|problem| report.line_column(problem)).collect();
    assert_eq!(places, [(19, 41), (19, 51)], "{report}");
}

#[test]
fn a_bound_on_what_coalesces_is_warned_about() {
    for trigger in ["", "trigger = { on = ['TASKS'] }\n", "trigger = { every = '1m' }\n"] {
        let loaded = good(&digest("", &format!("{trigger}max_pending = 5")));
        let found = warnings(&loaded);
        assert!(found.len() == 1 && found[0].contains("`max_pending` of module `digest` has no effect"), "{trigger}");
    }
    only(&bad(&digest("", &format!("{EACH}max_pending = 0"))), "0 is not between 1");
}

#[test]
fn a_key_in_the_reading_tells_what_was_done_already() {
    let key = Pointer::parse("/task/uuid").expect("a pointer");
    let loaded = good(&digest("", &format!("{EACH}once = {{ key = '/task/uuid' }}")));
    let week = Duration::from_secs(7 * 86_400);
    assert_eq!(settings(&loaded).once, Some(OnceSettings { key: key.clone(), keep: week, max: 1_000_000 }));
    let printed = ["key", "keep", "max"].map(|k| shown(&loaded, &format!("modules.digest.once.{k}")).expect(k));
    assert_eq!(printed, ["\"/task/uuid\"", "\"7d\"", "1000000"]);
    let loaded = good(&digest("", &format!("{EACH}once = {{ key = '/task/uuid', keep = '1h', max = 10 }}")));
    assert_eq!(settings(&loaded).once, Some(OnceSettings { key, keep: Duration::from_secs(3600), max: 10 }));
    assert_eq!(settings(&good(&digest("", EACH))).once, None);
}

#[test]
fn a_key_that_could_tell_nothing_is_refused() {
    for (lines, message, help) in [
        ("once = { key = '/u' }".to_owned(), "`once` needs the trigger `each`", "each = true"),
        (format!("{EACH}once = {{ keep = '1h' }}"), "`modules.digest.once.key` is missing", "/task_uuid"),
        (format!("{EACH}once = {{ key = '' }}"), "the empty pointer is the whole reading", "`/task_uuid`"),
        (format!("{EACH}once = {{ key = 'uuid' }}"), "begins with `/`", "`/uuid`"),
        (format!("{EACH}once = {{ key = '/u', keep = '0s' }}"), "must be longer than nothing", ""),
        (format!("{EACH}once = {{ key = '/u', mx = 5 }}"), "unknown key `modules.digest.once.mx`", "`max`"),
        (format!("{EACH}once = true"), "`modules.digest.once` must be a table, not a boolean", ""),
    ] {
        let report = bad(&digest("", &lines));
        assert_eq!(report.errors(), 1, "{lines}\n{report}");
        assert!(advice(&report, message).contains(help), "{lines}\n{report}");
    }
}

#[test]
fn a_projection_keeps_the_key() {
    for (fields, kept) in [("['/a']", 2), ("['/a', '/task']", 2), ("['/task/uuid']", 1)] {
        let text = digest(&format!("fields = {fields}"), &format!("{EACH}once = {{ key = '/task/uuid' }}"));
        let loaded = good(&text);
        let topic = loaded.settings.plan.topic(tasks(&loaded));
        assert_eq!(topic.fields.as_ref().map(Vec::len), Some(kept), "{fields}");
    }
    let loaded = good(&digest("fields = ['/a']", EACH));
    assert_eq!(loaded.settings.plan.topic(tasks(&loaded)).fields.as_ref().map(Vec::len), Some(1));
}
