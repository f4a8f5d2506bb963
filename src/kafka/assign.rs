//! Rebalances. The callbacks only keep the books in step with the group and never go to the network, except for the
//! one commit that leaves with a revoke; where partitions begin is looked up afterwards, by the poll loop, and may be
//! tried again without holding up the group.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quorate_core::ident::{Epoch, NextOffset, Partition, TopicId};
use rdkafka::consumer::{BaseConsumer, Consumer, RebalanceProtocol};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::PollContext;
use super::errors::{Trouble, TroubleKind};
use super::health::{PartitionHealth, TopicState};
use super::intake::{Slot, slot_of};
use super::lookup::{self, Beginning};
use super::ownership::Held;
use super::start::{Life, Notice, Start};
use super::table::Placed;
use super::{clock, commits, offsets};
use crate::fault::{is_deaf, kill_point};
use crate::pipeline::ports::{AssignedPartition, Commit, LaneItem};

type Client = BaseConsumer<PollContext>;

/// Counts assignments of the whole process; epochs never repeat.
static EPOCHS: AtomicU64 = AtomicU64::new(1);

/// The group grants partitions. They are acknowledged at once, and assigned when their start is known.
pub(super) fn granted(context: &PollContext, consumer: &Client, partitions: &TopicPartitionList) -> KafkaResult<()> {
    let nothing = TopicPartitionList::new();
    if is_cooperative(consumer) {
        consumer.incremental_assign(&nothing)?;
    } else {
        consumer.assign(&nothing)?;
    }
    if context.is_closing() {
        return Ok(());
    }
    kill_point("assign_callback");
    let mut table = context.table();
    for (slot, partition) in known(context, partitions) {
        table.grant(slot, partition);
    }
    Ok(())
}

/// The group takes partitions away: settled positions leave with them, unless somebody else may own them already.
pub(super) fn revoked(context: &PollContext, consumer: &Client, partitions: &TopicPartitionList) -> KafkaResult<()> {
    let gone = known(context, partitions);
    let lost = consumer.assignment_lost();
    if !lost && !context.is_closing() {
        commit_settled(context, consumer, &gone);
    }
    kill_point("revoke_callback");
    if is_cooperative(consumer) {
        let table = context.table();
        let begun = gone.iter().filter(|(slot, partition)| table.epoch(*slot, *partition).is_some());
        let begun = offsets::names(begun.map(|(slot, partition)| (&*context.topics[*slot].name, *partition)));
        drop(table);
        consumer.incremental_unassign(&begun)?;
    } else {
        consumer.unassign()?;
    }
    if context.is_closing() {
        // The table may serve another client already.
        tracing::info!(group = &*context.group, lost, "partitions given back");
        return Ok(());
    }
    let mut table = context.table();
    for (slot, partition) in &gone {
        table.end(*slot, *partition);
    }
    drop(table);
    for slot in slots(&gone) {
        let topic = &context.topics[slot];
        let taken: Vec<Partition> =
            gone.iter().filter(|(of, _)| *of == slot).map(|(_, partition)| *partition).collect();
        tracing::info!(topic = &*topic.name, group = &*context.group, partitions = ?taken, lost, "partitions revoked");
        context.health.update(topic.id, |health| health.partitions.retain(|partition, _| !taken.contains(partition)));
        if !context.table().holds(slot) {
            context.health.enter(topic.id, TopicState::Connecting);
        }
        let part = part(context, slot);
        context.table().tell_part(slot, part);
    }
    Ok(())
}

/// Whether a part of a topic is missing, when that has changed.
pub(super) fn part(context: &PollContext, slot: Slot) -> Option<bool> {
    let id = context.topics[slot].id;
    let count = context.health.partition_count(id);
    let is_refused = context.health.is_refused(id);
    let mut table = context.table();
    let (held, ownership) = table.ownership(slot, count);
    ownership.part(Held { is_refused, ..held }, clock::now(), context.timing.split_after)
}

fn commit_settled(context: &PollContext, consumer: &Client, gone: &[(Slot, Partition)]) {
    let topics: Vec<TopicId> = slots(gone).into_iter().map(|slot| context.topics[slot].id).collect();
    let asked = clock::now();
    let settled: Vec<Commit> = (context.settled)(&topics);
    let took = clock::since(asked);
    if took > Duration::from_millis(50) {
        tracing::warn!(group = &*context.group, ?took, "settled positions came late for a revoke");
    }
    commits::wanted(context, &settled);
    let leaving = context.table().unconfirmed(false, |slot, partition| gone.contains(&(slot, partition)));
    // The client sends it before it lets the group go on, and waits for the answer by itself.
    commits::send(context, consumer, &leaving);
}

