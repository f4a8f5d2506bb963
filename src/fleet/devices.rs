//! Payloads of one object each, about devices of one station: orders, guns, hosts, storage, meter, faults. Knows fields,
//! not cadences.

use quorate_core::ident::Millis;
use serde::Serialize;

use super::calendar::{HOUR_MS, hour_of_day, local, text};
use super::demand::hour_load;
use super::seed::{Purpose, Seed};
use super::session::{Session, round};
use super::site::{Host, Site};

/// The end of an order that still charges, as the stations write it.
const STILL_CHARGING: &str = "2070-01-02 08:00:01";

/// Direct-current modules of a host.
const MODULES: usize = 20;

/// SCHEDULE-CAR-ORDER.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CarOrder<'a> {
    station_id: &'a str,
    transaction_serial_no: String,
    host_code: &'a str,
    gun_no: &'a str,
    start_charge_time: String,
    end_charge_time: String,
    #[serde(rename = "beginSOC", skip_serializing_if = "Option::is_none")]
    begin_soc: Option<f64>,
    soc: f64,
    output_power: f64,
    terminal_max_out_electric: f64,
    terminal_require_electric: f64,
    terminal_require_voltage: f64,
    car_producer_code: &'static str,
    battery_nominal_total_capacity: f64,
}

impl<'a> CarOrder<'a> {
    pub(super) fn new(site: &'a Site, host: &'a Host, gun: &'a str, session: &Session, at: Millis) -> Self {
        let power = session.power_kw(at);
        Self {
            station_id: &site.id,
            transaction_serial_no: serial_number(host, gun, session),
            host_code: &host.code,
            gun_no: gun,
            start_charge_time: text(session.begin),
            end_charge_time: if session.is_charging(at) { STILL_CHARGING.to_owned() } else { text(session.end) },
            begin_soc: session.tells_begin.then(|| round(session.charge.0, 2)),
            soc: round(session.soc(at), 2),
            output_power: round(power, 1),
            terminal_max_out_electric: 250.0,
            terminal_require_electric: round(power * 1_000.0 / session.voltage, 1),
            terminal_require_voltage: session.voltage,
            car_producer_code: "0000000000000000",
            battery_nominal_total_capacity: session.battery_kwh,
        }
    }
}

/// 32 characters: host, gun, then year, month, day, hour, minute, second and a serial number in hexadecimal.
fn serial_number(host: &Host, gun: &str, session: &Session) -> String {
    let t = local(session.begin);
    let (date, time) = (t.date(), t.time());
    format!(
        "{}{gun}{:02X}{:02X}{:02X}{:02X}{:02X}{:02X}{:04X}",
        host.code,
        date.year().rem_euclid(100),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        session.serial
    )
}

/// SCHEDULE-DEVICE-GUN: parallel lists over all guns of a station.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GunStates<'a> {
    station_id: &'a str,
    send_time: String,
    host_code: Vec<&'a str>,
    gun_no: Vec<&'a str>,
    status: Vec<&'static str>,
}

impl<'a> GunStates<'a> {
    pub(super) fn new(seed: Seed, site: &'a Site, at: Millis) -> Self {
        let status = |gun: usize| {
            let session = Session::around(seed, site, gun, at);
            if session.is_some_and(|session| session.is_charging(at)) {
                "charging"
            } else if seed.draw(Purpose::Gun, site.device(gun), at.0.div_euclid(6 * HOUR_MS)).chance(0.01) {
                "fault"
            } else {
                "idle"
            }
        };
        let (host_code, gun_no) = site.guns().map(|(host, gun)| (host.code.as_str(), gun)).unzip();
        let status = (0..site.gun_count()).map(status).collect();
        Self { station_id: &site.id, send_time: text(at), host_code, gun_no, status }
    }
}

/// SCHEDULE-DEVICE-HOST-DCDC: parallel lists over the modules of a host.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HostDcdc<'a> {
    station_id: &'a str,
    host_code: &'a str,
    dc_work_status: Vec<&'static str>,
    dcdc_power: Vec<f64>,
}

