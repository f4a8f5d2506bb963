//! What a replay promises: the same records give the same bytes, every line is JSON, complete means complete, time
//! does not run backwards, and nothing stays unsettled that nobody is owed.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use quorate_core::contract::{ModuleInput, Output, Status};
use quorate_core::decode::{Decoder, Reason};
use quorate_core::ident::{Epoch, Millis, ModuleId, Offset};
use quorate_core::plan::{Plan, Then, Trigger, WindowPlan};
use quorate_core::record::RecordBatch;
use quorate_core::replay::{Observer, RecordedRecord, Replay, ReplayEvent};
use quorate_core::shard::{End, Mode, Shard};
use serde_json::json;

use crate::choices::Choices;
use crate::document::{Document, read};
use crate::plans::replayed;
use crate::support::{HOUR, MINUTE, SECOND, T0};
use crate::writing;

static PLANS: LazyLock<Vec<Arc<Plan>>> = LazyLock::new(|| replayed().into_iter().map(Arc::new).collect());

/// Records of one replay.
const RECORDS: usize = 40;

const DECODING: [Reason; 8] = [
    Reason::NotUtf8,
    Reason::NotJson,
    Reason::WrongShape,
    Reason::MissingStation,
    Reason::BadTime,
    Reason::Late,
    Reason::TooLarge,
    Reason::TooDeep,
];

pub(crate) fn check(choices: &mut Choices<'_>) {
    let plan = choices.of(&PLANS);
    let answers = choices.byte();
    let records = records(&plan, choices);
    let advance_ms = choices.of(&[0, 1, MINUTE, 2 * HOUR]);
    let lines = perform(&plan, &records, answers, advance_ms);
    assert_eq!(lines, perform(&plan, &records, answers, advance_ms), "replayed twice");
    assert_settles(&plan, &records);
}

/// Records whose clocks jump, also to the ends of time where no module is due by time.
fn records(plan: &Plan, choices: &mut Choices<'_>) -> Vec<RecordedRecord> {
    let is_timed = plan.modules.iter().any(|module| matches!(module.trigger, Trigger::Every { .. }));
    let mut clock = T0;
    let mut records = Vec::new();
    while choices.any() && records.len() < RECORDS {
        let jumps = [0, 1, -1, SECOND, MINUTE, -MINUTE, MINUTE + 1, HOUR, -HOUR, 3 * HOUR];
        clock = clock.saturating_add(choices.of(&jumps));
        let ts = match choices.below(32) {
            0 if !is_timed => choices.of(&[i64::MAX, i64::MIN, -1, 0, i64::MAX - 1]),
            1 if !is_timed => choices.i64(),
            _ => clock,
        };
        let offset = if choices.one_in(64) { choices.i64() } else { i64::try_from(records.len()).unwrap_or(0) };
        records.push(RecordedRecord {
            topic: choices.of(&["A", "A", "B", "C", "D", "E", "F", "unheard of"]).to_owned(),
            partition: choices.of(&[0, 0, 1, -1, i32::MAX]),
            offset,
            ts,
            payload: (!choices.one_in(32)).then(|| writing::text(choices).into_bytes()),
            ..RecordedRecord::default()
        });
    }
    records
}

/// Prints what happens, calls modules, and checks each event on its own.
struct Checker<'a> {
    plan: &'a Plan,
    answers: u8,
    calls: u8,
    lines: Vec<String>,
    clock: Option<i64>,
    last: HashMap<(String, String), i64>,
}

impl Observer for Checker<'_> {
    fn event(&mut self, event: ReplayEvent) {
        let line = serde_json::to_string(&event).expect("an event has a JSON form");
        let Some(Document::Object(object)) = read(&line).0 else { panic!("not an object: {line}") };
        let Some(Document::Int(at)) = object.get("at") else { panic!("no `at`: {line}") };
        assert!(self.clock.is_none_or(|clock| clock <= *at), "time runs backwards at {line}");
        self.clock = Some(*at);
        match &event {
            ReplayEvent::Input(input) => self.check_input(input),
            ReplayEvent::DeadLetter { reason, .. } => assert!(DECODING.contains(reason), "{line}"),
            _ => {}
        }
        self.lines.push(line);
    }

    fn call(&mut self, input: &ModuleInput) -> Vec<Output> {
        self.calls = self.calls.wrapping_add(1);
        let count = (self.answers >> (self.calls % 8)) & 1;
        let result = json!({ "of": input.input_hash.to_string(), "kw": f64::NAN });
        (0..count).map(|_| Output::json(&result).expect("JSON")).collect()
    }
}

