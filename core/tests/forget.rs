//! Stations that are silent for long are forgotten: nothing of them is left, in memory or in a store, nothing that was
//! noted for them reaches a newcomer, and one that comes back is new.

mod support;

use std::collections::BTreeMap;

use allocation_counter::measure;
use quorate_core::contract::ModuleInput;
use quorate_core::ident::{Millis, ModuleId};
use quorate_core::plan::{Fill, Pad, Plan, Then};
use quorate_core::shard::{Changes, Place};
use serde_json::json;
use support::live::{Live, Sent, json as json_of, sent};
use support::{DAY, Grid, HOUR, MINUTE, Module, SECOND, T0, Topic, module, plan, topic};

fn forgetting(after_ms: i64, topics: Vec<Topic>, modules: Vec<Module>) -> Plan {
    let mut plan = plan(topics, modules);
    plan.stations.forget_after_ms = Some(after_ms);
    plan
}

fn reading(offset: i64, at: i64, station: &str) -> Sent {
    sent(offset, at, json!({"stationId": station, "k": "K", "v": offset}))
}

fn stations(inputs: &[ModuleInput]) -> Vec<&str> {
    inputs.iter().map(|input| input.station.as_str()).collect()
}

#[test]
fn row_4_40_a_station_with_nothing_but_global_readings_is_forgotten_and_new_when_it_comes_back() {
    let topics = vec![topic("A"), topic("B"), topic("G").global()];
    let probe = module("probe").requires(&["A", "G"]).optional(&["B"]);
    let mut live = Live::new(forgetting(HOUR, topics, vec![probe]));
    live.apply("B", T0, &[reading(0, T0, "S")]).apply("A", T0, &[reading(0, T0, "S")]);
    live.apply("A", T0, &[reading(1, T0, "T")]).apply("G", T0, &[sent(0, T0, json!({"g": 1}))]);
    assert_eq!(stations(&live.run(T0)), ["S", "T"]);

    let half = T0 + HOUR / 2;
    live.apply("G", half, &[sent(1, half, json!({"g": 2}))]);
    // The same reading again changes nothing, but somebody sent it.
    live.apply("A", half, &[reading(1, T0, "T")]);
    assert_eq!(stations(&live.run(half)), ["S", "T"]);
    assert_eq!(live.shard.next_deadline(), Some(Millis(T0 + HOUR)));
    live.run(T0 + HOUR - 1);
    assert_eq!((live.shard.stations(), live.shard.forgotten()), (2, 0));
    live.run(T0 + HOUR);
    assert_eq!((live.shard.stations(), live.shard.forgotten()), (1, 1));
    assert!(!live.shard.explain(ModuleId(0), "S", Millis(T0 + HOUR)).known);

    let back = T0 + HOUR + SECOND;
    live.apply("G", back, &[sent(2, back, json!({"g": 3}))]);
    assert_eq!(stations(&live.run(back)), ["T"]);
    live.apply("A", back, &[reading(2, back, "S")]);
    let inputs = live.run(back);
    assert_eq!(stations(&inputs), ["S"]);
    let input = json_of(&inputs[0]);
    assert_eq!(input["inputs"]["G"]["value"], json!({"g": 3}), "global readings belong to it");
    assert_eq!(input["inputs"]["B"]["status"], "missing", "its own are gone");
}

#[test]
fn without_a_limit_nobody_is_forgotten() {
    let mut live = Live::new(plan(vec![topic("A")], vec![module("probe").requires(&["A"])]));
    live.apply("A", T0, &[reading(0, T0, "S")]).run(T0);
    assert_eq!(live.shard.next_deadline(), None);
    live.run(T0 + 10_000 * DAY);
    assert_eq!((live.shard.stations(), live.shard.forgotten()), (1, 0));
}

