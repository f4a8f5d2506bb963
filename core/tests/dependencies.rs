//! Modules that depend on modules: fed in the same process from the same version of the input, or through the output
//! topic; in either case the same value under the same hash.

mod support;

use std::sync::Arc;

use quorate_core::RunResult;
use quorate_core::contract::{ModuleInput, Output};
use quorate_core::ident::Millis;
use quorate_core::plan::Plan;
use quorate_core::shard::{End, Invocation, Mode};
use serde_json::{Value, json};
use support::live::{Live, sent};
use support::scenario::{Scenario, value_of};
use support::{HOUR, Module, SECOND, T0, module, plan, topic};

fn fleet(modules: Vec<Module>) -> Plan {
    plan(vec![topic("LOAD"), topic("PRICE")], modules)
}

/// `forecast` reads the load; `plan` reads the forecast and the load; `report` reads the plan.
fn chain() -> Vec<Module> {
    vec![
        module("forecast").requires(&["LOAD"]),
        module("plan").requires(&["LOAD", "forecast"]),
        module("a_report").requires(&["plan"]).optional(&["PRICE"]),
    ]
}

/// Gives back its own name and the load it saw.
fn echo(input: &ModuleInput) -> Vec<Value> {
    let load = input.topic("LOAD").ok().and_then(|topic| topic.value.reading().ok().cloned());
    let load: Option<Value> = load.map(|reading| reading.parse().expect("JSON"));
    vec![json!({ "by": &*input.module, "kw": load.map(|load| load["kw"].clone()) })]
}

fn load(station: &str, kw: i64) -> Value {
    json!({ "stationId": station, "kw": kw })
}

fn names(called: Vec<(String, String, i64)>) -> Vec<String> {
    called.into_iter().map(|(module, station, _)| format!("{module} {station}")).collect()
}

/// What a module returned for an invocation.
fn result(of: &Invocation, json: &Value) -> Option<RunResult> {
    RunResult::of(&of.input, &[Output::json(json).expect("JSON")])
}

#[test]
fn each_station_in_turn_and_its_modules_in_dependency_order_see_one_version() {
    let mut scenario = Scenario::calling(plan(vec![topic("LOAD").records(&["/*"]), topic("PRICE")], chain()), echo);
    scenario.send("LOAD", T0, json!([load("S", 1), load("N", 2)]));
    let lines = scenario.inputs();
    let order = lines.iter().map(|line| format!("{} {}", line["module"], line["station"]).replace('"', ""));
    assert_eq!(order.collect::<Vec<_>>(), ["forecast S", "plan S", "a_report S", "forecast N", "plan N", "a_report N"]);
    assert_eq!(value_of(&lines[1], "forecast"), &json!({ "by": "forecast", "kw": 1 }));
    assert_eq!(lines[1]["inputs"]["forecast"]["time"], T0, "the moment at which it was made");
    assert_eq!(lines[2]["lineage"][0]["topic"], "LOAD", "the records behind it");

    scenario.send("LOAD", T0 + SECOND, json!([load("N", 3)]));
    let lines = scenario.inputs();
    assert_eq!(lines.len(), 3, "one call each, though the plan has two causes");
    assert_eq!(value_of(&lines[1], "forecast")["kw"], 3, "never an old forecast beside a new load");
}

#[test]
fn without_calls_nothing_is_handed_on_and_the_dependent_says_what_it_waits_for() {
    let mut scenario = Scenario::new(fleet(chain()));
    scenario.send("LOAD", T0, load("S", 1));
    assert_eq!(names(scenario.called()), ["forecast S"]);
    let lines = scenario.finish();
    let missing: Vec<_> = lines.iter().map(|line| (line["module"].as_str(), line["missing"].clone())).collect();
    assert_eq!(missing, [(Some("a_report"), json!(["plan"])), (Some("plan"), json!(["forecast"]))]);
}

