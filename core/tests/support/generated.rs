//! Generated records that collide wherever they can: few stations, keys, series and moments, several partitions,
//! nulls, series twice in one reading. One topic's payload fits windows of every kind.

use proptest::prelude::*;
use quorate_core::contract::ModuleInput;
use quorate_core::ident::Millis;
use quorate_core::plan::{Fill, Pad, Plan};
use quorate_core::provenance::shard_of;
use quorate_core::shard::Mode;
use serde_json::{Value, json};

use super::live::{Live, Sent, decode, sent};
use super::{Grid, HOUR, SECOND, T0, Topic, module, plan, topic};

/// How many stations there are.
pub const STATIONS: u8 = 3;
/// Steps of the grid.
pub const STEPS: usize = 4;
/// Columns of rows: a moment, a string, a number or null.
pub const COLUMNS: [&str; 3] = ["/at", "/k", "/t"];

#[derive(Clone, Debug)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub ts: i64,
    pub elements: Vec<Element>,
}

#[derive(Clone, Debug)]
pub struct Element {
    pub station: u8,
    /// Event time in whole seconds.
    pub at: i64,
    pub key: u8,
    /// Series with one number per value column.
    pub guns: Vec<(u8, [Option<f64>; 2])>,
    pub total: Option<f64>,
}

impl Record {
    pub fn sent(&self) -> Sent {
        let elements: Vec<Value> = self.elements.iter().map(Element::json).collect();
        sent(self.offset, self.ts, json!(elements)).on(self.partition)
    }
}

impl Element {
    pub fn json(&self) -> Value {
        let column = |column: usize| self.guns.iter().map(|gun| gun.1[column]).collect::<Vec<_>>();
        json!({
            "stationId": format!("S{}", self.station),
            "at": self.at,
            "k": format!("K{}", self.key),
            "n": self.guns.iter().map(|gun| format!("N{}", gun.0)).collect::<Vec<_>>(),
            "v": column(0),
            "w": column(1),
            "t": self.total,
        })
    }
}

/// Up to a dozen records with distinct places.
pub fn records() -> impl Strategy<Value = Vec<Record>> {
    let record = (0..3, 0_i64..3, prop::collection::vec(element(), 0..4));
    prop::collection::vec(record, 0..12).prop_map(|records| {
        let numbered = (0..).zip(records);
        numbered
            .map(|(offset, (partition, ts, elements))| Record { partition, offset, ts: T0 + ts * HOUR, elements })
            .collect()
    })
}

fn element() -> impl Strategy<Value = Element> {
    let number = prop_oneof![
        3 => (0..5_i32).prop_map(|n| Some(f64::from(n))),
        2 => Just(None),
        1 => any::<f64>().prop_map(|n| n.is_finite().then_some(n)),
    ];
    let moment = (-3_i64..4, prop_oneof![Just(0_i64), Just(1)]);
    let gun = (0_u8..4, [number.clone(), number.clone()]);
    (0..STATIONS, moment, 0_u8..3, prop::collection::vec(gun, 0..4), number).prop_map(
        |(station, (hours, seconds), key, guns, total)| {
            let at = (T0 + hours * HOUR) / SECOND + seconds;
            Element { station, at, key, guns, total }
        },
    )
}

/// The topic in each kind of window, with a name for messages.
pub fn kinds() -> Vec<(&'static str, Topic)> {
    let data = || topic("DATA").records(&["/*"]).epoch_time("/at");
    let grid = |fill, max_gap_ms| {
        data().grid(Grid {
            step_ms: HOUR,
            steps: STEPS,
            fill,
            max_gap_ms,
            series: vec!["/k", "/n"],
            values: vec!["/v", "/w"],
            totals: vec!["/t"],
        })
    };
    vec![
        ("latest", data()),
        ("latest, projected", data().fields(&["/n/0", "/t"])),
        ("latest, global", data().global()),
        ("per_key", data().per_key("/k", None)),
        ("per_key, expiring", data().per_key("/k", Some(2 * HOUR))),
        ("rows", data().rows(4, None)),
        ("rows, projected, of a span", data().rows(100, Some(2 * HOUR)).fields(&["/n/0", "/t"])),
        ("rows, columns", data().columns(5, None, &COLUMNS, Pad::None)),
        ("rows, columns, padded", data().columns(6, Some(3 * HOUR), &COLUMNS, Pad::Forward)),
        ("rows, columns, global", data().columns(20, None, &COLUMNS, Pad::Linear).global()),
        ("grid, zero", grid(Fill::Zero, None)),
        ("grid, missing", grid(Fill::Missing, None)),
        ("grid, forward", grid(Fill::Forward, Some(HOUR))),
        ("grid, linear", grid(Fill::Linear, Some(2 * HOUR))),
        ("grid, global", grid(Fill::Linear, None).global()),
    ]
}

/// A module that sees the topic when a station is asked about, and not before.
pub fn asked_about(data: Topic) -> Plan {
    let probe = module("probe").requires(&["ASK"]).optional(&["DATA"]).on(&["ASK"]);
    plan(vec![data, topic("ASK")], vec![probe])
}

/// Some shards that share the stations.
pub struct Shards {
    plan: Plan,
    pub lives: Vec<Live>,
}

impl Shards {
    pub fn new(plan: &Plan, count: usize) -> Self {
        Self { plan: plan.clone(), lives: (0..count).map(|_| Live::new(plan.clone())).collect() }
    }

    /// Applies the records in batches of `batch`, each at the latest timestamp so far.
    pub fn apply(&mut self, records: &[Sent], batch: usize) -> &mut Self {
        let mut now = i64::MIN;
        for records in records.chunks(batch) {
            now = records.iter().map(|record| record.ts).fold(now, i64::max);
            self.apply_batch("DATA", records, now);
        }
        self
    }

    fn apply_batch(&mut self, name: &str, records: &[Sent], now: i64) {
        let topic = self.plan.topic_id(name).expect("topic");
        let readings = decode(&self.plan, topic, records);
        let count = self.lives.len();
        for (shard, live) in self.lives.iter_mut().enumerate() {
            let mine = (0_u32..)
                .zip(readings.rows())
                .filter(|(_, row)| readings.station(row).is_none() || shard_of(row.station_hash, count) == shard);
            live.shard.apply(topic, &readings, mine.map(|(index, _)| index), |_| Mode::Live, Millis(now));
        }
    }

    /// Asks about every station at `now`: one input each, as text, by station.
    pub fn ask(&mut self, offset: i64, now: i64) -> Vec<String> {
        let asked: Vec<Sent> =
            (0..STATIONS).map(|station| sent(offset, now, json!({"stationId": format!("S{station}")}))).collect();
        self.apply_batch("ASK", &asked, now);
        let mut inputs: Vec<_> = self.lives.iter_mut().flat_map(|live| live.run(now)).collect();
        inputs.sort_by(|a, b| a.station.cmp(&b.station));
        inputs.iter().map(ModuleInput::to_json).collect()
    }
}

/// What each station's module is given after these records, asked long enough after them for nothing to expire late.
pub fn inputs_after(plan: &Plan, records: &[Sent], batch: usize, shards: usize) -> Vec<String> {
    let inputs = Shards::new(plan, shards).apply(records, batch).ask(0, T0 + 4 * HOUR);
    assert_eq!(inputs.len(), usize::from(STATIONS));
    inputs
}

/// The value of the topic in an input's text.
pub fn data_of(input: &str) -> Value {
    let input: Value = serde_json::from_str(input).expect("an input is JSON");
    input["inputs"]["DATA"].clone()
}
