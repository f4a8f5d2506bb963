//! What was sent before the start: first what changes slowly, then hourly power day by day, last what is sent daily.

use quorate_core::ident::Millis;

use super::calendar::{DAY_MS, HOUR_MS, hour_number};
use super::outbox::{Origin, Outbox};
use super::realtime::history_day;
use super::record::FleetRecord;
use super::site::Site;
use super::surroundings::{CalendarYear, StationParam};
use super::topic::Topic;
use super::{Fleet, live};

impl Fleet {
    /// Everything up to the start, oldest first: every station's parameters, the calendar and prices, then the hourly
    /// power of [`history_days`](super::FleetPlan::history_days) days, then prices, weather and forecasts of the day.
    /// Made as it is asked for: a part holds one day of one cohort of stations.
    pub fn history(&self) -> impl Iterator<Item = FleetRecord> + '_ {
        let days = i64::from(self.plan().history_days);
        let power = (0..=days).flat_map(move |day| self.cohorts().map(move |cohort| (day, cohort)));
        self.opening()
            .into_iter()
            .chain(power.flat_map(move |(day, (sender, sites))| self.power_of_day(day, days, sender, sites)))
            .chain(self.cohorts().flat_map(|(sender, sites)| self.closing(sender, sites)))
    }

    fn opening(&self) -> Vec<FleetRecord> {
        let at = self.start_hour().plus(-i64::from(self.plan().history_days) * DAY_MS);
        let mut out = self.outbox();
        let mut params = out.pack(Origin { topic: Topic::StationParam, sender: 0, at });
        for site in self.stations() {
            params.add(&StationParam::new(self.seed, site, 0));
        }
        params.finish();
        out.send(Origin { topic: Topic::Calendar, sender: 0, at }, &CalendarYear::around(self.plan().start));
        for (sender, sites) in self.cohorts() {
            live::prices(self, &mut out, sender, sites, at);
        }
        out.into_records()
    }

    fn power_of_day(&self, day: i64, days: i64, sender: u64, sites: &[Site]) -> Vec<FleetRecord> {
        let at = self.start_hour().plus((day + 1 - days).min(0) * DAY_MS);
        let mut out = self.outbox();
        // A sender of its own, so that the last two parts, which share their moment, meet different fates.
        let sender = sender << 16 | day.cast_unsigned();
        let mut rows = out.pack(Origin { topic: Topic::Realtime, sender, at });
        for site in sites {
            history_day(self, &mut rows, site, day, days);
        }
        rows.finish();
        out.into_records()
    }

    fn closing(&self, sender: u64, sites: &[Site]) -> Vec<FleetRecord> {
        let at = self.start_hour();
        let mut out = self.outbox();
        live::prices(self, &mut out, sender, sites, at);
        live::weather(self, &mut out, sender, sites, at);
        live::sunlight(self, &mut out, sender, sites, at);
        out.into_records()
    }

    pub(super) fn outbox(&self) -> Outbox {
        Outbox::new(self.seed, self.rates())
    }

    /// The hour the start falls into; the history ends with the hour before it.
    pub(super) fn start_hour(&self) -> Millis {
        Millis(hour_number(self.plan().start) * HOUR_MS)
    }
}
