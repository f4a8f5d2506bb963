//! A window is a function of the set of readings it was given: neither their order, nor repetition, nor how they were
//! batched, nor over how many shards the stations are spread can be seen in an input: not in its values, its lineage,
//! or its hash. Beside that, each window is compared with a naive reading of the contract's definition.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quorate_core::plan::{Fill, Pad, Plan, WindowPlan};
use serde_json::{Value, json};
use support::generated::{
    COLUMNS, Element, Record, STATIONS, STEPS, asked_about, data_of, inputs_after, kinds, records,
};
use support::live::{Live, Sent, json as json_of, sent};
use support::{CASES, HOUR, SECOND, T0, module, plan, topic};

/// Records, and the same records in another order with some of them again.
fn shuffled() -> impl Strategy<Value = (Vec<Sent>, Vec<Sent>)> {
    (records(), prop::collection::vec(any::<prop::sample::Index>(), 0..6)).prop_flat_map(|(records, again)| {
        let sent: Vec<Sent> = records.iter().map(Record::sent).collect();
        let mut other = sent.clone();
        if !sent.is_empty() {
            other.extend(again.iter().map(|index| index.get(&sent).clone()));
        }
        (Just(sent), Just(other).prop_shuffle())
    })
}

proptest! {
    // Every case tries every kind of window, and there are more than ten.
    #![proptest_config(ProptestConfig { cases: CASES / 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn row_4_31_and_4_33_order_and_repetition_cannot_be_seen((sent, other) in shuffled()) {
        for (name, data) in kinds() {
            let plan = asked_about(data);
            prop_assert_eq!(inputs_after(&plan, &sent, 1, 1), inputs_after(&plan, &other, 1, 1), "{}", name);
        }
    }

    #[test]
    fn neither_batches_nor_shards_can_be_seen((sent, other) in shuffled(), batch in 1_usize..20, shards in 1_usize..6) {
        for (name, data) in kinds() {
            let plan = asked_about(data);
            prop_assert_eq!(inputs_after(&plan, &sent, 1, 1), inputs_after(&plan, &other, batch, shards), "{}", name);
        }
    }

    #[test]
    fn row_4_33_a_record_that_was_applied_changes_nothing_again((sent, other) in shuffled()) {
        for (name, data) in kinds() {
            let mut live = Live::new(plan(vec![data], vec![module("probe").requires(&["DATA"])]));
            let now = T0 + 2 * HOUR;
            live.apply("DATA", now, &sent).run(now);
            prop_assert_eq!(live.apply("DATA", now, &other).run(now).len(), 0, "{}", name);
        }
    }

    #[test]
    fn equal_hashes_mean_equal_inputs(first in records(), kept in prop::collection::vec(any::<bool>(), 12)) {
        let second = first.iter().zip(kept).filter(|(_, kept)| *kept).map(|(record, _)| record.sent()).collect::<Vec<_>>();
        let first = first.iter().map(Record::sent).collect::<Vec<_>>();
        for (name, data) in kinds() {
            let plan = asked_about(data);
            let pairs = inputs_after(&plan, &first, 1, 1).into_iter().zip(inputs_after(&plan, &second, 1, 1));
            for (a, b) in pairs.filter(|(a, b)| hash_of(a) == hash_of(b)) {
                prop_assert_eq!(a, b, "{}", name);
            }
        }
    }

    #[test]
    fn latest_is_the_newest_by_time_then_place(records in records()) {
        let plan = asked_about(topic("DATA").records(&["/*"]).epoch_time("/at"));
        for (station, got) in values_after(&plan, &records) {
            let want = ordered(&records, station).last().map_or(Value::Null, |(_, element)| element.json());
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn per_key_is_the_newest_of_each_key_and_one_not_renewed_leaves(records in records(), expires in any::<bool>()) {
        let expire = expires.then_some(5 * HOUR);
        let plan = asked_about(topic("DATA").records(&["/*"]).epoch_time("/at").per_key("/k", expire));
        for (station, got) in values_after(&plan, &records) {
            let mut newest = BTreeMap::new();
            for (_, element) in ordered(&records, station) {
                newest.insert(element.key, element);
            }
            newest.retain(|_, element| expire.is_none_or(|expire| ASKED_AT - element.at * SECOND <= expire));
            let want: Vec<Value> = newest.values().map(|element| element.json()).collect();
            prop_assert_eq!(got, if want.is_empty() { Value::Null } else { json!(want) });
        }
    }

    #[test]
    fn rows_are_the_last_readings_within_the_span(
        records in records(),
        size in 1_usize..8,
        span in prop::option::of(0_i64..6),
    ) {
        let data = || topic("DATA").records(&["/*"]).epoch_time("/at");
        let span = span.map(|hours| hours * HOUR);
        let as_they_are = values_after(&asked_about(data().rows(size, span)), &records);
        let by_column = values_after(&asked_about(data().columns(size, span, &COLUMNS, Pad::Missing)), &records);
        for ((station, got), (_, columns)) in as_they_are.into_iter().zip(by_column) {
            let all = ordered(&records, station);
            let newest = all.last().map_or(0, |(at, _)| at.0);
            let young = all.iter().filter(|(at, _)| span.is_none_or(|span| (newest - at.0) * SECOND <= span));
            let young: Vec<&Element> = young.map(|(_, element)| *element).collect();
            let want = &young[young.len().saturating_sub(size)..];
            if want.is_empty() {
                prop_assert_eq!((got, columns), (Value::Null, Value::Null));
                continue;
            }
            prop_assert_eq!(got, want.iter().map(|element| element.json()).collect::<Value>());
            let column = |value: &dyn Fn(&Element) -> Value| -> Value {
                let missing = std::iter::repeat_n(Value::Null, size - want.len());
                missing.chain(want.iter().map(|element| value(element))).collect()
            };
            #[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
            let at = column(&|element| json!(element.at as f64));
            let (k, t) = (column(&|element| json!(format!("K{}", element.key))), column(&|element| json!(element.total)));
            prop_assert_eq!(columns, json!({"at": at, "k": k, "t": t}));
        }
    }

    #[test]
    fn a_grid_is_what_its_definition_says(records in records(), fill in fills(), gap in prop::option::of(0_i64..4)) {
        let (_, data) = kinds().into_iter().find(|(name, _)| *name == "grid, zero").expect("kind");
        let mut plan = asked_about(data);
        let WindowPlan::Grid(grid) = &mut plan.topics[0].window else { panic!("a grid") };
        (grid.fill, grid.max_gap_ms) = (fill, gap.map(|gap| gap * HOUR));
        for (station, got) in values_after(&plan, &records) {
            prop_assert_eq!(got, grid_by_definition(&ordered(&records, station), fill, gap));
        }
    }
}

const ASKED_AT: i64 = T0 + 4 * HOUR;

fn fills() -> impl Strategy<Value = Fill> {
    prop::sample::select(vec![Fill::Zero, Fill::Missing, Fill::Forward, Fill::Linear])
}

fn hash_of(input: &str) -> String {
    let input: Value = serde_json::from_str(input).expect("an input is JSON");
    input["input_hash"].as_str().expect("hash").to_owned()
}

fn values_after(plan: &Plan, records: &[Record]) -> Vec<(u8, Value)> {
    let sent: Vec<Sent> = records.iter().map(Record::sent).collect();
    let inputs = inputs_after(plan, &sent, 1, 1);
    (0..STATIONS).zip(inputs.iter().map(|input| data_of(input)["value"].clone())).collect()
}

/// Where a reading stands: (time, partition, offset, element).
type At = (i64, i32, i64, usize);

/// One station's readings in their order.
fn ordered(records: &[Record], station: u8) -> Vec<(At, &Element)> {
    let mut all: Vec<(At, &Element)> = records
        .iter()
        .flat_map(|record| {
            let elements = record.elements.iter().enumerate();
            elements.map(|(place, element)| ((element.at, record.partition, record.offset, place), element))
        })
        .filter(|(_, element)| element.station == station)
        .collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

/// A cell's value with the reading it came from and its place in that reading's arrays.
type Cell = (f64, At, usize);

fn grid_by_definition(readings: &[(At, &Element)], fill: Fill, gap: Option<i64>) -> Value {
    let step_of = |at: &At| (at.0 * SECOND).div_euclid(HOUR);
    let Some(newest) = readings.iter().map(|(at, _)| step_of(at)).max() else { return Value::Null };
    let first = newest - i64::try_from(STEPS).expect("steps") + 1;
    let mut cells: BTreeMap<(i64, [String; 2], usize), Cell> = BTreeMap::new();
    let mut totals: BTreeMap<i64, f64> = BTreeMap::new();
    for (at, element) in readings.iter().filter(|(at, _)| step_of(at) >= first) {
        for (place, (gun, values)) in element.guns.iter().enumerate() {
            let series = [format!("K{}", element.key), format!("N{gun}")];
            for (column, value) in (0..).zip(values) {
                if let Some(value) = value {
                    cells.insert((step_of(at), series.clone(), column), (*value, *at, place));
                }
            }
        }
        if let Some(total) = element.total {
            totals.insert(step_of(at), total);
        }
    }
    // By first appearance: oldest step, then reading, then place in its arrays.
    let mut seen: BTreeMap<[String; 2], (i64, At, usize)> = BTreeMap::new();
    for ((step, series, _), (_, at, place)) in &cells {
        let here = (*step, *at, *place);
        let first = seen.entry(series.clone()).or_insert(here);
        *first = here.min(*first);
    }
    let order: BTreeSet<_> = seen.into_iter().map(|(series, first)| (first, series)).collect();
    let series: Vec<&[String; 2]> = order.iter().map(|(_, series)| series).collect();
    let steps = || first..=newest;
    let column = |column: usize| {
        let lines: Vec<Vec<Option<f64>>> = series
            .iter()
            .map(|name| {
                let line: Vec<_> =
                    steps().map(|step| cells.get(&(step, (*name).clone(), column)).map(|c| c.0)).collect();
                filled(&line, fill, gap)
            })
            .collect();
        let rows: Vec<Vec<Option<f64>>> =
            (0..STEPS).map(|step| lines.iter().map(|line| line[step]).collect()).collect();
        json!(rows)
    };
    let observed = |column: usize| cells.keys().filter(|key| key.2 == column).count();
    let total: Vec<Option<f64>> = steps().map(|step| totals.get(&step).copied()).collect();
    let times: Vec<String> = steps().map(|step| (step * HOUR / SECOND).to_string()).collect();
    json!({
        "step_ms": HOUR,
        "time": times,
        "series": series,
        "v": column(0),
        "w": column(1),
        "t": filled(&total, fill, gap),
        "observed": {"v": observed(0), "w": observed(1), "t": totals.len()},
    })
}

/// The contract's fill, point by point.
fn filled(line: &[Option<f64>], fill: Fill, gap: Option<i64>) -> Vec<Option<f64>> {
    let far = |from: usize, to: usize| gap.is_some_and(|gap| i64::try_from(from.abs_diff(to)).expect("steps") > gap);
    let never = line.iter().all(Option::is_none);
    let point = |at: usize| -> Option<f64> {
        if line[at].is_some() {
            return line[at];
        }
        let before = (0..at).rev().find_map(|place| Some((place, line[place]?)));
        let after = (at + 1..line.len()).find_map(|place| Some((place, line[place]?)));
        let reachable = match (before, after) {
            (Some((left, _)), Some((right, _))) => !far(left, right),
            (Some((place, _)), None) | (None, Some((place, _))) => !far(place, at),
            (None, None) => true,
        };
        match fill {
            Fill::Zero => (never || reachable).then_some(0.0),
            _ if !reachable => None,
            Fill::Missing => None,
            Fill::Forward => before.or(after).map(|(_, value)| value),
            Fill::Linear => match (before, after) {
                (Some((left, from)), Some((right, to))) => {
                    #[expect(clippy::cast_precision_loss, reason = "a handful of steps")]
                    let part = (at - left) as f64 / (right - left) as f64;
                    let way = to - from;
                    Some(if way.is_finite() { from + way * part } else { from * (1.0 - part) + to * part })
                }
                (one, other) => one.or(other).map(|(_, value)| value),
            },
        }
    };
    (0..line.len()).map(point).collect()
}

#[test]
fn of_equal_times_the_higher_partition_then_offset_then_element_wins() {
    let probe = module("probe").requires(&["T"]);
    let record = |partition: i32, offset: i64, values: &[i64]| {
        let elements: Vec<Value> = values.iter().map(|v| json!({"stationId": "S", "v": v})).collect();
        sent(offset, T0, json!(elements)).on(partition)
    };
    let mut live = Live::new(plan(vec![topic("T").records(&["/*"])], vec![probe]));
    let mut value = |records: &[Sent]| {
        live.apply("T", T0, records);
        let inputs = live.run(T0);
        inputs.last().map(|input| json_of(input)["inputs"]["T"]["value"]["v"].clone())
    };
    assert_eq!(value(&[record(1, 5, &[1, 2])]), Some(json!(2)));
    assert_eq!(value(&[record(0, 9, &[3])]), None, "a lower partition, however high its offset");
    assert_eq!(value(&[record(1, 4, &[4])]), None, "a lower offset");
    assert_eq!(value(&[record(1, 5, &[1, 2])]), None, "the same record again");
    assert_eq!(value(&[record(1, 6, &[5])]), Some(json!(5)));
    assert_eq!(value(&[record(2, 0, &[6])]), Some(json!(6)));
}
