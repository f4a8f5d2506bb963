//! What went in and what came out: every reading that was ever produced, every input a module was given, every result
//! and dead letter that reached Kafka. It survives crashes, because it is what the world has seen.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use quorate_core::contract::{ModuleInput, Value};
use quorate_core::ident::Millis;
use serde::{Deserialize, Serialize};

use super::broker::Place;
use super::disk::Trigger;

pub const STATIONS: [&str; 3] = ["S0", "S1", "S2"];

/// The modules in the order of the plan: `pair` needs a load and a price, `after` a load and the result of `pair`,
/// `tally` each closed bucket of orders, `each` every load.
pub const MODULES: [&str; 4] = ["pair", "after", "tally", "each"];
pub const PAIR: usize = 0;
pub const AFTER: usize = 1;
pub const TALLY: usize = 2;
pub const EACH: usize = 3;

/// Length of a bucket of orders, and how long after its end it closes, in milliseconds.
pub const BUCKET_MS: i64 = 1_000;
pub const CLOSE_AFTER_MS: i64 = 1_000;

/// A reading; its number is its place in [`Ledger::readings`].
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub place: Place,
    pub offset: i64,
    pub element: usize,
    pub at: Millis,
    pub station: usize,
    /// The life in which it was last handed to the pipeline; 0 is none.
    pub handed_out: u32,
}

impl Reading {
    /// Of two readings for the same window the one of higher rank counts.
    pub fn rank(&self) -> (Millis, usize, i64, usize) {
        (self.at, self.place.partition, self.offset, self.element)
    }

    /// What tells its run from others, where it is one of its own.
    pub fn trigger(&self) -> Trigger {
        format!("{}/{}/{}/{}", self.place.name(), self.place.partition, self.offset, self.element)
    }

    /// The beginning of its bucket.
    pub fn bucket(&self) -> i64 {
        self.at.0.div_euclid(BUCKET_MS) * BUCKET_MS
    }
}

/// Something that cannot be decoded: a whole record, or an element of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bad {
    pub place: Place,
    pub offset: i64,
    pub element: Option<usize>,
}

/// What a module was given, by the numbers of the readings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    pub module: usize,
    pub station: usize,
    pub load: Option<usize>,
    pub price: Option<usize>,
    pub pair: Option<Pair>,
    /// Where the bucket begins, and what is in it.
    pub orders: Option<(i64, Vec<usize>)>,
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
}

#[derive(Default)]
pub struct Ledger {
    pub readings: Vec<Reading>,
    pub bad: Vec<Bad>,
    /// Per (module, station), in the order in which they reached Kafka.
    pub outcomes: HashMap<(usize, usize), Vec<Outcome>>,
    /// Readings and other pieces of records that have a dead letter.
    pub letters: HashSet<Bad>,
    /// Orders that are in the input of a run that has ended, by number.
    pub tallied: HashSet<usize>,
    inputs: HashMap<String, Arc<Content>>,
    hashes: HashMap<Arc<Content>, String>,
}

impl Ledger {
    /// The next reading's number.
    pub fn next_number(&self) -> usize {
        self.readings.len()
    }

    /// Notes that a record was handed to the pipeline.
    pub fn handed_out(&mut self, place: Place, offset: i64, life: u32) {
        let of = self.readings.iter_mut().rev().filter(|reading| (reading.place, reading.offset) == (place, offset));
        of.for_each(|reading| reading.handed_out = life);
    }

    /// Notes an input that a module is called with. Where nothing outlives a life it is made of what was handed out in
    /// this `life`.
    ///
    /// # Errors
    /// What is wrong with it: not whole, made of what was never handed out, or a hash that does not tell inputs apart.
    pub fn called(&mut self, life: Option<u32>, input: &ModuleInput) -> Result<Arc<Content>, String> {
        let content = Arc::new(content(input)?);
        let hash = input.input_hash.to_string();
        let numbers = [content.load, content.price].into_iter().flatten();
        let orders = content.orders.iter().flat_map(|(_, orders)| orders.iter().copied());
        for number in numbers.chain(orders) {
            let known = self.readings.get(number).filter(|reading| reading.handed_out > 0);
            let known = known.filter(|reading| life.is_none_or(|life| reading.handed_out == life));
            if known.is_none_or(|reading| reading.station != content.station) {
                return Err(format!("invented: {content:?} holds reading {number}, which was not handed out"));
            }
        }
        let known = self.inputs.entry(hash.clone()).or_insert_with(|| Arc::clone(&content));
        let first = self.hashes.entry(Arc::clone(&content)).or_insert_with(|| hash.clone());
        if *known != content || *first != hash {
            return Err(format!("input hash: {content:?} has {hash}, which is of {known:?}; first it had {first}"));
        }
        Ok(content)
    }

    /// The input of this hash that a module was called with.
    pub fn input(&self, hash: &str) -> Option<Arc<Content>> {
        self.inputs.get(hash).cloned()
    }

    /// What tells a run from others of its module and station, where it is handed something of its own.
    pub fn trigger(&self, content: &Content) -> Option<Trigger> {
        match (content.module, &content.orders, content.load) {
            (TALLY, Some((from, _)), _) => Some(from.to_string()),
            (EACH, _, Some(load)) => Some(self.readings[load].trigger()),
            _ => None,
        }
    }

    pub fn outcomes(&self, module: usize, station: usize) -> &[Outcome] {
        self.outcomes.get(&(module, station)).map_or(&[], Vec::as_slice)
    }
}

fn content(input: &ModuleInput) -> Result<Content, String> {
    let module = MODULES.iter().position(|name| **name == *input.module).ok_or("an unknown module")?;
    let station = STATIONS.iter().position(|id| *id == input.station.as_str()).ok_or("an unknown station")?;
    let mut content = Content { module, station, load: None, price: None, pair: None, orders: None };
    for part in &input.inputs {
        let wrong = |error: &dyn std::fmt::Display| format!("{} of {}: {error}", part.topic, input.module);
        match (&*part.topic, &part.value) {
            ("LOAD", Value::Reading(reading)) => {
                content.load = Some(reading.parse::<Numbered>().map_err(|error| wrong(&error))?.n);
            }
            ("PRICE", Value::Reading(reading)) => {
                content.price = Some(reading.parse::<Numbered>().map_err(|error| wrong(&error))?.n);
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
        PAIR => content.load.is_some() && content.price.is_some(),
        AFTER => content.load.is_some() && content.pair.is_some(),
        EACH => content.load.is_some(),
        _ => content.orders.is_some(),
    };
    if whole { Ok(content) } else { Err(format!("incomplete: {content:?}")) }
}
