//! The broker is away for ten minutes: nothing is acknowledged and nothing committed, and nothing read beyond what a
//! consumer has in hand. What that may cost meanwhile is bounded: calls, records on their way, writes, turns of the tasks.

use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use super::broker::{LOAD, TOPICS};
use super::ledger::{MODULES, STATIONS};
use super::runs::ATTEMPTS;
use super::scene::Scene;
use super::schedule::Schedule;

const OUTAGE: Duration = Duration::from_secs(600);

/// Of one module and station one run at a time waits for its acknowledgement, and nothing of it ends.
const RUNS: usize = MODULES.len() * STATIONS.len();

/// Writes and commits in all of it: a module that fails once more is one.
const WRITES: usize = 60;

/// Turns of a task in all of it: three a second. A cut a second wakes each of them twice.
const TURNS: u64 = 1_800;

/// Turns of the router, which looks at a lane that stands still 50 times a second: now and then one does that waits for its
/// ceiling, and all the time one that waits for modules.
const ROUTER_TURNS: u64 = 4_500;
const STOPPED_TURNS: u64 = 36_000;

/// What the pipeline has asked for since the broker left.
#[derive(Debug, Default)]
pub struct Asked {
    pub calls: usize,
    pub results: usize,
    pub letters: usize,
    pub commits: usize,
    pub writes: usize,
}

impl Schedule {
    pub(super) async fn go_away(&mut self) -> Result<(), String> {
        let (reads_on, may_stand) = {
            let mut scene = self.scene.lock();
            let reads_on = scene.chance.happens(300);
            scene.note(if reads_on { "the broker takes nothing" } else { "the broker is away" });
            scene.away = Some(Asked::default());
            (reads_on, !scene.limits.is_empty())
        };
        let before = self.process.turns();
        let over = Instant::now() + OUTAGE;
        while Instant::now() < over && !self.has_failed() {
            // Others may still reach it.
            if reads_on || self.scene.lock().chance.happens(300) {
                self.produce();
            }
            if reads_on {
                self.deliver().await?;
                self.deliver_from(LOAD, 6).await?;
            }
            self.pass(1_000, 60_000).await;
            self.check()?;
        }
        if !self.has_failed() {
            self.process.turns().iter().zip(&before).try_for_each(|((name, now), (_, before))| {
                let most = match (&**name, may_stand) {
                    ("router", true) => STOPPED_TURNS,
                    ("router", false) => ROUTER_TURNS,
                    _ => TURNS,
                };
                let turns = now - before;
                if turns <= most { Ok(()) } else { Err(format!("{name} went on {turns} times in ten minutes")) }
            })?;
            self.scene.lock().asked_little()?;
        }
        let (stops, loses_all) = {
            let mut scene = self.scene.lock();
            (scene.chance.happens(100), scene.chance.happens(500))
        };
        if stops {
            self.stop().await?;
        }
        self.scene.lock().comes_back();
        if loses_all {
            for topic in 0..TOPICS.len() {
                self.take_away(topic, usize::MAX).await?;
            }
        }
        Ok(())
    }
}

impl Scene {
    fn asked_little(&self) -> Result<(), String> {
        let Some(asked) = &self.away else { return Ok(()) };
        let letters = self.ledger.bad.len() + self.ledger.readings.len() + RUNS;
        let attempts = usize::try_from(ATTEMPTS).unwrap_or(1);
        let is_little = asked.calls <= RUNS * attempts
            && asked.results <= RUNS
            && asked.letters <= letters
            && asked.commits <= WRITES
            && asked.writes <= WRITES;
        if is_little { Ok(()) } else { Err(format!("asked for too much while the broker was away: {asked:?}")) }
    }

    /// Resolves when the broker is back; none when it is there.
    pub fn return_of_broker(&self) -> Option<OwnedNotified> {
        self.away.as_ref().map(|_| std::sync::Arc::clone(&self.returned).notified_owned())
    }

    fn comes_back(&mut self) {
        if let Some(asked) = self.away.take() {
            self.note(&format!("the broker is back: {asked:?}"));
        }
        self.returned.notify_waiters();
    }
}
