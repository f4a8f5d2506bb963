//! Hostile content for the kinds of windows beyond `latest`: columns, buckets, results, grids; values of other types
//! than asked for, times at the ends of what 64 bits hold, nesting at the most that a configuration may allow.

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use quorate_core::contract::{ModuleInput, Output};
use quorate_core::decode::{Body, Reason, Scalar};
use quorate_core::ident::{Millis, TopicId};
use quorate_core::plan::{Column, Fill, Limits, Pad, Plan, RowsPlan, WindowPlan};
use quorate_core::replay::{Replay, ReplayEvent};
use serde_json::{Value, json};
use support::live::{Live, decode, sent};
use support::scenario::{Scenario, record, value_after};
use support::{CASES, Grid, HOUR, T0, Topic, module, plan, pointer, probe_of, topic};

/// The ends of time, and what stands beside them.
const ENDS: [i64; 7] = [i64::MIN, i64::MIN + 1, -1, 0, T0, i64::MAX - 1, i64::MAX];

fn with_columns(columns: &[&str]) -> Plan {
    let mut plan = probe_of(vec![topic("T").records(&["/*"])]);
    let column = |at: &&str| {
        let at = pointer(at);
        Column { name: at.name().expect("a name").into(), at }
    };
    let columns = Some(columns.iter().map(column).collect());
    plan.topics[0].window = WindowPlan::Rows(RowsPlan { size: 3, span_ms: None, columns, pad: Pad::None });
    plan
}

fn grid(step_ms: i64) -> Topic {
    topic("T").grid(Grid {
        step_ms,
        steps: 3,
        fill: Fill::Linear,
        max_gap_ms: None,
        series: vec!["/k"],
        values: vec!["/v"],
        totals: vec!["/t"],
    })
}

#[test]
fn a_column_takes_scalars_and_null_and_nothing_else() {
    let plan = with_columns(&["/v", "/a/b"]);
    let elements = r#"[{"stationId":"S","v":1,"a":{"b":"x"}},{"stationId":"S","v":null,"a":{"b":null}},
        {"stationId":"S","v":true,"a":{"b":18446744073709551615}},{"stationId":"S","v":-0.0,"a":{"b":"\u0001"}},
        {"stationId":"S","v":[1],"a":{"b":1}},{"stationId":"S","v":1,"a":{"b":{}}},{"stationId":"S","v":1},
        {"stationId":"S","v":1,"a":{}},{"stationId":"S","v":1,"a":[{"b":1}]},{"stationId":"S","v":1,"v":[],"a":{"b":1}}]"#;
    let readings = decode(&plan, TopicId(0), &[sent(0, T0, elements)]);
    let scalars = readings.rows().iter().map(|row| match readings.body(row) {
        Body::Columns(scalars) => scalars.iter().collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    });
    #[expect(clippy::cast_precision_loss, reason = "JSON numbers are 64-bit floats")]
    let largest = Scalar::Number(u64::MAX as f64);
    let want = [
        vec![Scalar::Number(1.0), Scalar::Text("x")],
        vec![Scalar::Null, Scalar::Null],
        vec![Scalar::Bool(true), largest],
        vec![Scalar::Number(0.0), Scalar::Text("\u{1}")],
    ];
    assert_eq!(scalars.collect::<Vec<_>>(), want);
    let dead: Vec<_> = readings.dead().iter().map(|dead| (dead.element, dead.reason)).collect();
    assert_eq!(dead, (4..10).map(|at| (Some(at), Reason::WrongShape)).collect::<Vec<_>>());
}

/// Each result as decoded: its time and its hash.
fn results_of(payload: &Value) -> Vec<(i64, Option<u128>)> {
    let plan = probe_of(vec![topic("T").results()]);
    let readings = decode(&plan, TopicId(0), &[sent(0, T0, payload)]);
    let of_row = |row| match readings.body(row) {
        Body::Result { hash, .. } => hash,
        other => panic!("{other:?}"),
    };
    readings.rows().iter().map(|row| (row.time.0, of_row(row))).collect()
}

