//! Row 4-27: a topic or group that is missing or denied is named, holds up only the modules that need it, and heals
//! without a restart.

use std::io::Write as _;

use quorate::kafka::TroubleKind;
use quorate_testkit::{Broker, BrokerOptions, User, require_broker, within};
use tempfile::NamedTempFile;

use crate::follow::Results;
use crate::place::{Config, PATIENCE, Place, reading, stations, text};
use crate::process::{Process, Signal};
use crate::running::Running;
use crate::scripted::Scripted;

/// A module that needs only A, and one that needs B, too.
fn config(place: &Place<'_>) -> Config {
    let mut config = place.config();
    place.reads(&mut config, &["A", "B"]);
    place.requires(&mut config, "near", &["A"]);
    place.requires(&mut config, "far", &["A", "B"]);
    config
}

/// Configures the login of a user, with the password in a file.
fn log_in(config: &mut Config, broker: &Broker, user: User) -> NamedTempFile {
    let mut password = NamedTempFile::new().expect("a file");
    writeln!(password, "{}", user.password()).expect("the password is written");
    config.set("kafka", "bootstrap_servers", text(&broker.sasl_bootstrap()));
    config.set("kafka.security", "protocol", text("sasl_plaintext"));
    config.set("kafka.security", "sasl_mechanism", text("PLAIN"));
    config.set("kafka.security", "username", text(user.name()));
    config.set("kafka.security", "password", format!("{{ file = {:?} }}", password.path()));
    password
}

#[test]
fn row_4_27_a_missing_topic_is_named_and_holds_up_only_those_who_need_it_until_it_is_created() {
    // A service that asked for a topic in the wrong way would create it.
    let options = BrokerOptions::default().property("auto.create.topics.enable", "true");
    let broker = &require_broker!(Broker::start(options));
    missing(&Place::new(broker, "row_4_27_missing"));
    missing(&Place::on_disk(broker, "row_4_27_missing_disk"));
}

fn missing(place: &Place<'_>) {
    let broker = place.broker;
    place.create(&["A"]);
    let stations = stations(10);
    let (near, far) = (Scripted::echo("near"), Scripted::echo("far"));

    let running = Running::start(&config(place), &[&near, &far]);
    place.produce("A", stations.iter().map(|station| reading(station, 1)));
    let mut results = Results::of(place);
    results.until_last(place, "near", &stations, &[("A", 1)]);
    running.until_fails(place, "B", TroubleKind::Missing);
    running.until_assigned(place, "A");
    assert_eq!(far.calls(), 0);

    broker.create_topic(&place.topic("B"), 2, &[]);
    running.until_assigned(place, "B");
    place.produce("B", stations.iter().map(|station| reading(station, 2)));
    results.until_last(place, "far", &stations, &[("A", 1), ("B", 2)]);
    for topic in ["A", "B"] {
        place.until_all_committed(&place.group(topic), topic);
    }
    assert!(running.stop().drained);
}

#[test]
fn row_1_30_a_missing_topic_ends_the_start_or_is_created_as_the_setting_says() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_1_30");
    place.create(&[]);
    let mut config = place.config();
    place.reads(&mut config, &["A"]);
    place.requires(&mut config, "probe", &["A"]);
    config.set("kafka.consumer", "missing_topic", text("fail"));
    let mut process = Process::run(&config);
    assert_eq!(process.until_ended(PATIENCE).0, Some(1), "{}", process.log());
    assert!(process.log().contains(&place.topic("A")), "the topic is named:\n{}", process.log());

    config.set("kafka.consumer", "missing_topic", text("create"));
    let topic = format!("topics.{}", place.topic("A"));
    config.set(&topic, "provision", "{ partitions = 3, replication = 1 }");
    let mut process = Process::run(&config);
    process.until_logged("topic started", 1);
    assert_eq!(broker.end_offsets(&place.topic("A")).len(), 3, "created with as many partitions as asked for");
    let stations = stations(5);
    place.produce("A", stations.iter().map(|station| reading(station, 1)));
    Results::of(&place).until_last(&place, "probe", &stations, &[("A", 1)]);
    process.signal(Signal::TERM);
    assert_eq!(process.until_ended(PATIENCE).0, Some(0));
}

