//! What happens while a station is incomplete: wait, skip, go on in part or with what is old; the alarm, once an
//! episode; runs that time makes due; and the answer to "why is there no result?".

mod support;

use quorate_core::ident::{Millis, ModuleId};
use quorate_core::plan::{Plan, Then};
use quorate_core::shard::{Alarm, Mode, RunStanding};
use serde_json::{Value, json};
use support::live::{Live, sent};
use support::scenario::Scenario;
use support::{DAY, HOUR, MINUTE, Module, SECOND, T0, module, plan, topic};

const PROBE: ModuleId = ModuleId(0);

fn fleet(probe: Module) -> Plan {
    let calendar = topic("CALENDAR").global().expect(365 * DAY);
    let storage = topic("STORAGE").expect(15 * SECOND);
    plan(vec![topic("PARAM"), storage, calendar, topic("METER").per_key("/key", Some(10 * MINUTE))], vec![probe])
}

fn reading(station: &str) -> Value {
    json!({ "stationId": station, "key": "k" })
}

fn moments(scenario: &mut Scenario) -> Vec<i64> {
    scenario.called().into_iter().map(|(_, _, at)| at - T0).collect()
}

fn alarms(live: &mut Live) -> Vec<Alarm> {
    std::iter::from_fn(|| live.shard.poll_alarm()).collect()
}

#[test]
fn wait_remembers_what_changed_until_the_station_is_complete() {
    let probe = module("probe").requires(&["PARAM", "STORAGE"]).on(&["STORAGE"]);
    let mut scenario = Scenario::new(fleet(probe));
    scenario.send("STORAGE", T0, reading("S")).send("STORAGE", T0 + 5, reading("S"));
    assert_eq!(moments(&mut scenario), [0; 0]);
    scenario.send("PARAM", T0 + 10, reading("S"));
    assert_eq!(moments(&mut scenario), [10], "once, with the newest");
}

#[test]
fn skip_drops_what_is_due_while_the_station_is_incomplete_and_counts_it() {
    let probe = module("probe").requires(&["PARAM", "STORAGE"]).on(&["STORAGE"]).incomplete(Then::Skip, None);
    let mut live = Live::new(fleet(probe));
    live.apply("STORAGE", T0, &[sent(0, T0, reading("S")), sent(1, T0 + 5, reading("S"))]);
    live.apply("PARAM", T0 + 10, &[sent(0, T0 + 10, reading("S"))]);
    assert!(live.run(T0 + 10).is_empty());
    assert_eq!((live.shard.skipped_runs(PROBE), live.oldest_unsettled("STORAGE")), (2, None));
    live.apply("STORAGE", T0 + 20, &[sent(2, T0 + 20, reading("S"))]);
    assert_eq!(live.run(T0 + 20).len(), 1);
}

#[test]
fn skip_counts_each_bucket_and_each_reading_that_it_drops() {
    for (orders, probe) in [
        (topic("ORDER").bucket(SECOND, None), module("probe").requires(&["PARAM", "ORDER"]).on(&["ORDER"])),
        (topic("ORDER"), module("probe").requires(&["PARAM", "ORDER"]).each(&["ORDER"])),
    ] {
        let mut live = Live::durable(plan(vec![topic("PARAM"), orders], vec![probe.incomplete(Then::Skip, None)]));
        live.all_loaded(T0);
        for second in 0..4 {
            live.apply("ORDER", T0, &[sent(second, T0 + second * SECOND, reading("S"))]);
        }
        let waiting = live.shard.take_changes().pending.len();
        assert!(waiting >= 3);
        live.shard.flushed(Millis(T0));
        assert_eq!(live.shard.skipped_runs(PROBE), waiting as u64);
    }
}

