//! Says that stations stay incomplete, and that they are complete again. When many do at once, a few are named and the
//! others counted.

use quorate_core::ident::Millis;
use quorate_core::shard::{Alarm, Shard};
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
    /// Logs every alarm the shard has raised or cleared.
    pub(super) fn drain(&mut self, shard: &mut Shard, now: Millis) {
        while let Some(alarm) = shard.poll_alarm() {
            if self.admits(now) {
                self.log(&alarm, now);
            } else {
                self.unnamed += 1;
            }
        }
    }

    fn admits(&mut self, now: Millis) -> bool {
        let second = now.0.div_euclid(1_000);
        if second != self.second {
            (self.second, self.named) = (second, 0);
        }
        self.named += 1;
        self.named <= NAMED
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
