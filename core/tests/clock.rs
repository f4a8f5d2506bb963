//! A clock that is set back while something waits: nobody waits longer than without it. Row 33 of the fault matrix.

mod support;

use quorate_core::ident::{Millis, ModuleId};
use quorate_core::plan::Then;
use quorate_core::shard::End;
use serde_json::json;
use support::live::{Live, sent};
use support::{HOUR, MINUTE, SECOND, T0, module, plan, topic};

const YEAR: i64 = 365 * 24 * HOUR;

/// A reading of station S on A, whose clock nobody sets.
fn send(live: &mut Live, offset: i64, now: i64) {
    live.apply("A", now, &[sent(offset, T0 + offset, json!({ "stationId": "S" }))]);
}

/// Sets the clock back, and asserts that nothing is due before `at` of the new time, and something then.
fn set_back_and_wait(live: &mut Live, by_ms: i64, (now, at): (i64, i64)) {
    live.shard.clock_set_back(by_ms, Millis(now));
    assert_eq!(live.shard.next_deadline(), Some(Millis(at)));
    assert_eq!(live.start(at - 1).len(), 0);
    assert_eq!(live.start(at).len(), 1);
}

#[test]
fn a_run_that_waits_for_its_interval_waits_no_longer() {
    for by_ms in [HOUR, YEAR] {
        let mut live = Live::new(plan(vec![topic("A")], vec![module("m").requires(&["A"]).min_interval(10 * SECOND)]));
        send(&mut live, 0, T0);
        assert_eq!(live.run(T0).len(), 1);
        send(&mut live, 1, T0 + SECOND);
        set_back_and_wait(&mut live, by_ms, (T0 + 2 * SECOND - by_ms, T0 + 10 * SECOND - by_ms));
    }
}

#[test]
fn a_run_that_waits_for_another_module_waits_no_longer() {
    let upstream = module("up").requires(&["A"]);
    let mut live = Live::new(plan(vec![topic("A")], vec![upstream, module("down").requires(&["A"]).optional(&["up"])]));
    send(&mut live, 0, T0);
    assert_eq!(live.start(T0).len(), 1, "the other one is held for it");
    let patience = live.shard.next_deadline().expect("a held run").since(Millis(T0));
    set_back_and_wait(&mut live, HOUR, (T0 + SECOND - HOUR, T0 + patience - HOUR));
}

#[test]
fn a_station_that_pauses_pauses_no_longer() {
    let m = module("m").requires(&["A"]).quarantine(1, 10 * MINUTE, 10 * MINUTE);
    let mut live = Live::new(plan(vec![topic("A")], vec![m]));
    send(&mut live, 0, T0);
    let runs = live.start(T0);
    live.shard.finish(runs[0].run, End::GivenUp, Millis(T0));
    live.shard.clock_set_back(HOUR, Millis(T0 + MINUTE - HOUR));
    send(&mut live, 1, T0 + MINUTE - HOUR);
    assert_eq!(live.start(T0 + 10 * MINUTE - HOUR - 1).len(), 0, "as long as it was to last");
    assert_eq!(live.start(T0 + 10 * MINUTE - HOUR).len(), 1);
}

#[test]
fn what_time_makes_due_is_due_at_the_next_multiple_of_the_new_time() {
    let mut live = Live::new(plan(vec![topic("A")], vec![module("m").requires(&["A"]).every(MINUTE)]));
    send(&mut live, 0, T0);
    assert_eq!(live.shard.next_deadline(), Some(Millis(T0 + MINUTE)));
    set_back_and_wait(&mut live, YEAR, (T0 + SECOND - YEAR, T0 + MINUTE - YEAR));
}

#[test]
fn an_alarm_is_raised_no_later() {
    let m = module("m").requires(&["A", "B"]).incomplete(Then::Wait, Some(10 * MINUTE));
    let mut live = Live::new(plan(vec![topic("A"), topic("B")], vec![m]));
    send(&mut live, 0, T0);
    live.shard.clock_set_back(HOUR, Millis(T0 + MINUTE - HOUR));
    live.start(T0 + 10 * MINUTE - HOUR - 1);
    assert_eq!(live.shard.alarmed_stations(ModuleId(0)), 0);
    live.start(T0 + 10 * MINUTE - HOUR);
    assert_eq!(live.shard.alarmed_stations(ModuleId(0)), 1);
}
