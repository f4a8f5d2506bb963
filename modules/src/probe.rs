//! `probe`: gives back what it was given. For trying out a configuration, and the shortest module to learn from.
//!
//! **Input:** any topics of any window kind. **Output:** one result,
//! `{"inputs":{TOPIC:{"status":"fresh|stale|missing","time":ms|null,"value":…}}}`, topics in the order of the configuration;
//! `at` and ages are left out, so that equal inputs give equal results, byte for byte. **Errors:** none.

use async_trait::async_trait;
use quorate_core::contract::{Module, ModuleError, ModuleInput, Output, Status, Value};
use quorate_core::ident::Millis;
use serde::Serialize;

use crate::by_topic::ByTopic;

/// The module `probe`.
#[derive(Clone, Copy, Debug)]
pub struct Probe;

#[derive(Serialize)]
struct Echo<'a> {
    inputs: ByTopic<'a, Seen<'a>>,
}

#[derive(Serialize)]
struct Seen<'a> {
    status: Status,
    time: Option<Millis>,
    value: &'a Value,
}

#[async_trait]
impl Module for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        let seen = input.inputs.iter().map(|topic| {
            let seen = Seen { status: topic.status, time: topic.time, value: &topic.value };
            (&*topic.topic, seen)
        });
        Ok(vec![Output::json(&Echo { inputs: ByTopic(seen.collect()) })?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{InputBuilder, call, reading};

    #[test]
    fn gives_back_status_time_and_value_of_every_topic_in_configured_order() {
        let input = InputBuilder::new("probe")
            .topic("PARAM", Millis(5), reading(r#"{"gridCapacity":600.0}"#))
            .missing("GUN")
            .stale("CALENDAR", Millis(7), reading(r#"{"calendar":[]}"#))
            .build();
        let output = call(&Probe, &input).expect("accepted");
        assert_eq!(
            output[0].as_json(),
            r#"{"inputs":{"PARAM":{"status":"fresh","time":5,"value":{"gridCapacity":600.0}},"#.to_owned()
                + r#""GUN":{"status":"missing","time":null,"value":null},"#
                + r#""CALENDAR":{"status":"stale","time":7,"value":{"calendar":[]}}}}"#
        );
        assert_eq!(output.len(), 1);
    }

    #[test]
    fn the_moment_of_assembly_and_ages_do_not_show() {
        let input = InputBuilder::new("probe").topic("PARAM", Millis(5), reading("{}"));
        let (early, late) = (input.clone().at(Millis(10)).build(), input.at(Millis(99_999)).build());
        assert_ne!(early.inputs[0].age_ms, late.inputs[0].age_ms);
        assert_eq!(call(&Probe, &early), call(&Probe, &late));
    }
}
