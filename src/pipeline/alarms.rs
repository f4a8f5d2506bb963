//! Says that stations stay incomplete or pause because a module keeps failing for them, and that they no longer do. When
//! many do at once, a few are named and the others counted.

use quorate_core::ident::Millis;
use quorate_core::shard::{Alarm, Quarantine, Shard};
use tracing::{info, warn};

/// Stations that one shard names in a second.
const NAMED: usize = 10;

/// What one shard has said so far.
#[derive(Debug, Default)]
pub(super) struct AlarmLog {
    second: i64,
    named: usize,
    unnamed: usize,
}

impl AlarmLog {
    /// Logs every alarm the shard has raised or cleared, and every pause that began or is over.
    pub(super) fn drain(&mut self, shard: &mut Shard, now: Millis) {
        while let Some(alarm) = shard.poll_alarm() {
            if self.admits(now) {
                self.log(&alarm, now);
            }
        }
        while let Some(quarantine) = shard.poll_quarantine() {
            if self.admits(now) {
                self.log_quarantine(&quarantine, now);
            }
        }
    }

    /// Whether one more station may be named; otherwise it is counted.
    fn admits(&mut self, now: Millis) -> bool {
        let second = now.0.div_euclid(1_000);
        if second != self.second {
            (self.second, self.named) = (second, 0);
        }
        self.named += 1;
        let is_named = self.named <= NAMED;
        self.unnamed += usize::from(!is_named);
        is_named
    }

    fn log(&mut self, alarm: &Alarm, now: Millis) {
        let (module, station) = (&*alarm.module, alarm.station.as_str());
        let unnamed = std::mem::take(&mut self.unnamed);
        match alarm.since {
            Some(since) => {
                let (missing, stale, incomplete_ms) = (&alarm.missing, &alarm.stale, now.since(since));
                warn!(module, station, ?missing, ?stale, incomplete_ms, unnamed, "station stays incomplete");
            }
            None => info!(module, station, unnamed, "station is complete again"),
        }
    }

    fn log_quarantine(&mut self, quarantine: &Quarantine, now: Millis) {
        let (module, station, failures) = (&*quarantine.module, quarantine.station.as_str(), quarantine.failures);
        let unnamed = std::mem::take(&mut self.unnamed);
        match quarantine.until {
            Some(until) => {
                let pause_ms = until.since(now);
                warn!(module, station, failures, pause_ms, unnamed, "station pauses, the module keeps failing for it");
            }
            None => info!(module, station, unnamed, "station works again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_alarms_names_a_few_a_second() {
        let mut log = AlarmLog::default();
        let named = |log: &mut AlarmLog, at| (0..100).filter(|_| log.admits(Millis(at))).count();
        assert_eq!(named(&mut log, 5_000), NAMED);
        assert_eq!(named(&mut log, 5_999), 0);
        assert_eq!(named(&mut log, 6_000), NAMED);
    }
}
