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

    /// Makes due what time makes due at `now`. What was missed meanwhile is not made up for.
    pub(super) fn tick(&mut self, now: Millis) {
        for module in (0..).map(ModuleId).take(self.modules.len()) {
            let Trigger::Every { interval_ms } = self.plan.module(module).trigger else { continue };
            if self.modules[module.ix()].next_tick.is_none_or(|tick| tick > now) {
                continue;
            }
            // At the end of time there is no next one.
            self.modules[module.ix()].next_tick = Some(after(now, interval_ms)).filter(|&next| next > now);
            for station in 0..self.station_count() {
                self.turn += 1;
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
