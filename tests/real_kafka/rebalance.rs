//! Another member joins a topic's group and leaves it again: its partitions come back, and nothing is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quorate_testkit::{Broker, require_broker, within};
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::follow::{CommitWatch, Results};
use crate::place::{PATIENCE, Place, reading, rounds, stations};
use crate::running::Running;
use crate::scripted::{Scripted, echo};

const PARTITIONS: i32 = 4;

/// Joins a group as a stranger that reads and never commits, until it owns something.
pub fn join(broker: &Broker, group: &str, topic: &str) -> BaseConsumer {
    let mut config = broker.client_config();
    config.set("group.id", group).set("enable.auto.commit", "false").set("partition.assignment.strategy", "range");
    config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "300");
    let stranger: BaseConsumer = config.create().expect("valid properties");
    stranger.subscribe(&[topic]).expect("a subscription");
    within(PATIENCE, "the stranger to own a partition", || {
        drop(stranger.poll(Duration::from_millis(20)));
        (stranger.assignment().expect("an assignment").count() > 0).then_some(())
    });
    stranger
}

#[test]
fn a_member_that_joins_and_leaves_under_load_costs_no_record_and_no_committed_offset_goes_back() {
    let broker = require_broker!();
    let place = Place::new(broker, "rebalance");
    place.create(&["B"]);
    broker.create_topic(&place.topic("A"), PARTITIONS, &[]);
    let stations = stations(200);
    // Slow enough that runs are in flight whenever a partition is taken away.
    let module = Scripted::answering("m", |input| {
        std::thread::sleep(Duration::from_millis(1));
        Ok(vec![echo(input)?])
    });
    let mut config = place.config();
    config.set("kafka.consumer", "session_timeout_ms", "6000");
    config.set("kafka.consumer", "heartbeat_interval_ms", "300");
    place.reads(&mut config, &["A", "B"]);
    place.requires(&mut config, "m", &["A", "B"]);
    place.produce("B", stations.iter().map(|station| reading(station, 1)));
    let running = Running::start(&config, &[&module]);
    running.until_all_assigned();
    let watch = CommitWatch::start(broker, &place.group("A"), &place.topic("A"), PARTITIONS);
    let owned = || running.health(&place, "A").partitions.len();

    let mut written = 0;
    for _ in 0..4 {
        let done = AtomicBool::new(false);
        written = std::thread::scope(|scope| {
            let (place, stations, done) = (&place, &stations, &done);
            let loading = scope.spawn(move || {
                let mut next = written;
                while !done.load(Ordering::Acquire) {
                    place.produce("A", rounds(stations, next..next + 1));
                    next += 1;
                }
                next
            });
            let stranger = join(broker, &place.group("A"), &place.topic("A"));
            within(PATIENCE, "the service to share", || (owned() < PARTITIONS as usize).then_some(()));
            drop(stranger);
            within(PATIENCE, "the partitions to come back", || (owned() == PARTITIONS as usize).then_some(()));
            done.store(true, Ordering::Release);
            loading.join().expect("the loader does not panic")
        });
    }

    Results::of(&place).until_last(&place, "m", &stations, &[("A", written - 1), ("B", 1)]);
    place.until_all_committed(&place.group("A"), "A");
    watch.never_went_back();
    let health = running.health(&place, "A");
    assert_eq!((health.rebuilds, health.missed_offsets), (0, 0));
    assert!(health.rebalances >= 5, "{health:?}");
    assert!(running.stop().drained);
}
