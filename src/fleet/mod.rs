//! A simulated fleet of charging stations that speaks on all thirteen source topics. Pure: seed, size and start time in,
//! records out; it knows no clock, no Kafka, no runtime and keeps no state. `quorate demo`, tests and benchmarks feed from it.

mod cadence;
mod calendar;
mod damage;
mod demand;
mod devices;
mod history;
mod live;
mod outbox;
mod realtime;
mod record;
mod seed;
mod session;
mod site;
mod surroundings;
mod topic;

use quorate_core::ident::Millis;

pub use cadence::Cadence;
pub use calendar::{DAY_MS, HOUR_MS, ZONE};
pub use record::{FleetRecord, Tally, TopicTally};
pub use site::{Host, MAX_STATIONS, Site};
pub use topic::Topic;

use demand::Arrival;
use outbox::Rates;
use seed::Seed;

/// Stations whose list messages are made together.
const COHORT: usize = 25;

/// What the fleet is like.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetPlan {
    /// How many stations, at most [`MAX_STATIONS`]. A station is the same in a fleet of any size.
    pub stations: usize,
    /// The same seed, plan and moments give the same bytes.
    pub seed: u64,
    /// Where the history ends and live records begin, in simulated time.
    pub start: Millis,
    /// Days of hourly power before the start.
    pub history_days: u16,
    /// How often each topic speaks.
    pub cadence: Cadence,
    /// Share of messages with something bad beside or among their good readings, 0 to 1.
    pub bad_share: f64,
    /// Share of messages sent twice, 0 to 1.
    pub repeat_share: f64,
    /// Bytes below which messages of many readings are kept. The real ones carry every station at once, beyond a
    /// broker's default limit of 1 MiB.
    pub record_bytes: usize,
    /// Hours of power in each live push, at least 2. Real pushes carry 168.
    pub push_hours: u16,
    /// Every n-th station has no photovoltaic roof, so that what needs one stays incomplete there; 0: all have one.
    pub without_pv_every: usize,
}

impl FleetPlan {
    /// A fleet at real cadence with 35 days of history, one bad message in 500, one in 100 sent twice, messages below
    /// 48 KiB, three hours in a push, and no photovoltaic roof at every tenth station.
    #[must_use]
    pub fn new(stations: usize, seed: u64, start: Millis) -> Self {
        Self {
            stations,
            seed,
            start,
            history_days: 35,
            cadence: Cadence::real(),
            bad_share: 0.002,
            repeat_share: 0.01,
            record_bytes: 48 << 10,
            push_hours: 3,
            without_pv_every: 10,
        }
    }
}

/// The fleet. Everything it says is a function of its plan and the moments asked for.
#[derive(Clone, Debug)]
pub struct Fleet {
    plan: FleetPlan,
    seed: Seed,
    sites: Vec<Site>,
}

impl Fleet {
    /// Builds the stations.
    #[must_use]
    pub fn new(plan: FleetPlan) -> Self {
        let seed = Seed(plan.seed);
        let has_pv = |index: usize| !(index + 1).is_multiple_of(plan.without_pv_every);
        let sites = (0..plan.stations.min(MAX_STATIONS)).map(|index| Site::draw(seed, index, has_pv(index))).collect();
        Self { plan, seed, sites }
    }

    /// What it was built from.
    #[must_use]
    pub fn plan(&self) -> &FleetPlan {
        &self.plan
    }

    /// The stations; their place here is the `station` of other calls.
    #[must_use]
    pub fn stations(&self) -> &[Site] {
        &self.sites
    }

    /// The true average load, in kW with two decimals, of the hour that contains `hour`, in the past or the future of
    /// any record: the sum over all guns, and what `outputPowerPerStationAvg` says where it is sent.
    ///
    /// # Panics
    /// When there is no such station.
    #[must_use]
    pub fn load_kw(&self, station: usize, hour: Millis) -> f64 {
        demand::hour_load(self.seed, &self.sites[station], hour) as f64 / 100.0
    }

    /// The load expected at a moment, in kW, before chance moves it: the best any forecast from the past could say.
    ///
    /// # Panics
    /// When there is no such station.
    #[must_use]
    pub fn expected_kw(&self, station: usize, at: Millis) -> f64 {
        demand::expected_kw(&self.sites[station], at)
    }

    /// Whether the hour that contains `hour` is ever reported, be it late.
    ///
    /// # Panics
    /// When there is no such station.
    #[must_use]
    pub fn is_reported(&self, station: usize, hour: Millis) -> bool {
        self.arrival(&self.sites[station], hour) != Arrival::Never
    }

    /// The hour before the start is never missing, so that every station is fresh when live records begin.
    fn arrival(&self, site: &Site, hour: Millis) -> Arrival {
        if calendar::hour_number(hour) + 1 == calendar::hour_number(self.plan.start) {
            return Arrival::InTime;
        }
        demand::arrival(self.seed, site, hour)
    }

    /// Groups of stations with the number by which they are known as a sender.
    fn cohorts(&self) -> impl Iterator<Item = (u64, &[Site])> {
        (0u64..).zip(self.sites.chunks(COHORT))
    }

    fn rates(&self) -> Rates {
        let FleetPlan { bad_share, repeat_share, record_bytes, .. } = self.plan;
        Rates { bad_share, repeat_share, record_bytes }
    }
}

#[cfg(test)]
mod tests;
