//! The acceptance cases of the station domain, tables A (envelopes), B (what survives of a reading), E (devices),
//! G (quality, isolation, expiry) and J (service level, as far as it needs no broker). A test is named after its row.

mod support;

use quorate_core::ident::{Millis, ModuleId};
use quorate_core::plan::Fill;
use serde_json::{Value, json};
use support::fleet::{
    ACDC, CALENDAR, DCDC, METER, ORDER, PARAM, PRICE, PV, PV_OUTPUT, REALTIME, STORAGE, calendar, dcdc, hour, hours,
    param, price, pv_output, realtime, storage,
};
use support::live::{Live, json, sent};
use support::scenario::{Scenario, value_after, value_of};
use support::within::{assert_lines, assert_within};
use support::{DAY, HOUR, MINUTE, SECOND, T0, Topic, module, plan, probe_of, topic};

/// The stations of a list of inputs, in order.
fn stations(inputs: &[Value]) -> Vec<&str> {
    inputs.iter().map(|input| input["station"].as_str().expect("station")).collect()
}

fn dead(topic: &str, offset: i64, reason: &str, element: Value) -> Value {
    json!({"event": "dead_letter", "topic": topic, "partition": 0, "offset": offset, "reason": reason, "element": element})
}

/// Everything a replay of one topic and a module that requires it prints.
fn printed(topic: Topic, name: &str, payloads: &[Value]) -> Vec<Value> {
    let mut scenario = Scenario::new(probe_of(vec![topic]));
    payloads.iter().for_each(|payload| {
        scenario.send(name, T0, payload);
    });
    scenario.finish()
}

// A: envelopes to stations.

#[test]
fn row_a1_an_array_names_its_stations_in_order_and_a_reading_is_its_element() {
    let elements = [
        json!({"stationId": "1053405539402387456", "gunNum": 2, "gridCapacity": 0.0}),
        json!({"stationId": "1068663126427308032", "gunNum": 0}),
    ];
    let inputs = printed(param(), PARAM, &[json!(elements)]);
    assert_eq!(stations(&inputs), ["1053405539402387456", "1068663126427308032"]);
    assert_eq!(*value_of(&inputs[0], PARAM), elements[0]);
    assert_eq!(*value_of(&inputs[1], PARAM), elements[1]);
}

#[test]
fn row_a2_a_named_list_names_three_stations() {
    let ids = ["1881540927845654529", "1173980655843938304", "1179430837217792000"];
    let rows: Vec<Value> = ids.iter().map(|id| hour(id, "H", "2025-11-04 09:00:00", &[("01", 1.0, 2.0)])).collect();
    assert_eq!(stations(&printed(realtime(Fill::Zero, 4), REALTIME, &[hours(&rows)])), ids);
}

#[test]
fn row_a3_rows_of_one_station_are_one_input_in_order_of_time() {
    let rows = [
        hour("S", "H", "2025-11-04 10:00:00", &[("01", 2.0, 2.0)]),
        hour("S", "H", "2025-11-04 09:00:00", &[("01", 1.0, 1.0)]),
    ];
    let inputs = printed(realtime(Fill::Zero, 2), REALTIME, &[hours(&rows)]);
    assert_eq!(stations(&inputs), ["S"]);
    assert_eq!(value_of(&inputs[0], REALTIME)["outputPowerPerGunAvg"], json!([[1.0], [2.0]]));
}

#[test]
fn row_a4_two_items_of_one_station_are_one_input() {
    let fee = json!({"fee": [
        {"stationId": "1077316458003959808", "dialNo": "2100", "flatElectricFee": 0.7, "sendTime": "2025-10-21 18:58:13"},
        {"stationId": "1077316458003959808", "dialNo": "2101", "flatElectricFee": 0.8, "sendTime": "2025-10-21 18:58:13"},
    ]});
    let inputs = printed(price(), PRICE, &[fee]);
    assert_eq!(stations(&inputs), ["1077316458003959808"]);
    assert_eq!(value_of(&inputs[0], PRICE)["dialNo"], "2101", "of equal times the later element wins");
}

