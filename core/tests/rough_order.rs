//! Nothing is lost, nobody starves, nothing piles up: records and moments in the orders that hurt.

mod support;

use proptest::prelude::*;
use quorate_core::RunResult;
use quorate_core::contract::Output;
use quorate_core::ident::{Millis, ModuleId};
use quorate_core::plan::{Plan, Then};
use quorate_core::shard::{End, Invocation, Mode};
use serde_json::{Value, json};
use support::live::{Live, sent};
use support::scenario::Scenario;
use support::{CASES, DAY, MINUTE, Module, SECOND, module, plan, topic};
const T: i64 = 1_000_000_000_000;
fn fleet(modules: Vec<Module>) -> Plan {
    plan(
        vec![
            topic("ORDER").bucket(SECOND, Some(SECOND)),
            topic("ONLY").bucket(SECOND, None),
            topic("PARAM"),
            topic("TRIG"),
            topic("C"),
            topic("G").global(),
            topic("GB").global().bucket(SECOND, None),
            topic("K").per_key("/k", Some(DAY)),
        ],
        modules,
    )
}
fn s(v: i64) -> Value {
    json!({"stationId":"S","v":v})
}
fn of(st: &str, v: i64) -> Value {
    json!({"stationId":st,"v":v})
}
fn result(of: &Invocation, json: &Value) -> Option<RunResult> {
    RunResult::of(&of.input, &[Output::json(json).expect("as set up")])
}
fn deads(live: &mut Live) -> usize {
    std::iter::from_fn(|| live.shard.poll_dead()).count()
}
fn poll(live: &mut Live, now: i64) -> Option<Invocation> {
    live.shard.poll_run(Millis(now), |_| true)
}

#[test]
fn a_station_that_changes_all_the_time_starves_no_other() {
    let mut live = Live::new(fleet(vec![module("m").requires(&["PARAM"])]));
    live.apply("PARAM", T, &[sent(0, T, of("HOT", 0)), sent(1, T, of("COLD", 0))]);
    let mut run = poll(&mut live, T).expect("as set up");
    let mut served = vec![run.input.station.to_string()];
    for n in 1..20 {
        live.apply("PARAM", T + n, &[sent(1 + n, T + n, of("HOT", n))]);
        live.shard.finish(run.run, End::Done(None), Millis(T + n));
        run = poll(&mut live, T + n).expect("as set up");
        served.push(run.input.station.to_string());
    }
    assert!(served.contains(&"COLD".to_string()), "{served:?}");
}

#[test]
fn a_live_global_record_read_before_its_stations_are_loaded_still_calls_for_them() {
    let mut live = Live::starting(fleet(vec![module("m").requires(&["G", "PARAM"])]));
    // life 1 settled PARAM:0 and crashed with the run caused by G:0 in flight; G:0 is not committed
    live.apply("G", T, &[sent(0, T, json!({"g":1}))]);
    live.apply_as(Mode::Load, "PARAM", T, &[sent(0, T, s(0))]);
    live.loaded("G", T).loaded("PARAM", T);
    assert_eq!(live.run(T).len(), 1, "G:0 was never seen by a run");
}

#[test]
fn a_live_global_record_read_after_its_stations_are_loaded_calls_for_them() {
    let mut live = Live::starting(fleet(vec![module("m").requires(&["G", "PARAM"])]));
    live.apply_as(Mode::Load, "PARAM", T, &[sent(0, T, s(0))]);
    live.apply("G", T, &[sent(0, T, json!({"g":1}))]);
    live.loaded("G", T).loaded("PARAM", T);
    assert_eq!(live.run(T).len(), 1);
}

#[test]
fn a_live_global_bucket_closed_before_its_stations_are_loaded_still_calls_for_them() {
    let mut live = Live::starting(fleet(vec![module("m").requires(&["GB", "PARAM"]).on(&["GB"])]));
    live.apply("GB", T, &[sent(0, T, json!({"g":1})), sent(1, T + 1000, json!({"g":2}))]);
    live.apply_as(Mode::Load, "PARAM", T, &[sent(0, T, s(0))]);
    live.loaded("GB", T).loaded("PARAM", T);
    assert_eq!(live.run(T).len(), 1);
}

