//! Committed offsets: never back, never beyond the log, and at its end once all is settled.

use super::{Breach, Rules};
use crate::history::History;

/// What was seen while the scenario went on.
pub fn watched(history: &History, rules: &Rules) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (topic, seen) in &history.seen {
        if seen.looks == 0 {
            breaches.push(Breach::NeverSeen { topic: topic.clone() });
        }
        if rules.recreated.contains(topic) {
            continue;
        }
        let back = seen.back.iter().filter(|_| !rules.foreign);
        breaches.extend(back.map(|&(partition, before, after)| Breach::OffsetBack {
            topic: topic.clone(),
            partition,
            before,
            after,
        }));
        breaches.extend(seen.beyond.iter().map(|&(partition, committed, end)| Breach::OffsetBeyond {
            topic: topic.clone(),
            partition,
            committed,
            end,
        }));
    }
    breaches
}

/// What was committed in the end.
pub fn settled(history: &History) -> Vec<Breach> {
    let open = history.settled.iter().filter(|(_, (committed, end))| committed != end);
    open.map(|(place, &(committed, end))| Breach::Lag { place: place.clone(), committed, end }).collect()
}
