//! Members of the groups: one that was frozen past its session, and a second process that nobody wanted.

use std::time::Duration;

use quorate_testkit::require_broker;

use crate::checker::Rules;
use crate::config::Knobs;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;

#[test]
fn matrix_12_a_service_frozen_for_two_sessions_goes_on() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "zombie", Knobs::default());
    let load = scenario.workload().in_background();
    let service = scenario.start();
    for _ in 0..rounds(1) {
        scenario.until_more_results(scenario.results());
        service.freeze(Duration::from_secs(12));
    }
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &Rules { late: true, ..Rules::default() });
}

#[test]
fn matrix_11_a_second_process_started_by_mistake_and_ended() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "second-process", Knobs::default());
    let load = scenario.workload().in_background();
    let first = scenario.start();
    scenario.until_more_results(scenario.results());
    for _ in 0..rounds(1) {
        let mut second = scenario.start_elsewhere();
        second.until_logged("topic started", 3);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(second.terminate(scenario.drain_bound()), 0);
    }
    scenario.until_more_results(scenario.results());
    scenario.finish(first, &load.stop(), &Rules { late: true, shared: true, ..Rules::default() });
}
