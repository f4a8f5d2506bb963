//! Members of the groups that are there without being there: frozen past their session.

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
