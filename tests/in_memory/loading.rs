//! A restart forgets nothing: state is read again without invoking, and modules wait until theirs is loaded.

use crate::support::{Reply, Scripted, World};

const CONFIG: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
[topics.PARAM]
records = "/*"
station = "/s"
[topics.CALENDAR]
scope = "global"
[topics.LOAD]
station = "/s"
[modules.m]
enabled = true
requires = ["PARAM", "CALENDAR", "LOAD"]
trigger = { on = ["LOAD"] }
[modules.n]
enabled = true
requires = ["PARAM"]
"#;

fn modules() -> [std::sync::Arc<Scripted>; 2] {
    [Scripted::new("m", |_| Reply::Echo), Scripted::new("n", |_| Reply::Echo)]
}

#[tokio::test(start_paused = true)]
async fn row_4_36_a_restart_reads_the_calendar_again_and_invokes_only_for_what_is_new() {
    let [m, n] = modules();
    let mut world = World::new(CONFIG, vec![m.clone(), n.clone()]);
    world.assign("PARAM", 0, 0, 1, 1).await;
    world.assign("CALENDAR", 0, 0, 1, 1).await;
    world.assign("LOAD", 0, 0, 2, 3).await;
    world.send("CALENDAR", &[r#"{"calendar":[]}"#]).await;
    world.send("PARAM", &[r#"[{"s":"S1"},{"s":"S2"}]"#]).await;
    world.send("LOAD", &[r#"{"s":"S1","v":0}"#, r#"{"s":"S2","v":1}"#]).await;
    world.pass(5_000).await;
    assert_eq!(m.stations(), Vec::<String>::new(), "everything so far was settled in an earlier life");
    assert_eq!(n.stations(), Vec::<String>::new());
    world.send("LOAD", &[r#"{"s":"S2","v":2}"#]).await;
    world.pass(5_000).await;
    assert_eq!(m.stations(), ["S2"]);
    assert!(m.seen()[0].quality.complete);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_module_waits_for_its_topics_and_another_one_does_not() {
    let [m, n] = modules();
    let mut world = World::new(CONFIG, vec![m.clone(), n.clone()]);
    world.assign("PARAM", 0, 0, 0, 0).await;
    world.assign("LOAD", 0, 0, 0, 0).await;
    world.assign("CALENDAR", 0, 0, 2, 2).await;
    world.send("CALENDAR", &[r#"{"year":2025}"#]).await;
    world.send("PARAM", &[r#"[{"s":"S1"}]"#]).await;
    world.send("LOAD", &[r#"{"s":"S1"}"#]).await;
    world.pass(5_000).await;
    assert_eq!(n.stations(), ["S1"]);
    assert_eq!(m.stations(), Vec::<String>::new(), "one record of the calendar is not loaded yet");
    let held = ["LOAD", "PARAM"].map(|topic| world.committed(topic));
    assert!(held.contains(&Some(0)), "a record that makes S1 due again stays unsettled: {held:?}");
    world.send("CALENDAR", &[r#"{"year":2026}"#]).await;
    world.pass(5_000).await;
    assert_eq!(m.stations(), ["S1"]);
    assert_eq!(world.committed("LOAD"), Some(1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_waiting_for_completeness_before_a_restart_still_waits_after_it() {
    let [m, n] = modules();
    let mut world = World::new(CONFIG, vec![m.clone(), n]);
    world.assign("PARAM", 0, 0, 0, 0).await;
    world.assign("LOAD", 0, 0, 1, 1).await;
    world.assign("CALENDAR", 0, 0, 1, 1).await;
    world.send("CALENDAR", &["{}"]).await;
    world.send("LOAD", &[r#"{"s":"S1"}"#]).await;
    world.pass(1_000).await;
    world.send("PARAM", &[r#"[{"s":"S1"}]"#]).await;
    world.pass(1_000).await;
    assert_eq!(m.stations(), ["S1"], "PARAM does not trigger, but it completes what LOAD had made due");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn dead_letters_of_what_is_loaded_again_are_not_written_twice() {
    let [m, n] = modules();
    let mut world = World::new(CONFIG, vec![m, n]);
    world.assign("PARAM", 0, 0, 1, 2).await;
    world.send("PARAM", &["bad", "bad too"]).await;
    world.pass(2_000).await;
    assert_eq!(world.publisher.of("test-dead-letters").len(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_cannot_be_read_is_no_longer_waited_for_after_a_minute() {
    let optional = CONFIG.replace(r#"requires = ["PARAM"]"#, "requires = [\"PARAM\"]\noptional = [\"CALENDAR\"]");
    let [m, n] = modules();
    let mut world = World::new(&optional, vec![m, n.clone()]);
    world.assign("PARAM", 0, 0, 0, 0).await;
    world.send("PARAM", &[r#"[{"s":"S1"}]"#]).await;
    world.pass(59_000).await;
    assert_eq!(n.stations(), Vec::<String>::new());
    world.pass(2_000).await;
    assert_eq!(n.stations(), ["S1"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_backlog_expires_by_its_own_time_and_a_topic_read_to_its_end_by_the_wall_clock() {
    let config = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
[topics.DEVICE]
station = "/s"
window = { kind = "per_key", key = "/d", expire = "10m" }
[topics.TICK]
station = "/s"
[modules.m]
enabled = true
requires = ["DEVICE"]
optional = ["TICK"]
trigger = { on = ["TICK"] }
"#;
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(config, vec![module.clone()]);
    world.assign("TICK", 0, 0, 0, 0).await;
    world.assign("DEVICE", 0, 0, 0, 2).await;
    world.pass(3_600_000).await;
    world.send("DEVICE", &[r#"{"s":"S1","d":"D1"}"#]).await;
    world.send("TICK", &[r#"{"s":"S1"}"#]).await;
    world.pass(1_000).await;
    assert_eq!(module.stations(), ["S1"], "an hour old by the wall clock, but the newest of its backlog");
    world.send("DEVICE", &[r#"{"s":"S1","d":"D2"}"#]).await;
    world.pass(1_000).await;
    world.send("TICK", &[r#"{"s":"S1"}"#]).await;
    world.pass(1_000).await;
    assert_eq!(module.stations(), ["S1"], "read to its end: what is an hour old has left");
    world.stop().await;
}
