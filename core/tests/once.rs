//! What is done once only: of readings with one key the first that is worked on well, also across lives of a process.

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use quorate_core::ident::{Millis, ModuleId};
use quorate_core::plan::Plan;
use quorate_core::shard::{Changes, DoneChange, End, Invocation, PendingChange};
use serde_json::{Value, json};
use support::live::{Live, sent};
use support::{HOUR, SECOND, T0, module, plan, topic};

const EACH: ModuleId = ModuleId(0);

fn tasks(keep_ms: i64, max: usize) -> Plan {
    plan(vec![topic("TASK")], vec![module("m").requires(&["TASK"]).each(&["TASK"]).once("/task/id", keep_ms, max)])
}

fn task(id: impl Into<Value>) -> Value {
    json!({ "stationId": "S", "task": { "id": id.into() } })
}

/// Sends tasks one by one as the records from `first` on.
fn send(live: &mut Live, now: i64, first: i64, tasks: &[Value]) {
    for (offset, task) in (first..).zip(tasks) {
        live.apply("TASK", now, &[sent(offset, now, task)]);
    }
}

/// Which records are worked on at `now`.
fn worked(live: &mut Live, now: i64) -> Vec<i64> {
    let inputs = live.run(now);
    inputs.iter().map(|input| input.reading.as_ref().expect("each is a reading").offset.0).collect()
}

#[test]
fn row_1_25_of_tasks_with_one_key_the_first_is_worked_on_and_the_others_are_counted() {
    let mut live = Live::new(tasks(HOUR, 100));
    send(&mut live, T0, 0, &[task("a"), task("b")]);
    assert_eq!(worked(&mut live, T0), [0, 1]);
    send(&mut live, T0, 2, &[task("a"), task("c"), task("b")]);
    assert_eq!(live.shard.duplicates(EACH), 2, "known when they come");
    assert_eq!(worked(&mut live, T0), [3]);
    assert_eq!((live.oldest_unsettled("TASK"), live.shard.backlog(live.topic("TASK"))), (None, 0));
}

#[test]
fn of_two_copies_that_wait_together_the_second_is_passed_over_when_its_turn_comes() {
    let mut live = Live::new(tasks(HOUR, 100));
    send(&mut live, T0, 0, &[task("a"), task("a"), task("b"), task("a")]);
    assert_eq!(live.shard.duplicates(EACH), 0);
    assert_eq!(worked(&mut live, T0), [0, 2]);
    assert_eq!(live.shard.duplicates(EACH), 2);
    assert_eq!((live.oldest_unsettled("TASK"), live.shard.open_runs()), (None, 0));
}

#[test]
fn a_task_without_a_key_is_always_worked_on_and_keys_are_values_and_belong_to_a_station() {
    let mut live = Live::new(tasks(HOUR, 100));
    let other = json!({ "stationId": "N", "task": { "id": 1 } });
    let bare = json!({ "stationId": "S", "task": 1 });
    let all = [task(1), task("1"), other, bare.clone(), bare, task(Value::Null), task(Value::Null)];
    send(&mut live, T0, 0, &all);
    let mut offsets = worked(&mut live, T0);
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(live.shard.duplicates(EACH), 0);
}

#[test]
fn a_task_that_was_given_up_is_worked_on_when_it_comes_again() {
    let mut live = Live::new(tasks(HOUR, 100));
    send(&mut live, T0, 0, &[task("a"), task("a")]);
    let [first]: [Invocation; 1] = live.start(T0).try_into().expect("one at a time");
    live.shard.finish(first.run, End::GivenUp, Millis(T0));
    assert_eq!(worked(&mut live, T0), [1]);
}

#[test]
fn a_key_is_forgotten_after_its_time_or_when_there_are_too_many_the_oldest_first() {
    let mut live = Live::new(tasks(HOUR, 2));
    send(&mut live, T0, 0, &[task("a")]);
    assert_eq!(worked(&mut live, T0), [0]);
    send(&mut live, T0 + HOUR - 1, 1, &[task("a")]);
    assert_eq!(worked(&mut live, T0 + HOUR - 1), Vec::<i64>::new());
    send(&mut live, T0 + HOUR, 2, &[task("a")]);
    assert_eq!(worked(&mut live, T0 + HOUR), [2], "after its time");
    for (offset, id) in (3..).zip(["b", "c"]) {
        let now = T0 + HOUR + offset * SECOND;
        send(&mut live, now, offset, &[task(id)]);
        assert_eq!(worked(&mut live, now), [offset]);
    }
    let now = T0 + HOUR + 10 * SECOND;
    send(&mut live, now, 5, &[task("b"), task("a"), task("c")]);
    assert_eq!(worked(&mut live, now), [6], "two are remembered, a was the oldest");
}

#[test]
fn keys_of_a_time_that_was_set_back_leave_before_those_that_came_since() {
    let mut live = Live::durable(tasks(HOUR, 2));
    live.all_loaded(T0);
    let mut offset = 0;
    let mut work = |live: &mut Live, now: i64, id: &str| {
        send(live, now, offset, &[task(id)]);
        offset += 1;
        let arrived = live.shard.take_changes();
        live.shard.flushed(Millis(now));
        let worked = worked(live, now).len();
        let ended = live.shard.take_changes();
        live.shard.flushed(Millis(now));
        (worked, [arrived, ended])
    };
    let late = T0 + HOUR;
    let kept: Vec<Changes> = ["a", "b"].iter().flat_map(|id| work(&mut live, late, id).1).collect();
    live.shard.clock_set_back(HOUR, Millis(T0));
    let mut again = Live::durable(tasks(HOUR, 2));
    kept.iter().for_each(|changes| again.shard.restore(changes));
    again.all_loaded(T0);
    for (how, live) in [("the clock was set back", &mut live), ("another process began since", &mut again)] {
        for (later, id) in (1..).zip(["c", "d"]) {
            assert_eq!(work(live, T0 + later * SECOND, id).0, 1, "{how}: {id} is new");
        }
        for (later, id) in (3..).zip(["c", "d"]) {
            assert_eq!(work(live, T0 + later * SECOND, id).0, 0, "{how}: {id} is done");
        }
    }
}