impl<'a> HostDcdc<'a> {
    /// `power_kw` is what the host's guns draw together; as few modules as possible share it evenly.
    pub(super) fn new(site: &'a Site, host: &'a Host, power_kw: f64) -> Self {
        let most_kw = site.gun_kw * host.guns.len() as f64 / MODULES as f64;
        let working = ((power_kw / most_kw).ceil() as usize).min(MODULES);
        let each = if working == 0 { 0.0 } else { round(power_kw / working as f64, 2) };
        Self {
            station_id: &site.id,
            host_code: &host.code,
            dc_work_status: (0..MODULES).map(|module| if module < working { "01" } else { "00" }).collect(),
            dcdc_power: (0..MODULES).map(|module| if module < working { each } else { 0.0 }).collect(),
        }
    }
}

/// SCHEDULE-DEVICE-HOST-ACDC.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HostAcdc<'a> {
    station_id: &'a str,
    host_code: &'a str,
    ac_power: f64,
}

impl<'a> HostAcdc<'a> {
    /// Conversion costs a twentieth, standing by a little.
    pub(super) fn new(site: &'a Site, host: &'a Host, power_kw: f64) -> Self {
        Self { station_id: &site.id, host_code: &host.code, ac_power: round(power_kw / 0.95 + 0.4, 2) }
    }
}

/// SCHEDULE-DEVICE-STORAGE: one unit.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StorageUnit<'a> {
    station_id: &'a str,
    storage_code: &'a str,
    host_code: &'a str,
    battery_group_soc: i64,
    battery_group_soh: i64,
    battery_group_electric: f64,
    battery_group_out_power: i64,
    max_temperature: f64,
    min_temperature: f64,
}

impl<'a> StorageUnit<'a> {
    /// Filled at night and emptied in the evening, once a day.
    pub(super) fn new(seed: Seed, site: &'a Site, nth: usize, at: Millis) -> Self {
        let hour = hour_of_day(at);
        let (soc, power_kw) = match hour {
            0.0..7.0 => (15.0 + hour / 7.0 * 80.0, -60.0),
            7.0..17.0 => (95.0, 0.0),
            17.0..22.0 => (95.0 - (hour - 17.0) / 5.0 * 80.0, 85.0),
            _ => (15.0, 0.0),
        };
        let mut unit = seed.draw(Purpose::Storage, site.device(nth), 0);
        let health = 82 + unit.below(18).cast_signed();
        let coldest = round(unit.between(12.0, 22.0) + soc / 25.0, 1);
        Self {
            station_id: &site.id,
            storage_code: &site.storage[nth],
            host_code: &site.hosts[nth % site.hosts.len()].code,
            battery_group_soc: soc.round() as i64,
            battery_group_soh: health,
            battery_group_electric: round(power_kw / 0.72, 1),
            battery_group_out_power: power_kw as i64,
            max_temperature: round(coldest + 6.0 + power_kw.abs() / 12.0, 1),
            min_temperature: coldest,
        }
    }
}

/// SCHEDULE-DEVICE-METER.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MeterReading<'a> {
    station_id: &'a str,
    meter_id: &'a str,
    meter_power: f64,
    rmeter_limit_power: f64,
}

impl<'a> MeterReading<'a> {
    /// The hour's load, a little off, and what the building itself draws.
    pub(super) fn new(seed: Seed, site: &'a Site, at: Millis) -> Self {
        let load = hour_load(seed, site, at) as f64 / 100.0;
        let off = seed.draw(Purpose::Meter, site.index as u64, at.0).between(0.95, 1.05);
        Self {
            station_id: &site.id,
            meter_id: &site.meter,
            meter_power: round(load * off + 6.0, 2),
            rmeter_limit_power: site.grid_kw,
        }
    }
}

/// SCHEDULE-DEVICE-ERROR: a code for what failed; what did not is left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fault<'a> {
    station_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ac_error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dc_error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal_error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_error: Option<&'static str>,
}

impl<'a> Fault<'a> {
    pub(super) fn new(seed: Seed, site: &'a Site, at: Millis) -> Self {
        let mut draw = seed.draw(Purpose::Fault, site.index as u64, at.0);
        let failed = draw.below(5);
        let code = draw.pick(&["1", "2", "17"]);
        let mut error = |part: u64| (failed == part || draw.chance(0.1)).then_some(code);
        Self {
            station_id: &site.id,
            host_error: error(0),
            ac_error: error(1),
            dc_error: error(2),
            terminal_error: error(3),
            storage_error: error(4),
        }
    }
}
