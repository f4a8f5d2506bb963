//! What a scenario does for those who write tests with it.

use std::sync::Mutex;

use async_trait::async_trait;
use quorate_core::contract::{Module, ModuleError, Output};
use quorate_core::decode::Reason;
use quorate_core::ident::Offset;
use quorate_core::shard::RunStanding;
use serde_json::json;

use super::*;
use crate::app::Service;
use crate::testing::Origin;

const CONFIG: &str = r#"
[topics.LOAD]
records = "/*"
station = "/id"
[topics.PRICE]
station = "/id"
[topics.UNUSED]
station = "/id"
[modules.a_sum]
requires = [{ topic = "LOAD", max_age = "1h" }]
[modules.b_bill]
requires = ["PRICE"]
optional = ["LOAD"]
"#;

/// Gives back the load of its input, or fails as the load says.
struct Sum;

#[async_trait]
impl Module for Sum {
    fn name(&self) -> &'static str {
        "a_sum"
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        let load: Value = input.topic("LOAD")?.value.reading()?.parse()?;
        match load["kw"].as_i64() {
            Some(-1) => Err(ModuleError::rejected("below zero")),
            Some(-2) => Err(ModuleError::retriable("no answer")),
            Some(-3) => panic!("out of order"),
            _ => Ok(vec![Output::json(&json!({ "kw": load["kw"] }))?]),
        }
    }
}

/// Gives back every input it has.
struct Bill;

#[async_trait]
impl Module for Bill {
    fn name(&self) -> &'static str {
        "b_bill"
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        let names: Vec<_> = input.inputs.iter().filter(|i| i.time.is_some()).map(|i| &*i.topic).collect();
        Ok(vec![Output::json(&names)?])
    }
}

fn service() -> ServiceBuilder {
    Service::builder().config_text("my.toml", CONFIG).module(Sum).module(Bill)
}

fn scenario() -> Scenario {
    Scenario::of(&service()).expect("a valid configuration")
}

/// The same, with one value set.
fn with(key_value: &str) -> Scenario {
    Scenario::of(&service().set(key_value)).expect("a valid configuration")
}

fn load(kw: i64) -> Value {
    json!([{ "id": "S1", "kw": kw }])
}

#[test]
fn a_record_is_decoded_assembled_and_answered_at_once() {
    let mut scenario = scenario();
    scenario.at("2025-11-04T09:00:00+08:00").record("LOAD", load(7));
    assert_eq!(scenario.results("a_sum"), [json!({ "kw": 7 })]);
    let inputs = scenario.inputs("a_sum");
    assert_eq!((inputs.len(), inputs[0].at), (1, "2025-11-04T01:00:00Z".millis()));
    assert_eq!((inputs[0].lineage[0].from_offset, &*inputs[0].lineage[0].topic), (0, "LOAD"));
    assert!(scenario.inputs("b_bill").is_empty());
    assert_eq!(scenario.events().len(), 2, "an input and a result");
}

#[test]
fn a_module_sees_the_result_of_the_one_it_depends_on() {
    let mut scenario = with("modules.b_bill.depends_on=[\"a_sum\"]");
    scenario.record("PRICE", json!({ "id": "S1", "fee": 1 }));
    assert!(scenario.results("b_bill").is_empty(), "the sum is missing");
    scenario.record("LOAD", load(7));
    assert_eq!(scenario.results("b_bill"), [json!(["PRICE", "a_sum", "LOAD"])]);
}

#[test]
fn time_alone_makes_a_module_due() {
    let mut scenario = with("modules.a_sum.trigger={ every = \"1m\" }");
    scenario.at("2025-11-04T09:00:30Z").record("LOAD", load(7));
    assert!(scenario.inputs("a_sum").is_empty());
    scenario.advance(Duration::from_secs(29));
    assert!(scenario.inputs("a_sum").is_empty());
    scenario.advance(Duration::from_secs(61));
    let at: Vec<_> = scenario.inputs("a_sum").iter().map(|input| input.at).collect();
    assert_eq!(at, ["2025-11-04T09:01:00Z", "2025-11-04T09:02:00Z"].map(Moment::millis), "up to and including");
}

#[test]
fn what_is_given_up_says_why_and_what_it_was() {
    let mut scenario = scenario();
    scenario.record("LOAD", json!([{ "id": "S1", "kw": -1 }, { "kw": 1 }]));
    scenario.record("LOAD", load(-2)).record("LOAD", load(-3));
    scenario.send(Record::new("PRICE").partition(4).key("S1").bytes([0xff]));
    let letters = scenario.dead_letters();
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason).collect();
    let failures = [Reason::ModuleRejected, Reason::ModuleFailed, Reason::ModulePanicked];
    assert_eq!(reasons, [vec![Reason::MissingStation], failures.to_vec(), vec![Reason::NotUtf8]].concat());
    let record = |topic: &str, partition, element| {
        let topic = topic.into();
        Origin::Record { topic, partition, offset: Offset(0), element }
    };
    assert_eq!(letters[0].origin, record("LOAD", 0, Some(1)));
    assert_eq!(letters[4].origin, record("PRICE", 4, None));
    let hash = scenario.inputs("a_sum")[0].input_hash;
    assert_eq!(letters[1].origin, Origin::Input { module: "a_sum".into(), station: "S1".into(), hash });
    assert_eq!(letters[1].detail, "below zero");
}

