//! What a shard gives out as changed, given back to an empty one, is the same shard as far as any module can see, and
//! goes on as if nothing had happened.

mod support;

use std::collections::HashMap;

use proptest::prelude::*;
use quorate_core::contract::Output;
use quorate_core::ident::Millis;
use quorate_core::plan::{Pad, Plan};
use quorate_core::shard::{Changes, End, Of, Place, SlotChange};
use quorate_core::{RunResult, WindowState};
use serde_json::json;
use support::generated::{Record, STATIONS, Shards, asked_about, data_of, kinds, records};
use support::live::{Live, Sent, json as json_of, sent};
use support::{CASES, HOUR, SECOND, T0, module, plan, topic};

const END: i64 = T0 + 4 * HOUR;

/// An empty shard that these changes were restored into, in order.
fn restored(plan: &Plan, changes: &[Changes]) -> Shards {
    let mut shards = Shards::new(plan, 1);
    changes.iter().for_each(|changes| shards.lives[0].shard.restore(changes));
    shards
}

/// What a store has: the last content of every part that was not taken away.
#[derive(Default)]
struct Store(HashMap<(Place, Of, u64), WindowState>);

impl Store {
    fn keep(&mut self, changes: Changes) {
        for SlotChange { place, of, part, state } in changes.slots {
            match state {
                Some(state) => drop(self.0.insert((place, of, part), state)),
                None => drop(self.0.remove(&(place, of, part))),
            }
        }
    }

