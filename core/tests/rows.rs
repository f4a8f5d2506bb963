//! `rows` as a module meets it: what is kept, what makes it due, what its columns are as types, and what is refused.

mod support;

use quorate_core::contract::{Columns, ModuleError, ModuleInput, Reading, Scalar, Value};
use quorate_core::decode::Reason;
use quorate_core::plan::{Pad, Plan};
use serde_json::json;
use support::live::{Live, Sent, decode_one, json as json_of, sent};
use support::{HOUR, MINUTE, T0, Topic, module, plan, topic};

fn probe(data: Topic) -> Plan {
    plan(vec![data], vec![module("probe").requires(&["T"])])
}

fn columns(size: usize, pad: Pad) -> Topic {
    topic("T").columns(size, None, &["/power", "/state"], pad)
}

fn reading(offset: i64, time: i64, rest: &serde_json::Value) -> Sent {
    let mut payload = rest.clone();
    payload["stationId"] = json!("S");
    sent(offset, time, payload)
}

/// The input after these records, which must make one due.
fn input_after(live: &mut Live, records: &[Sent]) -> ModuleInput {
    live.apply("T", T0 + HOUR, records).run(T0 + HOUR).pop().expect("an input")
}

fn columns_of(input: &ModuleInput) -> &Columns {
    input.topic("T").expect("topic").value.columns().expect("columns")
}

#[test]
fn columns_are_numbers_strings_and_times_at_once() {
    let mut live = Live::new(probe(columns(9, Pad::None)));
    let records = [
        reading(0, T0, &json!({"power": 1, "state": "on"})),
        reading(1, T0 + 1, &json!({"power": null, "state": null})),
        reading(2, T0 + 2, &json!({"power": 2.5, "state": true})),
    ];
    let input = input_after(&mut live, &records);
    let columns = columns_of(&input);
    assert_eq!((columns.len, columns.readings), (3, 3));
    assert_eq!(columns.times().flatten().map(|time| time.0 - T0).collect::<Vec<_>>(), [0, 1, 2]);

    let power = columns.column("power").expect("column");
    let numbers = power.as_slice().expect("one piece");
    assert!(numbers[0] == 1.0 && numbers[1].is_nan() && numbers[2] == 2.5);
    assert_eq!((power.observed, power.len(), power.total), (2, 3, true));

    let state = columns.column("state").expect("column");
    assert_eq!(state.texts().collect::<Vec<_>>(), [Some("on"), None, None]);
    assert_eq!(state.values().collect::<Vec<_>>(), [Scalar::Text("on"), Scalar::Null, Scalar::Bool(true)]);
    assert!(state.to_vec().iter().all(|number| number.is_nan()));

    let value = &json_of(&input)["inputs"]["T"]["value"];
    assert_eq!(*value, json!({"power": [1.0, null, 2.5], "state": ["on", null, true]}));
    let unknown = columns.column("pressure").expect_err("no such column");
    assert_eq!(unknown, ModuleError::rejected("rows have no column pressure"));
}

#[test]
fn what_pads_has_chunks_of_its_own_and_no_times() {
    let mut live = Live::new(probe(columns(10_000, Pad::Forward)));
    let records =
        [reading(0, T0, &json!({"power": 7, "state": "on"})), reading(1, T0 + 1, &json!({"power": 8, "state": "off"}))];
    let input = input_after(&mut live, &records);
    let columns = columns_of(&input);
    assert_eq!((columns.len, columns.readings), (10_000, 2));
    assert_eq!(columns.times().filter(Option::is_none).count(), 9_998);
    let power = columns.column("power").expect("column");
    assert_eq!((power.as_slice(), power.observed), (None, 2));
    assert_eq!(power.chunks().last(), Some([7.0, 8.0].as_slice()));
    assert_eq!(power.chunks().map(<[f64]>::len).sum::<usize>(), 10_000);
    assert_eq!(columns.column("state").expect("column").texts().filter(|text| *text == Some("on")).count(), 9_999);
}

#[test]
fn a_stretched_column_is_one_piece_and_its_rows_are_nobodys() {
    let mut live = Live::new(probe(columns(3, Pad::Linear)));
    let records =
        [reading(0, T0, &json!({"power": 1, "state": "a"})), reading(1, T0 + 1, &json!({"power": 2, "state": "b"}))];
    let input = input_after(&mut live, &records);
    let columns = columns_of(&input);
    assert_eq!(columns.column("power").expect("column").as_slice(), Some([1.0, 1.5, 2.0].as_slice()));
    assert_eq!(columns.times().collect::<Vec<_>>(), [None; 3]);
}

#[test]
fn without_columns_the_readings_come_as_they_are_oldest_first() {
    let mut live = Live::new(probe(topic("T").rows(2, None).fields(&["/b"])));
    let records = [
        reading(0, T0 + 5, &json!({"b": 5, "a": 0})),
        reading(1, T0 + 9, &json!({"b": 9})),
        reading(2, T0 + 7, &json!({"b": 7})),
    ];
    let input = input_after(&mut live, &records);
    let readings = input.inputs[0].value.readings().expect("readings");
    let texts: Vec<&str> = readings.iter().map(Reading::as_json).collect();
    assert_eq!(texts, [r#"{"b":7,"stationId":"S"}"#, r#"{"b":9,"stationId":"S"}"#]);
    assert!(matches!(input.inputs[0].value.columns(), Err(ModuleError::Rejected(_))));
    assert_eq!((input.lineage[0].from_offset, input.lineage[0].to_offset), (1, 2));
}

#[test]
fn what_changes_nothing_makes_nothing_due() {
    let mut live = Live::new(probe(topic("T").columns(2, Some(10 * MINUTE), &["/v"], Pad::None)));
    let at = |offset: i64, minute: i64| reading(offset, T0 + minute * MINUTE, &json!({"v": offset}));
    let mut values = |record: Sent| {
        live.apply("T", T0 + HOUR, &[record]);
        let inputs = live.run(T0 + HOUR);
        inputs.last().map(|input| json_of(input)["inputs"]["T"]["value"]["v"].clone())
    };
    assert_eq!(values(at(0, 20)), Some(json!([0.0])));
    assert_eq!(values(at(0, 20)), None, "the same again");
    assert_eq!(values(at(1, 9)), None, "older than the newest by more than the span");
    assert_eq!(values(at(2, 10)), Some(json!([2.0, 0.0])), "older by just the span");
    assert_eq!(values(at(3, 10)), Some(json!([3.0, 0.0])), "of equal times the higher offset is the later");
    assert_eq!(values(at(2, 10)), None, "one too many, and the oldest");
    assert_eq!(values(at(4, 40)), Some(json!([4.0])), "what is too old by then leaves");
}

#[test]
fn a_reading_without_a_value_for_each_column_is_refused() {
    let plan = probe(columns(3, Pad::None));
    for payload in [r#"{"stationId":"S","power":1}"#, r#"{"stationId":"S","power":[1],"state":1}"#] {
        let (readings, dead) = decode_one(&plan, Some(payload.as_bytes()));
        assert_eq!((readings, dead[0].reason), (0, Reason::WrongShape), "{payload}");
    }
    let null = br#"{"stationId":"S","power":null,"state":null}"#;
    assert_eq!(decode_one(&plan, Some(null)).0, 1, "a null is a gap");
}

#[test]
fn columns_are_asked_of_rows_that_have_them_only() {
    for value in [Value::Missing, Value::Readings([].into())] {
        let refused = value.columns().expect_err("no columns");
        assert!(refused.to_string().contains("`rows` with `columns`"), "{refused}");
    }
}
