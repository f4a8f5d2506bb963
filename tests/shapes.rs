//! What senders of every generation put on the fleet's topics, read as the `config.toml` at the root of the repository
//! says it is to be read: which stations are found, what a module sees, what becomes a dead letter.

use std::sync::Arc;

use quorate::config::{Purpose, from_str};
use quorate_core::replay::{RecordedRecord, Replay, ReplayEvent};
use serde_json::{Value, json};

/// 2025-11-21 12:00:00 in Shanghai, the moment of every record.
const AT: i64 = 1_763_697_600_000;

const S: &str = "1881540927845654529";
const N: &str = "1173980655843938304";

/// The modules that publish results.
const MODULES: [&str; 9] = [
    "load_prediction",
    "operation_optimization",
    "electricity_price",
    "SOH_model",
    "thermal_management",
    "evaluation_model",
    "station_guidance",
    "pv_prediction",
    "customer_mining",
];

/// The shipped topics, and the replay of a module behind them.
struct Reader {
    replay: Replay,
    offset: i64,
    lines: Vec<Value>,
}

/// What one record leads to.
#[derive(Debug, Default, PartialEq)]
struct Read {
    /// Each input that follows: its station, and what its module sees.
    seen: Vec<(String, Value)>,
    /// Each dead letter: its reason, and the element it is about.
    dead: Vec<(String, Option<u64>)>,
}

impl Reader {
    /// The shipped topics with these modules in place of the shipped ones.
    fn new(modules: &str) -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
        let shipped = std::fs::read_to_string(path).expect("config.toml");
        let (topics, _) = shipped.split_once("# Modules ---").expect("a heading");
        let loaded = from_str("config.toml", &format!("{topics}{modules}"), Purpose::replay(&[]));
        let settings = loaded.unwrap_or_else(|report| panic!("{report}")).settings;
        Self { replay: Replay::new(Arc::clone(&settings.plan)), offset: 0, lines: Vec::new() }
    }

    /// A module that reads one topic.
    fn of(topic: &str) -> Self {
        Self::new(&format!("[modules.reader]\nrequires = [\"{topic}\"]\n"))
    }

    /// A module that depends on another one.
    fn behind(module: &str) -> Self {
        Self::new(&format!("[modules.reader]\ndepends_on = [\"{module}\"]\n"))
    }

    /// The lines that follow one record.
    fn lines(&mut self, topic: &str, message: &Value) -> Vec<Value> {
        let (topic, payload) = (topic.to_owned(), Some(message.to_string()));
        let payload = payload.map(String::into_bytes);
        let record = RecordedRecord { topic, offset: self.offset, ts: AT, payload, ..RecordedRecord::default() };
        self.offset += 1;
        let lines = &mut self.lines;
        let mut keep = |event: ReplayEvent| {
            let text = serde_json::to_string(&event).expect("a line");
            lines.push(serde_json::from_str(&text).expect("JSON"));
        };
        self.replay.record(&record, &mut keep);
        std::mem::take(&mut self.lines)
    }

    /// What follows one record, seen by way of the input `name`.
    fn read_as(&mut self, name: &str, topic: &str, message: &Value) -> Read {
        let mut read = Read::default();
        for line in self.lines(topic, message) {
            let text = |key: &str| line[key].as_str().expect("text").to_owned();
            match line["event"].as_str() {
                Some("input") => read.seen.push((text("station"), line["inputs"][name]["value"].clone())),
                _ => read.dead.push((text("reason"), line["element"].as_u64())),
            }
        }
        read
    }
}

/// A message and what it is to lead to.
struct Shape {
    is: &'static str,
    message: Value,
    wanted: Read,
}

fn shape(is: &'static str, message: Value) -> Shape {
    Shape { is, message, wanted: Read::default() }
}

impl Shape {
    fn seen(mut self, station: &str, value: &Value) -> Self {
        self.wanted.seen.push((station.to_owned(), value.clone()));
        self
    }

    /// The message itself is what the module sees.
    fn kept_as_sent(self, station: &str) -> Self {
        let message = self.message.clone();
        self.seen(station, &message)
    }

    fn dead(mut self, reason: &str, element: Option<u64>) -> Self {
        self.wanted.dead.push((reason.to_owned(), element));
        self
    }
}

