//! What is left when all is done: nothing owed, no panic, a state that nobody had to throw away, little memory taken.

use super::{Breach, Rules};
use crate::history::History;

/// The most memory that a service may ever have held. A debug build takes some 25 MiB with these stations, and the store's
/// cache and what is prefetched may grow to their bounds in a long run.
const MEMORY_KIB: u64 = 150 * 1024;

pub fn at_rest(history: &History, rules: &Rules) -> Vec<Breach> {
    let mut unwanted = vec!["panicked"];
    if rules.losses == 0 {
        unwanted.push("set aside");
    }
    let is_unwanted = |line: &&str| unwanted.iter().any(|words| line.contains(words));
    let lines = history.logs.lines().filter(is_unwanted);
    let mut breaches: Vec<Breach> = lines.map(|line| Breach::Logged { line: line.to_owned() }).collect();
    let peak_kib = history.peak_kib;
    breaches.extend((peak_kib > MEMORY_KIB + rules.more_memory_mib * 1024).then_some(Breach::Memory { peak_kib }));
    breaches.extend((history.owed > 0).then_some(Breach::Owed { entries: history.owed }));
    breaches
}
