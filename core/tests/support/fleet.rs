//! Topics of the station fleet as the acceptance cases configure them.

use quorate_core::plan::Fill;
use serde_json::{Value, json};

use super::{Grid, HOUR, Topic, topic};

pub const PARAM: &str = "SCHEDULE-STATION-PARAM";
pub const REALTIME: &str = "SCHEDULE-STATION-REALTIME-DATA";
pub const CALENDAR: &str = "SCHEDULE-ENVIRONMENT-CALENDAR";
pub const PRICE: &str = "SCHEDULE-CAR-PRICE";
pub const ORDER: &str = "SCHEDULE-CAR-ORDER";
pub const METER: &str = "SCHEDULE-DEVICE-METER";
pub const DCDC: &str = "SCHEDULE-DEVICE-HOST-DCDC";
pub const ACDC: &str = "SCHEDULE-DEVICE-HOST-ACDC";
pub const STORAGE: &str = "SCHEDULE-DEVICE-STORAGE";
pub const PV: &str = "SCHEDULE-DEVICE-PV";
pub const PV_OUTPUT: &str = "MODULE-OUTPUT-PV-PREDICTION";

pub fn param() -> Topic {
    topic(PARAM).records(&["/*"])
}

/// Hourly guns by host and number; two value columns and one total.
pub fn realtime(fill: Fill, hours: usize) -> Topic {
    topic(REALTIME).records(&["/realTimeData/*"]).local_time("/sendTime", "Asia/Shanghai").grid(guns(fill, hours))
}

pub fn guns(fill: Fill, hours: usize) -> Grid {
    Grid {
        step_ms: HOUR,
        steps: hours,
        fill,
        max_gap_ms: None,
        series: vec!["/hostCode", "/gunPower/gunNo"],
        values: vec!["/gunPower/outputPowerPerGunAvg", "/gunPower/outputPowerPerGunMax"],
        totals: vec!["/outputPowerPerStationAvg"],
    }
}

pub fn calendar() -> Topic {
    topic(CALENDAR).global()
}

pub fn price() -> Topic {
    topic(PRICE).records(&["/fee/*"]).local_time("/sendTime", "Asia/Shanghai")
}

pub fn dcdc() -> Topic {
    topic(DCDC).per_key("/hostCode", None)
}

pub fn storage(expire_ms: Option<i64>) -> Topic {
    topic(STORAGE).per_key("/storageCode", expire_ms)
}

pub fn pv_output() -> Topic {
    topic(PV_OUTPUT).records(&["/results/*"]).station("/station_id")
}

/// One hour of one host: gun numbers with their average and maximum power.
pub fn hour(station: &str, host: &str, time: &str, guns: &[(&str, f64, f64)]) -> Value {
    json!({
        "stationId": station,
        "hostCode": host,
        "sendTime": time,
        "gunPower": {
            "gunNo": guns.iter().map(|gun| gun.0).collect::<Vec<_>>(),
            "outputPowerPerGunAvg": guns.iter().map(|gun| gun.1).collect::<Vec<_>>(),
            "outputPowerPerGunMax": guns.iter().map(|gun| gun.2).collect::<Vec<_>>(),
        },
    })
}

/// The same with the station's own average.
pub fn with_station_average(mut hour: Value, average: f64) -> Value {
    hour["outputPowerPerStationAvg"] = json!(average);
    hour
}

/// One message of the realtime topic.
pub fn hours(rows: &[Value]) -> Value {
    json!({ "realTimeData": rows })
}
