//! Each check finds the module that breaks its promise, and says with which input.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use quorate_core::ident::Millis;

use super::*;
use crate::testing::{column, hourly_grid, reading};

/// A module that is what its function does.
struct Odd {
    name: &'static str,
    version: &'static str,
    answer: fn(&ModuleInput) -> Answer,
}

#[async_trait]
impl Module for Odd {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> &'static str {
        self.version
    }

    async fn invoke(&self, input: &ModuleInput) -> Answer {
        (self.answer)(input)
    }
}

fn odd(answer: fn(&ModuleInput) -> Answer) -> Arc<dyn Module> {
    Arc::new(Odd { name: "odd", version: "1", answer })
}

fn object() -> Answer {
    Ok(vec![Output::json(&std::collections::BTreeMap::from([("kw", 1)]))?])
}

fn sample() -> ModuleInput {
    let grid = hourly_grid(Millis(0), 3, 8, &["01"], vec![column("kw", &[1.0, 2.0, 3.0])]);
    InputBuilder::new("odd")
        .topic("PARAM", Millis(1), reading(r#"{"a":[{"b":1}]}"#))
        .topic("GRID", Millis(1), grid)
        .build()
}

/// The checks that fail, and their failures as text.
fn failures(answer: fn(&ModuleInput) -> Answer) -> Vec<(&'static str, String)> {
    let found = check_all(&odd(answer), &[sample()]).err().unwrap_or_default();
    found.into_iter().map(|failure| (failure.check, failure.to_string())).collect()
}

fn checks(answer: fn(&ModuleInput) -> Answer) -> Vec<&'static str> {
    failures(answer).into_iter().map(|(check, _)| check).collect()
}

#[test]
fn a_module_that_keeps_its_promises_passes() {
    assert_eq!(checks(|_| object()), [""; 0]);
    let careful = |input: &ModuleInput| {
        input.topic("GRID")?.value.grid()?.column("kw")?;
        input.topic("PARAM")?.value.reading()?;
        object()
    };
    assert_eq!(checks(careful), [""; 0]);
}

#[test]
fn names_and_versions_that_cannot_be_configured_are_found() {
    for (name, version, right) in [
        ("load_prediction", "2.1", true),
        ("soh2", "1", true),
        ("", "1", false),
        ("SOH_model", "1", false),
        ("_load", "1", false),
        ("load_", "1", false),
        ("load__prediction", "1", false),
        ("load-prediction", "1", false),
        ("load", "", false),
        ("load", "1 beta", false),
    ] {
        let module: Arc<dyn Module> = Arc::new(Odd { name, version, answer: |_| object() });
        assert_eq!(is_spelled_as_configured(&module).is_ok(), right, "{name:?} {version:?}");
    }
}

#[test]
fn an_answer_that_depends_on_what_was_asked_before_is_found() {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let counting = |_: &ModuleInput| {
        let count = CALLS.fetch_add(1, Ordering::Relaxed);
        Ok(vec![Output::json(&std::collections::BTreeMap::from([("count", count)]))?])
    };
    assert_eq!(checks(counting), ["is_deterministic"]);
}

#[test]
fn a_panic_is_a_failure_that_names_its_input_and_its_text() {
    let brittle = |input: &ModuleInput| {
        let parsed: serde_json::Value = input.topic("PARAM")?.value.reading()?.parse()?;
        let number = parsed["a"][0]["b"].as_f64().ok_or_else(|| ModuleError::rejected("no number"))?;
        assert!(number < 1e300, "too much for me");
        object()
    };
    let found = failures(brittle);
    let expected = "survives_extremes: sample 0 with 1e308 at /a/0/b for PARAM: panicked: too much for me";
    assert_eq!(found, [("survives_extremes", expected.to_owned())]);
}

#[test]
fn extremes_reach_the_numbers_of_a_grid() {
    let brittle = |input: &ModuleInput| {
        let column = input.topic("GRID")?.value.grid()?.column("kw")?.to_vec();
        assert!(column.iter().all(|number| number.is_finite()), "not finite");
        object()
    };
    assert!(failures(brittle)[0].1.contains("sample 0 with NaN everywhere for GRID: panicked: not finite"));
}

#[test]
fn missing_inputs_and_wrong_kinds_are_tried() {
    let trusting = |input: &ModuleInput| {
        assert!(input.quality.missing_topics.is_empty(), "missing");
        object()
    };
    assert_eq!(checks(trusting), ["survives_missing_inputs"]);
    let guessing = |input: &ModuleInput| match input.topic("PARAM").map(|topic| &topic.value) {
        Ok(quorate_core::contract::Value::Readings(list)) => panic!("{} readings", list.len()),
        _ => object(),
    };
    assert_eq!(checks(guessing), ["survives_wrong_kinds"]);
}

#[test]
fn an_empty_input_is_not_worth_trying_again() {
    let hopeful = |input: &ModuleInput| match input.topic("PARAM") {
        Ok(_) => object(),
        Err(_) => Err(ModuleError::retriable("perhaps later")),
    };
    assert_eq!(checks(hopeful), ["survives_an_empty_input"]);
}

#[test]
fn a_sample_that_is_rejected_and_a_result_that_is_no_object_are_found() {
    let picky = |_: &ModuleInput| Err(ModuleError::rejected("not mine"));
    assert_eq!(checks(picky), ["accepts_samples"]);
    let bare = |_: &ModuleInput| Ok(vec![Output::json(&[1, 2])?]);
    assert!(failures(bare).iter().all(|(_, text)| text.ends_with("result is no object: [1,2]")));
    assert_eq!(checks(bare).len(), 7, "every check but the one for names");
}

#[test]
fn a_call_that_never_ends_is_late() {
    let stuck = odd(|_| {
        loop {
            std::thread::park();
        }
    });
    let failure = returns_within(&stuck, &[sample()], Duration::from_millis(20)).expect_err("late");
    assert_eq!(failure.to_string(), "returns_within: sample 0: no answer after 20ms");
}
