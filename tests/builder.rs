//! A service described in code, as an author's program does it: problems are told before anything is connected, and what
//! is started runs inside the caller's runtime.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use quorate::app::{RegistryError, SetupError, StartError};
use quorate::config::Properties;
use quorate::kafka::{EmbeddedBroker, Feed, Tail};
use quorate::testing::Scenario;
use quorate::{Millis, Module, ModuleError, ModuleInput, Output, Service, ServiceBuilder, async_trait};
use serde_json::{Value, json};

const CONFIG: &str = r#"
[kafka]
bootstrap_servers = "127.0.0.1:1"
startup_timeout = "1s"
[kafka.consumer]
group_id = "builder"
multi_consumer_mode = true
session_timeout_ms = 6000
heartbeat_interval_ms = 1000
fetch_max_wait_ms = 10
[topics.LOAD]
station = "/id"
[modules.mine]
requires = ["LOAD"]
"#;

/// Longer than the slowest rebalance of the mock.
const PATIENCE: Duration = Duration::from_secs(30);

struct Named(&'static str);

#[async_trait]
impl Module for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        let load: Value = input.topic("LOAD")?.value.reading()?.parse()?;
        Ok(vec![Output::json(&json!({ "seen": load["kw"] }))?])
    }
}

fn service() -> ServiceBuilder {
    Service::builder().config_text("my.toml", CONFIG).module(Named("mine"))
}

fn problems(service: &ServiceBuilder) -> String {
    match service.check() {
        Err(SetupError::Configuration(report)) => report.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_description_without_a_mistake_has_no_warning() {
    assert!(service().check().expect("usable").is_empty());
}

#[test]
fn every_problem_is_told_at_its_place_and_the_last_override_counts() {
    let wrong = service().set("modules.mine.concurrency=0").set("topics.LOAD.stations=/id");
    let told = problems(&wrong);
    assert!(told.contains("--set modules.mine.concurrency") && told.contains("--set topics.LOAD.stations"), "{told}");
    assert!(wrong.set("modules.mine.concurrency=2").check().is_err());
    let mended = service().set("modules.mine.concurrency=0").set("modules.mine.concurrency=2");
    assert!(mended.check().is_ok());
}

#[test]
fn a_module_that_was_not_added_is_a_problem_of_the_configuration() {
    let told = problems(&Service::builder().config_text("my.toml", CONFIG));
    assert!(told.starts_with("my.toml:") && told.contains("there is no module `mine`"), "{told}");
}

#[test]
fn two_modules_of_one_name_are_told_before_the_configuration_is_read() {
    let twice = service().module(Named("mine")).config("no/such/file.toml");
    assert!(matches!(twice.check(), Err(SetupError::Modules(RegistryError::Twice("mine")))));
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_like_any_other() {
    let told = problems(&Service::builder().config("no/such/file.toml"));
    assert!(told.contains("no/such/file.toml") && told.contains("cannot be read"), "{told}");
}

#[test]
fn a_module_added_under_a_built_in_name_is_the_one_that_is_called() {
    let config = CONFIG.replace("modules.mine", "modules.probe");
    let replaced = Service::builder().config_text("my.toml", config).module(Named("probe"));
    let mut scenario = Scenario::of(&replaced).expect("usable");
    scenario.record("LOAD", json!({ "id": "S1", "kw": 7 }));
    assert_eq!(scenario.results("probe"), [json!({ "seen": 7 })]);
}

#[test]
fn run_ends_with_the_exit_code_for_configuration_problems() {
    assert_eq!(Service::builder().config_text("my.toml", CONFIG).run(), ExitCode::from(3));
    assert_eq!(service().module(Named("mine")).run(), ExitCode::from(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn start_tells_that_no_broker_answers() {
    assert!(matches!(service().start().await, Err(StartError::Connect(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_inside_a_program_calls_the_module_and_drains() {
    let broker = EmbeddedBroker::start(1).expect("a broker");
    let sink = (Arc::<str>::from("MODULE-OUTPUT-MINE"), 1);
    let source = (Arc::<str>::from("LOAD"), 1);
    for topic in [&sink.0, &source.0, &"builder-dead-letters".into()] {
        broker.create_topic(topic, 1).expect("a topic");
    }
    let client = Properties(BTreeMap::from([("bootstrap.servers".to_owned(), broker.servers().to_owned())]));
    let (_tail, mut results) = Tail::start(&client, &[sink]).expect("a reader of results");
    let feed = Feed::start(&client, &[source]).expect("a feed");

    let running = service().set(format!("kafka.bootstrap_servers={}", broker.servers()));
    let running = running.set("kafka.consumer.auto_offset_reset=earliest").set("kafka.startup_timeout=30s");
    let running = running.start().await.expect("the service starts");
    let payload = json!({ "id": "S1", "kw": 7 }).to_string();
    feed.send(0, 0, Millis(1_762_214_400_000), payload.as_bytes()).await.expect("accepted");
    let result = tokio::time::timeout(PATIENCE, results.recv()).await.expect("in time").expect("a result");
    let result: Value = serde_json::from_slice(&result.value.expect("a value")).expect("JSON");
    let ended = running.drain().await;

    assert!(result.to_string().contains(r#"{"seen":7}"#), "{result}");
    assert!(ended.drained, "{ended:?}");
    assert_eq!(ended.undelivered, 0);
}