/// Reads the shapes of one topic as records that follow each other, so that old and new stand side by side.
#[track_caller]
fn check(topic: &str, shapes: impl IntoIterator<Item = Shape>) {
    let mut reader = Reader::of(topic);
    for Shape { is, message, wanted } in shapes {
        assert_eq!(reader.read_as(topic, topic, &message), wanted, "{topic}: {is}");
    }
}

#[test]
fn station_parameters_are_a_list_of_which_nothing_is_lost() {
    let full = json!({"stationId": "1053405539402387456", "gridCapacity": 0.0, "gunNum": 2,
        "hostCode": ["223311", "SN_2025_2_20"], "normalCap": 186.8, "power": {"powerIds": ["sntt55"]}, "powerNum": 1,
        "stationLng": 0.0, "stationLat": 0.0});
    let bare = json!({"stationId": "1068663126427308032", "gunNum": 0, "gridCapacity": 0.0});
    let shapes = [
        shape("a list", json!([full, bare])).seen("1053405539402387456", &full).seen("1068663126427308032", &bare),
        shape("a station of the later kind", json!([{"stationId": "CN00000001"}]))
            .seen("CN00000001", &json!({"stationId": "CN00000001"})),
        shape("an empty list", json!([])),
        shape("an object", bare.clone()).dead("wrong_shape", None),
        shape("a list with two bad elements", json!([{"gunNum": 1}, 7, bare]))
            .dead("missing_station", Some(0))
            .dead("wrong_shape", Some(1))
            .seen("1068663126427308032", &bare),
    ];
    check("SCHEDULE-STATION-PARAM", shapes);
}

#[test]
fn hourly_load_is_a_named_list_of_many_stations() {
    const TOPIC: &str = "SCHEDULE-STATION-REALTIME-DATA";
    let hour = |station: &str, host: &str, guns: Value, avg: Value, max: Value| {
        json!({"stationId": station, "hostCode": host, "sendTime": "2025-11-04 09:00:00",
            "gunPower": {"gunNo": guns, "outputPowerPerGunAvg": avg, "outputPowerPerGunMax": max}})
    };
    let host = "52000000000088";
    let first = hour(S, host, json!(["05", "01", "02"]), json!([34.29, 2.73, 88.48]), json!([100.8, 7.0, 135.2]));
    let mut second = hour(N, "52000000000631", json!(["01"]), json!([1.5]), json!([2.5]));
    second["outputPowerPerStationAvg"] = json!(15.0);
    let timeless = json!({"stationId": S, "hostCode": host, "gunPower": {"gunNo": []}});
    let mut reader = Reader::of(TOPIC);
    let read = reader.read_as(TOPIC, TOPIC, &json!({"realTimeData": [first, timeless, second]}));
    assert_eq!(read.dead, [("bad_time".to_owned(), Some(1))]);
    let stations: Vec<&str> = read.seen.iter().map(|(station, _)| station.as_str()).collect();
    assert_eq!(stations, [S, N]);
    let [(_, first), (_, second)] = &read.seen[..] else { panic!("two stations") };
    let newest = |grid: &Value, column: &str| grid[column][671].clone();
    assert_eq!(newest(first, "time"), "2025-11-04 09:00:00");
    assert_eq!(first["series"], json!([[host, "05"], [host, "01"], [host, "02"]]));
    assert_eq!(newest(first, "outputPowerPerGunAvg"), json!([34.29, 2.73, 88.48]));
    assert_eq!(newest(first, "outputPowerPerGunMax"), json!([100.8, 7.0, 135.2]));
    assert_eq!(
        (newest(first, "outputPowerPerStationAvg"), newest(second, "outputPowerPerStationAvg")),
        (Value::Null, json!(15.0))
    );
    let shapes = [
        shape("no list", json!({"data": []})).dead("wrong_shape", None),
        shape(
            "no gun numbers",
            json!({"realTimeData": [{"stationId": S, "hostCode": host, "sendTime": "2025-11-04 10:00:00"}]}),
        )
        .dead("wrong_shape", Some(0)),
        shape("an empty list", json!({"realTimeData": []})),
    ];
    check(TOPIC, shapes);
}

