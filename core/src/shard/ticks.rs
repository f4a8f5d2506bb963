//! Modules that time makes due: at multiples of their interval, for every complete station.

use super::Shard;
use super::run::Phase;
use crate::ident::{Millis, ModuleId};
use crate::plan::Trigger;

impl Shard {
    /// Notes when each module is due by time, once there is a station to be due for.
    pub(super) fn schedule_ticks(&mut self, now: Millis) {
        if self.stations.is_empty() {
            return;
        }
        for (state, plan) in self.modules.iter_mut().zip(&self.plan.modules) {
            if let Trigger::Every { interval_ms } = plan.trigger
                && state.loaded
                && state.next_tick.is_none()
            {
                state.next_tick = Some(after(now, interval_ms));
            }
        }
    }

    pub(super) fn next_tick(&self) -> Option<Millis> {
        self.modules.iter().filter_map(|module| module.next_tick).min()
    }

    /// Makes due what time makes due at `now`, station by station. What was missed meanwhile is not made up for.
    pub(super) fn tick(&mut self, now: Millis) {
        let mut due = Vec::new();
        for (id, plan) in (0..).map(ModuleId).zip(&self.plan.modules) {
            let state = &mut self.modules[id.ix()];
            if let Trigger::Every { interval_ms } = plan.trigger
                && state.next_tick.is_some_and(|tick| tick <= now)
            {
                // At the end of time there is no next one.
                state.next_tick = Some(after(now, interval_ms)).filter(|&next| next > now);
                due.push(id);
            }
        }
        if due.is_empty() {
            return;
        }
        for station in 0..self.station_count() {
            if !self.stations[station as usize].known {
                continue;
            }
            self.turn += 1;
            for &module in &due {
                let run = &mut self.stations[station as usize].runs[module.ix()];
                run.changed = true;
                if run.phase == Phase::Idle {
                    self.consider(station, module, None, now);
                }
            }
        }
    }
}

/// The first multiple of the interval after `now`.
fn after(now: Millis, interval_ms: i64) -> Millis {
    Millis(now.0.div_euclid(interval_ms).saturating_add(1).saturating_mul(interval_ms))
}
