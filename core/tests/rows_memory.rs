//! What a week of one-second readings costs in memory, and what a module's snapshot of it costs: counted by the
//! allocator, not estimated.

mod support;

use std::ops::Range;
use std::sync::Arc;

use allocation_counter::measure;
use quorate_core::contract::ModuleInput;
use quorate_core::decode::Decoder;
use quorate_core::ident::{Epoch, Millis, Offset};
use quorate_core::plan::{Pad, Plan};
use quorate_core::record::RecordBatch;
use quorate_core::shard::Mode;
use serde_json::json;
use support::live::{Live, sent};
use support::{SECOND, T0, module, plan, topic};

/// A week of seconds.
const WEEK: i64 = 604_800;
/// What the week may cost: four numbers, the time and the provenance of each row.
const MOST_BYTES: i64 = 36_000_000;
/// What a snapshot of it may cost, and a change after one.
const SNAPSHOT_BYTES: u64 = 50_000;
const CHANGE_BYTES: u64 = 400_000;
/// What it may cost to give out one change of it.
const GIVEN_BYTES: u64 = 25_000;

fn week() -> Plan {
    let size = usize::try_from(WEEK).expect("size");
    let orders =
        topic("ORDERS").epoch_time("/at").columns(size, Some(WEEK * SECOND), &["/a", "/b", "/c", "/d"], Pad::None);
    plan(vec![orders], vec![module("probe").requires(&["ORDERS"])])
}

/// One order a second, by number; an order's offset is its number.
struct Feed {
    live: Live,
    decoder: Decoder,
}

impl Feed {
    fn new() -> Self {
        let plan = week();
        let live = Live::new(plan);
        let decoder = Decoder::new(&live.plan, live.topic("ORDERS"));
        Self { live, decoder }
    }

