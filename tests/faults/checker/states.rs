//! Results that replace each other: the last one is right, none is older than the one before it, and each says truly
//! what it was made from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::rebuilt::{self, Rebuilt, Records};
use super::{Breach, Rules};
use crate::config::LATEST;
use crate::history::{History, Place, Produced, Published, Role};
use crate::model::Model;

fn states(history: &History) -> impl Iterator<Item = &Published> {
    history.published.iter().filter(|result| result.module == LATEST)
}

/// The two ways to work out last results, by replay and by hand, come to the same. Only replay forgets stations.
pub fn second_opinion(history: &History, records: &Records<'_>, model: &Model, rules: &Rules) -> Vec<Breach> {
    let (mut second, global) = (records.last(rules), global(history));
    let mut breaches = Vec::new();
    for (station, last) in model {
        let mut opinions = (second.remove(station.as_str()).unwrap_or_default(), last.output.clone());
        if rules.forgotten.contains(station) {
            opinions = (without(&opinions.0, &global), without(&opinions.1, &global));
        }
        let (wanted, got) = (opinions.0.to_string(), opinions.1.to_string());
        if opinions.0 != opinions.1 {
            breaches.push(Breach::ModelDiffers { station: station.clone(), wanted, got });
        }
    }
    let unknown = second.into_iter().map(|(station, by_hand)| (station.to_owned(), by_hand.to_string()));
    breaches.extend(unknown.map(|(station, wanted)| Breach::ModelDiffers {
        station,
        wanted,
        got: Value::Null.to_string(),
    }));
    breaches
}

/// A station's last result is the fold of everything that was sent.
pub fn last_results(history: &History, model: &Model, rules: &Rules) -> Vec<Breach> {
    let last: BTreeMap<&str, &Published> = states(history).map(|result| (result.station.as_str(), result)).collect();
    let global = global(history);
    let mut breaches = Vec::new();
    for (station, wanted) in model {
        let station = station.clone();
        let Some(got) = last.get(station.as_str()) else {
            breaches.push(Breach::NoResult { station });
            continue;
        };
        if rules.forgotten.contains(&station) {
            let (wanted, got) = (without(&wanted.output, &global), without(&got.output, &global));
            if wanted != got {
                breaches.push(Breach::LastDiffers { station, wanted: wanted.to_string(), got: got.to_string() });
            }
        } else if got.output != wanted.output {
            breaches.push(Breach::LastDiffers {
                station,
                wanted: wanted.output.to_string(),
                got: got.output.to_string(),
            });
        } else if got.hash != wanted.hash && rules.recreated.is_empty() {
            breaches.push(Breach::LastDiffers { station, wanted: wanted.hash.clone(), got: got.hash.clone() });
        }
    }
    let unasked = last.values().filter(|result| !model.contains_key(&result.station));
    breaches.extend(
        unasked.map(|result| Breach::Unasked { module: result.module.clone(), station: result.station.clone() }),
    );
    breaches
}

/// Topics that are for all stations.
fn global(history: &History) -> BTreeSet<&str> {
    let of_all = history.produced.iter().filter(|record| record.role == Role::Calendar);
    of_all.map(|record| record.topic.as_str()).collect()
}

/// An output without what it says of some topics.
fn without(output: &Value, topics: &BTreeSet<&str>) -> Value {
    let mut output = output.clone();
    if let Some(inputs) = output.get_mut("inputs").and_then(Value::as_object_mut) {
        inputs.retain(|topic, _| !topics.contains(topic.as_str()));
    }
    output
}

/// A window only ever moves on: what a result was made of is what its readings and those of the one before it come to
/// together. A partition may go unnamed only when all that was read of it has been pushed out.
pub fn order(rebuilt: &[Rebuilt<'_>]) -> Vec<Breach> {
    let mut known: BTreeMap<&str, &Rebuilt<'_>> = BTreeMap::new();
    let mut breaches = Vec::new();
    for after in rebuilt.iter().filter(|rebuilt| rebuilt.result.module == LATEST) {
        let Some(before) = known.insert(&after.result.station, after) else { continue };
        for (role, window) in &after.windows {
            let Some(earlier) = before.windows.get(role) else { continue };
            let together: BTreeMap<_, &Produced> =
                earlier.iter().chain(window).map(|record| (rebuilt::order(record), *record)).collect();
            let mut wanted = rebuilt::kept(*role, together.into_values().collect(), 0);
            wanted.retain(|record| !window.iter().any(|read| rebuilt::order(read) == rebuilt::order(record)));
            if !wanted.is_empty() {
                let missing = wanted.iter().map(|record| record.origin()).collect();
                breaches.push(Breach::WentBack { station: after.result.station.clone(), missing });
            }
        }
    }
    breaches
}

/// Lineage begins and ends with records that were produced and could be read, in the life of their topic that it says.
pub fn lineage(history: &History, rules: &Rules) -> Vec<Breach> {
    let mut produced: BTreeMap<Place, BTreeSet<(u32, i64)>> = BTreeMap::new();
    for record in history.produced.iter().filter(|record| record.reading.is_some()) {
        let place = (record.topic.clone(), record.partition);
        produced.entry(place).or_default().insert((record.incarnation, record.offset));
    }
    let mut breaches = Vec::new();
    for result in &history.published {
        for source in &result.lineage {
            // A life that was not noticed yet is taken for the one before.
            let last = source.life + u32::from(rules.recreated.contains(&source.place.0));
            let known = |offset| {
                let places = produced.get(&source.place);
                places.is_some_and(|places| (source.life..=last).any(|life| places.contains(&(life, offset))))
            };
            if source.from > source.to || !known(source.from) || !known(source.to) {
                breaches.push(Breach::Invented { station: result.station.clone(), source: source.clone() });
            }
        }
    }
    breaches
}

/// Equal hash and equal output mean each other: every reading has a number of its own, unless a broker took it twice.
pub fn hashes(history: &History) -> Vec<Breach> {
    let mut by_hash: BTreeMap<(&str, &str, &str), &Published> = BTreeMap::new();
    let mut by_output: BTreeMap<(&str, &str, String), &Published> = BTreeMap::new();
    let mut breaches = Vec::new();
    let taken_twice = taken_twice(history);
    for result in &history.published {
        let (module, station) = (result.module.as_str(), result.station.as_str());
        let same_hash = by_hash.entry((module, station, &result.hash)).or_insert(result);
        let same_output = by_output.entry((module, station, result.output.to_string())).or_insert(result);
        let is_copy = taken_twice.contains("all") || taken_twice.contains(station);
        let differs = same_hash.output != result.output || same_output.hash != result.hash && !is_copy;
        if differs {
            let hashes = (same_output.hash.clone(), result.hash.clone());
            breaches.push(Breach::HashLies { station: result.station.clone(), hashes });
        }
    }
    breaches
}

/// Whose readings stand in the topics more than once.
fn taken_twice(history: &History) -> BTreeSet<&str> {
    let mut numbers = BTreeSet::new();
    let readings = history.produced.iter().filter_map(|record| record.reading.as_ref());
    readings.filter(|(_, number)| !numbers.insert(number)).map(|(owner, _)| owner.as_str()).collect()
}