#[test]
fn a_dependency_looks_the_same_from_memory_from_its_envelope_and_from_an_older_list() {
    let reader = || module("plan").requires(&["forecast"]);
    let mut memory = Scenario::calling(fleet(vec![module("forecast").requires(&["LOAD"]), reader()]), echo);
    memory.send("LOAD", T0, load("S", 1));
    let lines = memory.drain();
    let [upstream, fed] = [&lines[0], &lines[1]];

    let by_topic = || plan(vec![topic("forecast").results()], vec![reader()]);
    let output = json!({ "by": "forecast", "kw": 1 });
    let mut envelope = Scenario::new(by_topic());
    let value = json!({
        "station_id": "S", "module": "forecast", "module_version": "1", "at": T0, "output": output,
        "quality": {}, "lineage": [], "input_hash": upstream["input_hash"],
    });
    envelope.send("forecast", T0 + 700, value);
    let read = envelope.input();
    assert_eq!(read["inputs"]["forecast"]["value"], fed["inputs"]["forecast"]["value"]);
    assert_eq!(read["inputs"]["forecast"]["time"], fed["inputs"]["forecast"]["time"]);
    assert_eq!(read["input_hash"], fed["input_hash"], "equal inputs, however they came");

    let mut list = Scenario::new(by_topic());
    let mut element = output.clone();
    element["station_id"] = json!("S");
    list.send("forecast", T0, json!({ "batch_id": "b", "module": "forecast", "results": [element, { "kw": 2 }, 7] }));
    let lines = list.drain();
    let reasons: Vec<_> = lines.iter().filter_map(|line| line["reason"].as_str()).collect();
    assert_eq!(reasons, ["missing_station", "wrong_shape"], "a9: good elements are used, bad ones are dead letters");
    assert_eq!(value_of(&lines[2], "forecast")["kw"], 1);
}

#[test]
fn row_g11_outputs_of_two_modules_do_not_mix() {
    let thermal = module("thermal").requires(&["forecast", "prices"]);
    let modules = vec![module("forecast").requires(&["LOAD"]), module("prices").requires(&["LOAD"]), thermal];
    let mut scenario = Scenario::calling(fleet(modules), echo);
    scenario.send("LOAD", T0, load("S", 1));
    let lines = scenario.inputs();
    assert_eq!(lines.len(), 3, "one call once both are there");
    assert_eq!(value_of(&lines[2], "forecast")["by"], "forecast");
    assert_eq!(value_of(&lines[2], "prices")["by"], "prices");
}

#[test]
fn a_dependency_that_is_too_old_blocks_as_a_topic_would() {
    let modules = vec![
        module("forecast").requires(&["LOAD"]),
        module("plan").requires_young("forecast", HOUR).requires(&["PRICE"]).on(&["PRICE"]),
    ];
    let mut scenario = Scenario::calling(fleet(modules), echo);
    scenario.send("LOAD", T0, load("S", 1)).send("PRICE", T0 + HOUR, json!({ "stationId": "S" }));
    assert_eq!(names(scenario.called()), ["forecast S", "plan S"]);
    scenario.send("PRICE", T0 + HOUR + 1, json!({ "stationId": "S" }));
    assert_eq!(names(scenario.called()), Vec::<String>::new());
    let lines = scenario.finish();
    assert_eq!((&lines[0]["module"], &lines[0]["stale"]), (&json!("plan"), &json!(["forecast"])));
}

