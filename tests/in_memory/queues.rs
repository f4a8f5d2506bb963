//! Queues of work: each reading of a topic is a run of its own, durable before it starts, done once, none dropped.

use std::sync::atomic::{AtomicUsize, Ordering};
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

/// Two queues, each with a module of its own.
const TWO_QUEUES: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
auto_offset_reset = "earliest"
[topics.TASK]
station = "/s"
[topics.RESULT]
station = "/s"
[modules.processor]
enabled = true
requires = ["TASK"]
trigger = { each = true, on = ["TASK"] }
concurrency = 1
[modules.uploader]
enabled = true
requires = ["RESULT"]
trigger = { each = true, on = ["RESULT"] }
concurrency = 1
"#;

#[tokio::test(start_paused = true)]
async fn row_1_05_and_1_32_a_queue_whose_tasks_are_slow_keeps_no_queue_with_a_module_of_its_own_waiting() {
    let processor = Scripted::new("processor", |_| Reply::After(25_000));
    let uploader = Scripted::new("uploader", |_| Reply::Echo);
    let store = MemoryStore::default();
    let mut world = World::keeping(TWO_QUEUES, vec![processor.clone(), uploader.clone()], &store);
    world.assign_all().await;
    let all: Vec<String> = (0..50).map(|n| task(n % 5, n)).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    world.send("TASK", &all).await;
    world.send("RESULT", &all).await;
    world.pass(20_000).await;
    assert_eq!((processor.seen().len(), uploader.seen().len()), (1, 50));
    assert_eq!((world.committed("TASK"), world.committed("RESULT")), (Some(50), Some(50)), "what waits is durable");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_0_12_what_is_committed_ends_at_the_first_task_that_is_not_done_and_that_one_comes_again_after_a_kill() {
    let module =
        Scripted::new("m", |input| if input.station.as_str() == "S1" { Reply::After(25_000) } else { Reply::Echo });
    // Nothing outlives this process: only the group's position says where the next one begins.
    let mut world = World::new(&tasks(8), vec![module.clone()]);
    world.assign_all().await;
    let all: Vec<String> = (0..4).map(|n| task(n, n)).collect();
    world.send("TASK", &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.pass(10_000).await;
    assert_eq!(module.seen().len(), 4);
    assert_eq!(world.committed("TASK"), Some(1), "the tasks behind the one in hand are done, and not committed");
    world.stop().await;

    let again = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(&tasks(8), vec![again.clone()]);
    world.assign("TASK", 0, 1, 1, 1).await;
    // What the topic still holds.
    world.send("TASK", &all[1..].iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.pass(10_000).await;
    let mut stations = again.stations();
    stations.sort();
    assert_eq!(stations, ["S1", "S2", "S3"]);
    assert_eq!(world.committed("TASK"), Some(4));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_1_16_attempts_are_counted_in_the_result_and_anew_in_each_process() {
    let failing = |times: usize| {
        let calls = AtomicUsize::new(0);
        Scripted::new("m", move |_| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            if call < times { Reply::Fail } else { Reply::Echo }
        })
    };
    let config = tasks(1).replace("attempts = 1", "attempts = 9, backoff = \"60s\", max_backoff = \"60s\"");
    let store = MemoryStore::default();
    let first = failing(usize::MAX);
    let mut world = World::keeping(&config, vec![first.clone()], &store);
    world.assign_all().await;
    world.send("TASK", &[&task(1, 0)]).await;
    world.pass(200_000).await;
    assert!(first.seen().len() > 2, "{}", first.seen().len());
    world.stop().await;

    let mut world = World::keeping(&config, vec![failing(2)], &store.reopened());
    world.assign("TASK", 0, 1, 1, 1).await;
    world.pass(300_000).await;
    let results = world.publisher.of(OUT);
    assert_eq!(results.len(), 1);
    assert_eq!(
        header(&results[0], "quorate-attempt").as_deref(),
        Some("3"),
        "those of the process that died are not known"
    );
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_full_when_a_part_of_it_is_taken_away_goes_on_once_the_part_is_back() {
    let config = tasks(1).replace("[modules.m]", "[modules.m]\nmax_pending = 1");
    let module = Scripted::new("m", |_| Reply::After(1_000));
    let mut world = World::keeping(&config, vec![module.clone()], &MemoryStore::default());
    world.assign_all().await;
    world.send("TASK", &[&task(1, 0), &task(1, 1), &task(1, 2)]).await;
    world.pass(500).await;
    // Its turn never comes: what stands before it waits until there is room, and room until it has had its turn.
    world.send("TASK", &[&task(1, 3)]).await;
    world.split("TASK", true).await;
    world.pass(60_000).await;
    assert_eq!(module.seen().len(), 1, "it counts although it stands behind what waits");
    world.revoke("TASK", 0).await;
    world.assign("TASK", 0, 4, 4, 4).await;
    world.split("TASK", false).await;
    world.pass(60_000).await;
    assert_eq!(module.seen().len(), 4);
    world.stop().await;
}
