//! Starts that cannot succeed: with a wrong password, and where the machine gives too little.

use quorate_testkit::{User, require_broker};

use crate::checker::Rules;
use crate::config::Knobs;
use crate::scenario::{Scenario, broker, secured_broker};
use crate::seed::rounds;

/// What the service ends with when Kafka does not let it in, and when the start fails for another reason.
const UNREACHABLE_EXIT: i32 = 4;
const FAILED_EXIT: i32 = 1;

const WRONG: &str = "taken-for-a-secret";
const CHANGED: &str = "changed-meanwhile";

#[test]
fn matrix_34_a_password_that_is_wrong_at_the_start_and_one_that_is_changed_later() {
    let broker = &require_broker!(secured_broker());
    let knobs = Knobs { password: Some(WRONG), startup_timeout_s: 4, ..Knobs::default() };
    let mut scenario = Scenario::begin(broker, "login", knobs).through(broker.sasl_bootstrap());
    let load = scenario.workload().in_background();
    assert_eq!(scenario.start().until_ended(), UNREACHABLE_EXIT);
    assert!(scenario.logs().contains("refuses the login"), "{}", scenario.logs());
    let right = User::Svc.password();
    scenario.knobs = Knobs { password: Some(right), ..Knobs::default() };
    let mut service = scenario.start();
    for nth in 1..=rounds(1) {
        scenario.until_more_results(scenario.results());
        broker.set_password(User::Svc, CHANGED);
        service.until_logged("uthentication failed", nth as usize);
        broker.set_password(User::Svc, right);
        scenario.until_more_results(scenario.results());
    }
    for secret in [WRONG, CHANGED, right] {
        assert!(!scenario.logs().contains(secret), "a secret was logged:\n{}", scenario.logs());
    }
    scenario.finish(service, &load.stop(), &Rules { late: true, ..Rules::default() });
}

#[test]
fn matrix_42_a_start_with_too_little_ends_at_once_with_a_remedy() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "limits", Knobs::default());
    let load = scenario.workload().in_background();
    for (limit, remedy) in [("-n 16", "ulimit -n"), ("-n 64", "ulimit -n"), ("-v 600000", "ulimit -v unlimited")] {
        let before = scenario.logs().len();
        assert_eq!(scenario.start_limited(limit).until_ended(), FAILED_EXIT, "{limit}");
        let log = scenario.logs().split_off(before);
        assert!(log.contains(remedy) && !log.contains("panicked"), "{limit}:\n{log}");
        assert!(!scenario.state().exists(), "{limit}: half a start");
    }
    // What is usual is enough.
    let service = scenario.start_limited("-n 1024");
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &Rules::default());
}