#[test]
fn row_a5_a_calendar_belongs_to_every_station_with_all_its_days() {
    let days = json!({"calendar": [{"date": "2025-11-11", "isHoliday": 0}, {"date": "2025-11-12", "isHoliday": 1}]});
    let mut scenario = Scenario::new(probe_of(vec![param(), calendar()]));
    scenario.send(CALENDAR, T0, &days);
    assert_eq!(scenario.drain(), Vec::<Value>::new(), "no station is known, none is invented");
    scenario.send(PARAM, T0, json!([{"stationId": "S"}]));
    let input = scenario.input();
    assert_eq!(input["station"], "S");
    assert_eq!(*value_of(&input, CALENDAR), days);
}

#[test]
fn row_a6_a_storage_unit_is_one_object() {
    let unit = json!({"stationId": "S", "storageCode": "BD", "batteryGroupSoc": 12});
    let inputs = printed(storage(None), STORAGE, std::slice::from_ref(&unit));
    assert_eq!(*value_of(&inputs[0], STORAGE), json!([unit]));
}

#[test]
fn row_a7_a_host_keeps_its_three_power_modules() {
    let host =
        json!({"stationId": "S", "hostCode": "H", "dcWorkStatus": ["00", "01", "00"], "dcdcPower": [3.0, 15.0, 30.0]});
    let inputs = printed(dcdc(), DCDC, std::slice::from_ref(&host));
    assert_eq!(*value_of(&inputs[0], DCDC), json!([host]));
}

#[test]
fn row_a8_messages_without_a_station_name_none() {
    assert_lines(&[], &printed(param(), PARAM, &[json!([])]));
    assert_lines(&[dead(PARAM, 0, "wrong_shape", Value::Null)], &printed(param(), PARAM, &[json!({})]));
    let both = [dead(PARAM, 0, "missing_station", json!(0)), dead(PARAM, 0, "missing_station", json!(1))];
    assert_lines(&both, &printed(param(), PARAM, &[json!([{"value": 1}, {"value": 2}])]));
}

#[test]
fn row_a9_good_results_of_an_envelope_are_used_and_bad_ones_dead_lettered() {
    let envelope = json!({"results": [{"station_id": "S1", "x": 1}, {"x": 2}, "bad"]});
    let lines = printed(pv_output(), PV_OUTPUT, &[envelope]);
    let input =
        json!({"event": "input", "station": "S1", "inputs": {PV_OUTPUT: {"value": {"station_id": "S1", "x": 1}}}});
    let missing = dead(PV_OUTPUT, 0, "missing_station", json!(1));
    assert_lines(&[missing, dead(PV_OUTPUT, 0, "wrong_shape", json!(2)), input], &lines);
}

#[test]
fn row_a10_an_object_without_a_station_is_rejected_and_never_taken_for_global() {
    let lines = printed(topic("CUSTOM"), "CUSTOM", &[json!({"foo": 1}), json!({})]);
    let gone = |offset| dead("CUSTOM", offset, "missing_station", Value::Null);
    assert_lines(&[gone(0), gone(1)], &lines);
}

#[test]
fn row_a11_both_shapes_of_one_topic_are_taken() {
    let pv = topic(PV).records(&["/photovoltaicMessage/*", ""]);
    let old = json!({"stationId": "S", "pvPreDcPower": [1]});
    let new = json!({"photovoltaicMessage": [{"stationId": "S", "pvPreDcPower": [2]}]});
    let inputs = printed(pv, PV, &[old, new]);
    assert_eq!(value_of(&inputs[0], PV)["pvPreDcPower"], json!([1]));
    assert_eq!(value_of(&inputs[1], PV)["pvPreDcPower"], json!([2]));
}

