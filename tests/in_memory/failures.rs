//! One bad thing stays one bad thing: stations, modules and results that fail.

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
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let module = Scripted::new("m", move |_| {
        if calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2 { Reply::Fail } else { Reply::Echo }
    });
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
