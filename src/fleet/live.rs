//! What is sent in a stretch of simulated time: walks every sender's beats. Knows when, not what.

use quorate_core::ident::Millis;

use super::Fleet;
use super::cadence::Beat;
use super::devices::{CarOrder, Fault, GunStates, HostAcdc, HostDcdc, MeterReading, StorageUnit};
use super::outbox::{Origin, Outbox};
use super::realtime;
use super::record::FleetRecord;
use super::seed::Purpose;
use super::session::Session;
use super::site::Site;
use super::surroundings::{CalendarYear, PvForecast, StationParam, Weather, tariffs};
use super::topic::Topic;

/// A push of hourly power comes within so much of the full hour.
const PUSH_SPREAD_MS: i64 = 10 * 60_000;

/// How many stations share one change or one fault.
const STATIONS_PER_EVENT: usize = 50;

impl Fleet {
    /// Everything sent from `from` on and before `to`, by timestamp. However time is cut into such stretches, together
    /// they hold the same records in the same order. All of it is in memory at once, so keep the stretch short: at real
    /// cadence a thousand stations send about five thousand records a second.
    #[must_use]
    pub fn between(&self, from: Millis, to: Millis) -> Vec<FleetRecord> {
        let mut out = self.outbox();
        let walk = Walk { fleet: self, from, to };
        for site in self.stations() {
            walk.orders(&mut out, site);
            walk.hosts(&mut out, site);
            walk.station(&mut out, site);
        }
        for (sender, sites) in self.cohorts() {
            walk.cohort(&mut out, sender, sites);
        }
        walk.fleet(&mut out);
        out.into_sorted()
    }
}

/// One stretch of time.
#[derive(Clone, Copy)]
struct Walk<'a> {
    fleet: &'a Fleet,
    from: Millis,
    to: Millis,
}

impl<'a> Walk<'a> {
    /// A charging gun speaks at every beat, and once more about an order that has ended since the last one.
    fn orders(self, out: &mut Outbox, site: &Site) {
        let every = self.fleet.plan().cadence.order_ms.max(1);
        for (ordinal, (host, gun)) in site.guns().enumerate() {
            let sender = site.device(ordinal);
            let charging =
                |at| Session::around(self.fleet.seed, site, ordinal, at).filter(|session| session.is_charging(at));
            for (_, at) in self.beats(Topic::CarOrder, sender, every) {
                let ended = charging(at.plus(-every)).filter(|session| !session.is_charging(at));
                for session in ended.into_iter().chain(charging(at)) {
                    let origin = Origin { topic: Topic::CarOrder, sender, at };
                    out.send(origin, &CarOrder::new(site, host, gun, &session, at));
                }
            }
        }
    }

    /// A host speaks at every beat while it charges, else at every so many.
    fn hosts(self, out: &mut Outbox, site: &Site) {
        let cadence = &self.fleet.plan().cadence;
        let every = cadence.busy_host_ms.max(1);
        let idle = (cadence.idle_host_ms / every).max(1);
        let mut ordinal = 0;
        for (nth, host) in site.hosts.iter().enumerate() {
            let guns = ordinal..ordinal + host.guns.len();
            ordinal = guns.end;
            let sender = site.device(nth);
            for (beat, at) in self.beats(Topic::HostDcdc, sender, every) {
                let sessions = guns.clone().filter_map(|gun| Session::around(self.fleet.seed, site, gun, at));
                let power: f64 = sessions.map(|session| session.power_kw(at)).sum();
                if power > 0.0 || beat % idle == 0 {
                    let [dcdc, acdc] = [Topic::HostDcdc, Topic::HostAcdc].map(|topic| Origin { topic, sender, at });
                    out.send(dcdc, &HostDcdc::new(site, host, power));
                    out.send(acdc, &HostAcdc::new(site, host, power));
                }
            }
        }
    }

    fn station(self, out: &mut Outbox, site: &Site) {
        let (seed, cadence) = (self.fleet.seed, &self.fleet.plan().cadence);
        let sender = site.index as u64;
        for (_, at) in self.beats(Topic::Gun, sender, cadence.gun_ms) {
            out.send(Origin { topic: Topic::Gun, sender, at }, &GunStates::new(seed, site, at));
        }
        for (_, at) in self.beats(Topic::Meter, sender, cadence.meter_ms) {
            out.send(Origin { topic: Topic::Meter, sender, at }, &MeterReading::new(seed, site, at));
        }
        for nth in 0..site.storage.len() {
            let sender = site.device(nth);
            for (_, at) in self.beats(Topic::Storage, sender, cadence.storage_ms) {
                out.send(Origin { topic: Topic::Storage, sender, at }, &StorageUnit::new(seed, site, nth, at));
            }
        }
    }

