//! Upstream producers that write in transactions: what was aborted does not exist, and what is open delays nobody else.

use std::collections::BTreeSet;

use quorate_testkit::{Broker, require_broker};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::follow::Results;
use crate::place::{PATIENCE, Place, reading, stations};
use crate::running::Running;
use crate::scripted::Scripted;

/// Somebody who writes in transactions.
struct Upstream<'p> {
    producer: ThreadedProducer<DefaultProducerContext>,
    place: &'p Place<'p>,
}

impl<'p> Upstream<'p> {
    fn of(broker: &Broker, place: &'p Place<'p>) -> Self {
        let mut config = broker.client_config();
        config.set("transactional.id", place.base());
        let producer: ThreadedProducer<_> = config.create().expect("valid properties");
        producer.init_transactions(PATIENCE).expect("a coordinator");
        Self { producer, place }
    }

    /// Begins a transaction with a reading of each station, all of which the broker has.
    fn write(&self, topic: &str, stations: &[String], n: u64) {
        self.producer.begin_transaction().expect("none is open");
        let topic = self.place.topic(topic);
        for (station, value) in stations.iter().map(|station| reading(station, n)) {
            let record = BaseRecord::to(&topic).key(&station).payload(&value);
            self.producer.send(record).map_err(|(why, _)| why).expect("room in the producer");
        }
        self.producer.flush(PATIENCE).expect("the broker takes them");
    }

    fn commit(&self) {
        self.producer.commit_transaction(PATIENCE).expect("committed");
    }

    fn abort(&self) {
        self.producer.abort_transaction(PATIENCE).expect("aborted");
    }
}

#[test]
fn what_was_aborted_is_never_read_and_what_is_open_delays_its_own_topic_alone() {
    let broker = require_broker!();
    transactions(&Place::new(broker, "transactions"));
    transactions(&Place::on_disk(broker, "transactions_disk"));
}

fn transactions(place: &Place<'_>) {
    const ABORTED: u64 = 1000;
    let broker = place.broker;
    place.create(&["A", "B"]);
    let stations = stations(10);
    let (of_a, of_b) = (Scripted::echo("of_a"), Scripted::echo("of_b"));
    let mut config = place.config();
    place.reads(&mut config, &["A", "B"]);
    place.requires(&mut config, "of_a", &["A"]);
    place.requires(&mut config, "of_b", &["B"]);
    let upstream = Upstream::of(broker, place);
    let mut results = Results::of(place);

    upstream.write("A", &stations, 1);
    upstream.commit();
    upstream.write("A", &stations, ABORTED);
    upstream.abort();
    let running = Running::start(&config, &[&of_a, &of_b]);
    results.until_last(place, "of_a", &stations, &[("A", 1)]);
    // Behind the records of both transactions and their markers.
    place.until_all_committed(&place.group("A"), "A");

    let stable = broker.end_offsets(&place.topic("A"))[&0];
    upstream.write("A", &stations, 2);
    for n in 1..4 {
        place.produce("B", stations.iter().map(|station| reading(station, n)));
        results.until_last(place, "of_b", &stations, &[("B", n)]);
    }
    place.until_all_committed(&place.group("B"), "B");
    assert!(of_a.seen().iter().all(|input| input.lineage[0].to_offset < stable), "read before it was committed");
    assert_eq!(broker.committed(&place.group("A"), &place.topic("A"))[&0], stable);
    upstream.commit();
    results.until_last(place, "of_a", &stations, &[("A", 2)]);
    upstream.write("A", &stations, ABORTED);
    upstream.abort();
    // No record is behind what was aborted, and the group's position is.
    place.until_all_committed(&place.group("A"), "A");
    assert!(running.stop().drained);

    // Those of the two transactions that were committed.
    let known: BTreeSet<i64> = broker.consume_all(&place.topic("A")).iter().map(|record| record.offset).collect();
    assert_eq!(known.len(), 2 * stations.len());
    for input in of_a.seen() {
        assert!(!input.to_json().contains(&format!("\"n\":{ABORTED}")), "{}", input.to_json());
        for range in &input.lineage {
            assert!(known.contains(&range.from_offset) && known.contains(&range.to_offset), "{range:?}");
        }
    }
}
