//! The wall clock of the service jumps; those of the stations do not.

use std::time::Duration;

use quorate_testkit::require_broker;

use crate::checker::Rules;
use crate::config::Knobs;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;

const HOUR_MS: i64 = 3_600_000;
const YEAR_MS: i64 = 365 * 24 * HOUR_MS;

/// How long a jump lasts before it is believed, with something to spare.
const BELIEVED: Duration = Duration::from_secs(65);

/// Runs are delayed all the time, and buckets wait for stragglers.
fn knobs() -> Knobs {
    Knobs { min_interval_ms: 500, ..Knobs::default() }
}

#[test]
fn matrix_33_a_clock_that_jumps_and_comes_back_changes_nothing() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "clock-jumps", knobs());
    let load = scenario.workload().in_background();
    let mut service = scenario.start_clocked();
    scenario.until_more_results(scenario.results());
    for _ in 0..rounds(1) {
        for jump in [HOUR_MS, -HOUR_MS, YEAR_MS, 0, -HOUR_MS] {
            scenario.set_clock(jump);
            scenario.until_more_results(scenario.results() + 100);
        }
    }
    service.until_logged("clock has jumped", 4);
    // The last buckets and delayed runs have nothing but the clock to wait for.
    scenario.finish(service, &load.stop(), &Rules::default());
}

#[test]
fn matrix_33_a_clock_that_stays_where_it_jumped_to_holds_nobody_up() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "clock-stays", knobs());
    let load = scenario.workload().in_background();
    let mut service = scenario.start_clocked();
    scenario.until_more_results(scenario.results());
    // Each jump takes a minute to be believed: forwards, or all the way round.
    let jumps = [HOUR_MS, 0, -HOUR_MS, 0];
    for (nth, jump) in jumps.into_iter().take(if rounds(1) > 1 { jumps.len() } else { 1 }).enumerate() {
        scenario.set_clock(jump);
        std::thread::sleep(BELIEVED);
        service.until_logged("followed", 1 + nth);
        scenario.until_more_results(scenario.results() + 100);
    }
    // Under a clock that runs ahead buckets close over stragglers; what was handed over is right and nothing hangs.
    scenario.finish(service, &load.stop(), &Rules { late: true, ..Rules::default() });
}
