//! Commits that a group refuses: what is counted, what is made good, and whom it concerns.

use std::time::Duration;

use quorate::pipeline::ports::{Commit, Consumers};
use quorate_core::ident::{NextOffset, TopicId};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::{Onlooker, PATIENCE, Room, broker_with, client, consumer, produce, topic};

#[tokio::test(flavor = "multi_thread")]
async fn row_1_14_a_refused_commit_is_counted_and_made_good() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let servers = cluster.bootstrap_servers();
    cluster.create_topic("T", 1, 1).expect("a topic");
    produce(&servers, "T", 0, ["x".to_owned()]);
    let group = Onlooker(
        ClientConfig::from_iter(client(&servers).0).set("group.id", "g-T").create().expect("a client of the group"),
    );
    cluster
        .request_errors(RDKafkaApiKey::OffsetCommit, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED]);
    let mut room = Room::start(&["T"], vec![topic(10)], vec![consumer(&servers, "g-T", &[0])]);
    room.assigned(0).await;
    group.until_committed("T", 0, 0).await;
    assert_eq!(room.consumers.health().snapshot()[0].failed_commits, 1);
    room.consumers.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_4_28_each_topic_commits_its_own_and_one_whose_commits_all_fail_stops_no_other() {
    let (failing, sound) = (MockCluster::new(1).expect("a mock cluster"), broker_with(&[("U", 1)]));
    let servers = failing.bootstrap_servers();
    failing.create_topic("T", 1, 1).expect("a topic");
    produce(&servers, "T", 0, ["x".to_owned()]);
    produce(sound.servers(), "U", 0, ["x".to_owned()]);
    failing.request_errors(
        RDKafkaApiKey::OffsetCommit,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 1000],
    );
    let consumers = vec![consumer(&servers, "g-T", &[0]), consumer(sound.servers(), "g-U", &[1])];
    let mut room = Room::start(&["T", "U"], vec![topic(10), topic(10)], consumers);
    let mut commits = Vec::new();
    for topic in [0, 1] {
        let epoch = room.assigned(topic.into()).await[0].epoch;
        commits.push(Commit { topic: TopicId(topic), partition: 0, epoch, next: NextOffset(1) });
    }
    room.consumers.commit(&commits);
    Onlooker::of(&sound, "g-U").until_committed("U", 0, 1).await;
    let mut health = room.consumers.health().watch(TopicId(0)).expect("a health entry");
    let counted = health.wait_for(|health| health.failed_commits >= 2);
    tokio::time::timeout(PATIENCE, counted).await.expect("in time").expect("a living board");
    let all = room.consumers.health().snapshot();
    assert_eq!((all[0].commits, all[1].failed_commits), (0, 0));
    assert!(all[1].commits >= 1, "{:?}", all[1]);
    room.consumers.close(Duration::from_secs(2)).await;
}
