//! What is published again: only by a service that starts after a death, and by each such service once.

use std::collections::BTreeMap;

use super::{Breach, Rules};
use crate::config::LATEST;
use crate::history::History;

/// Results that are the same, by their trigger and by the hash of their input: one, and one more for each time that the
/// end of a run may not have become durable.
pub fn results(history: &History, rules: &Rules) -> Vec<Breach> {
    let mut times: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
    for result in &history.published {
        let trigger = result.trigger.as_deref().filter(|_| result.module != LATEST);
        for same in [Some(result.hash.as_str()), trigger].into_iter().flatten() {
            *times.entry((&result.module, &result.station, same)).or_default() += 1;
        }
    }
    let too_often = times.into_iter().filter(|(_, times)| *times > rules.most_times());
    let repeated = too_often.map(|((module, station, same), times)| {
        let (module, station, same) = (module.to_owned(), station.to_owned(), same.to_owned());
        Breach::Repeated { module, station, same, times }
    });
    repeated.collect()
}
