//! Members of the groups: one that was frozen past its session or polled too late, a second process that nobody wanted,
//! and one that takes over.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quorate_testkit::{require_broker, within};

use crate::checker::Rules;
use crate::config::{self, Knobs, MODULES};
use crate::history::Role;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;
use crate::service::PATIENCE;
use crate::workload::{STATIONS, Workload};

/// What a service ends with whose identity another one has taken over.
const FENCED_EXIT: i32 = 7;

/// How the log names whoever else reads.
const SHARED: &str = "partitions of the topic belong to somebody else";
/// What it says has to be done about it.
const REMEDY: &str = "stop the other process, or give it a group_id of its own";
/// How long partitions are missing before that is said, and how much later at the most.
const SPLIT_AFTER: Duration = Duration::from_secs(30);
const LEISURE: Duration = Duration::from_secs(15);
/// What was in hand when topics began to be shared is published after so long.
const IN_HAND: Duration = Duration::from_secs(5);

/// The longest pause between two polls, and one that is too long.
const POLL_INTERVAL_MS: u64 = 6000;
const TOO_LONG: Duration = Duration::from_secs(8);

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("before the year 292 million")
}

/// Results of all modules between two moments, by the clock of whoever published them.
fn results_between(scenario: &Scenario<'_>, from_ms: i64, to_ms: i64) -> usize {
    let published = MODULES.into_iter().flat_map(|module| {
        let records = scenario.broker.consume_all(&config::results(scenario.name, module));
        records.into_iter().filter_map(|record| record.timestamp_ms)
    });
    published.filter(|ms| (from_ms..to_ms).contains(ms)).count()
}

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
fn matrix_14_a_consumer_held_up_for_longer_than_the_poll_interval_joins_again_by_itself() {
    let broker = require_broker!(broker());
    let knobs = Knobs { poll_interval_ms: Some(POLL_INTERVAL_MS), ..Knobs::default() };
    let mut scenario = Scenario::begin(broker, "polled-too-late", knobs);
    let load = scenario.workload().in_background();
    let nth = scenario.chance.within(20..40);
    let mut service = scenario.start_held("after_poll", nth, TOO_LONG);
    service.until_logged("held up at a point", 1);
    service.until_logged("polled too late, rejoining the group", 1);
    service.until_logged("topic started", Role::ALL.len() + 1);
    scenario.until_more_results(scenario.results());
    let log = service.log();
    assert_eq!(log.matches("topic started").count(), Role::ALL.len() + 1, "others were disturbed:\n{log}");
    assert!(!log.contains("building another"), "no client was broken:\n{log}");
    scenario.finish(service, &load.stop(), &Rules { late: true, ..Rules::default() });
}

#[test]
fn matrix_11_a_second_process_started_by_mistake_and_ended() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "second-process", Knobs::default());
    let load = scenario.workload().in_background();
    let mut first = scenario.start();
    scenario.until_more_results(scenario.results());
    for nth in 1..=rounds(1) as usize {
        let (revoked, told) = (first.log().matches("partitions revoked").count(), first.log().matches(SHARED).count());
        let began = Instant::now();
        let mut second = scenario.start_elsewhere();
        // All that has more than one partition is shared from here on.
        second.until_logged("topic started", Role::ALL.len() - 1);
        first.until_logged("partitions revoked", revoked + Role::ALL.len() - 1);
        let shared_ms = now_ms();
        first.until_logged(SHARED, told + 1);
        let after = began.elapsed();
        let told_ms = now_ms();
        assert!(after >= SPLIT_AFTER && after < SPLIT_AFTER + LEISURE, "told after {after:?}");
        let log = first.log();
        let line = log.lines().filter(|line| line.contains(SHARED)).nth(told).expect("a line");
        assert!(line.contains(REMEDY) && line.contains(" at /127.0.0.1"), "neither member nor remedy: {line}");
        let idle_ms = shared_ms + i64::try_from(IN_HAND.as_millis()).expect("seconds");
        let results = results_between(&scenario, idle_ms, told_ms);
        assert_eq!(results, 0, "inputs were incomplete, round {nth}");
        assert_eq!(second.terminate(scenario.drain_bound()), 0);
        first.until_logged("the topic is not shared any more", 1);
        scenario.until_more_results(scenario.results());
    }
    scenario.finish(first, &load.stop(), &Rules { late: true, shared: true, ..Rules::default() });
}

#[test]
fn matrix_13_of_two_processes_with_one_identity_the_older_ends_and_the_newer_goes_on() {
    let broker = require_broker!(broker());
    let knobs = Knobs { instance_id: Some("one".to_owned()), ..Knobs::default() };
    let scenario = Scenario::begin(broker, "same-identity", knobs);
    // What would wait to be handed over would be in the state of the older one alone.
    let mut workload = scenario.prepared(Workload::new(broker, scenario.name).bad_once_in(None));
    let older = scenario.start();
    scenario.until_settled();
    let before = scenario.results();
    let newer = scenario.start_elsewhere();
    assert_eq!(older.until_ended(), FENCED_EXIT);
    (0..STATIONS).for_each(|station| workload.send(Role::Orders, station));
    workload.flush();
    within(PATIENCE, "results", || (scenario.results() >= before + STATIONS as i64).then_some(()));
    scenario.finish(newer, &workload, &Rules::default());
}
