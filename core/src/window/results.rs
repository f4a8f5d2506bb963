//! Results of another module: the newest one, handed on inside this process or read from its output topic. Either way
//! it is the same value with the same hash.

use std::sync::Arc;

use serde_json::Value as Json;

use super::text::{canonical, parsed};
use super::{ResultState, View};
use crate::contract::{InputHash, LineageRange, ModuleInput, Output, Reading, Value};
use crate::ident::Millis;
use crate::provenance::{Provenance, TopicSeed};

/// The result of one run, for the modules of the same process that depend on it.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// When the run's input was assembled.
    pub at: Millis,
    /// The hash of that input.
    pub hash: InputHash,
    /// The records that input was made of.
    pub lineage: Arc<[LineageRange]>,
    /// The result.
    pub output: Output,
}

impl RunResult {
    /// What dependents see of a run: the last of its results; none when it returned none.
    #[must_use]
    pub fn of(input: &ModuleInput, outputs: &[Output]) -> Option<Self> {
        let output = outputs.last()?.clone();
        Some(Self { at: input.at, hash: input.input_hash, lineage: input.lineage.as_slice().into(), output })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Results {
    entry: Option<Box<Entry>>,
    /// Whether the last reading renewed the entry.
    renewed: bool,
}

#[derive(Debug)]
struct Entry {
    time: Millis,
    hash: Option<InputHash>,
    from: Arrived,
    output: Reading,
}

/// How a result came here.
#[derive(Debug)]
enum Arrived {
    /// Through its output topic.
    Topic(Provenance),
    /// Inside this process, with the records its input was made of.
    Process(Arc<[LineageRange]>),
}

impl Results {
    /// Takes in what stood in a record of the output topic. True when it changes what a module can see.
    pub(super) fn apply(&mut self, time: Millis, origin: Provenance, hash: Option<u128>, text: &str) -> bool {
        let is_newer = match self.entry.as_deref() {
            Some(Entry { time: kept, from: Arrived::Topic(kept_origin), .. }) => (*kept, *kept_origin) < (time, origin),
            Some(Entry { time: kept, .. }) => *kept < time,
            None => true,
        };
        self.renewed = is_newer;
        is_newer && self.renew(time, hash.map(InputHash), Arrived::Topic(origin), output_of(text))
    }

    /// Takes in the result of a run of this process: it is the newest, whatever the clock says.
    pub(crate) fn hand_over(&mut self, result: RunResult) -> bool {
        let RunResult { at, hash, lineage, output } = result;
        self.renew(at, Some(hash), Arrived::Process(lineage), canonical(output.as_json()))
    }

    /// A result repeated on the same input is a renewal, not a change.
    fn renew(&mut self, time: Millis, hash: Option<InputHash>, from: Arrived, output: Reading) -> bool {
        let repeats = |entry: &Entry| hash.is_some() && entry.hash == hash && entry.output == output;
        let changed = !self.entry.as_deref().is_some_and(repeats);
        self.entry = Some(Box::new(Entry { time, hash, from, output }));
        changed
    }

    /// Whether the last reading renewed the result, changed or not.
    pub(super) fn renewed(&self) -> bool {
        self.renewed
    }

    pub(crate) fn newest(&self) -> Option<Millis> {
        self.entry.as_ref().map(|entry| entry.time)
    }

    /// The result, and the hash that stands for it: its input's where that is known, else its record's.
    pub(crate) fn view(&self, seed: Option<&TopicSeed>) -> View {
        let Some(entry) = self.entry.as_deref() else { return View { value: Value::Missing, sum: 0 } };
        let sum = match (entry.hash, &entry.from, seed) {
            (Some(hash), ..) => hash.0,
            (None, Arrived::Topic(origin), Some(seed)) => origin.hash(seed),
            _ => 0,
        };
        View { value: Value::Reading(entry.output.clone()), sum }
    }

    pub(super) fn origins(&self, visit: &mut dyn FnMut(&Provenance)) {
        if let Some(Entry { from: Arrived::Topic(origin), .. }) = self.entry.as_deref() {
            visit(origin);
        }
    }

    /// The records behind a result of this process.
    pub(crate) fn lineage(&self) -> &[LineageRange] {
        match self.entry.as_deref() {
            Some(Entry { from: Arrived::Process(lineage), .. }) => lineage,
            _ => &[],
        }
    }

    pub(crate) fn state(&self) -> Option<ResultState> {
        let entry = self.entry.as_deref()?;
        let (origin, lineage) = match &entry.from {
            Arrived::Topic(origin) => (Some(*origin), Vec::new()),
            Arrived::Process(lineage) => (None, lineage.to_vec()),
        };
        let json = entry.output.as_json().to_owned();
        Some(ResultState { time: entry.time, hash: entry.hash, origin, lineage, json })
    }

    pub(crate) fn restore(&mut self, state: &ResultState) {
        let from = state.origin.map_or_else(|| Arrived::Process(state.lineage.as_slice().into()), Arrived::Topic);
        if self.newest().is_none_or(|newest| newest <= state.time) {
            self.renew(state.time, state.hash, from, Reading::from_json(state.json.as_str().into()));
        }
    }
}

/// What a module published: the `output` of an envelope, or the whole element of an older list of results.
fn output_of(text: &str) -> Reading {
    let reading = canonical(text);
    match parsed(reading.as_json()) {
        Json::Object(mut envelope) if envelope.contains_key("module") => match envelope.remove("output") {
            Some(output) => Reading::from_json(output.to_string().into()),
            None => reading,
        },
        _ => reading,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::Offset;

    fn origin(offset: i64) -> Provenance {
        Provenance { incarnation: 0, partition: 0, offset: Offset(offset), element: 0 }
    }

    fn shown(results: &Results) -> (String, u128) {
        let view = results.view(Some(&TopicSeed::new("T")));
        (serde_json::to_string(&view.value).expect("JSON"), view.sum)
    }

    fn handed(at: i64, hash: u128, json: &Json) -> RunResult {
        let output = Output::json(json).expect("JSON");
        RunResult { at: Millis(at), hash: InputHash(hash), lineage: Arc::from([]), output }
    }

    #[test]
    fn the_same_result_looks_the_same_from_memory_from_its_envelope_and_from_an_older_list() {
        let (mut memory, mut envelope, mut list) = (Results::default(), Results::default(), Results::default());
        assert!(memory.hand_over(handed(7, 9, &serde_json::json!({ "b": 1, "a": [2.5] }))));
        let text = r#"{"station_id":"S","module":"m","at":7,"output":{"b":1,"a":[2.5]},"input_hash":"09"}"#;
        assert!(envelope.apply(Millis(7), origin(0), Some(9), text));
        assert!(list.apply(Millis(7), origin(0), None, r#"{"b":1,"a":[2.5]}"#));
        assert_eq!(shown(&memory), (r#"{"a":[2.5],"b":1}"#.to_owned(), 9));
        assert_eq!(shown(&envelope), shown(&memory));
        assert_eq!(shown(&list).0, shown(&memory).0);
        assert_ne!(shown(&list).1, 0, "its record stands for it");
    }

    #[test]
    fn a_result_repeated_on_the_same_input_renews_its_time_and_changes_nothing() {
        let mut results = Results::default();
        let json = serde_json::json!({ "kw": 1.0 });
        assert!(results.hand_over(handed(7, 9, &json)));
        assert!(!results.hand_over(handed(8, 9, &json)));
        assert_eq!(results.newest(), Some(Millis(8)));
        assert!(results.hand_over(handed(9, 9, &serde_json::json!({ "kw": 2.0 }))), "another of the same run");
    }

    #[test]
    fn an_older_record_does_not_displace_a_newer_one_and_state_round_trips() {
        let mut results = Results::default();
        assert!(results.apply(Millis(7), origin(4), None, r#"{"n":1}"#));
        assert!(!results.apply(Millis(7), origin(3), None, r#"{"n":2}"#));
        assert!(!results.apply(Millis(7), origin(4), None, r#"{"n":1}"#));
        let state = results.state().expect("not empty");
        let mut restored = Results::default();
        restored.restore(&state);
        assert_eq!((shown(&restored), restored.state()), (shown(&results), Some(state)));
    }
}