#[test]
fn a_result_whose_time_or_hash_is_odd_is_taken_without_it() {
    let result = |at: Value, hash: Value| json!({"station_id": "S", "module": "m", "at": at, "input_hash": hash});
    for (at, time) in [
        (json!(7), 7),
        (json!(i64::MIN), i64::MIN),
        (json!(i64::MAX), i64::MAX),
        (json!(u64::MAX), T0),
        (json!("7"), T0),
        (json!(7.5), T0),
        (json!([7]), T0),
        (json!({}), T0),
        (Value::Null, T0),
    ] {
        assert_eq!(results_of(&result(at.clone(), Value::Null)), [(time, None)], "{at}");
    }
    for (hash, is) in [
        ("000000000000000000000000000000ff", Some(255)),
        ("000000000000000000000000000000FF", Some(255)),
        ("ffffffffffffffffffffffffffffffff", Some(u128::MAX)),
        ("", None),
        ("ff", None),
        ("+00000000000000000000000000000ff", None),
        ("0x0000000000000000000000000000ff", None),
        ("000000000000000000000000000000fg", None),
        ("000000000000000000000000000000ff0", None),
        ("000000000000000000000000000000f\u{e9}", None),
    ] {
        assert_eq!(results_of(&result(json!(7), json!(hash))), [(7, is)], "{hash}");
    }
    for hash in [json!(255), json!([]), json!({}), json!(true)] {
        assert_eq!(results_of(&result(json!(7), hash.clone())), [(7, None)], "{hash}");
    }
}

#[test]
fn what_a_module_published_is_its_output_or_else_the_whole_element() {
    let seen = |payload: Value| value_after(probe_of(vec![topic("T").results()]), &[(T0, payload)]);
    let envelope = |more: Value| {
        let mut envelope = json!({"station_id": "S", "module": "m"});
        envelope.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        envelope
    };
    assert_eq!(seen(envelope(json!({"output": {"a": 1}}))), json!({"a": 1}));
    assert_eq!(seen(envelope(json!({"output": [1]}))), json!([1]));
    assert_eq!(seen(envelope(json!({"output": null}))), Value::Null);
    assert_eq!(seen(envelope(json!({}))), envelope(json!({})));
    let no_list = json!({"station_id": "S", "results": {"station_id": "T"}});
    assert_eq!(seen(no_list.clone()), no_list);
    let list = json!({"results": [{"station_id": "S", "kw": 1}, 7]});
    assert_eq!(seen(list), json!({"station_id": "S", "kw": 1}));
    assert_eq!(seen(json!({"results": []})), Value::Null, "nothing was published");
}