#[test]
fn row_a12_a_wrong_shape_is_a_dead_letter_and_the_next_record_is_read() {
    let good = json!([{"stationId": "S"}]);
    let lines = printed(param(), PARAM, &[json!({"stationId": "S"}), good]);
    assert_lines(&[dead(PARAM, 0, "wrong_shape", Value::Null), json!({"event": "input", "station": "S"})], &lines);
    let lines = printed(realtime(Fill::Zero, 4), REALTIME, &[json!({"data": []})]);
    assert_lines(&[dead(REALTIME, 0, "wrong_shape", Value::Null)], &lines);
    let lines = printed(topic(ORDER), ORDER, &[json!({"transactionSerialNo": "1"})]);
    assert_lines(&[dead(ORDER, 0, "missing_station", Value::Null)], &lines);
}

// B: what survives of a reading.

const PARAM_FIELDS: [&str; 7] =
    ["/stationLng", "/stationLat", "/gunNum", "/gridCapacity", "/meterId", "/powerNum", "/hostCode"];

#[test]
fn row_b1_a_projection_leaves_out_what_is_not_named() {
    let sent = json!({"stationId": "S001", "stationLng": 121.47, "stationLat": 31.23, "gunNum": 10,
        "gridCapacity": 500, "meterId": "M001", "powerNum": 2, "hostCode": "H001", "extra_field": {"a": [1]}});
    let mut kept = sent.clone();
    kept.as_object_mut().expect("object").remove("extra_field");
    let plan = probe_of(vec![param().fields(&PARAM_FIELDS)]);
    assert_eq!(value_after(plan, &[(T0, json!([sent]))]), kept);
}

#[test]
fn row_b2_names_that_are_absent_stay_absent_and_the_station_is_kept_anyway() {
    let plan = probe_of(vec![param().fields(&PARAM_FIELDS)]);
    assert_eq!(value_after(plan, &[(T0, json!([{"stationId": "S002"}]))]), json!({"stationId": "S002"}));
}

#[test]
fn row_b3_nothing_of_a_real_reading_is_lost_without_a_projection() {
    let sample = json!({"stationId": "1053405539402387456", "gridCapacity": 0.0, "gunNum": 2,
        "hostCode": ["223311", "SN_2025_2_20"], "normalCap": 186.8, "power": {"powerIds": ["sntt55"]}, "powerNum": 1});
    assert_eq!(value_after(probe_of(vec![param()]), &[(T0, json!([sample]))]), sample);
}

#[test]
fn row_b4_no_value_is_invented_for_a_field_that_was_not_sent() {
    let plan = probe_of(vec![topic(METER).fields(&["/meterId", "/meterPower", "/rmeterLimitPower"])]);
    let value = value_after(plan, &[(T0, json!({"stationId": "S", "meterId": "M1", "meterPower": 10, "x": 1}))]);
    assert_eq!(value, json!({"stationId": "S", "meterId": "M1", "meterPower": 10}));
}

#[test]
fn row_b5_null_is_no_reading() {
    let mut scenario = Scenario::new(probe_of(vec![topic(METER)]));
    scenario.send_null(METER, T0).send(METER, T0, "null");
    let gone = |offset| dead(METER, offset, "wrong_shape", Value::Null);
    assert_lines(&[gone(0), gone(1)], &scenario.finish());
}

/// A series of tariffs is what a window of rows is asked for; the newest one stays whole.
#[test]
fn row_b6_two_tariffs_are_not_merged_field_by_field() {
    let tariff = |fee: &str, from: &str| json!({"stationId": "S", "FeeNo": fee, "startTime": from, "sendTime": "2025-11-04 09:00:00"});
    let (first, second) = (tariff("fee-1", "00:00"), tariff("fee-2", "06:00"));
    assert_eq!(value_after(probe_of(vec![price()]), &[(T0, json!({"fee": [first, second]}))]), second);
    let each = topic(PRICE).records(&["/fee/*"]).per_key("/FeeNo", None);
    assert_eq!(value_after(probe_of(vec![each]), &[(T0, json!({"fee": [second, first]}))]), json!([first, second]));
}

