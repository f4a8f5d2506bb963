//! A broker that dies or freezes costs time and nothing else.

use quorate_testkit::{Broker, BrokerOptions, require_broker, within};

use crate::follow::{CommitWatch, Results};
use crate::place::{Config, PATIENCE, Place, reading, rounds, stations};
use crate::running::Running;
use crate::scripted::Scripted;

const TOPICS: [&str; 3] = ["A", "B", "C"];

fn config(place: &Place<'_>) -> Config {
    let mut config = place.config();
    config.set("kafka.consumer", "session_timeout_ms", "6000");
    config.set("kafka.consumer", "heartbeat_interval_ms", "500");
    // A frozen broker is noticed soon, so that the test need not last.
    config.set("kafka.properties", "\"socket.timeout.ms\"", "2000");
    place.reads(&mut config, &TOPICS);
    place.requires(&mut config, "m", &TOPICS);
    config
}

#[test]
fn a_broker_that_is_killed_under_load_and_restarted_costs_no_record() {
    let broker = &require_broker!(Broker::start(BrokerOptions::default()));
    let place = Place::new(broker, "outage_kill");
    place.create(&TOPICS);
    let stations = stations(100);
    let module = Scripted::echo("m");
    let running = Running::start(&config(&place), &[&module]);
    running.until_all_assigned();
    for topic in ["B", "C"] {
        place.produce(topic, stations.iter().map(|station| reading(station, 1)));
    }
    place.produce("A", stations.iter().map(|station| reading(station, 0)));
    let mut results = Results::of(&place);
    results.until_last(&place, "m", &stations, &[("A", 0), ("B", 1), ("C", 1)]);
    let watches = TOPICS.map(|topic| CommitWatch::start(broker, &place.group(topic), &place.topic(topic), 1));

    for round in 0..2_u64 {
        std::thread::scope(|scope| {
            let (first, next) = (round * 500 + 1, round * 500 + 501);
            let (place, stations) = (&place, &stations);
            let loading = scope.spawn(move || place.produce("A", rounds(stations, first..next)));
            let before = module.calls();
            within(PATIENCE, "results under load", || (module.calls() > before).then_some(()));
            broker.kill();
            broker.restart();
            assert_eq!(loading.join().expect("the loader does not panic"), 500 * 100);
        });
        results.until_last(&place, "m", &stations, &[("A", round * 500 + 500)]);
    }

    place.produce("B", stations.iter().map(|station| reading(station, 2)));
    results.until_last(&place, "m", &stations, &[("A", 1000), ("B", 2), ("C", 1)]);
    TOPICS.iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    watches.into_iter().for_each(CommitWatch::never_went_back);
    assert_eq!(running.service().publishing().clients_built, 1);
    assert!(running.service().health().snapshot().iter().all(|topic| topic.rebuilds == 0));
    assert!(running.stop().drained);
}

#[test]
fn a_broker_that_freezes_past_the_session_and_thaws_costs_no_record() {
    let broker = &require_broker!(Broker::start(BrokerOptions::default()));
    let place = Place::new(broker, "outage_pause");
    place.create(&TOPICS);
    let stations = stations(50);
    let module = Scripted::echo("m");
    let running = Running::start(&config(&place), &[&module]);
    for topic in TOPICS {
        place.produce(topic, stations.iter().map(|station| reading(station, 1)));
    }
    let mut results = Results::of(&place);
    results.until_last(&place, "m", &stations, &[("A", 1), ("B", 1), ("C", 1)]);

    place.produce("A", stations.iter().map(|station| reading(station, 2)));
    let known = running.health(&place, "A").rebalances;
    broker.pause();
    // Without answers to its heartbeats the client gives its partitions up when the session is over.
    within(PATIENCE, "the session to end", || running.health(&place, "A").partitions.is_empty().then_some(()));
    broker.resume();
    within(PATIENCE, "the group to be joined again", || (running.health(&place, "A").rebalances > known).then_some(()));
    place.produce("B", stations.iter().map(|station| reading(station, 2)));
    results.until_last(&place, "m", &stations, &[("A", 2), ("B", 2), ("C", 1)]);

    TOPICS.iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    assert!(running.service().health().snapshot().iter().all(|topic| topic.rebuilds == 0));
    assert!(running.stop().drained);
}
