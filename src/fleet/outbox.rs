//! Where payloads become records: readings are packed into messages of bounded size, now and then one is sent twice, and
//! now and then something bad is put beside it. Knows topics' outer shapes, no fields.

use quorate_core::ident::Millis;
use serde::Serialize;

use super::damage::Damage;
use super::record::FleetRecord;
use super::seed::{Purpose, Seed};
use super::topic::Topic;

/// Records of one stretch of time, in the order made.
#[derive(Debug)]
pub(super) struct Outbox {
    records: Vec<FleetRecord>,
    seed: Seed,
    rates: Rates,
}

/// How often sending goes wrong, and how large a message may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// Share of messages with something bad beside them.
    pub(super) bad_share: f64,
    /// Share of messages sent twice.
    pub(super) repeat_share: f64,
    /// Bytes a message of many readings is kept below, unless one reading alone is larger.
    pub(super) record_bytes: usize,
}

/// Who sends at what time: enough to draw what happens to the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) topic: Topic,
    /// Tells the senders of one topic apart.
    pub(super) sender: u64,
    pub(super) at: Millis,
}

impl Outbox {
    pub(super) fn new(seed: Seed, rates: Rates) -> Self {
        Self { records: Vec::new(), seed, rates }
    }

    /// Sends a message that is one object.
    pub(super) fn send(&mut self, origin: Origin, object: &impl Serialize) {
        let payload = json(object);
        let damage = self.damage(origin, 0);
        self.post(origin, 0, Message { payload, readings: 1, bad: None }, damage);
    }

    /// Opens a message that holds many readings; it is sent, in as many records as it needs, by [`Packer::finish`].
    pub(super) fn pack(&mut self, origin: Origin) -> Packer<'_> {
        let (open, close) = origin.topic.brackets().unwrap_or(("[", "]"));
        Packer { outbox: self, origin, open, close, elements: Vec::new(), readings: 0, part: 0, damage: None }
    }

    /// Everything sent, in the order made.
    pub(super) fn into_records(self) -> Vec<FleetRecord> {
        self.records
    }

    /// Everything sent, by timestamp; what was sent at the same moment stays in the order made.
    pub(super) fn into_sorted(mut self) -> Vec<FleetRecord> {
        self.records.sort_by_key(|record| record.timestamp);
        self.records
    }

    fn damage(&self, origin: Origin, part: u64) -> Option<Damage> {
        let mut draw = self.seed.draw(Purpose::Damage, subject(origin, part), origin.at.0);
        draw.chance(self.rates.bad_share).then(|| Damage::pick(origin.topic, &mut draw))
    }

    fn post(&mut self, origin: Origin, part: u64, message: Message, damage: Option<Damage>) {
        let Origin { topic, at, .. } = origin;
        let twice = self.seed.draw(Purpose::Repeat, subject(origin, part), at.0).chance(self.rates.repeat_share);
        let spoilt = damage.map(|damage| FleetRecord {
            topic: topic.name(),
            payload: damage.spoil(&message.payload),
            timestamp: at,
            readings: 0,
            bad: Some(damage.reason()),
        });
        let Message { payload, readings, bad } = message;
        let good = FleetRecord { topic: topic.name(), payload, timestamp: at, readings, bad };
        if twice {
            self.records.push(good.clone());
        }
        self.records.push(good);
        self.records.extend(spoilt);
    }
}

struct Message {
    payload: Vec<u8>,
    readings: u32,
    bad: Option<&'static str>,
}

/// A message of many readings in the making.
#[derive(Debug)]
pub(super) struct Packer<'a> {
    outbox: &'a mut Outbox,
    origin: Origin,
    open: &'static str,
    close: &'static str,
    elements: Vec<u8>,
    readings: u32,
    /// How many records the message has filled so far.
    part: u64,
    damage: Option<Damage>,
}

impl Packer<'_> {
    /// Adds a reading; begins another record when this one would become too large.
    pub(super) fn add(&mut self, reading: &impl Serialize) {
        let element = json(reading);
        let size = self.open.len() + self.elements.len() + 1 + element.len() + self.close.len();
        if self.readings > 0 && size > self.outbox.rates.record_bytes {
            self.flush();
        }
        if self.readings == 0 {
            self.damage = self.outbox.damage(self.origin, self.part);
        }
        self.append(&element);
        self.readings += 1;
        if self.readings == 1
            && let Some(damage) = self.damage.filter(|damage| damage.is_of_element(self.origin.topic))
        {
            self.append(&damage.spoil(&element));
        }
    }

    /// Sends what was added; nothing when nothing was.
    pub(super) fn finish(mut self) {
        if self.readings > 0 {
            self.flush();
        }
    }

    fn append(&mut self, element: &[u8]) {
        if !self.elements.is_empty() {
            self.elements.push(b',');
        }
        self.elements.extend_from_slice(element);
    }

    fn flush(&mut self) {
        let payload = [self.open.as_bytes(), &self.elements, self.close.as_bytes()].concat();
        let (inside, beside) = match self.damage.take() {
            Some(damage) if damage.is_of_element(self.origin.topic) => (Some(damage.reason()), None),
            other => (None, other),
        };
        let message = Message { payload, readings: self.readings, bad: inside };
        self.outbox.post(self.origin, self.part, message, beside);
        self.elements.clear();
        self.readings = 0;
        self.part += 1;
    }
}

/// The subject under which the fate of one record is drawn. Senders stay far below 2^40, parts below 2^16.
fn subject(origin: Origin, part: u64) -> u64 {
    (origin.topic as u64) << 56 | origin.sender << 16 | part
}

/// Payloads are made of strings, numbers and lists only, which always have a JSON form.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("payloads of the fleet are plain JSON")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn outbox(bad_share: f64, repeat_share: f64) -> Outbox {
        Outbox::new(Seed(1), Rates { bad_share, repeat_share, record_bytes: 200 })
    }

    fn packed(mut outbox: Outbox) -> Vec<FleetRecord> {
        for minute in 0..200 {
            let mut packer = outbox.pack(Origin { topic: Topic::Realtime, sender: 4, at: Millis(minute) });
            for station in 0..10 {
                packer.add(&serde_json::json!({"stationId": station, "sendTime": "2025-11-04 09:00:00"}));
            }
            packer.finish();
        }
        outbox.into_records()
    }

    #[test]
    fn readings_are_packed_below_the_limit_and_none_is_lost() {
        let records = packed(outbox(0.0, 0.0));
        assert!(records.iter().all(|record| record.payload.len() <= 200 && record.readings <= 3));
        assert_eq!(records.len(), 200 * 4);
        assert_eq!(records.iter().map(|record| record.readings).sum::<u32>(), 2_000);
    }

    #[test]
    fn damage_and_repeats_are_added_to_the_good_readings() {
        let rough = packed(outbox(0.5, 0.1));
        let bad_records: Vec<_> = rough.iter().filter(|record| record.readings == 0).collect();
        let bad_elements = rough.iter().filter(|record| record.readings > 0 && record.bad.is_some()).count();
        assert!(bad_records.len() > 20 && bad_elements > 20);
        let mut good: Vec<_> = rough.iter().filter(|record| record.readings > 0).collect();
        let before = good.len();
        good.dedup();
        assert!(good.len() < before, "some are sent twice");
        assert_eq!(good.iter().map(|record| record.readings).sum::<u32>(), 2_000);
        for record in good {
            let json: Value = serde_json::from_slice(&record.payload).expect("json");
            let elements = json["realTimeData"].as_array().expect("list");
            let expected = record.readings as usize + usize::from(record.bad.is_some());
            assert_eq!(elements.len(), expected);
        }
    }
}
