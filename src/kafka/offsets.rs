//! Between our positions and the client library's partition lists.

use quorate_core::ident::{NextOffset, Partition};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// A position as the library writes it; logical offsets (absent, invalid) are none.
pub(super) fn position(offset: Offset) -> Option<NextOffset> {
    match offset {
        Offset::Offset(raw) if raw >= 0 => Some(NextOffset(raw)),
        _ => None,
    }
}

/// A list with a position for each partition.
pub(super) fn list<'a>(
    positions: impl IntoIterator<Item = (&'a str, Partition, NextOffset)>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (topic, partition, NextOffset(offset)) in positions {
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    Ok(list)
}

/// A list of partitions of one topic that all carry the same offset: a question to the broker.
pub(super) fn question(topic: &str, partitions: &[Partition], offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition_offset(topic, *partition, offset)?;
    }
    Ok(list)
}

/// A list of partitions without offsets, to pause, resume or let go.
pub(super) fn names<'a>(partitions: impl IntoIterator<Item = (&'a str, Partition)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions {
        list.add_partition(topic, partition);
    }
    list
}