/// Assigns partitions whose start is known. What the lanes have to be told comes back, in order.
pub(super) fn begin(
    context: &PollContext,
    consumer: &Client,
    beginnings: &[Beginning],
) -> KafkaResult<Vec<(Slot, LaneItem)>> {
    let starts: Vec<Placed> = beginnings.iter().map(|at| (at.slot, at.partition, at.start.start)).collect();
    let kept = positions(context);
    place(context, consumer, &starts, &kept)?;
    let leftovers = shown(context, consumer);
    let leftover = |slot, partition| find(&leftovers, slot, partition);
    let mut announced = Vec::new();
    let mut table = context.table();
    for (slot, partition, _) in &kept {
        table.restarted(*slot, *partition, leftover(*slot, *partition));
    }
    let mut items: Vec<(Slot, LaneItem)> = Vec::new();
    for at in beginnings {
        let epoch = Epoch(EPOCHS.fetch_add(1, Ordering::Relaxed));
        let Start { start, live_from, load_until, life: Life { incarnation, topic_id }, .. } = at.start;
        let (partition, end) = (at.partition, at.end);
        let assigned = AssignedPartition { partition, epoch, start, live_from, end, load_until, incarnation, topic_id };
        // A group that stands elsewhere than we begin is told once; from there commits only go up.
        let confirmed = (!at.start.announce).then_some(at.committed).flatten();
        table.begin(at.slot, assigned, confirmed, leftover(at.slot, at.partition));
        if at.start.announce {
            announced.push((context.topics[at.slot].id, assigned));
        }
        match items.last_mut() {
            Some((slot, LaneItem::Assigned(partitions))) if *slot == at.slot => partitions.push(assigned),
            _ => items.push((at.slot, LaneItem::Assigned(vec![assigned]))),
        }
    }
    drop(table);
    let announced: Vec<Commit> = announced
        .into_iter()
        .map(|(topic, at)| Commit { topic, partition: at.partition, epoch: at.epoch, next: at.live_from })
        .collect();
    commits::wanted(context, &announced);
    report(context, beginnings, &items);
    // Behind the assignments: what was read elsewhere meanwhile has to be read first.
    let begun: BTreeSet<Slot> = beginnings.iter().map(|at| at.slot).collect();
    items.extend(begun.into_iter().filter_map(|slot| Some((slot, LaneItem::Split(part(context, slot)?)))));
    Ok(items)
}

/// A position no longer exists; the client does not say which. Partitions that stand outside their log end and are
/// granted again, the others go on where they are.
pub(super) fn recheck(context: &PollContext, consumer: &Client) -> Result<(), Trouble> {
    let positions = positions(context);
    let mut outside: Vec<(Slot, Partition)> = Vec::new();
    for (slot, topic) in context.topics.iter().enumerate() {
        let held: Vec<Placed> = positions.iter().copied().filter(|(of, ..)| *of == slot).collect();
        let partitions: Vec<Partition> = held.iter().map(|(_, partition, _)| *partition).collect();
        if partitions.is_empty() {
            continue;
        }
        let low = lookup::ask(consumer, topic, &partitions, Offset::Beginning)?;
        let high = lookup::ask(consumer, topic, &partitions, Offset::End)?;
        for (ix, (_, partition, position)) in held.iter().enumerate() {
            let below = low[ix].is_some_and(|low| *position < low);
            let beyond = high[ix].is_some_and(|high| *position > high);
            if below || beyond {
                outside.push((slot, *partition));
            }
        }
    }
    if outside.is_empty() {
        tracing::warn!(
            group = &*context.group,
            "a position was refused that lies within its log: if brokers lost records by an unclean election, others may \
             stand at their offsets"
        );
    }
    begin_anew(context, consumer, &outside).map_err(|error| Trouble::new(TroubleKind::Fatal, error.to_string()))
}

/// Ends these partitions and grants them again, so that their start is looked up anew; the others go on where they are.
pub(super) fn begin_anew(context: &PollContext, consumer: &Client, outside: &[(Slot, Partition)]) -> KafkaResult<()> {
    let (gone, kept): (Vec<Placed>, Vec<Placed>) =
        positions(context).into_iter().partition(|(slot, partition, _)| outside.contains(&(*slot, *partition)));
    if is_cooperative(consumer) {
        let all = gone.iter().chain(&kept).map(|(slot, partition, _)| (&*context.topics[*slot].name, *partition));
        consumer.incremental_unassign(&offsets::names(all))?;
        place(context, consumer, &kept, &[])?;
    } else {
        place(context, consumer, &[], &kept)?;
    }
    let leftovers = shown(context, consumer);
    let mut table = context.table();
    for (slot, partition, _) in kept {
        table.restarted(slot, partition, find(&leftovers, slot, partition));
    }
    for (slot, partition, position) in gone {
        let topic = &*context.topics[slot].name;
        tracing::info!(topic, partition, %position, "position is worth nothing any more, asking where to begin");
        table.end(slot, partition);
        table.grant(slot, partition);
    }
    Ok(())
}

