//! The one audited file of unsafe code: calls of the native library that its Rust binding does not offer.
#![allow(
    unsafe_code,
    reason = "the binding offers no commit whose result is reported; each call below states why it is sound"
)]

use rdkafka::bindings;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;

/// Commits without waiting, and has the result served by the consumer's next polls as a call of
/// [`ConsumerContext::commit_callback`]. The binding's own asynchronous commit reports nothing: it goes through
/// `rd_kafka_commit`, whose results only reach a native callback that the binding does not set (librdkafka 2.12.1,
/// `rd_kafka_cgrp_propagate_commit_result`).
///
/// # Errors
/// The request could not be queued; there will be no callback.
pub(super) fn commit<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    positions: &TopicPartitionList,
) -> Result<(), RDKafkaErrorCode> {
    let client = consumer.client().native_ptr();
    // SAFETY: `client` is alive as long as `consumer` is borrowed. The library copies `positions` before it returns.
    // `rd_kafka_queue_get_consumer` returns a reference of our own, or null without a group; it is given back below,
    // and the pending commit holds its own reference to the queue. A null callback is allowed where the queue is
    // served through the event API, which is how the binding polls.
    let result = unsafe {
        let queue = bindings::rd_kafka_queue_get_consumer(client);
        if queue.is_null() {
            return Err(RDKafkaErrorCode::UnknownGroup);
        }
        let result = bindings::rd_kafka_commit_queue(client, positions.ptr(), queue, None, std::ptr::null_mut());
        bindings::rd_kafka_queue_destroy(queue);
        result
    };
    match RDKafkaErrorCode::from(result) {
        RDKafkaErrorCode::NoError => Ok(()),
        code => Err(code),
    }
}
