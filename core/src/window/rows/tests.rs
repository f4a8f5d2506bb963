//! Rows against their definition: the newest of a set of readings, whatever way they came; and how columns are padded.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::{RowsState, View};
use super::*;
use crate::contract::{Scalar, Value};
use crate::ident::Offset;
use crate::plan::{Column, Pad, Pointer};

type Key = (Millis, Provenance);

fn plan(size: usize, span_ms: Option<i64>, columns: &[&str], pad: Pad) -> RowsPlan {
    let column = |name: &&str| Column { at: Pointer::of_key(name), name: (*name).into() };
    let columns = (!columns.is_empty()).then(|| columns.iter().map(column).collect());
    RowsPlan { size, span_ms, columns, pad }
}

fn seed() -> TopicSeed {
    TopicSeed::new("T")
}

fn key(time: i64, partition: i32, offset: i64, element: u32) -> Key {
    (Millis(time), Provenance { incarnation: 0, partition, offset: Offset(offset), element })
}

/// Takes in a row of two columns that follow from its key, or its text.
fn take(rows: &mut Rows, plan: &RowsPlan, key: Key) -> bool {
    let text = format!("{}", key.1.offset);
    if plan.columns.is_none() {
        return rows.apply(plan, &seed(), key.0, key.1, Body::Text(&text));
    }
    rows.insert(plan, &seed(), key, |content, at| content.insert_values(at, values_of(key, &text).into_iter()))
}

fn values_of(key: Key, text: &str) -> [Scalar<'_>; 2] {
    #[expect(clippy::cast_precision_loss, reason = "small offsets")]
    let number = key.1.offset.0 as f64;
    let mixed = match key.1.offset.0 % 5 {
        0 => Scalar::Null,
        1 => Scalar::Bool(key.1.partition == 0),
        2 => Scalar::Number(number),
        _ => Scalar::Text(text),
    };
    [Scalar::Number(number), mixed]
}

fn view(rows: &mut Rows, plan: &RowsPlan) -> View {
    let topic = crate::plan::TopicPlan {
        name: "T".into(),
        records: Vec::new(),
        scope: crate::plan::Scope::Global,
        time: None,
        fields: None,
        on_null: crate::plan::OnNull::Ignore,
        window: crate::plan::WindowPlan::Rows(plan.clone()),
        expect_ms: None,
    };
    rows.view(plan, &super::super::text::Projection::new(&topic))
}

fn json_of(value: &Value) -> Json {
    serde_json::to_value(value).expect("a value has a JSON form")
}

/// What the definition says is there, oldest first.
fn defined(seen: &BTreeSet<Key>, plan: &RowsPlan) -> Vec<Key> {
    let newest = seen.last().map_or(0, |key| key.0.0);
    let young = seen.iter().filter(|key| plan.span_ms.is_none_or(|span| newest - key.0.0 <= span));
    let young: Vec<Key> = young.copied().collect();
    young[young.len().saturating_sub(plan.size)..].to_vec()
}

fn value_by_definition(keys: &[Key], plan: &RowsPlan) -> Json {
    if keys.is_empty() {
        return Json::Null;
    }
    if plan.columns.is_none() {
        return json!(keys.iter().map(|key| key.1.offset.0).collect::<Vec<_>>());
    }
    let texts: Vec<String> = keys.iter().map(|key| key.1.offset.to_string()).collect();
    let column = |column: usize| -> Vec<Json> {
        let values = keys.iter().zip(&texts).map(|(key, text)| values_of(*key, text)[column]);
        values.map(|value| serde_json::to_value(value).expect("JSON")).collect()
    };
    json!({"a": column(0), "b": column(1)})
}

fn extremes(origins: impl Iterator<Item = Provenance>) -> BTreeMap<i32, (i64, i64)> {
    let mut ranges = BTreeMap::new();
    for origin in origins {
        let range = ranges.entry(origin.partition).or_insert((origin.offset.0, origin.offset.0));
        *range = (range.0.min(origin.offset.0), range.1.max(origin.offset.0));
    }
    ranges
}