/// Where the client stands in each partition it reads, as far as it says so.
pub(super) fn shown(context: &PollContext, consumer: &Client) -> Vec<Placed> {
    if is_deaf(&context.group) {
        return Vec::new();
    }
    let list = match consumer.position() {
        Ok(list) => list,
        Err(error) => {
            tracing::debug!(group = &*context.group, %error, "positions not available");
            return Vec::new();
        }
    };
    let place = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let slot = slot_of(&context.topics, element.topic())?;
        Some((slot, element.partition(), offsets::position(element.offset())?))
    };
    list.elements().iter().filter_map(place).collect()
}

/// Puts the offsets into the assign call, so that the client's own reset never decides.
fn place(context: &PollContext, consumer: &Client, added: &[Placed], kept: &[Placed]) -> KafkaResult<()> {
    let named = |at: &Placed| (&*context.topics[at.0].name, at.1, at.2);
    let list = if is_cooperative(consumer) {
        let list = offsets::list(added.iter().map(named))?;
        consumer.incremental_assign(&list)?;
        list
    } else {
        let list = offsets::list(kept.iter().chain(added).map(named))?;
        consumer.assign(&list)?;
        list
    };
    // A partition that was paused when it left is still paused when it comes back to the same client.
    consumer.resume(&list)
}

fn positions(context: &PollContext) -> Vec<Placed> {
    context.table().reading().map(|(slot, partition, reading)| (slot, partition, reading.position)).collect()
}

fn find(positions: &[Placed], slot: Slot, partition: Partition) -> Option<NextOffset> {
    positions.iter().find(|(of, at, _)| (*of, *at) == (slot, partition)).map(|(_, _, position)| *position)
}

fn report(context: &PollContext, beginnings: &[Beginning], items: &[(Slot, LaneItem)]) {
    for at in beginnings {
        notify(context, at);
        let Some(gap) = at.start.gap else { continue };
        let topic = &context.topics[at.slot];
        let (from, to, missed) = (gap.from, gap.to, gap.len());
        tracing::warn!(
            topic = &*topic.name, group = &*context.group, partition = at.partition, %from, %to, missed,
            "position out of range, records are missing"
        );
        context.health.update(topic.id, |health| health.missed_offsets += missed);
    }
    for (slot, item) in items {
        let LaneItem::Assigned(assigned) = item else { continue };
        let topic = &context.topics[*slot];
        let partitions: Vec<Partition> = assigned.iter().map(|at| at.partition).collect();
        tracing::info!(topic = &*topic.name, group = &*context.group, ?partitions, "topic started");
        context.health.enter(topic.id, TopicState::Assigned);
        context.health.update(topic.id, |health| {
            health.rebalances += 1;
            for at in assigned {
                let known = beginnings.iter().find(|known| (known.slot, known.partition) == (*slot, at.partition));
                let committed = known.and_then(|known| known.committed);
                let entry = PartitionHealth { epoch: at.epoch, position: at.start, end: Some(at.end), committed };
                health.partitions.insert(at.partition, entry);
            }
        });
    }
}

fn notify(context: &PollContext, at: &Beginning) {
    let Some(notice) = at.start.notice else { return };
    let topic = &context.topics[at.slot];
    let (name, group, partition, Life { incarnation, .. }) =
        (&*topic.name, &*context.group, at.partition, at.start.life);
    let start = at.start.start;
    match notice {
        Notice::ForeignProgress { stood, committed } => {
            tracing::warn!(
                topic = name, group, partition, %stood, %committed,
                "the group stands beyond the stored position, somebody else commits for it; the stored one counts"
            );
            context.health.update(topic.id, |health| health.foreign_progress += 1);
        }
        Notice::Recreated { stood } => {
            let stood = stood.map(tracing::field::display);
            tracing::warn!(
                topic = name, group, partition, stood, %start, incarnation,
                "topic was deleted and created again, its records are read from the first"
            );
            context.health.update(topic.id, |health| health.renewals += 1);
        }
        Notice::Truncated { stood } => {
            tracing::warn!(
                topic = name, group, partition, %stood, end = %at.end, %start, incarnation,
                "log ends before the stored position, its records are read from the first"
            );
            context.health.update(topic.id, |health| health.renewals += 1);
        }
    }
}

fn known(context: &PollContext, partitions: &TopicPartitionList) -> Vec<(Slot, Partition)> {
    let known = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        Some((slot_of(&context.topics, element.topic())?, element.partition()))
    };
    partitions.elements().iter().filter_map(known).collect()
}

fn slots(partitions: &[(Slot, Partition)]) -> Vec<Slot> {
    let mut slots: Vec<Slot> = partitions.iter().map(|(slot, _)| *slot).collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}

fn is_cooperative(consumer: &Client) -> bool {
    matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative)
}
