//! Everything around the pipeline that outlives it: the broker, the ledger, chance, and what goes wrong at the moment.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quorate_core::ident::Millis;
use tokio::time::Instant;

use super::broker::{Broker, Place};
use super::chance::Chance;
use super::disk::Disk;
use super::ledger::{Bad, Content, Ledger, Outcome, Reading, STATIONS, TALLY};
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
    pub ledger: Ledger,
    /// What outlives the process; none where nothing does but what is committed.
    pub disk: Option<Disk>,
    pub trace: Trace,
    pub mood: Mood,
    /// Counts lives of the process from 1.
    pub life: u32,
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
            ledger: Ledger::default(),
            disk: None,
            trace: Trace::new(keep_lines),
            mood: Mood::default(),
            life: 0,
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

    /// Produces a record with so many readings, each for a station or (none) impossible to decode.
    pub fn produce(&mut self, place: Place, age_ms: i64, stations: Option<&[Option<usize>]>) {
        let at = Millis(self.now().0 - age_ms);
        let gap = if self.chance.happens(80) { 1 + i64::try_from(self.chance.below(3)).unwrap_or(0) } else { 0 };
        let is_list = place.topic == super::broker::LOAD;
        let (first, mut elements) = (self.ledger.next_number(), Vec::new());
        for (element, station) in stations.unwrap_or_default().iter().enumerate() {
            let (offset, number) = (self.broker.log(place).end + gap, self.ledger.next_number());
            match *station {
                Some(station) => {
                    self.ledger.readings.push(Reading { place, offset, element, at, station, handed_out: 0 });
                    elements.push(format!(r#"{{"s":"{}","n":{number}}}"#, STATIONS[station]));
                }
                None => {
                    let element = is_list.then_some(element);
                    self.ledger.bad.push(Bad { place, offset, element });
                    elements.push(r#"{"n":"nobody"}"#.to_owned());
                }
            }
        }
        let payload = match stations {
            None => "not json".to_owned(),
            Some(_) if is_list => format!("[{}]", elements.join(",")),
            Some(_) => elements.concat(),
        };
        let offset = self.broker.append(place, gap, at, payload);
        if stations.is_none() {
            self.ledger.bad.push(Bad { place, offset, element: None });
        }
        let what = format!("produce {}/{}/{offset} from {first} {stations:?}", place.name(), place.partition);
        self.note(&what);
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
