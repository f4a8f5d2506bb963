//! Readings grouped by time: every group is handed over, whole, and again only as the same.

use std::collections::{BTreeMap, BTreeSet};

use super::{Breach, Rules};
use crate::config::{BUCKET_MS, BUCKETS};
use crate::history::{History, Produced, Published, Role};

/// A station and the start of its bucket.
type Bucket = (String, i64);

fn handed(history: &History) -> impl Iterator<Item = (Bucket, &Published)> {
    let of_buckets = history.published.iter().filter(|result| result.module == BUCKETS);
    of_buckets.map(|result| {
        let from = result.trigger.as_ref().and_then(|from| from.parse().ok());
        ((result.station.clone(), from.unwrap_or(i64::MIN)), result)
    })
}

/// The numbers of the readings in a result's bucket.
fn numbers(result: &Published) -> BTreeSet<u64> {
    let inputs = result.output["inputs"].as_object();
    let values = inputs.into_iter().flat_map(|inputs| inputs.values());
    let readings = values.filter_map(|input| input["value"]["readings"].as_array()).flatten();
    readings.filter_map(|reading| reading["n"].as_u64()).collect()
}

/// The bucket that a record's reading belongs to, and its number.
fn place(record: &Produced) -> Option<(Bucket, u64)> {
    let (station, number) = record.reading.clone().filter(|_| record.role == Role::Curve)?;
    Some(((station, record.ts.div_euclid(BUCKET_MS) * BUCKET_MS), number))
}

/// Every reading is in the bucket of its time, or was declared late.
pub fn handed_over(history: &History, rules: &Rules) -> Vec<Breach> {
    let mut wanted: BTreeMap<Bucket, BTreeSet<u64>> = BTreeMap::new();
    for (bucket, number) in history.produced.iter().filter_map(place) {
        wanted.entry(bucket).or_default().insert(number);
    }
    let mut got: BTreeMap<Bucket, BTreeSet<u64>> = BTreeMap::new();
    handed(history).for_each(|(bucket, result)| got.entry(bucket).or_default().extend(numbers(result)));
    let late = declared_late(history);
    let mut breaches = Vec::new();
    for ((station, from), wanted) in &wanted {
        let (bucket, none) = ((station.clone(), *from), BTreeSet::new());
        let (station, from) = (station.clone(), *from);
        let got = got.get(&bucket);
        if rules.late {
            let lost = wanted.iter().filter(|number| !got.unwrap_or(&none).contains(number) && !late.contains(number));
            breaches.extend(lost.map(|number| Breach::ReadingLost { station: station.clone(), from, number: *number }));
        } else if got.is_none() {
            breaches.push(Breach::NoBucket { station, from });
        } else if let Some(missing) = Some(difference(wanted, got.unwrap_or(&none))).filter(|list| !list.is_empty()) {
            breaches.push(Breach::BucketDiffers { station, from, missing, foreign: Vec::new() });
        }
    }
    let none = BTreeSet::new();
    for (bucket, got) in got {
        let foreign = difference(&got, wanted.get(&bucket).unwrap_or(&none));
        if !foreign.is_empty() || got.is_empty() {
            let (station, from) = bucket;
            breaches.push(Breach::BucketDiffers { station, from, missing: Vec::new(), foreign });
        }
    }
    breaches
}

fn difference(of: &BTreeSet<u64>, without: &BTreeSet<u64>) -> Vec<u64> {
    of.difference(without).copied().collect()
}

/// The numbers of readings that came too late.
fn declared_late(history: &History) -> BTreeSet<u64> {
    let late = history.letters.iter().filter(|letter| letter.reason == "late");
    let origins: BTreeSet<&str> = late.filter_map(|letter| letter.origin.as_deref()).collect();
    let declared = history.produced.iter().filter(|record| origins.contains(record.origin().as_str()));
    declared.filter_map(|record| record.reading.as_ref().map(|(_, number)| *number)).collect()
}

/// A bucket handed over again holds the same readings, unless two services each had their part of it.
pub fn repeats(history: &History, rules: &Rules) -> Vec<Breach> {
    if rules.shared {
        return Vec::new();
    }
    let mut first: BTreeMap<Bucket, &Published> = BTreeMap::new();
    let mut breaches = Vec::new();
    for (bucket, result) in handed(history) {
        let first = first.entry(bucket.clone()).or_insert(result);
        if first.hash != result.hash || first.output != result.output {
            breaches.push(Breach::RepeatDiffers { station: bucket.0, from: bucket.1 });
        }
    }
    breaches
}
