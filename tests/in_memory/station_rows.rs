//! The acceptance cases of the station domain that only a whole service shows, table J. What needs no more than the
//! core stands in `core/tests/acceptance.rs`; what needs a broker, in `tests/real_kafka/`.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_core::ident::ModuleId;
use serde_json::{Value, json};

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
requires = ["A"]
retry = { attempts = 2, backoff = "1s" }
"#;

const OUT: &str = "MODULE-OUTPUT-M";
const DEAD: &str = "test-dead-letters";

const SLOW: Reply = Reply::After(3_000);

fn reading(station: &str, value: i64) -> String {
    json!({"s": station, "v": value}).to_string()
}

/// Station and value of each result, in the order of acknowledgement.
fn results(world: &World) -> Vec<(String, i64)> {
    let told = |result: &Value| {
        let station = result["station_id"].as_str().expect("a station").to_owned();
        (station, result["output"]["A"]["v"].as_i64().expect("the value it saw"))
    };
    world.publisher.values(OUT).iter().map(told).collect()
}

#[tokio::test(start_paused = true)]
async fn row_j6_calls_slower_than_their_records_lose_no_result_repeat_none_and_publish_nothing_empty() {
    let module = Scripted::new("m", |_| SLOW);
    let mut world = World::new(CONFIG, vec![module.clone()]);
    world.assign_all().await;
    for value in 1..=6 {
        world.send("A", &[&reading("busy", value), &reading(&format!("S{value}"), value)]).await;
        world.pass(1_000).await;
    }
    world.pass(60_000).await;
    let results = results(&world);
    assert_eq!(results.len(), module.seen().len(), "a result for each call");
    let singles: BTreeSet<_> = results.iter().filter(|(station, _)| station != "busy").cloned().collect();
    assert_eq!(singles, (1..=6).map(|value| (format!("S{value}"), value)).collect());
    let busy: Vec<i64> = results.iter().filter(|(station, _)| station == "busy").map(|(_, value)| *value).collect();
    assert!(busy.is_sorted_by(|a, b| a < b), "nothing twice: {busy:?}");
    assert_eq!((busy.len(), busy.last()), (3, Some(&6)), "one at a time, the last with the newest: {busy:?}");
    let hashes: BTreeSet<_> = world.publisher.of(OUT).iter().map(|sent| header(sent, "quorate-input-hash")).collect();
    assert_eq!(hashes.len(), results.len());
    assert_eq!(world.committed("A"), Some(12));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_j7_a_station_whose_call_failed_is_served_again_at_its_next_change() {
    let module = Scripted::new("m", |input| {
        let seen = serde_json::to_value(&input.topic("A").expect("A").value).expect("JSON");
        if seen["v"] == 13 { Reply::Fail } else { Reply::Echo }
    });
    let mut world = World::new(CONFIG, vec![module]);
    world.assign_all().await;
    world.send("A", &[&reading("S", 13)]).await;
    world.pass(60_000).await;
    assert_eq!(results(&world), []);
    let letters = world.publisher.of(DEAD);
    assert_eq!((letters.len(), header(&letters[0], "quorate-reason").as_deref()), (1, Some("module_failed")));
    world.send("A", &[&reading("S", 14)]).await;
    world.pass(60_000).await;
    assert_eq!(results(&world), [("S".to_owned(), 14)]);
    assert_eq!(world.committed("A"), Some(2));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_j8_a_station_is_listed_from_the_first_reading_that_names_it() {
    let mut world = World::new(CONFIG, vec![Scripted::new("m", |_| Reply::Echo)]);
    world.assign_all().await;
    assert_eq!(world.handle.census().await.stations, 0);
    world.send("A", &[&reading("S", 1), &reading("N", 1), "{}"]).await;
    world.pass(5_000).await;
    let census = world.handle.census().await;
    assert_eq!((census.stations, census.modules[0].complete, census.open_runs), (2, 2, 0));
    for (station, known) in [("S", true), ("N", true), ("X", false)] {
        let told = world.handle.explain(ModuleId(0), station).await.expect("a running pipeline");
        assert_eq!((told.known, told.last_run_at.is_some()), (known, known), "{station}");
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_j12_stopping_waits_for_calls_and_acknowledgements_then_commits_all_and_ends_every_task() {
    let module = Scripted::new("m", |input| if input.station.as_str() == "slow" { SLOW } else { Reply::Echo });
    let mut world = World::new(CONFIG, vec![module]);
    world.assign_all().await;
    world.publisher.freeze(OUT);
    world.send("A", &[&reading("quick", 1), &reading("slow", 2)]).await;
    world.pass(1_000).await;
    assert_eq!((results(&world), world.committed("A")), (vec![], Some(0)), "one unacknowledged, one still called");
    let thaw = async {
        world.pass(10_000).await;
        assert_eq!(world.publisher.of(OUT).len(), 0);
        world.publisher.thaw();
    };
    let (drained, ()) = tokio::join!(world.handle.drain(Duration::from_secs(30)), thaw);
    assert!(drained);
    let results: BTreeSet<_> = results(&world).into_iter().collect();
    assert_eq!(results, BTreeSet::from([("quick".to_owned(), 1), ("slow".to_owned(), 2)]));
    assert_eq!(world.committed("A"), Some(2));
    world.stop().await;
}
