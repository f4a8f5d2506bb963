//! A clean stop: it takes no longer than what is under way may take, and leaves nothing to be repeated.

use std::time::Duration;

use tokio::time::Instant;

use super::broker::{ORDER, TOPICS};
use super::ledger::{MODULES, STATIONS, TALLY, each_of};
use super::runs::ATTEMPTS;
use super::scene::{Scene, TIMEOUT};
use super::schedule::Schedule;

/// What a stop may take that has nothing to wait for: cuts, and the last flush.
const IDLE: Duration = Duration::from_secs(3);

impl Schedule {
    pub(super) async fn stop(&mut self) -> Result<(), String> {
        let (patience, at_most) = {
            let mut scene = self.scene.lock();
            scene.draining = true;
            let at_most = scene.stops_within();
            // While the broker is away there is nothing to wait for.
            let is_short = scene.away.is_some() || scene.chance.happens(500);
            (if is_short { Duration::from_secs(30) } else { at_most + IDLE }, at_most)
        };
        let began = Instant::now();
        let drained = self.process.handle.drain(patience).await;
        let took = began.elapsed();
        let tally = self.process.handle.tally();
        let has_loaded = (0..TOPICS.len()).all(|topic| self.process.has_loaded(topic));
        {
            let mut scene = self.scene.lock();
            scene.note(&format!("drained: {drained} after {took:?} of {patience:?} and at most {at_most:?}"));
            // A module that was shut when the stop began and is not any more is waited for, and never called.
            let hangs = !drained && scene.breaker.is_some();
            let fails = scene.away.is_some() || scene.disk.as_ref().is_some_and(|disk| disk.failed) || hangs;
            let held = if took > patience || (!fails && took > at_most) {
                Err(format!("drained: {drained}, which took {took:?}, and {at_most:?} was enough"))
            } else if drained {
                scene.is_quiet().and(scene.is_written_down(tally.records + tally.stale_records, has_loaded))
            } else {
                Ok(())
            };
            scene.expect(held);
        }
        if self.scene.lock().away.is_none() {
            (0..TOPICS.len()).for_each(|topic| self.commits_arrive(topic));
        }
        self.check_scene()?;
        self.restart().await;
        Ok(())
    }

    /// A stop in the middle of a bucket: what of it was read is kept, and the next life begins with the rest when the
    /// bucket's time is long over.
    pub(super) async fn stop_half_way(&mut self) -> Result<(), String> {
        self.load().await?;
        self.deliver_from(ORDER, 100).await?;
        self.scene.lock().produce_a_bucket();
        self.deliver_from(ORDER, 1).await?;
        self.pass(1, 50).await;
        self.stop().await?;
        self.pass(2_000, 1_000).await;
        self.assign(ORDER).await?;
        self.pass(1, 50).await;
        self.deliver_from(ORDER, 100).await
    }
}

impl Scene {
    /// How long a stop may take: everything that is under way or waits, one after another, as slowly as it may.
    fn stops_within(&self) -> Duration {
        let owed = |topic: usize| self.ledger.readings.iter().filter(move |reading| reading.place.topic == topic);
        let each: usize = (0..TOPICS.len()).map(|topic| owed(topic).count() * each_of(topic).len()).sum();
        let runs = each + owed(ORDER).count() + MODULES.len() * STATIONS.len();
        let seconds = Duration::from_secs;
        let mood = &self.mood;
        let call = match (mood.call > 0 || mood.curse.is_some(), mood.slow_call) {
            (true, _) => (TIMEOUT + seconds(2)) * ATTEMPTS,
            (false, 1..) => seconds(4),
            (false, 0) => Duration::ZERO,
        };
        let publish = if mood.slow_publish > 0 { seconds(6) } else { Duration::ZERO };
        let letter = if mood.refuse > 0 { seconds(60) } else { Duration::ZERO };
        let flush = if mood.slow_flush > 0 { seconds(60) } else { Duration::ZERO };
        let runs = u32::try_from(runs).expect("a short schedule");
        IDLE + flush + (call + publish * 2 + letter) * runs
    }

    /// Whether a run that goes on during a stop may have begun so late that the stop does not wait for it: time made it due
    /// while the last flush was written, by the end of a bucket or of the pause after a failure.
    pub fn is_belated(&self, module: usize, station: usize) -> bool {
        let last = self.ledger.outcomes(module, station).last();
        let paused = last.is_some_and(|last| last.life == self.life && (!last.is_result || last.is_belated));
        self.draining && (paused || module == TALLY)
    }

    /// Whoever has drained has left nothing for the next life to repeat: what has ended is on the disk, and what is settled
    /// is committed, given that the pipeline has taken in so many records.
    fn is_written_down(&self, taken: u64, has_loaded: bool) -> Result<(), String> {
        if let Some(disk) = &self.disk {
            if let Some(letter) = disk.letters().next() {
                return Err(format!("drained, and yet to be written again: {letter:?}"));
            }
            self.ends_of_this_life_are_durable(disk)?;
        }
        let mut outcomes = self.ledger.outcomes.values().flatten().filter(|outcome| outcome.life == self.life);
        if taken != self.intake.records || !has_loaded || outcomes.any(|outcome| outcome.is_belated) {
            return Ok(());
        }
        for place in self.broker.places() {
            let Some(held) = self.broker.log(place).held.filter(|held| held.read > held.live_from) else { continue };
            let is_asked = held.asked >= Some(held.read);
            // What is gone may be owed all the same.
            let mut readings = self.ledger.readings.iter().filter(|reading| reading.place == place);
            let knows_all = readings.all(|reading| reading.exists || reading.handed_out != self.life);
            let may_be = self.disk.is_some() || (knows_all && self.is_settled_up_to(place, held.read));
            if may_be && !is_asked {
                return Err(format!("drained, and yet not committed: {place:?} {:?} < {}", held.asked, held.read));
            }
        }
        Ok(())
    }
}
