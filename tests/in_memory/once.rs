//! What is done once only, in a service that keeps its state and is killed.

use std::sync::Arc;

use quorate::state::MemoryStore;
use quorate_core::contract::Module;

use crate::support::{Reply, Scripted, World};

const CONFIG: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
[topics.TASK]
station = "/s"
[modules.dispatch]
requires = ["TASK"]
trigger = { each = true, on = ["TASK"] }
once = { key = "/task_uuid" }
"#;

const TASK: &str = r#"{"s":"S","task_uuid":"8c2f","do":"a thing"}"#;
const OUTPUT: &str = "MODULE-OUTPUT-DISPATCH";
const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Has its side effect, and takes five seconds until it says so.
fn dispatch() -> Arc<Scripted> {
    Scripted::new("dispatch", |_| Reply::After(5_000))
}

/// A life that begins where the store says, without anything to read.
async fn begin(store: &MemoryStore, module: &Arc<Scripted>) -> World {
    let modules: Vec<Arc<dyn Module>> = vec![Arc::clone(module) as _];
    let mut world = World::keeping(CONFIG, modules, store);
    let next = store.positions().first().map_or(0, |position| position.next.0);
    world.assign("TASK", 0, next, next, next).await;
    world
}

#[tokio::test(start_paused = true)]
async fn row_1_25_a_task_that_was_done_before_a_kill_is_passed_over_when_it_is_delivered_again() {
    let (store, module) = (MemoryStore::default(), dispatch());
    let mut world = begin(&store, &module).await;
    world.send("TASK", &[TASK]).await;
    world.pass(10_000).await;
    assert_eq!((module.seen().len(), world.publisher.of(OUTPUT).len(), world.committed("TASK")), (1, 1, Some(1)));
    world.stop().await;

    let (store, module) = (store.reopened(), dispatch());
    let mut world = begin(&store, &module).await;
    world.send("TASK", &[TASK, &TASK.replace("8c2f", "91a0")]).await;
    world.pass(10_000).await;
    let seen = module.seen();
    assert_eq!(seen.iter().map(|input| input.reading.as_ref().map(|of| of.offset.0)).collect::<Vec<_>>(), [Some(2)]);
    assert_eq!(world.handle.census().await.modules[0].duplicates, 1);
    assert_eq!(world.committed("TASK"), Some(3));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_1_25_a_task_of_which_the_end_was_not_kept_before_a_kill_is_worked_on_again() {
    let (store, module) = (MemoryStore::default(), dispatch());
    let mut world = begin(&store, &module).await;
    world.send("TASK", &[TASK]).await;
    world.pass(3_000).await;
    store.delay_flushes(HOUR);
    world.pass(7_000).await;
    assert_eq!((module.seen().len(), world.publisher.of(OUTPUT).len()), (1, 1), "done, and not kept");
    world.stop().await;

    let (store, module) = (store.reopened(), dispatch());
    let mut world = begin(&store, &module).await;
    world.send("TASK", &[TASK]).await;
    world.pass(20_000).await;
    assert_eq!(module.seen().len(), 1, "the one that was kept as owed; its copy is passed over");
    assert_eq!(world.handle.census().await.modules[0].duplicates, 1);
    world.stop().await;
}
