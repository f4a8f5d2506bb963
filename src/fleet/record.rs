//! What the fleet hands out, and the counts a feeder keeps of what it really sent. Knows no payload's contents.

use std::collections::BTreeMap;

use quorate_core::ident::Millis;

/// One record to produce. It has no key, as the real ones have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetRecord {
    /// The topic, one of [`Topic::ALL`](super::Topic::ALL).
    pub topic: &'static str,
    /// The value.
    pub payload: Vec<u8>,
    /// The record's timestamp, in simulated time.
    pub timestamp: Millis,
    /// Good readings in it.
    pub readings: u32,
    /// The reason of the one dead letter it causes: of the whole record when `readings` is 0, else of one element.
    pub bad: Option<&'static str>,
}

/// Counts of records that were sent, by topic. The feeder adds each record once it is produced, so that the counts are
/// exact also when it stops half-way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    topics: BTreeMap<&'static str, TopicTally>,
}

/// Counts of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicTally {
    /// Records sent.
    pub records: u64,
    /// Good readings in them.
    pub readings: u64,
    /// Payload bytes sent.
    pub bytes: u64,
    /// Dead letters to expect, by reason.
    pub dead_letters: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts a record that was sent.
    pub fn add(&mut self, record: &FleetRecord) {
        let topic = self.topics.entry(record.topic).or_default();
        topic.records += 1;
        topic.readings += u64::from(record.readings);
        topic.bytes += record.payload.len() as u64;
        if let Some(reason) = record.bad {
            *topic.dead_letters.entry(reason).or_default() += 1;
        }
    }

    /// The topics anything was sent to, by name.
    pub fn topics(&self) -> impl Iterator<Item = (&'static str, &TopicTally)> {
        self.topics.iter().map(|(name, tally)| (*name, tally))
    }

    /// The counts of one topic; none when nothing was sent to it.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&TopicTally> {
        self.topics.get(name)
    }

    /// The sums over the topics that `wanted` names, for instance those the service consumes.
    #[must_use]
    pub fn total(&self, wanted: impl Fn(&str) -> bool) -> TopicTally {
        let mut sum = TopicTally::default();
        for (_, topic) in self.topics().filter(|(name, _)| wanted(name)) {
            sum.records += topic.records;
            sum.readings += topic.readings;
            sum.bytes += topic.bytes;
            for (reason, count) in &topic.dead_letters {
                *sum.dead_letters.entry(reason).or_default() += count;
            }
        }
        sum
    }
}

impl<'a> FromIterator<&'a FleetRecord> for Tally {
    fn from_iter<I: IntoIterator<Item = &'a FleetRecord>>(records: I) -> Self {
        let mut tally = Self::default();
        records.into_iter().for_each(|record| tally.add(record));
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_counts_records_readings_bytes_and_reasons() {
        let record =
            |topic, readings, bad| FleetRecord { topic, payload: b"{}".to_vec(), timestamp: Millis(0), readings, bad };
        let sent = [record("a", 3, None), record("a", 2, Some("bad_time")), record("b", 0, Some("not_json"))];
        let tally: Tally = sent.iter().collect();
        let a = tally.topic("a").expect("topic a");
        assert_eq!((a.records, a.readings, a.bytes, a.dead_letters["bad_time"]), (2, 5, 4, 1));
        assert_eq!(tally.total(|_| true).dead_letters.values().sum::<u64>(), 2);
        assert_eq!(tally.total(|name| name == "b").records, 1);
        assert!(tally.topic("c").is_none());
    }
}