fn lineage(rows: &Rows) -> BTreeMap<i32, (i64, i64)> {
    let mut origins = Vec::new();
    rows.origins(&mut |origin| origins.push(*origin));
    extremes(origins.into_iter())
}

/// Keys that collide in time and partly in place, in any order.
fn keys() -> impl Strategy<Value = Vec<Key>> {
    let near = (0_i64..40, 0..3, 0_i64..60, 0_u32..2);
    let key = near.prop_map(|(time, partition, offset, element)| {
        // The time of a reading follows from its place.
        let time = time / 10 * 10 + (offset + i64::from(partition)) % 7;
        key(time, partition, offset * 40 + time, element)
    });
    prop::collection::vec(key, 0..120)
}

fn plans() -> impl Strategy<Value = RowsPlan> {
    let columns = prop::sample::select(vec![vec![], vec!["a", "b"]]);
    (1_usize..60, prop::option::of(0_i64..40), columns)
        .prop_map(|(size, span_ms, columns)| plan(size, span_ms, &columns, Pad::None))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_are_the_newest_of_the_set_after_every_reading(plan in plans(), keys in keys()) {
        let (mut rows, mut seen, mut snapshots) = (Rows::default(), BTreeSet::new(), Vec::new());
        for key in keys {
            let before = defined(&seen, &plan);
            seen.insert(key);
            let want = defined(&seen, &plan);
            prop_assert_eq!(take(&mut rows, &plan, key), want != before);
            prop_assert_eq!(rows.newest(), want.last().map(|key| key.0));
            prop_assert_eq!(lineage(&rows), extremes(want.iter().map(|key| key.1)));
            let View { value, sum } = view(&mut rows, &plan);
            prop_assert_eq!(sum, want.iter().fold(0_u128, |sum, key| sum.wrapping_add(key.1.hash(&seed()))));
            if let Value::Columns(columns) = &value {
                let times: Vec<_> = columns.times().collect();
                prop_assert_eq!(times, want.iter().map(|key| Some(key.0)).collect::<Vec<_>>());
            }
            snapshots.push((value, value_by_definition(&want, &plan)));
        }
        // What a module holds does not change, whatever comes after.
        for (value, want) in snapshots {
            prop_assert_eq!(json_of(&value), want);
        }
    }

    #[test]
    fn order_and_repetition_leave_no_trace(
        plan in plans(),
        (keys, other) in keys().prop_flat_map(|keys| {
            let twice: Vec<Key> = keys.iter().chain(keys.iter().take(9)).copied().collect();
            (Just(keys), Just(twice).prop_shuffle())
        }),
    ) {
        let (mut one, mut two) = (Rows::default(), Rows::default());
        keys.into_iter().for_each(|key| { take(&mut one, &plan, key); });
        other.into_iter().for_each(|key| { take(&mut two, &plan, key); });
        let (a, b) = (view(&mut one, &plan), view(&mut two, &plan));
        prop_assert_eq!((json_of(&a.value), a.sum), (json_of(&b.value), b.sum));
        prop_assert_eq!(lineage(&one), lineage(&two));
        prop_assert!(two.segments.iter().all(|segment| (1..=SEGMENT_ROWS).contains(&segment.len())));
    }

    #[test]
    fn what_was_given_out_by_parts_comes_back_whatever_their_order(
        plan in plans(),
        keys in keys(),
        pauses in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        order in 0_usize..40,
    ) {
        let mut pauses: Vec<usize> = pauses.iter().map(|pause| pause.index(keys.len() + 1)).collect();
        pauses.sort_unstable();
        let (mut rows, mut store, mut taken) = (Rows::default(), BTreeMap::new(), 0);
        for pause in pauses {
            keys[taken..pause].iter().for_each(|key| { take(&mut rows, &plan, *key); });
            taken = pause;
            save(&mut rows, &mut store);
            // Half of the time a process dies here.
            if pause % 2 == 0 {
                rows = restored(&plan, &store, order);
                prop_assert_eq!(rows.unsaved + rows.gone.len(), 0, "the store has all, and nothing else");
            }
        }
        keys[taken..].iter().for_each(|key| { take(&mut rows, &plan, *key); });
        save(&mut rows, &mut store);
        let mut again = restored(&plan, &store, order);
        let (want, got) = (view(&mut rows, &plan), view(&mut again, &plan));
        prop_assert_eq!((json_of(&got.value), got.sum), (json_of(&want.value), want.sum));
        prop_assert_eq!(parts_of(&rows), parts_of(&again));
        prop_assert_eq!(stored(&rows), store.keys().copied().collect::<BTreeSet<_>>());
        let set: BTreeSet<Key> = keys.iter().copied().collect();
        prop_assert_eq!(json_of(&got.value), value_by_definition(&defined(&set, &plan), &plan));
    }

    #[test]
    fn parts_of_several_moments_one_after_another_leave_a_window_that_is_stored_right(
        plan in plans(),
        keys in keys(),
        every in 1_usize..30,
        backwards in any::<bool>(),
        then in keys(),
    ) {
        let (mut rows, mut again, mut store) = (Rows::default(), Rows::default(), BTreeMap::new());
        for keys in keys.chunks(every) {
            keys.iter().for_each(|key| { take(&mut rows, &plan, *key); });
            let mut parts = parts(&mut rows);
            if backwards {
                parts.reverse();
            }
            for (part, state) in parts {
                if let Some(state) = &state {
                    again.restore(&plan, &seed(), part, state);
                }
                keep(&mut store, part, state);
            }
        }
        then.iter().for_each(|key| { take(&mut again, &plan, *key); });
        save(&mut again, &mut store);
        prop_assert_eq!(stored(&again), store.keys().copied().collect::<BTreeSet<_>>());
        let mut last = restored(&plan, &store, 0);
        let want = view(&mut again, &plan);
        prop_assert_eq!((json_of(&view(&mut last, &plan).value), last.sum), (json_of(&want.value), want.sum));
        let set: BTreeSet<Key> = keys.iter().chain(&then).copied().collect();
        prop_assert_eq!(json_of(&want.value), value_by_definition(&defined(&set, &plan), &plan));
    }
}

