//! When an input is due: triggers, intervals, deadlines, coalescing, staleness, global readings, optional inputs.
//! Under the virtual clock of a replay, as the replay contract words it.

mod support;

use serde_json::{Value, json};
use support::scenario::{Scenario, record, value_of};
use support::within::{assert_lines, assert_within};
use support::{HOUR, MINUTE, Module, SECOND, T0, module, plan, topic};

/// Topics A and B with one reading a message, G global, L a list.
fn scenario(modules: Vec<Module>) -> Scenario {
    let topics = vec![topic("A"), topic("B"), topic("G").global(), topic("L").records(&["/*"])];
    Scenario::new(plan(topics, modules))
}

fn s(v: i64) -> Value {
    json!({"stationId": "S", "v": v})
}

/// Module, station and moment of each input.
fn due(inputs: &[Value]) -> Vec<(&str, &str, i64)> {
    inputs
        .iter()
        .map(|input| {
            let name = |key: &str| input[key].as_str().expect("name");
            (name("module"), name("station"), input["at"].as_i64().expect("at"))
        })
        .collect()
}

#[test]
fn by_default_any_input_that_changes_makes_the_module_due_also_an_optional_one() {
    let mut scenario = scenario(vec![module("m").requires(&["A"]).optional(&["B"])]);
    scenario.send("A", T0, s(1)).send("B", T0 + 1, s(2)).send("A", T0 + 2, s(3));
    let inputs = scenario.inputs();
    assert_eq!(due(&inputs), [("m", "S", T0), ("m", "S", T0 + 1), ("m", "S", T0 + 2)]);
    assert_eq!(inputs[0]["inputs"]["B"], json!({"status": "missing", "age_ms": null, "time": null, "value": null}));
    assert_within(
        &json!({"A": {"value": s(3)}, "B": {"status": "fresh", "age_ms": 1, "value": s(2)}}),
        &inputs[2]["inputs"],
    );
}

#[test]
fn an_optional_input_alone_completes_nothing() {
    let mut scenario = scenario(vec![module("m").requires(&["A"]).optional(&["B"])]);
    scenario.send("B", T0, s(1));
    assert_lines(&[json!({"event": "incomplete", "missing": ["A"], "stale": []})], &scenario.finish());
}

#[test]
fn with_on_only_those_topics_make_due_and_the_others_are_seen_then() {
    let mut scenario = scenario(vec![module("m").requires(&["A", "B"]).on(&["A"])]);
    scenario.send("A", T0, s(1)).send("B", T0 + 1, s(2));
    assert_eq!(due(&scenario.inputs()), [("m", "S", T0 + 1)], "what was due waits for completeness");
    scenario.send("B", T0 + 2, s(3)).advance(HOUR);
    assert_eq!(scenario.inputs(), Vec::<Value>::new());
    scenario.send("A", T0 + 2 * HOUR, s(4));
    let input = scenario.input();
    assert_eq!((value_of(&input, "A"), value_of(&input, "B")), (&s(4), &s(3)));
}

#[test]
fn a_topic_in_on_that_never_came_makes_nothing_due() {
    let mut scenario = scenario(vec![module("m").requires(&["B"]).optional(&["A"]).on(&["A"])]);
    scenario.send("B", T0, s(1));
    assert_eq!(scenario.inputs(), Vec::<Value>::new());
    scenario.send("A", T0 + 1, s(2));
    assert_eq!(due(&scenario.inputs()), [("m", "S", T0 + 1)]);
}

#[test]
fn a_newer_reading_is_a_change_even_when_it_says_the_same_and_an_older_one_is_none() {
    let mut scenario = Scenario::new(plan(vec![topic("A").epoch_time("/at")], vec![module("m").requires(&["A"])]));
    let at = |at: i64| json!({"stationId": "S", "at": at});
    scenario.send("A", T0, at(100)).send("A", T0 + 1, at(99)).send("A", T0 + 2, at(100)).send("A", T0 + 3, at(101));
    assert_eq!(due(&scenario.inputs()), [("m", "S", T0), ("m", "S", T0 + 2), ("m", "S", T0 + 3)]);
}

