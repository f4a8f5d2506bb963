//! Where the granted partitions of one topic begin: asks the store's standings, the group and the brokers, each within a
//! bound, and leaves the decision to `start`. Changes nothing, and never runs inside a callback.

use std::time::Duration;

use quorate_core::ident::{NextOffset, Partition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::PollContext;
use super::errors::{Trouble, TroubleKind};
use super::intake::{Slot, SubscribedTopic};
use super::start::{self, Found, Life, Start, StartRules, Stood};
use super::{admin, clock, offsets, watch};
use crate::config::Rehydrate;
use crate::pipeline::durable::Standing;

/// How long one question to the group's coordinator may take.
const COMMITTED_PATIENCE: Duration = Duration::from_secs(10);
/// How long one question about offsets or metadata may take.
const OFFSETS_PATIENCE: Duration = Duration::from_secs(5);

type Client = BaseConsumer<PollContext>;

/// Where one partition will begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    pub slot: Slot,
    pub partition: Partition,
    /// What the group has.
    pub committed: Option<NextOffset>,
    /// The last stable offset.
    pub end: NextOffset,
    pub start: Start,
}

/// Looks up where the granted partitions of one topic begin.
pub(super) fn look_up(context: &PollContext, consumer: &Client, slot: Slot) -> Result<Vec<Beginning>, Trouble> {
    let topic = &context.topics[slot];
    let partitions = context.table().granted(slot);
    let count = partition_count(context, consumer, &topic.name)?;
    context.health.update(topic.id, |health| health.partition_count = Some(count));
    // Asked before the offsets: should the topic be created anew in between, the next look at its id shows it.
    let topic_id = watch::topic_id(context, consumer, &topic.name);
    let committed = committed(consumer, &topic.name, &partitions)?;
    let low = ask(consumer, topic, &partitions, Offset::Beginning)?;
    let high = ask(consumer, topic, &partitions, Offset::End)?;
    let load_from = match topic.settings.rehydrate {
        Rehydrate::None => vec![None; partitions.len()],
        Rehydrate::Beginning => low.clone(),
        Rehydrate::Span { span_ms } => {
            let from = clock::wall().plus(span_ms.saturating_neg()).0.max(0);
            let found = ask(consumer, topic, &partitions, Offset::Offset(from))?;
            // No record that young: nothing to load, reading begins at the end of the log or before.
            found.into_iter().zip(&high).map(|(found, high)| found.or(*high)).collect()
        }
    };
    let rules = StartRules {
        absent: topic.settings.auto_offset_reset,
        gone: topic.settings.on_out_of_range,
        recreated: topic.settings.on_recreate,
    };
    let is_durable = (0..count).filter_map(|of| Partition::try_from(of).ok()).any(|of| stood(topic, of).is_some());
    let compacted = is_durable && is_compacted(context, slot);
    let mut table = context.table();
    let mut beginnings = Vec::with_capacity(partitions.len());
    for (ix, partition) in partitions.into_iter().enumerate() {
        let (Some(low), Some(high)) = (low[ix], high[ix]) else {
            let detail = format!("partition {partition}: the broker does not say where it begins and ends");
            return Err(Trouble::new(TroubleKind::Unreachable, detail));
        };
        let stood = stood(topic, partition);
        let found = Found {
            committed: committed[ix],
            low,
            high,
            load_from: load_from[ix],
            carried: table.carried(slot, partition),
            // Where others of the topic stand durably, this one did not exist when they were flushed.
            added_later: table.is_added_later(slot, partition, count) || (is_durable && stood.is_none()),
            topic_id,
            life: table.life(slot, partition),
            stood,
            reload: topic.reload,
            compacted,
        };
        let start = start::decide(&found, rules)
            .map_err(|why| Trouble::new(TroubleKind::Halted, format!("partition {partition}: {why}")))?;
        beginnings.push(Beginning { slot, partition, committed: found.committed, end: high, start });
    }
    Ok(beginnings)
}

fn stood(topic: &SubscribedTopic, partition: Partition) -> Option<Stood> {
    let Standing { position, ceiling } = topic.standings.of(&topic.name, partition)?;
    let life = Life { incarnation: position.incarnation, topic_id: position.topic_id };
    Some(Stood { life, next: position.next, live_from: position.live_from, ceiling })
}

/// Asked once; a topic whose configuration may not be seen is taken for one that is not compacted.
fn is_compacted(context: &PollContext, slot: Slot) -> bool {
    if let Some(known) = context.table().compacted(slot) {
        return known;
    }
    let SubscribedTopic { name, client, .. } = &context.topics[slot];
    match admin::is_compacted(client, name) {
        Ok(compacted) => {
            context.table().set_compacted(slot, compacted);
            compacted
        }
        Err(trouble) => {
            tracing::info!(topic = &**name, %trouble, "not known whether the topic is compacted, taken for not");
            if trouble.kind != TroubleKind::Unreachable {
                context.table().set_compacted(slot, false);
            }
            false
        }
    }
}

/// Whether the topic exists, and how many partitions it has.
pub(super) fn partition_count(context: &PollContext, consumer: &Client, name: &str) -> Result<usize, Trouble> {
    let metadata = consumer.fetch_metadata(Some(name), OFFSETS_PATIENCE).map_err(|error| Trouble::of(&error))?;
    // A connection that began with an address answers without a broker's id.
    let answering = Some(metadata.orig_broker_id()).filter(|id| *id >= 0);
    context.set_answering_broker(answering.or(metadata.brokers().first().map(|broker| broker.id())));
    let missing = || Trouble::new(TroubleKind::Missing, "the topic does not exist");
    let topic = metadata.topics().iter().find(|topic| topic.name() == name).ok_or_else(missing)?;
    match topic.error() {
        Some(code) => {
            let code = rdkafka::error::RDKafkaErrorCode::from(code);
            Err(Trouble::new(TroubleKind::of(code), code.to_string()))
        }
        None if topic.partitions().is_empty() => Err(missing()),
        None => Ok(topic.partitions().len()),
    }
}

fn committed(consumer: &Client, topic: &str, partitions: &[Partition]) -> Result<Vec<Option<NextOffset>>, Trouble> {
    offsets::question(topic, partitions, Offset::Invalid)
        .and_then(|question| consumer.committed_offsets(question, COMMITTED_PATIENCE))
        .and_then(|answer| answers(&answer, topic, partitions))
        .map_err(|error| Trouble::of(&error))
}

/// One request per leader for all partitions. A timestamp asks for the first offset at or after it; the logical
/// offsets for beginning and end are the protocol's own special timestamps, answered under the isolation level.
pub(super) fn ask(
    consumer: &Client,
    topic: &SubscribedTopic,
    partitions: &[Partition],
    offset: Offset,
) -> Result<Vec<Option<NextOffset>>, Trouble> {
    offsets::question(&topic.name, partitions, offset)
        .and_then(|question| consumer.offsets_for_times(question, OFFSETS_PATIENCE))
        .and_then(|answer| answers(&answer, &topic.name, partitions))
        .map_err(|error| Trouble::of(&error))
}

fn answers(list: &TopicPartitionList, topic: &str, partitions: &[Partition]) -> KafkaResult<Vec<Option<NextOffset>>> {
    let answer = |partition: &Partition| match list.find_partition(topic, *partition) {
        Some(element) => element.error().map(|()| offsets::position(element.offset())),
        None => Ok(None),
    };
    partitions.iter().map(answer).collect()
}
