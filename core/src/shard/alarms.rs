//! Alarms: a station that stays incomplete for a module raises one, once an episode, and clears it.

use std::cmp::Reverse;
use std::sync::Arc;

use super::Shard;
use super::readiness::Standing;
use super::run::Watch;
use crate::contract::Status;
use crate::ident::{Millis, ModuleId, Station, TopicId};
use crate::plan::Then;

/// A station has been incomplete for too long, or is complete again, or was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Alarm {
    /// The module.
    pub module: Arc<str>,
    /// The station.
    pub station: Station,
    /// Raised, or cleared.
    pub raised: bool,
    /// Since when the station has been incomplete; none when the alarm is cleared.
    pub since: Option<Millis>,
    /// Required inputs that are absent.
    pub missing: Vec<Arc<str>>,
    /// Required inputs that are too old.
    pub stale: Vec<Arc<str>>,
}

impl Shard {
    /// The next alarm that was raised or cleared.
    pub fn poll_alarm(&mut self) -> Option<Alarm> {
        self.alarms.pop_front()
    }

    /// Stations for which the alarm of `module` is raised.
    #[must_use]
    pub fn alarmed_stations(&self, module: ModuleId) -> usize {
        self.modules[module.ix()].alarmed
    }

    /// Looks at a station's completeness for a module after an input changed, if that can make a difference.
    pub(super) fn look(&mut self, station: u32, module: ModuleId, now: Millis) {
        let watch = self.stations[station as usize].runs[module.ix()].watch;
        if self.modules[module.ix()].loaded && matches!(watch, Watch::Open | Watch::Raised) {
            self.look_closely(station, module, now);
        }
    }

    /// A topic has been read to its end: what expired by the clock of its backlog counts from here on.
    pub(super) fn look_after_backlog(&mut self, topic: TopicId, now: Millis) {
        if !self.topics[topic.ix()].windows.expires() {
            return;
        }
        for station in 0..self.station_count() {
            if !self.stations[station as usize].known {
                continue;
            }
            for at in 0..self.topics[topic.ix()].readers.len() {
                let (module, _) = self.topics[topic.ix()].readers[at];
                if self.modules[module.ix()].loaded {
                    self.look_closely(station, module, now);
                }
            }
        }
    }

    /// Looks again where a noted moment has come.
    pub(super) fn look_again(&mut self, now: Millis) {
        while let Some(&Reverse((moment, station, module))) = self.watches.peek()
            && moment <= now
        {
            self.watches.pop();
            if self.is_armed(station, module, moment) {
                self.look_closely(station, module, now);
            }
        }
    }

    pub(super) fn is_armed(&self, station: u32, module: ModuleId, moment: Millis) -> bool {
        let run = self.stations[station as usize].runs.get(module.ix());
        run.is_some_and(|run| run.watch == Watch::Armed(moment))
    }

    /// Takes back the alarms of a station that is forgotten.
    pub(super) fn clear_alarms(&mut self, station: u32, now: Millis) {
        for module in (0..).map(ModuleId).take(self.modules.len()) {
            if self.stations[station as usize].runs[module.ix()].watch == Watch::Raised {
                self.modules[module.ix()].alarmed -= 1;
                self.report(station, module, None, now);
            }
        }
    }

    pub(super) fn next_look(&self) -> Option<Millis> {
        self.watches.peek().map(|Reverse((moment, ..))| *moment)
    }

    pub(super) fn look_closely(&mut self, station: u32, module: ModuleId, now: Millis) {
        let standing = self.standing(station, module, now);
        let was = self.stations[station as usize].runs[module.ix()].watch;
        let was_raised = was == Watch::Raised;
        if was_raised && standing.blocked_since.is_some() {
            // Perhaps on account of another input: it is the same episode.
            return;
        }
        let is = match standing {
            Standing { blocked_since: None, stale_at: None, in_backlog: false, .. } => Watch::Calm,
            Standing { alarm_at: Some(at), .. } if at <= now => Watch::Raised,
            Standing { alarm_at, stale_at, .. } => {
                // Never in the past, or looking would never end.
                match alarm_at.into_iter().chain(stale_at).filter(|&at| at > now).min() {
                    // What was noted before comes first, and is looked at then.
                    Some(moment) if matches!(was, Watch::Armed(noted) if now < noted && noted <= moment) => return,
                    Some(moment) => {
                        self.watches.push(Reverse((moment, station, module)));
                        Watch::Armed(moment)
                    }
                    None => Watch::Open,
                }
            }
        };
        self.stations[station as usize].runs[module.ix()].watch = is;
        if was_raised {
            self.modules[module.ix()].alarmed -= 1;
            self.report(station, module, None, now);
        } else if is == Watch::Raised {
            self.modules[module.ix()].alarmed += 1;
            self.report(station, module, standing.blocked_since, now);
            if self.plan.module(module).incomplete.then == Then::Partial {
                self.turn += 1;
                self.consider(station, module, None, now);
            }
        }
    }

    fn report(&mut self, station: u32, module: ModuleId, since: Option<Millis>, now: Millis) {
        let [missing, stale] =
            [Status::Missing, Status::Stale].map(|wanted| self.blocking(station, module, wanted, now));
        self.alarms.push_back(Alarm {
            module: Arc::clone(&self.plan.module(module).name),
            station: self.stations[station as usize].id.clone(),
            raised: since.is_some(),
            since,
            missing,
            stale,
        });
    }

    /// Required inputs of this status, in the order of the configuration.
    pub(super) fn blocking(&self, station: u32, module: ModuleId, wanted: Status, now: Millis) -> Vec<Arc<str>> {
        let requires = self.plan.module(module).requires.iter();
        let blocking = requires.filter(|input| self.status(station, input, now).0 == wanted);
        blocking.map(|input| Arc::clone(&input.name)).collect()
    }
}
