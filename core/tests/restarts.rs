//! What a further process owes, whatever its predecessor had just done, and however much differs between the two: which
//! topics are read first, how many shards there are, what of the plan is new.

mod support;

use quorate_core::contract::Output;
use quorate_core::decode::Reason;
use quorate_core::ident::{Millis, Offset};
use quorate_core::plan::Plan;
use quorate_core::shard::{Changes, EarlyRecord, End, Invocation, Mode, PendingState};
use quorate_core::{PendingContent, RunResult};
use serde_json::json;
use support::live::{Live, Sent, sent};
use support::{MINUTE, Module, SECOND, T0, Topic, module, plan, topic};

/// What a store was given, in order.
#[derive(Clone, Default)]
struct Store(Vec<Changes>);

impl Store {
    fn flush(&mut self, live: &mut Live, now: i64) {
        let mut changes = live.shard.take_changes();
        live.shard.flushed(Millis(now));
        let gone: Vec<u64> =
            changes.pending.extract_if(.., |pending| pending.state.is_none()).map(|gone| gone.number).collect();
        self.0.iter_mut().for_each(|before| before.pending.retain(|pending| !gone.contains(&pending.number)));
        self.0.push(changes);
    }

    /// The next process, which has read nothing yet.
    fn next(&self, plan: Plan) -> Live {
        let mut live = Live::durable(plan);
        self.0.iter().for_each(|changes| live.shard.restore(changes));
        live
    }
}

fn reading(offset: i64) -> Sent {
    sent(offset, T0 + offset * SECOND, json!({"stationId": "S", "n": offset}))
}

/// Ends a run with a result that no other run has.
fn ends(live: &mut Live, run: &Invocation, now: i64) {
    let output = Output::json(&json!({ "of": run.input.input_hash.to_string() })).expect("JSON");
    live.shard.finish(run.run, End::Done(RunResult::of(&run.input, &[output])), Millis(now));
}

/// Runs everything that is due, each with a result, and says which modules that were.
fn run_all(live: &mut Live, store: &mut Store, now: i64) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        store.flush(live, now);
        let runs = live.start(now);
        if runs.is_empty() {
            return names;
        }
        for run in runs {
            names.push(run.input.module.to_string());
            ends(live, &run, now);
        }
    }
}

/// A module called `up` that is called in one way or another, and one called `down` that depends on it.
fn fed(up: Module) -> Plan {
    let topics = vec![topic("A"), topic("B"), topic("BUCKET").bucket(SECOND, None)];
    plan(topics, vec![up, module("down").requires(&["B", "up"])])
}

#[test]
fn a_dependent_is_due_when_what_was_owed_above_it_ends_before_it_is_loaded() {
    let up = || module("up");
    for (how, up) in [
        ("by a change", up().requires(&["A"])),
        ("by time", up().requires(&["A"]).every(MINUTE)),
        ("by a bucket", up().requires(&["BUCKET"])),
    ] {
        let (mut store, mut live) = (Store::default(), Live::durable(fed(up.clone())));
        live.all_loaded(T0);
        for name in ["A", "B", "BUCKET"] {
            live.apply(name, T0, &[reading(0), reading(2)]);
        }
        run_all(&mut live, &mut store, T0 + MINUTE);
        // Due when the process is killed.
        live.apply("A", T0 + MINUTE, &[reading(5)]).apply("BUCKET", T0 + MINUTE, &[reading(5)]);
        live.shard.handle_timeout(Millis(T0 + 2 * MINUTE));
        store.flush(&mut live, T0 + MINUTE);
        let mut again = store.next(fed(up.clone()));
        again.loaded("A", T0 + 2 * MINUTE).loaded("BUCKET", T0 + 2 * MINUTE);
        assert_eq!(run_all(&mut again, &mut store, T0 + 3 * MINUTE), ["up"], "{how}");
        // Either it lives on, or it is killed again before the dependent is loaded.
        again.loaded("B", T0 + 3 * MINUTE);
        let mut once_more = store.next(fed(up));
        assert!(run_all(&mut again, &mut Store::default(), T0 + 3 * MINUTE).contains(&"down".to_owned()), "{how}");
        once_more.all_loaded(T0 + 3 * MINUTE);
        let due = run_all(&mut once_more, &mut Store::default(), T0 + 3 * MINUTE);
        assert!(due.contains(&"down".to_owned()), "{how}: {due:?}");
    }
}

#[test]
fn stations_that_were_kept_are_there_though_fewer_are_allowed_and_newcomers_are_refused() {
    let of = |max| {
        let mut plan = plan(vec![topic("A")], vec![module("m").requires(&["A"])]);
        plan.stations.max = max;
        plan
    };
    let named = |offset: i64| sent(offset, T0, json!({ "stationId": format!("S{offset}") }));
    let mut live = Live::durable(of(6));
    live.all_loaded(T0).apply("A", T0, &(0..6).map(named).collect::<Vec<_>>());
    let mut store = Store::default();
    store.flush(&mut live, T0);
    let mut again = store.next(of(2));
    assert_eq!(again.shard.stations(), 6);
    assert_eq!(again.all_loaded(T0).run(T0).len(), 6, "what was due still is");
    again.apply("A", T0, &[named(6)]);
    assert_eq!(again.shard.poll_dead().map(|dead| dead.reason), Some(Reason::TooManyStations));
}

