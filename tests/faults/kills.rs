//! The service is killed at any moment, again and again.

use std::time::Duration;

use quorate_testkit::{require_broker, within};

use crate::checker::Rules;
use crate::config::{DEATHS, Knobs, LATEST};
use crate::history::Role;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;
use crate::service::{PATIENCE, Signal};
use crate::soak::visitor::visit;
use crate::workload::STATIONS;

/// Where the service may be killed, and how many passings there are to choose from before it dies.
const POINTS: [(&str, u64); 16] = [
    ("after_poll", 20),
    ("assign_callback", 4),
    ("before_flush", 10),
    ("after_flush", 10),
    ("before_group_commit", 10),
    ("store_open", 1),
    ("restoring", 1),
    ("store_before_commit", 10),
    ("device_half_written", 60),
    ("device_written", 30),
    ("store_after_commit", 10),
    ("before_module", 50),
    ("after_module", 50),
    ("record_sent", 50),
    ("result_acknowledged", 50),
    ("letter_acknowledged", 3),
];

/// Those that may be passed only by a service that was asked to end.
const LAST_POINTS: [(&str, u64); 4] =
    [("during_drain", 1), ("revoke_callback", 4), ("store_before_raise", 1), ("store_after_raise", 1)];

/// The callbacks of a rebalance, and the passing that is no part of a start: each of the five topics is assigned once then.
const CALLBACKS: [(&str, u64); 2] = [("revoke_callback", 1), ("assign_callback", 6)];

/// A killed member that is static gets its partitions back without waiting for the end of its session.
fn static_member() -> Knobs {
    Knobs { instance_id: Some("one".to_owned()), ..Knobs::default() }
}

#[test]
fn matrix_01_sigkill_at_random_moments_under_load() {
    let broker = require_broker!(broker());
    let mut scenario = Scenario::begin(broker, "kill-random", static_member());
    let load = scenario.workload().in_background();
    for _ in 0..rounds(6) {
        let service = scenario.start();
        std::thread::sleep(scenario.chance.millis(50..3000));
        service.kill();
    }
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &Rules::default());
}

#[test]
fn matrix_01_sigkill_while_results_come() {
    let broker = require_broker!(broker());
    let mut scenario = Scenario::begin(broker, "kill-busy", static_member());
    let load = scenario.workload().in_background();
    for _ in 0..rounds(5) {
        let service = scenario.start();
        scenario.until_more_results(scenario.results() + 20);
        std::thread::sleep(scenario.chance.millis(0..400));
        service.kill();
    }
    let service = scenario.start();
    scenario.finish(service, &load.stop(), &Rules::default());
}

#[test]
fn matrix_38_a_call_that_keeps_ending_the_process_pauses_its_station_and_everybody_else_is_served() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "kill-call", static_member());
    let mut workload = scenario.workload();
    for _ in 0..DEATHS {
        scenario.start_deadly(LATEST, "S1").until_dead_at("deadly_call");
    }
    let mut service = scenario.start_deadly(LATEST, "S1");
    service.until_logged("station pauses", 1);
    (0..STATIONS).for_each(|station| workload.send(Role::Orders, station));
    workload.flush();
    scenario.until_settled();
    let others = STATIONS as i64 - 1;
    within(PATIENCE, "results of the others", || (scenario.results() >= others).then_some(()));
    assert_eq!(service.terminate(scenario.drain_bound()), 0, "what waits for the end of a pause waits on");
    let before = scenario.results();
    let service = scenario.start();
    scenario.until_more_results(before);
    scenario.finish(service, &workload, &Rules::default());
}

#[test]
fn matrix_45_a_service_that_dies_early_at_every_start_makes_it_in_the_end() {
    let broker = require_broker!(broker());
    let mut scenario = Scenario::begin(broker, "kill-loop", static_member());
    let workload = scenario.workload();
    for _ in 0..rounds(12) {
        let service = scenario.start();
        std::thread::sleep(scenario.chance.millis(0..700));
        service.kill();
    }
    let service = scenario.start();
    scenario.finish(service, &workload, &Rules::default());
}

#[test]
fn matrix_01_no_result_goes_back_behind_one_that_was_published_before_a_kill() {
    let broker = require_broker!(broker());
    // What was published in two seconds is read again after each kill, in small portions with results in between.
    let knobs = Knobs { flush_interval_ms: 2000, poll_records: 5, ..static_member() };
    let mut scenario = Scenario::begin(broker, "kill-order", knobs);
    let load = scenario.workload().in_background();
    for _ in 0..rounds(4) {
        let service = scenario.start();
        scenario.until_more_results(scenario.results() + 200);
        std::thread::sleep(scenario.chance.millis(0..1500));
        service.kill();
    }
    let service = scenario.start();
    scenario.finish(service, &load.stop(), &Rules::default());
}

#[test]
fn matrix_01_killed_at_every_named_point() {
    let broker = require_broker!(broker());
    let mut scenario = Scenario::begin(broker, "kill-points", static_member());
    let load = scenario.workload().in_background();
    let first = scenario.start();
    scenario.until_more_results(scenario.results());
    first.kill();
    let mut points: Vec<(&str, u64)> = POINTS.iter().chain(&LAST_POINTS).copied().collect();
    for _ in 0..rounds(1) {
        // Each start makes good what the death before it left, on its way to a death of its own.
        for left in (1..points.len() as u64).rev() {
            let other = usize::try_from(scenario.chance.within(0..left + 1)).expect("a short list");
            points.swap(usize::try_from(left).expect("a short list"), other);
        }
        for (point, most) in &points {
            let nth = scenario.chance.within(1..most + 1);
            eprintln!("kill-points: {point}:{nth}");
            let before = scenario.results();
            let mut service = scenario.start_armed(point, nth);
            if LAST_POINTS.iter().any(|(last, _)| last == point) {
                let busy_or_dead = || (scenario.results() > before || service.has_ended()).then_some(());
                within(PATIENCE, "results or the end", busy_or_dead);
                if !service.has_ended() {
                    service.signal(Signal::TERM);
                }
            }
            service.until_dead_at(point);
        }
    }
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &Rules::default());
}

#[test]
fn matrix_01_killed_inside_a_rebalance_that_a_visitor_began() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "kill-rebalance", static_member());
    let load = scenario.workload().in_background();
    for _ in 0..rounds(1) {
        for (point, nth) in CALLBACKS {
            let mut service = scenario.start_armed(point, nth);
            service.until_logged("topic started", Role::ALL.len());
            scenario.until_more_results(scenario.results());
            let (broker, name) = (scenario.broker, scenario.name);
            std::thread::scope(|scope| {
                let visitor = scope.spawn(move || visit(broker, name, Role::Orders, Duration::from_millis(500)));
                service.until_dead_at(point);
                // Whoever was killed comes back while the other one is there.
                let next = scenario.start();
                visitor.join().expect("the visitor does not panic");
                scenario.until_more_results(scenario.results());
                next.kill();
            });
        }
    }
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &Rules::default());
}