#[test]
fn while_a_module_loads_its_duty_does_not_move_to_a_record_that_triggers_nothing() {
    let m = || fleet(vec![module("m").requires(&["TRIG", "PARAM", "C"]).on(&["TRIG"])]);
    let mut live = Live::starting(m());
    live.apply_as(Mode::Load, "PARAM", T, &[sent(0, T, s(0))]).loaded("PARAM", T).loaded("TRIG", T);
    live.apply_as(Mode::Load, "C", T, &[sent(0, T, s(0))]);
    live.apply("TRIG", T, &[sent(0, T, s(0))]);
    live.apply("PARAM", T, &[sent(1, T + 1, s(1))]);
    assert_eq!(live.oldest_unsettled("TRIG"), Some(0));
    let mut again = Live::starting(m());
    again.apply_as(Mode::Load, "PARAM", T, &[sent(0, T, s(0))]).apply_as(Mode::Load, "C", T, &[sent(0, T, s(0))]);
    again.loaded("PARAM", T).loaded("TRIG", T).loaded("C", T);
    again.apply("TRIG", T, &[sent(0, T, s(0))]).apply("PARAM", T, &[sent(1, T + 1, s(1))]);
    assert_eq!(again.run(T + 1).len(), 1, "as a crash at that moment shows");
}

#[test]
fn buckets_are_not_dropped_while_another_topic_loads() {
    let mut live = Live::starting(fleet(vec![module("m").requires(&["ORDER", "PARAM"]).on(&["ORDER"])]));
    live.loaded("ORDER", T);
    live.apply_as(Mode::Load, "PARAM", T, &[sent(0, T, s(0))]);
    for n in 0..2_000 {
        live.apply("ORDER", T + n * SECOND, &[sent(n, T + n * SECOND, s(n))]);
    }
    live.loaded("PARAM", T + 2_000 * SECOND);
    let got = live.run(T + 2_010 * SECOND).len();
    assert_eq!((got, live.shard.skipped_runs(ModuleId(0))), (2_000, 0));
}

#[test]
fn one_message_that_spans_many_buckets_loses_none() {
    let p = plan(
        vec![topic("ORDER").bucket(SECOND, Some(SECOND)).records(&["/*"]).epoch_time("/t")],
        vec![module("m").requires(&["ORDER"])],
    );
    let mut live = Live::new(p);
    let list: Vec<Value> = (0..2_000).map(|n| json!({"stationId":"S","t": (T / 1000 + n).to_string()})).collect();
    live.apply("ORDER", T, &[sent(0, T, Value::Array(list))]);
    let got = live.run(T + 3_000 * SECOND).len();
    assert_eq!((got, live.shard.skipped_runs(ModuleId(0)), deads(&mut live)), (2_000, 0, 0));
}

#[test]
fn a_closed_bucket_that_triggers_nobody_completes_a_station_all_the_same() {
    let mut live = Live::new(fleet(vec![module("m").requires(&["ONLY", "PARAM"]).on(&["PARAM"])]));
    live.apply("PARAM", T, &[sent(0, T, s(0))]);
    live.apply("ONLY", T, &[sent(0, T, s(0)), sent(1, T + 1000, s(1))]);
    assert_eq!(live.run(T + 1000).len(), 1, "the station is complete now");
}

#[test]
fn a_closed_bucket_completes_a_station_in_a_replay_too() {
    let mut sc = Scenario::new(fleet(vec![module("m").requires(&["ONLY", "PARAM"]).on(&["PARAM"])]));
    sc.send("PARAM", T, s(0)).send("ONLY", T, s(0)).send("ONLY", T + 1000, s(1));
    assert_eq!(sc.inputs().len(), 1);
}

#[test]
fn a_dependent_whose_interval_is_over_still_waits_for_what_is_at_work() {
    let mut live = Live::new(fleet(vec![
        module("a").requires(&["PARAM"]).min_interval(2 * SECOND),
        module("b").requires(&["PARAM", "a"]).min_interval(2 * SECOND),
    ]));
    live.apply("PARAM", T, &[sent(0, T, s(0))]);
    let r = live.start(T);
    assert_eq!(r.len(), 1);
    live.shard.finish(r[0].run, End::Done(result(&r[0], &json!({"v":0}))), Millis(T));
    let r = live.start(T);
    assert_eq!(r.len(), 1);
    live.finish(r[0].run, T);
    live.apply("PARAM", T + 1000, &[sent(1, T + 1000, s(1))]);
    let r = live.start(T + 2000);
    let names: Vec<_> = r.iter().map(|r| r.input.module.to_string()).collect();
    assert_eq!(names, ["a"], "b must be held while a is at work on the same version");
}