#[test]
fn every_shard_tells_which_global_records_its_stations_are_still_to_see() {
    let of = || plan(vec![topic("A"), topic("G").global()], vec![module("m").requires(&["A", "G"])]);
    let mut shards = [Live::durable(of()), Live::durable(of())];
    shards[1].shard.leave_global_letters();
    let mut told = |act: &dyn Fn(&mut Live) -> &mut Live| {
        shards.each_mut().map(|live| {
            act(live);
            live.shard.take_changes().early
        })
    };
    let early = EarlyRecord { topic: "G".into(), partition: 0, offset: Offset(3) };
    let first = told(&|live| live.apply("G", T0, &[sent(3, T0, json!({}))]));
    assert_eq!(first, [Some(vec![early.clone()]), Some(vec![early])]);
    assert_eq!(told(&|live| live.all_loaded(T0)), [Some(vec![]), Some(vec![])]);
}

#[test]
fn a_bucket_that_waits_stays_as_long_as_it_was_whatever_becomes_of_its_topic() {
    let of = |every_ms| {
        let m = module("m").requires(&["ORDER", "A"]).on(&["ORDER"]);
        plan(vec![topic("ORDER").bucket(every_ms, None), topic("A")], vec![m])
    };
    let (mut store, mut live) = (Store::default(), Live::durable(of(SECOND)));
    live.all_loaded(T0).apply("ORDER", T0, &[reading(1), reading(2)]);
    store.flush(&mut live, T0);
    // Windows of another shape are not given back; what is owed is.
    store.0.iter_mut().for_each(|changes| changes.slots.clear());
    let handed = |store: &Store| {
        let mut again = store.next(of(10 * SECOND));
        again.apply_as(Mode::Load, "ORDER", T0, &[reading(1), reading(2), reading(15)]);
        again.all_loaded(T0).apply("A", T0, &[reading(0)]);
        let input = again.run(T0).remove(0);
        let bucket = input.inputs[0].value.bucket().expect("a bucket").clone();
        (input.bucket.map(|from| from.0), bucket.from.0, bucket.to.0)
    };
    let one = T0 + SECOND;
    assert_eq!(handed(&store), (Some(one), one, one + SECOND));
    // Where it was not noted how long it was.
    for pending in store.0.iter_mut().flat_map(|changes| &mut changes.pending) {
        let Some(PendingState { content: PendingContent::Bucket(bucket), .. }) = &mut pending.state else { panic!() };
        assert_eq!(bucket.every_ms.take(), Some(SECOND));
    }
    assert_eq!(handed(&store).0, Some(one * 10));
}

#[test]
fn what_waits_is_of_a_plan_that_has_its_module_and_keeps_the_same_of_its_topic() {
    let of = |order: Topic, name: &str| plan(vec![order], vec![module(name).requires(&["ORDER"])]);
    let (mut store, mut live) = (Store::default(), Live::durable(of(topic("ORDER").bucket(SECOND, None), "m")));
    live.all_loaded(T0).apply("ORDER", T0, &[reading(1), reading(2)]);
    store.flush(&mut live, T0);
    let waits = &store.0[0].pending[0];
    for (order, name, fits) in [
        (topic("ORDER").bucket(MINUTE, None), "m", true),
        (topic("ORDER"), "m", false),
        (topic("ORDER").bucket(SECOND, None), "other", false),
    ] {
        assert_eq!(waits.is_of(&of(order, name)), fits);
    }
}

#[test]
fn a_bucket_that_was_open_when_its_windows_were_lost_is_handed_over_and_none_of_another_topic() {
    let buckets = |name| topic(name).bucket(SECOND, None);
    let m = module("m").requires(&["LOST"]).optional(&["KEPT"]);
    let mut live = Live::durable(plan(vec![buckets("LOST"), buckets("KEPT")], vec![m]));
    live.shard.restore(&Changes::lost("LOST".into()));
    for name in ["LOST", "KEPT"] {
        live.apply_as(Mode::Load, name, T0, &[reading(0), reading(2)]);
    }
    live.all_loaded(T0);
    for name in ["LOST", "KEPT"] {
        live.apply(name, T0, &[reading(5)]);
    }
    let waits = live.shard.take_changes().pending.into_iter().map(|pending| pending.state.expect("came"));
    let waits: Vec<_> = waits
        .map(|state| match state.content {
            PendingContent::Bucket(bucket) => (state.topic.to_string(), bucket.number * SECOND - T0),
            PendingContent::Reading(_) => panic!("a bucket"),
        })
        .collect();
    assert_eq!(waits, [("LOST".to_owned(), 2 * SECOND)]);
}

#[test]
fn the_text_that_tells_runs_of_a_module_from_those_of_another_one_is_part_of_what_is_stored() {
    let topics = || vec![topic("A"), topic("B"), topic("C")];
    let m = || module("m").requires(&["A", "B"]).optional(&["C"]);
    let shape = |m: Module| plan(topics(), vec![m]).modules[0].shape();
    assert_eq!(shape(m()), "version 1; requires A B; optional C");
    assert_eq!(shape(m().min_interval(SECOND).on(&["A"])), shape(m()), "how often it runs is no part of it");
}
