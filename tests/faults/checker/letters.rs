//! Dead letters: one for each record that cannot be read, with the reason that it was sent with, and none for others but
//! readings that came too late for their bucket. Again only by a service that starts after a death or gets partitions back.

use std::collections::{BTreeMap, BTreeSet};

use super::rebuilt::Rebuilt;
use super::{Breach, Rules};
use crate::history::{History, Produced, Role};

pub fn deserved(history: &History, rebuilt: &[Rebuilt<'_>], rules: &Rules) -> Vec<Breach> {
    let records: BTreeMap<String, &Produced> =
        history.produced.iter().map(|record| (record.origin(), record)).collect();
    let buckets = rebuilt.iter().filter_map(|rebuilt| rebuilt.windows.get(&Role::Curve));
    let handed_over: BTreeSet<String> = buckets.flatten().map(|record| record.origin()).collect();
    let mut told: BTreeMap<&str, u32> = BTreeMap::new();
    let mut breaches = Vec::new();
    for letter in &history.letters {
        let record = letter.origin.as_ref().and_then(|origin| records.get_key_value(origin));
        let breach = match record {
            Some((origin, record)) if record.fault.is_some() => {
                *told.entry(origin).or_default() += 1;
                let wanted = record.fault.unwrap_or_default();
                (letter.reason != wanted).then(|| Breach::WrongReason {
                    origin: origin.clone(),
                    wanted,
                    got: letter.reason.clone(),
                })
            }
            Some((origin, record)) if rules.late && is_late(record, &letter.reason, &handed_over, rules) => {
                *told.entry(origin).or_default() += 1;
                None
            }
            _ => Some(Breach::LetterForGood { origin: letter.origin.clone(), reason: letter.reason.clone() }),
        };
        breaches.extend(breach);
    }
    let bad = records.iter().filter(|(_, record)| record.fault.is_some());
    let missing = bad.filter(|(origin, _)| !told.contains_key(origin.as_str()));
    breaches.extend(missing.map(|(origin, _)| Breach::NoLetter { origin: origin.clone() }));
    let again = read_again(&history.logs);
    // One may be kept a moment before the position behind its record: the next life writes it again and, once it reads the
    // record again, once more. Each life may leave one more than the one before.
    let lives = rules.most_times();
    let most =
        |origin: &str| lives * (lives + 1) / 2 + records.get(origin).and_then(|of| again.get(&*of.topic)).unwrap_or(&0);
    let too_often = told.into_iter().filter(|(origin, times)| *times > most(origin));
    breaches.extend(too_often.map(|(origin, times)| Breach::LettersRepeated { origin: origin.to_owned(), times }));
    breaches
}

/// How often partitions of a topic were taken away from a service that was not about to end. What it reads of them
/// afterwards begins at what is durable: readings between that and what it knew change nothing when they come again, but
/// who cannot be read is told of again. No more is promised than that each letter is written at least once.
fn read_again(logs: &str) -> BTreeMap<&str, u32> {
    let (mut again, mut is_ending) = (BTreeMap::new(), false);
    for line in logs.lines() {
        is_ending = line.contains(" draining ") || is_ending && !line.contains(" starting consumers ");
        let topic = line.split_once(" partitions revoked topic=\"").and_then(|(_, rest)| rest.split('"').next());
        if let Some(topic) = topic.filter(|_| !is_ending) {
            *again.entry(topic).or_default() += 1;
        }
    }
    again
}

/// Whether it may have come too late. Which readings a bucket closes without is not durable before they are told of: only
/// after a death may one be told of that is handed over all the same.
fn is_late(record: &Produced, reason: &str, handed_over: &BTreeSet<String>, rules: &Rules) -> bool {
    let is_handed_over = handed_over.contains(&record.origin());
    reason == "late" && record.role == Role::Curve && (!is_handed_over || rules.deaths > 0)
}
