//! The consumers alone on a real broker, with something durable to begin from: lives of a topic, positions and other
//! members as only a broker tells them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quorate::config::{
    ConsumerSettings, MissingTopic, OffsetReset, OutOfRange, Properties, Recreated, Rehydrate, TopicSettings,
    Undecodable,
};
use quorate::kafka::{IntakeSetup, KafkaConsumers, Timing, TopicHealth, TopicState};
use quorate::pipeline::durable::{Standings, StoredPosition};
use quorate::pipeline::lane::{LaneReceiver, lane};
use quorate::pipeline::ports::{AssignedPartition, LaneItem};
use quorate_core::ident::{NextOffset, TopicId};
use quorate_testkit::{Broker, require_broker, within};
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::place::{PATIENCE, Place, reading};

/// One consumer of one topic, and the far end of its lane.
struct Intake {
    runtime: Runtime,
    consumers: Arc<KafkaConsumers>,
    lane: LaneReceiver,
}

impl Intake {
    fn start(broker: &Broker, group: &str, topic: &str, standings: Standings) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (sender, lane) = lane(8 << 20, Arc::new(Notify::new()));
        let client = Properties(BTreeMap::from([("bootstrap.servers".to_owned(), broker.bootstrap())]));
        let native = [
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "300"),
            ("fetch.wait.max.ms", "50"),
            ("topic.metadata.refresh.interval.ms", "1000"),
        ];
        let mut properties = client.clone();
        properties.0.extend(native.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let settings = TopicSettings {
            quota: 100,
            auto_offset_reset: OffsetReset::Earliest,
            on_out_of_range: OutOfRange::Earliest,
            on_recreate: Recreated::Earliest,
            on_failure: Undecodable::DeadLetter,
            is_queue: false,
            rehydrate: Rehydrate::None,
            missing_topic: MissingTopic::Wait,
            expect_ms: None,
            provision: None,
        };
        let consumers = KafkaConsumers::start(IntakeSetup {
            consumers: vec![ConsumerSettings {
                group: group.to_owned(),
                topics: vec![TopicId(0)],
                properties,
                prefetch_bytes: 1 << 20,
            }],
            names: vec![topic.into()],
            topics: vec![settings],
            reload: Vec::new(),
            standings: Arc::new(standings),
            client,
            timing: Timing {
                topic_check: Duration::from_millis(500),
                split_after: Duration::from_secs(2),
                ..Timing::default()
            },
            lanes: vec![sender],
            settled: Arc::new(|_topics| Vec::new()),
            runtime: runtime.handle().clone(),
        });
        Self { consumers: consumers.expect("consumers start"), runtime, lane }
    }

    /// Takes items off the lane until one is what is wanted.
    fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(LaneItem) -> Option<T>) -> T {
        within(PATIENCE, what, || std::iter::from_fn(|| self.lane.try_recv()).find_map(&mut wanted))
    }

    fn assigned(&mut self) -> AssignedPartition {
        self.until("an assignment", |item| match item {
            LaneItem::Assigned(partitions) => partitions.first().copied(),
            _ => None,
        })
    }

    /// Takes so many records, and says where the first one stood.
    fn read(&mut self, records: usize) -> i64 {
        let (mut first, mut read) = (None, 0);
        self.until("records", |item| {
            let LaneItem::Batch(batch) = item else { return None };
            first = first.or(batch.rows().first().map(|row| row.offset.0));
            read += batch.len();
            (read >= records).then_some(())
        });
        first.expect("a record")
    }

    fn health(&self) -> TopicHealth {
        self.consumers.health().snapshot().remove(0)
    }

    fn stop(self) {
        self.runtime.block_on(self.consumers.close(PATIENCE));
    }
}

fn standing(topic: &str, topic_id: Option<u128>, next: i64) -> Standings {
    let standings = Standings::default();
    let next = NextOffset(next);
    let (topic, live_from) = (topic.into(), next);
    standings.flushed([StoredPosition { topic, partition: 0, incarnation: 0, topic_id, next, live_from }]);
    standings
}

fn readings(count: u64) -> impl Iterator<Item = (String, String)> {
    (0..count).map(|n| reading("S", n))
}

