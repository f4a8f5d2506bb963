//! What the fleet promises to those who feed from it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

/// 2025-11-04 12:34:56 in Shanghai, a Tuesday.
const START: Millis = Millis(1_762_230_896_000);

fn plan(stations: usize) -> FleetPlan {
    FleetPlan { cadence: Cadence::demo(), history_days: 9, ..FleetPlan::new(stations, 11, START) }
}

fn rough(stations: usize) -> Fleet {
    Fleet::new(FleetPlan { bad_share: 0.2, repeat_share: 0.1, record_bytes: 8 << 10, ..plan(stations) })
}

fn clean(stations: usize) -> Fleet {
    Fleet::new(FleetPlan { bad_share: 0.0, repeat_share: 0.0, ..plan(stations) })
}

fn live(fleet: &Fleet, hours: i64) -> Vec<FleetRecord> {
    fleet.between(START, START.plus(hours * HOUR_MS))
}

fn everything(fleet: &Fleet, hours: i64) -> Vec<FleetRecord> {
    fleet.history().chain(live(fleet, hours)).collect()
}

fn topic_named(name: &str) -> Topic {
    Topic::ALL.into_iter().find(|topic| topic.name() == name).expect("a known topic")
}

fn json(record: &FleetRecord) -> Value {
    serde_json::from_slice(&record.payload).expect("json")
}

/// The elements of a message by the topic's documented shape.
fn elements(topic: Topic, message: &Value) -> Vec<Value> {
    let list = match topic {
        Topic::StationParam => message,
        Topic::Realtime => &message["realTimeData"],
        Topic::CarPrice => &message["fee"],
        Topic::Pv => &message["photovoltaicMessage"],
        Topic::Weather => &message["weather"],
        _ => return vec![message.clone()],
    };
    list.as_array().expect("a list").clone()
}

/// Whether nothing was done to an element.
fn is_good(element: &Value) -> bool {
    let has_station = element["stationId"].is_string() || element["calendar"].is_array();
    has_station && !element["sendTime"].as_str().is_some_and(|time| time.contains('/'))
}

/// Fields that every good element of a topic has.
fn fields(topic: Topic) -> &'static [&'static str] {
    match topic {
        Topic::StationParam => &[
            "stationId",
            "stationLng",
            "stationLat",
            "gunNum",
            "gridCapacity",
            "powerNum",
            "hostCode",
            "normalCap",
            "power",
        ],
        Topic::Realtime => &["stationId", "hostCode", "sendTime", "gunPower"],
        Topic::Calendar => &["calendar"],
        Topic::Meter => &["stationId", "meterId", "meterPower", "rmeterLimitPower"],
        Topic::Gun => &["stationId", "sendTime", "hostCode", "gunNo", "status"],
        Topic::CarOrder => &[
            "stationId",
            "transactionSerialNo",
            "hostCode",
            "gunNo",
            "startChargeTime",
            "endChargeTime",
            "soc",
            "outputPower",
            "terminalMaxOutElectric",
            "terminalRequireElectric",
            "terminalRequireVoltage",
            "carProducerCode",
            "batteryNominalTotalCapacity",
        ],
        Topic::CarPrice => {
            &["stationId", "hostCode", "sendTime", "dialNo", "lossRate", "peakElectricFee", "ebbServerFee"]
        }
        Topic::DeviceError => &["stationId"],
        Topic::HostDcdc => &["stationId", "hostCode", "dcWorkStatus", "dcdcPower"],
        Topic::HostAcdc => &["stationId", "hostCode", "acPower"],
        Topic::Storage => &[
            "stationId",
            "storageCode",
            "hostCode",
            "batteryGroupSoc",
            "batteryGroupSoh",
            "batteryGroupElectric",
            "batteryGroupOutPower",
            "maxTemperature",
            "minTemperature",
        ],
        Topic::Pv => &["stationId", "hostCode", "pvPreDcPower"],
        Topic::Weather => &["stationId", "weatherSituationYesterday", "weatherSituationTomorrow", "seasonTomorrow"],
    }
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_does_not() {
    assert_eq!(everything(&rough(7), 2), everything(&rough(7), 2));
    let other = Fleet::new(FleetPlan { seed: 12, ..rough(7).plan().clone() });
    assert_ne!(live(&rough(7), 2), live(&other, 2));
}

/// Pinned, so that a change of platform, dependency or model that moves the data does not go unseen.
#[test]
fn the_bytes_of_a_seed_are_pinned() {
    let digest = everything(&rough(5), 3).iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, record| {
        record.payload.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    });
    assert_eq!(digest, 0x3722_817f_0094_30bb, "{digest:#x}");
}