#[test]
fn shards_share_what_may_be_remembered() {
    let mut live = Live::new(tasks(HOUR, 4));
    live.shard.share_among(4);
    send(&mut live, T0, 0, &[task("a"), task("b"), task("a")]);
    assert_eq!(worked(&mut live, T0), [0, 1, 2]);
}

/// What a store holds of queues and keys.
#[derive(Clone, Debug, Default)]
struct Store {
    pending: BTreeMap<u64, PendingChange>,
    done: BTreeMap<u128, DoneChange>,
    rest: Vec<Changes>,
}

impl Store {
    fn keep(&mut self, mut changes: Changes) {
        for change in std::mem::take(&mut changes.pending) {
            match change.state {
                Some(_) => drop(self.pending.insert(change.number, change)),
                None => drop(self.pending.remove(&change.number)),
            }
        }
        for change in std::mem::take(&mut changes.done) {
            match change.at {
                Some(_) => drop(self.done.insert(change.key, change)),
                None => drop(self.done.remove(&change.key)),
            }
        }
        self.rest.push(changes);
    }

    fn next_life(&self, plan: Plan, now: i64) -> Live {
        let mut live = Live::durable(plan);
        self.rest.iter().for_each(|changes| live.shard.restore(changes));
        let (pending, done) = (self.pending.values().cloned().collect(), self.done.values().cloned().collect());
        live.shard.restore(&Changes { pending, done, ..Changes::default() });
        live.all_loaded(now);
        live
    }
}

fn flush(live: &mut Live, store: &mut Store, now: i64) {
    store.keep(live.shard.take_changes());
    live.shard.flushed(Millis(now));
}

#[test]
fn what_expired_leaves_the_store_and_what_is_remembered_survives_a_restart() {
    let (mut live, mut store) = (Live::durable(tasks(HOUR, 2)), Store::default());
    live.all_loaded(T0);
    for (offset, id) in (0..).zip(["a", "b", "c"]) {
        let now = T0 + offset * SECOND;
        send(&mut live, now, offset, &[task(id)]);
        flush(&mut live, &mut store, now);
        assert_eq!(worked(&mut live, now), [offset]);
        flush(&mut live, &mut store, now);
    }
    assert_eq!((store.done.len(), store.pending.len()), (2, 0));
    let now = T0 + 10 * SECOND;
    let mut live = store.next_life(tasks(HOUR, 2), now);
    send(&mut live, now, 3, &[task("c"), task("b")]);
    flush(&mut live, &mut store, now);
    assert_eq!((worked(&mut live, now), live.shard.duplicates(EACH)), (vec![], 2));
    live.start(now + HOUR);
    flush(&mut live, &mut store, now + HOUR);
    assert_eq!(store.done, BTreeMap::new());
}

proptest! {
    /// Whatever happens when, a task whose end was flushed is not worked on again, and every task is worked on.
    #[test]
    fn row_1_25_a_task_is_worked_on_again_only_where_its_end_was_not_kept(
        happens in prop::collection::vec((0..4_u8, 0..3_u8), 1..40),
    ) {
        let (mut store, mut now, mut offset) = (Store::default(), T0, 0);
        let mut live = store.next_life(tasks(HOUR, 100), now);
        let (mut kept, mut ended, mut sent) = (vec![false; 3], vec![false; 3], vec![false; 3]);
        // Applied and not flushed: read again after a crash.
        let mut unflushed: Vec<(i64, u8)> = Vec::new();
        for (what, id) in happens {
            now += SECOND;
            match what {
                0 => {
                    send(&mut live, now, offset, &[task(id)]);
                    unflushed.push((offset, id));
                    (sent[usize::from(id)], offset) = (true, offset + 1);
                }
                1 => {
                    for input in live.run(now) {
                        let input: Value = support::live::json(&input);
                        let id = input["inputs"]["TASK"]["value"]["task"]["id"].as_u64().expect("an id") as usize;
                        prop_assert!(!ended[id], "worked on twice in one life, or after its end was kept");
                        ended[id] = true;
                    }
                }
                2 => {
                    flush(&mut live, &mut store, now);
                    unflushed.clear();
                    kept.clone_from(&ended);
                }
                _ => {
                    live = store.next_life(tasks(HOUR, 100), now);
                    ended.clone_from(&kept);
                    for (offset, id) in &unflushed {
                        send(&mut live, now, *offset, &[task(*id)]);
                    }
                }
            }
        }
        for _ in 0..3 {
            flush(&mut live, &mut store, now);
            for input in live.run(now) {
                let input: Value = support::live::json(&input);
                ended[input["inputs"]["TASK"]["value"]["task"]["id"].as_u64().expect("an id") as usize] = true;
            }
        }
        prop_assert_eq!(ended, sent);
    }
}