#[test]
fn a_topic_recreated_while_it_is_read_begins_anew_although_it_is_longer() {
    let broker = require_broker!();
    let place = Place::new(broker, "lives_running");
    place.create(&["A"]);
    let topic = place.topic("A");
    place.produce("A", readings(3));
    let mut intake = Intake::start(broker, &place.group("A"), &topic, Standings::default());
    let first = intake.assigned();
    assert!(first.topic_id.is_some(), "the broker names topics by id");
    assert_eq!((first.incarnation, intake.read(3)), (0, 0));

    broker.delete_topic(&topic);
    broker.create_topic(&topic, 1, &[]);
    place.produce("A", readings(10));
    let gone = intake.until("the old life to end", |item| match item {
        LaneItem::Revoked(partitions) => partitions.first().copied(),
        _ => None,
    });
    assert_eq!(gone, (0, first.epoch));
    let second = intake.assigned();
    assert_eq!((second.incarnation, second.start, second.live_from), (1, NextOffset(0), NextOffset(0)));
    assert_ne!(second.topic_id, first.topic_id);
    assert_eq!(intake.read(10), 0);
    assert_eq!(intake.health().renewals, 1);
    intake.stop();
}

#[test]
fn a_start_tells_by_id_and_length_whether_the_durable_position_still_means_anything() {
    let broker = require_broker!();
    let place = Place::new(broker, "lives_start");
    place.create(&["A"]);
    let topic = place.topic("A");
    place.produce("A", readings(5));
    let start = |standings| {
        let mut intake = Intake::start(broker, &place.group("A"), &topic, standings);
        let assigned = intake.assigned();
        let health = intake.health();
        intake.stop();
        (assigned, health)
    };
    let (known, _) = start(Standings::default());
    let id = known.topic_id;
    assert!(id.is_some());

    // The group stands beyond the stored position, and nowhere.
    broker.commit(&place.group("A"), &topic, &BTreeMap::from([(0, 4)]));
    let (same, health) = start(standing(&topic, id, 2));
    assert_eq!((same.start, same.incarnation, health.foreign_progress), (NextOffset(2), 0, 1));
    let group = format!("{}-unheard-of", place.group("A"));
    let mut intake = Intake::start(broker, &group, &topic, standing(&topic, id, 2));
    assert_eq!(intake.assigned().start, NextOffset(2));
    intake.stop();

    let other = id.map(|id| id ^ 1);
    for (standings, what) in [(standing(&topic, other, 2), "recreated"), (standing(&topic, id, 500), "cut short")] {
        let (renewed, health) = start(standings);
        assert_eq!(
            (renewed.start, renewed.live_from, renewed.incarnation),
            (NextOffset(0), NextOffset(0), 1),
            "{what}"
        );
        assert_eq!((renewed.topic_id, health.renewals), (id, 1), "{what}");
    }
}

#[test]
fn of_a_compacted_topic_everything_is_loaded_before_modules_are_called() {
    let broker = require_broker!();
    let place = Place::new(broker, "lives_compacted");
    let topic = place.topic("A");
    broker.create_topic(&topic, 1, &[("cleanup.policy", "compact")]);
    place.produce("A", readings(5));
    let mut intake = Intake::start(broker, &place.group("A"), &topic, standing(&topic, None, 2));
    let assigned = intake.assigned();
    assert_eq!((assigned.start, assigned.load_until), (NextOffset(2), NextOffset(5)));
    intake.stop();
}

#[test]
fn a_topic_that_belongs_to_another_member_is_split_and_the_member_is_named() {
    let broker = require_broker!();
    let place = Place::new(broker, "lives_split");
    place.create(&["A"]);
    let topic = place.topic("A");
    let mut config = broker.client_config();
    config.set("group.id", place.group("A")).set("client.id", "a-rival").set("enable.auto.commit", "false");
    config.set("partition.assignment.strategy", "range,roundrobin").set("session.timeout.ms", "6000");
    let other: BaseConsumer = config.create().expect("valid properties");
    other.subscribe(&[&topic]).expect("a subscription");
    within(PATIENCE, "the other member to own the topic", || {
        drop(other.poll(Duration::from_millis(20)));
        (other.assignment().expect("an assignment").count() > 0).then_some(())
    });

    let mut intake = Intake::start(broker, &place.group("A"), &topic, Standings::default());
    // One partition for two: the assignor gives it to the member whose id, which begins with the client's, is the lower.
    let split = within(PATIENCE, "an owner to be settled on", || {
        drop(other.poll(Duration::from_millis(20)));
        match intake.health().state {
            TopicState::SplitOwnership(other) => Some(other),
            _ => None,
        }
    });
    assert!(split.starts_with("a-rival at "), "{split}");
    assert!(intake.until("the lane to be told", |item| match item {
        LaneItem::Split(split) => Some(split),
        _ => None,
    }));
    drop(other);
    assert!(!intake.until("the lane to be told of the end", |item| match item {
        LaneItem::Split(split) => Some(split),
        _ => None,
    }));
    intake.stop();
}
