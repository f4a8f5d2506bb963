//! The broker dies and comes back, or stands still.

use std::time::Duration;

use quorate_testkit::require_broker;

use crate::checker::Rules;
use crate::config::Knobs;
use crate::scenario::{Scenario, frozen_broker, killed_broker};
use crate::seed::rounds;

/// While the broker is away readings wait with whoever sent them, and their buckets are closed by time.
fn may_be_late() -> Rules {
    Rules { late: true, ..Rules::default() }
}

#[test]
fn matrix_06_a_broker_killed_and_restarted_under_load() {
    let broker = &*require_broker!(killed_broker());
    let mut scenario = Scenario::begin(broker, "broker-kill", Knobs::default());
    let load = scenario.workload().in_background();
    let service = scenario.start();
    for _ in 0..rounds(2) {
        scenario.until_more_results(scenario.results() + 20);
        std::thread::sleep(scenario.chance.millis(0..1000));
        broker.kill();
        broker.restart();
    }
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &may_be_late());
}

#[test]
fn matrix_05_a_broker_frozen_past_the_session_and_thawed() {
    let broker = &*require_broker!(frozen_broker());
    let scenario = Scenario::begin(broker, "broker-frozen", Knobs::default());
    let load = scenario.workload().in_background();
    let service = scenario.start();
    for _ in 0..rounds(1) {
        scenario.until_more_results(scenario.results() + 20);
        broker.pause();
        std::thread::sleep(Duration::from_secs(9));
        broker.resume();
    }
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &may_be_late());
}
