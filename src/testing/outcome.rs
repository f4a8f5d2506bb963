//! What became of the records of a test: everything that happened, kept in its order, and the questions asked of it.

use std::sync::Arc;

use quorate_core::contract::{InputHash, ModuleInput, Output};
use quorate_core::decode::Reason;
use quorate_core::ident::{Millis, Offset, Partition, Station};
use quorate_core::replay::{Observer, ReplayEvent};
use serde_json::Value;

use crate::app::{Registry, call_in_place};
use crate::config::ModuleSettings;

/// What was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// When: the clock, or the moment at which the input was assembled.
    pub at: Millis,
    /// Why.
    pub reason: Reason,
    /// More about why, for people. Empty after a panic.
    pub detail: String,
    /// What.
    pub origin: Origin,
}

/// What a dead letter is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A record, or one element of its list.
    Record {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: Partition,
        /// The offset.
        offset: Offset,
        /// The element's place in the list, from 0; none when the whole record is meant.
        element: Option<u32>,
    },
    /// An input for which a module gave no result.
    Input {
        /// The module.
        module: Arc<str>,
        /// The station.
        station: Station,
        /// The input's hash.
        hash: InputHash,
    },
}

/// Hears everything, and calls the modules.
#[derive(Debug)]
pub(super) struct Outcome {
    registry: Registry,
    chosen: Vec<ModuleSettings>,
    events: Vec<ReplayEvent>,
}

impl Outcome {
    pub(super) fn new(registry: Registry, chosen: Vec<ModuleSettings>) -> Self {
        Self { registry, chosen, events: Vec::new() }
    }

    pub(super) fn events(&self) -> &[ReplayEvent] {
        &self.events
    }

    pub(super) fn inputs(&self, of: &str) -> Vec<&ModuleInput> {
        let inputs = self.events.iter().filter_map(|event| match event {
            ReplayEvent::Input(input) if *input.module == *of => Some(&**input),
            _ => None,
        });
        inputs.collect()
    }

    pub(super) fn results(&self, of: &str) -> Vec<Value> {
        let results = self.events.iter().filter_map(|event| match event {
            ReplayEvent::Output { module, value, .. } if **module == *of => Some(value.get()),
            _ => None,
        });
        // Every result was written as JSON.
        results.map(|text| serde_json::from_str(text).unwrap_or_default()).collect()
    }

    pub(super) fn dead_letters(&self) -> Vec<DeadLetter> {
        self.events.iter().filter_map(dead_letter).collect()
    }
}

impl Observer for Outcome {
    fn event(&mut self, event: ReplayEvent) {
        self.events.push(event);
    }

    fn call(&mut self, input: &ModuleInput) -> Vec<Output> {
        call_in_place(&self.registry, &self.chosen, input, |event| self.events.push(event))
    }
}

fn dead_letter(event: &ReplayEvent) -> Option<DeadLetter> {
    let (at, reason, detail, origin) = match event {
        ReplayEvent::Input(_) | ReplayEvent::Output { .. } | ReplayEvent::Incomplete { .. } => return None,
        ReplayEvent::DeadLetter { at, topic, partition, offset, reason, detail, element } => {
            let topic = Arc::clone(topic);
            (at, reason, detail, Origin::Record { topic, partition: *partition, offset: *offset, element: *element })
        }
        ReplayEvent::RunFailed { at, module, station, reason, detail, input_hash } => {
            let (module, station) = (Arc::clone(module), station.clone());
            (at, reason, detail, Origin::Input { module, station, hash: *input_hash })
        }
    };
    Some(DeadLetter { at: *at, reason: *reason, detail: detail.clone(), origin })
}