#[test]
fn a_calendar_is_for_every_station_whatever_its_fields_are_called() {
    const TOPIC: &str = "SCHEDULE-ENVIRONMENT-CALENDAR";
    let mut reader = Reader::new(&format!("[modules.reader]\nrequires = [\"{TOPIC}\", \"SCHEDULE-STATION-PARAM\"]\n"));
    let days = json!({"calendar": [{"date": "2025-11-11", "isHoliday": 0, "isWeekend": 0}, {"date": "2025-11-12"}]});
    assert_eq!(reader.read_as(TOPIC, TOPIC, &days), Read::default(), "it makes no station known");
    let read = reader.read_as(TOPIC, "SCHEDULE-STATION-PARAM", &json!([{"stationId": S}, {"stationId": N}]));
    assert_eq!(read.seen, [(S.to_owned(), days.clone()), (N.to_owned(), days)]);
    let other = json!({"dayOfWeek": 1, "holiday": false});
    let read = reader.read_as(TOPIC, TOPIC, &other);
    assert_eq!(read.seen, [(S.to_owned(), other.clone()), (N.to_owned(), other)]);
}

#[test]
fn an_order_is_one_object_with_or_without_its_optional_fields() {
    let order = json!({"stationId": N, "transactionSerialNo": "5200000000063101190B130B370813F3",
        "hostCode": "52000000000631", "gunNo": "01", "startChargeTime": "2025-11-19 11:55:09",
        "endChargeTime": "2070-01-02 08:00:01", "soc": 58.52, "outputPower": 229.7, "terminalMaxOutElectric": 0.0,
        "terminalRequireElectric": 230.0, "terminalRequireVoltage": 999.0, "carProducerCode": "0000000000000000",
        "batteryNominalTotalCapacity": 111.1});
    let mut begun = order.clone();
    begun["beginSOC"] = json!(20.5);
    let shapes = [
        shape("as it is sent", order).kept_as_sent(N),
        shape("with the charge it began with", begun).kept_as_sent(N),
        shape("without a station", json!({"transactionSerialNo": "1"})).dead("missing_station", None),
    ];
    check("SCHEDULE-CAR-ORDER", shapes);
}

#[test]
fn a_tariff_is_the_one_sent_last_with_all_its_half_hours() {
    let mut tariff = json!({"stationId": "1077316458003959808", "hostCode": "52000000000088",
        "sendTime": "2025-10-21 18:58:13", "dialNo": "2100", "lossRate": 1, "peakElectricFee": 0.8, "peakServerFee": 0.6,
        "flatElectricFee": 0.7, "flatServerFee": 0.4, "sharpElectricFee": 0.5, "sharpServerFee": 0.2,
        "ebbElectricFee": 0.6, "ebbServerFee": 0.3, "otherElectricFee": 0.0, "otherServerFee": 0.0});
    for half_hour in 1..=48 {
        tariff[format!("feeNo{half_hour}")] = json!(if half_hour < 3 { "00" } else { "02" });
    }
    let mut other = tariff.clone();
    (other["dialNo"], other["sendTime"]) = (json!("2101"), json!("2025-10-22 00:00:00"));
    let older = json!({"stationId": N, "FeeNo": "fee-1", "startTime": "00:00", "endTime": "06:00",
        "sendTime": "2025-10-20 00:00:00"});
    let shapes = [
        shape("two dials of one station", json!({"fee": [other, tariff]})).seen("1077316458003959808", &other),
        shape("a period instead of half hours", json!({"fee": [older]})).seen(N, &older),
        shape("no time at which it was sent", json!({"fee": [{"stationId": N}]})).dead("bad_time", Some(0)),
        shape("no tariffs", json!({"fee": []})),
        shape("a tariff without its list", tariff).dead("wrong_shape", None),
    ];
    check("SCHEDULE-CAR-PRICE", shapes);
}

#[test]
fn a_meter_is_read_under_either_set_of_names_as_long_as_it_says_which_one_it_is() {
    let first = json!({"stationId": "S1", "meterId": "M001", "meterPower": 10.0, "rmeterLimitPower": 500.0});
    let second = json!({"stationId": "S1", "meterId": "M002", "activePower": 9.5, "reactivePower": 0.5, "totalActiveEnergy": 1234.5});
    let shapes = [
        shape("power and limit", first.clone()).seen("S1", &json!([first])),
        shape("active, reactive and total", second.clone()).seen("S1", &json!([first, second])),
        shape("no meter", json!({"stationId": "S1", "meterPower": 1})).dead("wrong_shape", None),
    ];
    check("SCHEDULE-DEVICE-METER", shapes);
}

