//! Commits of one consumer: explicit positions only, one request under way at a time. What may pass is
//! made good by the next; what the group refuses a stranger is dropped.

use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::context::PollContext;
use super::intake::slot_of;
use super::table::Placed;
use super::{clock, ffi, offsets, told};
use crate::pipeline::ports::Commit;

/// Notes settled positions for the next commit.
pub(super) fn wanted(context: &PollContext, commits: &[Commit]) {
    let mut table = context.table();
    for commit in commits {
        let Some(slot) = context.topics.iter().position(|topic| topic.id == commit.topic) else { continue };
        if !table.want(slot, commit) {
            context.health.update(commit.topic, |health| health.stale_commits += 1);
        }
    }
}

/// Sends what is due, if anything is.
pub(super) fn send_due(context: &PollContext, consumer: &BaseConsumer<PollContext>) {
    let due = context.table().due(clock::now());
    send(context, consumer, &due);
}

/// Sends these positions without waiting for the answer, which comes to [`answered`].
pub(super) fn send(context: &PollContext, consumer: &BaseConsumer<PollContext>, positions: &[Placed]) {
    if positions.is_empty() {
        return;
    }
    let named = positions.iter().map(|(slot, partition, next)| (&*context.topics[*slot].name, *partition, *next));
    context.table().sent(positions, clock::now());
    let sent = offsets::list(named).and_then(|list| ffi::commit(consumer, &list).map_err(KafkaError::ConsumerCommit));
    if let Err(error) = sent {
        failed(context, &error.to_string(), positions.iter().map(|(slot, ..)| *slot));
        context.table().answered(true, clock::now());
    }
}

/// The broker, or the client for it, has answered.
pub(super) fn answered(context: &PollContext, result: &KafkaResult<()>, offsets: &TopicPartitionList) {
    let mut failures = Vec::new();
    let mut table = context.table();
    for element in offsets.elements() {
        let Some(slot) = slot_of(&context.topics, element.topic()) else { continue };
        match (element.error().and(result.clone()), offsets::position(element.offset())) {
            (Ok(()), Some(next)) => {
                table.confirm((slot, element.partition(), next));
                told::committed(&context.topics[slot], element.partition(), next);
                context.health.update(context.topics[slot].id, |health| {
                    health.commits += 1;
                    if let Some(partition) = health.partitions.get_mut(&element.partition()) {
                        partition.committed = Some(next);
                    }
                });
            }
            (Ok(()), None) => {}
            (Err(error), _) => {
                if error.rdkafka_error_code().is_some_and(is_no_member) {
                    table.set_aside(slot, element.partition(), clock::now());
                    context.health.update(context.topics[slot].id, |health| health.fenced_commits += 1);
                }
                failures.push((slot, error.to_string()));
            }
        }
    }
    let is_failure = result.is_err() || !failures.is_empty();
    table.answered(is_failure, clock::now());
    drop(table);
    if let Some((_, error)) = failures.first() {
        failed(context, error, failures.iter().map(|(slot, _)| *slot));
    } else if let Err(error) = result {
        failed(context, &error.to_string(), std::iter::empty());
    }
}

/// Whether the group refuses a commit because it does not count us among its members as they are. Whoever owns the
/// partitions then begins where the state stands.
fn is_no_member(code: Code) -> bool {
    matches!(
        code,
        Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::RebalanceInProgress
            | Code::FencedInstanceId
            | Code::FencedMemberEpoch
            | Code::StaleMemberEpoch
    )
}

fn failed(context: &PollContext, error: &str, slots: impl Iterator<Item = usize>) {
    let mut slots: Vec<usize> = slots.collect();
    slots.dedup();
    for slot in &slots {
        context.health.update(context.topics[*slot].id, |health| health.failed_commits += 1);
    }
    let topics: Vec<&str> = slots.iter().map(|slot| &*context.topics[*slot].name).collect();
    tracing::warn!(group = &*context.group, ?topics, error, "commit failed, the next one makes it good");
}
