//! What makes a module due and what becomes of it while its input is incomplete.

use quorate::config::Loaded;
use quorate_core::ident::{ModuleId, TopicId};
use quorate_core::plan::{IncompletePlan, ModulePlan, Source, Then, Trigger};

use super::{advice, bad, good, only, small_and, warnings};

/// `digest` needs PARAM and what `probe` makes of it, and has these lines, too.
fn digest(lines: &str) -> String {
    small_and(&format!("[modules.digest]\nrequires = ['PARAM']\ndepends_on = ['probe']\n{lines}"))
}

fn plan(loaded: &Loaded) -> &ModulePlan {
    let plan = &loaded.settings.plan;
    plan.module(plan.module_id("digest").expect("enabled"))
}

#[test]
fn a_trigger_is_any_change_unless_it_names_inputs_or_an_interval() {
    let (param, probe) = (Source::Topic(TopicId(0)), Source::Module(ModuleId(0)));
    let changes = |on: Option<Vec<Source>>, min_interval_ms| Trigger::Changes { on, min_interval_ms };
    for (trigger, expected) in [
        ("", changes(None, 0)),
        ("trigger = { min_interval = '2s' }", changes(None, 2000)),
        ("trigger = { on = ['PARAM'] }", changes(Some(vec![param]), 0)),
        ("trigger = { on = ['probe'] }", changes(Some(vec![probe]), 0)),
        ("trigger = { on = ['probe', 'PARAM'], min_interval = '1m' }", changes(Some(vec![probe, param]), 60_000)),
        ("trigger = { every = '15m' }", Trigger::Every { interval_ms: 900_000 }),
        ("trigger = { every = '1ms' }", Trigger::Every { interval_ms: 1 }),
    ] {
        assert_eq!(plan(&good(&digest(trigger))).trigger, expected, "{trigger}");
    }
}

/// A trigger, words of the message, words of the advice.
const TRIGGERS: &[(&str, &str, &str)] = &[
    ("{ every = '0s' }", "must be longer than nothing", ""),
    ("{ every = '5m', on = ['PARAM'] }", "`every` and `on` exclude each other", "keep one"),
    ("{ every = '5m', min_interval = '1s' }", "`every` and `min_interval` exclude each other", "keep one"),
    ("{ on = ['prob'] }", "prob is no input of module `digest`", "`probe`"),
    ("{ on = ['MODULE-OUTPUT-PROBE'] }", "MODULE-OUTPUT-PROBE is no input of module `digest`", "`probe`"),
    ("{ on = [''] }", "must not be empty", ""),
    ("{ on = [] }", "a trigger without inputs never makes a module due", "any input"),
    ("{ evry = '5m' }", "unknown key `modules.digest.trigger.evry`", "`every`"),
];

#[test]
fn triggers_that_mean_nothing_are_refused() {
    for (trigger, message, help) in TRIGGERS {
        let report = bad(&digest(&format!("trigger = {trigger}")));
        assert_eq!(report.errors(), 1, "{trigger}\n{report}");
        assert!(advice(&report, message).contains(help), "{trigger}\n{report}");
    }
}

#[test]
fn what_happens_while_inputs_are_incomplete_reaches_the_plan() {
    for (incomplete, after_ms, then) in [
        ("", None, Then::Wait),
        ("incomplete = { after = '10m' }", Some(600_000), Then::Wait),
        ("incomplete = { after = '10m', then = 'wait' }", Some(600_000), Then::Wait),
        ("incomplete = { then = 'skip' }", None, Then::Skip),
        ("incomplete = { after = '0s', then = 'partial' }", Some(0), Then::Partial),
        ("incomplete = { then = 'last_good' }", None, Then::LastGood),
    ] {
        let loaded = good(&digest(incomplete));
        assert_eq!(plan(&loaded).incomplete, IncompletePlan { after_ms, then }, "{incomplete}");
        assert_eq!(warnings(&loaded), Vec::<&str>::new(), "{incomplete}");
    }
}

#[test]
fn a_partial_input_needs_a_time_to_wait_for_the_whole_one() {
    let report = bad(&digest("incomplete = { then = 'partial' }"));
    assert!(advice(&report, "`then = \"partial\"` needs `after`").contains("after = \"10m\""));
    assert_eq!(report.line_column(&report.problems()[0]), Some((14, 23)), "{report}");
    only(&bad(&digest("incomplete = { then = 'last' }")), "unknown value `last`");
    only(&bad(&digest("incomplete = { after = 'soon', then = 'partial' }")), "`soon` is not a duration");
}

#[test]
fn a_module_has_time_for_one_call_and_for_all_its_attempts_with_the_pauses_between_them() {
    let loaded = good(&digest("timeout = '10s'\nretry = { attempts = 4, backoff = '1s', max_backoff = '3s' }"));
    assert_eq!((plan(&loaded).call_ms, plan(&loaded).run_ms), (10_000, 40_000 + 1000 + 2000 + 3000));
}