#[test]
fn an_envelope_at_the_depth_limit_still_shows_its_output() {
    let deep = format!("{}1{}", "[".repeat(127), "]".repeat(127));
    let lines =
        replayed(probe_of(vec![topic("T").results()]), format!(r#"{{"station_id":"S","module":"m","output":{deep}}}"#));
    assert!(lines[0].contains(&format!(r#""value":{deep}"#)), "{}", lines[0]);
}

#[test]
fn a_key_that_the_json_parser_uses_inside_itself_is_a_key_like_others() {
    for reading in [
        json!({"$serde_json::private::RawValue": "[1]", "stationId": "S"}),
        json!({"a": {"$serde_json::private::RawValue": 7}, "stationId": "S"}),
        json!({"a": [{"$serde_json::private::Number": "1e999"}], "stationId": "S"}),
    ] {
        let lines = replayed(probe_of(vec![topic("T")]), reading.to_string());
        assert!(lines[0].contains(&format!(r#""value":{reading}"#)), "{}", lines[0]);
    }
}

/// The events of one record of `T`, as text: what is deep or odd inside stays as printed.
fn replayed(plan: Plan, payload: String) -> Vec<String> {
    let mut lines = Vec::new();
    let mut hear = |event: ReplayEvent| lines.push(serde_json::to_string(&event).expect("a JSON form"));
    Replay::new(Arc::new(plan)).record(&record("T", 0, T0, payload), &mut hear);
    lines
}

#[test]
fn nesting_at_the_most_that_may_be_configured_fits_a_threads_stack() {
    let limits = Limits { depth: Limits::MAX_DEPTH, ..Limits::default() };
    let around = |open: &str, close: &str| {
        let inner = format!("{}1{}", open.repeat(limits.depth - 1), close.repeat(limits.depth - 1));
        format!(r#"{{"stationId":"S","station_id":"S","module":"m","k":"1","v":1,"t":1,"output":{inner},"x":{inner}}}"#)
    };
    let topics = || {
        let kinds = [topic("T"), topic("T").fields(&["/x"]), topic("T").per_key("/k", None), topic("T").results()];
        kinds.into_iter().chain([topic("T").bucket(HOUR, Some(0)), grid(HOUR), topic("T").records(&["/nowhere", ""])])
    };
    for payload in [around("[", "]"), around(r#"{"a":"#, "}")] {
        for topic in topics() {
            let (plan, payload) = (Plan { limits, ..probe_of(vec![topic]) }, payload.clone());
            let thread = std::thread::Builder::new().stack_size(2 << 20);
            let lines = thread.spawn(move || replayed(plan, payload)).expect("a thread").join().expect("no panic");
            assert!(!lines.iter().any(|line| line.contains("dead_letter")), "{lines:?}");
        }
    }
}

#[test]
fn what_is_as_large_as_the_default_limits_say_is_read_and_one_more_is_not() {
    let limits = Limits::default();
    let fate = |topic: Topic, payload: String| {
        let readings = decode(&probe_of(vec![topic]), TopicId(0), &[sent(0, T0, payload)]);
        (readings.rows().len(), readings.dead().iter().map(|dead| (dead.element, dead.reason)).collect::<Vec<_>>())
    };
    let too_large = (0, vec![(None, Reason::TooLarge)]);
    let list = |count: usize, element: &str| format!("[{}{element}]", format!("{element},").repeat(count - 1));
    let listed = || topic("T").records(&["/*"]);
    assert_eq!(fate(listed(), list(limits.elements, r#"{"stationId":1}"#)), (limits.elements, vec![]));
    assert_eq!(fate(listed(), list(limits.elements + 1, r#"{"stationId":1}"#)), too_large);
    assert_eq!(fate(listed(), list(limits.elements, "7")).1.len(), limits.elements);
    let named = |len: usize| format!(r#"{{"stationId":"S","x":"{}"}}"#, "x".repeat(len));
    assert_eq!(fate(topic("T"), named(limits.string_bytes)), (1, vec![]));
    for len in [limits.string_bytes + 1, limits.record_bytes - 100, limits.record_bytes] {
        assert_eq!(fate(topic("T"), named(len)), too_large, "{len}");
    }
}

#[test]
fn buckets_at_the_ends_of_time_close_in_order_and_none_is_lost() {
    for (every_ms, close_after_ms) in [(1, Some(0)), (1, None), (HOUR, Some(i64::MAX)), (i64::MAX, Some(i64::MAX))] {
        for clock in [T0, i64::MAX] {
            let mut live = Live::new(probe_of(vec![topic("T").bucket(every_ms, close_after_ms)]));
            for (offset, time) in (0..).zip(ENDS) {
                live.apply("T", clock, &[sent(offset, time, r#"{"stationId":"S"}"#)]);
            }
            let inputs = live.run(i64::MAX);
            let froms: Vec<i64> = inputs.iter().map(|input| bucket_of(input).0).collect();
            assert!(froms.is_sorted(), "{froms:?}");
            let delivered: usize = inputs.iter().map(|input| bucket_of(input).1).sum();
            let late =
                std::iter::from_fn(|| live.shard.poll_dead()).inspect(|dead| assert_eq!(dead.reason, Reason::Late));
            let open = if close_after_ms.is_none() { 1 } else { 0 };
            assert_eq!(delivered + late.count() + open, ENDS.len(), "every {every_ms}, {close_after_ms:?}, {clock}");
        }
    }
}

/// When a bucket began, and how many readings it has.
fn bucket_of(input: &ModuleInput) -> (i64, usize) {
    let bucket = input.inputs[0].value.bucket().expect("a bucket");
    assert!(bucket.from <= bucket.to);
    (bucket.from.0, bucket.readings.len())
}

#[test]
fn every_millisecond_the_clock_ticks_also_at_the_ends_of_time() {
    for (from, ticks) in [(i64::MIN, 4), (-2, 4), (i64::MAX - 4, 4), (i64::MAX - 2, 2), (i64::MAX, 1)] {
        let ticking = || plan(vec![topic("T")], vec![module("ticking").every(1).requires(&["T"])]);
        let mut scenario = Scenario::calling(ticking(), |_| Vec::new());
        scenario.send("T", from, r#"{"stationId":"S"}"#);
        scenario.drain();
        scenario.advance(4);
        let at: Vec<i64> = scenario.called().into_iter().map(|(_, _, at)| at).collect();
        assert!(at.len() <= ticks && at.is_sorted(), "{from}: {at:?}");
        let mut live = Live::new(ticking());
        live.apply("T", from, &[sent(0, from, r#"{"stationId":"S"}"#)]);
        assert!(live.run(i64::MAX).len() <= 1, "what was missed is not made up for");
        assert_eq!(live.shard.next_deadline(), None, "there is no later moment");
    }
}

#[test]
fn a_deadline_at_the_end_of_time_does_not_come_again_and_again() {
    for times in [[i64::MAX, i64::MAX], [T0, i64::MAX], [i64::MIN, i64::MAX], [i64::MAX, i64::MIN]] {
        let probe = module("probe").requires_young("T", HOUR).requires_young("U", i64::MAX).min_interval(HOUR);
        let partial =
            module("partial").requires(&["U", "probe"]).incomplete(quorate_core::plan::Then::Partial, Some(HOUR));
        let mut scenario = Scenario::calling(
            plan(vec![topic("T"), topic("U").per_key("/k", Some(HOUR)).expect(HOUR)], vec![probe, partial]),
            |_| vec![json!(1)],
        );
        for ts in times {
            scenario.send("T", ts, r#"{"stationId":"S"}"#).send("U", ts, r#"{"stationId":"S","k":1}"#);
        }
        scenario.advance(i64::MAX);
        assert!(!scenario.finish().is_empty());
    }
}

#[test]
fn a_grid_at_the_ends_of_time_has_all_its_steps() {
    for step_ms in [1, 2, HOUR, 24 * HOUR, 7 * 24 * HOUR] {
        for ends in
            [[i64::MIN, i64::MAX], [i64::MAX, i64::MIN], [i64::MAX - 1, i64::MAX], [T0, i64::MAX], [i64::MIN, T0]]
        {
            let mut live = Live::new(probe_of(vec![grid(step_ms)]));
            for (offset, time) in (0..).zip(ends) {
                live.apply("T", T0, &[sent(offset, time, r#"{"stationId":"S","k":"1","v":1,"t":2}"#)]);
            }
            let input = live.run(T0).pop().expect("an input");
            let grid = input.inputs[0].value.grid().expect("a grid");
            assert_eq!((grid.starts.len(), grid.times.len()), (3, 3), "{step_ms}, {ends:?}");
            assert!(grid.starts.is_sorted());
            assert_eq!(grid.column("v").expect("a column").to_vec().len(), 3);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever times records and buckets have, each reading is delivered, late or in the one bucket that is open.
    #[test]
    fn buckets_of_any_times_account_for_every_reading(
        times in prop::collection::vec(prop_oneof![any::<i64>(), prop::sample::select(&ENDS[..]), T0..T0 + 9], 1..12),
        every_ms in prop_oneof![Just(1), 1..5_i64, any::<i64>().prop_map(|every| every.saturating_abs().max(1))],
    ) {
        let mut live = Live::new(probe_of(vec![topic("T").bucket(every_ms, Some(0))]));
        let mut delivered = 0;
        for (offset, &time) in (0..).zip(&times) {
            live.apply("T", T0, &[sent(offset, time, r#"{"stationId":"S"}"#)]);
            delivered += live.run(T0).iter().map(|input| bucket_of(input).1).sum::<usize>();
        }
        delivered += live.run(i64::MAX).iter().map(|input| bucket_of(input).1).sum::<usize>();
        let late = std::iter::from_fn(|| live.shard.poll_dead()).count();
        prop_assert_eq!(delivered + late, times.len());
        prop_assert!(live.shard.oldest_unsettled().is_empty());
        prop_assert_eq!(live.shard.next_deadline(), None::<Millis>);
    }

    /// Results of any time and hash: what a module is given is the output of the newest.
    #[test]
    fn the_newest_result_wins_whatever_its_time(times in prop::collection::vec(any::<i64>(), 1..6)) {
        let mut live = Live::new(probe_of(vec![topic("T").results()]));
        for (offset, time) in (0..).zip(&times) {
            let result = json!({"station_id": "S", "module": "m", "at": time, "output": time});
            live.apply("T", T0, &[sent(offset, T0, result)]);
        }
        let input = live.run(T0).pop().expect("an input");
        let newest = times.iter().max().expect("some");
        let want = Output::json(newest).expect("JSON");
        prop_assert_eq!(input.inputs[0].value.reading().expect("a reading").as_json(), want.as_json());
    }
}