impl Checker<'_> {
    fn check_input(&mut self, input: &ModuleInput) {
        let id = self.plan.module_id(&input.module).expect("a module of the plan");
        let (module, quality) = (self.plan.module(id), &input.quality);
        let required = &input.inputs[..module.requires.len()];
        let names: Vec<_> = module.inputs().map(|(input, _)| &*input.name).collect();
        assert_eq!(names, input.inputs.iter().map(|input| &*input.topic).collect::<Vec<_>>());
        let complete = required.iter().all(|input| input.status == Status::Fresh);
        assert_eq!(complete, quality.complete, "{input:?}");
        match module.incomplete.then {
            Then::Wait | Then::Skip => assert!(complete, "{input:?}"),
            Then::LastGood => assert!(required.iter().all(|input| input.status != Status::Missing), "{input:?}"),
            Then::Partial => {}
        }
        for one in &input.inputs {
            assert_eq!(one.status == Status::Missing, one.time.is_none() && one.age_ms.is_none(), "{input:?}");
        }
        let counted = [&quality.available_topics, &quality.missing_topics, &quality.stale_topics];
        assert_eq!(counted.iter().map(|topics| topics.len()).sum::<usize>(), quality.total_topics, "{input:?}");
        assert!((0.0..=1.0).contains(&quality.availability_ratio));
        assert!(input.lineage.iter().all(|range| range.from_offset <= range.to_offset), "{input:?}");
        assert!(!input.station.as_str().is_empty());
        let key = (input.module.to_string(), input.station.to_string());
        if let Trigger::Changes { min_interval_ms, .. } = module.trigger
            && let Some(last) = self.last.insert(key, input.at.0)
        {
            // An interval that would end behind the end of time ends with it.
            let over = last.checked_add(min_interval_ms);
            assert!(over.is_none_or(|over| over <= input.at.0), "too soon: {input:?}");
        }
    }
}

fn perform(plan: &Arc<Plan>, records: &[RecordedRecord], answers: u8, advance_ms: i64) -> Vec<String> {
    let mut replay = Replay::new(Arc::clone(plan));
    let mut checker = Checker { plan, answers, calls: 0, lines: Vec::new(), clock: None, last: HashMap::new() };
    records.iter().for_each(|record| replay.record(record, &mut checker));
    replay.advance(advance_ms, &mut checker);
    replay.incomplete(&mut checker);
    checker.lines
}

/// Drives a shard through the same records, as the service does; in the end nothing is owed that nothing stands for.
fn assert_settles(plan: &Arc<Plan>, records: &[RecordedRecord]) {
    let mut shard = Shard::new(Arc::clone(plan), plan.stations.max);
    plan.topics().for_each(|(topic, _)| shard.topic_loaded(topic, Millis(T0)));
    let mut now = Millis(T0);
    for record in records {
        let Some(topic) = plan.topic_id(&record.topic) else { continue };
        // The wall clock of a service does not reach the ends of time, whatever records say.
        now = now.max(Millis(record.ts.clamp(T0, T0 + 24 * HOUR)));
        let mut batch = RecordBatch::new(topic);
        let place = (record.partition, Offset(record.offset), Epoch(0));
        batch.push(place, Millis(record.ts), None, record.payload.as_deref()).expect("room in the batch");
        let readings = Decoder::new(plan, topic).decode(Arc::new(batch));
        let rows = 0..u32::try_from(readings.rows().len()).expect("few readings");
        shard.apply(topic, &readings, rows, |_| Mode::Live, now);
        perform_due(&mut shard, now);
    }
    while let Some(deadline) = shard.next_deadline().filter(|deadline| *deadline <= now.plus(HOUR)) {
        shard.handle_timeout(deadline);
        perform_due(&mut shard, deadline);
    }
    let holds = |plan: &Plan| plan.topics.iter().any(|topic| matches!(topic.window, WindowPlan::Bucket(_)));
    if shard.open_runs() == 0 && !holds(plan) {
        assert!(shard.oldest_unsettled().is_empty(), "nothing is open, yet unsettled: {:?}", shard.oldest_unsettled());
    }
}

fn perform_due(shard: &mut Shard, now: Millis) {
    let any = |_: ModuleId| true;
    while let Some(invocation) = shard.poll_run(now, any) {
        shard.finish(invocation.run, End::Done(None), now);
    }
}