#[test]
fn row_b7_all_half_hours_of_a_price_are_kept() {
    let mut item = json!({"stationId": "S", "sendTime": "2025-10-21 18:58:13", "dialNo": "2100"});
    for half_hour in 1..=48 {
        item[format!("feeNo{half_hour}")] = json!(if half_hour < 3 { "00" } else { "02" });
    }
    assert_eq!(value_after(probe_of(vec![price()]), &[(T0, json!({"fee": [item]}))]), item);
}

#[test]
fn row_b8_the_price_with_the_newest_time_is_used_whatever_the_order() {
    let item = |dial: &str, time: &str| json!({"stationId": "S", "dialNo": dial, "sendTime": time});
    let (new, old) = (item("2101", "2025-10-22 00:00:00"), item("2100", "2025-10-21 00:00:00"));
    for pair in [json!({"fee": [new, old]}), json!({"fee": [old, new]})] {
        assert_eq!(value_after(probe_of(vec![price()]), &[(T0, pair)])["dialNo"], "2101");
    }
}

#[test]
fn row_b9_an_empty_list_leaves_the_topic_missing() {
    let mut scenario = Scenario::new(probe_of(vec![param(), price()]));
    scenario.send(PARAM, T0, json!([{"stationId": "S"}])).send(PRICE, T0, json!({"fee": []}));
    let incomplete =
        json!({"event": "incomplete", "at": T0, "module": "probe", "station": "S", "missing": [PRICE], "stale": []});
    assert_lines(&[incomplete], &scenario.finish());
}

#[test]
fn row_b10_a_calendar_keeps_days_as_sent() {
    let days = json!({"calendar": [{"date": "2025-11-11", "isHoliday": 0, "isWeekend": 0}, {"date": "2025-11-12"}]});
    let mut scenario = Scenario::new(probe_of(vec![calendar(), param()]));
    scenario.send(PARAM, T0, json!([{"stationId": "S"}])).send(CALENDAR, T0, &days);
    assert_eq!(*value_of(&scenario.input(), CALENDAR), days);
}

#[test]
fn row_b11_a_calendar_of_other_fields_is_handed_on_as_sent_and_refused_only_where_its_list_is_asked_for() {
    let day = json!({"dayOfWeek": 1, "holiday": false});
    let mut scenario = Scenario::new(probe_of(vec![calendar(), param()]));
    scenario.send(PARAM, T0, json!([{"stationId": "S"}])).send(CALENDAR, T0, &day);
    assert_eq!(*value_of(&scenario.input(), CALENDAR), day);
    let lines = printed(calendar().records(&["/calendar"]), CALENDAR, &[day]);
    assert_lines(&[dead(CALENDAR, 0, "wrong_shape", Value::Null)], &lines);
}

#[test]
fn row_b12_fields_of_a_list_element_are_projected_too() {
    let weather = topic("WEATHER").records(&["/weather/*"]).fields(&["/seasonTomorrow"]);
    let sent = json!({"weather": [{"stationId": "S", "seasonTomorrow": "冬", "x": 1}]});
    assert_eq!(value_after(probe_of(vec![weather]), &[(T0, sent)]), json!({"stationId": "S", "seasonTomorrow": "冬"}));
}

#[test]
fn row_b13_a_result_is_its_object_itself_and_null_is_none() {
    let results = topic(PV_OUTPUT).results().ignore_null();
    let mut scenario = Scenario::new(probe_of(vec![results]));
    scenario.send_null(PV_OUTPUT, T0).send(PV_OUTPUT, T0, json!({"results": [null]}));
    assert_lines(&[dead(PV_OUTPUT, 1, "wrong_shape", json!(0))], &scenario.drain());
    let result = json!({"station_id": "S", "pvPower": [0.0, 1.5]});
    scenario.send(PV_OUTPUT, T0, json!({"results": [result]}));
    assert_eq!(*value_of(&scenario.input(), PV_OUTPUT), result);
    assert_eq!(scenario.finish(), Vec::<Value>::new());
}

