//! `operation_optimization` as the service calls it: readings in, JSON out.

use std::array::from_fn;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::tariff::tests::sent;
use crate::testing::{InputBuilder, call, reading, readings};

/// 2025-11-04 16:00 UTC, midnight in Shanghai.
const MIDNIGHT: i64 = 1_762_272_000_000;

const PRICES: &str =
    r#""sharpElectricFee":1.2,"peakElectricFee":0.95,"flatElectricFee":0.65,"ebbElectricFee":0.3,"ebbServerFee":9.0"#;

/// Cheap until 08:00, dear before noon and in the evening.
fn tariff() -> String {
    let codes: [&str; 48] = from_fn(|half| match half / 2 {
        0..=7 => "03",
        10 | 19 | 20 => "00",
        9 | 11 | 17 | 18 | 21 => "01",
        _ => "02",
    });
    sent(&codes, PRICES)
}

fn forecast(kw: &[String]) -> String {
    let step = |(hour, kw): (usize, &String)| {
        let start = MIDNIGHT + hour as i64 * 3_600_000;
        format!(r#"{{"time":"2025-11-05 {:02}:00:00","start":{start},"day":"workday","kw":{kw}}}"#, hour % 24)
    };
    let steps: Vec<String> = kw.iter().enumerate().map(step).collect();
    format!(r#"{{"forecast":[{}],"unit":"kW","capacity_kw":null}}"#, steps.join(","))
}

/// A workday with a peak before noon and one in the evening.
fn day() -> String {
    let kw = |hour: usize| {
        60 + if (9..12).contains(&hour) { 180 } else { 0 } + if (18..22).contains(&hour) { 240 } else { 0 }
    };
    forecast(&(0..24).map(|hour| kw(hour).to_string()).collect::<Vec<_>>())
}

fn needed_inputs() -> InputBuilder {
    InputBuilder::new("operation_optimization").dependency(LOAD, Millis(MIDNIGHT), &day()).topic(
        PRICE,
        Millis(1),
        reading(&tariff()),
    )
}

const UNITS: [&str; 2] = [
    r#"{"storageCode":"A","batteryGroupSoc":40,"batteryGroupSoh":100,"batteryGroupOutPower":-60,"maxTemperature":30.0}"#,
    r#"{"storageCode":"B","batteryGroupSoc":40,"batteryGroupSoh":90,"batteryGroupOutPower":0}"#,
];

fn result(input: InputBuilder) -> Json {
    let output = call(&OperationOptimization, &input.build()).expect("accepted");
    assert_eq!(output.len(), 1);
    serde_json::from_str(output[0].as_json()).expect("JSON")
}

fn rejected(input: InputBuilder) -> String {
    match call(&OperationOptimization, &input.build()) {
        Err(ModuleError::Rejected(detail)) => detail,
        other => panic!("{other:?}"),
    }
}

fn column(result: &Json, name: &str) -> Vec<f64> {
    let steps = result["schedule"].as_array().expect("a list");
    steps.iter().map(|step| step[name].as_f64().unwrap_or_else(|| panic!("{name}"))).collect()
}

#[test]
fn storage_is_charged_at_night_and_saves_money_by_day() {
    let result = result(needed_inputs().topic(STORAGE, Millis(2), readings(&UNITS)));
    let (charge, discharge) = (column(&result, "charge_kw"), column(&result, "discharge_kw"));
    assert_eq!(charge.len(), 24);
    assert!(charge[..8].iter().sum::<f64>() > 100.0, "{charge:?}");
    assert!(discharge[..9].iter().all(|kw| *kw == 0.0), "{discharge:?}");
    assert!(discharge[10] == 200.0 && discharge[19] + discharge[20] > 300.0, "{discharge:?}");

    let totals = &result["totals"];
    let number = |name: &str| totals[name].as_f64().expect("a number");
    assert!(number("saving") > 100.0, "{totals}");
    let saving = number("cost_without_storage") - number("cost") - number("wear_cost");
    assert!((number("saving") - saving).abs() < 1e-4, "{totals}");
    assert_eq!((&result["storage"]["units"], &result["storage"]["capacity_kwh"]), (&2.into(), &408.5.into()));
    assert_eq!(result["missing"], serde_json::json!(["pv_prediction", "SCHEDULE-STATION-PARAM"]));
}

#[test]
fn published_numbers_add_up_hour_by_hour() {
    let input = needed_inputs().topic(STORAGE, Millis(2), readings(&UNITS));
    let result = result(input.topic(PARAM, Millis(3), reading(r#"{"gridCapacity":220.0}"#)));
    let of = |name: &str| column(&result, name);
    let (grid, load, charge, discharge) = (of("grid_kw"), of("load_kw"), of("charge_kw"), of("discharge_kw"));
    let (soc, unserved, price) = (of("soc_kwh"), of("unserved_kw"), of("price"));
    for hour in 0..24 {
        let offered = grid[hour] + discharge[hour] + unserved[hour];
        assert!((offered - load[hour] - charge[hour]).abs() < 0.005, "hour {hour}");
        assert!(grid[hour] <= 220.0 && charge[hour].min(discharge[hour]) == 0.0, "hour {hour}");
    }
    let start = result["storage"]["start_kwh"].as_f64().expect("a number");
    assert!(soc[23] >= start - 0.001, "{} of {start}", soc[23]);
    let cost: f64 = grid.iter().zip(price).map(|(kw, price)| kw * price).sum();
    assert!((result["totals"]["cost"].as_f64().expect("a number") - cost).abs() < 1e-4);
    assert!(result["totals"]["unserved_kwh_without_storage"].as_f64() > result["totals"]["unserved_kwh"].as_f64());
}

#[test]
fn the_first_hour_of_the_schedule_reads_as_documented() {
    let result = result(needed_inputs().missing(STORAGE));
    let first = serde_json::json!({
        "time": "2025-11-05 00:00:00", "start": MIDNIGHT, "load_kw": 60.0, "pv_kw": 0.0, "price": 0.3, "grid_kw": 60.0,
        "charge_kw": 0.0, "discharge_kw": 0.0, "soc_kwh": 0.0, "unserved_kw": 0.0, "curtailed_kw": 0.0,
    });
    assert_eq!(result["schedule"][0], first, "ServerFee is not what the station pays");
    assert_eq!(result["assumptions"]["unit_kwh"], 215.0);
}

#[test]
fn without_usable_storage_there_is_still_a_schedule() {
    let hot = r#"{"storageCode":"A","batteryGroupSoc":40,"maxTemperature":70}"#;
    let (none, unusable) =
        (result(needed_inputs()), result(needed_inputs().topic(STORAGE, Millis(2), readings(&[hot]))));
    assert_eq!(none["schedule"], unusable["schedule"]);
    assert_eq!(none["totals"]["saving"], 0.0);
    assert_eq!(none["storage"], Json::Null);
    assert_eq!(unusable["storage"]["left_out"][0], serde_json::json!({"unit":"A","reason":"too hot"}));
    assert_eq!(none["missing"][1], STORAGE);
}

#[test]
fn an_unknown_grid_capacity_limits_nothing() {
    for param in [r#"{"gridCapacity":0.0}"#, r#"{"gridCapacity":-5}"#, r#"{"gridCapacity":null}"#, "{}"] {
        let result = result(needed_inputs().topic(PARAM, Millis(3), reading(param)));
        assert_eq!((&result["grid_capacity_kw"], &result["totals"]["peak_kw"]), (&Json::Null, &300.0.into()));
        assert_eq!(result["missing"][2], "gridCapacity", "{param}");
    }
}

#[test]
fn sun_is_used_before_the_grid_hour_by_hour() {
    let sun = forecast(&(0..24).map(|hour| if hour == 12 { "45.5" } else { "0" }.to_owned()).collect::<Vec<_>>());
    let result = result(needed_inputs().dependency(PV, Millis(4), &sun));
    assert_eq!((column(&result, "grid_kw")[12], column(&result, "pv_kw")[12]), (14.5, 45.5));
    assert!(!result["missing"].as_array().expect("a list").contains(&PV.into()));
}

#[test]
fn what_must_be_there_is_asked_for_by_name() {
    let load = || InputBuilder::new("operation_optimization").dependency(LOAD, Millis(1), &day());
    assert!(rejected(load()).contains(PRICE));
    assert!(rejected(load().missing(PRICE)).starts_with(PRICE));
    assert!(rejected(load().topic(PRICE, Millis(1), reading(&sent(&["04"; 48], PRICES)))).contains("otherElectricFee"));
    assert!(rejected(InputBuilder::new("operation_optimization").missing(LOAD)).starts_with(LOAD));
    for (topic, wrong) in [(PARAM, reading("[]")), (STORAGE, readings(&["3"])), (PV, reading("{}"))] {
        assert!(rejected(needed_inputs().topic(topic, Millis(1), wrong)).starts_with(topic), "{topic}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let input = needed_inputs().topic(STORAGE, Millis(2), readings(&UNITS)).build();
    let first = call(&OperationOptimization, &input).expect("accepted");
    for _ in 0..20 {
        assert_eq!(call(&OperationOptimization, &input).expect("accepted"), first);
    }
}

/// Numbers as a broken sender writes them.
fn number() -> impl Strategy<Value = String> {
    const ODD: [&str; 11] =
        ["null", "1e308", "-1e308", "-0.0", "0", "1e-308", "1e6", "-1", "9007199254740993", "\"7\"", "[]"];
    let usual = (0.0..500.0_f64).prop_map(|kw| kw.to_string());
    prop_oneof![4 => usual, 1 => prop::sample::select(&ODD[..]).prop_map(str::to_owned)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_numbers_give_a_finite_plan_or_a_rejection(
        load in prop_oneof![prop::collection::vec(0.0..1e6_f64, 0..30).prop_map(|kw| kw.iter().map(f64::to_string).collect()),
            prop::collection::vec(number(), 0..5)],
        prices in [number(), number()],
        units in prop::collection::vec([number(), number(), number()], 0..4),
        capacity in number(),
    ) {
        let codes: [&str; 48] = from_fn(|half| if half % 3 == 0 { "01" } else { "03" });
        let prices = format!(r#""peakElectricFee":{},"ebbElectricFee":{}"#, prices[0], prices[1]);
        let unit = |unit: &[String; 3]| {
            format!(r#"{{"batteryGroupSoc":{},"batteryGroupSoh":{},"maxTemperature":{}}}"#, unit[0], unit[1], unit[2])
        };
        let units: Vec<String> = units.iter().map(unit).collect();
        let input = InputBuilder::new("operation_optimization")
            .dependency(LOAD, Millis(1), &forecast(&load))
            .topic(PRICE, Millis(1), reading(&sent(&codes, &prices)))
            .topic(STORAGE, Millis(1), readings(&units.iter().map(String::as_str).collect::<Vec<_>>()))
            .topic(PARAM, Millis(1), reading(&format!(r#"{{"gridCapacity":{capacity}}}"#)))
            .build();
        match call(&OperationOptimization, &input) {
            Ok(output) => {
                let result: Json = serde_json::from_str(output[0].as_json()).expect("JSON");
                prop_assert!(column(&result, "grid_kw").iter().all(|kw| kw.is_finite() && *kw >= 0.0));
                let soc = column(&result, "soc_kwh");
                prop_assert!(soc.iter().all(|kwh| (0.0..=4.0 * 215.0).contains(kwh)));
            }
            Err(ModuleError::Rejected(detail)) => prop_assert!(!detail.starts_with("no plan"), "{detail}"),
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
