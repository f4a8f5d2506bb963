//! Everything around the pipeline that outlives it: the broker, the ledger, chance, and what goes wrong at the moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quorate::pipeline::BreakerPolicy;
use quorate_core::ident::Millis;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::broker::{Broker, Place, TOPICS};
use super::chance::Chance;
use super::disk::Disk;
use super::lateness::OrderClock;
use super::ledger::{Content, Ledger, Outcome, TALLY};
use super::limits::Intake;
use super::outage::Asked;
use super::runs::Runs;
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
    pub runs: Runs,
    /// The process is being stopped.
    pub draining: bool,
    /// Per topic how much of it may wait; nothing where nothing is said.
    pub limits: Vec<usize>,
    pub intake: Intake,
    pub breaker: Option<BreakerPolicy>,
    pub order_clock: OrderClock,
    /// What was asked for since the broker went away; none while it is there.
    pub away: Option<Asked>,
    pub returned: Arc<Notify>,
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
            runs: Runs::default(),
            draining: false,
            limits: Vec::new(),
            intake: Intake::default(),
            breaker: None,
            order_clock: OrderClock::default(),
            away: None,
            returned: Arc::default(),
            broken: None,
            began: Instant::now(),
        })))
    }

    /// Nothing that holds the lock waits or panics.
    pub fn lock(&self) -> MutexGuard<'_, Scene> {
        self.0.lock().expect("the scene")
    }
}

impl Fate {
    /// Calling again with the same input may help.
    pub fn may_be_repeated(self) -> bool {
        matches!(self, Self::Fails | Self::Panics | Self::TimesOut)
    }

    /// Why there is no result, in a dead letter; none when there is one.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Returns => None,
            Self::Fails => Some("module_failed"),
            Self::Rejects => Some("module_rejected"),
            Self::Panics => Some("module_panicked"),
            Self::TimesOut | Self::Sticks => Some("module_timeout"),
        }
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
            // Where a topic waits for its runs it must not wait for hours.
            let fates = if cursed && !self.limits.is_empty() { &fates[..3] } else { &fates[..] };
            let fate = self.chance.pick(fates);
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

    /// A run has ended in Kafka, by a result or by a dead letter with this reason.
    pub fn ended(&mut self, life: u32, content: &Arc<Content>, reason: Option<&str>) {
        let is_result = reason.is_none();
        let what = format!("{} {content:?}", reason.unwrap_or("result"));
        self.note(&what);
        let held = self.run_ended(content, reason);
        self.expect(held);
        let is_belated = self.is_belated(content.module, content.station);
        let outcome = Outcome { content: Arc::clone(content), life, is_result, is_belated };
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
