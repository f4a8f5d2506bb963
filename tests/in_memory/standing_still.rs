//! Modules that are left alone because they fail: behind an open breaker for a while, for one station, or halted until the
//! next start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quorate::pipeline::{BreakerPolicy, ModuleStanding, OnFailure, RunSettings};
use quorate_core::ident::ModuleId;
use quorate_core::shard::RunStanding;

use crate::support::{Reply, Scripted, World, header};

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
[modules.ill]
enabled = true
requires = ["A"]
concurrency = 1
retry = { attempts = 2, backoff = "1s", max_backoff = "1s" }
[modules.well]
enabled = true
requires = ["B"]
"#;

const DEAD: &str = "test-dead-letters";
const WELL: &str = "MODULE-OUTPUT-WELL";

/// A module that fails as long as the flag says so, and one that never does.
fn modules() -> (Arc<AtomicBool>, Arc<Scripted>, Arc<Scripted>) {
    let fails = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&fails);
    let ill = Scripted::new("ill", move |_| if asked.load(Ordering::Relaxed) { Reply::Fail } else { Reply::Echo });
    (fails, ill, Scripted::new("well", |_| Reply::Echo))
}

/// Of the last four calls two failed: ten seconds of rest.
fn breaker(module: &str, runs: &mut RunSettings) {
    if module == "ill" {
        runs.breaker = Some(BreakerPolicy { failure_ratio: 0.5, of: 4, pause_ms: 10_000 });
    }
}

fn halt(module: &str, runs: &mut RunSettings) {
    if module == "ill" {
        runs.on_failure = OnFailure::Halt;
    }
}