#[test]
fn cutting_time_into_ticks_changes_nothing() {
    let fleet = rough(30);
    let ticks =
        (0..120).flat_map(|minute| fleet.between(START.plus(minute * 60_000), START.plus((minute + 1) * 60_000)));
    assert!(ticks.eq(live(&fleet, 2)));
}

#[test]
fn a_station_is_the_same_in_a_fleet_of_any_size() {
    let (small, large) = (clean(3), clean(40));
    for station in 0..3 {
        assert_eq!(small.stations()[station].id, large.stations()[station].id);
        let hour = START.plus(-(station as i64) * DAY_MS);
        assert_eq!(small.load_kw(station, hour).to_bits(), large.load_kw(station, hour).to_bits());
    }
}

#[test]
fn every_topic_speaks_several_times_within_a_demo_of_twenty_seconds() {
    let hours = 20_000 * Cadence::DEMO_SPEED / HOUR_MS;
    for stations in [1, 3, 60] {
        let fleet = Fleet::new(FleetPlan { without_pv_every: 0, ..clean(stations).plan().clone() });
        let tally: Tally = live(&fleet, hours).iter().collect();
        for topic in Topic::ALL {
            let sent = tally.topic(topic.name()).map_or(0, |topic| topic.records);
            assert!(sent >= 3, "{stations} stations: {} was sent {sent} times", topic.name());
        }
    }
}

#[test]
fn good_records_have_the_documented_shape() {
    let fleet = clean(30);
    let known: BTreeSet<&str> = fleet.stations().iter().map(|site| site.id.as_str()).collect();
    let mut seen = BTreeSet::new();
    for record in everything(&fleet, 3) {
        let topic = topic_named(record.topic);
        seen.insert(topic);
        let elements = elements(topic, &json(&record));
        assert_eq!(elements.len(), record.readings as usize);
        for element in elements {
            for field in fields(topic) {
                assert!(element.get(field).is_some(), "{topic:?} without {field}: {element}");
            }
            let station = element.get("stationId").map(|id| id.as_str().expect("a string"));
            assert!(station.map_or(topic == Topic::Calendar, |id| known.contains(id)));
        }
    }
    assert_eq!(seen.len(), Topic::ALL.len());
}

#[test]
fn parallel_lists_are_equally_long() {
    let length = |value: &Value| value.as_array().expect("a list").len();
    for record in everything(&clean(20), 2) {
        let topic = topic_named(record.topic);
        for element in elements(topic, &json(&record)) {
            match topic {
                Topic::Realtime => {
                    let guns = &element["gunPower"];
                    let lengths =
                        ["gunNo", "outputPowerPerGunAvg", "outputPowerPerGunMax"].map(|name| length(&guns[name]));
                    assert!(lengths.iter().all(|length| *length == lengths[0]));
                }
                Topic::Gun => assert_eq!(length(&element["gunNo"]), length(&element["status"])),
                Topic::HostDcdc => {
                    assert_eq!((length(&element["dcWorkStatus"]), length(&element["dcdcPower"])), (20, 20));
                }
                Topic::CarPrice => assert!((1..=48).all(|half| element[format!("feeNo{half}")].is_string())),
                Topic::CarOrder => {
                    assert_eq!(element["transactionSerialNo"].as_str().map(str::len), Some(32));
                }
                _ => {}
            }
        }
    }
}

#[test]
fn bad_records_and_elements_are_what_their_reason_says() {
    let fleet = rough(60);
    let mut reasons = BTreeMap::<&str, u32>::new();
    for record in everything(&fleet, 4) {
        let topic = topic_named(record.topic);
        let Some(reason) = record.bad else {
            assert_eq!(elements(topic, &json(&record)).len(), record.readings as usize);
            continue;
        };
        *reasons.entry(reason).or_default() += 1;
        let text = std::str::from_utf8(&record.payload);
        let parsed = text.ok().and_then(|text| serde_json::from_str::<Value>(text).ok());
        match (reason, record.readings) {
            ("not_utf8", 0) => assert!(text.is_err()),
            ("not_json", 0) => assert!(text.is_ok() && parsed.is_none()),
            ("wrong_shape", 0) => assert!(parsed.is_some_and(|json| json.is_string())),
            ("missing_station", 0) => {
                assert!(parsed.is_some_and(|json| json.is_object() && json["stationId"].is_null()))
            }
            (_, readings) => {
                let elements = elements(topic, &json(&record));
                assert_eq!(elements.len(), readings as usize + 1);
                assert_eq!(elements.iter().filter(|element| !is_good(element)).count(), 1);
            }
        }
    }
    let expected = ["bad_time", "missing_station", "not_json", "not_utf8", "wrong_shape"];
    assert!(reasons.keys().copied().eq(expected), "{reasons:?}");
}

