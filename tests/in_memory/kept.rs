//! A pipeline that keeps its state goes on where an earlier one stopped.

use std::time::Duration;

use quorate::state::MemoryStore;

use crate::support::{Reply, Scripted, World, header};

const KAFKA: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
"#;

const BUCKET: &str = r#"
[topics.ORDER]
station = "/s"
window = { kind = "bucket", every = "10s", close_after = "5s" }
[modules.m]
enabled = true
requires = ["ORDER"]
"#;

const CURVE: &str = r#"
[topics.CURVE]
station = "/s"
time = { at = "/at", format = "%s", zone = "UTC" }
window = { kind = "bucket", every = "10s", close_after = "10s" }
[modules.sum]
enabled = true
requires = ["CURVE"]
"#;

const LATEST: &str = r#"
[topics.LOAD]
station = "/s"
[modules.m]
enabled = true
requires = ["LOAD"]
"#;

fn config(rest: &str) -> String {
    [KAFKA, rest].concat()
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_open_at_a_stop_takes_in_what_came_meanwhile() {
    let (store, module) = (MemoryStore::default(), Scripted::new("m", |_| Reply::Echo));
    let mut world = World::keeping(&config(BUCKET), vec![module.clone()], &store);
    world.assign("ORDER", 0, 0, 0, 0).await;
    world.send("ORDER", &[r#"{"s":"S1","n":0}"#]).await;
    world.pass(2_000).await;
    assert!(world.handle.drain(Duration::from_secs(5)).await);
    world.stop().await;
    let store = store.reopened();
    let mut world = World::keeping(&config(BUCKET), vec![module.clone()], &store);
    world.pass(50_000).await;
    world.assign("ORDER", 0, 1, 1, 3).await;
    world.pass(2_000).await;
    assert!(module.seen().is_empty(), "long over by the wall clock, but there is a backlog");
    world.send("ORDER", &[r#"{"s":"S1","n":1}"#, r#"{"s":"S1","n":2}"#]).await;
    world.pass(5_000).await;
    let results = world.publisher.values("MODULE-OUTPUT-M");
    assert_eq!(results.len(), 1);
    let readings = results[0]["output"]["ORDER"]["readings"].as_array().expect("readings").len();
    assert_eq!((readings, world.publisher.of("test-dead-letters").len()), (3, 0));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_counts_as_read_only_once_what_was_read_is_durable() {
    let (store, module) = (MemoryStore::default(), Scripted::new("m", |_| Reply::Echo));
    store.delay_flushes(Duration::from_secs(10));
    let mut world = World::keeping(&config(LATEST), vec![module.clone()], &store);
    world.assign("LOAD", 0, 0, 1, 1).await;
    world.send("LOAD", &[r#"{"s":"S1"}"#]).await;
    let loaded = world.handle.loaded();
    world.pass(12_000).await;
    assert_eq!(module.stations(), ["S1"], "its state is loaded");
    assert!(!loaded.borrow().contains(&true), "and would be lost in a crash");
    world.pass(60_000).await;
    assert_eq!(*loaded.borrow(), [true]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_hands_over_what_waited_for_nothing_but_a_flush() {
    let store = MemoryStore::default();
    let sum = Scripted::new("sum", |_| Reply::Echo);
    let mut world = World::keeping(&config(CURVE), vec![sum], &store);
    world.assign("CURVE", 0, 0, 0, 0).await;
    world.pass(1_500).await;
    world.send("CURVE", &[r#"{"s":"S","at":1762225501}"#, r#"{"s":"S","at":1762225511}"#]).await;
    world.pass(1).await;
    assert!(world.publisher.of("MODULE-OUTPUT-SUM").is_empty(), "the first bucket is closed and not flushed yet");
    assert!(world.handle.drain(Duration::from_secs(5)).await);
    assert_eq!(world.publisher.of("MODULE-OUTPUT-SUM").len(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_service_writes_nothing() {
    let (store, module) = (MemoryStore::default(), Scripted::new("m", |_| Reply::Echo));
    let mut world = World::keeping(&config(LATEST), vec![module], &store);
    world.assign("LOAD", 0, 0, 0, 0).await;
    world.send("LOAD", &[r#"{"s":"S1"}"#]).await;
    world.pass(5_000).await;
    let written = store.flushes();
    assert!(written > 0);
    world.pass(60_000).await;
    assert_eq!(store.flushes(), written);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_whose_last_flush_fails_is_no_drain() {
    let (store, module) = (MemoryStore::default(), Scripted::new("m", |_| Reply::Echo));
    let mut world = World::keeping(&config(LATEST), vec![module], &store);
    world.assign("LOAD", 0, 0, 0, 0).await;
    world.pass(3_500).await;
    world.send("LOAD", &[r#"{"s":"S1"}"#]).await;
    world.pass(1).await;
    store.fail_flush(1);
    assert!(!world.handle.drain(Duration::from_secs(30)).await);
    assert!(world.handle.is_broken());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_waited_when_the_process_died_is_written_by_the_next_one_and_then_forgotten() {
    const LETTERS: &str = "test-dead-letters";
    let (store, module) = (MemoryStore::default(), Scripted::new("m", |_| Reply::Echo));
    let mut world = World::keeping(&config(LATEST), vec![module.clone()], &store);
    world.assign("LOAD", 0, 0, 0, 0).await;
    world.publisher.freeze(LETTERS);
    world.send("LOAD", &["no JSON"]).await;
    world.pass(3_000).await;
    assert_eq!(world.committed("LOAD"), Some(1), "the letter is durable");
    assert!(world.publisher.of(LETTERS).is_empty());
    world.stop().await;
    let store = store.reopened();
    let mut world = World::keeping(&config(LATEST), vec![module], &store);
    world.assign("LOAD", 0, 1, 1, 1).await;
    world.pass(3_000).await;
    let letters = world.publisher.of(LETTERS);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value.as_deref(), Some(&b"no JSON"[..]));
    assert_eq!(header(&letters[0], "quorate-origin").as_deref(), Some("LOAD/0/0"));
    assert_eq!(store.letters(), []);
    world.stop().await;
}
