//! Payloads of what changes slowly: parameters, prices, calendar, weather and what the sun gives. Knows fields, not
//! cadences.

use quorate_core::ident::Millis;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::calendar::{DAY_MS, day_number, is_holiday, local, midnight, text, weekday};
use super::seed::{Purpose, Seed};
use super::session::round;
use super::site::Site;

/// An element of SCHEDULE-STATION-PARAM.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StationParam<'a> {
    station_id: &'a str,
    station_lng: f64,
    station_lat: f64,
    gun_num: usize,
    grid_capacity: f64,
    power_num: usize,
    host_code: Vec<&'a str>,
    normal_cap: f64,
    power: PowerIds,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PowerIds {
    power_ids: Vec<String>,
}

impl<'a> StationParam<'a> {
    /// The parameters after the `change`-th event of the fleet; change 0 is how the station was built.
    pub(super) fn new(seed: Seed, site: &'a Site, change: i64) -> Self {
        let rebuilt = match change {
            0 => 1.0,
            _ => seed.draw(Purpose::Change, site.index as u64, change).pick(&[0.8, 0.9, 1.1, 1.25]),
        };
        let power_ids: Vec<String> = (0..site.hosts.len()).map(|nth| format!("p{:05}-{nth}", site.index)).collect();
        Self {
            station_id: &site.id,
            station_lng: round(site.place.0, 3),
            station_lat: round(site.place.1, 3),
            gun_num: site.gun_count(),
            grid_capacity: round(site.grid_kw * rebuilt, 1),
            power_num: power_ids.len(),
            host_code: site.hosts.iter().map(|host| host.code.as_str()).collect(),
            normal_cap: round(site.grid_kw * rebuilt * 0.8, 1),
            power: PowerIds { power_ids },
        }
    }
}

/// An element of SCHEDULE-CAR-PRICE: one tariff of a station.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tariff<'a> {
    station_id: &'a str,
    host_code: &'a str,
    send_time: String,
    dial_no: &'static str,
    loss_rate: i64,
    sharp_electric_fee: f64,
    sharp_server_fee: f64,
    peak_electric_fee: f64,
    peak_server_fee: f64,
    flat_electric_fee: f64,
    flat_server_fee: f64,
    ebb_electric_fee: f64,
    ebb_server_fee: f64,
    other_electric_fee: f64,
    other_server_fee: f64,
    #[serde(flatten)]
    fee_no: HalfHours,
}

/// The code of each half hour, as 48 fields `feeNo1` to `feeNo48`: 00 sharp, 01 peak, 02 flat, 03 ebb.
struct HalfHours([&'static str; 48]);

impl Serialize for HalfHours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (place, code) in self.0.iter().enumerate() {
            map.serialize_entry(&format!("feeNo{}", place + 1), code)?;
        }
        map.end()
    }
}

/// The tariffs of a station as of `at`, one or two; prices differ a little from month to month.
pub(super) fn tariffs(seed: Seed, site: &Site, at: Millis) -> impl Iterator<Item = Tariff<'_>> {
    let month = i64::from(local(at).date().year()) * 12 + i64::from(local(at).date().month());
    let dials: &[&str] = if site.index % 4 == 3 { &["2100", "2200"] } else { &["2100"] };
    dials.iter().map(move |dial_no| {
        let mut draw = seed.draw(Purpose::Price, site.index as u64, month);
        let mut fee = |usual: f64| round(usual * draw.between(0.9, 1.1), 3);
        Tariff {
            station_id: &site.id,
            host_code: &site.hosts[0].code,
            send_time: text(at),
            dial_no,
            loss_rate: 1,
            sharp_electric_fee: fee(1.2),
            sharp_server_fee: fee(0.6),
            peak_electric_fee: fee(0.95),
            peak_server_fee: fee(0.5),
            flat_electric_fee: fee(0.65),
            flat_server_fee: fee(0.4),
            ebb_electric_fee: fee(0.3),
            ebb_server_fee: fee(0.3),
            other_electric_fee: 0.0,
            other_server_fee: 0.0,
            fee_no: HalfHours(std::array::from_fn(fee_code)),
        }
    })
}

/// Cheap at night, dear before noon and in the evening.
fn fee_code(half_hour: usize) -> &'static str {
    match half_hour / 2 {
        0..=7 => "03",
        10 | 19 | 20 => "00",
        9 | 11 | 17 | 18 | 21 => "01",
        _ => "02",
    }
}

/// SCHEDULE-ENVIRONMENT-CALENDAR.
#[derive(Serialize)]
pub(super) struct CalendarYear {
    calendar: Vec<CalendarDay>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CalendarDay {
    date: String,
    is_holiday: u8,
    is_weekend: u8,
}

impl CalendarYear {
    /// Half a year before and after the local day of `at`, 367 days.
    pub(super) fn around(at: Millis) -> Self {
        let days = (-183..=183).map(|days| {
            let day = midnight(at).plus(days * DAY_MS);
            CalendarDay {
                date: local(day).date().to_string(),
                is_holiday: u8::from(is_holiday(local(day).date())),
                is_weekend: u8::from(weekday(day) >= 5),
            }
        });
        Self { calendar: days.collect() }
    }
}

/// Kinds of weather, likely ones twice, with the share of sunlight they let through.
const SKIES: [(&str, f64); 7] =
    [("晴", 1.0), ("晴", 1.0), ("多云", 0.75), ("多云", 0.75), ("阴", 0.45), ("小雨", 0.3), ("大雨", 0.15)];

/// The sky over a station on the local day of `at`; stations in one of eight regions share it.
fn sky(seed: Seed, site: &Site, at: Millis) -> (&'static str, f64) {
    let region = site.index as u64 % 8;
    seed.draw(Purpose::Weather, region, day_number(at)).pick(&SKIES)
}

/// An element of SCHEDULE-ENVIRONMENT-WEATHER.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Weather<'a> {
    station_id: &'a str,
    weather_situation_yesterday: &'static str,
    weather_situation_tomorrow: &'static str,
    season_tomorrow: &'static str,
}

impl<'a> Weather<'a> {
    pub(super) fn new(seed: Seed, site: &'a Site, at: Millis) -> Self {
        let (yesterday, tomorrow) = (at.plus(-DAY_MS), at.plus(DAY_MS));
        Self {
            station_id: &site.id,
            weather_situation_yesterday: sky(seed, site, yesterday).0,
            weather_situation_tomorrow: sky(seed, site, tomorrow).0,
            season_tomorrow: match local(tomorrow).date().month() {
                3..=5 => "春",
                6..=8 => "夏",
                9..=11 => "秋",
                _ => "冬",
            },
        }
    }
}

/// An element of SCHEDULE-DEVICE-PV: expected direct-current power of each hour of the local day, in kW.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PvForecast<'a> {
    station_id: &'a str,
    host_code: &'a str,
    pv_pre_dc_power: Vec<f64>,
}

impl<'a> PvForecast<'a> {
    pub(super) fn new(seed: Seed, site: &'a Site, at: Millis) -> Self {
        let top = site.grid_kw * 0.2 * sky(seed, site, at).1;
        let sun = |hour: i32| {
            let x = (f64::from(hour) - 12.5) / 6.5;
            round((top * (1.0 - x * x)).max(0.0), 2)
        };
        Self { station_id: &site.id, host_code: &site.hosts[0].code, pv_pre_dc_power: (0..24).map(sun).collect() }
    }
}