#[test]
fn row_4_27_a_denied_topic_and_a_denied_group_are_named_and_heal_when_the_right_is_granted() {
    let broker = &require_broker!(Broker::start(BrokerOptions::secured()));
    let place = Place::new(broker, "row_4_27_denied");
    place.create(&["A", "B"]);
    let stations = stations(10);
    let (near, far) = (Scripted::echo("near"), Scripted::echo("far"));
    let mut config = config(&place);
    let _password = log_in(&mut config, broker, User::Svc);
    for topic in ["A", "B"] {
        place.produce(topic, stations.iter().map(|station| reading(station, 1)));
    }
    broker.deny_topic(User::Svc, &place.topic("B"));

    // Denied at the start.
    let running = Running::start(&config, &[&near, &far]);
    let mut results = Results::of(&place);
    results.until_last(&place, "near", &stations, &[("A", 1)]);
    running.until_fails(&place, "B", TroubleKind::TopicDenied);
    running.until_assigned(&place, "A");
    assert_eq!(far.calls(), 0);
    broker.allow_topic(User::Svc, &place.topic("B"));
    results.until_last(&place, "far", &stations, &[("A", 1), ("B", 1)]);

    // Denied while it is read.
    broker.deny_topic(User::Svc, &place.topic("B"));
    running.until_fails(&place, "B", TroubleKind::TopicDenied);
    for topic in ["A", "B"] {
        place.produce(topic, stations.iter().map(|station| reading(station, 2)));
    }
    results.until_last(&place, "near", &stations, &[("A", 2)]);
    results.until_last(&place, "far", &stations, &[("A", 2), ("B", 1)]);
    broker.allow_topic(User::Svc, &place.topic("B"));
    results.until_last(&place, "far", &stations, &[("A", 2), ("B", 2)]);
    for topic in ["A", "B"] {
        place.until_all_committed(&place.group(topic), topic);
    }
    assert!(running.stop().drained);

    // The group denied instead of the topic.
    broker.deny_group(User::Svc, &place.group("B"));
    let running = Running::start(&config, &[&near, &far]);
    running.until_fails(&place, "B", TroubleKind::GroupDenied);
    place.produce("A", stations.iter().map(|station| reading(station, 3)));
    results.until_last(&place, "near", &stations, &[("A", 3)]);
    broker.allow_group(User::Svc, &place.group("B"));
    running.until_assigned(&place, "B");
    place.produce("B", stations.iter().map(|station| reading(station, 3)));
    results.until_last(&place, "far", &stations, &[("A", 3), ("B", 3)]);
    place.until_all_committed(&place.group("B"), "B");
    assert!(running.stop().drained);
}

#[test]
fn row_1_29_no_offset_moves_past_a_result_or_dead_letter_whose_topic_is_denied() {
    let broker = &require_broker!(Broker::start(BrokerOptions::secured()));
    let place = Place::new(broker, "row_1_29_denied");
    place.create(&["A", "B"]);
    let (near, far) = (Scripted::echo("near"), Scripted::echo("far"));
    let mut config = config(&place);
    let _password = log_in(&mut config, broker, User::Svc);
    broker.deny_topic(User::Svc, &place.output());
    broker.deny_topic(User::Svc, &place.dead_letters());
    let running = Running::start(&config, &[&near, &far]);
    running.until_all_assigned();

    place.produce("A", [reading("S0", 1)]);
    place.produce("B", [("S0".to_owned(), "no reading".to_owned())]);
    within(PATIENCE, "a result and a dead letter to be tried and refused", || {
        let publishing = running.service().publishing();
        (publishing.in_flight == 2 && publishing.totals().2 >= 6).then_some(())
    });
    let (trouble, _) = running.service().publishing().trouble.expect("what keeps results back is named");
    assert_eq!(trouble.kind, TroubleKind::TopicDenied);
    let committed = |topic: &str| broker.committed(&place.group(topic), &place.topic(topic));
    for topic in ["A", "B"] {
        assert!(committed(topic).values().all(|offset| *offset == 0), "{topic}: {:?}", committed(topic));
    }

    broker.allow_topic(User::Svc, &place.output());
    place.until_all_committed(&place.group("A"), "A");
    assert!(committed("B").values().all(|offset| *offset == 0));
    broker.allow_topic(User::Svc, &place.dead_letters());
    place.until_all_committed(&place.group("B"), "B");
    assert_eq!(broker.consume_all(&place.dead_letters()).len(), 1);
    assert!(running.stop().drained);
}
