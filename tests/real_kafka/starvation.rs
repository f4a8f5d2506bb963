//! Rows 4-01 and 4-10: a backlog on one topic keeps no other waiting, and both consumer modes read all there is.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_testkit::{Compression, require_broker, within};
use rdkafka::producer::BaseRecord;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, span};

use crate::place::{Config, PATIENCE, Place, reading, stations};
use crate::running::Running;
use crate::scripted::{Gate, Scripted, echo};

const TOPICS: [&str; 5] = ["A", "B", "C", "D", "E"];
const STATIONS: usize = 10;
const QUOTA: usize = 500;

/// The longest time from assignment to a complete input.
const SOON_MS: i64 = 2000;

/// So many records on each topic, of ten stations in turn.
fn backlog(place: &Place<'_>, records: [u64; 5]) {
    place.create(&TOPICS);
    let stations = stations(STATIONS);
    for (topic, records) in TOPICS.into_iter().zip(records) {
        place.produce(topic, (0..records).map(|n| reading(&stations[n as usize % STATIONS], n)));
    }
}

fn config(place: &Place<'_>, multi: bool) -> Config {
    let mut config = place.config();
    config.set("kafka.consumer", "multi_consumer_mode", multi.to_string());
    config.set("kafka.consumer", "max_poll_records", QUOTA.to_string());
    place.reads(&mut config, &TOPICS);
    place.requires(&mut config, "m", &TOPICS);
    config
}

/// When each station's first complete input was assembled, in milliseconds since all topics were assigned.
fn first_inputs(module: &Scripted, assigned: i64) -> BTreeMap<String, i64> {
    let mut first = BTreeMap::new();
    for input in module.seen() {
        first.entry(input.station.to_string()).or_insert(input.at.0 - assigned);
    }
    first
}

#[test]
fn row_4_01_every_station_is_complete_soon_whatever_the_backlogs() {
    let broker = require_broker!();
    let place = Place::alone(broker, "row_4_01");
    backlog(&place, [10_000, 5000, 100, 50, 10]);
    let module = Scripted::echo("m");

    let running = Running::start(&config(&place, true), &[&module]);
    let assigned = running.until_all_assigned();

    within(PATIENCE, "all stations to be complete", || (running.complete() == STATIONS).then_some(()));
    within(PATIENCE, "an input of every station", || (first_inputs(&module, assigned).len() == STATIONS).then_some(()));
    let first = first_inputs(&module, assigned);
    assert!(first.values().all(|ms| *ms <= SOON_MS), "{first:?}");
    TOPICS.iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    assert!(running.stop().drained);
}

#[test]
fn row_4_01_a_million_records_and_a_slow_module_keep_no_topic_waiting() {
    let broker = require_broker!();
    let place = Place::alone(broker, "row_4_01_million");
    backlog(&place, [0, 5000, 100, 50, 10]);
    load_orders(&place, 1_000_000);
    let module = Scripted::answering("m", |input| {
        std::thread::sleep(Duration::from_millis(200));
        Ok(vec![echo(input)?])
    });
    let mut config = config(&place, true);
    config.set("modules.m", "concurrency", "1");
    let open = Gate::shut();
    open.open();
    let turns = Turns::behind(&open);

    let running = Running::traced(&config, &[&module], &Dispatch::new(turns.clone()));
    let assigned = running.until_all_assigned();

    within(PATIENCE, "the first complete input", || (module.calls() > 0).then_some(()));
    let first = module.seen()[0].at.0 - assigned;
    assert!(first <= SOON_MS, "the first complete input came after {first} ms");
    within(PATIENCE, "all stations to be complete", || (running.complete() == STATIONS).then_some(()));
    within(PATIENCE, "every record to be read", || {
        (running.service().pipeline().tally().records == 1_005_160).then_some(())
    });
    assert!(running.stop().drained);
    turns.assert_fair(1_005_160);
}

#[test]
fn row_4_01_no_topic_is_handed_more_than_twice_its_quota_while_another_waits() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_4_01_turns");
    let records = 10_000;
    backlog(&place, [4 * records, records, records, records, records]);
    let module = Scripted::echo("m");
    let gate = Gate::shut();
    let turns = Turns::behind(&gate);

    let running = Running::traced(&config(&place, true), &[&module], &Dispatch::new(turns.clone()));
    within(PATIENCE, "all five lanes to hold many turns' records", || {
        TOPICS.iter().all(|topic| running.health(&place, topic).records >= records).then_some(())
    });
    gate.open();

    TOPICS.iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    assert!(running.stop().drained);
    let contended = turns.assert_fair(8 * records as usize);
    assert!(contended >= 50, "all five lanes held records in {contended} turns only");
}

