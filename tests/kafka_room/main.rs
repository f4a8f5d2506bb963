//! The Kafka room against the client library's mock cluster: what reaches a lane, what is committed, how a consumer
//! ends. The mock proves no delivery guarantee, fences no zombie and knows no timestamps; a real broker has to.

mod commits;
mod publishing;
mod standing;
mod trouble;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate::config::{
    ConsumerSettings, MissingTopic, OffsetReset, OutOfRange, Properties, Recreated, Rehydrate, TopicSettings,
    Undecodable,
};
use quorate::kafka::{
    ConnectError, EmbeddedBroker, IntakeSetup, KafkaConsumers, Timing, TopicState, TroubleKind, describe_topics,
    wait_for_brokers,
};
use quorate::pipeline::durable::Standings;
use quorate::pipeline::lane::{LaneReceiver, lane};
use quorate::pipeline::ports::{AssignedPartition, Commit, Consumers, LaneItem};
use quorate_core::ident::{Epoch, NextOffset, TopicId};
use quorate_core::record::RecordBatch;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::sync::Notify;

/// Longer than the mock's slowest rebalance: it waits the session time-out of 6 s minus one.
const PATIENCE: Duration = Duration::from_secs(30);
const LANE_BYTES: usize = 8 << 20;

fn client(servers: &str) -> Properties {
    Properties(BTreeMap::from([("bootstrap.servers".to_owned(), servers.to_owned())]))
}

fn consumer(servers: &str, group: &str, topics: &[u16]) -> ConsumerSettings {
    let mut properties = client(servers);
    let native = [
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "500"),
        ("fetch.wait.max.ms", "10"),
        ("topic.metadata.refresh.interval.ms", "500"),
        ("statistics.interval.ms", "200"),
    ];
    properties.0.extend(native.map(|(name, value)| (name.to_owned(), value.to_owned())));
    ConsumerSettings {
        group: group.to_owned(),
        topics: topics.iter().copied().map(TopicId).collect(),
        properties,
        prefetch_bytes: 1 << 20,
    }
}

fn topic(quota: usize) -> TopicSettings {
    TopicSettings {
        quota,
        auto_offset_reset: OffsetReset::Earliest,
        on_out_of_range: OutOfRange::Earliest,
        on_recreate: Recreated::Earliest,
        on_failure: Undecodable::DeadLetter,
        is_queue: false,
        rehydrate: Rehydrate::None,
        missing_topic: MissingTopic::Wait,
        expect_ms: None,
        provision: None,
    }
}

/// A set of consumers and the far ends of their lanes.
struct Room {
    consumers: Arc<KafkaConsumers>,
    lanes: Vec<LaneReceiver>,
    wake: Arc<Notify>,
    settled: Arc<Mutex<Vec<Commit>>>,
}

impl Room {
    fn start(names: &[&str], settings: Vec<TopicSettings>, consumers: Vec<ConsumerSettings>) -> Self {
        Self::start_with(names, settings, consumers, Arc::default(), Timing::default())
    }

    /// The same, with less patience.
    fn timed(names: &[&str], settings: Vec<TopicSettings>, consumers: Vec<ConsumerSettings>, timing: Timing) -> Self {
        Self::start_with(names, settings, consumers, Arc::default(), timing)
    }

    /// The same, with something durable to begin from.
    fn start_at(
        names: &[&str],
        settings: Vec<TopicSettings>,
        consumers: Vec<ConsumerSettings>,
        standings: Arc<Standings>,
    ) -> Self {
        Self::start_with(names, settings, consumers, standings, Timing::default())
    }