#[test]
fn a_dependent_waits_for_the_whole_chain_above_it() {
    let mut live = Live::new(fleet(vec![
        module("a").requires(&["PARAM"]),
        module("b").requires(&["a"]),
        module("c").requires(&["PARAM", "b"]),
    ]));
    live.apply("PARAM", T, &[sent(0, T, s(0))]);
    for n in 0..3 {
        for r in live.start(T) {
            live.shard.finish(r.run, End::Done(result(&r, &json!({"n":n}))), Millis(T));
        }
    }
    live.start(T);
    live.apply("PARAM", T + 1000, &[sent(1, T + 1000, s(1))]);
    let names: Vec<_> = live.start(T + 1000).iter().map(|r| r.input.module.to_string()).collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn a_renewed_result_that_is_young_enough_again_lets_a_dependent_go_on() {
    let mut live = Live::new(fleet(vec![
        module("a").requires(&["PARAM"]).every(10 * MINUTE),
        module("b").requires_young("a", 15 * MINUTE).requires(&["TRIG"]).on(&["TRIG"]),
    ]));
    let t0 = T - T % (10 * MINUTE);
    live.apply("PARAM", t0, &[sent(0, t0, s(0))]);
    let t1 = t0 + 10 * MINUTE;
    let r = live.start(t1);
    assert_eq!(r.len(), 1);
    live.shard.finish(r[0].run, End::Done(result(&r[0], &json!({"v":0}))), Millis(t1));
    // a fails at +20
    let t2 = t0 + 20 * MINUTE;
    let r = live.start(t2);
    assert_eq!(r.len(), 1);
    live.finish(r[0].run, t2);
    live.apply("TRIG", t1 + 16 * MINUTE, &[sent(0, t1 + 16 * MINUTE, s(0))]);
    assert!(live.start(t1 + 16 * MINUTE).is_empty(), "a's result is too old");
    let t3 = t0 + 30 * MINUTE;
    let r = live.start(t3);
    assert_eq!(r.len(), 1);
    live.shard.finish(r[0].run, End::Done(result(&r[0], &json!({"v":0}))), Millis(t3));
    assert_eq!(live.shard.complete_stations(ModuleId(1), Millis(t3)), 1);
    let names: Vec<_> = live.start(t3).iter().map(|r| r.input.module.to_string()).collect();
    assert_eq!(names, ["b"], "b is due and complete");
}

#[test]
fn a_module_due_by_time_that_others_depend_on_runs_at_once_after_a_restart() {
    let mut live = Live::starting(fleet(vec![
        module("a").requires(&["PARAM"]).every(DAY),
        module("b").requires(&["TRIG", "a"]).on(&["TRIG"]),
    ]));
    live.apply_as(Mode::Load, "PARAM", T, &[sent(0, T, s(0))]);
    live.loaded("PARAM", T).loaded("TRIG", T);
    assert_eq!(live.start(T + 1).len(), 1, "ADR: after a restart every module that others depend on runs again");
}

#[test]
fn records_that_are_read_again_after_a_rebalance_are_not_late() {
    let mut live = Live::new(fleet(vec![module("m").requires(&["ORDER", "PARAM"])]));
    let recs: Vec<_> = (0..10).map(|n| sent(n, T + n * SECOND, s(n))).collect();
    live.apply("ORDER", T, &recs);
    assert_eq!(deads(&mut live), 0);
    assert_eq!(live.oldest_unsettled("ORDER"), Some(0), "so it is read from 0 again after a rebalance");
    live.apply("ORDER", T, &recs);
    assert_eq!(deads(&mut live), 0, "all of them were applied before");
}

#[test]
fn a_bucket_waits_for_what_other_partitions_load() {
    let mut live = Live::starting(fleet(vec![module("m").requires(&["ORDER"])]));
    // life 1: p0:10 then p1:5 into bucket T; p1:5 is owed; p0 committed 11, p1 committed 5. crash.
    let id = live.topic("ORDER");
    live.shard.set_event_clock(id, Some(Millis(T)), Millis(T));
    live.apply("ORDER", T, &[sent(5, T + 20, s(5)).on(1), sent(6, T + 1000, s(6)).on(1)]);
    live.apply_as(Mode::Load, "ORDER", T, &[sent(10, T + 10, s(10))]);
    live.loaded("ORDER", T + 1000);
    let runs = live.start(T + 1000);
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (runs[0].input.inputs[0].value.bucket().expect("as set up").readings.len(), deads(&mut live)),
        (2, 0),
        "p0:10 vanished: neither handed over nor dead-lettered"
    );
}

