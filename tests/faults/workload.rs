//! What stations send: a seeded stream of records for the four topics, each reading with a number of its own, some
//! records unreadable on purpose. Remembers each record with the place that the broker gave it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quorate_testkit::Broker;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use crate::config::topic;
use crate::history::{Produced, Role};
use crate::population::{Population, name};
use crate::seed::Chance;

/// Stations that send, unless they come and go.
pub const STATIONS: u64 = 20;

/// Records of a turn, and the pause after it: about 500 records a second.
const TURN: usize = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// Where stations come and go: those that stay, those beside them at any moment, and turns from one newcomer to the
/// next. Together about 25 newcomers a second, each of which sends for some four seconds.
const RESIDENTS: u64 = 10;
const PASSING: u64 = 100;
const TURNS_PER_NEWCOMER: u64 = 2;

/// One newcomer out of so many brings a calendar with it: every station that is known has a result for each.
const CALENDAR_PER_NEWCOMERS: u64 = 250;

/// One reading of the curve out of so many comes this much too late, in milliseconds.
const LATE_ONCE_IN: u64 = 50;
const LATE_MS: i64 = 5000;

/// How far back the time of an order that was held up on its way may lie, in milliseconds.
const HELD_UP_MS: u64 = 3000;

/// One out of so many records cannot be read.
const BAD_ONCE_IN: u64 = 60;

/// A record on its way.
struct Drafted {
    topic: String,
    role: Role,
    ts: i64,
    key: String,
    payload: Option<Vec<u8>>,
    incarnation: u32,
    reading: Option<(String, u64)>,
    fault: Option<&'static str>,
}

/// The generator and what it has sent.
pub struct Workload {
    scenario: &'static str,
    chance: Chance,
    producer: BaseProducer<Acknowledged>,
    serial: u64,
    /// The newest time given to a record; a station's times never repeat.
    clock: i64,
    /// How often topics were created again.
    incarnations: BTreeMap<Role, u32>,
    bad_once_in: Option<u64>,
    held_up: bool,
    population: Population,
    /// Stations come and go; turns since the last newcomer.
    churn: Option<u64>,
}

#[derive(Default)]
struct Acknowledged {
    records: Mutex<Vec<Produced>>,
    refused: Mutex<Option<KafkaError>>,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = Box<Drafted>;

    fn delivery(&self, result: &DeliveryResult<'_>, drafted: Box<Drafted>) {
        match result {
            Ok(message) => {
                let Drafted { topic, role, ts, key, payload, incarnation, reading, fault } = *drafted;
                let (partition, offset) = (message.partition(), message.offset());
                let record = Produced { topic, role, partition, offset, ts, key, payload, incarnation, reading, fault };
                self.records.lock().expect("nobody panics with the lock").push(record);
            }
            Err((why, _)) => {
                self.refused.lock().expect("nobody panics with the lock").get_or_insert_with(|| why.clone());
            }
        }
    }
}

impl Workload {
    /// A workload of a scenario, for topics that exist.
    pub fn new(broker: &Broker, scenario: &'static str) -> Self {
        let mut config = broker.client_config();
        // A broker that is away for a while must cost no record: the model knows only what was acknowledged.
        config.set("enable.idempotence", "true").set("linger.ms", "2").set("message.timeout.ms", "120000");
        config.set("topic.metadata.refresh.interval.ms", "1000");
        // What a topic takes is up to the topic.
        config.set("message.max.bytes", "100000000");
        let producer =
            config.create_with_context(Acknowledged::default()).expect("the producer's properties are valid");
        let (chance, incarnations) = (Chance::of(scenario), BTreeMap::new());
        Self {
            scenario,
            chance,
            producer,
            serial: 0,
            clock: 0,
            incarnations,
            bad_once_in: Some(BAD_ONCE_IN),
            held_up: true,
            population: Population::settled(STATIONS),
            churn: None,
        }
    }

    /// Stations come, send for a while and fall silent for ever; some readings come too late for their bucket.
    pub fn churning(mut self) -> Self {
        self.population = Population::passing(RESIDENTS, PASSING);
        self.churn = Some(0);
        self
    }

    /// How many records cannot be read: one in so many, or none.
    pub fn bad_once_in(mut self, records: Option<u64>) -> Self {
        self.bad_once_in = records;
        self
    }

    /// No order is held up on its way: what is sent later is newer.
    pub fn in_order(mut self) -> Self {
        self.held_up = false;
        self
    }

    /// The topic was deleted and created again: what was sent to it is gone, and offsets begin at 0.
    pub fn recreated(&mut self, role: Role) {
        *self.incarnations.entry(role).or_default() += 1;
    }

    /// The stations that send, and those that did.
    pub fn population(&self) -> &Population {
        &self.population
    }

    /// Sends what makes every station complete: a calendar, and a parameter and a full window of orders of each.
    pub fn complete_all(&mut self) {
        self.send(Role::Calendar, 0);
        self.population.alive().for_each(|station| self.complete(station));
    }

    fn complete(&mut self, station: u64) {
        self.send(Role::Param, station);
        (0..crate::config::ORDERS).for_each(|_| self.send(Role::Orders, station));
    }

