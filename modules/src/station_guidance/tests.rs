//! `station_guidance` as the service calls it: readings in, JSON out.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::tariff::tests::sent;
use crate::testing::{InputBuilder, call, reading, readings};

/// 2025-11-04 16:00 UTC, midnight in Shanghai.
const MIDNIGHT: i64 = 1_762_272_000_000;

fn forecast(kw: impl Fn(usize) -> f64) -> String {
    let step = |hour: usize| json!({"time": format!("2025-11-05 {hour:02}:00:00"), "start": MIDNIGHT + hour as i64 * 3_600_000, "kw": kw(hour)});
    json!({ "forecast": (0..24).map(step).collect::<Vec<_>>() }).to_string()
}

fn station(kw: f64, param: &str) -> InputBuilder {
    InputBuilder::new("station_guidance")
        .dependency(LOAD, Millis(MIDNIGHT), &forecast(|hour| if hour == 0 { kw } else { 2.0 * kw }))
        .topic(PARAM, Millis(1), reading(param))
}

fn tariff(price: f64) -> Value {
    reading(&sent(&["03"; 48], &format!(r#""ebbElectricFee":{price:?},"ebbServerFee":0.25"#)))
}

fn result(input: InputBuilder) -> Json {
    let output = call(&StationGuidance, &input.build()).expect("accepted");
    serde_json::from_str(output[0].as_json()).expect("JSON")
}

fn score(input: InputBuilder) -> f64 {
    result(input)["score"].as_f64().expect("a number")
}

const PARAM_OF_TEN_GUNS: &str = r#"{"gridCapacity":500.0,"normalCap":400.0,"gunNum":10}"#;

#[test]
fn free_power_and_guns_are_what_the_forecast_leaves() {
    let result = result(station(100.0, PARAM_OF_TEN_GUNS).topic(PRICE, Millis(1), tariff(0.75)));
    let expected = |kw: f64, guns: f64| {
        let score = (0.35 * kw / (kw + 120.0) + 0.35 * guns / (guns + 2.0) + 0.2 * 0.5) / 0.9;
        (score * 10_000.0).round() / 10_000.0
    };
    assert_eq!(
        result["hours"][0],
        json!({"time":"2025-11-05 00:00:00","start":MIDNIGHT,"free_kw":300.0,"free_guns":7,"price":1.0,"score":expected(300.0, 7.0)})
    );
    assert_eq!((&result["hours"][1]["free_kw"], &result["hours"][1]["free_guns"]), (&200.0.into(), &5.into()));
    assert_eq!(result["hours"].as_array().map(Vec::len), Some(24));
    assert_eq!((&result["capacity_kw"], &result["guns"]), (&400.0.into(), &10.into()));
    assert_eq!((&result["occupied_guns"], &result["kw_per_gun"]), (&Json::Null, &40.0.into()));
}

#[test]
fn orders_tell_what_is_taken_in_the_first_hour_and_what_a_car_draws() {
    let order =
        |gun: usize| format!(r#"{{"gunNo":"{gun}","endChargeTime":"2070-01-02 08:00:01","outputPower":100.0}}"#);
    let orders: Vec<String> = (0..6).map(order).collect();
    let orders = readings(&orders.iter().map(String::as_str).collect::<Vec<_>>());
    let result = result(station(100.0, PARAM_OF_TEN_GUNS).topic(ORDER, Millis(1), orders));
    assert_eq!((&result["occupied_guns"], &result["kw_per_gun"]), (&6.into(), &100.0.into()));
    assert_eq!((&result["hours"][0]["free_guns"], &result["hours"][1]["free_guns"]), (&4.into(), &8.into()));
}

#[test]
fn what_is_not_known_is_null_and_does_not_count() {
    let power = result(station(60.0, r#"{"normalCap":180.0,"gunNum":0}"#));
    assert_eq!((&power["hours"][0]["free_guns"], &power["hours"][0]["price"]), (&Json::Null, &Json::Null));
    assert_eq!(power["hours"][0]["score"], 0.5, "power alone");
    let guns = result(station(60.0, r#"{"gridCapacity":0.0,"gunNum":4}"#));
    assert_eq!((&guns["hours"][0]["free_kw"], &guns["hours"][0]["score"]), (&Json::Null, &0.5.into()));
}

#[test]
fn an_evaluation_counts_when_it_is_a_score() {
    let plain = || station(60.0, PARAM_OF_TEN_GUNS);
    for (output, counts) in [
        (r#"{"score":1.0}"#, Json::from(1.0)),
        (r#"{"score":1.5}"#, Json::Null),
        (r#"{"score":"good"}"#, Json::Null),
        (r#"{"grade":1}"#, Json::Null),
    ] {
        assert_eq!(result(plain().dependency(EVALUATION, Millis(1), output))["evaluation"], counts, "{output}");
    }
    assert!(score(plain().dependency(EVALUATION, Millis(1), r#"{"score":1.0}"#)) > score(plain()));
}

#[test]
fn what_must_be_there_is_asked_for_by_name() {
    let rejected = |input: InputBuilder| match call(&StationGuidance, &input.build()) {
        Err(ModuleError::Rejected(detail)) => detail,
        other => panic!("{other:?}"),
    };
    assert!(rejected(InputBuilder::new("station_guidance")).contains(LOAD));
    assert!(rejected(station(1.0, r#"{"gridCapacity":0,"gunNum":null}"#)).starts_with(PARAM));
    for (topic, wrong) in [(PRICE, reading("{}")), (ORDER, reading("3")), (EVALUATION, readings(&[]))] {
        assert!(rejected(station(1.0, PARAM_OF_TEN_GUNS).topic(topic, Millis(1), wrong)).starts_with(topic), "{topic}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_better_station_never_scores_lower(
        kw in 0.0..800.0_f64, capacity in 1.0..1000.0_f64, guns in 1..40_u32, price in 0.0..3.0_f64, more in 0.0..500.0_f64,
    ) {
        let score = |kw: f64, capacity: f64, guns: u32, price: f64| {
            let param = format!(r#"{{"gridCapacity":{capacity:?},"gunNum":{guns}}}"#);
            score(station(kw, &param).topic(PRICE, Millis(1), tariff(price)))
        };
        let before = score(kw, capacity, guns, price);
        prop_assert!((0.0..=1.0).contains(&before));
        prop_assert!(score(kw, capacity + more, guns, price) >= before);
        prop_assert!(score(kw, capacity, guns + more as u32, price) >= before);
        prop_assert!(score(kw, capacity, guns, (price - more).max(-1.0)) >= before);
        prop_assert!(score((kw - more).max(0.0), capacity, guns, price) >= before);
    }
}