// E: devices.

#[test]
fn row_e1_updates_of_two_hosts_are_one_list_of_exactly_those_hosts() {
    let host = |code: &str, status: Value| json!({"stationId": "S", "hostCode": code, "dcWorkStatus": status});
    let (first, second) = (host("H001", json!([1, 1])), host("H002", json!([0, 1])));
    let value = value_after(probe_of(vec![dcdc()]), &[(T0, first.clone()), (T0 + 1, second.clone())]);
    assert_eq!(value, json!([first, second]));
}

#[test]
fn row_e2_the_newest_of_each_host_stays_and_one_without_a_code_is_refused() {
    let host = |code: &str, power: Value| json!({"stationId": "S", "hostCode": code, "dcdcPower": power});
    let mut scenario = Scenario::new(probe_of(vec![dcdc()]));
    scenario.send(DCDC, T0, host("H002", json!([5.0]))).send(DCDC, T0 + 1, host("H001", json!([3, 15, 30])));
    scenario.send(DCDC, T0 + 2, json!({"stationId": "S", "dcdcPower": [1]}));
    scenario.send(DCDC, T0 + 3, host("H002", json!([0.0, 1.0])));
    let lines = scenario.finish();
    assert_eq!(lines.len(), 4);
    assert_within(&dead(DCDC, 2, "wrong_shape", Value::Null), &lines[2]);
    let last = json!([host("H001", json!([3, 15, 30])), host("H002", json!([0.0, 1.0]))]);
    assert_eq!(*value_of(&lines[3], DCDC), last);
}

#[test]
fn row_e3_hosts_stand_in_order_of_their_code() {
    let host = |code: &str, power: f64| json!({"stationId": "S", "hostCode": code, "acPower": power});
    let plan = probe_of(vec![topic(ACDC).per_key("/hostCode", None)]);
    let value = value_after(plan, &[(T0, host("H002", 200.3)), (T0, host("H001", 100.5))]);
    assert_eq!(value, json!([host("H001", 100.5), host("H002", 200.3)]));
}

#[test]
fn row_e4_storage_units_are_kept_raw_and_the_later_of_one_unit_wins() {
    let unit = |code: &str, soc: i64| json!({"stationId": "S", "storageCode": code, "batteryGroupSoc": soc});
    let records = [(T0, unit("B", 60)), (T0, unit("A", 80)), (T0, unit("B", 61))];
    assert_eq!(value_after(probe_of(vec![storage(None)]), &records), json!([unit("A", 80), unit("B", 61)]));
}

/// Invented readings have no way in of their own: whoever stands in for a device sends its records.
#[test]
fn row_e5_units_sent_one_by_one_by_a_stand_in_are_both_kept() {
    let unit = |number: i64, soc: i64| json!({"stationId": "S", "storageCode": format!("MOCK_STORAGE_00{number}"), "batteryGroupSoc": soc});
    let value = value_after(probe_of(vec![storage(None)]), &[(T0, unit(1, 75)), (T0, unit(2, 60))]);
    assert_eq!(value, json!([unit(1, 75), unit(2, 60)]));
}

// G: quality, isolation, expiry.