#[test]
fn a_bucket_that_a_loading_record_closes_is_handed_over() {
    let mut live = Live::new(fleet(vec![module("m").requires(&["ONLY"])]));
    live.apply("ONLY", T, &[sent(0, T, s(0)), sent(1, T + 1000, s(1))]);
    assert_eq!(live.run(T + 1000).len(), 1);
    live.apply_as(Mode::Load, "ONLY", T + 2000, &[sent(0, T + 2000, s(0)).on(1)]);
    assert_eq!(live.run(T + DAY).len(), 1, "the bucket of offset 1 is closed and waits");
}

/// Two buckets wait for a minute until PARAM completes the station: which of them the module is given, and how many were
/// dropped.
fn given_a_minute_late(module: Module) -> (Vec<Option<i64>>, u64) {
    let mut live = Live::new(fleet(vec![module]));
    live.apply("ORDER", T, &[sent(0, T, s(0)), sent(1, T + SECOND, s(1))]);
    live.run(T + MINUTE);
    live.apply("PARAM", T + MINUTE, &[sent(0, T, s(0))]);
    let given = live.run(T + MINUTE).iter().map(|input| input.bucket.map(|from| from.0 - T)).collect();
    (given, live.shard.skipped_runs(ModuleId(0)))
}

#[test]
fn old_buckets_are_handed_over_where_old_values_are_taken_or_the_input_is_optional() {
    let strict = module("m").requires(&["PARAM"]).requires_young("ORDER", 10 * SECOND);
    assert_eq!(given_a_minute_late(strict.clone()), (vec![], 0), "incomplete: they wait for a younger one");
    let tolerant = strict.incomplete(Then::LastGood, None);
    assert_eq!(given_a_minute_late(tolerant), (vec![Some(0), Some(SECOND)], 0));
    let optional = module("m").requires(&["PARAM"]).optional_young("ORDER", 10 * SECOND);
    assert_eq!(given_a_minute_late(optional), (vec![Some(0), Some(SECOND)], 0));
}

#[test]
fn looking_again_after_each_backlog_piles_nothing_up() {
    let mut live = Live::new(fleet(vec![module("m").requires(&["K"])]));
    for n in 0..100 {
        live.apply("K", T, &[sent(n, T, json!({"stationId": format!("S{n}"), "k":"a"}))]);
    }
    live.run(T);
    let k = live.topic("K");
    let size = |l: &Live| {
        let d = format!("{:?}", l.shard);
        let at = d.find("watches: ").expect("as set up");
        d[at..].matches("ModuleId").count()
    };
    let before = size(&live);
    for n in 0..100 {
        live.shard.set_event_clock(k, Some(Millis(T)), Millis(T + n));
        live.shard.set_event_clock(k, None, Millis(T + n));
    }
    assert_eq!((before, size(&live)), (before, before));
}

#[test]
fn a_replay_ends_at_the_end_of_time() {
    let mut sc = Scenario::new(fleet(vec![module("m").requires_young("PARAM", 10)]));
    sc.send("PARAM", i64::MAX, s(0));
    sc.send("PARAM", i64::MAX, s(0));
    assert!(sc.inputs().len() < 3, "no input follows another without end");
}

#[test]
fn intervals_end_at_the_end_of_time() {
    let mut sc = Scenario::new(fleet(vec![module("m").requires(&["PARAM"]).every(DAY)]));
    sc.send("PARAM", i64::MAX - 5, s(0));
    sc.send("PARAM", i64::MAX, s(0));
    assert!(sc.inputs().len() < 3, "no input follows another without end");
}