#[test]
fn damage_and_repeats_leave_the_good_readings_alone() {
    let good = |bad_share, repeat_share| -> BTreeSet<String> {
        let fleet = Fleet::new(FleetPlan { bad_share, repeat_share, ..plan(6) });
        let records = everything(&fleet, 2).into_iter().filter(|record| record.readings > 0);
        let with_topic = records.map(|record| (topic_named(record.topic), json(&record)));
        let readings = with_topic.flat_map(|(topic, message)| elements(topic, &message));
        readings.filter(is_good).map(|reading| reading.to_string()).collect()
    };
    let clean = good(0.0, 0.0);
    assert!(clean.len() > 2_000);
    assert!(clean == good(0.3, 0.2));
}

#[test]
fn messages_stay_below_their_limit_and_timestamps_never_run_back() {
    let fleet = Fleet::new(plan(120));
    let mut last = Millis(i64::MIN);
    for record in everything(&fleet, 2) {
        assert!(record.payload.len() <= 48 << 10, "{} bytes on {}", record.payload.len(), record.topic);
        assert!(record.timestamp >= last, "{} runs back", record.topic);
        last = record.timestamp;
    }
}

#[test]
fn the_history_reports_every_hour_that_is_not_lost_and_no_other() {
    let fleet = rough(12);
    let mut seen = BTreeSet::new();
    for record in fleet.history().filter(|record| record.topic == Topic::Realtime.name() && record.readings > 0) {
        for row in elements(Topic::Realtime, &json(&record)) {
            if let (Some(station), Some(time)) = (row["stationId"].as_str(), row["sendTime"].as_str()) {
                seen.insert((station.to_owned(), time.to_owned()));
            }
        }
    }
    let hours = 9 * 24;
    let mut lost = 0;
    for (station, site) in fleet.stations().iter().enumerate() {
        for back in 1..=hours {
            let hour = fleet.start_hour().plus(-back * HOUR_MS);
            let reported = seen.contains(&(site.id.clone(), calendar::text(hour)));
            assert_eq!(reported, fleet.is_reported(station, hour));
            lost += u32::from(!reported);
        }
        assert!(fleet.is_reported(station, START.plus(-HOUR_MS)));
    }
    assert!(lost > 0);
}

#[test]
fn live_pushes_deliver_late_hours_and_leave_lost_ones_out() {
    let fleet = clean(40);
    let records = live(&fleet, 30);
    let mut first_seen = BTreeMap::new();
    for record in records.iter().filter(|record| record.topic == Topic::Realtime.name()) {
        for row in elements(Topic::Realtime, &json(record)) {
            let key = (row["stationId"].to_string(), row["sendTime"].to_string());
            first_seen.entry(key).or_insert(record.timestamp);
        }
    }
    let mut delays = BTreeMap::<i64, u32>::new();
    for (station, site) in fleet.stations().iter().enumerate() {
        for ahead in 0..26 {
            let hour = fleet.start_hour().plus(ahead * HOUR_MS);
            let key = (format!("\"{}\"", site.id), format!("\"{}\"", calendar::text(hour)));
            let seen = first_seen.get(&key);
            assert_eq!(seen.is_some(), fleet.is_reported(station, hour));
            if let Some(at) = seen {
                *delays.entry(at.since(hour) / HOUR_MS).or_default() += 1;
            }
        }
    }
    assert!(delays.keys().copied().eq([1, 2]), "{delays:?}");
}

#[test]
fn totals_are_the_load_and_the_sum_of_the_guns_where_all_are_present() {
    let fleet = clean(10);
    let mut hours = BTreeMap::<(String, String), (usize, f64, Option<f64>)>::new();
    for record in fleet.history().filter(|record| record.topic == Topic::Realtime.name()) {
        for row in elements(Topic::Realtime, &json(&record)) {
            let averages = row["gunPower"]["outputPowerPerGunAvg"].as_array().expect("a list");
            let key = (row["stationId"].to_string(), row["sendTime"].to_string());
            let hour = hours.entry(key).or_default();
            hour.0 += averages.len();
            hour.1 += averages.iter().filter_map(Value::as_f64).sum::<f64>();
            hour.2 = row["outputPowerPerStationAvg"].as_f64();
        }
    }
    let (mut compared, mut without_total) = (0, 0);
    for (station, site) in fleet.stations().iter().enumerate() {
        for back in 1..=9 * 24 {
            let hour = fleet.start_hour().plus(-back * HOUR_MS);
            let key = (format!("\"{}\"", site.id), format!("\"{}\"", calendar::text(hour)));
            let Some(&(guns, sum, total)) = hours.get(&key) else { continue };
            let Some(total) = total else {
                without_total += 1;
                continue;
            };
            assert_eq!(total.to_bits(), fleet.load_kw(station, hour).to_bits());
            if guns == site.gun_count() {
                assert!((sum - total).abs() < 1e-6);
                compared += 1;
            }
        }
    }
    assert!(compared > 300 && without_total > 10, "{compared} compared, {without_total} without total");
}

