//! Charging sessions: when a car stands at a gun, how full it is and what it draws. Follows the same busyness as the
//! hourly load, without adding up to it. Knows no payloads.

use quorate_core::ident::Millis;

use super::calendar::HOUR_MS;
use super::demand::busyness;
use super::seed::{Purpose, Seed};
use super::site::Site;

/// Each gun has one place for a car in so much time; a session lies wholly inside its place.
const PLACE_MS: i64 = 90 * 60_000;

/// The longest session, and so the latest a car may arrive in its place.
const LONGEST_MS: i64 = HOUR_MS;

/// One car at one gun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Session {
    pub(super) begin: Millis,
    pub(super) end: Millis,
    /// State of charge at begin and end, in percent.
    pub(super) charge: (f64, f64),
    /// What the battery holds, in kWh.
    pub(super) battery_kwh: f64,
    /// Voltage the car asks for.
    pub(super) voltage: f64,
    /// Two bytes that tell sessions of one second apart.
    pub(super) serial: u16,
    /// Whether the car tells its charge at begin.
    pub(super) tells_begin: bool,
}

impl Session {
    /// The session at a gun, by its ordinal in the station, whose place contains `at`; it may not have begun yet or may
    /// be over.
    pub(super) fn around(seed: Seed, site: &Site, gun: usize, at: Millis) -> Option<Self> {
        let phase = (gun as i64 * 37 + site.index as i64 * 11).rem_euclid(90) * 60_000;
        let place = (at.0 - phase).div_euclid(PLACE_MS);
        let opens = Millis(place * PLACE_MS + phase);
        let mut draw = seed.draw(Purpose::Session, site.device(gun), place);
        if !draw.chance((0.08 + 0.75 * busyness(site, opens.plus(PLACE_MS / 2))).min(0.92)) {
            return None;
        }
        let battery_kwh = round(draw.between(40.0, 112.0), 1);
        let full = draw.between(10.0, 55.0);
        let power_kw = site.gun_kw * draw.between(0.35, 0.7);
        let most = power_kw * (LONGEST_MS as f64 / HOUR_MS as f64) / battery_kwh * 100.0;
        let gain = (draw.between(70.0, 98.0) - full).min(most);
        let length = gain / 100.0 * battery_kwh / power_kw * HOUR_MS as f64;
        let begin = opens.plus(draw.below((PLACE_MS - LONGEST_MS).cast_unsigned()).cast_signed() / 1_000 * 1_000);
        Some(Self {
            begin,
            end: begin.plus(length as i64 / 1_000 * 1_000),
            charge: (full, full + gain),
            battery_kwh,
            voltage: round(draw.between(350.0, 999.0), 0),
            serial: draw.bits() as u16,
            tells_begin: draw.chance(0.7),
        })
    }

    /// Whether the car charges at `at`.
    pub(super) fn is_charging(&self, at: Millis) -> bool {
        (self.begin..self.end).contains(&at)
    }

    /// State of charge in percent.
    pub(super) fn soc(&self, at: Millis) -> f64 {
        let passed = self.passed(at);
        self.charge.0 + (self.charge.1 - self.charge.0) * passed * (1.3 - 0.3 * passed)
    }

    /// Power drawn, in kW: what the state of charge grows by, falling towards the end; 0 when not charging.
    pub(super) fn power_kw(&self, at: Millis) -> f64 {
        if !self.is_charging(at) {
            return 0.0;
        }
        let hours = self.end.since(self.begin) as f64 / HOUR_MS as f64;
        let mean = (self.charge.1 - self.charge.0) / 100.0 * self.battery_kwh / hours;
        mean * (1.3 - 0.6 * self.passed(at))
    }

    fn passed(&self, at: Millis) -> f64 {
        (at.since(self.begin) as f64 / self.end.since(self.begin).max(1) as f64).clamp(0.0, 1.0)
    }
}

/// `value` with so many decimals.
pub(super) fn round(value: f64, decimals: i32) -> f64 {
    let scale = [1.0, 10.0, 100.0, 1_000.0][decimals.clamp(0, 3) as usize];
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_what_the_state_of_charge_grows_by() {
        let site = Site::draw(Seed(2), 1, true);
        let noon = Millis(1_762_228_800_000);
        let sessions = (0..2_000).filter_map(|place| {
            Session::around(Seed(2), &site, 0, noon.plus(place * PLACE_MS)).map(|session| (place, session))
        });
        let mut seen = 0;
        for (_, session) in sessions {
            let length = session.end.since(session.begin);
            assert!(length > 0 && length <= LONGEST_MS && session.charge.1 <= 98.0);
            let steps = 1_000;
            let energy: f64 = (0..steps)
                .map(|step| session.power_kw(session.begin.plus((2 * step + 1) * length / (2 * steps))))
                .sum::<f64>()
                * (length as f64 / HOUR_MS as f64)
                / steps as f64;
            let gained = (session.soc(session.end) - session.soc(session.begin)) / 100.0 * session.battery_kwh;
            assert!((energy - gained).abs() < 0.01 * gained, "{energy} kWh for {gained} kWh");
            assert!(session.power_kw(session.begin) < site.gun_kw);
            seen += 1;
        }
        assert!(seen > 300, "{seen} sessions");
    }
}