#[test]
fn row_g1_three_of_three_topics_are_a_ratio_of_one_but_not_with_an_unusable_calendar() {
    let load = module("load_prediction").requires(&[PARAM, REALTIME, CALENDAR]);
    let days = calendar().records(&["/calendar"]);
    let mut scenario = Scenario::new(plan(vec![param(), realtime(Fill::Zero, 4), days], vec![load]));
    scenario.send(PARAM, T0, json!([{"stationId": "S"}]));
    scenario.send(REALTIME, T0, hours(&[hour("S", "H", "2025-11-04 09:00:00", &[("01", 1.0, 1.0)])]));
    scenario.send(CALENDAR, T0, json!({"days": []})).send(CALENDAR, T0, json!(["2025-11-04"]));
    let gone = |offset| dead(CALENDAR, offset, "wrong_shape", Value::Null);
    assert_lines(&[gone(0), gone(1)], &scenario.drain());
    scenario.send(CALENDAR, T0, json!({"calendar": {"2025-11-04": 0}}));
    let quality = json!({"complete": true, "total_topics": 3, "available_topics": [PARAM, REALTIME, CALENDAR],
        "missing_topics": [], "stale_topics": [], "availability_ratio": 1.0});
    assert_eq!(scenario.input()["quality"], quality);
}

#[test]
fn row_g2_one_of_three_topics_calls_nobody_and_names_what_is_missing() {
    let load = module("load_prediction").requires(&[PARAM, REALTIME, CALENDAR]);
    let mut scenario = Scenario::new(plan(vec![param(), realtime(Fill::Zero, 4), calendar()], vec![load]));
    scenario.send(REALTIME, T0, hours(&[hour("S", "H", "2025-11-04 09:00:00", &[("01", 1.0, 1.0)])]));
    let incomplete = json!({"event": "incomplete", "station": "S", "missing": [PARAM, CALENDAR], "stale": []});
    assert_lines(&[incomplete], &scenario.finish());
}

#[test]
fn row_g3_five_of_six_topics_are_a_ratio_of_five_sixths() {
    let plain = ["A", "B", "C", "D", "E"];
    let optimization = module("operation_optimization").requires(&plain).optional(&[PV_OUTPUT]);
    let topics = plain.iter().map(|name| topic(name)).chain([pv_output()]).collect();
    let mut scenario = Scenario::new(plan(topics, vec![optimization]));
    plain.iter().for_each(|name| {
        scenario.send(name, T0, json!({"stationId": "S"}));
    });
    let input = scenario.input();
    let quality = json!({"complete": true, "total_topics": 6, "missing_topics": [PV_OUTPUT],
        "availability_ratio": 0.833_333_333_333_333_4});
    assert_within(&quality, &input["quality"]);
    assert_eq!(input["inputs"][PV_OUTPUT], json!({"status": "missing", "age_ms": null, "time": null, "value": null}));
}

#[test]
fn row_g4_a_station_nobody_named_has_no_input_and_an_unknown_module_no_place() {
    let plan = plan(vec![param(), calendar()], vec![module("load_prediction").requires(&[PARAM, CALENDAR])]);
    assert_eq!(plan.module_id("load_prediction"), Some(ModuleId(0)));
    assert_eq!(plan.module_id("weather_prediction"), None);
    let mut live = Live::new(plan);
    live.apply(CALENDAR, T0, &[sent(0, T0, json!({"calendar": []}))]);
    live.apply(PARAM, T0, &[sent(0, T0, json!([{"stationId": "S"}]))]);
    let inputs = live.run(T0);
    assert_eq!((inputs.len(), inputs[0].station.as_str()), (1, "S"));
    let stranger = live.shard.explain(ModuleId(0), "N", Millis(T0));
    assert!(!stranger.known && stranger.last_run_at.is_none());
    let blocks = stranger.inputs.iter().map(|input| input.block.as_ref().map(|block| block.rule));
    assert_eq!(blocks.collect::<Vec<_>>(), [Some("required_missing"), None], "the calendar is there for everyone");
}

#[test]
fn row_g5_a_topic_that_nobody_names_is_not_kept_and_one_that_is_named_is_kept_as_sent() {
    let mut scenario = Scenario::new(probe_of(vec![param()]));
    scenario.send("CUSTOM-TOPIC", T0, json!({"stationId": "S", "value": 1}));
    assert_eq!(scenario.finish(), Vec::<Value>::new(), "it makes no station known");
    let named = probe_of(vec![topic("CUSTOM-TOPIC")]);
    let sent = json!({"stationId": "S", "value": 1});
    assert_eq!(value_after(named, &[(T0, sent.clone())]), sent);
}

