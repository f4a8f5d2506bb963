//! Where reading a partition begins, and where it ends at present: asked of the broker, never of a group.

use std::time::Duration;

use quorate_core::ident::{Millis, NextOffset, Partition};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;

use super::request::RecordFrom;
use crate::kafka::offsets;

/// The longest wait for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// The first position to read, and the one behind the last record.
pub(super) fn reach<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    (topic, partition): (&str, Partition),
    from: RecordFrom,
    now: Millis,
) -> Result<(NextOffset, NextOffset), KafkaError> {
    let (low, high) = consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN)?;
    let (low, high) = (NextOffset(low), NextOffset(high));
    let time = match from {
        RecordFrom::Beginning => return Ok((low, high)),
        RecordFrom::End => return Ok((high, high)),
        RecordFrom::Time(time) => time,
        RecordFrom::Ago(ago) => before(now, ago),
    };
    let question = offsets::question(topic, &[partition], Offset::Offset(time.0))?;
    let answer = consumer.offsets_for_times(question, ANSWER_WITHIN)?;
    let first = answer.elements().first().and_then(|element| offsets::position(element.offset()));
    // None is so young: what comes from here on is.
    Ok((first.unwrap_or(high), high))
}

fn before(Millis(now): Millis, ago: Duration) -> Millis {
    Millis(now.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_ago_than_time_began_is_when_it_began() {
        assert_eq!(before(Millis(5_000), Duration::from_secs(2)), Millis(3_000));
        assert_eq!(before(Millis(5_000), Duration::from_secs(6)), Millis(0));
        assert_eq!(before(Millis(5_000), Duration::MAX), Millis(0));
    }
}
