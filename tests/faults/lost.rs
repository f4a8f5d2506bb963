//! The state is gone at a start, or is not what the configuration asks for any more: what was sent once, long ago, comes
//! back from the topics.

use std::fs;
use std::time::Duration;

use quorate_testkit::{require_broker, within};

use crate::checker::Rules;
use crate::config::{Knobs, ORDERS};
use crate::history::Role;
use crate::scenario::{Scenario, broker};
use crate::workload::{STATIONS, Workload};

/// How soon every station has a result once it is asked for.
const SOON: Duration = Duration::from_secs(30);

/// Orders more that a window keeps.
const WIDER_BY: usize = 3;

/// Sends what makes every station complete, and has it settled by a service that is stopped then. What waits to be handed
/// over is lost with a state, by what is promised; so there is none of that.
fn settled(scenario: &Scenario<'_>) -> Workload {
    let workload = scenario.prepared(Workload::new(scenario.broker, scenario.name).bad_once_in(None));
    let service = scenario.start();
    scenario.until_settled();
    assert_eq!(service.terminate(scenario.drain_bound()), 0);
    workload
}

/// Sends an order of each station.
fn order(workload: &mut Workload) {
    (0..STATIONS).for_each(|station| workload.send(Role::Orders, station));
    workload.flush();
}

/// Waits until each station has one result more.
fn until_each_has_one_more(scenario: &Scenario<'_>, before: i64) {
    within(SOON, "a result of each station", || (scenario.results() >= before + STATIONS as i64).then_some(()));
}

/// Starts the service with an order of each station to come, and nothing else.
fn starts_with_orders_alone(scenario: Scenario<'_>, mut workload: Workload, rules: &Rules) {
    let before = scenario.results();
    let mut service = scenario.start();
    service.until_logged("topic started", Role::ALL.len());
    order(&mut workload);
    until_each_has_one_more(&scenario, before);
    scenario.finish(service, &workload, rules);
}

/// Nothing says any more what was read: it is all read and published anew.
fn anew(scenario: &Scenario<'_>) -> Rules {
    let recreated = Role::ALL.map(|role| scenario.topic(role)).into();
    Rules { recreated, foreign: true, losses: 1, ..Rules::default() }
}

#[test]
fn a_lost_folder_of_the_state_costs_neither_calendar_nor_parameters() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "lost-state", Knobs::default());
    let mut workload = settled(&scenario);
    fs::remove_dir_all(scenario.state()).expect("a folder");
    let before = scenario.results();
    let service = scenario.start();
    // Nothing says any more that modules ran.
    until_each_has_one_more(&scenario, before);
    order(&mut workload);
    until_each_has_one_more(&scenario, before + STATIONS as i64);
    scenario.finish(service, &workload, &Rules { losses: 1, ..Rules::default() });
}

#[test]
fn a_lost_folder_of_the_state_and_lost_offsets_cost_neither_calendar_nor_parameters() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "lost-everything", Knobs::default());
    let workload = settled(&scenario);
    fs::remove_dir_all(scenario.state()).expect("a folder");
    scenario.forget_committed();
    let rules = anew(&scenario);
    starts_with_orders_alone(scenario, workload, &rules);
}

#[test]
fn a_first_start_from_the_latest_on_knows_what_full_topics_hold() {
    let broker = require_broker!(broker());
    let knobs = Knobs { reset: "latest", ..Knobs::default() };
    let scenario = Scenario::begin(broker, "lost-never-had", knobs);
    let workload = scenario.prepared(Workload::new(broker, scenario.name).bad_once_in(None));
    starts_with_orders_alone(scenario, workload, &Rules::default());
}

#[test]
fn a_window_that_is_wider_after_a_restart_is_filled_from_its_topic() {
    let broker = require_broker!(broker());
    let mut scenario = Scenario::begin(broker, "lost-narrow", Knobs::default());
    let mut workload = settled(&scenario);
    let service = scenario.start();
    (0..ORDERS).for_each(|_| order(&mut workload));
    scenario.until_settled();
    assert_eq!(service.terminate(scenario.drain_bound()), 0);
    scenario.knobs.orders = ORDERS + WIDER_BY;
    starts_with_orders_alone(scenario, workload, &Rules { wider_by: WIDER_BY, ..Rules::default() });
}
