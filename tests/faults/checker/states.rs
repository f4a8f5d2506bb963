//! Results that replace each other: the last one is right, none is older than the one before it, and each says truly
//! what it was made from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Breach, Rules};
use crate::config::LATEST;
use crate::history::{History, Place, Published, Role, Source};
use crate::model::Model;

fn states(history: &History) -> impl Iterator<Item = &Published> {
    history.published.iter().filter(|result| result.module == LATEST)
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

/// No result is made from less of a partition than the one before it.
pub fn order(history: &History, rules: &Rules) -> Vec<Breach> {
    let mut known: BTreeMap<&str, &Published> = BTreeMap::new();
    let mut breaches = Vec::new();
    for result in states(history) {
        if let Some(before) = known.insert(&result.station, result) {
            let comparable = |source: &&Source| !rules.recreated.contains(&source.place.0);
            for before in before.lineage.iter().filter(comparable) {
                let after = result.lineage.iter().find(|after| after.place == before.place);
                if let Some(after) = after.filter(|after| after.to < before.to) {
                    let (station, before, after) = (result.station.clone(), before.clone(), after.clone());
                    breaches.push(Breach::WentBack { station, before, after });
                }
            }
        }
    }
    breaches
}

/// Lineage begins and ends with records that were produced and could be read.
pub fn lineage(history: &History) -> Vec<Breach> {
    let mut produced: BTreeMap<Place, BTreeSet<i64>> = BTreeMap::new();
    for record in history.produced.iter().filter(|record| record.reading.is_some()) {
        produced.entry((record.topic.clone(), record.partition)).or_default().insert(record.offset);
    }
    let mut breaches = Vec::new();
    for result in &history.published {
        for source in &result.lineage {
            let known = |offset| produced.get(&source.place).is_some_and(|offsets| offsets.contains(&offset));
            if source.from > source.to || !known(source.from) || !known(source.to) {
                breaches.push(Breach::Invented { station: result.station.clone(), source: source.clone() });
            }
        }
    }
    breaches
}

/// Equal hash and equal output mean each other: every reading has a number of its own.
pub fn hashes(history: &History) -> Vec<Breach> {
    let mut by_hash: BTreeMap<(&str, &str, &str), &Published> = BTreeMap::new();
    let mut by_output: BTreeMap<(&str, &str, String), &Published> = BTreeMap::new();
    let mut breaches = Vec::new();
    for result in &history.published {
        let (module, station) = (result.module.as_str(), result.station.as_str());
        let same_hash = by_hash.entry((module, station, &result.hash)).or_insert(result);
        let same_output = by_output.entry((module, station, result.output.to_string())).or_insert(result);
        let differs = same_hash.output != result.output || same_output.hash != result.hash;
        if differs {
            let hashes = (same_output.hash.clone(), result.hash.clone());
            breaches.push(Breach::HashLies { station: result.station.clone(), hashes });
        }
    }
    breaches
}