#[test]
fn partial_calls_the_module_once_the_station_has_been_incomplete_for_long_enough() {
    let probe = module("probe").requires(&["PARAM", "STORAGE"]).incomplete(Then::Partial, Some(10 * MINUTE));
    let mut scenario = Scenario::new(fleet(probe));
    scenario.send("STORAGE", T0, reading("S"));
    scenario.advance(10 * MINUTE - 1);
    assert_eq!(moments(&mut scenario), [0; 0]);
    scenario.advance(1);
    let input = scenario.input();
    assert_eq!(input["at"], T0 + 10 * MINUTE);
    assert_eq!(input["inputs"]["PARAM"], json!({ "status": "missing", "age_ms": null, "time": null, "value": null }));
    assert_eq!(
        (&input["quality"]["complete"], &input["quality"]["missing_topics"]),
        (&json!(false), &json!(["PARAM"]))
    );
    scenario.advance(DAY);
    assert_eq!(moments(&mut scenario), [0; 0], "an unchanged input is not repeated");
    scenario.send("STORAGE", T0 + 2 * DAY, reading("S"));
    assert_eq!(moments(&mut scenario), [2 * DAY], "still incomplete: a change is enough");
    scenario.send("PARAM", T0 + 3 * DAY, reading("S"));
    assert_eq!(scenario.input()["quality"]["complete"], true);
}

#[test]
fn last_good_uses_an_input_that_is_too_old_and_says_so() {
    let probe = module("probe").requires(&["PARAM"]).requires_young("STORAGE", MINUTE).on(&["PARAM"]);
    let mut scenario = Scenario::new(fleet(probe.incomplete(Then::LastGood, None)));
    scenario.send("PARAM", T0, reading("S"));
    assert_eq!(moments(&mut scenario), [0; 0], "absent is not old");
    scenario.send("STORAGE", T0, reading("S"));
    assert_eq!(moments(&mut scenario), [0]);
    scenario.send("PARAM", T0 + HOUR, reading("S"));
    let input = scenario.input();
    assert_eq!(input["inputs"]["STORAGE"]["status"], "stale");
    assert_eq!(
        (&input["quality"]["complete"], &input["quality"]["stale_topics"]),
        (&json!(false), &json!(["STORAGE"]))
    );
}

#[test]
fn the_alarm_fires_once_per_episode_and_clears() {
    let probe = module("probe").requires(&["PARAM"]).requires_young("STORAGE", MINUTE);
    let mut live = Live::new(fleet(probe.incomplete(Then::Wait, Some(10 * SECOND))));
    live.apply("PARAM", T0, &[sent(0, T0, reading("S"))]);
    assert_eq!(live.shard.next_deadline(), Some(Millis(T0 + 10 * SECOND)));
    live.run(T0 + 10 * SECOND - 1);
    assert_eq!(alarms(&mut live), []);
    live.run(T0 + 10 * SECOND);
    let raised = alarms(&mut live);
    assert_eq!(raised.len(), 1);
    assert!(raised[0].raised && raised[0].since == Some(Millis(T0)));
    assert_eq!((&raised[0].missing[..], live.shard.alarmed_stations(PROBE)), (&["STORAGE".into()][..], 1));
    live.apply("PARAM", T0 + 20 * SECOND, &[sent(1, T0 + 20 * SECOND, reading("S"))]);
    live.run(T0 + HOUR);
    assert_eq!(alarms(&mut live), [], "once");
    assert_eq!(live.shard.next_deadline(), None, "and nothing is looked at again until something changes");

    let then = T0 + HOUR;
    live.apply("STORAGE", then, &[sent(0, then, reading("S"))]);
    let cleared = alarms(&mut live);
    assert_eq!((cleared.len(), cleared[0].raised, live.shard.alarmed_stations(PROBE)), (1, false, 0));
    live.run(then + MINUTE + 10 * SECOND);
    let raised = alarms(&mut live);
    assert_eq!(raised.len(), 1, "a new episode: what was there has grown too old");
    assert_eq!((&raised[0].stale[..], raised[0].since), (&["STORAGE".into()][..], Some(Millis(then + MINUTE))));
}

