//! What is committed, and when: never before its whole effect is settled.

use crate::support::{Reply, Scripted, World, header};

const TWO_TOPICS: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
auto_offset_reset = "earliest"
[topics.A]
station = "/s"
[topics.B]
station = "/s"
[modules.m]
enabled = true
requires = ["A", "B"]
retry = { attempts = 1 }
"#;

const OUT: &str = "MODULE-OUTPUT-M";

#[tokio::test(start_paused = true)]
async fn row_1_29_an_input_is_committed_only_after_its_result_is_acknowledged() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(TWO_TOPICS, vec![module.clone()]);
    world.assign_all().await;
    world.publisher.freeze(OUT);
    world.send("A", &[r#"{"s":"S1","v":1}"#]).await;
    world.send("B", &[r#"{"s":"S1","v":2}"#]).await;
    world.pass(10_000).await;
    assert_eq!(module.seen().len(), 1);
    assert_eq!(world.committed("A"), Some(1), "A made nothing due: B completed the station");
    assert_eq!(world.committed("B"), Some(0), "the result of B's record is not acknowledged");
    world.publisher.thaw();
    world.pass(2_000).await;
    assert_eq!(world.committed("B"), Some(1));
    assert_eq!(world.publisher.of(OUT).len(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_superseded_record_is_settled_at_once_and_its_duty_moves_to_the_newer_one() {
    let module = Scripted::new("m", |_| Reply::After(20_000));
    let mut world = World::new(TWO_TOPICS, vec![module.clone()]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(10).await;
    for v in 0..5 {
        world.send("B", &[&format!(r#"{{"s":"S1","v":{v}}}"#)]).await;
        world.pass(2_000).await;
    }
    assert_eq!(world.committed("B"), Some(0), "the run for record 0 is in flight");
    world.pass(15_000).await;
    assert_eq!(world.committed("B"), Some(4), "records 1 to 3 are superseded, the run for record 4 is in flight");
    world.pass(20_000).await;
    assert_eq!(world.committed("B"), Some(5));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn changes_that_arrive_while_a_run_is_in_flight_coalesce_into_one_more_with_the_newest_values() {
    let module = Scripted::new("m", |_| Reply::After(5_000));
    let mut world = World::new(TWO_TOPICS, vec![module.clone()]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.send("B", &[r#"{"s":"S1","v":0}"#]).await;
    world.pass(1_000).await;
    for v in 1..=9 {
        world.send("B", &[&format!(r#"{{"s":"S1","v":{v}}}"#)]).await;
        world.pass(100).await;
    }
    world.pass(20_000).await;
    let seen = module.seen();
    assert_eq!(seen.len(), 2, "ten changes, two calls");
    assert_eq!(seen[1].topic("B").expect("input").value.reading().expect("reading").as_json(), r#"{"s":"S1","v":9}"#);
    assert_eq!(world.committed("B"), Some(10));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_h4_a_slow_station_holds_its_own_offset_and_others_go_on_around_it() {
    let module =
        Scripted::new("m", |input| if input.station.as_str() == "slow" { Reply::After(20_000) } else { Reply::Echo });
    let mut world = World::new(TWO_TOPICS, vec![module.clone()]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"slow"}"#, r#"{"s":"quick"}"#]).await;
    world.pass(10).await;
    world.send("B", &[r#"{"s":"quick"}"#, r#"{"s":"slow"}"#, r#"{"s":"quick"}"#]).await;
    world.pass(5_000).await;
    assert_eq!(world.committed("B"), Some(1), "the highest contiguous settled offset");
    world.pass(20_000).await;
    assert_eq!(world.committed("B"), Some(3));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_3_06_k_results_are_k_records_keyed_by_the_station() {
    let module = Scripted::new("m", |_| Reply::Many(3));
    let mut world = World::new(TWO_TOPICS, vec![module.clone()]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.send("B", &[r#"{"s":"S1"}"#]).await;
    world.pass(2_000).await;
    let records = world.publisher.of(OUT);
    assert_eq!(records.len(), 3);
    for (record, value) in records.iter().zip(world.publisher.values(OUT)) {
        assert_eq!(record.key.as_deref(), Some(b"S1".as_slice()));
        assert_eq!(value["station_id"], "S1");
        assert_eq!(value["module"], "m");
        assert_eq!(value["module_version"], "1");
        assert_eq!(value["quality"]["availability_ratio"], 1.0);
        assert_eq!(value["lineage"][0]["topic"], "A");
        assert_eq!(header(record, "quorate-module").as_deref(), Some("m"));
        assert_eq!(header(record, "quorate-attempt").as_deref(), Some("1"));
        assert_eq!(header(record, "quorate-input-hash").as_deref(), value["input_hash"].as_str());
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_j5_bad_records_are_dead_lettered_and_the_offset_moves_past_them_once_that_is_acknowledged() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(TWO_TOPICS, vec![module]);
    world.assign_all().await;
    world.publisher.freeze("test-dead-letters");
    world.send("A", &["not json", r#"{"s":"S1"}"#, "not json either"]).await;
    world.pass(5_000).await;
    assert_eq!(world.committed("A"), Some(0), "the first dead letter is not acknowledged");
    world.publisher.thaw();
    world.pass(2_000).await;
    assert_eq!(world.committed("A"), Some(3));
    let letters = world.publisher.of("test-dead-letters");
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0].value.as_deref(), Some(b"not json".as_slice()), "raw bytes as received");
    assert_eq!(header(&letters[0], "quorate-origin").as_deref(), Some("A/0/0"));
    assert_eq!(header(&letters[1], "quorate-origin").as_deref(), Some("A/0/2"));
    assert_eq!(header(&letters[0], "quorate-reason").as_deref(), Some("not_json"));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_revoke_learns_at_once_what_is_settled_and_the_rest_stays_owed() {
    let module = Scripted::new("m", |input| if input.station.as_str() == "slow" { Reply::Hang } else { Reply::Echo });
    let mut world = World::new(TWO_TOPICS, vec![module]);
    world.assign_all().await;
    world.pass(1).await;
    world.send("A", &[r#"{"s":"quick"}"#, r#"{"s":"slow"}"#]).await;
    world.pass(1).await;
    world.send("B", &[r#"{"s":"quick"}"#, r#"{"s":"slow"}"#]).await;
    world.pass(1).await;
    let settled = world.handle.settle_now(std::time::Duration::from_millis(50)).await;
    let of =
        |name: &str| settled.iter().find(|c| c.topic == world.plan.topic_id(name).expect("topic")).map(|c| c.next.0);
    assert_eq!(of("A"), Some(2));
    assert_eq!(of("B"), Some(1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_read_under_an_assignment_that_is_over_is_dropped_and_never_committed() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(TWO_TOPICS, vec![module.clone()]);
    world.assign_all().await;
    world.revoke("A", 0).await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.send("B", &[r#"{"s":"S1"}"#]).await;
    world.pass(3_000).await;
    assert_eq!(module.seen().len(), 0);
    assert_eq!(world.handle.tally().stale_records, 1);
    assert_eq!(world.committed("A"), None);
    world.assign("A", 0, 0, 0, 1).await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(3_000).await;
    assert_eq!(module.seen().len(), 1, "the next assignment reads it");
    assert_eq!(world.committed("A"), Some(1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_what_is_in_flight_and_commits_it() {
    let module = Scripted::new("m", |_| Reply::After(4_000));
    let mut world = World::new(TWO_TOPICS, vec![module]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.send("B", &[r#"{"s":"S1"}"#]).await;
    world.pass(1_000).await;
    assert!(world.handle.drain(std::time::Duration::from_secs(30)).await);
    assert_eq!(world.publisher.of(OUT).len(), 1);
    assert_eq!(world.committed("B"), Some(1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_gives_up_at_its_deadline_and_what_is_owed_stays_uncommitted() {
    let module =
        Scripted::new("m", |input| if input.station.as_str() == "slow" { Reply::After(25_000) } else { Reply::Echo });
    let mut world = World::new(TWO_TOPICS, vec![module]);
    world.assign_all().await;
    world.send("A", &[r#"{"s":"quick"}"#, r#"{"s":"slow"}"#]).await;
    world.pass(10).await;
    world.send("B", &[r#"{"s":"quick"}"#, r#"{"s":"slow"}"#]).await;
    world.pass(10).await;
    assert!(!world.handle.drain(std::time::Duration::from_secs(5)).await);
    assert_eq!(world.committed("B"), Some(1));
    world.stop().await;
}