#[test]
fn row_g6_stations_do_not_see_each_others_readings() {
    let meter = |station: &str, id: &str, power: i64| json!({"stationId": station, "meterId": id, "meterPower": power});
    let (a, b) = (meter("station_a", "M1", 10), meter("station_b", "M2", 20));
    let inputs = printed(topic(METER), METER, &[a.clone(), b.clone()]);
    assert_eq!(stations(&inputs), ["station_a", "station_b"]);
    assert_eq!((value_of(&inputs[0], METER), value_of(&inputs[1], METER)), (&a, &b));
}

#[test]
fn row_g7_a_window_whose_readings_have_all_expired_is_missing() {
    let mut scenario = Scenario::new(probe_of(vec![storage(Some(10))]));
    scenario.send(STORAGE, T0, json!({"stationId": "S", "storageCode": "A"})).advance(10 * SECOND);
    let lines = scenario.finish();
    let incomplete = json!({"event": "incomplete", "station": "S", "missing": [STORAGE]});
    assert_lines(&[json!({"event": "input"}), incomplete], &lines);
}

#[test]
fn row_g8_of_two_units_only_the_one_renewed_within_expire_is_left() {
    let unit = |code: &str| json!({"stationId": "S", "storageCode": code});
    let records = [(T0 - 700 * SECOND, unit("old")), (T0, unit("new"))];
    let value = value_after(probe_of(vec![storage(Some(600 * SECOND))]), &records);
    assert_eq!(value, json!([unit("new")]));
}

#[test]
fn row_g9_a_monthly_price_does_not_expire_because_another_topic_does() {
    let prices = topic(PRICE);
    let mut scenario = Scenario::new(probe_of(vec![prices, storage(Some(600 * SECOND))]));
    scenario.send(PRICE, T0, json!({"stationId": "S", "flat": 0.7}));
    scenario.send(STORAGE, T0 + 30 * DAY, json!({"stationId": "S", "storageCode": "A"}));
    assert_within(&json!({"status": "fresh", "age_ms": 30 * DAY}), &scenario.input()["inputs"][PRICE]);
}

#[test]
fn row_g10_equal_names_in_two_topics_do_not_collide() {
    let mut scenario = Scenario::new(probe_of(vec![param(), topic(METER)]));
    scenario.send(PARAM, T0, json!([{"stationId": "S", "meterId": "PARAM-M"}]));
    scenario.send(METER, T0, json!({"stationId": "S", "meterPower": 1}));
    let input = scenario.input();
    assert_eq!(value_of(&input, PARAM)["meterId"], "PARAM-M");
    assert_eq!(*value_of(&input, METER), json!({"stationId": "S", "meterPower": 1}));
}

#[test]
fn row_g11_outputs_of_two_upstream_modules_stand_apart() {
    let (load, optimization) = ("MODULE-OUTPUT-LOAD-PREDICTION", "MODULE-OUTPUT-OPERATION-OPTIMIZATION");
    let mut scenario = Scenario::new(probe_of(vec![topic(load), topic(optimization)]));
    scenario.send(load, T0, json!({"stationId": "S", "prediction": "LP", "confidence": 0.9}));
    scenario.send(optimization, T0, json!({"stationId": "S", "prediction": "OO"}));
    let input = scenario.input();
    assert_within(&json!({"prediction": "LP", "confidence": 0.9}), value_of(&input, load));
    assert_eq!(*value_of(&input, optimization), json!({"stationId": "S", "prediction": "OO"}));
}

// J: service level.

fn load_prediction() -> Scenario {
    let load = module("load_prediction").requires(&[PARAM, REALTIME, CALENDAR]);
    Scenario::new(plan(vec![param(), realtime(Fill::Zero, 4), calendar()], vec![load]))
}

