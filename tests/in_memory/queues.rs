//! Queues of work: each reading of a topic is a run of its own, durable before it starts, done once, none dropped.

use std::time::Duration;

use quorate::pipeline::durable::StateStore as _;
use quorate::state::MemoryStore;

use crate::support::{Reply, Scripted, World, header};

const OUT: &str = "MODULE-OUTPUT-M";

/// Tasks of many stations, worked on by a module that takes `concurrency` of them at a time.
fn tasks(concurrency: usize) -> String {
    format!(
        r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
auto_offset_reset = "earliest"
[topics.TASK]
station = "/s"
[modules.m]
enabled = true
requires = ["TASK"]
trigger = {{ each = true, on = ["TASK"] }}
retry = {{ attempts = 1 }}
concurrency = {concurrency}
"#
    )
}

fn task(station: u32, n: u32) -> String {
    format!(r#"{{"n":{n},"s":"S{station}"}}"#)
}

#[tokio::test(start_paused = true)]
async fn row_0_27_of_a_hundred_tasks_at_a_limit_of_five_all_are_done_and_never_more_than_five_at_once() {
    let module = Scripted::new("m", |_| Reply::After(3_000));
    let mut world = World::keeping(&tasks(5), vec![module.clone()], &MemoryStore::default());
    world.assign_all().await;
    let all: Vec<String> = (0..100).map(|n| task(n, n)).collect();
    world.send("TASK", &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.pass(120_000).await;
    assert_eq!((module.seen().len(), module.peak()), (100, 5));
    assert_eq!(world.publisher.of(OUT).len(), 100);
    assert_eq!(world.committed("TASK"), Some(100));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_1_01_tasks_of_one_station_are_worked_on_one_after_another_in_order() {
    let module = Scripted::new("m", |_| Reply::After(1_000));
    let mut world = World::keeping(&tasks(8), vec![module.clone()], &MemoryStore::default());
    world.assign_all().await;
    let all: Vec<String> = (0..10).map(|n| task(1, n)).collect();
    world.send("TASK", &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.pass(60_000).await;
    let reading =
        |n: usize| module.seen()[n].topic("TASK").expect("input").value.reading().expect("one").as_json().to_owned();
    assert_eq!((0..10).map(reading).collect::<Vec<_>>(), all);
    assert_eq!(module.peak(), 1);
    let triggers = world.publisher.of(OUT).iter().map(|record| header(record, "quorate-trigger")).collect::<Vec<_>>();
    assert_eq!(triggers, (0..10).map(|n| Some(format!("TASK/0/{n}/0"))).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_1_03_a_task_that_takes_long_keeps_nobody_from_taking_in_and_is_never_lost_with_the_process() {
    let store = MemoryStore::default();
    let slow = Scripted::new("m", |_| Reply::After(540_000));
    let mut world = World::keeping(&tasks(1), vec![slow.clone()], &store);
    world.assign_all().await;
    world.send("TASK", &[&task(1, 0), &task(2, 1)]).await;
    world.pass(30_000).await;
    assert_eq!(slow.seen().len(), 1, "the other waits its turn");
    world.stop().await;
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::keeping(&tasks(1), vec![module.clone()], &store.reopened());
    world.assign("TASK", 0, 2, 2, 2).await;
    world.pass(5_000).await;
    assert_eq!(module.stations(), ["S1", "S2"], "both are in the store, whatever was committed");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_1_02_nothing_is_started_and_nothing_committed_before_it_is_durable() {
    let store = MemoryStore::default();
    store.delay_flushes(Duration::from_secs(10));
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::keeping(&tasks(1), vec![module.clone()], &store);
    world.assign_all().await;
    world.pass(15_000).await;
    world.send("TASK", &[&task(1, 0)]).await;
    world.pass(9_000).await;
    assert_eq!((module.seen().len(), world.committed("TASK")), (0, Some(0)));
    world.pass(60_000).await;
    assert_eq!((module.seen().len(), world.committed("TASK")), (1, Some(1)));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_flush_nothing_more_is_taken_in_committed_or_written() {
    let store = MemoryStore::default();
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::keeping(&tasks(1), vec![module.clone()], &store);
    world.assign_all().await;
    world.send("TASK", &[&task(1, 0)]).await;
    world.pass(3_000).await;
    assert_eq!(module.seen().len(), 1);
    let committed = world.committed("TASK");
    store.fail_flush(1);
    world.send("TASK", &[&task(2, 1)]).await;
    world.pass(5_000).await;
    assert!(world.handle.is_broken());
    assert_eq!((module.seen().len(), world.committed("TASK")), (1, committed));
    assert!(store.raise(Vec::new()).await.is_err(), "nothing is tried again as if nothing had happened");
    world.stop().await;
}
