//! What happens to topics and groups, and to time, while the service is down.

use std::time::Duration;

use quorate_testkit::{Broker, require_broker, within};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::checker::Rules;
use crate::config::{Knobs, group};
use crate::history::Role;
use crate::scenario::{Scenario, broker};
use crate::service::PATIENCE;

#[test]
fn matrix_40_an_open_bucket_survives_a_stop_longer_than_it_waits_for_stragglers() {
    let broker = require_broker!(broker());
    let knobs = Knobs { close_after_s: 3, ..Knobs::default() };
    let scenario = Scenario::begin(broker, "down-long", knobs);
    let load = scenario.workload().in_background();
    let service = scenario.start();
    scenario.until_more_results(scenario.results() + 100);
    assert_eq!(service.terminate(scenario.drain_bound()), 0);
    let workload = load.stop();
    std::thread::sleep(Duration::from_secs(6));
    let service = scenario.start();
    scenario.finish(service, &workload, &Rules::default());
}

#[test]
fn matrix_29_group_offsets_deleted_while_the_service_is_down() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "no-offsets", Knobs::default());
    let load = scenario.workload().in_background();
    let service = scenario.start();
    scenario.until_more_results(scenario.results() + 50);
    assert_eq!(service.terminate(scenario.drain_bound()), 0);
    scenario.forget_committed();
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &Rules::default());
}

#[test]
fn matrix_30_a_group_moved_ahead_by_somebody_else_while_the_service_is_down() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "foreign", Knobs::default());
    let load = scenario.workload().in_background();
    let service = scenario.start();
    scenario.until_more_results(scenario.results() + 50);
    assert_eq!(service.terminate(scenario.drain_bound()), 0);
    let stood = Role::ALL.map(|role| scenario.committed(role));
    within(PATIENCE, "records that nobody has read", || {
        let further = |(role, stood)| broker.end_offsets(&scenario.topic(role)) != stood;
        Role::ALL.into_iter().zip(stood.clone()).all(further).then_some(())
    });
    Role::ALL.into_iter().for_each(|role| commit_everything(broker, &scenario, role));
    let mut service = scenario.start();
    service.until_logged("somebody else commits for it", Role::ALL.len());
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &Rules { foreign: true, ..Rules::default() });
}

/// Commits the end of a topic for its group, as a tool of an operator does while nobody is a member.
fn commit_everything(broker: &Broker, scenario: &Scenario<'_>, role: Role) {
    let mut config = broker.client_config();
    config.set("group.id", group(scenario.name, role)).set("enable.auto.commit", "false");
    let client: BaseConsumer = config.create().expect("valid properties");
    let mut ends = TopicPartitionList::new();
    for (partition, end) in broker.end_offsets(&scenario.topic(role)) {
        ends.add_partition_offset(&scenario.topic(role), partition, Offset::Offset(end)).expect("an offset");
    }
    client.commit(&ends, CommitMode::Sync).expect("the group has no member");
}
