//! The service is killed at any moment, again and again.

use quorate_testkit::require_broker;

use crate::checker::Rules;
use crate::config::Knobs;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;

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