#[test]
fn the_declared_cadence_is_the_default_alarm_age_and_a_yearly_topic_may_be_silent() {
    let mut live = Live::new(fleet(module("probe").requires(&["PARAM", "STORAGE"])));
    live.apply("PARAM", T0, &[sent(0, T0, reading("S"))]);
    live.run(T0 + 15 * SECOND);
    assert_eq!(alarms(&mut live).len(), 1, "storage is expected every 15 seconds");

    let mut live = Live::new(fleet(module("probe").requires(&["PARAM", "CALENDAR"])));
    live.apply("CALENDAR", T0, &[sent(0, T0, json!({}))]).apply("PARAM", T0, &[sent(0, T0, reading("S"))]);
    live.run(T0 + 300 * DAY);
    assert_eq!((alarms(&mut live), live.shard.next_deadline()), (vec![], None));

    let mut live = Live::new(fleet(module("probe").requires(&["STORAGE", "PARAM"])));
    live.apply("STORAGE", T0, &[sent(0, T0, reading("S"))]);
    live.run(T0 + 300 * DAY);
    assert_eq!(alarms(&mut live), [], "parameters come when they change: silence says nothing");
}

#[test]
fn what_expires_blocks_from_the_moment_it_left() {
    let probe = module("probe").requires(&["PARAM", "METER"]).incomplete(Then::Wait, Some(MINUTE));
    let mut live = Live::new(fleet(probe));
    live.apply("PARAM", T0, &[sent(0, T0, reading("S"))]).apply("METER", T0, &[sent(0, T0, reading("S"))]);
    assert_eq!(live.run(T0).len(), 1);
    live.run(T0 + 12 * MINUTE);
    let raised = alarms(&mut live);
    assert_eq!((raised.len(), raised[0].since), (1, Some(Millis(T0 + 10 * MINUTE + 1))));
}

#[test]
fn every_fires_at_multiples_of_the_interval_for_every_complete_station_changed_or_not() {
    let mut scenario = Scenario::new(fleet(module("probe").requires(&["PARAM", "STORAGE"]).every(15 * MINUTE)));
    let quarter = (T0 / (15 * MINUTE) + 1) * 15 * MINUTE - T0;
    scenario.send("PARAM", T0, reading("S")).send("STORAGE", T0, reading("S")).send("PARAM", T0, reading("N"));
    assert_eq!(moments(&mut scenario), [0; 0], "a change makes nothing due");
    scenario.advance(39 * MINUTE);
    assert_eq!(moments(&mut scenario), [quarter, quarter + 15 * MINUTE], "only the complete station");
    scenario.send("STORAGE", T0 + 39 * MINUTE, reading("N"));
    assert_eq!(moments(&mut scenario), [0; 0]);
    scenario.advance(10 * MINUTE);
    assert_eq!(moments(&mut scenario), [quarter + 30 * MINUTE; 2], "both, at the next one");
}

#[test]
fn a_run_that_takes_longer_than_its_interval_is_followed_by_one_and_holds_no_offset() {
    let mut live = Live::new(fleet(module("probe").requires(&["PARAM"]).every(SECOND)));
    live.apply("PARAM", T0, &[sent(0, T0, reading("S"))]);
    assert_eq!(live.oldest_unsettled("PARAM"), None);
    let runs = live.start(T0 + SECOND);
    assert_eq!(runs.len(), 1);
    assert!(live.start(T0 + 4 * SECOND).is_empty());
    live.finish(runs[0].run, T0 + 4 * SECOND + 1);
    assert_eq!(live.start(T0 + 4 * SECOND + 1).len(), 1);
}

#[test]
fn a_module_that_is_due_by_time_runs_after_loading_without_a_single_live_record() {
    let mut live = Live::starting(fleet(module("probe").requires(&["PARAM"]).every(MINUTE)));
    live.apply_as(Mode::Load, "PARAM", T0, &[sent(0, T0, reading("S"))]);
    assert_eq!(live.shard.next_deadline(), None, "not before it is loaded");
    for name in ["PARAM", "STORAGE", "CALENDAR", "METER"] {
        live.loaded(name, T0);
    }
    assert_eq!(live.run(T0 + MINUTE).len(), 1);
}

#[test]
fn a_service_without_traffic_has_nothing_to_wake_up_for() {
    let mut live = Live::new(fleet(module("probe").requires(&["PARAM", "STORAGE"])));
    assert_eq!(live.shard.next_deadline(), None);
    live.apply("PARAM", T0, &[sent(0, T0, reading("S"))]).apply("STORAGE", T0, &[sent(0, T0, reading("S"))]);
    live.run(T0);
    live.run(T0 + MINUTE);
    assert_eq!(live.shard.next_deadline(), None);
}