#[test]
fn a_dependent_waits_for_the_run_that_is_at_work_and_then_sees_its_result() {
    let mut live = Live::new(fleet(chain()));
    live.apply("LOAD", T0, &[sent(0, T0, load("S", 1))]);
    let first = live.start(T0);
    assert_eq!(first.len(), 1, "the plan has no forecast yet");
    live.shard.finish(first[0].run, End::Done(result(&first[0], &json!({ "n": 1 }))), Millis(T0));
    let second = live.start(T0);
    live.shard.finish(second[0].run, End::Done(None), Millis(T0));

    live.apply("LOAD", T0 + 1, &[sent(1, T0 + 1, load("S", 2))]);
    let forecast = live.start(T0 + 1);
    assert_eq!(&*forecast[0].input.module, "forecast");
    assert_eq!(forecast.len(), 1, "the plan is due, but the forecast of the same version is at work");
    live.shard.finish(forecast[0].run, End::Done(result(&forecast[0], &json!({ "n": 2 }))), Millis(T0 + 5));
    let planned = live.start(T0 + 5);
    assert_eq!(planned.len(), 1);
    let seen =
        planned[0].input.topic("forecast").expect("input").value.reading().expect("reading").as_json().to_owned();
    assert_eq!(seen, r#"{"n":2}"#);
}

#[test]
fn one_deadline_bounds_the_wait_before_the_first_run_all_attempts_later_one_call() {
    let modules = || {
        vec![
            module("forecast").requires(&["LOAD"]).timeout(10 * SECOND),
            module("plan").requires(&["LOAD"]).optional(&["forecast"]),
        ]
    };
    let mut live = Live::new(fleet(modules()));
    live.apply("LOAD", T0, &[sent(0, T0, load("S", 1))]);
    let stuck = live.start(T0);
    assert_eq!(stuck.len(), 1);
    assert_eq!(live.shard.next_deadline(), Some(Millis(T0 + 30 * SECOND)), "three attempts of ten seconds");
    assert!(live.start(T0 + 30 * SECOND - 1).is_empty());
    let planned = live.start(T0 + 30 * SECOND);
    assert_eq!(planned.len(), 1, "it goes on without");
    live.finish(planned[0].run, T0 + 30 * SECOND);
    live.apply("LOAD", T0 + 31 * SECOND, &[sent(1, T0 + 31 * SECOND, load("S", 2))]);
    assert!(live.start(T0 + 41 * SECOND - 1).is_empty());
    assert_eq!(live.start(T0 + 41 * SECOND).len(), 1, "one call");
}

#[test]
fn a_busy_upstream_starves_no_dependent() {
    let mut live =
        Live::new(fleet(vec![module("forecast").requires(&["LOAD"]), module("plan").requires(&["LOAD", "forecast"])]));
    let mut planned = 0;
    for n in 0..20 {
        live.apply("LOAD", T0 + n, &[sent(n, T0 + n, load("S", n))]);
        // The next change is there before the forecast of this one is finished.
        live.apply("LOAD", T0 + n, &[sent(100 + n, T0 + n, load("S", n))]);
        for run in live.start(T0 + n) {
            planned += usize::from(&*run.input.module == "plan");
            live.shard.finish(run.run, End::Done(result(&run, &json!({ "n": n }))), Millis(T0 + n));
        }
    }
    assert!(planned >= 19, "{planned} of 20");
}

#[test]
fn the_record_behind_a_result_is_owed_until_the_dependents_have_run() {
    let mut live = Live::new(fleet(chain()));
    live.apply("LOAD", T0, &[sent(7, T0, load("S", 1))]);
    for name in ["forecast", "plan", "a_report"] {
        assert_eq!(live.oldest_unsettled("LOAD"), Some(7), "before {name}");
        let runs = live.start(T0);
        assert_eq!((runs.len(), &*runs[0].input.module), (1, name));
        assert_eq!(live.oldest_unsettled("LOAD"), Some(7), "during {name}");
        live.shard.finish(runs[0].run, End::Done(result(&runs[0], &json!({ "n": 1 }))), Millis(T0));
    }
    assert_eq!(live.oldest_unsettled("LOAD"), None);
}

#[test]
fn a_result_repeated_on_an_unchanged_input_wakes_nobody() {
    let mut live = Live::new(fleet(chain()));
    live.apply("LOAD", T0, &[sent(0, T0, load("S", 1))]);
    let runs = live.start(T0);
    let again = RunResult { at: Millis(T0 + 9), ..result(&runs[0], &json!({ "n": 1 })).expect("a result") };
    live.shard.finish(runs[0].run, End::Done(result(&runs[0], &json!({ "n": 1 }))), Millis(T0));
    for run in live.start(T0) {
        live.finish(run.run, T0);
    }
    live.apply("LOAD", T0 + 9, &[sent(1, T0 + 9, load("S", 1))]);
    let runs = live.start(T0 + 9);
    live.shard.finish(runs[0].run, End::Done(Some(again)), Millis(T0 + 9));
    let woken: Vec<_> = live.start(T0 + 9).iter().map(|run| Arc::clone(&run.input.module)).collect();
    assert_eq!(woken, [Arc::from("plan")], "the load changed for it; the forecast did not for anybody else");
}

#[test]
fn after_a_restart_a_module_that_others_depend_on_runs_again_and_feeds_them() {
    let mut live = Live::starting(fleet(chain()));
    live.apply_as(Mode::Load, "LOAD", T0, &[sent(0, T0, load("S", 1))]);
    live.loaded("PRICE", T0).loaded("LOAD", T0);
    let runs = live.start(T0);
    assert_eq!((runs.len(), &*runs[0].input.module), (1, "forecast"));
    live.shard.finish(runs[0].run, End::Done(result(&runs[0], &json!({ "n": 1 }))), Millis(T0));
    let runs = live.start(T0);
    assert_eq!((runs.len(), &*runs[0].input.module), (1, "plan"), "complete as soon as the forecast is there");
}
