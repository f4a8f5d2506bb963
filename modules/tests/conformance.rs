//! Every module that is compiled in keeps the promises of a module, on inputs like those that the service assembles.

use quorate_core::contract::{ModuleInput, Value};
use quorate_core::ident::Millis;
use quorate_modules::conformance::check_all;
use quorate_modules::testing::{InputBuilder, bucket, column, hourly_grid, reading, readings, total};

/// 2025-11-04 16:00 UTC, midnight in Shanghai.
const MIDNIGHT: Millis = Millis(1_762_272_000_000);

const REALTIME: &str = "SCHEDULE-STATION-REALTIME-DATA";
const CALENDAR: &str = "SCHEDULE-ENVIRONMENT-CALENDAR";
const PARAM: &str = "SCHEDULE-STATION-PARAM";
const PRICE: &str = "SCHEDULE-CAR-PRICE";
const ORDER: &str = "SCHEDULE-CAR-ORDER";
const STORAGE: &str = "SCHEDULE-DEVICE-STORAGE";

fn param() -> Value {
    reading(
        r#"{"gridCapacity":630.0,"gunNum":12,"hostCode":["223311","SN_2025_2_20"],"normalCap":504.0,
            "power":{"powerIds":["sntt55"]},"powerNum":1,"stationId":"1881540927845654529","stationLng":0.0}"#,
    )
}

/// Hourly load of `hours`, busy by day, a gap on the second day.
fn load(hours: usize) -> Value {
    let kw = |hour: usize| match (hour, hour % 24) {
        (30..34, _) => f64::NAN,
        (_, 9..12 | 17..21) => 60.0 + (hour % 7) as f64,
        (_, day) => 8.0 + day as f64,
    };
    let guns: Vec<f64> = (0..hours).flat_map(|hour| [kw(hour), 0.5 * kw(hour)]).collect();
    let own = vec![f64::NAN; hours];
    let columns = vec![column("outputPowerPerGunAvg", &guns), total("outputPowerPerStationAvg", &own)];
    hourly_grid(MIDNIGHT.plus(-3_600_000 * hours as i64), hours, 8, &["01", "05"], columns)
}

fn calendar() -> Value {
    reading(
        r#"{"calendar":[{"date":"2025-11-04","isHoliday":0,"isWeekend":0},{"date":"2025-11-08","isHoliday":0,"isWeekend":1}]}"#,
    )
}

fn forecast(kw: impl Fn(usize) -> f64) -> String {
    let step = |hour: usize| {
        let start = MIDNIGHT.plus(hour as i64 * 3_600_000).0;
        format!(r#"{{"day":"workday","kw":{},"start":{start},"time":"2025-11-05 {hour:02}:00:00"}}"#, kw(hour))
    };
    let steps: Vec<String> = (0..24).map(step).collect();
    format!(r#"{{"capacity_kw":630.0,"forecast":[{}],"method":"mstl_weekly","unit":"kW"}}"#, steps.join(","))
}

fn tariff() -> Value {
    let code = |half: usize| match half {
        0..16 => "03",
        20..24 | 36..42 => "00",
        _ => "02",
    };
    let codes: Vec<String> = (0..48).map(|half| format!(r#""feeNo{}":"{}""#, half + 1, code(half))).collect();
    reading(&format!(
        r#"{{"dialNo":"2100","ebbElectricFee":0.3,"ebbServerFee":0.3,"flatElectricFee":0.7,"flatServerFee":0.4,"lossRate":1,
            "sendTime":"2025-10-21 18:58:13","sharpElectricFee":1.2,"sharpServerFee":0.6,{}}}"#,
        codes.join(",")
    ))
}

fn storage() -> Value {
    readings(&[
        r#"{"storageCode":"A","hostCode":"H","batteryGroupSoc":40,"batteryGroupSoh":97,"batteryGroupElectric":11.2,
            "batteryGroupOutPower":4,"maxTemperature":40.0,"minTemperature":5.0}"#,
        r#"{"storageCode":"B","batteryGroupSoc":12,"batteryGroupSoh":9}"#,
    ])
}

const ORDERS: [&str; 2] = [
    r#"{"hostCode":"52000000000631","gunNo":"01","startChargeTime":"2025-11-19 11:55:09","endChargeTime":"2070-01-02 08:00:01",
        "soc":58.52,"outputPower":229.7}"#,
    r#"{"hostCode":"52000000000631","gunNo":"02","startChargeTime":"2025-11-19 10:55:09","endChargeTime":"2025-11-19 11:30:00",
        "soc":99.0,"outputPower":0.0}"#,
];

