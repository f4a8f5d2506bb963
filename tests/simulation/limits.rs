//! What waits inside the pipeline is bounded: of a topic with a limit no further batch is taken in once as much waits to
//! be handed over one by one as the limit says. Judged from outside, by what has left the topic's lane.

use std::collections::{HashSet, VecDeque};

use quorate_core::record::RecordBatch;

use super::broker::{Place, TOPICS};
use super::ledger::{Reading, STATIONS, TASK, each_of};
use super::scene::Scene;

/// What may wait of a topic where a schedule sets no limit: more than there ever is.
pub const NO_LIMIT: usize = 100_000;

/// Batches that may be past the lane before it is known how much waits on their account: one at the router's head, one in
/// its hands, eight in a shard's queue, one in the shard's hands.
const NOT_COUNTED: usize = 11;

/// A batch that was sent to a lane.
struct Sent {
    cost: usize,
    /// Its live readings that count, by their numbers.
    numbers: Vec<usize>,
}

/// What was sent to the lanes in the life at hand.
#[derive(Default)]
pub struct Intake {
    batches: [VecDeque<Sent>; TOPICS.len()],
    /// Records in all of them.
    pub records: u64,
}

impl Intake {
    /// A batch is sent, unless nothing is in it. Its live `numbers` count where the limit of its topic holds.
    pub fn sent(&mut self, topic: usize, batch: &RecordBatch, numbers: Vec<usize>) {
        if batch.rows().is_empty() {
            return;
        }
        self.records += batch.rows().len() as u64;
        self.batches[topic].push_back(Sent { cost: batch.cost_bytes(), numbers });
    }

    /// Readings of batches that have left their lane, of which so many bytes are left, and that have been counted.
    fn counted(&self, topic: usize, mut queued_bytes: usize) -> HashSet<usize> {
        let sent = self.batches[topic].iter().rev().skip_while(|sent| {
            let waits = queued_bytes > 0;
            queued_bytes = queued_bytes.saturating_sub(sent.cost);
            waits
        });
        sent.skip(NOT_COUNTED).flat_map(|sent| sent.numbers.iter().copied()).collect()
    }
}

impl Scene {
    /// Readings of these records, by their numbers.
    pub fn numbers(&self, place: Place, offsets: &[i64]) -> Vec<usize> {
        let is_one = |reading: &Reading| reading.exists && reading.place == place && offsets.contains(&reading.offset);
        let readings = self.ledger.readings.iter().enumerate().filter(|(_, reading)| is_one(reading));
        readings.map(|(number, _)| number).collect()
    }

    /// What may wait of a topic.
    pub fn limit(&self, topic: usize) -> usize {
        self.limits.get(topic).copied().unwrap_or(NO_LIMIT)
    }

    /// # Errors
    /// More of a topic waits than its limit allows, given how much of it is still in its lane.
    pub fn waits_within_its_limit(&self, topic: usize, queued_bytes: usize) -> Result<(), String> {
        let limit = self.limit(topic);
        if limit == NO_LIMIT || each_of(topic).is_empty() {
            return Ok(());
        }
        let counted = self.intake.counted(topic, queued_bytes);
        let waiting = |module: usize| {
            let has_ended = |number: usize| match module {
                TASK => self.ledger.is_worked_off(number, self.ledger.readings[number].station),
                _ => self.ledger.is_handed_over(module, number),
            };
            let waits = |number: &&usize| !has_ended(**number);
            // One of each station is not waiting but running.
            counted.iter().filter(waits).count().saturating_sub(STATIONS.len())
        };
        let waiting: usize = each_of(topic).iter().map(|module| waiting(*module)).sum();
        if waiting <= limit {
            return Ok(());
        }
        Err(format!("{waiting} readings of {} wait where {limit} may", TOPICS[topic].0))
    }
}