    fn start_with(
        names: &[&str],
        settings: Vec<TopicSettings>,
        consumers: Vec<ConsumerSettings>,
        standings: Arc<Standings>,
        timing: Timing,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let (senders, lanes): (Vec<_>, Vec<_>) = names.iter().map(|_| lane(LANE_BYTES, Arc::clone(&wake))).unzip();
        let settled = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&settled);
        let consumers = KafkaConsumers::start(IntakeSetup {
            names: names.iter().map(|name| Arc::from(*name)).collect(),
            topics: settings,
            reload: Vec::new(),
            standings,
            client: consumers.first().map(|consumer| client(&consumer.properties.0["bootstrap.servers"])).expect("one"),
            timing,
            consumers,
            lanes: senders,
            settled: Arc::new(move |_topics| asked.lock().expect("settled positions").clone()),
            runtime: tokio::runtime::Handle::current(),
        })
        .expect("consumers start");
        Self { consumers, lanes, wake, settled }
    }

    async fn next(&mut self, topic: usize) -> LaneItem {
        let waiting = async {
            loop {
                if let Some(item) = self.lanes[topic].try_recv() {
                    return item;
                }
                self.wake.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("an item in the lane")
    }

    async fn assigned(&mut self, topic: usize) -> Vec<AssignedPartition> {
        loop {
            if let LaneItem::Assigned(partitions) = self.next(topic).await {
                return partitions;
            }
        }
    }

    async fn batches(&mut self, topic: usize, records: usize) -> Vec<RecordBatch> {
        let mut batches: Vec<RecordBatch> = Vec::new();
        while batches.iter().map(RecordBatch::len).sum::<usize>() < records {
            if let LaneItem::Batch(batch) = self.next(topic).await {
                batches.push(batch);
            }
        }
        batches
    }

    async fn revoked(&mut self, topic: usize) -> Vec<(i32, Epoch)> {
        loop {
            if let LaneItem::Revoked(partitions) = self.next(topic).await {
                return partitions;
            }
        }
    }

    async fn split(&mut self, topic: usize) -> bool {
        loop {
            if let LaneItem::Split(split) = self.next(topic).await {
                return split;
            }
        }
    }

    async fn state(&self, topic: u16, wanted: impl Fn(&TopicState) -> bool) {
        let mut health = self.consumers.health().watch(TopicId(topic)).expect("a health entry");
        let reached = health.wait_for(|health| wanted(&health.state));
        tokio::time::timeout(PATIENCE, reached).await.expect("the state in time").expect("a living board");
    }
}

fn produce(servers: &str, topic: &str, partition: i32, payloads: impl IntoIterator<Item = String>) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", servers).create().expect("a producer");
    for payload in payloads {
        let record = BaseRecord::to(topic).partition(partition).key("k").payload(&payload).timestamp(7);
        producer.send(record).expect("room in the producer");
    }
    producer.flush(PATIENCE).expect("everything produced");
}

/// Asks for a group's positions without joining it.
struct Onlooker(BaseConsumer);

impl Onlooker {
    fn of(broker: &EmbeddedBroker, group: &str) -> Self {
        let reader = ClientConfig::new().set("bootstrap.servers", broker.servers()).set("group.id", group).create();
        Self(reader.expect("a client of the group"))
    }

    fn committed(&self, topic: &str, partition: i32) -> Offset {
        let mut question = rdkafka::TopicPartitionList::new();
        question.add_partition(topic, partition);
        let answer = self.0.committed_offsets(question, PATIENCE).expect("committed offsets");
        answer.find_partition(topic, partition).expect("the partition").offset()
    }

    async fn until_committed(&self, topic: &str, partition: i32, wanted: i64) {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..500 {
            if self.committed(topic, partition) == Offset::Offset(wanted) {
                return;
            }
            pause.tick().await;
        }
        panic!("{:?} is committed, not {wanted}", self.committed(topic, partition));
    }

    /// Commits as a stranger, which a group without members allows.
    fn commit(&self, topic: &str, offset: i64) {
        let mut position = rdkafka::TopicPartitionList::new();
        position.add_partition_offset(topic, 0, Offset::Offset(offset)).expect("an offset");
        self.0.commit(&position, rdkafka::consumer::CommitMode::Sync).expect("a stranger's commit");
    }
}

fn broker_with(topics: &[(&str, i32)]) -> EmbeddedBroker {
    let broker = EmbeddedBroker::start(1).expect("an embedded broker");
    for (name, partitions) in topics {
        broker.create_topic(name, *partitions).expect("a topic");
    }
    broker
}

