//! Topics that stop at a record that cannot be decoded, because their settings say so: where, why, and what of a batch
//! stands before it.

use std::sync::Arc;

use quorate_core::decode::{DeadRecord, Readings, Reason};
use quorate_core::ident::{NextOffset, Offset, Partition};
use quorate_core::plan::TopicPlan;
use quorate_core::record::{PartitionPosition, RecordBatch};
use quorate_core::shard::Mode;
use tracing::error;

use super::shard_task::Modes;

/// A topic that stands still until the next start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standstill {
    /// The topic.
    pub topic: Arc<str>,
    /// Where the record is that stops it.
    pub partition: Partition,
    /// Its place there. Nothing from here on is applied, of other partitions nothing that was polled later.
    pub offset: Offset,
    /// Why it cannot be decoded.
    pub reason: Reason,
    /// More about why, for people.
    pub detail: String,
}

/// The first record of a batch that stops its topic, as a row of the batch. What an earlier life has settled, and what
/// was read under an assignment that is over, stops nobody.
pub(super) fn first(readings: &Readings, modes: &Modes, topic: &TopicPlan) -> Option<(usize, Standstill)> {
    let source = readings.source();
    let row = |dead: &DeadRecord| &source.rows()[dead.record as usize];
    let dead = readings.dead().iter().find(|dead| modes.at(row(dead)) == Some(Mode::Live))?;
    let standstill = Standstill {
        topic: Arc::clone(&topic.name),
        partition: row(dead).partition,
        offset: row(dead).offset,
        reason: dead.reason,
        detail: dead.detail.clone(),
    };
    Some((dead.record as usize, standstill))
}

/// Where the consumer stood before row `end` of a batch.
pub(super) fn positions_before(batch: &RecordBatch, end: usize) -> Vec<PartitionPosition> {
    let before = |position: &PartitionPosition| {
        let same =
            |row: &&quorate_core::record::RecordRow| (row.partition, row.epoch) == (position.partition, position.epoch);
        match batch.rows()[end..].iter().find(same) {
            Some(row) => PartitionPosition { position: NextOffset(row.offset.0), ..*position },
            None => *position,
        }
    };
    batch.positions().iter().map(before).collect()
}

impl Standstill {
    /// Tells people; called once.
    pub(super) fn log(&self) {
        let Self { topic, partition, offset, reason, detail } = self;
        error!(
            topic = &**topic,
            partition,
            offset = offset.0,
            reason = reason.as_str(),
            detail,
            remedy = "correct how the topic is read, or set on_failure = \"dead_letter\", and start again",
            "a record cannot be decoded, the topic stands still at it"
        );
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::{Epoch, Millis, TopicId};

    use super::*;

    #[test]
    fn a_partition_stands_before_its_first_record_that_is_left_out() {
        let mut batch = RecordBatch::new(TopicId(0));
        for (partition, offset) in [(0, 10), (1, 20), (0, 13), (0, 14)] {
            batch.push((partition, Offset(offset), Epoch(1)), Millis(0), None, Some(b"{}")).expect("room");
        }
        let at = |partition, position| PartitionPosition {
            partition,
            epoch: Epoch(1),
            position: NextOffset(position),
            end: Some(NextOffset(90)),
        };
        batch.set_positions(vec![at(0, 17), at(1, 23)]);
        assert_eq!(positions_before(&batch, 2), [at(0, 13), at(1, 23)]);
        assert_eq!(positions_before(&batch, 0), [at(0, 10), at(1, 20)]);
        assert_eq!(positions_before(&batch, 4), [at(0, 17), at(1, 23)]);
    }
}
