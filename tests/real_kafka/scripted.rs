//! Modules that do what a test says and remember what they were given, and gates that hold them up.

use std::sync::{Arc, Condvar, Mutex};

use async_trait::async_trait;
use quorate_core::contract::{Module, ModuleError, ModuleInput, Output};
use serde_json::{Map, Value, json};

type Answer = Box<dyn Fn(&ModuleInput) -> Result<Vec<Output>, ModuleError> + Send + Sync>;

/// A module of a test.
pub struct Scripted {
    name: &'static str,
    answer: Answer,
    seen: Mutex<Vec<ModuleInput>>,
}

impl Scripted {
    /// Gives back the readings it was given.
    pub fn echo(name: &'static str) -> Arc<Self> {
        Self::answering(name, |input| Ok(vec![echo(input)?]))
    }

    /// Gives them back when the gate is open.
    pub fn gated(name: &'static str, gate: &Arc<Gate>) -> Arc<Self> {
        let gate = Arc::clone(gate);
        Self::answering(name, move |input| {
            gate.pass();
            Ok(vec![echo(input)?])
        })
    }

    /// Answers as the test says.
    pub fn answering(
        name: &'static str,
        answer: impl Fn(&ModuleInput) -> Result<Vec<Output>, ModuleError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { name, answer: Box::new(answer), seen: Mutex::default() })
    }

    /// The inputs so far, in the order in which calls began.
    pub fn seen(&self) -> Vec<ModuleInput> {
        self.seen.lock().expect("inputs").clone()
    }

    /// How many calls have begun.
    pub fn calls(&self) -> usize {
        self.seen.lock().expect("inputs").len()
    }
}

#[async_trait]
impl Module for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        self.seen.lock().expect("inputs").push(input.clone());
        (self.answer)(input)
    }
}

/// The readings of an input by topic.
pub fn echo(input: &ModuleInput) -> Result<Output, ModuleError> {
    let values = input.inputs.iter().map(|topic| (topic.topic.to_string(), json!(topic.value)));
    Output::json(&Value::Object(values.collect::<Map<_, _>>()))
}

/// Holds up whoever passes while it is shut.
#[derive(Debug, Default)]
pub struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// A gate that is shut.
    pub fn shut() -> Arc<Self> {
        Arc::default()
    }

    /// Opens it for good.
    pub fn open(&self) {
        *self.open.lock().expect("the gate") = true;
        self.opened.notify_all();
    }

    /// Returns once it is open.
    pub fn pass(&self) {
        let open = self.open.lock().expect("the gate");
        drop(self.opened.wait_while(open, |open| !*open).expect("the gate"));
    }
}