/// What a store has of one window.
type Store = BTreeMap<u64, RowsState>;

fn parts(rows: &mut Rows) -> Vec<(u64, Option<RowsState>)> {
    let mut parts = Vec::new();
    rows.take_parts(&mut |part, state| parts.push((part, state)));
    parts
}

fn keep(store: &mut Store, part: u64, state: Option<RowsState>) {
    match state {
        Some(state) => drop(store.insert(part, state)),
        None => drop(store.remove(&part)),
    }
}

fn save(rows: &mut Rows, store: &mut Store) {
    parts(rows).into_iter().for_each(|(part, state)| keep(store, part, state));
    assert_eq!(parts(rows), [], "each change is given out once");
}

/// A window of all parts of a store, of which one is taken in first and the others in turn.
fn restored(plan: &RowsPlan, store: &Store, first: usize) -> Rows {
    let mut rows = Rows::default();
    let mut parts: Vec<_> = store.iter().collect();
    if !parts.is_empty() {
        let first = first % parts.len();
        parts.rotate_left(first);
        parts[1..].reverse();
    }
    parts.into_iter().for_each(|(part, state)| rows.restore(plan, &seed(), *part, state));
    rows
}

/// The parts that a window takes to be stored.
fn stored(rows: &Rows) -> BTreeSet<u64> {
    let stored = rows.segments.iter().filter(|segment| segment.saved != segment::Saved::Never);
    stored.map(|segment| segment.id).chain(rows.gone.iter().copied()).collect()
}

/// The rows of each part, by its number.
fn parts_of(rows: &Rows) -> Vec<(u64, Vec<Key>)> {
    rows.parts().map(|(segment, range)| (segment.id, range.map(|at| segment.key(at)).collect())).collect()
}

