//! [`Scenario`]: records in, printed lines out, under the virtual clock of a replay.

use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::contract::{ModuleInput, Output};
use quorate_core::plan::Plan;
use quorate_core::replay::{Observer, RecordedRecord, Replay, ReplayEvent};
use serde_json::Value;

/// What stands in for modules: the results of an input.
type Model = Box<dyn FnMut(&ModuleInput) -> Vec<Value>>;

/// A replay whose lines are kept as JSON, in the order in which they would be printed.
pub struct Scenario {
    replay: Replay,
    heard: Heard,
    next_offsets: HashMap<(String, i32), i64>,
}

struct Heard {
    lines: Vec<Value>,
    model: Option<Model>,
}

impl Observer for Heard {
    fn event(&mut self, event: ReplayEvent) {
        self.lines.push(line(&event));
    }

    fn call(&mut self, input: &ModuleInput) -> Vec<Output> {
        let outputs = self.model.as_mut().map_or_else(Vec::new, |model| model(input));
        outputs.iter().map(|output| Output::json(output).expect("JSON")).collect()
    }
}

/// A record of partition 0.
pub fn record(topic: &str, offset: i64, ts: i64, payload: impl ToString) -> RecordedRecord {
    RecordedRecord {
        topic: topic.to_owned(),
        offset,
        ts,
        payload: Some(payload.to_string().into()),
        ..Default::default()
    }
}

impl Scenario {
    pub fn new(plan: Plan) -> Self {
        let heard = Heard { lines: Vec::new(), model: None };
        Self { replay: Replay::new(Arc::new(plan)), heard, next_offsets: HashMap::new() }
    }

    /// A replay that calls modules.
    pub fn calling(plan: Plan, model: impl FnMut(&ModuleInput) -> Vec<Value> + 'static) -> Self {
        let mut scenario = Self::new(plan);
        scenario.heard.model = Some(Box::new(model));
        scenario
    }

    /// A record at the next offset of partition 0.
    pub fn send(&mut self, topic: &str, ts: i64, payload: impl ToString) -> &mut Self {
        self.send_payload(topic, ts, Some(payload.to_string()))
    }

    /// A null payload.
    pub fn send_null(&mut self, topic: &str, ts: i64) -> &mut Self {
        self.send_payload(topic, ts, None)
    }

    fn send_payload(&mut self, topic: &str, ts: i64, payload: Option<String>) -> &mut Self {
        let next = self.next_offsets.entry((topic.to_owned(), 0)).or_default();
        let offset = *next;
        *next += 1;
        let payload = payload.map(String::into_bytes);
        self.take(&RecordedRecord { topic: topic.to_owned(), offset, ts, payload, ..Default::default() })
    }

    pub fn take(&mut self, record: &RecordedRecord) -> &mut Self {
        self.replay.record(record, &mut self.heard);
        self
    }

    pub fn advance(&mut self, duration_ms: i64) -> &mut Self {
        self.replay.advance(duration_ms, &mut self.heard);
        self
    }

    /// The lines printed since this was last asked.
    pub fn drain(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.heard.lines)
    }

    /// The inputs printed since lines were last asked for; other lines are passed over.
    pub fn inputs(&mut self) -> Vec<Value> {
        self.drain().into_iter().filter(|line| line["event"] == "input").collect()
    }

    /// The only input printed since lines were last asked for.
    #[track_caller]
    pub fn input(&mut self) -> Value {
        let mut inputs = self.inputs();
        assert_eq!(inputs.len(), 1, "wanted one input, got {inputs:#?}");
        inputs.remove(0)
    }

    /// Module, station and moment of each input printed since lines were last asked for.
    pub fn called(&mut self) -> Vec<(String, String, i64)> {
        let text = |line: &Value, key: &str| line[key].as_str().expect("text").to_owned();
        let called = |line: &Value| (text(line, "module"), text(line, "station"), line["at"].as_i64().expect("at"));
        self.inputs().iter().map(called).collect()
    }

    /// Ends the replay: all lines that are left, and one for each station that is not complete.
    pub fn finish(mut self) -> Vec<Value> {
        self.replay.incomplete(&mut self.heard);
        self.drain()
    }
}

/// One event as its line is printed.
pub fn line(event: &ReplayEvent) -> Value {
    let text = serde_json::to_string(event).expect("an event has a JSON form");
    serde_json::from_str(&text).expect("a printed line is JSON")
}

/// The window value of one topic in a printed input.
pub fn value_of<'v>(input: &'v Value, topic: &str) -> &'v Value {
    &input["inputs"][topic]["value"]
}

/// The window value of the only topic of a module called `probe`, after these records of it.
pub fn value_after(plan: Plan, records: &[(i64, Value)]) -> Value {
    let topic = Arc::clone(&plan.topics[0].name);
    let mut scenario = Scenario::new(plan);
    records.iter().for_each(|(ts, payload)| {
        scenario.send(&topic, *ts, payload);
    });
    let inputs = scenario.inputs();
    inputs.last().map_or(Value::Null, |input| value_of(input, &topic).clone())
}
