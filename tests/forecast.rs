//! The forecast on the fleet's own load: days that were held back are predicted from what came before them, through
//! the real core, and compared with what the fleet then measured.

use std::collections::HashMap;
use std::sync::Arc;

use futures::executor::block_on;
use quorate::config::{Purpose, from_str};
use quorate::fleet::{DAY_MS, Fleet, FleetPlan, FleetRecord};
use quorate_core::contract::{Module, ModuleInput};
use quorate_core::ident::Millis;
use quorate_core::replay::{RecordedRecord, Replay, ReplayEvent};
use serde_json::Value;

const CONFIG: &str = r#"
[kafka.consumer]
group_id = "forecast"
[topics.SCHEDULE-STATION-PARAM]
records = "/*"
station = "/stationId"
[topics.SCHEDULE-ENVIRONMENT-CALENDAR]
scope = "global"
[topics.SCHEDULE-STATION-REALTIME-DATA]
records = "/realTimeData/*"
station = "/stationId"
time = { at = "/sendTime", format = "%Y-%m-%d %H:%M:%S", zone = "Asia/Shanghai" }
[topics.SCHEDULE-STATION-REALTIME-DATA.window]
kind = "grid"
step = "1h"
span = "672h"
fill = "linear"
max_gap = "3h"
series = ["/hostCode", "/gunPower/gunNo"]
values = ["/gunPower/outputPowerPerGunAvg", "/gunPower/outputPowerPerGunMax"]
totals = ["/outputPowerPerStationAvg"]
[modules.load_prediction]
enabled = true
requires = ["SCHEDULE-STATION-PARAM", "SCHEDULE-STATION-REALTIME-DATA", "SCHEDULE-ENVIRONMENT-CALENDAR"]
"#;

const STATIONS: usize = 12;
const HELD_BACK_DAYS: i64 = 5;

/// Midnight in Shanghai, Monday 2025-11-03: the days before it are an ordinary week with its weekend.
const START: Millis = Millis(1_762_099_200_000);

/// The last input of each station when nothing later than `cut` is known.
fn inputs(records: &[FleetRecord], cut: Millis) -> HashMap<String, ModuleInput> {
    let module = quorate_modules::by_name("load_prediction").expect("module");
    let known = [(module.name(), module.version())];
    let loaded = from_str("forecast.toml", CONFIG, Purpose::replay(&known)).unwrap_or_else(|report| panic!("{report}"));
    let mut replay = Replay::new(Arc::clone(&loaded.settings.plan));
    let mut last = HashMap::new();
    let mut keep = |event: ReplayEvent| {
        if let ReplayEvent::Input(input) = event {
            last.insert(input.station.to_string(), *input);
        }
    };
    for (offset, record) in (0..).zip(records).take_while(|(_, record)| record.timestamp <= cut) {
        let recorded = RecordedRecord {
            topic: record.topic.to_owned(),
            offset,
            ts: record.timestamp.0,
            payload: Some(record.payload.clone()),
            ..RecordedRecord::default()
        };
        replay.record(&recorded, &mut keep);
    }
    last
}

/// What one day's forecast and the seasonal naive one differ from what was measured, in kW summed over its hours.
fn errors(fleet: &Fleet, station: usize, input: &ModuleInput, module: &dyn Module) -> (f64, f64, usize) {
    let outputs = block_on(module.invoke(input)).expect("a forecast");
    let output: Value = serde_json::from_str(outputs[0].as_json()).expect("JSON");
    assert_ne!(output["method"], "seasonal_naive", "{output}");
    let (mut model, mut naive, mut hours) = (0.0, 0.0, 0);
    for point in output["forecast"].as_array().expect("24 hours") {
        let at = Millis(point["start"].as_i64().expect("a moment"));
        if !fleet.is_reported(station, at) {
            continue;
        }
        let measured = fleet.load_kw(station, at);
        model += (point["kw"].as_f64().expect("a number") - measured).abs();
        naive += (fleet.load_kw(station, at.plus(-7 * DAY_MS)) - measured).abs();
        hours += 1;
    }
    (model, naive, hours)
}

#[test]
fn on_held_back_days_the_forecast_beats_last_weeks_same_hour() {
    let fleet = Fleet::new(FleetPlan { bad_share: 0.0, ..FleetPlan::new(STATIONS, 42, START) });
    let records: Vec<FleetRecord> = fleet.history().collect();
    let module = quorate_modules::by_name("load_prediction").expect("module");
    let (mut model, mut naive, mut hours) = (0.0, 0.0, 0);
    for day in 1..=HELD_BACK_DAYS {
        let inputs = inputs(&records, Millis(START.0 - day * DAY_MS));
        assert_eq!(inputs.len(), STATIONS);
        for (station, site) in fleet.stations().iter().enumerate() {
            let (m, n, h) = errors(&fleet, station, &inputs[&site.id], &*module);
            model += m;
            naive += n;
            hours += h;
        }
    }
    let hours = f64::from(u32::try_from(hours).expect("few hours"));
    let (model, naive) = (model / hours, naive / hours);
    println!("mean absolute error over {hours} hours: forecast {model:.2} kW, same hour last week {naive:.2} kW");
    assert!(model < 0.95 * naive, "forecast {model:.2} kW, same hour last week {naive:.2} kW");
}
