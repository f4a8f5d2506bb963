//! SCHEDULE-STATION-REALTIME-DATA: hourly rows of gun power, one per host and hour. Knows the row's fields and what a
//! push may carry, not when pushes happen.

use quorate_core::ident::Millis;
use serde::Serialize;

use super::Fleet;
use super::calendar::{DAY_MS, HOUR_MS, text};
use super::demand::{Arrival, gun_hours};
use super::outbox::Packer;
use super::seed::Purpose;
use super::site::Site;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    station_id: &'a str,
    host_code: &'a str,
    send_time: &'a str,
    gun_power: GunPower<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_power_per_station_max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_power_per_station_avg: Option<f64>,
}

/// Parallel arrays; order and number of guns vary from row to row.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct GunPower<'a> {
    gun_no: Vec<&'a str>,
    output_power_per_gun_avg: Vec<f64>,
    output_power_per_gun_max: Vec<f64>,
}

/// The `nth` day of the history, counted in whole days before the start; `days` is the day after the last, which only
/// delivers what came late.
pub(super) fn history_day(fleet: &Fleet, packer: &mut Packer<'_>, site: &Site, nth: i64, days: i64) {
    let end = fleet.start_hour();
    let begin = end.plus((nth - days) * DAY_MS);
    for hour in 0..24 {
        let yesterday = begin.plus(hour * HOUR_MS - DAY_MS);
        if nth > 0 && fleet.arrival(site, yesterday) == Arrival::Late {
            hour_rows(fleet, packer, site, yesterday);
        }
        let today = begin.plus(hour * HOUR_MS);
        if nth < days && fleet.arrival(site, today) == Arrival::InTime {
            hour_rows(fleet, packer, site, today);
        }
    }
}

/// What a push at `at` carries of a station: the last complete hours, except those still late or lost.
pub(super) fn push(fleet: &Fleet, packer: &mut Packer<'_>, site: &Site, at: Millis) {
    let hours = i64::from(fleet.plan().push_hours).max(2);
    for back in (1..=hours).rev() {
        let hour = Millis((at.0.div_euclid(HOUR_MS) - back) * HOUR_MS);
        match fleet.arrival(site, hour) {
            Arrival::InTime => hour_rows(fleet, packer, site, hour),
            Arrival::Late if back > 1 => hour_rows(fleet, packer, site, hour),
            Arrival::Late | Arrival::Never => {}
        }
    }
}

/// One row per host. An idle gun is often left out, a busy one rarely; the station's totals always cover all guns, and
/// now and then an hour has none.
fn hour_rows(fleet: &Fleet, packer: &mut Packer<'_>, site: &Site, hour: Millis) {
    let send_time = text(hour);
    let power = gun_hours(fleet.seed, site, hour);
    let mut draw = fleet.seed.draw(Purpose::Row, site.index as u64, hour.0);
    let has_totals = draw.chance(0.97);
    let average = hundredths(power.iter().map(|gun| gun.average).sum());
    let most = hundredths(power.iter().map(|gun| gun.most).sum());
    let mut rest = power.as_slice();
    for host in &site.hosts {
        let (own, others) = rest.split_at(host.guns.len());
        rest = others;
        let mut guns = GunPower::default();
        let first = draw.below(own.len() as u64) as usize;
        for (number, gun) in host.guns.iter().zip(own).cycle().skip(first).take(own.len()) {
            let left_out = draw.chance(if gun.average == 0 { 0.3 } else { 0.01 });
            if !left_out {
                guns.gun_no.push(number);
                guns.output_power_per_gun_avg.push(hundredths(gun.average));
                guns.output_power_per_gun_max.push(hundredths(gun.most));
            }
        }
        packer.add(&Row {
            station_id: &site.id,
            host_code: &host.code,
            send_time: &send_time,
            gun_power: guns,
            output_power_per_station_max: has_totals.then_some(most),
            output_power_per_station_avg: has_totals.then_some(average),
        });
    }
}

fn hundredths(value: i64) -> f64 {
    value as f64 / 100.0
}
