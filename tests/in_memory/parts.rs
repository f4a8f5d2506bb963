//! Parts of topics that go to somebody else and come back: nobody is called on half of what there is to know.

use std::sync::Arc;

use quorate::state::MemoryStore;
use serde_json::json;

use crate::support::{Reply, START, Scripted, World, seen_of};

const CONFIG: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
[topics.A]
station = "/s"
[topics.B]
station = "/s"
[modules.m]
requires = ["A", "B"]
trigger = { on = ["B"] }
"#;

/// A module that was called once, on `v` 0 of topic A.
async fn called_once() -> (Arc<Scripted>, World) {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(CONFIG, vec![module.clone()]);
    world.assign_all().await;
    send(&mut world, "A", 0, &[0]).await;
    send(&mut world, "B", 0, &[0]).await;
    world.pass(1_000).await;
    assert_eq!(seen(&module), [0]);
    (module, world)
}

async fn send(world: &mut World, topic: &str, partition: i32, values: &[i64]) {
    let payloads: Vec<_> = values.iter().map(|v| json!({ "s": "S", "v": v }).to_string()).collect();
    world.send_to(topic, partition, &payloads.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// What each call saw of topic A.
fn seen(module: &Scripted) -> Vec<i64> {
    seen_of(module, "A").iter().map(|value| value["v"].as_i64().expect("a number")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_may_have_read_is_read_before_anybody_is_called() {
    let (module, mut world) = called_once().await;
    world.split("A", true).await;
    world.revoke("A", 0).await;
    send(&mut world, "B", 0, &[1]).await;
    world.pass(5_000).await;
    assert_eq!(seen(&module), [0], "a part is missing");
    // Another process has read up to 4, published what that led to, and is gone.
    world.assign("A", 0, 1, 4, 4).await;
    world.split("A", false).await;
    world.pass(5_000).await;
    assert_eq!(seen(&module), [0], "it is back, and nothing of it was read yet");
    send(&mut world, "A", 0, &[1, 2]).await;
    world.pass(5_000).await;
    assert_eq!(seen(&module), [0], "half of it was");
    send(&mut world, "A", 0, &[3]).await;
    world.pass(5_000).await;
    assert_eq!(seen(&module), [0, 3]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_part_that_cannot_be_read_is_waited_for_only_so_long() {
    let (module, mut world) = called_once().await;
    world.revoke("A", 0).await;
    world.assign("A", 0, 1, 4, 4).await;
    send(&mut world, "B", 0, &[1]).await;
    world.pass(55_000).await;
    assert_eq!(seen(&module), [0]);
    // What other partitions bring is no progress of this one.
    world.assign("A", 1, 0, 0, 0).await;
    for v in 10..70 {
        send(&mut world, "A", 1, &[v]).await;
        world.pass(1_100).await;
    }
    assert_eq!(seen(&module).len(), 2, "a minute after the last assignment");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_part_of_a_topic_serves_nobody_until_the_rest_is_read_too() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(CONFIG, vec![module.clone()]);
    world.split("A", true).await;
    world.assign("A", 0, 0, 1, 1).await;
    world.assign("B", 0, 0, 0, 0).await;
    send(&mut world, "A", 0, &[0]).await;
    send(&mut world, "B", 0, &[0]).await;
    world.pass(120_000).await;
    assert!(seen(&module).is_empty());
    world.assign("A", 1, 0, 2, 2).await;
    world.split("A", false).await;
    world.pass(5_000).await;
    assert!(seen(&module).is_empty(), "the other part holds newer readings");
    send(&mut world, "A", 1, &[1, 2]).await;
    world.pass(5_000).await;
    assert_eq!(seen(&module), [2]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_stands_still_keeps_no_module_waiting_after_a_rebalance_and_no_consumer_that_has_others() {
    let config = CONFIG.replace("[topics.B]", "on_failure = \"halt\"\n[topics.B]");
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(&config, vec![module.clone()]);
    world.assign_all().await;
    send(&mut world, "A", 0, &[0]).await;
    world.send("A", &["not JSON"]).await;
    for v in 0..1_000 {
        send(&mut world, "A", 0, &[v]).await;
    }
    world.pass(1_000).await;
    assert_eq!(world.queued("A"), 0, "what stands behind the record is not kept");
    world.split("A", true).await;
    world.revoke("A", 0).await;
    send(&mut world, "B", 0, &[0]).await;
    world.pass(1_000).await;
    assert!(seen(&module).is_empty());
    world.assign("A", 0, 1_002, 1_002, 1_002).await;
    world.split("A", false).await;
    world.pass(1_000).await;
    assert_eq!(seen(&module), [0]);
    world.pass(10_000).await;
    assert_eq!(world.committed("A"), Some(1), "it stays where it stands");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_decoded_is_one_dead_letter_also_when_it_is_read_again_after_a_rebalance() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::keeping(CONFIG, vec![module], &MemoryStore::default());
    world.assign_all().await;
    world.send("A", &["not JSON", "neither"]).await;
    world.revoke("A", 0).await;
    // What was flushed when it came back was older.
    world.assign("A", 0, 1, 1, 3).await;
    world.send("A", &["neither", "nor this"]).await;
    world.pass(5_000).await;
    assert_eq!(world.publisher.of("test-dead-letters").len(), 3);
    assert_eq!(world.committed("A"), Some(3));
    world.stop().await;
}

const BUCKETS: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
[topics.A]
station = "/s"
time = { at = "/at", format = "%s", zone = "UTC" }
window = { kind = "bucket", every = "1s", close_after = "1s" }
[modules.m]
requires = ["A"]
"#;

#[tokio::test(start_paused = true)]
async fn no_bucket_closes_by_the_wall_clock_while_its_partition_is_away() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(BUCKETS, vec![module.clone()]);
    world.assign_all().await;
    let order = |tx: &str| json!({ "s": "S", "at": (START.0 / 1_000).to_string(), "tx": tx }).to_string();
    world.send("A", &[&order("tx1")]).await;
    world.pass(100).await;
    world.revoke("A", 0).await;
    world.pass(30_000).await;
    world.assign("A", 0, 1, 1, 2).await;
    world.send("A", &[&order("tx2")]).await;
    world.pass(10_000).await;
    let handed = seen_of(&module, "A");
    assert_eq!((handed.len(), handed[0]["readings"].as_array().map(Vec::len)), (1, Some(2)));
    assert_eq!(world.publisher.of("test-dead-letters").len(), 0, "nothing was too late");
    world.stop().await;
}