#[test]
fn extreme_times_cost_nothing_but_themselves() {
    let mut live = Live::new(fleet(vec![module("m").requires(&["ORDER", "PARAM", "K"])]));
    for (n, t) in [i64::MIN, -1, 0, i64::MAX, i64::MAX - 1, i64::MIN + 1].into_iter().enumerate() {
        let n = n as i64;
        live.apply("ORDER", T, &[sent(n, t, s(n))]).apply("PARAM", T, &[sent(n, t, s(n))]);
        live.apply("K", T, &[sent(n, t, json!({"stationId":"S","k":"x"}))]);
        live.run(T + n);
    }
    let _ = live.shard.explain(ModuleId(0), "S", Millis(T));
    let _ = live.shard.incomplete(Millis(T));
}

#[test]
fn a_record_of_a_topic_that_nobody_reads_moves_the_clock_of_a_replay() {
    let p = plan(vec![topic("ORDER").bucket(SECOND, Some(SECOND))], vec![module("m").requires(&["ORDER"])]);
    let mut sc = Scenario::new(p);
    sc.send("ORDER", T, s(0)).send("OTHER", T + DAY, s(0));
    assert_eq!(sc.inputs().len(), 1);
}

#[test]
fn a_module_that_skips_waits_for_a_result_that_is_being_made() {
    let mut live = Live::new(fleet(vec![
        module("a").requires(&["PARAM"]),
        module("b").requires(&["PARAM", "a"]).on(&["PARAM"]).incomplete(Then::Skip, None),
    ]));
    live.apply("PARAM", T, &[sent(0, T, s(0))]);
    let r = live.start(T);
    live.shard.finish(r[0].run, End::Done(result(&r[0], &json!({"v":0}))), Millis(T));
    let names: Vec<_> = live.start(T).iter().map(|r| r.input.module.to_string()).collect();
    assert_eq!((names, live.shard.skipped_runs(ModuleId(1))), (vec!["b".to_string()], 0));
}

#[test]
fn a_deep_result_is_taken_out_of_its_envelope() {
    let p = || plan(vec![topic("R").results()], vec![module("m").requires(&["R"])]);
    for n in [100, 120, 125, 126, 127] {
        let mut live = Live::new(p());
        let mut out = String::new();
        for _ in 0..n {
            out.push('[');
        }
        out.push('1');
        for _ in 0..n {
            out.push(']');
        }
        let env = format!(
            r#"{{"station_id":"S","module":"a","module_version":"1","at":5,"output":{out},"input_hash":"00000000000000000000000000000009"}}"#
        );
        live.apply("R", T, &[sent(0, T, env)]);
        let got = live.run(T);
        if got.is_empty() {
            assert_eq!(n, 127, "deeper than a record may be, with its envelope");
            continue;
        }
        let json = got[0].to_json();
        assert!(!json.contains("module_version"), "at depth {n} the dependent sees the whole envelope");
    }
}

#[test]
fn a_newcomer_does_not_overtake_those_that_wait() {
    let mut live = Live::new(fleet(vec![module("m").requires(&["PARAM"])]));
    let recs: Vec<_> = (0..100).map(|n| sent(n, T, of(&format!("S{n}"), 0))).collect();
    live.apply("PARAM", T, &recs);
    let run = poll(&mut live, T).expect("as set up");
    live.finish(run.run, T);
    live.apply("PARAM", T, &[sent(100, T, of("NEW", 0))]);
    let order: Vec<_> = live.run(T).iter().map(|i| i.station.to_string()).collect();
    assert_eq!(order.last().expect("as set up"), "NEW", "{:?}", &order[..4]);
}

#[test]
fn an_upstream_that_fails_releases_its_dependents() {
    let mut live =
        Live::new(fleet(vec![module("a").requires(&["PARAM"]), module("b").requires(&["PARAM"]).optional(&["a"])]));
    live.apply("PARAM", T, &[sent(0, T, s(0))]);
    let r = live.start(T);
    assert_eq!(r.len(), 1);
    live.finish(r[0].run, T + 1);
    let r = live.start(T + 1);
    assert_eq!(r.len(), 1);
    live.finish(r[0].run, T + 1);
    assert_eq!((live.shard.open_runs(), live.oldest_unsettled("PARAM")), (0, None));
}