#[test]
fn changes_of_one_record_are_one_input_per_module_and_station_in_the_order_it_names_them() {
    let mut scenario = scenario(vec![module("b").requires(&["L"]), module("a").requires(&["L"])]);
    scenario.send("L", T0, r#"[{"stationId":"Z","v":1},{"stationId":"A","v":2},7,{"stationId":"Z","v":3}]"#);
    let lines = scenario.drain();
    assert_within(&json!({"event": "dead_letter", "element": 2}), &lines[0]);
    assert_eq!(due(&lines[1..]), [("a", "Z", T0), ("b", "Z", T0), ("a", "A", T0), ("b", "A", T0)]);
    assert_eq!(value_of(&lines[1], "L")["v"], 3);
}

#[test]
fn exactly_the_interval_is_enough_and_a_millisecond_less_waits_for_its_end() {
    let mut scenario = scenario(vec![module("m").requires(&["A"]).min_interval(2 * SECOND)]);
    scenario.send("A", T0, s(1)).send("A", T0 + 2_000, s(2)).send("A", T0 + 3_999, s(3));
    assert_eq!(due(&scenario.inputs()), [("m", "S", T0), ("m", "S", T0 + 2_000)]);
    scenario.advance(0);
    assert_eq!(scenario.inputs(), Vec::<Value>::new());
    scenario.advance(1);
    let input = scenario.input();
    assert_eq!((&input["at"], &input["inputs"]["A"]["age_ms"]), (&json!(T0 + 4_000), &json!(1)));
}

#[test]
fn a_deadline_at_exactly_a_records_time_fires_before_the_record() {
    let mut scenario = scenario(vec![module("m").requires(&["A"]).min_interval(2 * SECOND)]);
    scenario.send("A", T0, s(1)).send("A", T0 + 1_000, s(2)).send("A", T0 + 2_000, s(3)).advance(HOUR);
    let inputs = scenario.inputs();
    assert_eq!(due(&inputs), [("m", "S", T0), ("m", "S", T0 + 2_000), ("m", "S", T0 + 4_000)]);
    assert_eq!((value_of(&inputs[1], "A"), value_of(&inputs[2], "A")), (&s(2), &s(3)));
}

#[test]
fn changes_within_the_interval_coalesce_into_one_input_with_the_newest_values() {
    let mut scenario = scenario(vec![module("m").requires(&["A", "B"]).min_interval(10 * SECOND)]);
    scenario.send("A", T0, s(0)).send("B", T0, s(0));
    (1..10).for_each(|n| {
        scenario.send("A", T0 + n * SECOND, s(n)).send("B", T0 + n * SECOND, s(10 * n));
    });
    scenario.advance(HOUR);
    let inputs = scenario.inputs();
    assert_eq!(due(&inputs), [("m", "S", T0), ("m", "S", T0 + 10 * SECOND)]);
    assert_eq!((value_of(&inputs[1], "A"), value_of(&inputs[1], "B")), (&s(9), &s(90)));
}

#[test]
fn deadlines_that_a_long_silence_passes_over_fire_at_their_own_moments() {
    let modules = vec![
        module("slow").requires(&["A"]).min_interval(MINUTE),
        module("fast").requires(&["A"]).min_interval(SECOND),
    ];
    let mut scenario = scenario(modules);
    scenario.send("A", T0, s(1)).send("A", T0 + 1, s(2)).send("A", T0 + HOUR, s(3));
    let want = [
        ("fast", "S", T0),
        ("slow", "S", T0),
        ("fast", "S", T0 + SECOND),
        ("slow", "S", T0 + MINUTE),
        ("fast", "S", T0 + HOUR),
        ("slow", "S", T0 + HOUR),
    ];
    assert_eq!(due(&scenario.inputs()), want);
}

#[test]
fn an_interval_counts_per_station() {
    let mut scenario = scenario(vec![module("m").requires(&["A"]).min_interval(MINUTE)]);
    scenario.send("A", T0, s(1)).send("A", T0 + 1, json!({"stationId": "N"})).send("A", T0 + 2, s(2)).advance(HOUR);
    let want = [("m", "S", T0), ("m", "N", T0 + 1), ("m", "S", T0 + MINUTE)];
    assert_eq!(due(&scenario.inputs()), want);
}

#[test]
fn advance_ends_inclusively_and_time_never_runs_back() {
    let mut scenario = scenario(vec![module("m").requires(&["A"]).min_interval(MINUTE)]);
    scenario.send("A", T0, s(1)).send("A", T0 - HOUR, s(0)).send("B", T0, s(0)).advance(MINUTE - 1);
    assert_eq!(due(&scenario.inputs()), [("m", "S", T0)], "the older record changed nothing");
    scenario.send("A", T0 + 1, s(2)).advance(0);
    assert_eq!(scenario.inputs(), Vec::<Value>::new());
    scenario.advance(1);
    assert_eq!(due(&scenario.inputs()), [("m", "S", T0 + MINUTE)]);
    scenario.send("A", T0 + 2, s(3)).advance(HOUR);
    assert_eq!(due(&scenario.inputs()), [("m", "S", T0 + 2 * MINUTE)], "an old timestamp does not turn the clock back");
}

#[test]
fn an_input_is_stale_only_when_older_than_its_max_age_and_a_younger_reading_unblocks_it() {
    let mut scenario = scenario(vec![module("m").requires(&["A"]).requires_young("B", MINUTE)]);
    scenario.send("A", T0, s(1)).send("B", T0, s(1)).send("A", T0 + MINUTE, s(2));
    let inputs = scenario.inputs();
    assert_eq!(due(&inputs), [("m", "S", T0), ("m", "S", T0 + MINUTE)]);
    assert_within(&json!({"status": "fresh", "age_ms": MINUTE}), &inputs[1]["inputs"]["B"]);
    scenario.send("A", T0 + MINUTE + 1, s(3));
    assert_eq!(scenario.inputs(), Vec::<Value>::new());
    scenario.send("B", T0 + 2 * MINUTE, s(2));
    let input = scenario.input();
    assert_eq!((value_of(&input, "A"), &input["quality"]["complete"]), (&s(3), &json!(true)));
    scenario.advance(HOUR);
    let stale = json!({"event": "incomplete", "module": "m", "station": "S", "missing": [], "stale": ["B"]});
    assert_lines(&[stale], &scenario.finish());
}

#[test]
fn a_stale_input_is_unblocked_also_by_a_topic_that_is_not_in_on() {
    let mut scenario = scenario(vec![module("m").requires(&["A"]).requires_young("B", MINUTE).on(&["A"])]);
    scenario.send("B", T0, s(1)).send("A", T0 + HOUR, s(2));
    assert_eq!(scenario.inputs(), Vec::<Value>::new());
    scenario.send("B", T0 + HOUR + 1, s(3)).send("B", T0 + HOUR + 2, s(4));
    assert_eq!(due(&scenario.inputs()), [("m", "S", T0 + HOUR + 1)]);
}

#[test]
fn what_grew_stale_during_the_interval_is_not_called_and_is_not_forgotten() {
    let slow = module("m").requires(&["A"]).requires_young("B", MINUTE).min_interval(2 * MINUTE);
    let mut scenario = scenario(vec![slow]);
    scenario.send("A", T0, s(1)).send("B", T0, s(1)).send("A", T0 + SECOND, s(2)).advance(HOUR);
    assert_eq!(due(&scenario.inputs()), [("m", "S", T0)]);
    scenario.send("B", T0 + 2 * HOUR, s(3));
    let input = scenario.input();
    assert_eq!((value_of(&input, "A"), value_of(&input, "B")), (&s(2), &s(3)));
}

#[test]
fn a_stale_optional_input_blocks_nothing_and_says_so() {
    let mut scenario = scenario(vec![module("m").requires(&["A"]).optional_young("B", MINUTE)]);
    scenario.send("A", T0, s(1)).send("B", T0, s(7)).send("A", T0 + HOUR, s(2));
    let inputs = scenario.inputs();
    let stale = json!({"status": "stale", "age_ms": HOUR, "time": T0, "value": s(7)});
    assert_eq!(inputs[2]["inputs"]["B"], stale);
    let quality = json!({"complete": true, "total_topics": 2, "available_topics": ["A"], "missing_topics": [],
        "stale_topics": ["B"], "availability_ratio": 0.5});
    assert_eq!(inputs[2]["quality"], quality);
}

#[test]
fn max_age_counts_from_event_time() {
    let young = module("m").requires_young("A", MINUTE);
    let mut scenario = Scenario::new(plan(vec![topic("A").epoch_time("/at")], vec![young]));
    let at = |ms: i64| json!({"stationId": "S", "at": ms / SECOND});
    scenario.send("A", T0, at(T0 - MINUTE - SECOND));
    assert_eq!(scenario.inputs(), Vec::<Value>::new());
    scenario.send("A", T0, at(T0 - MINUTE)).send("A", T0, at(T0 + HOUR));
    let inputs = scenario.inputs();
    assert_eq!(
        (&inputs[0]["inputs"]["A"]["age_ms"], &inputs[1]["inputs"]["A"]["age_ms"]),
        (&json!(MINUTE), &json!(-HOUR))
    );
}

#[test]
fn a_global_reading_reaches_known_stations_in_the_order_in_which_they_first_appeared() {
    let mut scenario =
        scenario(vec![module("b").requires(&["L", "G"]), module("a").requires(&["L"]).optional(&["G"]).on(&["G"])]);
    scenario.send("L", T0, r#"[{"stationId":"Z"},{"stationId":"A"}]"#).send(
        "L",
        T0,
        r#"[{"stationId":"M"},{"stationId":"Z"}]"#,
    );
    assert_eq!(scenario.inputs(), Vec::<Value>::new());
    scenario.send("G", T0 + 1, json!({"day": 1}));
    let inputs = scenario.inputs();
    let at = T0 + 1;
    let want = [("a", "Z", at), ("b", "Z", at), ("a", "A", at), ("b", "A", at), ("a", "M", at), ("b", "M", at)];
    assert_eq!(due(&inputs), want);
    scenario.take(&record("G", -1, T0 + 1, json!({"day": 0})));
    assert_eq!(scenario.inputs(), Vec::<Value>::new(), "an older global reading changes nothing");
}

#[test]
fn a_global_reading_that_came_first_belongs_to_stations_that_appear_later() {
    let on_global = module("m").requires(&["A", "G"]).on(&["G"]);
    let mut scenario = scenario(vec![on_global, module("other").requires(&["B"])]);
    scenario.send("G", T0, json!({"day": 1})).send("A", T0 + 1, s(1));
    let input = scenario.input();
    assert_eq!((&input["station"], value_of(&input, "G")), (&json!("S"), &json!({"day": 1})));
    scenario.send("B", T0 + 2, json!({"stationId": "N"})).send("A", T0 + 3, json!({"stationId": "N"}));
    let inputs = scenario.inputs();
    assert_eq!(due(&inputs), [("other", "N", T0 + 2), ("m", "N", T0 + 3)]);
}

#[test]
fn a_station_that_appears_is_served_by_a_module_of_global_topics_alone() {
    let mut scenario = scenario(vec![module("m").requires(&["G"]), module("other").requires(&["A"])]);
    scenario.send("G", T0, json!({"day": 1}));
    assert_eq!(scenario.inputs(), Vec::<Value>::new(), "no station is known yet");
    scenario.send("A", T0 + 1, s(1)).send("A", T0 + 2, s(2)).send("G", T0 + 3, json!({"day": 2}));
    let want = [("m", "S", T0 + 1), ("other", "S", T0 + 1), ("other", "S", T0 + 2), ("m", "S", T0 + 3)];
    assert_eq!(due(&scenario.inputs()), want);
}

#[test]
fn a_late_tick_of_the_global_topic_coalesces_with_the_interval_of_each_station() {
    let mut scenario = scenario(vec![module("m").requires(&["A", "G"]).min_interval(MINUTE)]);
    scenario.send("G", T0, json!({})).send("A", T0, s(1)).send("A", T0 + 30 * SECOND, json!({"stationId": "N"}));
    scenario.send("G", T0 + 31 * SECOND, json!({})).send("G", T0 + 32 * SECOND, json!({})).advance(HOUR);
    let want = [("m", "S", T0), ("m", "N", T0 + 30 * SECOND), ("m", "S", T0 + MINUTE), ("m", "N", T0 + 90 * SECOND)];
    assert_eq!(due(&scenario.inputs()), want);
}

#[test]
fn the_expiry_of_a_reading_causes_no_input_and_is_seen_at_the_next() {
    let units = topic("U").per_key("/k", Some(MINUTE));
    let mut scenario =
        Scenario::new(plan(vec![units, topic("A")], vec![module("m").requires(&["A"]).optional(&["U"])]));
    let unit = |k: &str| json!({"stationId": "S", "k": k});
    scenario.send("A", T0, s(1)).send("U", T0, unit("x")).advance(HOUR);
    assert_eq!(due(&scenario.inputs()), [("m", "S", T0), ("m", "S", T0)]);
    scenario.send("A", T0 + 2 * HOUR, s(2));
    assert_within(&json!({"status": "missing", "value": null}), &scenario.input()["inputs"]["U"]);
}

#[test]
fn a_reading_that_falls_out_of_its_window_at_once_causes_nothing() {
    let units = topic("U").epoch_time("/at").per_key("/k", Some(MINUTE));
    let mut scenario = Scenario::new(plan(vec![units], vec![module("m").requires(&["U"])]));
    let unit = |k: &str, ms: i64| json!({"stationId": "S", "k": k, "at": ms / SECOND});
    scenario.send("U", T0, unit("x", T0)).send("U", T0, unit("y", T0 - MINUTE - SECOND));
    let input = scenario.input();
    assert_eq!(value_of(&input, "U").as_array().map(Vec::len), Some(1));
}

#[test]
fn incomplete_lines_come_by_module_then_station_each_once() {
    let mut scenario = scenario(vec![module("z").requires(&["A", "B"]), module("a").requires(&["B", "L"])]);
    scenario.send("A", T0, json!({"stationId": "N"})).send("A", T0, s(1)).send("B", T0, s(1));
    scenario.drain();
    let line = |module: &str, station: &str, missing: Value| json!({"event": "incomplete", "at": T0, "module": module, "station": station, "missing": missing, "stale": []});
    let want = [line("a", "N", json!(["B", "L"])), line("a", "S", json!(["L"])), line("z", "N", json!(["B"]))];
    assert_lines(&want, &scenario.finish());
}

#[test]
fn quality_and_inputs_are_listed_as_required_then_optional() {
    let mut scenario = scenario(vec![module("m").requires(&["L", "B"]).optional(&["G", "A"])]);
    scenario.send("B", T0, s(1)).send("L", T0, json!([s(1)])).send("A", T0, s(1)).send("G", T0, json!({}));
    let inputs = scenario.inputs();
    let last = &inputs[2];
    assert_eq!(last["quality"]["available_topics"], json!(["L", "B", "G", "A"]));
    assert_eq!(inputs[0]["quality"]["missing_topics"], json!(["G", "A"]));
    let lineage = last["lineage"].as_array().expect("lineage");
    let topics: Vec<&Value> = lineage.iter().map(|range| &range["topic"]).collect();
    assert_eq!(topics, ["A", "B", "G", "L"], "lineage is sorted by topic");
}

#[test]
fn lineage_spans_the_records_that_values_are_made_of_and_no_others() {
    let mut scenario = Scenario::new(plan(vec![topic("U").per_key("/k", None)], vec![module("m").requires(&["U"])]));
    let unit = |partition: i32, offset: i64, k: &str| {
        let mut record = record("U", offset, T0 + offset, json!({"stationId": "S", "k": k}));
        record.partition = partition;
        record
    };
    for record in [unit(1, 10, "a"), unit(0, 11, "b"), unit(1, 12, "a"), unit(1, 13, "c"), unit(0, 14, "d")] {
        scenario.take(&record);
    }
    let range = |partition: i32, from: i64, to: i64| json!({"topic": "U", "partition": partition, "from_offset": from, "to_offset": to});
    assert_eq!(scenario.inputs()[4]["lineage"], json!([range(0, 11, 14), range(1, 12, 13)]));
}
