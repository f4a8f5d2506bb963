//! Topics change under the service: deleted and created again, grown, and cut by retention.

use quorate_testkit::{require_broker, within};

use crate::checker::Rules;
use crate::config::{Knobs, ORDERS, dead_letters, group};
use crate::history::Role;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;
use crate::service::PATIENCE;
use crate::workload::{STATIONS, Workload};

/// How the service says that positions do not exist any more.
const GAP: &str = "position out of range, records are missing";

/// Deletes the topic of orders and creates it again.
fn recreate_orders(scenario: &Scenario<'_>, workload: &mut Workload) {
    let topic = scenario.topic(Role::Orders);
    scenario.broker.delete_topic(&topic);
    workload.recreated(Role::Orders);
    scenario.broker.create_topic(&topic, 3, &[]);
}

/// So many orders of each station.
fn send_orders(workload: &mut Workload, orders: usize) {
    for station in (0..STATIONS).cycle().take(orders * STATIONS as usize) {
        workload.send(Role::Orders, station);
    }
    workload.flush();
}

/// So many orders of each station before it, and one lot after another behind it.
fn recreation(name: &'static str, before: usize, after: &[usize]) {
    let broker = require_broker!(broker());
    // Long enough that no client happens to look while the topic is gone.
    let knobs = Knobs { metadata_ms: 5000, ..Knobs::default() };
    let scenario = Scenario::begin(broker, name, knobs);
    let mut workload = scenario.prepared(Workload::new(broker, name).bad_once_in(None).in_order());
    let service = scenario.start();
    send_orders(&mut workload, before);
    scenario.until_settled();
    for _ in 0..rounds(1) {
        recreate_orders(&scenario, &mut workload);
        for orders in after {
            let results = scenario.results();
            send_orders(&mut workload, *orders);
            scenario.until_more_results(results);
        }
    }
    let recreated = [scenario.topic(Role::Orders)].into();
    scenario.finish(service, &workload, &Rules { recreated, ..Rules::default() });
}

#[test]
fn matrix_26_a_topic_deleted_and_recreated_shorter() {
    // First half a window: what modules see of a station is of both lives then.
    recreation("recreated-shorter", 6 * ORDERS, &[ORDERS / 2, ORDERS]);
}

#[test]
fn matrix_26_a_topic_deleted_and_recreated_longer() {
    recreation("recreated-longer", ORDERS, &[6 * ORDERS]);
}

#[test]
fn matrix_27_partitions_added_under_load() {
    let broker = require_broker!(broker());
    let mut scenario = Scenario::begin(broker, "grown", Knobs::default());
    let load = scenario.prepared(Workload::new(broker, scenario.name).in_order()).in_background();
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    let mut partitions = 3;
    for _ in 0..rounds(2) {
        partitions += 2;
        broker.grow_topic(&scenario.topic(Role::Orders), partitions);
        std::thread::sleep(scenario.chance.millis(500..2500));
    }
    within(PATIENCE, "records in a new partition", || {
        broker.end_offsets(&scenario.topic(Role::Orders)).get(&3).is_some_and(|end| *end > 0).then_some(())
    });
    scenario.finish(service, &load.stop(), &Rules::default());
}

#[test]
fn matrix_28_retention_passes_the_committed_offset_while_the_service_is_down() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "retention", Knobs::default());
    let workload = scenario.prepared(Workload::new(broker, scenario.name).bad_once_in(None).in_order());
    let service = scenario.start();
    let load = workload.in_background();
    scenario.until_more_results(scenario.results());
    assert_eq!(service.terminate(scenario.drain_bound()), 0);
    let committed = scenario.committed(Role::Orders);
    within(PATIENCE, "records that nobody has read", || {
        let ends = broker.end_offsets(&scenario.topic(Role::Orders));
        committed.iter().all(|(partition, offset)| ends[partition] > offset + 50).then_some(())
    });
    let mut workload = load.stop();
    let ends = broker.end_offsets(&scenario.topic(Role::Orders));
    for (partition, end) in &ends {
        broker.delete_before(&scenario.topic(Role::Orders), *partition, *end);
    }
    // What stations send afterwards fills their windows: nothing of what was lost would be in them.
    workload.complete_all();
    workload.flush();
    let mut service = scenario.start();
    service.until_logged(GAP, ends.len());
    let mut gaps: Vec<String> =
        service.log().lines().filter_map(|line| line.split_once(GAP)).map(|gap| gap.1).map(str::to_owned).collect();
    gaps.sort();
    let group = group(scenario.name, Role::Orders);
    let missing = ends.iter().map(|(partition, to)| {
        let (topic, from) = (scenario.topic(Role::Orders), committed[partition]);
        let missed = to - from;
        format!(" topic={topic:?} group={group:?} partition={partition} from={from} to={to} missed={missed}")
    });
    assert_eq!(gaps, missing.collect::<Vec<_>>(), "each gap once, with its range");
    scenario.finish(service, &workload, &Rules::default());
    assert!(broker.consume_all(&dead_letters("retention")).is_empty(), "a gap is no dead letter");
}
