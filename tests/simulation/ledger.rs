//! What went in and what came out: every reading that was ever produced, every input a module was given, every result
//! and dead letter that reached Kafka. It survives crashes, because it is what the world has seen.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use quorate_core::contract::{ModuleInput, Value};
use quorate_core::ident::Millis;
use quorate_core::provenance::Incarnation;
use serde::{Deserialize, Serialize};

use super::broker::{LOAD, PRICE, Place};
use super::disk::Trigger;

pub const STATIONS: [&str; 3] = ["S0", "S1", "S2"];

/// The modules in the order of the plan: `pair` needs a load and a price, `after` a load and the result of `pair`,
/// `tally` each closed bucket of orders, `each` every load, `rate` a load and the tariff of all, `sign` that alone,
/// `task` every price, once for each key, `offer` every load and the price of that moment.
pub const MODULES: [&str; 8] = ["pair", "after", "tally", "each", "rate", "sign", "task", "offer"];
pub const PAIR: usize = 0;
pub const AFTER: usize = 1;
pub const TALLY: usize = 2;
pub const EACH: usize = 3;
pub const RATE: usize = 4;
pub const SIGN: usize = 5;
pub const TASK: usize = 6;
pub const OFFER: usize = 7;

/// The modules of which every reading of a topic is a run of its own.
pub fn each_of(topic: usize) -> &'static [usize] {
    match topic {
        LOAD => &[EACH, OFFER],
        PRICE => &[TASK],
        _ => &[],
    }
}

/// Length of a bucket of orders, and how long after its end it closes, in milliseconds.
pub const BUCKET_MS: i64 = 1_000;
pub const CLOSE_AFTER_MS: i64 = 1_000;

/// Stands for all stations where a reading is global.
pub const EVERYBODY: usize = usize::MAX;

/// A reading; its number is its place in [`Ledger::readings`].
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub place: Place,
    pub offset: i64,
    pub element: usize,
    pub at: Millis,
    pub station: usize,
    /// The life of the process in which it was last handed to the pipeline; 0 is none.
    pub handed_out: u32,
    /// The life of its topic in which it was.
    pub incarnation: Incarnation,
    /// It is still in the log.
    pub exists: bool,
    /// A durable position has passed it.
    pub durable: bool,
    /// Somebody else has worked it off, before there was a store: it only loads.
    pub history: bool,
    /// A module was called with it.
    pub known: bool,
}

impl Reading {
    pub fn new(place: Place, (offset, element): (i64, usize), at: Millis, station: usize) -> Self {
        let (handed_out, incarnation) = (0, 0);
        Self {
            place,
            offset,
            element,
            at,
            station,
            handed_out,
            incarnation,
            exists: true,
            durable: false,
            history: false,
            known: false,
        }
    }

    /// Of two readings for the same window the one of higher rank counts.
    pub fn rank(&self) -> (Millis, Incarnation, usize, i64, usize) {
        (self.at, self.incarnation, self.place.partition, self.offset, self.element)
    }

    /// What tells its run from others, where it is one of its own.
    pub fn trigger(&self) -> Trigger {
        let at = format!("{}/{}/{}/{}", self.place.name(), self.place.partition, self.offset, self.element);
        if self.incarnation == 0 { at } else { format!("{at}/{}", self.incarnation) }
    }

    /// The beginning of its bucket.
    pub fn bucket(&self) -> i64 {
        self.at.0.div_euclid(BUCKET_MS) * BUCKET_MS
    }

    /// Whether a station may see it.
    pub fn concerns(&self, station: usize) -> bool {
        self.station == station || self.station == EVERYBODY
    }

    /// What it calls for must happen.
    pub fn is_owed(&self) -> bool {
        self.is_kept() && !self.history
    }

    /// Nobody may lose it: it can be read again, or somebody has promised to know it.
    pub fn is_kept(&self) -> bool {
        self.exists || self.durable
    }
}

