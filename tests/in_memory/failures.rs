//! One bad thing stays one bad thing: stations, modules and results that fail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate::pipeline::{MAX_OUTPUTS, OnFailure};
use tokio::time::Instant;

use crate::support::{Reply, Scripted, World, header};

const CONFIG: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
[topics.A]
station = "/s"
[modules.m]
enabled = true
requires = ["A"]
concurrency = 2
retry = { attempts = 3, backoff = "1s", max_backoff = "30s" }
"#;

const OUT: &str = "MODULE-OUTPUT-M";
const DEAD: &str = "test-dead-letters";

/// A module that fails so often, counted over all stations, and then answers.
fn failing(times: usize) -> Arc<Scripted> {
    let calls = AtomicUsize::new(0);
    Scripted::new("m", move |_| if calls.fetch_add(1, Ordering::Relaxed) < times { Reply::Fail } else { Reply::Echo })
}

#[tokio::test(start_paused = true)]
async fn row_4_21_a_module_that_panics_for_one_station_serves_the_others() {
    let module = Scripted::new("m", |input| if input.station.as_str() == "bad" { Reply::Panic } else { Reply::Echo });
    let mut world = World::new(CONFIG, vec![module]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"bad"}"#, r#"{"s":"good"}"#]).await;
    world.pass(120_000).await;
    let keys: Vec<_> = world.publisher.of(OUT).into_iter().filter_map(|record| record.key).collect();
    assert_eq!(keys, [b"good"]);
    let letters = world.publisher.of(DEAD);
    assert_eq!(letters.len(), 1);
    assert_eq!(header(&letters[0], "quorate-reason").as_deref(), Some("module_panicked"));
    assert_eq!(header(&letters[0], "quorate-station").as_deref(), Some("bad"));
    assert_eq!(header(&letters[0], "quorate-attempts").as_deref(), Some("3"));
    assert_eq!(world.publisher.values(DEAD)[0]["inputs"]["A"]["value"]["s"], "bad", "the assembled input");
    assert_eq!(world.committed("A"), Some(2));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_1_15_a_call_that_fails_twice_succeeds_the_third_time_and_nothing_is_lost() {
    let module = failing(2);
    let mut world = World::new(CONFIG, vec![module.clone()]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(60_000).await;
    assert_eq!(module.seen().len(), 3);
    assert_eq!(header(&world.publisher.of(OUT)[0], "quorate-attempt").as_deref(), Some("3"));
    assert_eq!(world.publisher.of(DEAD).len(), 0);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_1_19_a_rejected_input_is_not_tried_again() {
    let module = Scripted::new("m", |_| Reply::Reject);
    let mut world = World::new(CONFIG, vec![module.clone()]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(60_000).await;
    assert_eq!(module.seen().len(), 1);
    assert_eq!(header(&world.publisher.of(DEAD)[0], "quorate-reason").as_deref(), Some("module_rejected"));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_0_36_a_module_that_hangs_ends_at_its_deadline_and_delays_nobody_else() {
    let module = Scripted::new("m", |input| if input.station.as_str() == "stuck" { Reply::Hang } else { Reply::Echo });
    let mut world = World::new(CONFIG, vec![module]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"stuck"}"#]).await;
    world.pass(100).await;
    for n in 0..20 {
        world.send("A", &[&format!(r#"{{"s":"S{n}"}}"#)]).await;
    }
    world.pass(1_000).await;
    assert_eq!(world.publisher.of(OUT).len(), 20);
    world.pass(120_000).await;
    let letters = world.publisher.of(DEAD);
    assert_eq!(header(&letters[0], "quorate-reason").as_deref(), Some("module_timeout"));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_0_27_calls_at_the_same_time_never_exceed_the_configured_concurrency() {
    let module = Scripted::new("m", |_| Reply::After(1_000));
    let mut world = World::new(CONFIG, vec![module.clone()]);
    world.assign_all().await;
    let payloads: Vec<_> = (0..30).map(|n| format!(r#"{{"s":"S{n}"}}"#)).collect();
    world.send("A", &payloads.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.pass(60_000).await;
    assert_eq!(module.seen().len(), 30);
    assert_eq!(module.peak(), 2);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_3_09_a_refused_result_is_dead_lettered_with_its_input_and_then_settled() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(CONFIG, vec![module]);
    world.assign_all().await;
    world.publisher.refuse(OUT);
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(5_000).await;
    let letters = world.publisher.of(DEAD);
    assert_eq!(header(&letters[0], "quorate-reason").as_deref(), Some("publish_failed"));
    assert_eq!(world.committed("A"), Some(1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_refused_is_written_without_its_value_rather_than_lost() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(CONFIG, vec![module]);
    world.assign_all().await;
    world.publisher.refuse(DEAD);
    world.send("A", &["12345678 not json"]).await;
    world.pass(5_000).await;
    let letters = world.publisher.of(DEAD);
    assert_eq!(letters[0].value.as_deref(), Some(b"".as_slice()));
    assert_eq!(header(&letters[0], "quorate-truncated").as_deref(), Some("17"));
    assert_eq!(world.committed("A"), Some(1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_j3_nothing_runs_again_while_nothing_changes() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(CONFIG, vec![module.clone()]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(3_600_000).await;
    assert_eq!(module.seen().len(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_2_18_the_same_record_again_changes_nothing_and_calls_nobody() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(CONFIG, vec![module.clone()]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(2_000).await;
    world.revoke("A", 0).await;
    world.assign("A", 0, 0, 0, 1).await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(2_000).await;
    assert_eq!(module.stations(), ["S1"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_1_13_with_commit_there_is_one_call_and_the_failure_is_recorded_before_anything_is_committed() {
    let module = Scripted::new("m", |_| Reply::Fail);
    let mut world = World::with(CONFIG, vec![module.clone()], |_, runs| runs.on_failure = OnFailure::Commit);
    world.assign_all().await;
    world.publisher.freeze(DEAD);
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(60_000).await;
    assert_eq!(module.seen().len(), 1);
    assert_eq!(world.committed("A"), Some(0), "the record of the failure is not acknowledged");
    world.publisher.thaw();
    world.pass(2_000).await;
    let letters = world.publisher.of(DEAD);
    assert_eq!(header(&letters[0], "quorate-attempts").as_deref(), Some("1"));
    assert_eq!(header(&letters[0], "quorate-origin").as_deref(), Some("A/0/0"));
    assert_eq!(world.committed("A"), Some(1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_1_15_a_station_that_is_tried_again_keeps_its_order_and_delays_nobody() {
    let calls = AtomicUsize::new(0);
    let module = Scripted::new("m", move |input| {
        let fails = input.station.as_str() == "S1" && calls.fetch_add(1, Ordering::Relaxed) < 2;
        if fails { Reply::Fail } else { Reply::Echo }
    });
    let mut world = World::new(CONFIG, vec![module]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1","n":1}"#]).await;
    world.pass(10).await;
    world.send("A", &[r#"{"s":"S1","n":2}"#, r#"{"s":"S2","n":3}"#]).await;
    world.pass(10).await;
    let order = |world: &World| -> Vec<_> {
        let values = world.publisher.values(OUT);
        values.iter().map(|value| value["output"]["A"]["n"].as_i64().expect("a number")).collect()
    };
    assert_eq!(order(&world), [3], "the other station does not wait for the pause");
    world.pass(60_000).await;
    assert_eq!(order(&world), [3, 1, 2]);
    assert_eq!(world.committed("A"), Some(3));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_0_28_pauses_between_calls_double_with_jitter_and_end_at_the_last_attempt() {
    let (calls, began) = (Arc::new(Mutex::new(Vec::new())), Instant::now());
    let noted = Arc::clone(&calls);
    let module = Scripted::new("m", move |_| {
        noted.lock().expect("times").push(began.elapsed());
        Reply::Fail
    });
    let mut world = World::with(CONFIG, vec![module], |_, runs| runs.attempts = 6);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(300_000).await;
    let times = calls.lock().expect("times").clone();
    let pauses: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert_eq!(pauses.len(), 5);
    for (pause, whole) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0]) {
        assert!((whole / 2.0..=whole + 0.002).contains(pause), "{pauses:?}");
    }
    assert!(pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0]).any(|(pause, whole)| *pause < whole - 0.01), "{pauses:?}");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_call_starts_after_the_deadline_of_a_run_and_the_last_pause_is_cut_to_it() {
    let (calls, began) = (Arc::new(Mutex::new(Vec::new())), Instant::now());
    let noted = Arc::clone(&calls);
    let module = Scripted::new("m", move |_| {
        noted.lock().expect("times").push(began.elapsed());
        Reply::Fail
    });
    let mut world = World::with(CONFIG, vec![module], |_, runs| {
        (runs.attempts, runs.deadline) = (1_000, Some(Duration::from_secs(10)));
    });
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(300_000).await;
    let times = calls.lock().expect("times").clone();
    let (first, last) = (times[0], times[times.len() - 1]);
    assert!((9_990..=10_010).contains(&(last - first).as_millis()), "{times:?}");
    assert_eq!(world.publisher.of(DEAD).len(), 1);
    assert_eq!(world.committed("A"), Some(1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_0_30_error_text_is_cut_between_characters_and_every_end_is_counted() {
    let words = format!("a{}", "桩".repeat(5_000));
    let said = words.clone();
    let module = Scripted::new("m", move |input| match input.station.as_str() {
        "bad" => Reply::FailSaying(said.clone()),
        "odd" => Reply::Reject,
        _ => Reply::Echo,
    });
    let mut world = World::new(CONFIG, vec![module]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"bad"}"#, r#"{"s":"odd"}"#, r#"{"s":"S1"}"#]).await;
    world.pass(60_000).await;
    let letters = world.publisher.of(DEAD);
    let details: Vec<_> = letters.iter().filter_map(|letter| header(letter, "quorate-detail")).collect();
    let cut = details.iter().find(|detail| words.starts_with(detail.as_str())).expect("the bad one");
    assert_eq!(cut.len(), 1 + 341 * 3, "of 1024 bytes the whole characters");
    let settled = world.handle.tally().settled;
    let counted: Vec<_> = settled.iter().map(|((module, outcome), count)| (&**module, *outcome, *count)).collect();
    assert_eq!(counted, [("m", "done", 1), ("m", "failed", 1), ("m", "rejected", 1)]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn as_many_results_as_may_be_are_published_and_one_more_rejects_the_run() {
    let module = Scripted::new("m", |input| Reply::Many(MAX_OUTPUTS + usize::from(input.station.as_str() == "wild")));
    let mut world = World::new(CONFIG, vec![module.clone()]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"wild"}"#, r#"{"s":"S1"}"#]).await;
    world.pass(60_000).await;
    assert_eq!(world.publisher.of(OUT).len(), MAX_OUTPUTS);
    let letters = world.publisher.of(DEAD);
    assert_eq!(letters.len(), 1);
    assert_eq!(header(&letters[0], "quorate-reason").as_deref(), Some("module_rejected"));
    let detail = header(&letters[0], "quorate-detail").expect("a detail");
    assert!(detail.starts_with("10001 results of "), "{detail}");
    assert_eq!(module.seen().len(), 2, "it is not called again");
    world.stop().await;
}
