//! Messages of the station fleet, in the shapes and sizes that its stations send. Knows neither plans nor windows.

/// Bytes of one charging order's message.
const ORDER_BYTES: usize = 363;

/// Power modules of a host.
const POWER_MODULES: u64 = 20;

/// Guns of a host.
pub const GUNS: u64 = 12;

/// A station's id: 19 digits, as real ones have.
fn station_id(station: u64) -> u64 {
    1_173_980_655_843_938_304 + station * 8_191
}

fn host_code(station: u64) -> u64 {
    52_000_000_000_000 + station
}

/// A power in kW with two decimals that goes up and down with `n`.
fn power(n: u64) -> String {
    let hundredths = n.wrapping_mul(7_919) % 18_000;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn listed(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

/// One charging order's state, as it is sent every second.
pub fn order(station: u64, serial: u64) -> String {
    let (id, host, gun) = (station_id(station), host_code(station), 1 + serial % GUNS);
    let (soc, power) = (power(serial), power(serial + 1));
    let mut order = format!(
        r#"{{"stationId":"{id}","transactionSerialNo":"{host}{gun:02}{serial:016X}","hostCode":"{host}","gunNo":"{gun:02}","startChargeTime":"2025-11-19 11:55:09","endChargeTime":"2070-01-02 08:00:01","soc":{soc},"outputPower":{power},"terminalRequireVoltage":999.0,"batteryNominalTotalCapacity":111.1,"carProducerCode":""#
    );
    order.extend(std::iter::repeat_n('0', ORDER_BYTES - 2 - order.len()));
    order.push_str("\"}");
    order
}

/// The power modules of one of a station's hosts: parallel lists.
pub fn power_modules(station: u64, host: u64, serial: u64) -> String {
    let (id, host) = (station_id(station), host_code(station * 100 + host));
    let status = listed((0..POWER_MODULES).map(|module| format!(r#""{:02}""#, (serial + module) % 2)));
    let powers = listed((0..POWER_MODULES).map(|module| power(serial + module)));
    format!(r#"{{"stationId":"{id}","hostCode":"{host}","dcWorkStatus":[{status}],"dcdcPower":[{powers}]}}"#)
}

/// One row of a meter: four numbers.
pub fn meter(station: u64, serial: u64) -> String {
    let (id, power) = (station_id(station), power(serial));
    let tenths = serial % 10;
    format!(
        r#"{{"stationId":"{id}","meterId":"M001","meterPower":{power},"rmeterLimitPower":500.0,"meterVoltage":39{tenths}.5,"meterElectric":1{tenths}.25}}"#
    )
}

/// The guns of many stations hour by hour: for each station and hour a row with parallel lists. The hours are given as
/// they are written.
pub fn hours_of_guns(stations: u64, hours: &[Box<str>], serial: u64) -> String {
    let rows = (0..stations).flat_map(|station| hours.iter().map(move |hour| (station, hour)));
    let rows = (serial..).zip(rows).map(|(serial, (station, hour))| {
        let (id, host) = (station_id(station), host_code(station));
        let guns = listed((1..=GUNS).map(|gun| format!(r#""{gun:02}""#)));
        let averages = listed((0..GUNS).map(|gun| power(serial * GUNS + gun)));
        let highest = listed((1..=GUNS).map(|gun| power(serial * GUNS + gun)));
        let all = power(serial);
        format!(
            r#"{{"stationId":"{id}","hostCode":"{host}","sendTime":"{hour}","gunPower":{{"gunNo":[{guns}],"outputPowerPerGunAvg":[{averages}],"outputPowerPerGunMax":[{highest}]}},"outputPowerPerStationAvg":{all}}}"#
        )
    });
    format!(r#"{{"realTimeData":[{}]}}"#, listed(rows))
}

/// A result of another module in the service's own envelope: a day's load by the hour.
pub fn result(station: u64, serial: u64, at_ms: i64) -> String {
    let id = station_id(station);
    let loads = listed((0..24).map(|hour| power(serial + hour)));
    format!(
        r#"{{"station_id":"{id}","module":"load_prediction","module_version":"1","at":{at_ms},"output":{{"hours":24,"load_kw":[{loads}]}},"quality":{{"complete":true,"total_topics":1,"available_topics":["SCHEDULE-STATION-REALTIME-DATA"],"missing_topics":[],"stale_topics":[],"availability_ratio":1.0}},"lineage":[{{"topic":"SCHEDULE-STATION-REALTIME-DATA","partition":0,"from_offset":{serial},"to_offset":{serial}}}],"input_hash":"{serial:032x}"}}"#
    )
}