#[test]
fn an_order_ends_once_and_its_charge_only_grows() {
    let mut orders = BTreeMap::<String, Vec<Value>>::new();
    for record in live(&clean(5), 6).iter().filter(|record| record.topic == Topic::CarOrder.name()) {
        let order = json(record);
        orders.entry(order["transactionSerialNo"].to_string()).or_default().push(order);
    }
    let ended = |order: &Value| order["endChargeTime"] != "2070-01-02 08:00:01";
    let mut ends = 0;
    for states in orders.values() {
        let socs: Vec<f64> = states.iter().filter_map(|order| order["soc"].as_f64()).collect();
        assert!(socs.windows(2).all(|pair| pair[0] <= pair[1]));
        let finals = states.iter().filter(|order| ended(order)).count();
        assert!(finals <= 1 && (finals == 0 || states.last().is_some_and(ended)));
        ends += finals;
    }
    assert!(ends > 20, "{ends} orders ended");
}

#[test]
fn the_calendar_covers_half_a_year_either_way() {
    let calendar = clean(1).history().find(|record| record.topic == Topic::Calendar.name()).expect("a calendar");
    let days = json(&calendar)["calendar"].as_array().expect("days").clone();
    assert_eq!(days.len(), 367);
    assert_eq!((&days[0]["date"], &days[366]["date"]), (&"2025-05-05".into(), &"2026-05-06".into()));
    let day = |date: &str| days.iter().find(|day| day["date"] == date).expect("the day").clone();
    assert_eq!(day("2025-11-04"), serde_json::json!({"date": "2025-11-04", "isHoliday": 0, "isWeekend": 0}));
    assert_eq!(day("2025-10-04"), serde_json::json!({"date": "2025-10-04", "isHoliday": 1, "isWeekend": 1}));
}

#[test]
fn stations_without_a_roof_are_never_named_on_the_forecast() {
    let fleet = clean(20);
    let bare: Vec<&str> = fleet.stations().iter().filter(|site| !site.has_pv).map(|site| site.id.as_str()).collect();
    assert_eq!(bare.len(), 2);
    for record in everything(&fleet, 3).iter().filter(|record| record.topic == Topic::Pv.name()) {
        let text = std::str::from_utf8(&record.payload).expect("text");
        assert!(bare.iter().all(|id| !text.contains(id)));
    }
}

#[test]
fn a_thousand_stations_are_served_lazily_and_at_any_number_of_hours_in_a_push() {
    let fleet = Fleet::new(FleetPlan { push_hours: 168, history_days: 2, ..plan(1_000) });
    let first = fleet.history().find(|record| record.topic == Topic::Realtime.name()).expect("power");
    assert!(first.payload.len() > 40 << 10);
    let week = fleet.between(START, START.plus(5 * 60_000));
    let named: BTreeSet<&str> = week.iter().map(|record| record.topic).collect();
    assert!(named.contains(Topic::CarOrder.name()) && named.contains(Topic::HostDcdc.name()));
    let tally: Tally = fleet.history().collect::<Vec<_>>().iter().collect();
    let power = tally.topic(Topic::Realtime.name()).expect("power");
    assert!(power.readings > 1_000 * 40 && power.bytes / power.records < 48 << 10);
}

#[test]
fn a_fleet_of_none_says_nothing_about_stations() {
    let fleet = clean(0);
    let named: BTreeSet<&str> = everything(&fleet, 3).iter().map(|record| record.topic).collect();
    assert!(named.into_iter().eq([Topic::Calendar.name()]));
}

/// Without this, no test of a forecast against the seasonal naive one could be won.
#[test]
fn four_weeks_tell_more_than_the_last_one_and_the_last_one_more_than_yesterday() {
    let fleet = clean(50);
    let (mut day, mut week, mut four_weeks, mut chance) = (0.0, 0.0, 0.0, 0.0);
    for station in 0..50 {
        for ahead in 0..168 {
            let hour = fleet.start_hour().plus(ahead * HOUR_MS);
            let back = |days: i64| fleet.load_kw(station, hour.plus(-days * DAY_MS));
            let load = fleet.load_kw(station, hour);
            day += (load - back(1)).abs();
            week += (load - back(7)).abs();
            four_weeks += (load - (back(7) + back(14) + back(21) + back(28)) / 4.0).abs();
            chance += (load - fleet.expected_kw(station, hour.plus(HOUR_MS / 2))).abs();
        }
    }
    assert!(chance < 0.9 * four_weeks && four_weeks < 0.9 * week && week < 0.8 * day);
}
