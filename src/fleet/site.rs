//! What stands at a station: hosts, guns, storage, meter, and how big its load is. Drawn once from the seed; a station
//! is the same in a fleet of any size.

use super::seed::{Purpose, Seed};

/// Stations a fleet can have: the index takes the low 20 bits of the station id.
pub const MAX_STATIONS: usize = 1 << 20;

/// The least of all station ids; ids are 19 digits long from here to 1.89e18.
const LEAST_ID: u64 = 1_050_000_000_000_000_000;

/// One charging station and its equipment.
#[derive(Clone, Debug)]
pub struct Site {
    /// The station id, 19 digits.
    pub id: String,
    /// The hosts; each drives some of the guns.
    pub hosts: Vec<Host>,
    /// Codes of the storage units, 20 hexadecimal digits each.
    pub storage: Vec<String>,
    /// The code of the grid meter.
    pub meter: String,
    /// Whether there is a photovoltaic roof; a station without one is never named on SCHEDULE-DEVICE-PV.
    pub has_pv: bool,
    /// What one gun can deliver, in kW.
    pub gun_kw: f64,
    /// What the grid connection allows, in kW.
    pub grid_kw: f64,
    /// East longitude and north latitude, in degrees.
    pub place: (f64, f64),
    pub(super) index: usize,
    pub(super) habits: Habits,
}

/// A host: the power cabinet behind some guns.
#[derive(Clone, Debug)]
pub struct Host {
    /// 14 digits, unique in the fleet.
    pub code: String,
    /// Gun numbers, two digits, unique within the host and ascending with holes.
    pub guns: Vec<String>,
}

/// What is particular about a station's load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// Load at the top of an ordinary working day, in kW.
    pub(super) peak_kw: f64,
    /// How much later than elsewhere the day runs, in hours.
    pub(super) shift_h: f64,
    /// How large the evening peak is beside the noon peak.
    pub(super) evening: f64,
    /// Load of free days relative to working days: below 1 near offices, above 1 near shops.
    pub(super) free_days: f64,
    /// Growth of the load over a year, as a share.
    pub(super) growth: f64,
}

impl Site {
    /// The station at `index` of the fleet with this seed.
    pub(super) fn draw(seed: Seed, index: usize, has_pv: bool) -> Self {
        let mut draw = seed.draw(Purpose::Site, index as u64, 0);
        let id = LEAST_ID + (draw.below(800_000_000_000) << 20) + index as u64;
        let hosts: Vec<Host> = (0..draw.pick(&[1, 1, 2, 2, 3]))
            .map(|nth| {
                let mut number = 0;
                let guns = (0..2 + draw.below(4)).map(|_| {
                    number += draw.pick(&[1, 1, 1, 2, 4]);
                    format!("{number:02}")
                });
                Host { guns: guns.collect(), code: format!("5200000{:07}", index * 4 + nth) }
            })
            .collect();
        let guns = hosts.iter().map(|host| host.guns.len()).sum::<usize>() as f64;
        let gun_kw = draw.pick(&[60.0, 120.0, 180.0]);
        let storage =
            (0..draw.pick(&[1, 1, 2])).map(|_| format!("{:016X}{:04X}", draw.bits(), draw.below(1 << 16))).collect();
        Self {
            id: id.to_string(),
            storage,
            meter: format!("M{index:06}"),
            has_pv,
            gun_kw,
            grid_kw: (guns * gun_kw * draw.between(0.7, 1.0)).round(),
            place: (draw.between(104.0, 121.0), draw.between(23.0, 40.0)),
            index,
            habits: Habits {
                peak_kw: guns * gun_kw * draw.between(0.25, 0.45),
                shift_h: draw.between(-1.0, 1.0),
                evening: draw.between(0.8, 1.25),
                free_days: draw.between(0.65, 1.3),
                growth: draw.between(-0.1, 0.4),
            },
            hosts,
        }
    }

    /// All guns as (host, gun number), in the order of hosts; the place in this order is the gun's ordinal.
    pub fn guns(&self) -> impl Iterator<Item = (&Host, &str)> {
        self.hosts.iter().flat_map(|host| host.guns.iter().map(move |gun| (host, gun.as_str())))
    }

    /// The number of guns over all hosts.
    #[must_use]
    pub fn gun_count(&self) -> usize {
        self.hosts.iter().map(|host| host.guns.len()).sum()
    }

    /// The subject under which something of this station's `nth` device is drawn.
    pub(super) fn device(&self, nth: usize) -> u64 {
        ((self.index as u64) << 8) | nth as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_and_host_codes_are_unique_and_as_long_as_the_real_ones() {
        let sites: Vec<Site> = (0..2_000).map(|index| Site::draw(Seed(3), index, true)).collect();
        let ids: BTreeSet<&str> = sites.iter().map(|site| site.id.as_str()).collect();
        let codes: BTreeSet<&str> = sites.iter().flat_map(|site| &site.hosts).map(|host| host.code.as_str()).collect();
        assert_eq!(ids.len(), sites.len());
        assert_eq!(codes.len(), sites.iter().map(|site| site.hosts.len()).sum::<usize>());
        assert!(ids.iter().all(|id| id.len() == 19) && codes.iter().all(|code| code.len() == 14));
        for host in sites.iter().flat_map(|site| &site.hosts) {
            assert!(host.guns.windows(2).all(|pair| pair[0] < pair[1]) && host.guns.iter().all(|gun| gun.len() == 2));
        }
        assert!(sites.iter().flat_map(|site| &site.storage).all(|code| code.len() == 20));
    }
}