#[test]
fn a_window_that_wants_other_columns_takes_no_rows_back() {
    let (one, two, texts) =
        (plan(3, None, &["a"], Pad::None), plan(3, None, &["a", "b"], Pad::None), plan(3, None, &[], Pad::None));
    let mut rows = Rows::default();
    take(&mut rows, &two, key(1, 0, 1, 0));
    for other in [one, texts] {
        let mut again = Rows::default();
        again.restore(&other, &seed(), 0, &rows.segments[0].state(0..1));
        assert!(again.is_empty());
    }
}

#[test]
fn a_small_window_keeps_no_room_for_what_has_left() {
    let plan = plan(2, None, &["a", "b"], Pad::None);
    let mut rows = Rows::default();
    for offset in 0..1_000 {
        take(&mut rows, &plan, key(offset, 0, offset, 0));
        let kept: usize = rows.segments.iter().map(Segment::len).sum();
        assert!(kept <= 2 * (2 + WORTH_MOVING), "{kept} rows are kept for two");
    }
}

/// One column of these values brought to `size`.
fn padded(values: &[Scalar<'_>], size: usize, pad: Pad) -> Json {
    let plan = plan(size, None, &["v"], pad);
    let mut rows = Rows::default();
    for (offset, value) in (0..).zip(values) {
        rows.insert(&plan, &seed(), key(offset, 0, offset, 0), |content, at| {
            content.insert_values(at, [*value].into_iter());
        });
    }
    let value = view(&mut rows, &plan).value;
    let Value::Columns(columns) = &value else { return json_of(&value) };
    let column = columns.column("v").expect("column");
    assert_eq!(columns.columns.len(), 1);
    assert_eq!((columns.len, columns.readings), (column.len(), values.len().min(size)));
    assert_eq!(
        (columns.times().count(), column.to_vec().len(), column.texts().count()),
        (columns.len, columns.len, columns.len)
    );
    let sent = values.iter().skip(values.len().saturating_sub(size)).filter(|value| **value != Scalar::Null);
    assert_eq!(column.observed, sent.count(), "what only pads was not sent");
    json_of(&value)["v"].clone()
}

/// The rows of the padding table: 1,2 → 5; 1,3 → 4; 5 → 3; 10,20,40 → 7; seven values → 5.
fn table(pad: Pad) -> [Json; 5] {
    let cases: [(&[f64], usize); 5] = [
        (&[1.0, 2.0], 5),
        (&[1.0, 3.0], 4),
        (&[5.0], 3),
        (&[10.0, 20.0, 40.0], 7),
        (&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 5),
    ];
    cases.map(|(values, size)| {
        let values: Vec<Scalar<'_>> = values.iter().map(|value| Scalar::Number(*value)).collect();
        padded(&values, size, pad)
    })
}

fn last_five() -> Json {
    json!([3.0, 4.0, 5.0, 6.0, 7.0])
}

#[test]
fn f_zero_puts_zeros_on_the_left() {
    let want = [
        json!([0.0, 0.0, 0.0, 1.0, 2.0]),
        json!([0.0, 0.0, 1.0, 3.0]),
        json!([0.0, 0.0, 5.0]),
        json!([0.0, 0.0, 0.0, 0.0, 10.0, 20.0, 40.0]),
        last_five(),
    ];
    assert_eq!(table(Pad::Zero), want);
}

#[test]
fn f_missing_puts_nulls_on_the_left() {
    let want = [
        json!([null, null, null, 1.0, 2.0]),
        json!([null, null, 1.0, 3.0]),
        json!([null, null, 5.0]),
        json!([null, null, null, null, 10.0, 20.0, 40.0]),
        last_five(),
    ];
    assert_eq!(table(Pad::Missing), want);
}

#[test]
fn f_forward_repeats_the_first_on_the_left() {
    let want = [
        json!([1.0, 1.0, 1.0, 1.0, 2.0]),
        json!([1.0, 1.0, 1.0, 3.0]),
        json!([5.0, 5.0, 5.0]),
        json!([10.0, 10.0, 10.0, 10.0, 10.0, 20.0, 40.0]),
        last_five(),
    ];
    assert_eq!(table(Pad::Forward), want);
}

#[test]
fn f_linear_stretches_the_whole() {
    let [two, steep, one, three, seven] = table(Pad::Linear);
    assert_eq!(two, json!([1.0, 1.25, 1.5, 1.75, 2.0]));
    assert_eq!(one, json!([5.0, 5.0, 5.0]));
    assert_eq!(seven, last_five());
    let near = |got: &Json, want: &[f64]| {
        let got: Vec<f64> = got.as_array().expect("array").iter().map(|n| n.as_f64().expect("number")).collect();
        assert!(got.len() == want.len() && got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-9), "{got:?}");
    };
    near(&steep, &[1.0, 5.0 / 3.0, 7.0 / 3.0, 3.0]);
    near(&three, &[10.0, 40.0 / 3.0, 50.0 / 3.0, 20.0, 80.0 / 3.0, 100.0 / 3.0, 40.0]);
}

