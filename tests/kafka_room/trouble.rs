//! What goes wrong with a consumer's group or its brokers: others in the group, places taken, refusals, absence.

use std::sync::Arc;
use std::time::Duration;

use quorate::config::ConsumerSettings;
use quorate::fault::deafen;
use quorate::kafka::{Hopeless, Timing, TopicState, TroubleKind};
use quorate::pipeline::ports::{Commit, Consumers as _};
use quorate_core::ident::{NextOffset, TopicId};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::{Onlooker, PATIENCE, Rival, Room, broker_with, consumer, new_protocol, produce, topic};

/// A mock cluster with one record in topic T, and a consumer of it under an identity of its own.
fn cluster() -> (MockCluster<'static, DefaultProducerContext>, ConsumerSettings) {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let servers = cluster.bootstrap_servers();
    cluster.create_topic("T", 1, 1).expect("a topic");
    produce(&servers, "T", 0, ["x".to_owned()]);
    let mut settings = consumer(&servers, "g-T", &[0]);
    settings.properties.0.insert("group.instance.id".to_owned(), "host-a".to_owned());
    (cluster, settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_somebody_else_keeps_are_split_ownership_until_they_come_back() {
    let broker = broker_with(&[("T", 2)]);
    let settings = new_protocol(consumer(broker.servers(), "g-T", &[0]));
    let timing = Timing { split_after: Duration::from_millis(1500), ..Timing::default() };
    let mut room = Room::timed(&["T"], vec![topic(100)], vec![settings.clone()], timing);
    room.state(0, |state| *state == TopicState::Assigned).await;

    let rival = Rival::join(settings, "T");
    assert!(room.split(0).await);
    room.state(0, |state| matches!(state, TopicState::SplitOwnership(_))).await;

    drop(rival);
    assert!(!room.split(0).await);
    room.state(0, |state| *state == TopicState::Assigned).await;
    room.consumers.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_0_38_with_cooperative_sticky_only_what_moves_is_taken_away() {
    let broker = broker_with(&[("T", 2)]);
    let mut settings = consumer(broker.servers(), "g-T", &[0]);
    let strategy = ("partition.assignment.strategy".to_owned(), "cooperative-sticky".to_owned());
    settings.properties.0.extend([strategy]);
    let mut room = Room::start(&["T"], vec![topic(100)], vec![settings.clone()]);
    assert_eq!(room.assigned(0).await.len(), 2);
    let rival = Rival::join(settings, "T");
    assert_eq!(room.revoked(0).await.len(), 1);
    assert_eq!(room.consumers.health().snapshot()[0].partitions.len(), 1);
    drop(rival);
    assert_eq!(room.assigned(0).await.len(), 1, "what stayed goes on under its epoch");
    room.consumers.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_another_process_took_is_left_to_it() {
    let (cluster, settings) = cluster();
    let mut room = Room::start(&["T"], vec![topic(10)], vec![settings]);
    let assigned = room.assigned(0).await;
    let mut hopeless = room.consumers.hopeless();
    assert_eq!(*hopeless.borrow(), None);
    cluster.request_errors(RDKafkaApiKey::Heartbeat, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID]);
    let told = hopeless.wait_for(Option::is_some);
    let told = tokio::time::timeout(PATIENCE, told).await.expect("in time").expect("living consumers").clone();
    assert_eq!(told, Some(Hopeless::Fenced));
    assert_eq!(room.revoked(0).await, [(0, assigned[0].epoch)]);
    room.state(0, |state| matches!(state, TopicState::Failed(trouble) if trouble.kind == TroubleKind::Fenced)).await;
    assert_eq!(room.consumers.health().snapshot()[0].rebuilds, 1);
    let report = room.consumers.close(PATIENCE).await;
    assert_eq!(report.closed, [Arc::from("g-T")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_1_14_a_commit_of_a_stranger_is_counted_and_not_sent_again() {
    let (cluster, settings) = cluster();
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]);
    let mut room = Room::start(&["T"], vec![topic(10)], vec![settings]);
    room.assigned(0).await;
    let mut health = room.consumers.health().watch(TopicId(0)).expect("a health entry");
    let counted = health.wait_for(|health| health.fenced_commits == 1);
    tokio::time::timeout(PATIENCE, counted).await.expect("in time").expect("a living board");
    // Nothing is waited for at the end: the commit was dropped.
    let report = room.consumers.close(Duration::from_secs(10)).await;
    assert_eq!(report.closed.len(), 1);
}

/// Processor time that this process's threads of one name have used, in clock ticks of 10 ms.
fn ticks(thread: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads");
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        let folder = task.ok()?.path();
        let name = std::fs::read_to_string(folder.join("comm")).ok()?;
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        let after_name = stat.rsplit_once(')')?.1;
        let fields: Vec<u64> = after_name.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        (name.trim_end() == thread).then(|| fields[11] + fields[12])
    };
    tasks.filter_map(of_task).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_0_40_brokers_that_are_away_keep_nobody_busy_and_are_found_again() {
    let broker = broker_with(&[("T", 1)]);
    produce(broker.servers(), "T", 0, ["x".to_owned()]);
    let mut room = Room::start(&["T"], vec![topic(10)], vec![consumer(broker.servers(), "g-away", &[0])]);
    room.batches(0, 1).await;
    broker.set_reachable(false).expect("brokers go away");
    let before = ticks("g-away");
    let away = Duration::from_secs(5);
    tokio::time::sleep(away).await;
    let used = ticks("g-away") - before;
    assert!(used <= 25, "{used} ticks of 10 ms in {away:?}: more than a twentieth of a core");
    broker.set_reachable(true).expect("brokers come back");
    produce(broker.servers(), "T", 0, ["y".to_owned()]);
    // The group may have given us up meanwhile; then the record that was never settled comes first once more.
    while room.batches(0, 1).await.iter().flat_map(|batch| batch.rows()).all(|row| row.offset.0 < 1) {}
    assert_eq!(room.consumers.health().snapshot()[0].rebuilds, 0);
    room.consumers.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_to_which_nothing_comes_while_its_log_grows_is_built_anew_alone_and_nothing_is_lost() {
    const FIRST: usize = 3;
    let broker = broker_with(&[("A", 1), ("B", 1)]);
    let servers = broker.servers();
    for name in ["A", "B"] {
        produce(servers, name, 0, (0..FIRST).map(|n| n.to_string()));
    }
    let consumers =
        [("g-stall-A", 0), ("g-stall-B", 1)].map(|(group, id)| new_protocol(consumer(servers, group, &[id])));
    let timing = Timing { stalled_after: Duration::from_secs(2), ..Timing::default() };
    let mut room = Room::timed(&["A", "B"], vec![topic(100), topic(100)], consumers.to_vec(), timing);
    let epoch = room.assigned(0).await[0].epoch;
    for topic in 0..2 {
        room.batches(topic, FIRST).await;
    }
    let next = NextOffset(FIRST as i64);
    room.consumers.commit(&[Commit { topic: TopicId(0), partition: 0, epoch, next }]);
    Onlooker::of(&broker, "g-stall-A").until_committed("A", 0, next.0).await;

    deafen("g-stall-A", true);
    let mut health = room.consumers.health().watch(TopicId(0)).expect("a health entry");
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    let mut written = FIRST;
    let healing = async {
        while health.borrow_and_update().self_heals == 0 {
            for name in ["A", "B"] {
                produce(servers, name, 0, [written.to_string()]);
            }
            written += 1;
            pause.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, healing).await.expect("the stall in time");
    deafen("g-stall-A", false);

    for topic in 0..2 {
        let batches = room.batches(topic, written - FIRST).await;
        let offsets: Vec<i64> = batches.iter().flat_map(|batch| batch.rows().iter().map(|row| row.offset.0)).collect();
        assert_eq!(offsets, (FIRST as i64..written as i64).collect::<Vec<_>>(), "topic {topic}");
    }
    let counts = room.consumers.health().snapshot().into_iter().map(|health| (health.rebuilds, health.self_heals));
    assert_eq!(counts.collect::<Vec<_>>(), [(1, 1), (0, 0)]);
    room.consumers.close(PATIENCE).await;
}