/// Inputs of every kind, for modules that take any.
fn any(module: &str) -> Vec<ModuleInput> {
    let one = InputBuilder::new(module).topic(PARAM, Millis(5), param()).missing(CALENDAR);
    let all = InputBuilder::new(module)
        .topic(REALTIME, MIDNIGHT, load(48))
        .topic(STORAGE, Millis(5), storage())
        .topic(ORDER, Millis(2000), bucket(Millis(1000), Millis(2000), &ORDERS))
        .stale(PRICE, Millis(7), tariff());
    vec![one.build(), all.build()]
}

fn load_prediction(module: &str) -> Vec<ModuleInput> {
    let alone = InputBuilder::new(module).topic(REALTIME, MIDNIGHT, load(48));
    let whole = InputBuilder::new(module).topic(PARAM, Millis(5), param()).topic(REALTIME, MIDNIGHT, load(168)).topic(
        CALENDAR,
        Millis(5),
        calendar(),
    );
    vec![alone.build(), whole.build()]
}

fn operation_optimization(module: &str) -> Vec<ModuleInput> {
    let day = forecast(|hour| if hour > 8 { 250.0 } else { 40.5 });
    let least =
        InputBuilder::new(module).dependency("load_prediction", MIDNIGHT, &day).topic(PRICE, Millis(5), tariff());
    let whole = least.clone().topic(PARAM, Millis(5), param()).topic(STORAGE, Millis(6), storage()).dependency(
        "pv_prediction",
        MIDNIGHT,
        &forecast(|hour| if hour == 12 { 300.0 } else { 0.0 }),
    );
    vec![least.missing(STORAGE).missing("pv_prediction").build(), whole.build()]
}

fn station_guidance(module: &str) -> Vec<ModuleInput> {
    let least = InputBuilder::new(module)
        .dependency("load_prediction", MIDNIGHT, &forecast(|hour| 20.0 * hour as f64))
        .topic(PARAM, Millis(5), param());
    let whole = least
        .clone()
        .topic(ORDER, Millis(2000), bucket(Millis(1000), Millis(2000), &ORDERS))
        .topic(PRICE, Millis(5), tariff())
        .dependency("evaluation_model", MIDNIGHT, r#"{"score":0.8}"#);
    vec![least.topic(ORDER, Millis(5), reading(ORDERS[0])).build(), whole.build()]
}

fn echo(module: &str) -> Vec<ModuleInput> {
    let task = |n: i64| {
        let task = format!(r#"{{"task_uuid":"{n}"}}"#);
        InputBuilder::new(module).topic("TASK", Millis(n), reading(&task)).handing_over("TASK", n)
    };
    vec![task(0).build(), task(1).topic(PARAM, Millis(5), param()).build()]
}

#[test]
fn every_module_conforms() {
    for module in quorate_modules::all() {
        let samples = match module.name() {
            "echo" => echo,
            "load_prediction" => load_prediction,
            "operation_optimization" => operation_optimization,
            "station_guidance" => station_guidance,
            _ => any,
        };
        let samples = samples(module.name());
        assert!(samples.len() >= 2, "{}", module.name());
        if let Err(failures) = check_all(&module, &samples) {
            let failures: Vec<String> = failures.iter().map(ToString::to_string).collect();
            panic!("{}:\n{}", module.name(), failures.join("\n"));
        }
    }
}
