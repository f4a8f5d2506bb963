//! The one producer against the mock cluster: what it acknowledges, what it refuses, what it counts.

use std::time::Duration;

use quorate::kafka::KafkaPublisher;
use quorate::pipeline::ports::{OutgoingRecord, PublishError, Publisher};

use super::{PATIENCE, broker_with, client};

#[tokio::test(flavor = "multi_thread")]
async fn row_3_03_one_producer_acknowledges_and_refuses_only_what_no_broker_takes() {
    let broker = broker_with(&[("out", 1)]);
    let mut properties = client(broker.servers());
    properties.0.insert("linger.ms".to_owned(), "0".to_owned());
    properties.0.insert("message.max.bytes".to_owned(), "2000".to_owned());
    properties.0.insert("enable.idempotence".to_owned(), "true".to_owned());
    let publisher = KafkaPublisher::new(properties).expect("a publisher");
    let record = |value: Vec<u8>| OutgoingRecord {
        topic: "out".into(),
        key: Some(b"S1".to_vec()),
        value: Some(value),
        headers: vec![("quorate-module", b"m".to_vec())],
    };
    let all = (0..100).map(|i| publisher.publish(record(vec![i; 10])));
    assert!(futures::future::join_all(all).await.into_iter().all(|outcome| outcome.is_ok()));
    let refused = publisher.publish(record(vec![0; 10_000])).await;
    assert!(matches!(refused, Err(PublishError::Refused(_))), "{refused:?}");
    let health = publisher.health();
    assert_eq!((health.totals(), health.in_flight, health.clients_built), ((100, 1, 0), 0, 1));
    assert_eq!(publisher.close(PATIENCE).await, 0);
    assert_eq!(publisher.publish(record(vec![1])).await, Err(PublishError::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_0_31_what_became_of_records_is_counted_by_topic_and_failures_while_the_broker_is_away() {
    let broker = broker_with(&[("good", 1), ("late", 1)]);
    let mut properties = client(broker.servers());
    for (name, value) in [("linger.ms", "0"), ("message.max.bytes", "2000"), ("message.timeout.ms", "1000")] {
        properties.0.insert(name.to_owned(), value.to_owned());
    }
    let publisher = KafkaPublisher::new(properties).expect("a publisher");
    let publish = |topic: &str, bytes: usize| {
        publisher.publish(OutgoingRecord {
            topic: topic.into(),
            key: None,
            value: Some(vec![0; bytes]),
            headers: vec![],
        })
    };
    for _ in 0..10 {
        publish("good", 10).await.expect("acknowledged");
    }
    assert!(publish("good", 10_000).await.is_err(), "more than may be sent");
    broker.set_reachable(false).expect("the broker goes away");
    let came_back = async {
        let is_retried = || publisher.health().topics.get("late").is_some_and(|late| late.retried > 0);
        tokio::time::timeout(PATIENCE, async {
            while !is_retried() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("a delivery that failed is counted");
        broker.set_reachable(true).expect("the broker comes back");
    };
    let (late, ()) = tokio::join!(publish("late", 10), came_back);
    late.expect("acknowledged in the end");
    let topics = publisher.health().topics;
    let counted = |topic: &str| (topics[topic].delivered, topics[topic].refused, topics[topic].latency.count());
    assert_eq!((counted("good"), counted("late")), ((10, 1, 10), (1, 0, 1)));
    assert!(topics["late"].latency.sum >= Duration::from_secs(1), "{:?}", topics["late"].latency);
    assert_eq!(topics["good"].retried, 0);
    assert_eq!(publisher.close(PATIENCE).await, 0);
}