    fn cohort(self, out: &mut Outbox, sender: u64, sites: &[Site]) {
        let cadence = &self.fleet.plan().cadence;
        let phase = self.phase(Topic::Realtime, sender, cadence.realtime_ms.min(PUSH_SPREAD_MS));
        for (_, at) in Beat::new(cadence.realtime_ms, phase).within(self.from, self.to) {
            let mut rows = out.pack(Origin { topic: Topic::Realtime, sender, at });
            sites.iter().for_each(|site| realtime::push(self.fleet, &mut rows, site, at));
            rows.finish();
        }
        for (_, at) in self.beats(Topic::CarPrice, sender, cadence.price_ms) {
            prices(self.fleet, out, sender, sites, at);
        }
        for (_, at) in self.beats(Topic::Weather, sender, cadence.weather_ms) {
            weather(self.fleet, out, sender, sites, at);
        }
        for (_, at) in self.beats(Topic::Pv, sender, cadence.pv_ms) {
            sunlight(self.fleet, out, sender, sites, at);
        }
    }

    /// What concerns the whole fleet, or a few stations of it by chance.
    fn fleet(self, out: &mut Outbox) {
        let (seed, cadence) = (self.fleet.seed, &self.fleet.plan().cadence);
        for (_, at) in self.beats(Topic::Calendar, 0, cadence.calendar_ms) {
            out.send(Origin { topic: Topic::Calendar, sender: 0, at }, &CalendarYear::around(at));
        }
        for (change, at) in self.beats(Topic::StationParam, 0, cadence.param_ms) {
            let mut params = out.pack(Origin { topic: Topic::StationParam, sender: 0, at });
            self.some(Purpose::Change, at).for_each(|site| params.add(&StationParam::new(seed, site, change)));
            params.finish();
        }
        for (_, at) in self.beats(Topic::DeviceError, 0, cadence.error_ms) {
            for site in self.some(Purpose::Fault, at) {
                let sender = site.index as u64;
                out.send(Origin { topic: Topic::DeviceError, sender, at }, &Fault::new(seed, site, at));
            }
        }
    }

    /// One station in fifty, at least one, each at most once: evenly spread from a first one that is drawn.
    fn some(self, purpose: Purpose, at: Millis) -> impl Iterator<Item = &'a Site> {
        let sites = self.fleet.stations();
        let first = self.fleet.seed.draw(purpose, u64::MAX, at.0).below(sites.len() as u64) as usize;
        let spread = sites.iter().cycle().skip(first).step_by(STATIONS_PER_EVENT);
        spread.take(sites.len().div_ceil(STATIONS_PER_EVENT))
    }

    fn beats(self, topic: Topic, sender: u64, every_ms: i64) -> impl Iterator<Item = (i64, Millis)> {
        Beat::new(every_ms, self.phase(topic, sender, every_ms)).within(self.from, self.to)
    }

    fn phase(self, topic: Topic, sender: u64, below_ms: i64) -> i64 {
        let subject = (topic as u64) << 56 | sender;
        self.fleet.seed.draw(Purpose::Phase, subject, 0).below(below_ms.max(1).cast_unsigned()).cast_signed()
    }
}

/// The tariffs of a cohort.
pub(super) fn prices(fleet: &Fleet, out: &mut Outbox, sender: u64, sites: &[Site], at: Millis) {
    let mut fees = out.pack(Origin { topic: Topic::CarPrice, sender, at });
    sites.iter().flat_map(|site| tariffs(fleet.seed, site, at)).for_each(|tariff| fees.add(&tariff));
    fees.finish();
}

/// The weather over a cohort.
pub(super) fn weather(fleet: &Fleet, out: &mut Outbox, sender: u64, sites: &[Site], at: Millis) {
    let mut skies = out.pack(Origin { topic: Topic::Weather, sender, at });
    sites.iter().for_each(|site| skies.add(&Weather::new(fleet.seed, site, at)));
    skies.finish();
}

/// What a cohort's photovoltaic roofs will give.
pub(super) fn sunlight(fleet: &Fleet, out: &mut Outbox, sender: u64, sites: &[Site], at: Millis) {
    let mut forecasts = out.pack(Origin { topic: Topic::Pv, sender, at });
    sites.iter().filter(|site| site.has_pv).for_each(|site| forecasts.add(&PvForecast::new(fleet.seed, site, at)));
    forecasts.finish();
}
