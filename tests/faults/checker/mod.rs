//! Judges a scenario: what was published against what was produced, by the promises of the service. Pure; knows neither
//! broker nor process. Each rule is a function that returns what breaks it.

mod buckets;
mod letters;
mod offsets;
mod rebuilt;
mod repeats;
mod rest;
mod states;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::history::{History, Left, Place, Source};
use crate::model::Model;
use rebuilt::Records;

/// What a scenario may excuse.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// A reading may have come after its bucket had to be closed, because nothing arrived for a while.
    pub late: bool,
    /// Topics that were deleted and created again: offsets begin anew, and a hash tells the two apart.
    pub recreated: BTreeSet<String>,
    /// Somebody else commits for the groups: their offsets may go back to where the service stands.
    pub foreign: bool,
    /// Stations that were forgotten, each at a moment after its last reading that nobody knows: what is global may have
    /// changed for them once more, or not.
    pub forgotten: BTreeSet<String>,
    /// Two services each had partitions of a topic at the same time.
    pub shared: bool,
    /// Memory that records of many megabytes take on top of what a service may take otherwise, in MiB.
    pub more_memory_mib: u64,
    /// How often a service was killed, died or ended with another code than 0. The scenario counts them itself.
    pub deaths: u32,
    /// How often the state was lost, and with it what had been done.
    pub losses: u32,
    /// Windows of orders were made wider in the middle, by so many.
    pub wider_by: usize,
}

impl Rules {
    /// How often the same may be published. Of two services each publishes what it had its part in: what the one has read
    /// is read again by the other, whose store knows nothing of it.
    fn most_times(&self) -> u32 {
        1 + self.deaths + self.losses + u32::from(self.shared)
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq)]
pub enum Breach {
    /// A complete station has no result.
    NoResult { station: String },
    /// A station's last result is not what its readings come to.
    LastDiffers { station: String, wanted: String, got: String },
    /// Replay and the fold by hand do not agree on a station's last result.
    ModelDiffers { station: String, wanted: String, got: String },
    /// A station's result does not know readings that the one before it knew, and nothing newer stands in their place.
    WentBack { station: String, missing: Vec<String> },
    /// A result that was not made of everything that its module requires.
    Incomplete { module: String, station: String },
    /// What a result says of an input, or of where that came from, is not what the records come to that it names.
    NotRebuilt { module: String, station: String, topic: String, wanted: String, got: String },
    /// A result of a station or module that nobody sent anything for.
    Unasked { module: String, station: String },
    /// Lineage names a record that was never produced.
    Invented { station: String, source: Source },
    /// Two results are equal in one of hash and output, and differ in the other.
    HashLies { station: String, hashes: (String, String) },
    /// A bucket was never handed over.
    NoBucket { station: String, from: i64 },
    /// A bucket does not hold the readings of its time.
    BucketDiffers { station: String, from: i64, missing: Vec<u64>, foreign: Vec<u64> },
    /// A bucket handed over again is another one.
    RepeatDiffers { station: String, from: i64 },
    /// A reading is neither in a bucket nor a dead letter.
    ReadingLost { station: String, from: i64, number: u64 },
    /// A task has no result of its own.
    NoTask { origin: String },
    /// A result for a task that nobody sent, or of another one than it says.
    TaskDiffers { station: String, trigger: Option<String> },
    /// A station's task was worked on first after one that came later.
    TaskOutOfOrder { station: String, trigger: String },
    /// The same was published more often than services died.
    Repeated { module: String, station: String, same: String, times: u32 },
    /// An unreadable record has no dead letter.
    NoLetter { origin: String },
    /// A dead letter that does not say what is wrong with its record.
    WrongReason { origin: String, wanted: &'static str, got: String },
    /// More dead letters for one record than services died.
    LettersRepeated { origin: String, times: u32 },
    /// A dead letter for something that could be read.
    LetterForGood { origin: Option<String>, reason: String },
    /// Somebody looked for a group's offsets, mostly in vain.
    HardlySeen { topic: String, tries: usize, looks: usize },
    /// After the end of a service more was committed than stored, or more stored than there was.
    NotDurable { left: Left },
    /// A committed offset went back.
    OffsetBack { topic: String, partition: i32, before: i64, after: i64 },
    /// A committed offset was beyond the end of the log.
    OffsetBeyond { topic: String, partition: i32, committed: i64, end: i64 },
    /// Something was never settled.
    Lag { place: Place, committed: i64, end: i64 },
    /// Something was logged that no service should ever have to say.
    Logged { line: String },
    /// A service held more memory than it may.
    Memory { peak_kib: u64 },
    /// All is done, and the store says that something is not.
    Owed { entries: u64 },
}

/// Whether everything that is handed over one by one has been.
pub fn is_handed_over(history: &History, rules: &Rules) -> bool {
    buckets::handed_over(history, rules).is_empty() && tasks::worked_on(history).is_empty()
}

/// Everything that was broken.
pub fn check(history: &History, model: &Model, rules: &Rules) -> Vec<Breach> {
    let records = Records::of(history);
    let (rebuilt, mut breaches) = records.rebuild(history, rules);
    breaches.extend(states::second_opinion(history, &records, model, rules));
    breaches.extend(states::last_results(history, model, rules));
    breaches.extend(states::order(&rebuilt));
    breaches.extend(states::lineage(history, rules));
    breaches.extend(states::hashes(history));
    breaches.extend(buckets::handed_over(history, rules));
    breaches.extend(buckets::repeats(history, rules));
    breaches.extend(tasks::worked_on(history));
    breaches.extend(tasks::order(history));
    breaches.extend(repeats::results(history, rules));
    breaches.extend(letters::deserved(history, &rebuilt, rules));
    breaches.extend(offsets::watched(history, rules));
    breaches.extend(offsets::durable(history));
    breaches.extend(offsets::settled(history));
    breaches.extend(rest::at_rest(history, rules));
    breaches
}
