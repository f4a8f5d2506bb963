//! Committed offsets: never back, never beyond the log, and at its end once all is settled.

use super::{Breach, Rules};
use crate::history::{History, Left};

/// What was seen while the scenario went on.
pub fn watched(history: &History, rules: &Rules) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (topic, seen) in &history.seen {
        // A broker that is away or frozen for part of a scenario says nothing meanwhile, and each try takes its time.
        if seen.looks == 0 || seen.looks * 2 < seen.tries {
            breaches.push(Breach::HardlySeen { topic: topic.clone(), tries: seen.tries, looks: seen.looks });
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

/// What was committed when a service had ended was durable in its store, and there were such records.
pub fn durable(history: &History) -> Vec<Breach> {
    let in_order = |left: &&Left| left.committed <= left.stored && left.stored <= left.end;
    let out_of_order = history.left.iter().filter(|left| !in_order(left));
    out_of_order.map(|left| Breach::NotDurable { left: left.clone() }).collect()
}

/// What was committed in the end.
pub fn settled(history: &History) -> Vec<Breach> {
    let open = history.settled.iter().filter(|(_, (committed, end))| committed != end);
    open.map(|(place, &(committed, end))| Breach::Lag { place: place.clone(), committed, end }).collect()
}
