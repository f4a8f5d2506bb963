//! The broker dies and comes back, stands still, or is away for long.

use std::time::Duration;

use quorate_testkit::require_broker;

use crate::checker::Rules;
use crate::config::Knobs;
use crate::history::Role;
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

/// How long a broker is away for long, in seconds: the workload keeps what it cannot send for two minutes.
const AWAY_S: (u32, u32) = (12, 90);
/// What the service may take meanwhile: a tenth of a processor, and some memory more.
const IDLE_SHARE: u32 = 10;
const GROWTH_KIB: u64 = 20 * 1024;

#[test]
fn matrix_05_a_broker_away_for_long_costs_neither_processor_time_nor_memory() {
    let broker = &*require_broker!(killed_broker());
    let scenario = Scenario::begin(broker, "broker-away", Knobs::default());
    let load = scenario.workload().in_background();
    let service = scenario.start();
    scenario.until_more_results(scenario.results() + 50);
    broker.kill();
    // Everybody notices, and what was asked before is given up.
    std::thread::sleep(Duration::from_secs(7));
    let (busy, held) = (service.processor_time(), service.memory_kib());
    let away = Duration::from_secs(u64::from(rounds(1).saturating_mul(AWAY_S.0).min(AWAY_S.1)));
    std::thread::sleep(away);
    let (busy, grown) = (service.processor_time() - busy, service.memory_kib().saturating_sub(held));
    eprintln!("broker-away: {busy:?} of {away:?}, {grown} KiB more");
    assert!(busy < away / IDLE_SHARE, "busy for {busy:?} of {away:?}");
    assert!(grown < GROWTH_KIB, "{grown} KiB more");
    let told = service.log().matches("broker not reachable").count();
    assert!(told <= 2 * Role::ALL.len(), "told {told} times");
    broker.restart();
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &may_be_late());
}
