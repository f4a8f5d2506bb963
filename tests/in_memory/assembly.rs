//! The whole service on windows, triggers, policies and dependencies: configured as a user would, under virtual time.

use quorate_core::contract::Status;
use quorate_core::ident::ModuleId;
use serde_json::{Value, json};

use crate::support::{Reply, START, Scripted, World, header, seen_of};

const HEAD: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
[topics.LOAD]
station = "/s"
[topics.PARAM]
station = "/s"
"#;

fn config(rest: &str) -> String {
    format!("{HEAD}{rest}")
}

const CHAIN: &str = r#"
[modules.up]
requires = ["LOAD"]
[modules.down]
requires = ["LOAD"]
depends_on = ["up"]
"#;

#[tokio::test(start_paused = true)]
async fn a_dependent_is_fed_in_the_process_and_sees_the_same_version() {
    let up = Scripted::new("up", |_| Reply::After(500));
    let down = Scripted::new("down", |_| Reply::Echo);
    let mut world = World::new(&config(CHAIN), vec![up.clone(), down.clone()]);
    world.assign_all().await;
    world.send("LOAD", &[r#"{"s":"S","kw":1}"#]).await;
    world.pass(5_000).await;
    world.send("LOAD", &[r#"{"s":"S","kw":2}"#]).await;
    world.pass(5_000).await;
    let fed: Vec<Value> = seen_of(&down, "up").into_iter().map(|value| value["LOAD"]["kw"].clone()).collect();
    assert_eq!(fed, [json!(1), json!(2)], "one call each, never an old result beside a new load");
    let own: Vec<Value> = seen_of(&down, "LOAD").into_iter().map(|value| value["kw"].clone()).collect();
    assert_eq!(own, [json!(1), json!(2)]);
    assert_eq!(world.committed("LOAD"), Some(2));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_0_29_what_is_published_counts_for_nobody_before_it_is_acknowledged() {
    let (up, down) = (Scripted::new("up", |_| Reply::Echo), Scripted::new("down", |_| Reply::Echo));
    let mut world = World::new(&config(CHAIN), vec![up.clone(), down.clone()]);
    world.assign_all().await;
    world.publisher.freeze("MODULE-OUTPUT-UP");
    world.send("LOAD", &[r#"{"s":"S","kw":1}"#]).await;
    world.pass(60_000).await;
    assert_eq!((up.seen().len(), down.seen().len()), (1, 0), "a dependent sees only what is certain");
    assert_eq!((world.handle.tally().results, world.committed("LOAD")), (0, Some(0)));
    world.publisher.thaw();
    world.pass(5_000).await;
    assert_eq!((up.seen().len(), down.seen().len()), (1, 1), "and nothing was called again meanwhile");
    assert_eq!((world.handle.tally().results, world.committed("LOAD")), (2, Some(1)));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_committed_while_a_dependent_is_still_owed() {
    let up = Scripted::new("up", |_| Reply::Echo);
    let down = Scripted::new("down", |_| Reply::After(20_000));
    let mut world = World::new(&config(CHAIN), vec![up, down.clone()]);
    world.assign_all().await;
    world.send("LOAD", &[r#"{"s":"S"}"#]).await;
    world.pass(10_000).await;
    assert_eq!((world.publisher.of("MODULE-OUTPUT-UP").len(), world.committed("LOAD")), (1, Some(0)));
    world.pass(20_000).await;
    assert_eq!((world.publisher.of("MODULE-OUTPUT-DOWN").len(), world.committed("LOAD")), (1, Some(1)));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_hangs_delays_its_dependent_by_one_call_at_the_most() {
    let up = Scripted::new("up", |input| {
        let load = serde_json::to_value(&input.topic("LOAD").expect("load").value).expect("JSON");
        if load["kw"] == 2 { Reply::Hang } else { Reply::Echo }
    });
    let down = Scripted::new("down", |_| Reply::Echo);
    let mut world = World::new(&config(CHAIN), vec![up, down.clone()]);
    world.assign_all().await;
    world.send("LOAD", &[r#"{"s":"S","kw":1}"#]).await;
    world.pass(5_000).await;
    world.send("LOAD", &[r#"{"s":"S","kw":2}"#]).await;
    world.pass(29_000).await;
    assert_eq!(down.seen().len(), 1, "the other is at work on the same version");
    world.pass(2_000).await;
    assert_eq!(down.seen().len(), 2, "it goes on with what there is");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_module_that_runs_elsewhere_is_read_from_its_output_topic() {
    let down = Scripted::new("down", |_| Reply::Echo);
    let rest = "[modules.up]\nenabled = false\nrequires = [\"LOAD\"]\n[modules.down]\nrequires = [\"LOAD\"]\ndepends_on = [\"up\"]\n";
    let mut world = World::new(&config(rest), vec![Scripted::new("up", |_| Reply::Echo), down.clone()]);
    world.assign_all().await;
    world.send("LOAD", &[r#"{"s":"S"}"#]).await;
    let envelope = json!({
        "station_id": "S", "module": "up", "module_version": "1", "at": START.0 - 1_000, "output": { "kw": 7 },
        "quality": {}, "lineage": [], "input_hash": "000000000000000000000000000000ff",
    });
    world.send("MODULE-OUTPUT-UP", &[&envelope.to_string()]).await;
    world.pass(5_000).await;
    assert_eq!(seen_of(&down, "up"), [json!({ "kw": 7 })]);
    let input = &down.seen()[0];
    assert_eq!(input.topic("up").expect("up").time.map(|time| time.0), Some(START.0 - 1_000));
    world.send("MODULE-OUTPUT-UP", &[r#"{"results":[{"station_id":"S","kw":8},{"kw":9}]}"#]).await;
    world.pass(5_000).await;
    assert_eq!(seen_of(&down, "up").last(), Some(&json!({ "kw": 8, "station_id": "S" })));
    assert_eq!(world.publisher.of("test-dead-letters").len(), 1);
    world.stop().await;
}

const ORDERS: &str = r#"
[topics.ORDER]
station = "/s"
time = { at = "/at", format = "%s", zone = "UTC" }
window = { kind = "bucket", every = "1s", close_after = "1s" }
[modules.m]
requires = ["ORDER"]
"#;

#[tokio::test(start_paused = true)]
async fn d7_the_last_second_of_orders_is_delivered_once_also_when_nothing_follows() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(&config(ORDERS), vec![module.clone()]);
    world.assign_all().await;
    let second = START.0 / 1_000;
    let order = |at: i64, tx: &str| json!({ "s": "S", "at": at.to_string(), "tx": tx }).to_string();
    world.send("ORDER", &[&order(second, "tx1"), &order(second, "tx2"), &order(second + 1, "tx3")]).await;
    world.pass(10_000).await;
    let tx: Vec<Vec<String>> = seen_of(&module, "ORDER")
        .iter()
        .map(|bucket| {
            let readings = bucket["readings"].as_array().expect("readings");
            readings.iter().map(|reading| reading["tx"].as_str().expect("tx").to_owned()).collect()
        })
        .collect();
    assert_eq!(tx, [vec!["tx1", "tx2"], vec!["tx3"]]);
    let results = world.publisher.of("MODULE-OUTPUT-M");
    let triggers: Vec<_> = results.iter().map(|record| header(record, "quorate-trigger")).collect();
    assert_eq!(triggers, [Some((second * 1_000).to_string()), Some((second * 1_000 + 1_000).to_string())]);
    assert_eq!(world.committed("ORDER"), Some(3));
    world.send("ORDER", &[&order(second, "tx4")]).await;
    world.pass(5_000).await;
    let letters = world.publisher.of("test-dead-letters");
    assert_eq!(header(&letters[0], "quorate-reason").as_deref(), Some("late"));
    assert_eq!((module.seen().len(), world.committed("ORDER")), (2, Some(4)));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bucket_does_not_close_over_records_that_wait_because_their_topic_stands_still() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(&config(ORDERS), vec![module.clone()]);
    world.assign_all().await;
    let second = START.0 / 1_000;
    let order = |tx: &str| json!({ "s": "S", "at": second.to_string(), "tx": tx }).to_string();
    world.send("ORDER", &[&order("tx1")]).await;
    world.publisher.freeze("test-dead-letters");
    // Dead letters that nobody takes stop the topic.
    let garbage = "x".repeat(512 << 10);
    for _ in 0..10 {
        world.send("ORDER", &[&*garbage; 14]).await;
    }
    world.pass(1).await;
    world.send("ORDER", &[&order("tx2")]).await;
    world.pass(60_000).await;
    assert_eq!(seen_of(&module, "ORDER"), Vec::<Value>::new(), "tx2 waits in the lane, and the second with it");
    world.publisher.thaw();
    world.pass(60_000).await;
    let handed = seen_of(&module, "ORDER");
    assert_eq!((handed.len(), handed[0]["readings"].as_array().map(Vec::len)), (1, Some(2)));
    assert_eq!(world.committed("ORDER"), Some(142));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn every_runs_complete_stations_by_the_clock_and_owes_no_record() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let rest = "[modules.m]\nrequires = [\"PARAM\"]\ntrigger = { every = \"15m\" }\n";
    let mut world = World::new(&config(rest), vec![module.clone()]);
    world.assign_all().await;
    world.send("PARAM", &[r#"{"s":"S"}"#]).await;
    world.pass(5_000).await;
    assert_eq!((module.seen().len(), world.committed("PARAM")), (0, Some(1)));
    world.pass(60 * 60_000).await;
    let moments: Vec<i64> = module.seen().iter().map(|input| input.at.0 % (15 * 60_000)).collect();
    assert_eq!(moments, [0; 4]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn partial_calls_after_its_patience_and_the_census_tells_of_the_alarm() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let rest = "[modules.m]\nrequires = [\"LOAD\", \"PARAM\"]\nincomplete = { after = \"10m\", then = \"partial\" }\n";
    let mut world = World::new(&config(rest), vec![module.clone()]);
    world.assign_all().await;
    world.send("LOAD", &[r#"{"s":"S"}"#]).await;
    world.pass(9 * 60_000).await;
    assert_eq!((module.seen().len(), world.handle.census().await.modules[0].alarmed), (0, 0));
    world.pass(2 * 60_000).await;
    let seen = module.seen();
    assert_eq!((seen.len(), seen[0].quality.complete), (1, false));
    assert_eq!(seen[0].topic("PARAM").expect("PARAM").status, Status::Missing);
    assert_eq!(world.handle.census().await.modules[0].alarmed, 1);
    world.send("PARAM", &[r#"{"s":"S"}"#]).await;
    world.pass(1_000).await;
    assert_eq!((module.seen().len(), world.handle.census().await.modules[0].alarmed), (2, 0));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_running_service_explains_why_there_is_no_result() {
    let module = Scripted::new("m", |_| Reply::Echo);
    let mut world = World::new(&config("[modules.m]\nrequires = [\"LOAD\", \"PARAM\"]\n"), vec![module]);
    world.assign_all().await;
    world.send("LOAD", &[r#"{"s":"42"}"#]).await;
    world.pass(5_000).await;
    let told = world.handle.explain(ModuleId(0), "42").await.expect("a running pipeline");
    assert!(told.known);
    let blocks: Vec<_> = told.inputs.iter().map(|input| input.block.as_ref().map(|block| block.rule)).collect();
    assert_eq!(blocks, [None, Some("required_missing")]);
    assert_eq!(told.inputs[0].records.len(), 1);
    assert!(!world.handle.explain(ModuleId(0), "43").await.expect("a running pipeline").known);
    world.stop().await;
}