#[test]
fn a_loaded_bucket_that_a_live_record_closes_completes_a_station() {
    let mut live = Live::starting(fleet(vec![module("m").requires(&["ONLY", "PARAM"])]));
    live.apply_as(Mode::Load, "ONLY", T, &[sent(0, T, s(0))]);
    live.apply_as(Mode::Load, "PARAM", T, &[sent(0, T, s(0))]);
    live.loaded("ONLY", T).loaded("PARAM", T);
    assert!(live.run(T).is_empty());
    live.apply("ONLY", T, &[sent(1, T + 1000, s(1))]);
    assert_eq!(live.run(T + 1000).len(), 1, "PARAM:0 waited for a first closed bucket; now complete");
}

#[derive(Clone, Debug)]
enum Op {
    Rec(usize, usize, i64),
    Tick(i64),
    Start,
    Finish(usize, bool),
    Clock(bool),
}
fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(
        prop_oneof![
        6 => (0usize..6, 0usize..3, -3000i64..3000).prop_map(|(t, s, d)| Op::Rec(t, s, d)),
        3 => (0i64..5000).prop_map(Op::Tick), 3 => Just(Op::Start), 3 => (0usize..8, any::<bool>()).prop_map(|(n, r)| Op::Finish(n, r)), 1 => any::<bool>().prop_map(Op::Clock)],
        1..120,
    )
}
proptest! {
    #![proptest_config(ProptestConfig { cases: CASES / 3, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_everything_settles_and_no_deadline_stays_behind(ops in ops(), policy in 0usize..4) {
        let then = [Then::Wait, Then::Skip, Then::Partial, Then::LastGood][policy];
        let p = fleet(vec![
            module("a").requires(&["PARAM"]).optional(&["K"]).min_interval(700),
            module("b").requires(&["ORDER", "a"]).requires_young("PARAM", 4000).incomplete(then, Some(1500)),
            module("c").requires(&["a", "b"]).optional_young("GB", 3000).min_interval(300).incomplete(then, Some(900)),
            module("d").requires(&["c", "G"]).every(2500).incomplete(then, Some(900)),
            module("e").requires(&["d", "TRIG"]).on(&["d"]).timeout(500)]);
        let names = ["PARAM", "ORDER", "K", "GB", "G", "TRIG"];
        let mut live = Live::new(p);
        let mut now = T; let mut flight: Vec<Invocation> = vec![]; let mut off = [0i64; 6]; let mut serial = 0;
        for op in ops.into_iter().chain((0..200).flat_map(|_| [Op::Tick(1), Op::Start, Op::Finish(0, false)])) {
            match op {
                Op::Rec(t, st, d) => { live.apply(names[t], now, &[sent(off[t], now + d, json!({"stationId": format!("S{st}"), "k": st.to_string()}))]); off[t] += 1; }
                Op::Tick(d) => { now += d; live.shard.handle_timeout(Millis(now)); prop_assert!(live.shard.next_deadline().is_none_or(|d| d.0 > now), "deadline {:?} now {now}", live.shard.next_deadline()); }
                Op::Start => while let Some(i) = poll(&mut live, now) {
                    prop_assert!(flight.iter().all(|f| f.run != i.run), "double");
                    flight.push(i); },
                Op::Finish(n, r) => if !flight.is_empty() { let i = flight.remove(n % flight.len()); serial += 1;
                    live.shard.finish(i.run, End::Done(if r { result(&i, &json!({"n": serial})) } else { None }), Millis(now)); }
                Op::Clock(b) => { let k = live.topic("ORDER"); live.shard.set_event_clock(k, b.then_some(Millis(now - 2000)), Millis(now)); }
            }
            while live.shard.poll_alarm().is_some() {}
        }
        for name in ["ORDER", "GB"] { let k = live.topic(name); live.shard.set_event_clock(k, None, Millis(now)); }
        for _ in 0..400 { now += 100; live.shard.handle_timeout(Millis(now)); while let Some(i) = poll(&mut live, now) { flight.push(i); }
            for i in flight.drain(..) { live.shard.finish(i.run, End::Done(None), Millis(now)); } }
        for name in ["PARAM", "K", "G", "TRIG"] { prop_assert_eq!(live.oldest_unsettled(name), None, "{}", name); }
        let open = live.shard.open_runs();
        prop_assert!(open <= 3, "{open}");
    }
}