#[test]
fn explain_names_each_inputs_standing_its_records_the_rule_that_blocks_and_what_would_help() {
    let probe = module("probe").requires(&["PARAM", "CALENDAR"]).requires_young("STORAGE", MINUTE).optional(&["METER"]);
    let mut live = Live::new(fleet(probe.incomplete(Then::Wait, Some(10 * MINUTE))));
    live.apply("PARAM", T0, &[sent(3, T0, reading("S"))]).apply("STORAGE", T0, &[sent(8, T0, reading("S"))]);
    let told = live.shard.explain(PROBE, "S", Millis(T0 + 5 * MINUTE));
    assert_eq!((told.known, told.run, told.blocked_since), (true, RunStanding::Incomplete, Some(Millis(T0))));
    let told = serde_json::to_value(&told).expect("JSON");
    let input =
        |name: &str| told["inputs"].as_array().expect("inputs").iter().find(|input| input["name"] == name).cloned();
    let param = input("PARAM").expect("PARAM");
    assert_eq!((&param["status"], &param["block"]), (&json!("fresh"), &Value::Null));
    assert_eq!(param["records"], json!([{ "topic": "PARAM", "partition": 0, "from_offset": 3, "to_offset": 3 }]));
    let calendar = input("CALENDAR").expect("CALENDAR");
    assert_eq!(calendar["block"]["rule"], "required_missing");
    assert_eq!(calendar["block"]["since"], T0);
    assert_eq!(calendar["block"]["alarm_at"], T0 + 10 * MINUTE);
    assert_eq!(calendar["block"]["unblock"], "a record on CALENDAR");
    let storage = input("STORAGE").expect("STORAGE");
    assert_eq!((&storage["block"]["rule"], &storage["block"]["since"]), (&json!("max_age"), &json!(T0 + MINUTE)));
    assert_eq!((&storage["overdue"], &storage["age_ms"]), (&json!(true), &json!(5 * MINUTE)));
    let meter = input("METER").expect("METER");
    assert_eq!((&meter["required"], &meter["block"]), (&json!(false), &Value::Null));
}

#[test]
fn explain_of_a_station_nobody_named_shows_what_is_global() {
    let mut live = Live::new(fleet(module("probe").requires(&["PARAM", "CALENDAR"])));
    live.apply("CALENDAR", T0, &[sent(0, T0, json!({}))]);
    let told = live.shard.explain(PROBE, "nobody", Millis(T0));
    assert!(!told.known);
    let missing: Vec<_> = told.inputs.iter().map(|input| (&*input.name, input.block.is_some())).collect();
    assert_eq!(missing, [("PARAM", true), ("CALENDAR", false)]);
}

#[test]
fn an_incomplete_line_of_a_replay_says_why_and_what_would_help() {
    let mut scenario = Scenario::new(fleet(module("probe").requires(&["PARAM", "STORAGE"])));
    scenario.send("PARAM", T0, reading("S"));
    let lines = scenario.finish();
    assert_eq!(lines[0]["missing"], json!(["STORAGE"]));
    let why = &lines[0]["inputs"][0];
    assert_eq!((&why["name"], &why["block"]["since"]), (&json!("STORAGE"), &json!(T0)));
    assert_eq!(why["block"]["unblock"], "a record on STORAGE that names this station");
}

#[test]
fn what_expires_by_the_clock_of_a_backlog_is_looked_at_when_that_is_read_and_never_again_and_again() {
    let mut live = Live::new(fleet(module("probe").requires(&["METER"]).incomplete(Then::Wait, Some(MINUTE))));
    let meter = live.topic("METER");
    live.shard.set_event_clock(meter, Some(Millis(T0)), Millis(T0 + HOUR));
    live.apply("METER", T0 + HOUR, &[sent(0, T0, reading("S"))]);
    assert_eq!(live.run(T0 + HOUR).len(), 1, "fresh by the clock of its backlog");
    assert_eq!(live.shard.next_deadline(), None);
    live.shard.set_event_clock(meter, None, Millis(T0 + HOUR));
    let raised = alarms(&mut live);
    assert_eq!((raised.len(), &raised[0].missing[..]), (1, &["METER".into()][..]), "long gone by the wall clock");
    assert_eq!(live.shard.next_deadline(), None);
}