/// What is done once only for each station: one of a few keys, drawn from the number of a reading.
pub fn key(number: usize) -> usize {
    number % 7
}

/// Something that cannot be decoded: a whole record, or an element of one. Its number is its place in [`Ledger::bad`].
#[derive(Clone, Copy, Debug)]
pub struct Bad {
    pub place: Place,
    pub offset: i64,
    pub element: Option<usize>,
    pub handed_out: u32,
    pub incarnation: Incarnation,
    pub exists: bool,
    pub durable: bool,
    pub history: bool,
}

impl Bad {
    pub fn new(place: Place, offset: i64, element: Option<usize>) -> Self {
        let (handed_out, incarnation) = (0, 0);
        Self { place, offset, element, handed_out, incarnation, exists: true, durable: false, history: false }
    }
}

/// What a dead letter of a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// What could not be decoded, by its number.
    Bad(usize),
    /// A reading that came too late, by its number.
    Reading(usize),
}

/// What a module was given, by the numbers of the readings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    pub module: usize,
    pub station: usize,
    pub load: Option<usize>,
    pub price: Option<usize>,
    pub tariff: Option<usize>,
    pub pair: Option<Pair>,
    /// Where the bucket begins, and what is in it.
    pub orders: Option<(i64, Vec<usize>)>,
}

impl Content {
    /// The reading of which it is a run of its own, by its number.
    pub fn handed(&self) -> Option<usize> {
        match self.module {
            EACH | OFFER => self.load,
            TASK => self.price,
            _ => None,
        }
    }

    /// The numbers of the readings in it.
    pub fn numbers(&self) -> Vec<usize> {
        let orders = self.orders.iter().flat_map(|(_, orders)| orders.iter().copied());
        let pair = self.pair.iter().flat_map(|pair| [pair.load, pair.price]);
        [self.load, self.price, self.tariff].into_iter().flatten().chain(pair).chain(orders).collect()
    }
}

/// The result of `pair`: which load and which price it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pair {
    pub load: usize,
    pub price: usize,
}

/// A reading's payload.
#[derive(Deserialize)]
struct Numbered {
    n: usize,
}

/// The end of a run, as it stands in Kafka.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub content: Arc<Content>,
    pub life: u32,
    /// A result; otherwise a dead letter of the run.
    pub is_result: bool,
    /// It began during a stop, after a pause that the stop does not wait for.
    pub is_belated: bool,
}

#[derive(Default)]
pub struct Ledger {
    pub readings: Vec<Reading>,
    pub bad: Vec<Bad>,
    /// Per (module, station), in the order in which they reached Kafka.
    pub outcomes: HashMap<(usize, usize), Vec<Outcome>>,
    /// Pieces of records that have a dead letter.
    pub letters: HashSet<Piece>,
    /// Orders that are in the input of a run that has ended, by number.
    pub tallied: HashSet<usize>,
    inputs: HashMap<String, Arc<Content>>,
    hashes: HashMap<Arc<Content>, String>,
}

impl Ledger {
    /// Notes that a record was handed to the pipeline, in which life of the process and in which of the topic.
    pub fn handed_out(&mut self, place: Place, offset: i64, (life, incarnation): (u32, Incarnation)) {
        for (number, reading) in self.readings.iter_mut().enumerate().filter(|(_, reading)| reading.exists) {
            if (reading.place, reading.offset) == (place, offset) {
                if reading.handed_out > 0 && reading.incarnation != incarnation {
                    // Without a store lives are counted anew, and inputs are other ones.
                    self.hashes.retain(|content, _| !content.numbers().contains(&number));
                }
                (reading.handed_out, reading.incarnation) = (life, incarnation);
            }
        }
        for bad in self.bad.iter_mut().filter(|bad| bad.exists && (bad.place, bad.offset) == (place, offset)) {
            (bad.handed_out, bad.incarnation) = (life, incarnation);
        }
    }

