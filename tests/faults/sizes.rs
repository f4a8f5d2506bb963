//! Records larger than what is fetched at once, and larger than what is looked at, among others.

use quorate_testkit::require_broker;

use crate::checker::Rules;
use crate::config::Knobs;
use crate::history::Role;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;

const MB: usize = 1_000_000;

/// Four times what a client fetches of a partition by itself.
const LARGE: usize = 4 * MB;
/// What the service looks at, and what it finds instead.
const LIMIT: usize = 6 * MB;
const TOO_LARGE: usize = 10 * MB;

/// Four topics have such a record each twice, and each is held by the client, as a batch, and as a dead letter.
const MORE_MEMORY_MIB: u64 = 150;

#[test]
fn matrix_22_records_larger_than_fetches_and_larger_than_the_limit() {
    let broker = require_broker!(broker());
    let knobs = Knobs { message_bytes: 16 * MB, record_bytes: Some(LIMIT), ..Knobs::default() };
    let scenario = Scenario::begin(broker, "sizes", knobs);
    let mut workload = scenario.workload();
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    for nth in 0..rounds(2) {
        workload.send_large(Role::Param, u64::from(nth), LARGE);
        for role in [Role::Param, Role::Orders, Role::Curve, Role::Task] {
            workload.send_raw(role, Some(vec![b' '; TOO_LARGE]), "too_large");
        }
        // Every topic goes on behind them.
        let load = workload.in_background();
        scenario.until_more_results(scenario.results() + 50);
        workload = load.stop();
    }
    scenario.finish(service, &workload, &Rules { more_memory_mib: MORE_MEMORY_MIB, ..Rules::default() });
}
