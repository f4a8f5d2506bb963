//! The service behind a bad network; producers and onlookers have a good one.

use std::time::Duration;

use quorate_testkit::{Direction, require_broker};

use crate::checker::Rules;
use crate::config::Knobs;
use crate::history::Role;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;

/// What the service takes for the end of a topic may be what has not got through yet.
fn may_be_late() -> Rules {
    Rules { late: true, ..Rules::default() }
}

#[test]
fn matrix_07_a_slow_network() {
    let broker = require_broker!(broker());
    let proxy = broker.proxy(0);
    let scenario = Scenario::begin(broker, "net-slow", Knobs::default()).through(proxy.bootstrap());
    for direction in [Direction::ToBroker, Direction::ToClient] {
        proxy.delay(direction, Duration::from_millis(150));
        proxy.throttle(direction, 128 * 1024);
    }
    let load = scenario.workload().in_background();
    let mut service = scenario.start();
    for _ in 0..rounds(3) {
        scenario.until_more_results(scenario.results() + 20);
    }
    service.until_logged("topic started", Role::ALL.len());
    let workload = load.stop();
    scenario.until_settled();
    assert_eq!(service.log().matches("topic started").count(), Role::ALL.len(), "nobody was thrown out of a group");
    proxy.heal();
    scenario.finish(service, &workload, &may_be_late());
}

#[test]
fn matrix_08_connections_cut_every_second() {
    let broker = require_broker!(broker());
    let proxy = broker.proxy(1);
    let scenario = Scenario::begin(broker, "net-cut", Knobs::default()).through(proxy.bootstrap());
    let load = scenario.workload().in_background();
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    for _ in 0..rounds(8) {
        std::thread::sleep(Duration::from_secs(1));
        assert!(proxy.connections() > 0, "the service is behind the proxy");
        proxy.cut();
    }
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &may_be_late());
}

#[test]
fn matrix_08_half_open_for_15_seconds_then_one_direction_held_up() {
    let broker = require_broker!(broker());
    let proxy = broker.proxy(2);
    let scenario = Scenario::begin(broker, "net-half-open", Knobs::default()).through(proxy.bootstrap());
    let load = scenario.workload().in_background();
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    proxy.half_open();
    std::thread::sleep(Duration::from_secs(15));
    proxy.heal();
    scenario.until_more_results(scenario.results());
    for direction in [Direction::ToClient, Direction::ToBroker] {
        proxy.hold(direction);
        std::thread::sleep(Duration::from_secs(5));
        proxy.heal();
        scenario.until_more_results(scenario.results());
    }
    scenario.finish(service, &load.stop(), &may_be_late());
}