#[test]
fn guns_are_kept_as_sent_all_in_parallel_lists_or_the_newest_of_single_ones() {
    let all = json!({"stationId": S, "sendTime": "2025-11-21 12:00:00", "hostCode": ["h1", "h1"],
        "gunNo": ["01", "02"], "status": ["charging", "idle"]});
    let one = |gun: &str| json!({"stationId": S, "hostCode": "h1", "gunNo": gun, "gunStatus": 2});
    let shapes = [
        shape("parallel lists", all.clone()).kept_as_sent(S),
        shape("one gun", one("01")).kept_as_sent(S),
        shape("another gun", one("02")).kept_as_sent(S),
        shape("parallel lists again", all).kept_as_sent(S),
    ];
    check("SCHEDULE-DEVICE-GUN", shapes);
}

#[test]
fn a_fault_is_kept_as_sent_without_invented_fields() {
    let shapes = [
        shape("one kind", json!({"stationId": "S1", "hostError": "1"})).kept_as_sent("S1"),
        shape(
            "all kinds",
            json!({"stationId": "S1", "hostError": "1", "acError": "0", "dcError": "0",
            "terminalError": "2", "storageError": "0"}),
        )
        .kept_as_sent("S1"),
    ];
    check("SCHEDULE-DEVICE-ERROR", shapes);
}

#[test]
fn power_modules_are_kept_per_host_under_whatever_name_their_power_has() {
    let host = |code: &str, power: &str| json!({"stationId": S, "hostCode": code, "dcWorkStatus": ["00", "01", "00"], power: [3.0, 15.0, 30.0]});
    let (a, b, c) = (host("1900", "dcdcPower"), host("1901", "dcPower"), host("1900", "dcOutputPower"));
    let shapes = [
        shape("the senders' name", a.clone()).seen(S, &json!([a])),
        shape("the documents' name", b.clone()).seen(S, &json!([a, b])),
        shape("a stand-in's name", c.clone()).seen(S, &json!([c, b])),
        shape("no host", json!({"stationId": S, "dcdcPower": [1.0]})).dead("wrong_shape", None),
    ];
    check("SCHEDULE-DEVICE-HOST-DCDC", shapes);
}

#[test]
fn the_grid_side_is_kept_per_host() {
    let host = |code: &str, power: f64| json!({"stationId": S, "hostCode": code, "acPower": power});
    let (a, b) = (host("H001", 100.5), host("H002", 200.3));
    let shapes =
        [shape("one host", b.clone()).seen(S, &json!([b])), shape("another host", a.clone()).seen(S, &json!([a, b]))];
    check("SCHEDULE-DEVICE-HOST-ACDC", shapes);
}

#[test]
fn storage_is_kept_per_unit_under_the_names_of_its_senders() {
    let unit = json!({"stationId": N, "storageCode": "BDDDDD74DAD2CD6B095D", "hostCode": "52000000000631",
        "batteryGroupSoc": 12, "batteryGroupSoh": 9, "batteryGroupElectric": 11.2, "batteryGroupOutPower": 4,
        "maxTemperature": 40.0, "minTemperature": 5.0});
    let shapes = [
        shape("a unit", unit.clone()).seen(N, &json!([unit])),
        shape("no unit", json!({"stationId": N, "batteryGroupSoc": 12})).dead("wrong_shape", None),
    ];
    check("SCHEDULE-DEVICE-STORAGE", shapes);
}

#[test]
fn photovoltaics_are_one_object_or_a_named_list() {
    let old = json!({"stationId": S, "pvId": "p1", "pvPreDcPower": [1.0, 2.0]});
    let new = json!({"stationId": S, "hostCode": "H", "pvPreDcPower": [10.0, 20.0, 30.0]});
    let other = json!({"stationId": N, "hostCode": "H", "pvPreDcPower": []});
    let shapes = [
        shape("one object", old.clone()).kept_as_sent(S),
        shape("a named list", json!({"photovoltaicMessage": [new, other]})).seen(S, &new).seen(N, &other),
        shape("one object after a list", old).kept_as_sent(S),
        shape("neither", json!({"pvPreDcPower": [1.0]})).dead("missing_station", None),
    ];
    check("SCHEDULE-DEVICE-PV", shapes);
}

