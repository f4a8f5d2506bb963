//! A clock that was set back: whoever waits for a moment of the old time waits no longer than it would have. Ages and
//! expiry follow the times of readings, which nobody has set, and need nothing.

use super::Shard;
use super::run::Watch;
use crate::ident::{Millis, ModuleId};

impl Shard {
    /// The clock that moments come from was set back by `by_ms`, which is positive, and says `now`.
    pub fn clock_set_back(&mut self, by_ms: i64, now: Millis) {
        let earlier = |moment: &mut Option<Millis>| *moment = moment.map(|moment| moment.plus(by_ms.saturating_neg()));
        for station in &mut self.stations {
            earlier(&mut station.seen_at);
            for run in &mut station.runs {
                earlier(&mut run.until);
                earlier(&mut run.paused_until);
            }
        }
        self.due.set_back(by_ms);
        self.modules.iter_mut().for_each(|module| module.next_tick = None);
        self.schedule_ticks(now);
        self.look_everywhere(now);
    }

    /// Alarms that were to come are noted anew.
    fn look_everywhere(&mut self, now: Millis) {
        for station in 0..self.station_count() {
            for module in (0..).map(ModuleId).take(self.modules.len()) {
                let run = self.stations[station as usize].runs.get(module.ix());
                if run.is_some_and(|run| matches!(run.watch, Watch::Armed(_))) {
                    self.look_closely(station, module, now);
                }
            }
        }
    }
}
