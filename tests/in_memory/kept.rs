//! What a store gives back to the next life of the process.

use std::sync::Arc;
use std::time::Duration;

use quorate::state::MemoryStore;

use crate::support::{Reply, Scripted, World};

const CONFIG: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
[topics.CURVE]
station = "/s"
time = { at = "/at", format = "%s", zone = "UTC" }
window = { kind = "bucket", every = "10s", close_after = "10s" }
[modules.sum]
enabled = true
requires = ["CURVE"]
"#;

#[tokio::test(start_paused = true)]
async fn an_open_bucket_from_the_store_waits_for_what_the_log_holds_though_its_time_has_run_out() {
    let store = MemoryStore::default();
    let sum = Scripted::new("sum", |_| Reply::Echo);
    let mut world = World::keeping(CONFIG, vec![sum.clone()], &store);
    world.assign("CURVE", 0, 0, 0, 0).await;
    world.send("CURVE", &[r#"{"s":"S","at":1762225501}"#]).await;
    world.pass(3_000).await;
    assert!(world.handle.drain(Duration::from_secs(5)).await);
    world.stop().await;
    assert!(sum.seen().is_empty(), "the bucket is open");

    let mut world = World::keeping(CONFIG, vec![sum.clone() as Arc<_>], &store.reopened());
    world.pass(50_000).await;
    world.assign("CURVE", 0, 1, 1, 2).await;
    world.pass(5_000).await;
    assert!(sum.seen().is_empty(), "a record is still to be read");
    world.send("CURVE", &[r#"{"s":"S","at":1762225502}"#]).await;
    world.pass(5_000).await;
    let values = world.publisher.values("MODULE-OUTPUT-SUM");
    assert_eq!(values.len(), 1);
    assert_eq!(values[0]["output"]["CURVE"]["readings"].as_array().map(Vec::len), Some(2), "{values:?}");
    assert!(world.publisher.of("test-dead-letters").is_empty());
    world.stop().await;
}
