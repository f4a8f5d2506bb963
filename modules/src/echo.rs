//! `echo`: gives back the reading that a call hands over. For trying out a queue, and for seeing that nothing of it is lost.
//!
//! **Input:** topics of the trigger `each`. **Output:** one result, `{"reading":"topic/partition/offset/element","value":…}`,
//! where `value` is the reading as it came. **Errors:** [`ModuleError::Rejected`] for a call that hands no reading over.

use async_trait::async_trait;
use quorate_core::contract::{Module, ModuleError, ModuleInput, Output, Value};
use serde::Serialize;

/// The module `echo`.
#[derive(Clone, Copy, Debug)]
pub struct Echo;

#[derive(Serialize)]
struct Handed<'a> {
    reading: String,
    value: &'a Value,
}

#[async_trait]
impl Module for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        let handed = input.reading.as_ref().and_then(|reading| {
            let topic = input.inputs.iter().find(|topic| topic.topic == reading.topic)?;
            Some(Handed { reading: reading.to_string(), value: &topic.value })
        });
        let wanted = "no reading was handed over: write `trigger = { each = true, on = [\"TOPIC\"] }`";
        Ok(vec![Output::json(&handed.ok_or_else(|| ModuleError::rejected(wanted))?)?])
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::Millis;

    use super::*;
    use crate::testing::{InputBuilder, call, reading};

    #[test]
    fn gives_back_the_reading_that_was_handed_over_and_where_it_came_from() {
        let tasks = InputBuilder::new("echo").topic("PARAM", Millis(5), reading(r#"{"gunNum":2}"#));
        let tasks = tasks.topic("TASK", Millis(6), reading(r#"{"task_uuid":"u"}"#));
        let output = call(&Echo, &tasks.handing_over("TASK", 7).build()).expect("accepted");
        assert_eq!(output[0].as_json(), r#"{"reading":"TASK/0/7/0","value":{"task_uuid":"u"}}"#);
        assert_eq!(output.len(), 1);
    }

    #[test]
    fn a_call_that_hands_no_reading_over_is_rejected() {
        let input = InputBuilder::new("echo").topic("TASK", Millis(6), reading("{}")).build();
        assert!(matches!(call(&Echo, &input), Err(ModuleError::Rejected(_))));
    }
}