#[test]
fn weather_is_a_named_list_or_one_object_per_station_and_never_a_guess() {
    let weather = |station: &str| json!({"stationId": station, "weatherSituationYesterday": "多云", "weatherSituationTomorrow": "晴", "seasonTomorrow": "冬"});
    let anywhere =
        json!({"weatherSituationYesterday": "多云", "weatherSituationTomorrow": "晴", "seasonTomorrow": "冬"});
    let shapes = [
        shape("a named list", json!({"weather": [weather(S), weather(N)]})).seen(S, &weather(S)).seen(N, &weather(N)),
        shape("one object", weather(S)).kept_as_sent(S),
        shape("a named list again", json!({"weather": [anywhere, weather(N)]}))
            .dead("missing_station", Some(0))
            .seen(N, &weather(N)),
        shape("no station", anywhere).dead("missing_station", None),
    ];
    check("SCHEDULE-ENVIRONMENT-WEATHER", shapes);
}

/// Two stations' results in each form that was ever published, with what a module behind them is to see of station S.
fn results(module: &str) -> [(&'static str, Value, Value); 4] {
    let element = |station: &str| json!({"station_id": station, "prediction": [1.5], "confidence": 0.9});
    let elements = json!([element(S), {"prediction": []}]);
    let output = json!({"prediction": [1.5], "confidence": 0.9});
    let batch = json!({"batch_id": "batch_1763540000123_140512345", "module": module, "timestamp": 1_763_540_000.5,
        "stations_count": 2, "results": elements});
    let draft = json!({"batch_id": "b", "module": module, "timestamp": 1_763_540_000.5, "stations": elements, "station_count": 2});
    let single =
        json!({"station_id": S, "module": module, "output": output, "timestamp": 1_763_540_000.5, "input": {}});
    let envelope = json!({"station_id": S, "module": module, "module_version": "1", "at": AT - 1_000, "output": output,
        "quality": {}, "lineage": [], "input_hash": "000000000000000000000000000000ff"});
    [
        ("a single result of the first services", single, output.clone()),
        ("a batch under `stations`", draft, element(S)),
        ("a batch under `results`", batch, element(S)),
        ("a result as quorate publishes it", envelope, output),
    ]
}

/// Reads every form of a module's results from `topic`; each one in a replay of its own, because the newest counts.
#[track_caller]
fn check_results(module: &str, topic: &str, reader: impl Fn() -> Reader) {
    for (is, message, value) in results(module) {
        let read = reader().read_as(module, topic, &message);
        assert_eq!(read.seen, [(S.to_owned(), value)], "{topic}: {is}");
        let is_batch = message.get("batch_id").is_some();
        let dead: &[(String, Option<u64>)] = &[("missing_station".to_owned(), Some(1))];
        assert_eq!(read.dead, if is_batch { dead } else { &[] }, "{topic}: {is}");
    }
}

#[test]
fn results_of_all_nine_modules_are_read_in_every_form_they_ever_had() {
    for module in MODULES {
        let topic = format!("MODULE-OUTPUT-{}", module.to_uppercase().replace('_', "-"));
        check_results(module, &topic, || Reader::behind(module));
    }
}

#[test]
fn results_under_the_older_names_are_read_once_their_topic_is_named() {
    for module in MODULES {
        let topic = format!("MODULE-OUTPUT-{}", module.to_uppercase());
        let modules = format!(
            "[modules.reader]\ndepends_on = [\"{module}\"]\n\
             [modules.{module}]\nenabled = false\nrequires = [\"SCHEDULE-STATION-PARAM\"]\noutput_topic = \"{topic}\"\n"
        );
        check_results(module, &topic, || Reader::new(&modules));
    }
}

#[test]
fn results_under_both_names_are_two_inputs_while_their_publishers_are_renamed() {
    let mut reader = Reader::new(
        "[modules.reader]\n\
         depends_on = [{ module = \"load_prediction\", optional = true }, { module = \"renamed\", optional = true }]\n\
         [modules.renamed]\nenabled = false\nrequires = [\"SCHEDULE-STATION-PARAM\"]\n\
         output_topic = \"MODULE-OUTPUT-LOAD_PREDICTION\"\n",
    );
    let [(_, old, old_value), _, _, (_, new, new_value)] = results("load_prediction");
    let old = reader.read_as("renamed", "MODULE-OUTPUT-LOAD_PREDICTION", &old);
    assert_eq!(old.seen, [(S.to_owned(), old_value.clone())]);
    let lines = reader.lines("MODULE-OUTPUT-LOAD-PREDICTION", &new);
    let values = ["renamed", "load_prediction"].map(|name| &lines[0]["inputs"][name]["value"]);
    assert_eq!((lines.len(), values), (1, [&old_value, &new_value]));
}
