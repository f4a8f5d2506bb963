//! What happens to logs: records are produced, and topics are deleted and created again, retained, cut short, given
//! further partitions. What is gone with them is noted. And where reading a partition begins.

use quorate::config::{OffsetReset, OutOfRange, Recreated};
use quorate::kafka::start::{self, Found, Life, Notice, StartRules, Stood};
use quorate::pipeline::ports::AssignedPartition;
use quorate_core::ident::{Millis, NextOffset};

use super::broker::{LOAD, Log, ORDER, PRICE, Place, Stations, Stored, TARIFF, TOPICS};
use super::disk::Disk;
use super::ledger::{Bad, EVERYBODY, Reading, STATIONS, key};
use super::scene::Scene;

/// A topic never has more partitions.
const MOST_PARTITIONS: usize = 3;

impl Scene {
    /// Produces a record that chance makes up.
    pub fn produce_one(&mut self) {
        let topic = self.chance.index(TOPICS.len());
        let station = self.chance.index(STATIONS.len());
        let partition = match topic {
            // Readings of one station may stand in any partition, orders of one station in one.
            LOAD => self.chance.index(self.broker.places_of(LOAD).len()),
            ORDER => station % TOPICS[ORDER].1,
            _ => 0,
        };
        let place = Place { topic, partition };
        let age_ms = i64::try_from(self.chance.below(2_500)).unwrap_or(0);
        let good = |scene: &mut Self, station| (!scene.chance.happens(60)).then_some(station);
        let mut stations = match topic {
            TARIFF => vec![Some(EVERYBODY)],
            _ => vec![good(self, station)],
        };
        if topic == LOAD && self.chance.happens(400) {
            let other = self.chance.index(STATIONS.len());
            stations.push(good(self, other));
        }
        let is_text = !self.chance.happens(40);
        let gap = if self.chance.happens(80) { 1 + i64::try_from(self.chance.below(3)).unwrap_or(0) } else { 0 };
        let marks = self.chance.happens(50);
        if self.broker.log(place).is_cut_short {
            return;
        }
        // Without a store nothing says that a run was owed to a record that is no more: later ones come after it.
        let at = Millis(self.now().0 - age_ms);
        let at = if self.disk.is_none() { at.max(self.recreated[topic]) } else { at };
        let offset = self.broker.log(place).end + gap;
        self.append(place, offset, at, is_text.then_some(stations));
        if marks {
            self.broker.mark(place, 1);
        }
    }

    /// What was there before the store was: records, of which the group has worked some off. Without a position it would
    /// begin at the end.
    pub fn write_history(&mut self) {
        if self.chance.happens(250) {
            let records = self.chance.index(25);
            (0..records).for_each(|_| self.produce_one());
        }
        for place in self.broker.places() {
            let end = u64::try_from(self.broker.log(place).end).unwrap_or(0);
            let committed = i64::try_from(self.chance.below(end + 1)).unwrap_or(0);
            self.broker.log_mut(place).committed = Some(committed);
        }
        let broker = &self.broker;
        self.ledger.is_history(|place| broker.log(place).committed.unwrap_or(0));
    }

    pub fn has_history(&self) -> bool {
        self.ledger.readings.iter().any(|reading| reading.history) || self.ledger.bad.iter().any(|bad| bad.history)
    }

    /// Produces some orders of one moment, all of one station.
    pub fn produce_a_bucket(&mut self) {
        let station = self.chance.index(STATIONS.len());
        let place = Place { topic: ORDER, partition: station % TOPICS[ORDER].1 };
        let at = self.now();
        for _ in 0..3 {
            if !self.broker.log(place).is_cut_short {
                let offset = self.broker.log(place).end;
                self.append(place, offset, at, Some(vec![Some(station)]));
            }
        }
    }

    /// Stations without a price: loads wait for one.
    pub fn unpriced(&self) -> Vec<usize> {
        let has_price = |station: &usize| {
            let is_its = |reading: &Reading| reading.place.topic == PRICE && reading.station == *station;
            self.ledger.readings.iter().any(|reading| reading.is_kept() && is_its(reading))
        };
        (0..STATIONS.len()).filter(|station| !has_price(station)).collect()
    }