    /// Notes what somebody else has worked off: of each place everything before a position.
    pub fn is_history(&mut self, before: impl Fn(Place) -> i64) {
        self.readings.iter_mut().for_each(|reading| reading.history = reading.offset < before(reading.place));
        self.bad.iter_mut().for_each(|bad| bad.history = bad.offset < before(bad.place));
    }

    /// Notes that some offsets of a log are no more.
    pub fn gone(&mut self, place: Place, which: impl Fn(i64) -> bool) {
        let readings = self.readings.iter_mut().filter(|reading| reading.place == place && which(reading.offset));
        readings.for_each(|reading| reading.exists = false);
        let bad = self.bad.iter_mut().filter(|bad| bad.place == place && which(bad.offset));
        bad.for_each(|bad| bad.exists = false);
    }

    /// Notes that a position is durable, in this life of the process. What is gone and was read in another one is none
    /// of it.
    pub fn stands(&mut self, place: Place, (incarnation, at): (Incarnation, i64), life: u32) {
        let is_passed = |of: Place, offset: i64, (by, read_in): (u32, Incarnation), exists: bool| {
            (of, read_in) == (place, incarnation) && offset < at && by > 0 && (exists || by == life)
        };
        for reading in &mut self.readings {
            let read = (reading.handed_out, reading.incarnation);
            reading.durable |= is_passed(reading.place, reading.offset, read, reading.exists);
        }
        for bad in &mut self.bad {
            bad.durable |= is_passed(bad.place, bad.offset, (bad.handed_out, bad.incarnation), bad.exists);
        }
    }

    /// What a dead letter is about, by where its record stood and by what is left of it.
    pub fn pieces(&self, at: (Place, i64, Option<usize>), is_late: bool, value: &[u8]) -> Vec<Piece> {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let marked = text.split_once('#').map(|(_, rest)| rest.trim_end_matches(['"', '}']));
        if let Some(number) = marked.and_then(|number| number.parse().ok()) {
            return vec![Piece::Bad(number)];
        }
        if let Ok(Numbered { n }) = serde_json::from_str(text) {
            return vec![Piece::Reading(n)];
        }
        // The broker took no more than the bare facts, and several records may have stood there.
        if is_late {
            let of = self.readings.iter().enumerate().filter(|(_, reading)| reading.handed_out > 0);
            let of = of.filter(|(_, reading)| (reading.place, reading.offset, None) == at);
            of.map(|(number, _)| Piece::Reading(number)).collect()
        } else {
            let of = self.bad.iter().enumerate().filter(|(_, bad)| bad.handed_out > 0);
            let of = of.filter(|(_, bad)| (bad.place, bad.offset, bad.element) == at);
            of.map(|(number, _)| Piece::Bad(number)).collect()
        }
    }

    /// Notes an input that a module is called with. Where nothing outlives a life it is made of what was handed out in
    /// this `life`.
    ///
    /// # Errors
    /// What is wrong with it: not whole, made of what was never handed out, or a hash that does not tell inputs apart.
    pub fn called(&mut self, life: Option<u32>, input: &ModuleInput) -> Result<Arc<Content>, String> {
        let content = Arc::new(content(input)?);
        let hash = input.input_hash.to_string();
        let content_of = content.numbers();
        for &number in &content_of {
            self.readings.get_mut(number).into_iter().for_each(|reading| reading.known = true);
            let known = self.readings.get(number).filter(|reading| reading.handed_out > 0);
            let known = known.filter(|reading| life.is_none_or(|life| reading.handed_out == life));
            if known.is_none_or(|reading| !reading.concerns(content.station)) {
                return Err(format!("invented: {content:?} holds reading {number}, which was not handed out"));
            }
        }
        // Where records are gone others may stand at their place: only whoever knew them could tell the two apart.
        let is_gone = |content: &Content| content.numbers().iter().any(|number| !self.readings[*number].exists);
        let known = self.inputs.get(&hash).filter(|known| ***known != *content && !is_gone(known));
        let first = self.hashes.get(&content).filter(|first| **first != hash);
        if known.is_some() || first.is_some() {
            return Err(format!("input hash: {content:?} has {hash}, which is of {known:?}; first it had {first:?}"));
        }
        self.inputs.insert(hash.clone(), Arc::clone(&content));
        self.hashes.insert(Arc::clone(&content), hash);
        Ok(content)
    }