fn send_param(scenario: &mut Scenario, station: &str) {
    scenario.send(PARAM, T0, json!([{"stationId": station}]));
}

fn send_realtime(scenario: &mut Scenario, station: &str, time: &str) {
    scenario.send(REALTIME, T0, hours(&[hour(station, "H", time, &[("01", 1.0, 1.0)])]));
}

fn send_calendar(scenario: &mut Scenario) {
    scenario.send(CALENDAR, T0, json!({"calendar": []}));
}

#[test]
fn row_j1_parameters_alone_call_nobody_however_long_one_waits() {
    let mut scenario = load_prediction();
    send_param(&mut scenario, "S");
    scenario.advance(HOUR);
    assert_eq!(scenario.inputs(), Vec::<Value>::new());
}

#[test]
fn row_j2_a_station_is_complete_at_the_calendar_that_comes_after_it() {
    let mut scenario = load_prediction();
    send_param(&mut scenario, "S");
    send_realtime(&mut scenario, "S", "2025-11-04 09:00:00");
    assert_eq!(scenario.drain(), Vec::<Value>::new());
    send_calendar(&mut scenario);
    assert_eq!(scenario.input()["quality"]["availability_ratio"], 1.0);
    send_realtime(&mut scenario, "S", "2025-11-04 10:00:00");
    assert_eq!(scenario.input()["quality"]["availability_ratio"], 1.0);
}

#[test]
fn row_j3_all_three_at_once_are_one_input_and_idle_time_brings_no_other() {
    let mut scenario = load_prediction();
    send_param(&mut scenario, "S");
    send_realtime(&mut scenario, "S", "2025-11-04 09:00:00");
    send_calendar(&mut scenario);
    scenario.advance(10 * MINUTE);
    assert_eq!(scenario.input()["at"], T0);
}

#[test]
fn row_j4_a_station_that_appears_later_has_the_calendar_in_its_first_input() {
    let mut scenario = load_prediction();
    send_calendar(&mut scenario);
    send_param(&mut scenario, "N");
    send_realtime(&mut scenario, "N", "2025-11-04 09:00:00");
    assert_eq!(*value_of(&scenario.input(), CALENDAR), json!({"calendar": []}));
}

#[test]
fn row_j5_undecodable_records_around_a_good_one_are_dead_lettered_and_leave_nothing_unsettled() {
    let mut scenario = Scenario::new(probe_of(vec![param()]));
    scenario.send(PARAM, T0, "{").send(PARAM, T0, json!([{"stationId": "S"}])).send(PARAM, T0, "]");
    let gone = |offset| dead(PARAM, offset, "not_json", Value::Null);
    assert_lines(&[gone(0), json!({"event": "input"}), gone(2)], &scenario.finish());

    let mut live = Live::new(probe_of(vec![param()]));
    live.apply(PARAM, T0, &[sent(0, T0, "{"), sent(1, T0, r#"[{"stationId":"S"}]"#), sent(2, T0, "]")]);
    assert_eq!(live.oldest_unsettled(PARAM), Some(1));
    assert_eq!(live.run(T0).len(), 1);
    assert_eq!(live.oldest_unsettled(PARAM), None);
}

#[test]
fn row_j11_a_station_whose_run_never_ends_delays_no_other() {
    let mut live = Live::new(probe_of(vec![topic(METER)]));
    let reading = |station: &str| json!({"stationId": station});
    live.apply(METER, T0, &[sent(0, T0, reading("A"))]);
    let stuck = live.start(T0);
    assert_eq!(stuck.len(), 1);
    live.apply(METER, T0, &[sent(1, T0, reading("A")), sent(2, T0, reading("B"))]);
    let inputs = live.run(T0 + SECOND);
    assert_eq!(inputs.len(), 1);
    assert_eq!(json(&inputs[0])["station"], "B");
}