    /// All of it; parts in an order that `seed` makes.
    fn content(&self, seed: u64) -> Changes {
        let slot = |((place, of, part), state): (&(Place, Of, u64), &WindowState)| SlotChange {
            place: place.clone(),
            of: of.clone(),
            part: *part,
            state: Some(state.clone()),
        };
        let mut slots: Vec<SlotChange> = self.0.iter().map(slot).collect();
        slots.sort_by_key(|slot| (slot.part ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Changes { slots, ..Changes::default() }
    }
}

/// What happens to a long window.
#[derive(Clone, Debug)]
enum Step {
    /// So many readings, a second apart, that end so many seconds before the newest; 0 is after it.
    Readings(i64, i64),
    /// A module looks at it.
    Look,
    /// What changed is stored.
    Save,
    /// The process begins anew with what is stored, after storing it.
    Restart(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1_i64..300).prop_map(|count| Step::Readings(count, 0)),
        1 => (2_000_i64..6_000).prop_map(|count| Step::Readings(count, 0)),
        3 => (1_i64..40, 1_i64..9_000).prop_map(|(count, late)| Step::Readings(count, late)),
        1 => Just(Step::Look),
        4 => Just(Step::Save),
        2 => any::<u64>().prop_map(Step::Restart),
    ];
    prop::collection::vec(step, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES / 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn long_rows_that_are_stored_by_parts_survive_any_number_of_restarts(steps in steps()) {
        for data in [
            topic("DATA").rows(700, None),
            topic("DATA").columns(9_000, None, &["/v", "/w"], Pad::None),
            topic("DATA").columns(50_000, Some(7_000 * SECOND), &["/v", "/w"], Pad::None),
        ] {
            let plan = asked_about(data);
            let (mut original, mut stored, mut store) = (Shards::new(&plan, 1), Shards::new(&plan, 1), Store::default());
            let (mut offset, mut newest, mut asked) = (0, T0, 0);
            for step in &steps {
                match *step {
                    Step::Readings(count, late) => {
                        let last = if late == 0 { newest + count * SECOND } else { newest - late * SECOND };
                        let readings: Vec<Sent> = (0..count).rev().map(|back| {
                            offset += 1;
                            let w = if offset % 3 == 0 { json!("x") } else { json!(offset % 7 == 0) };
                            let reading = json!({"stationId": "S0", "v": offset, "w": w});
                            sent(offset, last - back * SECOND, reading).on(i32::try_from(offset % 2).expect("small"))
                        }).collect();
                        newest = newest.max(last);
                        original.apply(&readings, 1_000);
                        stored.apply(&readings, 1_000);
                    }
                    Step::Look => {
                        asked += 1;
                        prop_assert_eq!(stored.ask(asked, newest), original.ask(asked, newest));
                    }
                    Step::Save => store.keep(stored.lives[0].shard.take_changes()),
                    Step::Restart(seed) => {
                        store.keep(stored.lives[0].shard.take_changes());
                        stored = restored(&plan, &[store.content(seed)]);
                        prop_assert_eq!(stored.lives[0].shard.take_changes(), Changes::default());
                    }
                }
            }
            store.keep(stored.lives[0].shard.take_changes());
            let mut last = restored(&plan, &[store.content(0)]);
            let want = original.ask(asked + 1, newest);
            prop_assert_eq!(stored.ask(asked + 1, newest), want.clone());
            prop_assert_eq!(last.ask(asked + 1, newest), want);
        }
    }
}

proptest! {
    // Every case tries every kind of window, and there are more than ten.
    #![proptest_config(ProptestConfig { cases: CASES / 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_shard_gives_the_same_inputs_and_goes_on_the_same_way(
        before in records(),
        cut in any::<prop::sample::Index>(),
        looked_at in any::<bool>(),
    ) {
        let sent: Vec<Sent> = before.iter().map(Record::sent).collect();
        let (first, then) = sent.split_at(if sent.is_empty() { 0 } else { cut.index(sent.len()) });
        for (name, data) in kinds() {
            let plan = asked_about(data);
            let mut original = Shards::new(&plan, 1);
            original.apply(first, 1);
            let mut changes = vec![original.lives[0].shard.take_changes()];
            if looked_at {
                original.ask(0, T0);
            }
            let (mut a, mut b) = (restored(&plan, &changes), restored(&plan, &changes));
            prop_assert_eq!(a.ask(1, END), original.ask(1, END), "{}: restored", name);
            prop_assert_eq!(a.lives[0].shard.take_changes().slots.len(), 3, "{}: only what was asked", name);

            original.apply(then, 1);
            b.apply(then, 1);
            prop_assert_eq!(b.ask(2, END), original.ask(2, END), "{}: and gone on", name);

            changes.push(original.lives[0].shard.take_changes());
            let mut both = restored(&plan, &changes);
            prop_assert_eq!(both.ask(3, END), original.ask(3, END), "{}: two sets of changes", name);
            prop_assert_eq!(both.lives[0].shard.stations(), usize::from(STATIONS), "{}: and not of nothing", name);
        }
    }

    #[test]
    fn what_a_restored_shard_has_seen_before_triggers_nothing(before in records()) {
        let sent: Vec<Sent> = before.iter().map(Record::sent).collect();
        for (name, data) in kinds() {
            let plan = plan(vec![data], vec![module("probe").requires(&["DATA"])]);
            let mut original = Live::new(plan.clone());
            original.apply("DATA", END, &sent).run(END);
            let mut again = Live::new(plan);
            again.shard.restore(&original.shard.take_changes());
            prop_assert_eq!(again.run(END).len(), 0, "{}: restoring alone", name);
            again.apply("DATA", END, &sent);
            // A station whose readings have all left its window is not part of what is kept: it is new again.
            let inputs = again.run(END);
            prop_assert_eq!(inputs.len(), 0, "{}: {:?}", name, inputs.iter().map(json_of).collect::<Vec<_>>());
        }
    }
}

#[test]
fn restoring_makes_nothing_due_and_nothing_of_it_counts_as_changed() {
    let plan = plan(vec![topic("A"), topic("G").global()], vec![module("m").requires(&["A", "G"])]);
    let mut original = Live::new(plan.clone());
    original.apply("G", T0, &[sent(0, T0, json!({}))]).apply("A", T0, &[sent(0, T0, json!({"stationId": "S"}))]);
    let changes = original.shard.take_changes();
    assert_eq!(changes.slots.len(), 2);
    assert_eq!(original.shard.take_changes(), Changes::default(), "each change is given out once");

    let mut restored = Live::new(plan);
    restored.shard.restore(&changes);
    assert_eq!((restored.run(T0).len(), restored.shard.open_runs(), restored.shard.stations()), (0, 0, 1));
    assert_eq!(restored.shard.take_changes(), Changes::default());
    restored.apply("A", T0, &[sent(1, T0, json!({"stationId": "S"}))]);
    let inputs = restored.run(T0);
    assert_eq!(inputs.len(), 1);
    assert_eq!(json_of(&inputs[0])["quality"]["availability_ratio"], 1.0);
}

#[test]
fn a_window_that_changed_often_is_given_out_once_with_its_last_content() {
    let mut live = Live::new(plan(vec![topic("A")], vec![module("m").requires(&["A"])]));
    let reading = |offset: i64| sent(offset, T0 + offset, json!({"stationId": "S", "v": offset}));
    live.apply("A", T0, &[reading(1), reading(2), reading(3)]);
    let changes = live.shard.take_changes();
    assert_eq!(changes.slots.len(), 1);
    assert!(format!("{:?}", changes.slots[0].state).contains(r#"\"v\":3"#));
}

#[test]
fn the_rate_of_new_stations_does_not_hold_for_stations_that_are_restored() {
    let mut plan = plan(vec![topic("A")], vec![module("m").requires(&["A"])]);
    plan.stations.new_per_minute = 2;
    let mut original = Live::new(plan.clone());
    for minute in 0..3 {
        let now = T0 + minute * 60_000;
        let records: Vec<Sent> =
            (0..2).map(|n| sent(2 * minute + n, now, json!({"stationId": format!("{minute}-{n}")}))).collect();
        original.apply("A", now, &records);
    }
    assert_eq!(original.shard.stations(), 6);
    let mut restored = Live::new(plan);
    restored.shard.restore(&original.shard.take_changes());
    assert_eq!(restored.shard.stations(), 6);
}

#[test]
fn windows_of_topics_that_are_gone_or_of_another_kind_are_passed_over() {
    let old = plan(vec![topic("A"), topic("GONE")], vec![module("m").requires(&["A", "GONE"])]);
    let mut original = Live::new(old);
    let reading = sent(0, T0, json!({"stationId": "S", "k": "1"}));
    original.apply("A", T0, std::slice::from_ref(&reading)).apply("GONE", T0, std::slice::from_ref(&reading));
    let changes = original.shard.take_changes();
    let mut restored = Live::new(plan(vec![topic("A").per_key("/k", None)], vec![module("m").requires(&["A"])]));
    restored.shard.restore(&changes);
    assert_eq!(restored.run(T0).len(), 0);
    restored.apply("A", T0, &[reading]);
    assert_eq!(restored.run(T0).len(), 1, "the window is read anew");
}

#[test]
fn a_number_survives_being_stored_bit_by_bit() {
    let plan = asked_about(topic("DATA").records(&["/*"]).epoch_time("/at"));
    let text = format!(r#"[{{"stationId":"S0","at":{},"v":-1.1227739024103941e-121,"w":5e-324}}]"#, T0 / 1000);
    let mut original = Shards::new(&plan, 1);
    original.apply(&[sent(0, T0, text)], 1);
    original.ask(0, END);
    let changes = original.lives[0].shard.take_changes();
    let want = original.ask(1, END)[0].clone();
    assert!(want.contains("-1.1227739024103941e-121") && want.contains("5e-324"), "{}", data_of(&want));
    assert_eq!(restored(&plan, &[changes]).ask(1, END)[0], want);
}

#[test]
fn long_rows_survive_being_stored_whatever_they_hold() {
    let columns = ["/v", "/w"];
    for data in [topic("DATA").rows(9_000, None), topic("DATA").columns(9_000, None, &columns, Pad::None)] {
        let plan = asked_about(data);
        let mut original = Shards::new(&plan, 1);
        let reading = |n: i64| {
            let w = [json!("x"), json!(n), json!(null), json!(true)][usize::try_from(n % 4).expect("small")].clone();
            sent(n, T0 + n, json!({"stationId": "S0", "v": n, "w": w}))
        };
        let records: Vec<Sent> = (0..10_000).map(reading).collect();
        original.apply(&records, 1_000);
        let changes = original.lives[0].shard.take_changes();
        let want = original.ask(1, END);
        assert_eq!(restored(&plan, &[changes]).ask(1, END), want);
    }
}

#[test]
fn restored_buckets_close_and_are_not_handed_over_twice() {
    let plan = || plan(vec![topic("ORDER").bucket(SECOND, Some(SECOND))], vec![module("probe").requires(&["ORDER"])]);
    let order = |tx: i64| json!({ "stationId": "S", "tx": tx });
    let mut original = Live::new(plan());
    original.apply("ORDER", T0, &[sent(0, T0, order(0)), sent(1, T0 + SECOND, order(1))]);
    assert_eq!(original.run(T0 + SECOND).len(), 1);
    let changes = original.shard.take_changes();

    let mut restored = Live::new(plan());
    restored.shard.restore(&changes);
    assert_eq!(restored.shard.next_deadline(), Some(Millis(T0 + 3 * SECOND)), "the open bucket still closes by itself");
    restored.apply("ORDER", T0 + SECOND, &[sent(0, T0, order(0)), sent(2, T0 + 5, order(2))]);
    let dead: Vec<_> = std::iter::from_fn(|| restored.shard.poll_dead()).map(|dead| dead.origin.offset.0).collect();
    assert_eq!(dead, [2], "what the closed bucket holds is known, everything else of its second is late");
    restored.apply("ORDER", T0 + SECOND, &[sent(3, T0 + SECOND + 1, order(3))]);
    let inputs = restored.run(T0 + 3 * SECOND);
    assert_eq!(inputs.len(), 1);
    assert_eq!(inputs[0].inputs[0].value.bucket().expect("a bucket").readings.len(), 2);
}

#[test]
fn restored_results_feed_the_modules_that_depend_on_them() {
    let modules = || vec![module("up").requires(&["A"]), module("down").requires(&["B", "up"]).on(&["B"])];
    let plan = || plan(vec![topic("A"), topic("B")], modules());
    let mut original = Live::new(plan());
    original.apply("A", T0, &[sent(0, T0, json!({ "stationId": "S" }))]);
    let runs = original.start(T0);
    let output = Output::json(&json!({ "kw": 7 })).expect("JSON");
    original.shard.finish(runs[0].run, End::Done(RunResult::of(&runs[0].input, &[output])), Millis(T0));
    let mut restored = Live::new(plan());
    restored.shard.restore(&original.shard.take_changes());
    restored.apply("B", T0 + SECOND, &[sent(0, T0 + SECOND, json!({ "stationId": "S" }))]);
    let inputs = restored.run(T0 + SECOND);
    assert_eq!(inputs.len(), 1);
    assert_eq!(inputs[0].topic("up").expect("up").value.reading().expect("reading").as_json(), r#"{"kw":7}"#);
    assert_eq!(inputs[0].lineage[0].topic, "A".into(), "with the records behind it");
}