    /// The input of this hash that a module was called with.
    pub fn input(&self, hash: &str) -> Option<Arc<Content>> {
        self.inputs.get(hash).cloned()
    }

    /// The hash of an input that a module was called with.
    pub fn hash(&self, content: &Content) -> Option<&str> {
        self.hashes.get(content).map(String::as_str)
    }

    /// What tells a run from others of its module and station, where it is handed something of its own.
    pub fn trigger(&self, content: &Content) -> Option<Trigger> {
        match (content.module, &content.orders) {
            (TALLY, Some((from, _))) => Some(from.to_string()),
            _ => content.handed().map(|number| self.readings[number].trigger()),
        }
    }

    /// Whether the run of a price has ended, or `task` is done with its key.
    pub fn is_worked_off(&self, number: usize, station: usize) -> bool {
        let is_done = |outcome: &Outcome| {
            let price = outcome.content.price;
            price == Some(number) || (outcome.is_result && price.map(key) == Some(key(number)))
        };
        self.outcomes(TASK, station).iter().any(is_done)
    }

    /// Whether a run of a module, of which each load is one, has ended for this one.
    pub fn is_handed_over(&self, module: usize, load: usize) -> bool {
        let is_its = |outcome: &Outcome| outcome.content.load == Some(load);
        self.outcomes(module, self.readings[load].station).iter().any(is_its)
    }

    pub fn outcomes(&self, module: usize, station: usize) -> &[Outcome] {
        self.outcomes.get(&(module, station)).map_or(&[], Vec::as_slice)
    }
}

fn content(input: &ModuleInput) -> Result<Content, String> {
    let module = MODULES.iter().position(|name| **name == *input.module).ok_or("an unknown module")?;
    let station = STATIONS.iter().position(|id| *id == input.station.as_str()).ok_or("an unknown station")?;
    let mut content = Content { module, station, load: None, price: None, tariff: None, pair: None, orders: None };
    for part in &input.inputs {
        let wrong = |error: &dyn std::fmt::Display| format!("{} of {}: {error}", part.topic, input.module);
        match (&*part.topic, &part.value) {
            ("LOAD", Value::Reading(reading)) => {
                content.load = Some(reading.parse::<Numbered>().map_err(|error| wrong(&error))?.n);
            }
            ("PRICE", Value::Reading(reading)) => {
                content.price = Some(reading.parse::<Numbered>().map_err(|error| wrong(&error))?.n);
            }
            ("TARIFF", Value::Reading(reading)) => {
                content.tariff = Some(reading.parse::<Numbered>().map_err(|error| wrong(&error))?.n);
            }
            ("pair", Value::Reading(reading)) => {
                content.pair = Some(reading.parse::<Pair>().map_err(|error| wrong(&error))?);
            }
            ("ORDER", Value::Bucket(bucket)) => {
                let numbers = bucket.readings.iter().map(|reading| reading.parse::<Numbered>().map(|order| order.n));
                let numbers = numbers.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error))?;
                content.orders = Some((bucket.from.0, numbers));
            }
            (_, value) => return Err(wrong(&format!("unexpected value {value:?}"))),
        }
    }
    let whole = match module {
        PAIR | OFFER => content.load.is_some() && content.price.is_some(),
        AFTER => content.load.is_some() && content.pair.is_some(),
        EACH => content.load.is_some(),
        RATE => content.load.is_some() && content.tariff.is_some(),
        SIGN => content.tariff.is_some(),
        TASK => content.price.is_some(),
        _ => content.orders.is_some(),
    };
    if whole { Ok(content) } else { Err(format!("incomplete: {content:?}")) }
}