async fn send(world: &mut World, topic: &str, stations: std::ops::Range<usize>) {
    let payloads: Vec<_> = stations.map(|n| format!(r#"{{"s":"S{n}"}}"#)).collect();
    world.send(topic, &payloads.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_lets_what_is_due_wait_then_one_call_tries_and_its_success_lets_all_go_on() {
    let (fails, ill, well) = modules();
    let mut world = World::with(CONFIG, vec![ill.clone(), well], breaker);
    world.assign_all().await;
    send(&mut world, "A", 0..20).await;
    world.pass(9_000).await;
    assert_eq!(ill.seen().len(), 4);
    assert!(matches!(world.handle.census().await.standings[0], ModuleStanding::Open { .. }));
    send(&mut world, "B", 0..20).await;
    world.pass(100).await;
    assert_eq!(world.publisher.of(WELL).len(), 20, "the other module is not concerned");
    world.pass(2_000).await;
    assert_eq!(ill.seen().len(), 5, "one call tries");
    world.pass(18_000).await;
    assert_eq!(ill.seen().len(), 5, "for twice as long nobody does");
    fails.store(false, Ordering::Relaxed);
    world.pass(10_000).await;
    assert_eq!(world.publisher.of("MODULE-OUTPUT-ILL").len() + world.publisher.of(DEAD).len(), 20, "none is lost");
    assert_eq!(world.handle.census().await.standings, vec![ModuleStanding::Running; 2]);
    assert_eq!(world.handle.tally().breaker_opens, 2);
    assert_eq!(world.committed("A"), Some(20));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_a_breaker_and_what_is_due_stays_uncommitted() {
    let (_fails, ill, well) = modules();
    let mut world = World::with(CONFIG, vec![ill, well], breaker);
    world.assign_all().await;
    send(&mut world, "A", 0..20).await;
    world.pass(5_000).await;
    assert!(world.handle.drain(Duration::from_secs(2)).await, "there is nothing to wait for");
    assert_eq!(world.committed("A"), Some(0), "a run behind the breaker is owed to the first record");
    assert!(world.publisher.of(DEAD).is_empty());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_halt_stops_one_module_keeps_its_records_and_lets_everything_else_go_on() {
    let (_fails, ill, well) = modules();
    let mut world = World::with(CONFIG, vec![ill.clone(), well], halt);
    world.assign_all().await;
    send(&mut world, "A", 0..20).await;
    send(&mut world, "B", 0..20).await;
    world.pass(10_000).await;
    assert_eq!(ill.seen().len(), 21, "each station's first call, and the one that was the second of its station");
    let standings = world.handle.census().await.standings;
    let ModuleStanding::Halted { why, .. } = &standings[0] else { panic!("{standings:?}") };
    assert_eq!(&**why, "module_failed: failed by the test");
    send(&mut world, "A", 20..40).await;
    send(&mut world, "B", 20..40).await;
    world.pass(600_000).await;
    assert_eq!(ill.seen().len(), 21, "nothing of it starts any more");
    assert_eq!(world.publisher.of(WELL).len(), 40);
    assert_eq!((world.committed("A"), world.committed("B")), (Some(0), Some(40)));
    assert!(world.publisher.of(DEAD).is_empty());
    assert!(world.handle.drain(Duration::from_secs(2)).await, "a drain does not wait for it");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_an_answer_and_opens_no_breaker() {
    let ill = Scripted::new("ill", |_| Reply::Reject);
    let mut world = World::with(CONFIG, vec![ill, Scripted::new("well", |_| Reply::Echo)], breaker);
    world.assign_all().await;
    send(&mut world, "A", 0..20).await;
    world.pass(2_000).await;
    let letters = world.publisher.of(DEAD);
    assert_eq!(letters.len(), 20);
    assert!(letters.iter().all(|letter| header(letter, "quorate-attempts").as_deref() == Some("1")));
    assert_eq!(world.handle.tally().breaker_opens, 0);
    world.stop().await;
}

const PAUSING: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
[topics.A]
station = "/s"
[modules.ill]
requires = ["A"]
retry = { attempts = 1 }
quarantine = { after = 2, pause = "10s", max_pause = "20s" }
"#;

#[tokio::test(start_paused = true)]
async fn a_station_for_which_a_module_keeps_failing_pauses_is_listed_and_is_tried_once_when_its_time_is_over() {
    let fails = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&fails);
    let answer = move |of: &str| of == "S1" && asked.load(Ordering::Relaxed);
    let ill = Scripted::new("ill", move |input| if answer(input.station.as_str()) { Reply::Fail } else { Reply::Echo });
    let mut world = World::new(PAUSING, vec![ill.clone()]);
    let module = ModuleId(0);
    world.assign_all().await;
    for _ in 0..2 {
        assert_eq!(world.handle.quarantined(module, 10).await, []);
        send(&mut world, "A", 0..3).await;
        world.pass(100).await;
    }
    let listed = world.handle.quarantined(module, 10).await;
    assert_eq!(listed.iter().map(|paused| (paused.station.as_str(), paused.failures)).collect::<Vec<_>>(), [("S1", 2)]);
    assert_eq!(world.handle.census().await.modules[0].quarantined, 1);
    send(&mut world, "A", 0..3).await;
    world.pass(5_000).await;
    assert_eq!(ill.stations().iter().filter(|station| *station == "S1").count(), 2, "it pauses");
    assert_eq!(ill.stations().len(), 8, "the others do not");
    let explained = world.handle.explain(module, "S1").await.expect("an answer");
    assert_eq!(explained.run, RunStanding::Quarantined { until: listed[0].until.expect("a time"), failures: 2 });
    world.pass(5_000).await;
    assert_eq!(ill.stations().len(), 9, "one call tries");
    assert_eq!(world.handle.quarantined(module, 10).await[0].failures, 3);
    fails.store(false, Ordering::Relaxed);
    send(&mut world, "A", 1..2).await;
    world.pass(20_000).await;
    assert_eq!(world.handle.quarantined(module, 10).await, []);
    assert_eq!(world.handle.census().await.modules[0].quarantined, 0);
    assert_eq!(world.publisher.of(DEAD).len(), 3);
    world.stop().await;
}