#[test]
fn a_null_payload_is_a_record_like_any_other() {
    let mut scenario = scenario();
    scenario.send(Record::new("PRICE"));
    assert_eq!(scenario.dead_letters()[0].reason, Reason::WrongShape);
}

#[test]
fn an_explanation_names_what_blocks_and_since_when() {
    let mut scenario = scenario();
    assert!(!scenario.explain("a_sum", "S1").known, "before anything has happened");
    scenario.at("2025-11-04T09:00:00Z").record("LOAD", load(7));
    let done = scenario.explain("a_sum", "S1");
    assert_eq!((done.run, done.last_run_at), (RunStanding::Idle, Some(scenario.now())));
    assert_eq!(
        scenario.explain("b_bill", "S1").inputs[0].block.as_ref().map(|block| block.rule),
        Some("required_missing")
    );

    scenario.advance(Duration::from_secs(3601));
    let stale = scenario.explain("a_sum", "S1");
    let block = stale.inputs[0].block.as_ref().expect("too old");
    assert_eq!((block.rule, stale.at), ("max_age", scenario.now()));
    let incomplete = scenario.incomplete();
    let names: Vec<_> = incomplete.iter().map(|what| (&*what.module, what.missing.len(), what.stale.len())).collect();
    assert_eq!(names, [("a_sum", 0, 1), ("b_bill", 1, 0)]);
}

#[test]
fn a_late_record_leaves_the_clock_and_a_later_one_takes_it_along() {
    let mut scenario = scenario();
    scenario.at("2025-11-04T09:00:00Z").record_at("2025-11-04T08:00:00Z", "PRICE", json!({ "id": "S1" }));
    assert_eq!(scenario.now(), "2025-11-04T09:00:00Z".millis());
    assert_eq!(scenario.inputs("b_bill")[0].inputs[0].age_ms, Some(3_600_000));
    scenario.record_at("2025-11-04T10:00:00Z", "PRICE", json!({ "id": "S1" }));
    assert_eq!(scenario.now(), "2025-11-04T10:00:00Z".millis());
}

#[test]
fn a_recording_keeps_its_time_and_places_and_what_follows_goes_on_from_there() {
    let mut scenario = scenario();
    let recording = r#"{"topic":"LOAD","partition":1,"offset":41,"ts":5000,"payload":"[{\"id\":\"S1\",\"kw\":7}]"}
        {"topic":"ELSEWHERE","partition":0,"offset":0,"ts":6000,"payload":"{}"}"#;
    scenario.recording(recording).expect("a recording");
    assert_eq!(scenario.now(), Millis(5000), "as far as the service has heard");
    assert_eq!(scenario.inputs("a_sum")[0].at, Millis(5000));
    scenario.send(Record::new("LOAD").partition(1).json(load(8)));
    assert_eq!(scenario.inputs("a_sum")[1].lineage[0].to_offset, 42);
    assert!(scenario.recording("nonsense").is_err());
}

#[test]
#[should_panic(expected = "nobody reads LAOD, but LOAD, PRICE")]
fn a_misspelled_topic_does_not_pass_for_silence() {
    scenario().record("LAOD", load(7));
}

#[test]
#[should_panic(expected = "no module `sum` is enabled, but a_sum, b_bill")]
fn a_misspelled_module_does_not_pass_for_silence() {
    let _ = scenario().results("sum");
}

#[test]
fn a_handle_to_a_module_shows_what_it_has_kept() {
    #[derive(Default)]
    struct Keeper(Mutex<Vec<Millis>>);

    #[async_trait]
    impl Module for Keeper {
        fn name(&self) -> &'static str {
            "probe"
        }

        async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
            self.0.lock().expect("moments").push(input.at);
            Ok(Vec::new())
        }
    }

    let keeper = Arc::new(Keeper::default());
    let config = "[topics.LOAD]\nstation = \"/id\"\n[modules.probe]\nrequires = [\"LOAD\"]\n";
    let service = Service::builder().config_text("my.toml", config).shared_module(Arc::clone(&keeper) as _);
    let mut scenario = Scenario::of(&service).expect("a valid configuration");
    scenario.record("LOAD", json!({ "id": "S1" }));
    assert_eq!(*keeper.0.lock().expect("moments"), [ManualClock::START]);
}