    fn orders(&mut self, orders: impl Iterator<Item = i64>) {
        let topic = self.live.topic("ORDERS");
        let mut batch = RecordBatch::new(topic);
        for order in orders {
            let at = T0 / SECOND + order;
            let payload =
                format!(r#"{{"stationId":"S","at":{at},"a":{order},"b":1.5,"c":{}.25,"d":null}}"#, order % 97);
            let partition = i32::try_from(order % 3).expect("partition");
            let place = (partition, Offset(order), Epoch(0));
            batch.push(place, Millis(T0), None, Some(payload.as_bytes())).expect("room in the batch");
        }
        let readings = self.decoder.decode(Arc::new(batch));
        let rows = 0..u32::try_from(readings.rows().len()).expect("rows");
        self.live.shard.apply(topic, &readings, rows, |_| Mode::Live, Millis(T0));
    }

    fn input(&mut self) -> ModuleInput {
        self.live.run(T0 + WEEK * SECOND).pop().expect("an input is due")
    }
}

/// Every seventh order comes ten minutes late, as far as that is within the week.
fn with_latecomers() -> impl Iterator<Item = i64> {
    let late = |order: &i64| order % 7 == 0;
    let punctual = move |order: i64| (!late(&order)).then_some(order);
    let delayed = move |order: i64| Some(order - 600).filter(|order| *order >= 0 && late(order));
    (0..WEEK + 600)
        .flat_map(move |order| punctual(order).filter(|order| *order < WEEK).into_iter().chain(delayed(order)))
}

fn filled(feed: &mut Feed, orders: impl Iterator<Item = i64>) {
    let mut orders = orders.peekable();
    while orders.peek().is_some() {
        feed.orders(orders.by_ref().take(500));
    }
}

#[test]
fn a_week_of_seconds_with_four_numbers_costs_less_than_36_megabytes() {
    let arrivals: [(&str, Box<dyn Iterator<Item = i64>>); 3] = [
        ("in order", Box::new(0..WEEK)),
        ("with latecomers", Box::new(with_latecomers())),
        ("partition by partition", Box::new((0..3).flat_map(|partition| (partition..WEEK).step_by(3)))),
    ];
    for (name, orders) in arrivals {
        let mut feed = Feed::new();
        let cost = measure(|| filled(&mut feed, orders));
        assert!(cost.bytes_current < MOST_BYTES, "{name}: {} bytes", cost.bytes_current);
        // The week goes on: what leaves makes room for what comes.
        let cost_of_going_on = measure(|| filled(&mut feed, WEEK..WEEK + 20_000));
        let all = cost.bytes_current + cost_of_going_on.bytes_current;
        assert!(all < MOST_BYTES, "{name}: {all} bytes a while later");

        let input = feed.input();
        let columns = input.inputs[0].value.columns().expect("columns");
        assert_eq!(columns.len, usize::try_from(WEEK).expect("size"));
        let sum: f64 = columns.column("a").expect("column").chunks().flatten().sum();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let want = ((20_000 + WEEK + 19_999) * WEEK / 2) as f64;
        assert_eq!(sum, want);
    }
}

#[test]
fn a_snapshot_shares_its_segments_and_only_the_one_that_changes_is_copied() {
    let mut feed = Feed::new();
    filled(&mut feed, 0..WEEK);
    let mut input = None;
    let snapshot = measure(|| input = Some(feed.input()));
    assert!(snapshot.bytes_max < SNAPSHOT_BYTES, "{} bytes at most", snapshot.bytes_max);
    let input = input.expect("an input");
    assert_eq!(input.lineage.len(), 3);
    assert_eq!(input.lineage.iter().map(|range| range.to_offset - range.from_offset + 3).max(), Some(WEEK));

    let change = measure(|| feed.orders(WEEK..WEEK + 1));
    assert!(change.bytes_total < CHANGE_BYTES, "{} bytes in all", change.bytes_total);
    let newest = |input: &ModuleInput| {
        let columns = input.inputs[0].value.columns().expect("columns");
        columns.column("a").expect("column").chunks().flatten().copied().last()
    };
    assert_ne!(newest(&input), newest(&feed.input()), "the snapshot stays as it was");
}

#[test]
fn of_a_week_only_the_part_that_changed_is_given_out() {
    let mut feed = Feed::new();
    filled(&mut feed, 0..WEEK);
    let whole = feed.live.shard.take_changes().slots.len();
    assert!((100..300).contains(&whole), "{whole} parts");
    let (mut parts, mut most) = (0, 0);
    for order in WEEK..WEEK + 5_000 {
        feed.orders(order..order + 1);
        let mut changes = None;
        let cost = measure(|| changes = Some(feed.live.shard.take_changes()));
        parts += changes.expect("changes").slots.len();
        // Now and then short parts are joined into a long one.
        most += usize::from(cost.bytes_total > GIVEN_BYTES);
    }
    assert!(parts < 5_500, "{parts} parts");
    assert!(most < 40, "{most} were long");
}

/// Readings for all stations, each in a flush of its own.
fn global_orders(live: &mut Live, orders: Range<i64>) {
    for order in orders {
        live.apply("ORDERS", T0 + order, &[sent(order, T0 + order, json!({ "n": order }))]);
        drop(live.shard.take_changes());
        live.shard.flushed(Millis(T0 + order));
    }
}

#[test]
fn a_copy_of_a_global_window_that_another_shard_keeps_remembers_nothing_of_what_left_it() {
    let orders = || plan(vec![topic("ORDERS").global().rows(500, None)], vec![module("probe").requires(&["ORDERS"])]);
    let mut telling = Live::durable(orders());
    telling.all_loaded(T0);
    let first = (0..2_000).map(|order| sent(order, T0 + order, json!({ "n": order }))).collect::<Vec<_>>();
    telling.apply("ORDERS", T0, &first);

    let mut copy = Live::durable(orders());
    copy.shard.leave_global_letters();
    copy.shard.restore(&telling.shard.take_changes());
    copy.all_loaded(T0);
    global_orders(&mut copy, 2_000..10_000);
    let growth = measure(|| global_orders(&mut copy, 10_000..60_000)).bytes_current;
    assert!(growth < 4_096, "{growth} bytes more after 50,000 readings of which 500 are kept");
}
