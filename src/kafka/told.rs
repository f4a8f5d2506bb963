//! What the log says of tasks: that a record of a queue was received, and that positions of it were committed. What
//! happens in between is told by the pipeline, under the same target.

use quorate_core::ident::{NextOffset, Partition};
use quorate_core::record::RecordBatch;
use tracing::info;

use super::intake::SubscribedTopic;
use crate::pipeline::ports::TASKS;

/// Characters of a key that are shown.
const KEY_SHOWN: usize = 64;

/// Tells of each record of a batch, if its topic is a queue.
pub(super) fn received(topic: &SubscribedTopic, batch: &RecordBatch) {
    if !topic.settings.is_queue {
        return;
    }
    for row in batch.rows() {
        let (topic, partition, offset) = (&*topic.name, row.partition, row.offset.0);
        let key = batch.key(row).map(shown);
        info!(target: TASKS, topic, partition, offset, key, "task received");
    }
}

/// Tells up to where a partition is committed, if its topic is a queue.
pub(super) fn committed(topic: &SubscribedTopic, partition: Partition, next: NextOffset) {
    if topic.settings.is_queue {
        info!(target: TASKS, topic = &*topic.name, partition, next = next.0, "tasks committed");
    }
}

/// The beginning of a key; what is no text in it is replaced.
fn shown(key: &[u8]) -> String {
    String::from_utf8_lossy(key).chars().take(KEY_SHOWN).collect()
}
