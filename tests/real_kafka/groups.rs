//! Rows 4-04, 4-22, 3-03: what Kafka's own tools see of the service, and how many clients it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_testkit::{Broker, require_broker, within};

use crate::place::{PATIENCE, Place, reading, stations};
use crate::running::Running;
use crate::scripted::{Gate, Scripted};

/// A row of `kafka-consumer-groups --describe`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    current: i64,
    end: i64,
    lag: i64,
    has_member: bool,
}

/// What Kafka's own tool says of a group, by topic and partition.
fn describe(broker: &Broker, group: &str) -> BTreeMap<(String, i32), Row> {
    let output = broker.tool("kafka-consumer-groups", ["--describe", "--group", group]);
    let shown = String::from_utf8(output.stdout).expect("text");
    let rows = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|columns| columns.first() == Some(&group) && columns.len() >= 7);
    let number = |column: &str| column.parse().unwrap_or(-1);
    rows.map(|columns| {
        let place = (columns[1].to_owned(), columns[2].parse().expect("a partition"));
        let (current, end, lag) = (number(columns[3]), number(columns[4]), number(columns[5]));
        (place, Row { current, end, lag, has_member: columns[6] != "-" })
    })
    .collect()
}

#[test]
fn row_4_04_and_0_39_and_1_24_and_1_27_groups_and_their_true_lag_are_what_kafkas_own_tool_shows() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_4_04");
    place.create(&["A", "B"]);
    let gate = Gate::shut();
    let module = Scripted::gated("m", &gate);
    let mut config = place.config();
    place.reads(&mut config, &["A", "B"]);
    place.requires(&mut config, "m", &["A", "B"]);
    config.set("modules.m", "trigger", format!("{{ on = [{:?}] }}", place.topic("A")));
    config.set("modules.m", "concurrency", "1");
    config.set("modules.m", "timeout", "\"10m\"");
    let stations = stations(20);
    place.produce("B", stations.iter().map(|station| reading(station, 0)));
    let running = Running::start(&config, &[&module]);
    place.until_all_committed(&place.group("B"), "B");

    place.produce("A", stations.iter().map(|station| reading(station, 1)));
    within(PATIENCE, "the module to be held up", || (module.calls() == 1).then_some(()));
    within(PATIENCE, "every station's run to be owed", || (running.health(&place, "A").records == 20).then_some(()));

    let row = |topic: &str| {
        let mut rows = describe(broker, &place.group(topic));
        rows.remove(&(place.topic(topic), 0)).expect("a row of the tool")
    };
    assert_eq!(row("A"), Row { current: 0, end: 20, lag: 20, has_member: true });
    assert_eq!(row("B"), Row { current: 20, end: 20, lag: 0, has_member: true });
    // The service itself has the same three numbers.
    let known = |topic: &str| {
        let health = running.health(&place, topic).partitions[&0];
        (health.committed.map(|at| at.0), health.end.map(|at| at.0), health.uncommitted())
    };
    assert_eq!((known("A"), known("B")), ((Some(0), Some(20), Some(20)), (Some(20), Some(20), Some(0))));
    gate.open();
    place.until_all_committed(&place.group("A"), "A");
    assert_eq!(row("A"), Row { current: 20, end: 20, lag: 0, has_member: true });
    assert!(running.stop().drained);
    assert_eq!(row("A"), Row { current: 20, end: 20, lag: 0, has_member: false }, "the group was left");
}

#[test]
fn row_3_03_one_producer_serves_ten_thousand_results_and_each_topic_has_one_consumer() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_3_03");
    place.create(&["A", "B", "C"]);
    let module = Scripted::echo("m");
    let mut config = place.config();
    place.reads(&mut config, &["A", "B", "C"]);
    place.requires(&mut config, "m", &["A", "B", "C"]);
    let stations = stations(10_000);
    let run = |multi: bool, module: &Arc<Scripted>| {
        let mut config = config.clone();
        config.set("kafka.consumer", "multi_consumer_mode", multi.to_string());
        Running::start(&config, &[module])
    };
    for topic in ["A", "B", "C"] {
        place.produce(topic, stations.iter().map(|station| reading(station, 1)));
    }

    let running = run(true, &module);
    within(PATIENCE, "ten thousand results", || (running.service().publishing().totals().0 >= 10_000).then_some(()));
    assert_eq!(running.service().publishing().clients_built, 1);
    assert_eq!(running.service().consumer_count(), 3);
    assert!(running.stop().drained);

    let running = run(false, &module);
    assert_eq!(running.service().consumer_count(), 1);
    assert!(running.stop().drained);
}