#[test]
fn f_without_padding_there_are_as_many_values_as_readings() {
    assert_eq!(table(Pad::None)[0], json!([1.0, 2.0]));
}

#[test]
fn f_no_readings_are_a_missing_input_whatever_the_padding() {
    for pad in [Pad::None, Pad::Zero, Pad::Missing, Pad::Forward, Pad::Linear] {
        assert_eq!(padded(&[], 3, pad), Json::Null);
    }
}

#[test]
fn f_strings_are_padded_by_zeros_nulls_or_the_first_of_them() {
    let strings = [Scalar::Text("a"), Scalar::Text("b")];
    assert_eq!(padded(&strings, 4, Pad::Zero), json!([0.0, 0.0, "a", "b"]));
    assert_eq!(padded(&strings, 4, Pad::Linear), json!(["a", "a", "a", "b"]));
    assert_eq!(padded(&strings, 4, Pad::Forward), json!(["a", "a", "a", "b"]));
    assert_eq!(padded(&strings, 4, Pad::Missing), json!([null, null, "a", "b"]));
}

#[test]
fn f_truth_values_and_gaps_in_front_are_repeated_rather_than_stretched() {
    assert_eq!(padded(&[Scalar::Bool(true), Scalar::Number(2.0)], 3, Pad::Linear), json!([true, true, 2.0]));
    assert_eq!(padded(&[Scalar::Null, Scalar::Number(2.0)], 3, Pad::Linear), json!([null, null, 2.0]));
    assert_eq!(padded(&[Scalar::Null, Scalar::Number(2.0)], 3, Pad::Forward), json!([null, null, 2.0]));
}

#[test]
fn f_a_gap_reaches_as_far_as_its_neighbours() {
    let values = [Scalar::Number(1.0), Scalar::Null, Scalar::Number(3.0)];
    assert_eq!(padded(&values, 5, Pad::Linear), json!([1.0, null, null, null, 3.0]));
}

#[test]
fn f_extreme_values_do_no_harm() {
    let values = [1e10, -1e10, f64::MAX, f64::MIN, 5e-324, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for pad in [Pad::None, Pad::Zero, Pad::Missing, Pad::Forward, Pad::Linear] {
        for size in [1, 8, 9, 20] {
            let scalars: Vec<Scalar<'_>> = values[..5].iter().map(|value| Scalar::Number(*value)).collect();
            let got = padded(&scalars, size, pad);
            let whole = got.as_array().expect("array").iter().filter(|value| !value.is_null()).count();
            let made_up = if pad == Pad::Missing { size.saturating_sub(5) } else { 0 };
            assert_eq!(whole, got.as_array().expect("array").len() - made_up, "finite values stay finite: {got}");
        }
    }
    // What JSON cannot hold does not come from records; rows take it all the same.
    let plan = plan(12, None, &["v"], Pad::Linear);
    let mut rows = Rows::default();
    for (offset, value) in (0..).zip(values) {
        rows.insert(&plan, &seed(), key(offset, 0, offset, 0), |content, at| {
            content.insert_values(at, [Scalar::Number(value)].into_iter());
        });
    }
    assert_eq!(json_of(&view(&mut rows, &plan).value)["v"].as_array().map(Vec::len), Some(12));
}
