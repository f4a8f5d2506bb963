//! Dead letters: one or more for each record that cannot be read, and none for others but what came too late.

use std::collections::BTreeSet;

use super::{Breach, Rules};
use crate::history::{History, Letter};

pub fn of_bad_records(history: &History, rules: &Rules) -> Vec<Breach> {
    let bad = history.produced.iter().filter(|record| record.reading.is_none());
    let bad: BTreeSet<String> = bad.map(|record| record.origin()).collect();
    let told: BTreeSet<&str> = history.letters.iter().filter_map(|letter| letter.origin.as_deref()).collect();
    let missing = bad.iter().filter(|origin| !told.contains(origin.as_str()));
    let mut breaches: Vec<Breach> = missing.map(|origin| Breach::NoLetter { origin: origin.clone() }).collect();
    let deserved = |letter: &&Letter| {
        let is_bad = letter.origin.as_ref().is_some_and(|origin| bad.contains(origin));
        is_bad || (rules.late && letter.reason == "late")
    };
    breaches.extend(
        history
            .letters
            .iter()
            .filter(|letter| !deserved(letter))
            .map(|letter| Breach::LetterForGood { origin: letter.origin.clone(), reason: letter.reason.clone() }),
    );
    breaches
}
