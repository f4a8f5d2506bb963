//! Somebody who joins the group of a topic, takes what partitions it is given, and leaves again. It reads nothing that
//! counts and commits nothing: what it had is still to be done when it goes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quorate_testkit::{Broker, within};
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};

use crate::config::{group, topic};
use crate::history::Role;
use crate::service::PATIENCE;

/// How long one poll may take.
const POLL: Duration = Duration::from_millis(50);

/// Counts what the group grants: assignments, of any number of partitions, and the partitions in them.
#[derive(Default)]
struct Granted {
    assignments: AtomicUsize,
    partitions: AtomicUsize,
}

impl ClientContext for Granted {}

impl ConsumerContext for Granted {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            self.partitions.fetch_add(partitions.count(), Ordering::AcqRel);
            self.assignments.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Visits a group for so long, counted from the moment it is let in. Returns how many partitions it was given.
pub fn visit(broker: &Broker, scenario: &str, role: Role, stay: Duration) -> usize {
    let mut config = broker.client_config();
    config.set("group.id", group(scenario, role)).set("enable.auto.commit", "false");
    config.set("partition.assignment.strategy", "range");
    config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "500");
    let consumer: BaseConsumer<Granted> =
        config.create_with_context(Granted::default()).expect("the visitor's properties are valid");
    consumer.subscribe(&[&topic(scenario, role)]).expect("a topic that exists");
    let granted = consumer.context();
    within(PATIENCE, "a place in the group", || {
        drop(consumer.poll(POLL));
        (granted.assignments.load(Ordering::Acquire) > 0).then_some(())
    });
    let since = Instant::now();
    while since.elapsed() < stay {
        drop(consumer.poll(POLL));
    }
    granted.partitions.load(Ordering::Acquire)
}
