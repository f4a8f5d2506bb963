//! Topics that stop at a record that cannot be decoded, because their settings say so.

use std::sync::Arc;

use quorate::pipeline::Standstill;
use quorate::state::MemoryStore;
use quorate_core::contract::Module;
use quorate_core::decode::Reason;
use quorate_core::ident::Offset;

use crate::support::{Reply, Scripted, World};

const CONFIG: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
[topics.A]
station = "/s"
on_failure = "halt"
[topics.B]
station = "/s"
[modules.of_a]
requires = ["A"]
[modules.of_b]
requires = ["B"]
"#;

const DEAD: &str = "test-dead-letters";

fn modules() -> (Arc<Scripted>, Arc<Scripted>) {
    (Scripted::new("of_a", |_| Reply::Echo), Scripted::new("of_b", |_| Reply::Echo))
}

fn all((a, b): &(Arc<Scripted>, Arc<Scripted>)) -> Vec<Arc<dyn Module>> {
    vec![Arc::clone(a) as _, Arc::clone(b) as _]
}

#[tokio::test(start_paused = true)]
async fn row_0_02_a_topic_stops_at_a_record_that_cannot_be_decoded_and_the_others_go_on() {
    let scripted = modules();
    let mut world = World::new(CONFIG, all(&scripted));
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#, r#"{"s":"S2"}"#, "not JSON", r#"{"s":"S3"}"#]).await;
    world.send("A", &[r#"{"s":"S4"}"#]).await;
    world.send("B", &[r#"{"s":"S1"}"#, "not JSON", r#"{"s":"S2"}"#]).await;
    world.pass(10_000).await;
    assert_eq!(scripted.0.stations(), ["S1", "S2"], "what stands before it");
    assert_eq!((world.committed("A"), world.committed("B")), (Some(2), Some(3)));
    assert_eq!(world.publisher.of(DEAD).len(), 1, "that of B");
    let standstills = world.handle.census().await.standstills;
    let [Standstill { topic, partition: 0, offset: Offset(2), reason: Reason::NotJson, .. }] = &standstills[..] else {
        panic!("{standstills:?}");
    };
    assert_eq!(&**topic, "A");
    world.send("B", &[r#"{"s":"S3"}"#]).await;
    world.pass(120_000).await;
    assert_eq!(scripted.1.stations(), ["S1", "S2", "S3"]);
    assert_eq!(world.committed("A"), Some(2));
    assert!(world.handle.drain(std::time::Duration::from_secs(5)).await, "it holds up no drain");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_0_02_other_partitions_of_the_topic_stand_before_their_first_record_that_was_polled_later() {
    let scripted = modules();
    let mut world = World::new(CONFIG, all(&scripted));
    world.assign_all().await;
    world.assign("A", 1, 0, 0, 0).await;
    world.send_to("A", 1, &[r#"{"s":"S1"}"#]).await;
    world.send("A", &[r#"{"t":"S2"}"#]).await;
    world.send_to("A", 1, &[r#"{"s":"S3"}"#]).await;
    world.pass(10_000).await;
    assert_eq!(scripted.0.stations(), ["S1"]);
    assert_eq!((world.committed_in("A", 0), world.committed_in("A", 1)), (Some(0), Some(1)));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_0_02_the_next_life_reads_the_record_again_and_goes_on_once_it_may_be_a_dead_letter() {
    let store = MemoryStore::default();
    let scripted = modules();
    let mut world = World::keeping(CONFIG, all(&scripted), &store);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#, "not JSON", r#"{"s":"S2"}"#]).await;
    world.pass(10_000).await;
    world.stop().await;
    assert_eq!(scripted.0.stations(), ["S1"]);

    for (config, seen, dead) in
        [(CONFIG.to_owned(), vec![], 0), (CONFIG.replace("\"halt\"", "\"dead_letter\""), vec!["S2"], 1)]
    {
        let (store, scripted) = (store.reopened(), modules());
        let mut world = World::keeping(&config, all(&scripted), &store);
        let next = store.positions().iter().find(|position| &*position.topic == "A").expect("flushed").next.0;
        assert_eq!(next, 1);
        world.assign("B", 0, 0, 0, 0).await;
        world.assign("A", 0, next, next, next).await;
        world.send("A", &["not JSON", r#"{"s":"S2"}"#]).await;
        world.pass(10_000).await;
        assert_eq!(
            (scripted.0.stations(), world.publisher.of(DEAD).len()),
            (seen.into_iter().map(String::from).collect(), dead)
        );
        world.stop().await;
    }
}