    /// One turn of all kinds of records in a mixture that chance makes. Where stations come and go, newcomers are half of
    /// what is sent, and calendars come with them.
    pub fn turn(&mut self) {
        let churns = self.churn.is_some();
        for _ in 0..if churns { TURN / 2 } else { TURN } {
            let role = match self.chance.within(0..100) {
                0 if !churns => Role::Calendar,
                0..=9 => Role::Param,
                10..=53 => Role::Orders,
                54 => Role::Task,
                _ => Role::Curve,
            };
            let station = self.population.any(&mut self.chance);
            if self.bad_once_in.is_some_and(|times| self.chance.once_in(times)) {
                self.send_bad(role);
            } else {
                self.send(role, station);
            }
        }
        if let Some(turns) = self.churn {
            let comes = turns + 1 == TURNS_PER_NEWCOMER;
            self.churn = Some(if comes { 0 } else { turns + 1 });
            if comes {
                self.replace_one();
            }
        }
        self.producer.poll(Duration::ZERO);
    }

    /// One station is not heard of again, another one takes its place.
    fn replace_one(&mut self) {
        let newcomer = self.population.succeed();
        self.complete(newcomer);
        if newcomer.is_multiple_of(CALENDAR_PER_NEWCOMERS) {
            self.send(Role::Calendar, newcomer);
        }
    }

    /// Sends a reading of a station.
    pub fn send(&mut self, role: Role, station: u64) {
        let key = if role == Role::Calendar { "all".to_owned() } else { name(station) };
        let serial = self.next_serial();
        let mut ts = self.next_ms();
        if role == Role::Curve && self.churn.is_some() && self.chance.once_in(LATE_ONCE_IN) {
            ts -= LATE_MS;
        }
        if role == Role::Orders && self.held_up && self.chance.once_in(8) {
            ts -= i64::try_from(self.chance.within(1..HELD_UP_MS)).expect("a few seconds");
        }
        let payload = match role {
            Role::Calendar => format!(r#"{{"n":{serial}}}"#),
            _ => format!(r#"{{"s":"{key}","n":{serial}}}"#),
        };
        self.produce(role, ts, key.clone(), Some(payload.into_bytes()), Ok((key, serial)));
    }

    /// Sends a reading of a station in a record of so many bytes and a few more.
    pub fn send_large(&mut self, role: Role, station: u64, bytes: usize) {
        let (key, serial, ts) = (format!("S{station}"), self.next_serial(), self.next_ms());
        let padding = vec!["x".repeat(1000); bytes / 1000];
        let payload = serde_json::json!({ "s": key, "n": serial, "padding": padding }).to_string();
        self.produce(role, ts, key.clone(), Some(payload.into_bytes()), Ok((key, serial)));
    }

    /// Sends a record that is given up as a whole.
    pub fn send_bad(&mut self, role: Role) {
        let serial = self.next_serial();
        let (payload, fault) = match (role, self.chance.within(0..4)) {
            // A global reading needs no station.
            (Role::Calendar, _) | (_, 0) => (Some(format!("no reading {serial}").into_bytes()), "not_json"),
            (_, 1) => (Some(format!(r#"{{"n":{serial}}}"#).into_bytes()), "missing_station"),
            (_, 2) => (Some(vec![0xff, 0xfe, b'{']), "not_utf8"),
            _ => (None, "wrong_shape"),
        };
        self.send_raw(role, payload, fault);
    }

    /// Sends bytes that cannot be read, and why not; none is a null payload.
    pub fn send_raw(&mut self, role: Role, payload: Option<Vec<u8>>, fault: &'static str) {
        let (ts, key) = (self.next_ms(), name(self.population.any(&mut self.chance)));
        self.produce(role, ts, key, payload, Err(fault));
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn next_ms(&mut self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        self.clock = i64::try_from(now).expect("before the year 292 million").max(self.clock + 1);
        self.clock
    }

    fn produce(
        &mut self,
        role: Role,
        ts: i64,
        key: String,
        payload: Option<Vec<u8>>,
        reading: Result<(String, u64), &'static str>,
    ) {
        let topic = topic(self.scenario, role);
        let drafted = Drafted {
            topic: topic.clone(),
            role,
            ts,
            key: key.clone(),
            payload: payload.clone(),
            incarnation: self.incarnations.get(&role).copied().unwrap_or_default(),
            fault: reading.as_ref().err().copied(),
            reading: reading.ok(),
        };
        let mut record = BaseRecord::with_opaque_to(&topic, Box::new(drafted)).timestamp(ts).key(&key);
        if let Some(payload) = &payload {
            record = record.payload(payload);
        }
        while let Err((why, refused)) = self.producer.send(record) {
            assert_eq!(why.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull), "{why}");
            self.producer.poll(Duration::from_millis(10));
            record = refused;
        }
    }

    /// Returns once everything is acknowledged.
    pub fn flush(&mut self) {
        self.producer.flush(Duration::from_secs(150)).expect("the broker acknowledges");
        let refused = self.producer.context().refused.lock().expect("nobody panics with the lock");
        assert!(refused.is_none(), "a record was not delivered: {refused:?}");
    }

    /// Everything acknowledged so far, in the order of their times.
    pub fn produced(&self) -> Vec<Produced> {
        let mut records = self.producer.context().records.lock().expect("nobody panics with the lock").clone();
        records.sort_by_key(|record| (record.ts, record.partition, record.offset));
        records
    }

    /// Goes on sending turn after turn, until [`Load::stop`].
    pub fn in_background(mut self) -> Load {
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                self.turn();
            }
            self
        });
        Load { stop, thread }
    }
}

/// A workload that goes on by itself.
pub struct Load {
    stop: SyncSender<()>,
    thread: JoinHandle<Workload>,
}

impl Load {
    /// Ends it, once everything sent is acknowledged.
    pub fn stop(self) -> Workload {
        drop(self.stop);
        let mut workload = self.thread.join().expect("the load does not panic");
        workload.flush();
        workload
    }
}
