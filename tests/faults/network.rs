//! The service behind a bad network; producers and onlookers have a good one.

use std::time::Duration;

use quorate_testkit::{Direction, require_broker, within};

use crate::checker::Rules;
use crate::config::Knobs;
use crate::history::Role;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;
use crate::service::{PATIENCE, Service};

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

/// Bits that arrive wrong in one round: many at once, then one after another.
const AT_ONCE: usize = 20;
const ONE_BY_ONE: usize = 5;

/// The number of a station: whoever took it as it is would believe it.
const WRONG_BEHIND: &[u8] = br#"{"s":"S"#;

/// What librdkafka 2.12.1 dies of, which reads on at a wrong place behind a bad checksum: then it is started again.
const ABORTED: &str = "rd_slice_narrow_copy";

fn revive(scenario: &Scenario<'_>, service: &mut Service) {
    if service.has_ended() {
        assert!(service.log().contains(ABORTED), "ended:\n{}", service.log());
        *service = scenario.start();
    }
}

/// How often services said that a batch was wrong, or died of it.
fn noticed(scenario: &Scenario<'_>) -> usize {
    let logs = scenario.logs();
    ["batch is corrupt", ABORTED].map(|words| logs.matches(words).count()).iter().sum()
}

#[test]
fn matrix_24_batches_that_arrive_with_a_wrong_bit_are_fetched_again() {
    let broker = require_broker!(broker());
    let proxy = broker.proxy(3);
    let scenario = Scenario::begin(broker, "net-flips", Knobs::default()).through(proxy.bootstrap());
    let mut workload = scenario.workload();
    for _ in 0..rounds(2) {
        // Many batches wait, so that what is fetched has good ones before and behind the bad one.
        let load = workload.in_background();
        std::thread::sleep(Duration::from_secs(3));
        let before = noticed(&scenario);
        proxy.flip_after(Direction::ToClient, WRONG_BEHIND, AT_ONCE);
        let mut service = scenario.start();
        within(PATIENCE, "all of it to be read", || {
            revive(&scenario, &mut service);
            (proxy.flips_left() == 0).then_some(())
        });
        // Of what one answer has wrong in it only the first is told; a bit in an answer that nobody waits for is not.
        let told = noticed(&scenario) - before;
        assert!((1..=AT_ONCE).contains(&told), "{told} of {AT_ONCE} were noticed");
        for _ in 0..ONE_BY_ONE {
            std::thread::sleep(Duration::from_millis(500));
            revive(&scenario, &mut service);
            scenario.until_more_results(scenario.results());
            let before = noticed(&scenario);
            proxy.flip_after(Direction::ToClient, WRONG_BEHIND, 1);
            within(PATIENCE, "the wrong bit to be noticed", || {
                revive(&scenario, &mut service);
                (proxy.flips_left() == 0 && noticed(&scenario) > before).then_some(())
            });
        }
        revive(&scenario, &mut service);
        scenario.until_more_results(scenario.results());
        workload = load.stop();
        assert_eq!(service.terminate(scenario.drain_bound()), 0);
    }
    let (told, flips) = (noticed(&scenario), rounds(2) as usize * (AT_ONCE + ONE_BY_ONE));
    eprintln!("net-flips: {told} of {flips} wrong bits were noticed");
    assert!(told <= flips, "{told} were noticed of {flips}");
    let service = scenario.start();
    scenario.finish(service, &workload, &may_be_late());
}

/// Bytes a second that get through to the broker on each connection: enough to ask for records, not for results.
const TRICKLE: u32 = 8 * 1024;

#[test]
fn matrix_36_results_that_hardly_get_out_hold_up_no_input_and_none_is_lost() {
    let broker = require_broker!(broker());
    let proxy = broker.proxy(4);
    let knobs = Knobs { properties: &[("queue.buffering.max.messages", "20")], ..Knobs::default() };
    let scenario = Scenario::begin(broker, "net-trickle", knobs).through(proxy.bootstrap());
    let load = scenario.workload().in_background();
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    for _ in 0..rounds(1) {
        proxy.throttle(Direction::ToBroker, TRICKLE);
        for _ in 0..3 {
            let ends = broker.end_offsets(&scenario.topic(Role::Orders));
            within(PATIENCE, "input that goes on", || {
                let committed = scenario.committed(Role::Orders);
                ends.iter().all(|(partition, end)| committed.get(partition) >= Some(end)).then_some(())
            });
        }
        proxy.heal();
        scenario.until_more_results(scenario.results());
    }
    scenario.finish(service, &load.stop(), &may_be_late());
}
