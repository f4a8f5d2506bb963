//! A backlog on one topic delays no other, and memory is bounded.

use quorate::pipeline::MAX_UNSETTLED;

use crate::support::{Reply, Scripted, World};

fn config(quota: usize) -> String {
    let topics: String = ["A", "B", "C", "D", "E"].map(|name| format!("[topics.{name}]\nstation = \"/s\"\n")).concat();
    format!(
        r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
max_poll_records = {quota}
{topics}
[modules.m]
enabled = true
requires = ["A", "B", "C", "D", "E"]
"#
    )
}

#[tokio::test(start_paused = true)]
async fn row_4_01_five_backlogs_complete_the_first_input_before_the_largest_has_had_two_turns() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(&config(500), vec![module.clone()]);
    world.assign_all().await;
    for (topic, backlog) in [("A", 10_000), ("B", 5_000), ("C", 100), ("D", 50), ("E", 10)] {
        for chunk in (0..backlog).collect::<Vec<_>>().chunks(500) {
            let payloads: Vec<_> = chunk.iter().map(|n| format!(r#"{{"s":"S{}","n":{n}}}"#, n % 10)).collect();
            world.send(topic, &payloads.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    }
    world.pass(5_000).await;
    let first = &module.seen()[0];
    let offset = first.lineage.iter().find(|range| &*range.topic == "A").expect("lineage of A").to_offset;
    // Two turns, and what the shard may take in before the run that is due gets its turn there.
    assert!(offset < 3_000, "the first input was made while most of A was still to come: {offset}");
    assert_eq!(world.handle.tally().records, 15_160);
    assert_eq!(module.stations().iter().collect::<std::collections::HashSet<_>>().len(), 10);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_4_03_a_module_that_never_answers_stops_no_topic() {
    let module = Scripted::new("m", |_| Reply::After(29_000));
    let mut world = World::new(&config(10), vec![module]);
    world.assign_all().await;
    for topic in ["A", "B", "C", "D", "E"] {
        for n in 0..100 {
            world.send(topic, &[&format!(r#"{{"s":"S1","n":{n}}}"#)]).await;
        }
    }
    world.pass(1_000).await;
    assert_eq!(world.handle.tally().records, 500);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn at_a_hundred_thousand_unsettled_records_the_topics_lane_stops_alone_and_goes_on_once_they_settle() {
    let config = config(1_000).replace(r#"["A", "B", "C", "D", "E"]"#, r#"["A"]"#);
    let config = format!("{config}\n[modules.n]\nenabled = true\nrequires = [\"B\"]\n");
    let [m, n] = [Scripted::new("m", |_| Reply::Echo), Scripted::new("n", |_| Reply::Echo)];
    let mut world = World::new(&config, vec![m, n.clone()]);
    world.assign_all().await;
    world.publisher.freeze("MODULE-OUTPUT-M");
    for batch in 0..120 {
        let payloads: Vec<_> = (0..1_000).map(|record| format!(r#"{{"s":"S{}"}}"#, batch * 1_000 + record)).collect();
        world.send("A", &payloads.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    world.pass(5_000).await;
    let before = world.handle.tally().records;
    // The count is looked at between batches, and the shards answer for those they have taken in.
    let slack = 1_000 * 34;
    assert!((MAX_UNSETTLED as u64..MAX_UNSETTLED as u64 + slack).contains(&before), "{before} records handed out");
    assert_eq!(world.committed("A"), Some(0));
    world.send("B", &[r#"{"s":"S1"}"#]).await;
    world.pass(1_000).await;
    assert_eq!(n.stations(), ["S1"], "another topic goes on");
    world.publisher.thaw();
    world.pass(60_000).await;
    assert_eq!(world.handle.tally().records, 120_001);
    assert_eq!(world.committed("A"), Some(120_000));
    world.stop().await;
}