    /// Every station has a price in the end.
    pub fn price_all_stations(&mut self) {
        let (place, unpriced) = (Place { topic: PRICE, partition: 0 }, self.unpriced());
        // Nobody may ever see that a log was cut short, and then nothing may be added to it.
        if !unpriced.is_empty() && self.broker.log(place).is_cut_short {
            self.recreate(PRICE);
        }
        for station in self.unpriced() {
            let (offset, at) = (self.broker.log(place).end, self.now());
            self.append(place, offset, at, Some(vec![Some(station)]));
        }
    }

    fn append(&mut self, place: Place, offset: i64, at: Millis, stations: Stations) {
        let (first, mut elements) = (self.ledger.readings.len(), Vec::new());
        let is_list = place.topic == LOAD;
        for (element, station) in stations.iter().flatten().enumerate() {
            elements.push(match *station {
                Some(station) => {
                    let number = self.ledger.readings.len();
                    self.ledger.readings.push(Reading::new(place, (offset, element), at, station));
                    let name = STATIONS.get(station).copied().unwrap_or_default();
                    format!(r#"{{"s":"{name}","n":{number},"k":{}}}"#, key(number))
                }
                None => {
                    let number = self.ledger.bad.len();
                    self.ledger.bad.push(Bad::new(place, offset, is_list.then_some(element)));
                    format!(r##"{{"n":"#{number}"}}"##)
                }
            });
        }
        let payload = match &stations {
            None => {
                self.ledger.bad.push(Bad::new(place, offset, None));
                format!("not json #{}", self.ledger.bad.len() - 1)
            }
            Some(_) if is_list => format!("[{}]", elements.join(",")),
            Some(_) => elements.concat(),
        };
        self.note(&format!("produce {}/{}/{offset} from {first} {stations:?}", place.name(), place.partition));
        self.broker.append(place, Stored { offset, at, stations, payload });
    }

    /// A topic is deleted and created again. Groups lose their positions in it, at once or never.
    pub fn recreate(&mut self, topic: usize) {
        self.note(&format!("recreate {}", TOPICS[topic].0));
        let places = self.broker.places_of(topic);
        let stood = |disk: &Disk| places.iter().any(|place| disk.stood(*place).is_some());
        let stood = self.disk.as_ref().map(stood);
        self.broker.topics[topic].id += 1;
        self.recreated[topic] = self.now();
        for place in places {
            self.ledger.gone(place, |_| true);
            self.began_at.remove(&place);
            let forgotten = match stood {
                // Who knows of nothing else begins where the group stands.
                Some(false) => Some(0),
                Some(true) if self.chance.happens(500) => self.broker.log(place).committed,
                _ => None,
            };
            let log = self.broker.log_mut(place);
            *log = Log { committed: forgotten, reached: std::mem::take(&mut log.reached), ..keep(log) };
        }
        // Sometimes there is more in it soon than there was, which makes it look like the one before.
        let more = self.chance.pick(&[0, 0, 3, 40]);
        (0..more).for_each(|_| self.produce_one());
    }

    /// The oldest records of a partition leave.
    pub fn retain(&mut self, place: Place) {
        let (low, end) = (self.broker.log(place).low, self.broker.log(place).end);
        let more = self.chance.below(u64::try_from(end - low).unwrap_or(0) + 1);
        let low = low + i64::try_from(more).unwrap_or(0);
        self.note(&format!("retain {}/{} from {low}", place.name(), place.partition));
        self.ledger.gone(place, |offset| offset < low);
        let log = self.broker.log_mut(place);
        log.low = low;
        log.records.retain(|record| record.offset >= low);
    }

    /// The newest records of a partition are lost, as when a broker leads that was not in step.
    pub fn cut_short(&mut self, place: Place) {
        let (low, end) = (self.broker.log(place).low, self.broker.log(place).end);
        let less = 1 + self.chance.below(u64::try_from(end - low).unwrap_or(0).min(8));
        let end = (end - i64::try_from(less).unwrap_or(0)).max(low);
        self.note(&format!("cut short {}/{} at {end}", place.name(), place.partition));
        self.ledger.gone(place, |offset| offset >= end);
        let log = self.broker.log_mut(place);
        (log.end, log.is_cut_short) = (end, true);
        log.records.retain(|record| record.offset < end);
    }

    /// A topic gets one more partition.
    pub fn grow(&mut self, topic: usize) {
        // Whoever has never been there takes what is new for what has always been.
        let is_known = |disk: &Disk| disk.stood(Place { topic, partition: 0 }).is_some();
        if self.broker.topics[topic].logs.len() < MOST_PARTITIONS && self.disk.as_ref().is_none_or(is_known) {
            self.note(&format!("grow {}", TOPICS[topic].0));
            self.broker.topics[topic].logs.push(Log::default());
        }
    }

    /// Assigns a partition where the service would begin.
    pub fn assign(&mut self, place: Place) -> AssignedPartition {
        let stood = |place| {
            let (standing, reload) = self.disk.as_ref().map_or((None, false), |disk| disk.standing(place));
            (standing, reload)
        };
        let is_durable = self.broker.places_of(place.topic).into_iter().any(|place| stood(place).0.is_some());
        let (standing, reload) = stood(place);
        let stood = standing.map(|standing| Stood {
            life: Life { incarnation: standing.position.incarnation, topic_id: standing.position.topic_id },
            next: standing.position.next,
            live_from: standing.position.live_from,
            ceiling: standing.ceiling,
        });
        let topic = &mut self.broker.topics[place.topic];
        let first_count = *topic.first_count.get_or_insert(topic.logs.len());
        let log = &topic.logs[place.partition];
        // While a life that began in this process is not durable a group says nothing of it, or what was meant for the one
        // before: it is told what the process knows.
        let is_begun = |life: Life| stood.is_some_and(|stood| stood.life.incarnation < life.incarnation);
        let carried = log.carried.map(|(position, _)| position.max(log.low));
        let is_same = |life: &Life| life.topic_id == Some(topic.id);
        let begun = log.life.filter(is_same).is_some_and(is_begun).then_some(carried).flatten();
        let found = Found {
            committed: begun.or(log.committed).map(NextOffset),
            low: NextOffset(log.low),
            high: NextOffset(log.end),
            load_from: Some(NextOffset(log.low)),
            carried: log.carried.map(|(position, _)| NextOffset(position)),
            added_later: place.partition >= first_count || (is_durable && stood.is_none()),
            topic_id: Some(topic.id),
            life: log.life,
            stood,
            reload,
            compacted: false,
        };
        // With a store a group may begin at the end: what is added later is read all the same.
        let absent = if self.disk.is_some() { OffsetReset::Latest } else { OffsetReset::Earliest };
        let rules = StartRules { absent, gone: OutOfRange::Earliest, recreated: Recreated::Earliest };
        let start = start::decide(&found, rules).expect("nothing halts");
        if matches!(start.notice, Some(Notice::Truncated { .. })) {
            self.read_anew(place);
        }
        if let (Some(notice), true) = (start.notice, self.trace.keeps_lines()) {
            self.note(&format!("{notice:?} {}/{}", place.name(), place.partition));
        }
        let assigned = self.broker.assign(place, start);
        self.orders_assigned(place, (assigned.start.0, assigned.end.0));
        assigned
    }

    /// What is left of a log that was cut short counts as written anew: nobody can tell it from that.
    fn read_anew(&mut self, place: Place) {
        self.ledger.gone(place, |_| true);
        let end = self.broker.log(place).end;
        for Stored { offset, at, stations, .. } in std::mem::take(&mut self.broker.log_mut(place).records) {
            self.append(place, offset, at, stations);
        }
        self.broker.log_mut(place).end = end;
    }
}

/// What a consumer still has of a log that is no more.
fn keep(log: &mut Log) -> Log {
    let polled = std::mem::take(&mut log.records);
    Log { held: log.held, carried: log.carried, life: log.life, polled, ..Log::default() }
}
