//! Everything around the pipeline that outlives it: the broker, the ledger, chance, and what goes wrong at the moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quorate_core::ident::Millis;
use tokio::time::Instant;

use super::broker::{Broker, Place, TOPICS};
use super::chance::Chance;
use super::disk::Disk;
use super::ledger::{Content, Ledger, Outcome, TALLY};
use super::trace::Trace;

/// When virtual time begins.
const START: Millis = Millis(1_762_225_500_000);

/// How often things go wrong, in a thousand.
#[derive(Clone, Copy, Default)]
pub struct Mood {
    /// A module call fails, is rejected, panics or hangs.
    pub call: u64,
    /// A module call takes its time.
    pub slow_call: u64,
    /// The broker refuses a record.
    pub refuse: u64,
    /// The broker takes its time with a record.
    pub slow_publish: u64,
    /// A commit never arrives.
    pub lose_commit: u64,
    /// The disk takes its time with a write.
    pub slow_flush: u64,
    /// A write fails, and the store with it.
    pub fail_flush: u64,
    /// One module never gives a result for one station.
    pub curse: Option<(usize, usize)>,
}

/// How one call of a module ends, and after how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Returns,
    Fails,
    Rejects,
    Panics,
    TimesOut,
    Sticks,
}

pub struct Scene {
    pub chance: Chance,
    pub broker: Broker,
    /// When each topic was last created.
    pub recreated: [Millis; TOPICS.len()],
    pub ledger: Ledger,
    /// What outlives the process; none where nothing does but what is committed.
    pub disk: Option<Disk>,
    pub trace: Trace,
    pub mood: Mood,
    /// Counts lives of the process from 1.
    pub life: u32,
    /// Where the group stood when the life at hand began.
    pub began_at: BTreeMap<Place, i64>,
    /// Calls that run, by life, module and station.
    pub running: Vec<(u32, usize, usize)>,
    /// The first invariant that did not hold.
    pub broken: Option<String>,
    began: Instant,
}

/// The scene, shared between the schedule and the doors of the pipeline.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Scene>>);

impl Shared {
    pub fn new(seed: u64, keep_lines: bool) -> Self {
        Self(Arc::new(Mutex::new(Scene {
            chance: Chance::new(seed),
            broker: Broker::new(),
            recreated: [Millis(0); TOPICS.len()],
            ledger: Ledger::default(),
            disk: None,
            trace: Trace::new(keep_lines),
            mood: Mood::default(),
            life: 0,
            began_at: BTreeMap::new(),
            running: Vec::new(),
            broken: None,
            began: Instant::now(),
        })))
    }

    /// Nothing that holds the lock waits or panics.
    pub fn lock(&self) -> MutexGuard<'_, Scene> {
        self.0.lock().expect("the scene")
    }
}

impl Scene {
    pub fn now(&self) -> Millis {
        START.plus(i64::try_from(self.began.elapsed().as_millis()).expect("a short schedule"))
    }

    pub fn note(&mut self, what: &str) {
        let at = Millis(self.now().0 - START.0);
        self.trace.note(at, what);
    }

    /// An invariant that must hold.
    pub fn expect(&mut self, held: Result<(), String>) {
        if let Err(why) = held {
            self.note(&format!("BROKEN {why}"));
            self.broken.get_or_insert(why);
        }
    }

    /// What becomes of a call.
    pub fn fate(&mut self, content: &Content) -> (Fate, Duration) {
        let cursed = self.mood.curse == Some((content.module, content.station));
        let fates = [Fate::Fails, Fate::Rejects, Fate::Panics, Fate::TimesOut, Fate::Sticks];
        if cursed || self.chance.happens(self.mood.call) {
            let fate = self.chance.pick(&fates);
            let hangs = matches!(fate, Fate::TimesOut | Fate::Sticks);
            return (fate, if hangs { TIMEOUT } else { Duration::ZERO });
        }
        (Fate::Returns, self.pause(self.mood.slow_call, 4_000))
    }

    /// A pause of up to so many milliseconds, or none.
    pub fn pause(&mut self, chances: u64, at_most: u64) -> Duration {
        let pauses = self.chance.happens(chances);
        Duration::from_millis(if pauses { 1 + self.chance.below(at_most) } else { 0 })
    }

    /// A run has ended in Kafka, by a result or by a dead letter.
    pub fn ended(&mut self, life: u32, content: &Arc<Content>, is_result: bool) {
        let what = format!("{} {content:?}", if is_result { "result" } else { "given up" });
        self.note(&what);
        let outcome = Outcome { content: Arc::clone(content), life, is_result };
        let held = self.follows(&outcome);
        self.expect(held);
        if let Some((_, orders)) = content.orders.as_ref().filter(|_| content.module == TALLY) {
            self.ledger.tallied.extend(orders);
        }
        self.ledger.outcomes.entry((content.module, content.station)).or_default().push(outcome);
    }
}

/// The call time-out of every module.
pub const TIMEOUT: Duration = Duration::from_secs(30);