#[test]
fn nobody_is_forgotten_while_something_is_owed_to_him() {
    let modules = vec![module("probe").requires(&["A"])];
    let mut live = Live::starting(forgetting(MINUTE, vec![topic("A")], modules));
    live.apply("A", T0, &[reading(0, T0, "S")]);
    live.run(T0 + HOUR);
    assert_eq!(live.shard.stations(), 1, "as long as topics are loaded nobody knows who is silent");
    live.loaded("A", T0 + HOUR);
    let runs = live.start(T0 + 2 * HOUR);
    assert_eq!(runs.len(), 1);
    live.run(T0 + 3 * HOUR);
    assert_eq!(live.shard.stations(), 1, "a run is in flight");
    live.finish(runs[0].run, T0 + 3 * HOUR);
    live.run(T0 + 3 * HOUR + MINUTE);
    assert_eq!(live.shard.stations(), 0);
    assert_eq!(live.oldest_unsettled("A"), None);
}

#[test]
fn a_bucket_that_nothing_closes_any_more_is_handed_over_before_its_station_leaves() {
    let modules = || vec![module("probe").requires(&["ORDER"])];
    let mut live = Live::new(forgetting(HOUR, vec![topic("ORDER").bucket(SECOND, None)], modules()));
    live.apply("ORDER", T0, &[reading(0, T0, "S")]);
    assert_eq!((live.run(T0).len(), live.oldest_unsettled("ORDER")), (0, Some(0)));
    let inputs = live.run(T0 + HOUR);
    assert_eq!(inputs[0].inputs[0].value.bucket().expect("a bucket").readings.len(), 1);
    live.run(T0 + 2 * HOUR);
    assert_eq!((live.shard.stations(), live.oldest_unsettled("ORDER")), (0, None));

    // One that time closes waits for its time, and one that waits for another topic stays as long as it waits.
    let bucket = topic("ORDER").bucket(SECOND, Some(DAY));
    let modules = vec![module("probe").requires(&["ORDER", "B"])];
    let mut live = Live::new(forgetting(HOUR, vec![bucket, topic("B")], modules));
    live.apply("ORDER", T0, &[reading(0, T0, "S")]);
    live.run(T0 + 2 * HOUR);
    live.run(T0 + 3 * DAY);
    live.run(T0 + 4 * DAY);
    assert_eq!(live.shard.stations(), 1);
    live.apply("B", T0 + 4 * DAY, &[reading(0, T0 + 4 * DAY, "S")]);
    assert_eq!(live.run(T0 + 4 * DAY).len(), 1);
    live.run(T0 + 5 * DAY);
    assert_eq!(live.shard.stations(), 0);
}

#[test]
fn the_alarm_of_a_forgotten_station_is_cleared() {
    let probe = module("probe").requires(&["A", "B"]).incomplete(Then::Wait, Some(MINUTE));
    let mut live = Live::new(forgetting(HOUR, vec![topic("A"), topic("B")], vec![probe]));
    live.apply("A", T0, &[reading(0, T0, "S")]).run(T0 + MINUTE);
    assert_eq!(live.shard.poll_alarm().map(|alarm| alarm.raised), Some(true));
    live.run(T0 + HOUR);
    assert_eq!(live.shard.poll_alarm().map(|alarm| alarm.raised), Some(false));
    assert_eq!(live.shard.alarmed_stations(ModuleId(0)), 0);
    assert_eq!((live.shard.complete_stations(ModuleId(0), Millis(T0)), live.shard.incomplete(Millis(T0))), (0, vec![]));
}

/// Every kind of note for later: ages, alarms, intervals, ticks, closing buckets, dependents.
fn noting() -> Plan {
    let orders = topic("ORDER").bucket(SECOND, Some(40 * MINUTE));
    let topics = vec![topic("A"), topic("K").per_key("/k", Some(3 * HOUR)), topic("G").global(), orders];
    let modules = vec![
        module("aged").requires_young("A", 2 * HOUR).incomplete(Then::Partial, Some(HOUR)),
        module("keyed").requires(&["K", "G"]).min_interval(20 * MINUTE),
        module("ticking").requires(&["A"]).every(50 * MINUTE),
        module("ordered").requires(&["ORDER"]),
        module("fed").requires(&["aged"]),
    ];
    forgetting(HOUR, topics, modules)
}

/// Lets a few stations send everything there is at `at`, and nothing more.
fn appear(live: &mut Live, at: i64, names: &[&str]) {
    for (n, name) in (0..).zip(names) {
        for (topic, of) in (0..).zip(["K", "A", "ORDER"]) {
            let at = at + n * SECOND;
            live.apply(of, at, &[reading(at + topic, at, name)]);
        }
    }
}

