//! `peak_alert` as the service calls it: records in, through the real configuration, alerts out.

use std::sync::Arc;
use std::time::Duration;

use quorate::testing::{Reason, Scenario, conformance};
use quorate::{Module, Service};
use serde_json::{Value, json};
use station_alerts::PeakAlert;

fn scenario() -> Scenario {
    let service = Service::builder().config_text("config.toml", include_str!("../config.toml")).module(PeakAlert);
    let mut scenario = Scenario::of(&service).expect("a valid configuration");
    scenario.at("2025-11-04T09:00:00+08:00");
    scenario
}

fn station(grid_capacity: f64) -> Value {
    json!([{ "stationId": "S1", "gridCapacity": grid_capacity }])
}

fn meter(id: &str, kw: f64) -> Value {
    json!({ "stationId": "S1", "meterId": id, "meterPower": kw, "rmeterLimitPower": 400.0 })
}

#[test]
fn all_meters_together_come_close_to_the_limit() {
    let mut scenario = scenario();
    scenario.record("SCHEDULE-STATION-PARAM", station(600.0));
    scenario.record("SCHEDULE-DEVICE-METER", meter("A", 330.0));
    assert!(scenario.results("peak_alert").is_empty(), "55 % is no alert");

    scenario.advance(Duration::from_secs(60)).record("SCHEDULE-DEVICE-METER", meter("B", 180.0));
    let alert = json!({ "level": "warning", "kw": 510.0, "limit_kw": 600.0, "share": 0.85, "highest": "A" });
    assert_eq!(scenario.results("peak_alert"), [alert]);
}

#[test]
fn readings_in_quick_succession_are_one_alert() {
    let mut scenario = scenario();
    scenario.record("SCHEDULE-STATION-PARAM", station(600.0));
    for kw in [500.0, 540.0, 570.0] {
        scenario.record("SCHEDULE-DEVICE-METER", meter("A", kw)).advance(Duration::from_secs(1));
    }
    assert_eq!(scenario.results("peak_alert").len(), 1);
    scenario.advance(Duration::from_secs(10));
    let alerts = scenario.results("peak_alert");
    assert_eq!((alerts.len(), &alerts[1]["level"], &alerts[1]["kw"]), (2, &json!("critical"), &json!(570.0)));
}

#[test]
fn without_a_limit_of_its_own_the_station_has_that_of_its_meters() {
    let mut scenario = scenario();
    scenario.record("SCHEDULE-STATION-PARAM", station(0.0)).record("SCHEDULE-DEVICE-METER", meter("A", 390.0));
    assert_eq!(scenario.results("peak_alert")[0]["limit_kw"], 400.0);
}

#[test]
fn without_any_limit_the_input_becomes_a_dead_letter() {
    let mut scenario = scenario();
    let unlimited = json!({ "stationId": "S1", "meterId": "A", "meterPower": 390.0 });
    scenario.record("SCHEDULE-STATION-PARAM", station(0.0)).record("SCHEDULE-DEVICE-METER", unlimited);
    let letters = scenario.dead_letters();
    assert_eq!((letters.len(), letters[0].reason), (1, Reason::ModuleRejected));
    assert!(letters[0].detail.contains("no limit is known"), "{}", letters[0].detail);
}

#[test]
fn old_readings_say_nothing_about_the_present() {
    let mut scenario = scenario();
    scenario.record("SCHEDULE-DEVICE-METER", meter("A", 590.0)).advance(Duration::from_secs(16 * 60));
    scenario.record("SCHEDULE-STATION-PARAM", station(600.0));
    assert!(scenario.inputs("peak_alert").is_empty());
    let meters = &scenario.explain("peak_alert", "S1").inputs[1];
    assert_eq!(meters.block.as_ref().map(|block| block.rule), Some("max_age"));
}

#[test]
fn it_keeps_what_every_module_promises() {
    let mut scenario = scenario();
    scenario.record("SCHEDULE-STATION-PARAM", station(600.0)).record("SCHEDULE-DEVICE-METER", meter("A", 590.0));
    scenario.advance(Duration::from_secs(60)).record("SCHEDULE-DEVICE-METER", meter("B", 5.0));
    let samples: Vec<_> = scenario.inputs("peak_alert").into_iter().cloned().collect();
    let module: Arc<dyn Module> = Arc::new(PeakAlert);
    assert_eq!(conformance::check_all(&module, &samples), Ok(()));
}