/// Records of 363 bytes on the hot topic.
fn load_orders(place: &Place<'_>, records: u64) {
    let topic = place.topic("A");
    let stations = stations(STATIONS);
    let mut loader = place.broker.loader(Compression::Lz4);
    for n in 0..records {
        let station = &stations[n as usize % STATIONS];
        let start = format!(r#"{{"s":"{station}","n":{n},"order":""#);
        let value = format!("{start}{:>width$}\"}}", n, width = 363 - start.len() - 2);
        loader.send(BaseRecord::to(&topic).key(station).payload(&value));
    }
    loader.finish();
}

/// Collects the router's turns: which lane was served with how many records, and which lanes had any.
#[derive(Clone)]
struct Turns {
    seen: Arc<Mutex<Vec<Turn>>>,
    /// Holds the router up in its first turn.
    first: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Turn {
    message: String,
    lane: usize,
    records: usize,
    waiting: Vec<usize>,
}

impl Turns {
    fn behind(first: &Arc<Gate>) -> Self {
        Self { seen: Arc::default(), first: Arc::clone(first) }
    }

    /// While a lane waits, no other is handed more than twice its quota. Returns in how many turns all lanes waited.
    fn assert_fair(&self, all: usize) -> usize {
        let turns = self.seen.lock().expect("turns");
        let mut passed = [[0_usize; TOPICS.len()]; TOPICS.len()];
        let mut contended = 0;
        for turn in turns.iter() {
            assert!(turn.records <= QUOTA, "{turn:?}");
            contended += usize::from(turn.waiting.len() == TOPICS.len());
            for (other, passed) in passed.iter_mut().enumerate() {
                if other == turn.lane || !turn.waiting.contains(&other) {
                    *passed = [0; TOPICS.len()];
                } else {
                    passed[turn.lane] += turn.records;
                    assert!(passed[turn.lane] <= 2 * QUOTA, "lane {other} was passed over in {turn:?}");
                }
            }
        }
        let records: usize = turns.iter().map(|turn| turn.records).sum();
        assert_eq!(records, all, "every turn was seen");
        contended
    }
}

impl Subscriber for Turns {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::TRACE && metadata.target() == "quorate::pipeline::router"
    }

    fn new_span(&self, _attributes: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut turn = Turn::default();
        event.record(&mut turn);
        if turn.message == "turn" {
            self.first.pass();
            self.seen.lock().expect("turns").push(turn);
        }
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

impl Visit for Turn {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "lane" => self.lane = value as usize,
            "records" => self.records = value as usize,
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let shown = format!("{value:?}");
        match field.name() {
            "message" => self.message = shown,
            "waiting" => self.waiting = serde_json::from_str(&shown).expect("a list of lanes"),
            _ => {}
        }
    }
}

#[test]
fn row_4_10_one_consumer_for_all_topics_reads_the_same_backlogs() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_4_10");
    backlog(&place, [10_000, 5000, 100, 50, 10]);
    let module = Scripted::echo("m");

    let running = Running::start(&config(&place, false), &[&module]);
    running.until_all_assigned();

    within(PATIENCE, "all stations to be complete", || (running.complete() == STATIONS).then_some(()));
    TOPICS.iter().for_each(|topic| place.until_all_committed(place.base(), topic));
    let health = running.service().health().snapshot();
    assert!(health.iter().all(|topic| *topic.group == *place.base()), "{health:?}");
    assert_eq!(health.iter().map(|topic| topic.records).sum::<u64>(), 15_160);
    assert!(TOPICS.iter().all(|topic| broker.committed(&place.group(topic), &place.topic(topic)).is_empty()));
    assert!(running.stop().drained);
}

#[test]
fn row_4_10_without_the_setting_there_is_one_consumer() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_4_10_absent");
    place.create(&["A", "B"]);
    let module = Scripted::echo("m");
    let mut config = place.config();
    config.unset("kafka.consumer", "multi_consumer_mode");
    place.reads(&mut config, &["A", "B"]);
    place.requires(&mut config, "m", &["A", "B"]);
    let running = Running::start(&config, &[&module]);

    assert_eq!(running.service().consumer_count(), 1);
    assert!(running.stop().drained);
}

#[test]
fn row_j10_exactly_one_topic_works_in_multi_mode() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_j10");
    place.create(&["A"]);
    place.produce("A", (0..100).map(|n| reading("S0", n)));
    let module = Scripted::echo("m");
    let mut config = place.config();
    place.reads(&mut config, &["A"]);
    place.requires(&mut config, "m", &["A"]);

    let running = Running::start(&config, &[&module]);

    place.until_all_committed(&place.group("A"), "A");
    let last = module.seen().last().map(|input| input.lineage[0].to_offset);
    assert_eq!(last, Some(99));
    assert_eq!(running.service().consumer_count(), 1);
    assert!(running.stop().drained);
}