#[test]
fn nothing_that_was_noted_for_a_forgotten_station_reaches_the_one_in_its_place() {
    let later = T0 + 90 * MINUTE;
    let told = |before: &[&str]| {
        let mut live = Live::new(noting());
        live.apply("G", T0, &[sent(0, T0, json!({}))]);
        appear(&mut live, T0, before);
        // What was due is done before the others come: a minute at a time, or deadlines would fall together.
        let mut told = Vec::new();
        for minute in 0..400 {
            let now = T0 + minute * MINUTE;
            if now == later {
                assert_eq!((live.shard.stations(), live.shard.forgotten()), (0, before.len() as u64));
                appear(&mut live, later, &["X", "Y"]);
            }
            // Within a moment, stations may come in another order.
            let inputs = live.run(now).iter().map(|input| format!("{minute} {}", input.to_json())).collect::<Vec<_>>();
            let alarms = std::iter::from_fn(|| live.shard.poll_alarm()).map(|alarm| format!("{minute} {alarm:?}"));
            let mut of_moment: Vec<String> = inputs.into_iter().chain(alarms).collect();
            of_moment.sort_unstable();
            told.extend(of_moment.into_iter().filter(|_| now >= later));
        }
        assert_eq!(live.shard.stations(), 0, "the newcomers leave, too");
        told
    };
    let alone = told(&[]);
    assert!(alone.len() > 6, "{alone:#?}");
    assert_eq!(told(&["S", "T", "U"]), alone);
}

/// What a store has, by its keys.
type Store = BTreeMap<String, String>;

fn keep(store: &mut Store, changes: &Changes) {
    for slot in &changes.slots {
        let key = format!("{:?} {:?} {}", slot.place, slot.of, slot.part);
        match &slot.state {
            Some(state) => drop(store.insert(key, format!("{state:?}"))),
            None => drop(store.remove(&key)),
        }
    }
}

fn long() -> Plan {
    let topics = vec![topic("ROWS").rows(500, None), topic("A"), topic("K").per_key("/k", None)];
    forgetting(HOUR, topics, vec![module("up").requires(&["A"]), module("down").requires(&["up", "ROWS"])])
}

fn fill(live: &mut Live, from: i64, at: i64, station: &str) {
    let rows: Vec<Sent> = (from..from + 300).map(|offset| reading(offset, at + offset, station)).collect();
    live.apply("ROWS", at, &rows).apply("A", at, &rows[..1]).apply("K", at, &rows[..1]).run(at);
}

#[test]
fn a_store_keeps_nothing_of_a_forgotten_station_and_all_of_one_that_came_back() {
    let (mut live, mut store, mut all) = (Live::new(long()), Store::new(), Vec::new());
    let mut flush = |live: &mut Live, store: &mut Store| {
        all.push(live.shard.take_changes());
        keep(store, all.last().expect("changes"));
        all.clone()
    };
    fill(&mut live, 0, T0, "S");
    flush(&mut live, &mut store);
    assert!(store.len() > 3, "rows have several parts: {:?}", store.keys());
    live.run(T0 + HOUR);
    assert_eq!(live.shard.forgotten(), 1);
    let changes = flush(&mut live, &mut store);
    assert_eq!(store, Store::new());
    assert_eq!(changes[1].runs.iter().filter(|run| run.state.is_none()).count(), 2, "runs are gone, too");
    let mut again = Live::new(long());
    changes.iter().for_each(|changes| again.shard.restore(changes));
    assert_eq!(again.shard.stations(), 0);

    // It is forgotten and comes back between two flushes: what it was is gone, what it is stays.
    fill(&mut live, 1_000, T0 + 2 * HOUR, "S");
    flush(&mut live, &mut store);
    live.run(T0 + 3 * HOUR);
    fill(&mut live, 2_000, T0 + 4 * HOUR, "S");
    assert_eq!(live.shard.forgotten(), 2);
    flush(&mut live, &mut store);
    let mut fresh = Live::new(long());
    fill(&mut fresh, 2_000, T0 + 4 * HOUR, "S");
    let mut want = Store::new();
    keep(&mut want, &fresh.shard.take_changes());
    assert_eq!(store, want);
    assert_eq!(live.shard.take_changes(), Changes::default());
}

