//! Tasks: every one has a result of its own, which is that task, and a station's tasks are begun in their order.

use std::collections::{BTreeMap, BTreeSet};

use super::Breach;
use crate::config::TASKS;
use crate::history::{History, Produced, Published, Role};

fn results(history: &History) -> impl Iterator<Item = &Published> {
    history.published.iter().filter(|result| result.module == TASKS)
}

/// How a result names the task that it is for: the only reading of a record.
fn trigger(record: &Produced) -> String {
    format!("{}/0", record.origin())
}

fn tasks(history: &History) -> impl Iterator<Item = (&Produced, &str, u64)> {
    let of_role = history.produced.iter().filter(|record| record.role == Role::Task);
    of_role.filter_map(|record| {
        let (station, number) = record.reading.as_ref()?;
        Some((record, station.as_str(), *number))
    })
}

/// Every task has a result, and every result is a task.
pub fn worked_on(history: &History) -> Vec<Breach> {
    let sent: BTreeMap<String, (&str, u64)> =
        tasks(history).map(|(record, station, number)| (trigger(record), (station, number))).collect();
    let mut missing: BTreeSet<&String> = sent.keys().collect();
    let mut breaches = Vec::new();
    for result in results(history) {
        let task = result.trigger.as_ref().and_then(|trigger| sent.get_key_value(trigger));
        let number = result.output["value"]["n"].as_u64();
        match task {
            Some((trigger, &(station, n))) if station == result.station && number == Some(n) => {
                missing.remove(trigger);
            }
            _ => {
                breaches.push(Breach::TaskDiffers { station: result.station.clone(), trigger: result.trigger.clone() })
            }
        }
    }
    breaches.extend(missing.into_iter().map(|origin| Breach::NoTask { origin: origin.clone() }));
    breaches
}

/// Repeats aside, a station's results stand in the order of its tasks: a key has one partition.
pub fn order(history: &History) -> Vec<Breach> {
    let offsets: BTreeMap<String, i64> = tasks(history).map(|(record, ..)| (trigger(record), record.offset)).collect();
    let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
    let mut begun: BTreeSet<&String> = BTreeSet::new();
    let mut breaches = Vec::new();
    for result in results(history) {
        let Some((trigger, offset)) = result.trigger.as_ref().and_then(|trigger| offsets.get_key_value(trigger)) else {
            continue;
        };
        let newest = newest.entry(&result.station).or_insert(*offset);
        if begun.insert(trigger) && *offset < *newest {
            let (station, trigger) = (result.station.clone(), trigger.clone());
            breaches.push(Breach::TaskOutOfOrder { station, trigger });
        }
        *newest = (*newest).max(*offset);
    }
    breaches
}
