//! The one audited file of unsafe code: calls of the native library that its Rust binding does not offer.
#![allow(
    unsafe_code,
    reason = "the binding offers no commit whose result is reported, and no ids of topics; each call below states why it \
              is sound"
)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::Duration;

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

/// One topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// Its name.
    pub name: String,
    /// Its id; none where the broker gives none.
    pub id: Option<u128>,
    /// How many partitions it has.
    pub partitions: usize,
}

/// A question about topics that is under way. The binding offers metadata without the topics' ids.
#[derive(Debug)]
pub(super) struct TopicQuestion<'c> {
    queue: NonNull<bindings::rd_kafka_queue_t>,
    /// The queue is given back before the client can go.
    client: PhantomData<&'c ()>,
}

impl<'c> TopicQuestion<'c> {
    /// Asks without waiting, one broker or, where none is named, the controller. The answer comes after `patience` at the
    /// latest, be it that there is none.
    ///
    /// # Errors
    /// The question could not be put.
    pub(super) fn ask<C: ConsumerContext>(
        consumer: &'c BaseConsumer<C>,
        names: &[&str],
        broker: Option<i32>,
        patience: Duration,
    ) -> Result<Self, RDKafkaErrorCode> {
        let invalid = RDKafkaErrorCode::InvalidArgument;
        let names: Vec<CString> =
            names.iter().map(|name| CString::new(*name)).collect::<Result<_, _>>().map_err(|_| invalid)?;
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let patience_ms = c_int::try_from(patience.as_millis()).map_err(|_| invalid)?;
        let client = consumer.client().native_ptr();
        // SAFETY: `client` is alive as long as `consumer` is borrowed, which `'c` makes at least as long as the queue,
        // whose only reference is handed to the result and given back by its `Drop`. The library copies the names, the
        // collection and the options before `rd_kafka_DescribeTopics` returns, so both are ours to free right after.
        // A null text buffer of no length is allowed where the words of an error are not wanted.
        unsafe {
            let queue = NonNull::new(bindings::rd_kafka_queue_new(client)).ok_or(invalid)?;
            let question = Self { queue, client: PhantomData };
            let operation = bindings::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
            let options = NonNull::new(bindings::rd_kafka_AdminOptions_new(client, operation)).ok_or(invalid)?.as_ptr();
            let no_words = std::ptr::null_mut();
            let bounded = bindings::rd_kafka_AdminOptions_set_request_timeout(options, patience_ms, no_words, 0);
            let mut refused = RDKafkaErrorCode::from(bounded);
            if let Some(broker) = broker.filter(|_| refused == RDKafkaErrorCode::NoError) {
                refused = bindings::rd_kafka_AdminOptions_set_broker(options, broker, no_words, 0).into();
            }
            if refused == RDKafkaErrorCode::NoError {
                let topics = bindings::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
                bindings::rd_kafka_DescribeTopics(client, topics, options, queue.as_ptr());
                bindings::rd_kafka_TopicCollection_destroy(topics);
            }
            bindings::rd_kafka_AdminOptions_destroy(options);
            if refused == RDKafkaErrorCode::NoError { Ok(question) } else { Err(refused) }
        }
    }

    /// The answer, once it is there: the topics that exist and may be seen, or why nothing is known of any.
    pub(super) fn answer(&self, wait: Duration) -> Option<Result<Vec<Described>, RDKafkaErrorCode>> {
        let wait_ms = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue is ours until `Drop`. An event that is not null is ours and is destroyed once; everything read
        // from it is copied before. The library answers this queue with results of `rd_kafka_DescribeTopics` only; for
        // any other event `rd_kafka_event_DescribeTopics_result` is null, which is checked.
        unsafe {
            let event = bindings::rd_kafka_queue_poll(self.queue.as_ptr(), wait_ms);
            if event.is_null() {
                return None;
            }
            let answer = match RDKafkaErrorCode::from(bindings::rd_kafka_event_error(event)) {
                RDKafkaErrorCode::NoError => Ok(described(bindings::rd_kafka_event_DescribeTopics_result(event))),
                code => Err(code),
            };
            bindings::rd_kafka_event_destroy(event);
            Some(answer)
        }
    }
}

impl Drop for TopicQuestion<'_> {
    fn drop(&mut self) {
        // SAFETY: the only reference we hold, given back once, while the client lives; an answer that is still to come
        // finds the queue closed and is dropped by the library.
        unsafe { bindings::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// Copies what a result says of each topic, without those it has an error for.
///
/// # Safety
/// `result` is null, or belongs to an event that outlives the call.
unsafe fn described(result: *const bindings::rd_kafka_DescribeTopics_result_t) -> Vec<Described> {
    if result.is_null() {
        return Vec::new();
    }
    let mut count = 0;
    // SAFETY: the result lives, by this function's contract; the array has `count` entries, each alive as long as the
    // result, with a name that is a C string. Errors and ids may be null, which is checked. Only the number of
    // partitions is taken, their array is not looked at.
    unsafe {
        let topics = bindings::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        let topics = if topics.is_null() { &[] } else { std::slice::from_raw_parts(topics, count) };
        let describe = |topic: &*const bindings::rd_kafka_TopicDescription_t| {
            let error = bindings::rd_kafka_TopicDescription_error(*topic);
            let failed = !error.is_null()
                && RDKafkaErrorCode::from(bindings::rd_kafka_error_code(error)) != RDKafkaErrorCode::NoError;
            let name = bindings::rd_kafka_TopicDescription_name(*topic);
            if failed || name.is_null() {
                return None;
            }
            let mut partitions = 0;
            bindings::rd_kafka_TopicDescription_partitions(*topic, &raw mut partitions);
            let id = bindings::rd_kafka_TopicDescription_topic_id(*topic);
            let id = (!id.is_null()).then(|| {
                let most = bindings::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned();
                let least = bindings::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned();
                u128::from(most) << 64 | u128::from(least)
            });
            let name = CStr::from_ptr(name).to_string_lossy().into_owned();
            // All zeros is how the protocol says that there is no id.
            Some(Described { name, id: id.filter(|id| *id != 0), partitions })
        };
        topics.iter().filter_map(describe).collect()
    }
}