#[test]
fn a_station_that_no_store_has_ever_seen_leaves_no_trace_in_one() {
    let mut live = Live::new(long());
    fill(&mut live, 0, T0, "S");
    live.run(T0 + HOUR);
    assert_eq!((live.shard.forgotten(), live.shard.take_changes()), (1, Changes::default()));
}

#[test]
fn a_restored_station_stays_for_a_day_or_as_long_as_it_would_have_stayed() {
    for (after_ms, restored_at, leaves_at) in [
        (10 * DAY, T0 + DAY, T0 + 10 * DAY),
        (10 * DAY, T0 + 50 * DAY, T0 + 51 * DAY),
        (HOUR, T0 + 50 * DAY, T0 + 50 * DAY + HOUR),
    ] {
        let plan = || forgetting(after_ms, vec![topic("A")], vec![module("probe").requires(&["A"])]);
        let mut original = Live::new(plan());
        original.apply("A", T0, &[reading(0, T0, "S")]).run(T0);
        let mut restored = Live::new(plan());
        restored.shard.restore(&original.shard.take_changes());
        restored.run(restored_at);
        assert_eq!(restored.shard.next_deadline(), Some(Millis(leaves_at)));
        restored.run(leaves_at - 1);
        assert_eq!(restored.shard.stations(), 1);
        restored.run(leaves_at);
        assert_eq!(restored.shard.stations(), 0);
        let gone = restored.shard.take_changes();
        assert_eq!((gone.slots.len(), &gone.slots[0].place), (1, &Place::Station("S".into())));
    }
}

/// A hundred new stations each second, each of which is silent after one reading on each topic.
struct Churn {
    live: Live,
    takes: bool,
    came: i64,
}

impl Churn {
    fn new(takes: bool) -> Self {
        let grid = Grid {
            step_ms: HOUR,
            steps: 24,
            fill: Fill::Zero,
            max_gap_ms: None,
            series: vec!["/k"],
            values: vec!["/v"],
            totals: vec![],
        };
        let topics = vec![
            topic("A"),
            topic("GRID").grid(grid),
            topic("ROWS").columns(100, None, &["/w"], Pad::None),
            topic("ORDER").bucket(SECOND, None),
        ];
        let modules = vec![
            // Who is too old is looked at in a year, long after the station has gone.
            module("aged").requires_young("A", 365 * DAY),
            module("all").requires(&["GRID", "ROWS", "aged"]).min_interval(SECOND),
            module("ordered").requires(&["ORDER"]),
        ];
        Self { live: Live::new(forgetting(5 * SECOND, topics, modules)), takes, came: 0 }
    }

    fn go_on(&mut self, stations: i64) {
        for _ in 0..stations / 100 {
            let now = T0 + self.came * 10;
            for name in ["A", "GRID", "ROWS", "ORDER"] {
                let readings: Vec<Sent> = (self.came..self.came + 100)
                    .map(|offset| {
                        sent(offset, now, json!({"stationId": format!("S{offset}"), "k": ["K"], "v": [1.0], "w": 1}))
                    })
                    .collect();
                self.live.apply(name, now, &readings);
            }
            self.came += 100;
            drop(self.live.run(now));
            if self.takes {
                drop(self.live.shard.take_changes());
            }
            assert_eq!((self.live.shard.poll_alarm(), self.live.shard.poll_dead()), (None, None));
        }
    }
}

#[test]
fn row_4_40_memory_is_flat_while_200_000_stations_come_and_go() {
    // Where nobody asks what changed, that must not add up either.
    for (takes, stations) in [(true, 200_000), (false, 50_000)] {
        let mut churn = Churn::new(takes);
        let first = measure(|| churn.go_on(20_000)).bytes_current;
        let growth = measure(|| churn.go_on(stations)).bytes_current;
        let (known, forgotten) = (churn.live.shard.stations(), churn.live.shard.forgotten());
        assert!(known < 2_000, "{known} known");
        assert_eq!(forgotten + known as u64, 20_000 + stations.unsigned_abs());
        assert!(growth < first / 10, "{growth} bytes more than {first}");
    }
}