#[tokio::test(flavor = "multi_thread")]
async fn row_4_05_and_4_31_a_batch_reaches_the_lane_in_order_with_bytes_positions_and_epochs_and_obeys_the_quota() {
    let broker = broker_with(&[("T", 1)]);
    produce(broker.servers(), "T", 0, (0..25).map(|i| format!("payload {i}")));
    let mut room = Room::start(&["T"], vec![topic(10)], vec![consumer(broker.servers(), "g-T", &[0])]);

    let assigned = room.assigned(0).await;
    assert_eq!(
        (assigned[0].start, assigned[0].live_from, assigned[0].end),
        (NextOffset(0), NextOffset(0), NextOffset(25))
    );
    let batches = room.batches(0, 25).await;

    let mut next = 0;
    for batch in &batches {
        assert!(batch.len() <= 10, "the quota is 10, the batch has {}", batch.len());
        for row in batch.rows() {
            assert_eq!(row.offset.0, next);
            assert_eq!(row.epoch, assigned[0].epoch);
            assert_eq!(row.timestamp.0, 7);
            assert_eq!(batch.key(row), Some(&b"k"[..]));
            assert_eq!(batch.payload(row), Some(format!("payload {next}").as_bytes()));
            next += 1;
        }
        let positions = batch.positions();
        assert_eq!(positions.len(), 1);
        assert_eq!((positions[0].epoch, positions[0].position), (assigned[0].epoch, NextOffset(next)));
    }
    assert_eq!(next, 25);
    let report = room.consumers.close(PATIENCE).await;
    assert_eq!(report.closed, [Arc::from("g-T")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_1_07_the_start_position_is_committed_once_and_settled_ones_follow() {
    let broker = broker_with(&[("T", 1)]);
    produce(broker.servers(), "T", 0, (0..5).map(|i| i.to_string()));
    let latest = TopicSettings { auto_offset_reset: OffsetReset::Latest, ..topic(10) };
    let group = Onlooker::of(&broker, "g-T");
    let mut room = Room::start(&["T"], vec![latest], vec![consumer(broker.servers(), "g-T", &[0])]);
    let epoch = room.assigned(0).await[0].epoch;
    group.until_committed("T", 0, 5).await;

    produce(broker.servers(), "T", 0, (5..9).map(|i| i.to_string()));
    assert_eq!(room.batches(0, 4).await[0].rows()[0].offset.0, 5);
    let commit = |epoch, next| Commit { topic: TopicId(0), partition: 0, epoch, next: NextOffset(next) };
    room.consumers.commit(&[commit(Epoch(0), 9)]);
    let mut health = room.consumers.health().watch(TopicId(0)).expect("a health entry");
    health.wait_for(|health| health.stale_commits == 1).await.expect("a living board");
    room.consumers.commit(&[commit(epoch, 7)]);
    group.until_committed("T", 0, 7).await;
    room.consumers.commit(&[commit(epoch, 6)]);
    let report = room.consumers.close(PATIENCE).await;
    assert_eq!(report.abandoned, Vec::<Arc<str>>::new());
    assert_eq!(group.committed("T", 0), Offset::Offset(7), "never lower, never of a stale epoch");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_1_06_records_without_a_key_with_an_empty_one_and_with_bytes_that_are_no_text_are_told_apart() {
    let broker = broker_with(&[("T", 1)]);
    let producer: BaseProducer = ClientConfig::from_iter(client(broker.servers()).0).create().expect("a producer");
    let keys: [Option<&[u8]>; 4] = [None, Some(b""), Some(&[0xff, 0x00, 0xfe]), Some(b"S1")];
    for key in keys {
        let record = BaseRecord::<[u8], str>::to("T").partition(0).payload("{}");
        producer.send(key.into_iter().fold(record, BaseRecord::key)).expect("room in the producer");
    }
    producer.flush(PATIENCE).expect("everything produced");
    let mut room = Room::start(
        &["T"],
        vec![TopicSettings { is_queue: true, ..topic(10) }],
        vec![consumer(broker.servers(), "g-T", &[0])],
    );
    let batches = room.batches(0, keys.len()).await;
    let read = batches.iter().flat_map(|batch| batch.rows().iter().map(|row| batch.key(row)));
    assert_eq!(read.collect::<Vec<_>>(), keys);
    room.consumers.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_4_04_each_topic_has_its_own_group_and_row_4_27_a_missing_one_disturbs_no_other() {
    let broker = broker_with(&[("A", 1)]);
    produce(broker.servers(), "A", 0, ["a".to_owned()]);
    let consumers = vec![consumer(broker.servers(), "base-A", &[0]), consumer(broker.servers(), "base-B", &[1])];
    let mut room = Room::start(&["A", "B"], vec![topic(10), topic(10)], consumers);
    assert_eq!(room.consumers.count(), 2);

    assert_eq!(room.batches(0, 1).await[0].topic(), TopicId(0));
    room.state(1, |state| matches!(state, TopicState::Failed(trouble) if trouble.kind == TroubleKind::Missing)).await;

    broker.create_topic("B", 1).expect("the missing topic");
    produce(broker.servers(), "B", 0, ["b".to_owned()]);
    assert_eq!(room.batches(1, 1).await[0].topic(), TopicId(1));
    let groups: Vec<Arc<str>> = room.consumers.health().snapshot().into_iter().map(|topic| topic.group).collect();
    assert_eq!(groups, [Arc::from("base-A"), Arc::from("base-B")]);
    room.consumers.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_4_10_one_consumer_for_all_topics_sorts_records_into_their_lanes() {
    let broker = broker_with(&[("A", 2), ("B", 1)]);
    produce(broker.servers(), "A", 1, (0..3).map(|i| format!("a{i}")));
    produce(broker.servers(), "B", 0, (0..2).map(|i| format!("b{i}")));
    let mut room =
        Room::start(&["A", "B"], vec![topic(10), topic(10)], vec![consumer(broker.servers(), "base", &[0, 1])]);
    let of_a = room.batches(0, 3).await;
    let of_b = room.batches(1, 2).await;
    assert!(of_a.iter().all(|batch| batch.topic() == TopicId(0)));
    assert!(of_b.iter().all(|batch| batch.topic() == TopicId(1)));
    room.consumers.close(PATIENCE).await;
}

/// Another member of the group, polled on a thread of its own until it is dropped.
struct Rival {
    leave: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Rival {
    fn join(settings: ConsumerSettings, topic: &str) -> Self {
        let member: BaseConsumer = ClientConfig::from_iter(settings.properties.0)
            .set("group.id", settings.group)
            .create()
            .expect("another member");
        member.subscribe(&[topic]).expect("a subscription");
        let leave = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&leave);
        let polling = move || {
            while !told.load(Ordering::Relaxed) {
                member.poll(Duration::from_millis(20));
            }
        };
        let thread = std::thread::Builder::new().name("rival".to_owned()).spawn(polling).expect("a thread");
        Self { leave, thread: Some(thread) }
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// KIP-848: the broker's own protocol, cooperative, and quick in the mock.
fn new_protocol(mut settings: ConsumerSettings) -> ConsumerSettings {
    settings.properties.0.remove("session.timeout.ms");
    settings.properties.0.remove("heartbeat.interval.ms");
    settings.properties.0.insert("group.protocol".to_owned(), "consumer".to_owned());
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn row_0_38_a_revoke_asks_for_settled_positions_and_commits_them() {
    let broker = broker_with(&[("T", 2)]);
    for partition in 0..2 {
        produce(broker.servers(), "T", partition, (0..6).map(|i| i.to_string()));
    }
    let settings = new_protocol(consumer(broker.servers(), "g-T", &[0]));
    let group = Onlooker::of(&broker, "g-T");
    let mut room = Room::start(&["T"], vec![topic(100)], vec![settings.clone()]);
    let mut assigned = room.assigned(0).await;
    while assigned.len() < 2 {
        assigned.extend(room.assigned(0).await);
    }
    room.batches(0, 12).await;
    for at in &assigned {
        let settled = Commit { topic: TopicId(0), partition: at.partition, epoch: at.epoch, next: NextOffset(4) };
        room.settled.lock().expect("settled positions").push(settled);
    }

    let rival = Rival::join(settings, "T");
    let (partition, epoch) = room.revoked(0).await[0];
    assert!(assigned.iter().any(|at| (at.partition, at.epoch) == (partition, epoch)));
    group.until_committed("T", partition, 4).await;

    drop(rival);
    room.consumers.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_0_38_a_partition_that_comes_back_under_the_classic_protocol_has_a_new_epoch() {
    let broker = broker_with(&[("T", 2)]);
    produce(broker.servers(), "T", 0, (0..6).map(|i| i.to_string()));
    let settings = consumer(broker.servers(), "g-T", &[0]);
    let mut room = Room::start(&["T"], vec![topic(100)], vec![settings.clone()]);
    let first = room.assigned(0).await;
    assert_eq!(first.len(), 2);
    room.batches(0, 6).await;
    let rival = Rival::join(settings, "T");
    assert_eq!(room.revoked(0).await.len(), 2, "everything is taken away before it is shared anew");
    let shared = room.assigned(0).await;
    assert_eq!(shared.len(), 1);
    assert!(first.iter().all(|at| at.epoch < shared[0].epoch));
    drop(rival);
    room.revoked(0).await;
    let whole = room.assigned(0).await;
    assert_eq!(whole.len(), 2);
    assert!(whole.iter().all(|at| at.epoch > shared[0].epoch));
    room.consumers.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_4_29_intake_stops_commits_go_on_and_closing_keeps_its_deadline() {
    let broker = broker_with(&[("T", 1)]);
    produce(broker.servers(), "T", 0, (0..3).map(|i| i.to_string()));
    let group = Onlooker::of(&broker, "g-T");
    let mut room = Room::start(&["T"], vec![topic(10)], vec![consumer(broker.servers(), "g-T", &[0])]);
    let epoch = room.assigned(0).await[0].epoch;
    room.batches(0, 3).await;

    room.consumers.stop_intake();
    room.consumers.commit(&[Commit { topic: TopicId(0), partition: 0, epoch, next: NextOffset(3) }]);
    group.until_committed("T", 0, 3).await;
    produce(broker.servers(), "T", 0, (3..6).map(|i| i.to_string()));

    let report = room.consumers.close(Duration::from_secs(10)).await;
    assert_eq!(report.closed.len(), 1, "closed before the deadline");
    while let Some(item) = room.lanes[0].try_recv() {
        assert!(!matches!(item, LaneItem::Batch(_)), "nothing is taken in after the stop");
    }
    assert_eq!(room.consumers.health().snapshot()[0].state, TopicState::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_4_29_closing_gives_up_on_brokers_that_are_gone() {
    let broker = broker_with(&[("T", 1)]);
    produce(broker.servers(), "T", 0, ["x".to_owned()]);
    let mut room = Room::start(&["T"], vec![topic(10)], vec![consumer(broker.servers(), "g-T", &[0])]);
    let epoch = room.assigned(0).await[0].epoch;
    room.batches(0, 1).await;
    broker.set_reachable(false).expect("brokers go away");
    room.consumers.commit(&[Commit { topic: TopicId(0), partition: 0, epoch, next: NextOffset(1) }]);
    let closing = room.consumers.close(Duration::from_secs(4));
    let report = tokio::time::timeout(Duration::from_secs(6), closing).await.expect("closing keeps its deadline");
    assert_eq!(report.closed.len() + report.abandoned.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_4_34_a_committed_position_that_no_longer_exists_is_a_counted_gap() {
    let broker = broker_with(&[("T", 1)]);
    produce(broker.servers(), "T", 0, (0..3).map(|i| i.to_string()));
    Onlooker::of(&broker, "g-T").commit("T", 500);
    let mut room = Room::start(&["T"], vec![topic(10)], vec![consumer(broker.servers(), "g-T", &[0])]);
    let assigned = room.assigned(0).await;
    assert_eq!(assigned[0].live_from, NextOffset(0));
    assert_eq!(room.batches(0, 3).await[0].rows()[0].offset.0, 0);
    room.consumers.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_4_34_an_out_of_range_answer_while_reading_loses_and_repeats_nothing() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let servers = cluster.bootstrap_servers();
    cluster.create_topic("T", 1, 1).expect("a topic");
    produce(&servers, "T", 0, (0..3).map(|i| i.to_string()));
    let mut room = Room::start(&["T"], vec![topic(10)], vec![consumer(&servers, "g-T", &[0])]);
    room.assigned(0).await;
    room.batches(0, 3).await;
    cluster.request_errors(RDKafkaApiKey::Fetch, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE]);
    produce(&servers, "T", 0, (3..6).map(|i| i.to_string()));
    let offsets: Vec<i64> =
        room.batches(0, 3).await.iter().flat_map(|batch| batch.rows().iter().map(|row| row.offset.0)).collect();
    assert_eq!(offsets, [3, 4, 5]);
    room.consumers.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_4_36_loading_starts_before_the_committed_position() {
    let broker = broker_with(&[("T", 1)]);
    produce(broker.servers(), "T", 0, (0..8).map(|i| i.to_string()));
    let group = Onlooker::of(&broker, "g-T");
    group.commit("T", 5);
    let beginning = TopicSettings { rehydrate: Rehydrate::Beginning, ..topic(100) };
    let mut room = Room::start(&["T"], vec![beginning], vec![consumer(broker.servers(), "g-T", &[0])]);
    let assigned = room.assigned(0).await;
    assert_eq!((assigned[0].start, assigned[0].live_from), (NextOffset(0), NextOffset(5)));
    room.batches(0, 8).await;
    room.consumers.close(PATIENCE).await;
    assert_eq!(group.committed("T", 0), Offset::Offset(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_0_22_a_broker_is_waited_for_and_its_absence_is_said() {
    let broker = broker_with(&[("T", 3)]);
    let cluster = wait_for_brokers(&client(broker.servers()), PATIENCE).await.expect("a broker");
    assert_eq!(cluster.brokers, 1);
    assert!(cluster.cluster_id.is_some_and(|id| !id.is_empty()), "a cluster is known by its id");
    let facts =
        describe_topics(&client(broker.servers()), &["T".into(), "none".into()]).await.expect("an admin client");
    assert_eq!(facts[0].partitions, Ok(3));
    assert_eq!(facts[1].partitions.as_ref().map_err(|trouble| trouble.kind), Err(TroubleKind::Missing));
    broker.set_reachable(false).expect("the broker goes away");
    let absent = wait_for_brokers(&client(broker.servers()), Duration::from_millis(500)).await;
    assert!(matches!(absent, Err(ConnectError::Unreachable { .. })), "{absent:?}");
}
