//! [`Scenario`]: records in, printed lines out, under the virtual clock of a replay.

use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::plan::Plan;
use quorate_core::replay::{RecordedRecord, Replay, ReplayEvent};
use serde_json::Value;

/// A replay whose lines are kept as JSON, in the order in which they would be printed.
pub struct Scenario {
    replay: Replay,
    lines: Vec<Value>,
    next_offsets: HashMap<(String, i32), i64>,
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
        Self { replay: Replay::new(Arc::new(plan)), lines: Vec::new(), next_offsets: HashMap::new() }
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
        let Self { replay, lines, .. } = self;
        replay.record(record, &mut |event: ReplayEvent| lines.push(line(&event)));
        self
    }

    pub fn advance(&mut self, duration_ms: i64) -> &mut Self {
        let Self { replay, lines, .. } = self;
        replay.advance(duration_ms, &mut |event: ReplayEvent| lines.push(line(&event)));
        self
    }

    /// The lines printed since this was last asked.
    pub fn drain(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.lines)
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

    /// Ends the replay: all lines that are left, and one for each station that is not complete.
    pub fn finish(mut self) -> Vec<Value> {
        let Self { replay, lines, .. } = &mut self;
        replay.incomplete(&mut |event: ReplayEvent| lines.push(line(&event)));
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
