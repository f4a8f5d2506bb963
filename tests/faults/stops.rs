//! The service is asked to end, at any moment and while nobody answers it.

use quorate_testkit::require_broker;

use crate::checker::Rules;
use crate::config::Knobs;
use crate::history::Role;
use crate::scenario::{Scenario, broker, frozen_broker};
use crate::seed::rounds;
use crate::service::Signal;

#[test]
fn matrix_02_sigterm_at_random_moments_under_load() {
    let broker = require_broker!(broker());
    let mut scenario = Scenario::begin(broker, "term-random", Knobs::default());
    let load = scenario.workload().in_background();
    for _ in 0..rounds(5) {
        let service = scenario.start();
        std::thread::sleep(scenario.chance.millis(50..3000));
        let code = service.terminate(scenario.drain_bound());
        assert_eq!(code, 0, "the runs that were due could be finished");
    }
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &Rules::default());
}

#[test]
fn matrix_03_sigterm_with_a_frozen_broker_ends_within_the_drain_timeout() {
    let broker = &*require_broker!(frozen_broker());
    let knobs = Knobs { drain_timeout_s: 4, ..Knobs::default() };
    let mut scenario = Scenario::begin(broker, "term-frozen", knobs);
    let mut workload = scenario.workload();
    for _ in 0..rounds(2) {
        let service = scenario.start();
        let before = scenario.results();
        workload.send(Role::Calendar, 0);
        scenario.until_more_results(before);
        let load = workload.in_background();
        std::thread::sleep(scenario.chance.millis(200..1500));
        broker.pause();
        let code = service.terminate(scenario.drain_bound());
        broker.resume();
        assert!(matches!(code, 0 | 5), "ended with {code}");
        workload = load.stop();
    }
    let service = scenario.start();
    scenario.finish(service, &workload, &Rules { late: true, ..Rules::default() });
}

#[test]
fn matrix_02_a_second_sigterm_loses_nothing() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "term-twice", Knobs::default());
    let load = scenario.workload().in_background();
    for _ in 0..rounds(2) {
        let service = scenario.start();
        scenario.until_more_results(scenario.results());
        service.signal(Signal::TERM);
        let code = service.terminate(scenario.drain_bound());
        assert!(matches!(code, 0 | 130), "ended with {code}");
    }
    let service = scenario.start();
    scenario.finish(service, &load.stop(), &Rules::default());
}
