//! The records that are drained: charging orders of about a thousand stations on one topic, and a few readings of each
//! station on four others. Knows the topics, not who reads them.

use std::fmt::Write as _;

use quorate_testkit::{Broker, Compression, Loader};
use rdkafka::producer::BaseRecord;

/// The topic with the backlog.
pub const HOT: &str = "SCHEDULE-CAR-ORDER";

/// The topics with a few records each.
pub const SLOW: [&str; 4] =
    ["SCHEDULE-STATION-PARAM", "SCHEDULE-DEVICE-METER", "SCHEDULE-DEVICE-GUN", "SCHEDULE-DEVICE-ERROR"];

/// How many stations send.
pub const STATIONS: u64 = 1_000;

/// Partitions of the topic with the backlog.
const PARTITIONS: u64 = 3;

/// Readings of each station on each slow topic.
const SLOW_PER_STATION: u64 = 3;

/// Records on all slow topics together.
pub const SLOW_RECORDS: u64 = SLOW.len() as u64 * STATIONS * SLOW_PER_STATION;

/// The shortest order there is, in bytes.
pub const MIN_BYTES: usize = 331;

/// Creates the topics and writes `records` orders of `bytes` bytes, and the slow topics' readings.
pub fn write(broker: &Broker, records: u64, bytes: usize) {
    broker.create_topic(HOT, i32::try_from(PARTITIONS).unwrap_or(1), &[]);
    SLOW.iter().for_each(|topic| broker.create_topic(topic, 1, &[]));
    let mut loader = broker.loader(Compression::None);
    for station in (0..STATIONS).flat_map(|station| [station; SLOW_PER_STATION as usize]) {
        write_slow(&mut loader, station);
    }
    let mut order = String::with_capacity(bytes);
    for serial in 0..records {
        // A station's orders stay in one partition, so that each is newer than the one before and none is passed over.
        let station = serial.wrapping_mul(7_919) % STATIONS;
        let partition = i32::try_from(station % PARTITIONS).unwrap_or(0);
        write_order(&mut order, station, serial, bytes);
        loader.send(BaseRecord::<(), str>::to(HOT).partition(partition).payload(&order));
    }
    loader.finish();
}

/// 19 digits, as real ones have.
fn station_id(station: u64) -> u64 {
    1_173_980_655_843_938_304 + station * 8_191
}

/// An order in the shape of the station fleet's, filled up to `bytes` bytes.
fn write_order(order: &mut String, station: u64, serial: u64, bytes: usize) {
    order.clear();
    let id = station_id(station);
    let gun = 1 + station % 12;
    let soc = 10.0 + (serial % 9_000) as f64 / 100.0;
    let power = 100.0 + (serial % 1_900) as f64 / 10.0;
    let host = 52_000_000_000_000 + station;
    // Writing to a string cannot fail.
    let _ = write!(
        order,
        r#"{{"stationId":"{id}","transactionSerialNo":"{host}{gun:02}{serial:016X}","hostCode":"{host}","gunNo":"{gun:02}","startChargeTime":"2025-11-19 11:55:09","endChargeTime":"2070-01-02 08:00:01","soc":{soc:.2},"outputPower":{power:.1},"terminalRequireVoltage":999.0,"batteryNominalTotalCapacity":111.1,"carProducerCode":""#
    );
    let filling = bytes.saturating_sub(order.len() + 2);
    order.extend(std::iter::repeat_n('0', filling));
    order.push_str("\"}");
}

fn write_slow(loader: &mut Loader, station: u64) {
    let id = station_id(station);
    let values = [
        format!(r#"[{{"stationId":"{id}","gunNum":12,"gridCapacity":630.0,"stationLng":113.9,"stationLat":22.5}}]"#),
        format!(r#"{{"stationId":"{id}","meterId":"M001","meterPower":10.0,"rmeterLimitPower":500.0}}"#),
        format!(r#"{{"stationId":"{id}","hostCode":"52000000000088","gunNo":"01","status":"charging"}}"#),
        format!(r#"{{"stationId":"{id}","hostError":"1"}}"#),
    ];
    for (topic, value) in SLOW.iter().zip(&values) {
        loader.send(BaseRecord::<(), str>::to(topic).partition(0).payload(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_have_the_length_that_was_asked_for_and_are_json() {
        let mut order = String::new();
        for (serial, bytes) in [(0, MIN_BYTES), (123_456_789, 363), (9_999_999, 1_000)] {
            write_order(&mut order, serial % STATIONS, serial, bytes);
            assert_eq!(order.len(), bytes);
            let json: serde_json::Value = serde_json::from_str(&order).expect("JSON");
            assert_eq!(json["stationId"].as_str().map(str::len), Some(19));
        }
    }
}
