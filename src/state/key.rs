//! The keys of the store, as bytes: compact, unambiguous for any name, ordered so that what belongs to one station lies
//! together. The layout is part of the product. Knows nothing of values.

use std::collections::HashSet;
use std::sync::Arc;

use quorate_core::ident::{Partition, Station};
use quorate_core::shard::{Of, Place};

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The store itself. Comes before all others.
    Meta,
    /// How a topic's windows were shaped when they were filled.
    Topic(Arc<str>),
    /// Where a partition stands.
    Position(Arc<str>, Partition),
    /// A dead letter that waits.
    Letter(u64),
    /// The global records that stations are still to see.
    Early,
    /// A window, or a part of one.
    Slot(Place, Of, u64),
    /// What a module owes a station.
    Run(Station, Arc<str>),
    /// What waits to be handed over to a module, by its place in the queue.
    Pending(Station, Arc<str>, u64),
    /// What a module is done with, by the hash of its key.
    Done(Station, Arc<str>, u128),
}

/// First bytes. Numbers are never given to anything else.
mod kind {
    pub(super) const META: u8 = 0x01;
    pub(super) const TOPIC: u8 = 0x02;
    pub(super) const POSITION: u8 = 0x03;
    pub(super) const LETTER: u8 = 0x04;
    pub(super) const EARLY: u8 = 0x05;
    pub(super) const GLOBAL: u8 = 0x10;
    pub(super) const STATION: u8 = 0x11;
}

/// What of a station, or of all.
mod thing {
    pub(super) const OF_TOPIC: u8 = 1;
    pub(super) const OF_MODULE: u8 = 2;
    pub(super) const RUN: u8 = 3;
    pub(super) const PENDING: u8 = 4;
    pub(super) const DONE: u8 = 5;
}

impl Key {
    /// The key as it stands in the store.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(48);
        match self {
            Self::Meta => key.push(kind::META),
            Self::Topic(topic) => {
                key.push(kind::TOPIC);
                put_name(&mut key, topic);
            }
            Self::Position(topic, partition) => {
                key.push(kind::POSITION);
                put_name(&mut key, topic);
                key.extend_from_slice(&partition.to_be_bytes());
            }
            Self::Letter(id) => {
                key.push(kind::LETTER);
                put_number(&mut key, *id);
            }
            Self::Early => key.push(kind::EARLY),
            Self::Slot(place, of, part) => {
                match place {
                    Place::Global => key.push(kind::GLOBAL),
                    Place::Station(station) => put_station(&mut key, station),
                }
                let (thing, name) = match of {
                    Of::Topic(name) => (thing::OF_TOPIC, name),
                    Of::Module(name) => (thing::OF_MODULE, name),
                };
                key.push(thing);
                put_name(&mut key, name);
                put_number(&mut key, *part);
            }
            Self::Run(station, module) => {
                put_station(&mut key, station);
                key.push(thing::RUN);
                put_name(&mut key, module);
            }
            Self::Pending(station, module, number) => {
                put_station(&mut key, station);
                key.push(thing::PENDING);
                put_name(&mut key, module);
                put_number(&mut key, *number);
            }
            Self::Done(station, module, hash) => {
                put_station(&mut key, station);
                key.push(thing::DONE);
                put_name(&mut key, module);
                key.extend_from_slice(&hash.to_be_bytes());
            }
        }
        key
    }
}

fn put_station(key: &mut Vec<u8>, station: &Station) {
    key.push(kind::STATION);
    put_name(key, station.as_str());
}

/// Bytes as they are, except that 0 becomes 0 255; then 0 0. No name is the beginning of another one's bytes.
fn put_name(key: &mut Vec<u8>, name: &str) {
    for byte in name.bytes() {
        key.push(byte);
        if byte == 0 {
            key.push(0xff);
        }
    }
    key.extend_from_slice(&[0, 0]);
}

/// How many bytes it takes, then these, big end first: ordered like the numbers.
fn put_number(key: &mut Vec<u8>, number: u64) {
    let bytes = number.to_be_bytes();
    let skip = number.leading_zeros() as usize / 8;
    key.push((bytes.len() - skip) as u8);
    key.extend_from_slice(&bytes[skip..]);
}

/// Reads keys in their order. Names that recur are kept in memory once.
#[derive(Debug, Default)]
pub(super) struct KeyReader {
    names: HashSet<Arc<str>>,
    station: Option<Station>,
}

impl KeyReader {
    /// The key that was encoded so; none when none was.
    pub(super) fn decode(&mut self, mut bytes: &[u8]) -> Option<Key> {
        let rest = &mut bytes;
        let key = match take_byte(rest)? {
            kind::META => Key::Meta,
            kind::TOPIC => Key::Topic(self.name(rest)?),
            kind::POSITION => Key::Position(self.name(rest)?, take_partition(rest)?),
            kind::LETTER => Key::Letter(take_number(rest)?),
            kind::EARLY => Key::Early,
            kind::GLOBAL => {
                let thing = take_byte(rest)?;
                self.slot(Place::Global, thing, rest)?
            }
            kind::STATION => {
                let station = self.station(rest)?;
                match take_byte(rest)? {
                    thing::RUN => Key::Run(station, self.name(rest)?),
                    thing::PENDING => Key::Pending(station, self.name(rest)?, take_number(rest)?),
                    thing::DONE => Key::Done(station, self.name(rest)?, take_hash(rest)?),
                    thing => self.slot(Place::Station(station), thing, rest)?,
                }
            }
            _ => return None,
        };
        rest.is_empty().then_some(key)
    }

    fn slot(&mut self, place: Place, thing: u8, rest: &mut &[u8]) -> Option<Key> {
        let name = self.name(rest)?;
        let of = match thing {
            thing::OF_TOPIC => Of::Topic(name),
            thing::OF_MODULE => Of::Module(name),
            _ => return None,
        };
        Some(Key::Slot(place, of, take_number(rest)?))
    }

    fn name(&mut self, rest: &mut &[u8]) -> Option<Arc<str>> {
        let name = take_name(rest)?;
        if let Some(known) = self.names.get(name.as_str()) {
            return Some(Arc::clone(known));
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        Some(name)
    }

    /// Entries of one station follow one another.
    fn station(&mut self, rest: &mut &[u8]) -> Option<Station> {
        let id = take_name(rest)?;
        if self.station.as_ref().is_none_or(|station| station.as_str() != id) {
            self.station = Some(Station::from(id.as_str()));
        }
        self.station.clone()
    }
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    let (&byte, after) = rest.split_first()?;
    *rest = after;
    Some(byte)
}

fn take_name(rest: &mut &[u8]) -> Option<String> {
    let mut name = Vec::new();
    loop {
        match (take_byte(rest)?, rest.first()) {
            (0, Some(0)) => break,
            (0, Some(0xff)) => name.push(0),
            (0, _) => return None,
            (byte, _) => {
                name.push(byte);
                continue;
            }
        }
        *rest = &rest[1..];
    }
    *rest = &rest[1..];
    String::from_utf8(name).ok()
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let length = usize::from(take_byte(rest)?);
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    let mut bytes = [0; 8];
    bytes.get_mut(8_usize.checked_sub(length)?..)?.copy_from_slice(taken);
    let number = u64::from_be_bytes(bytes);
    // One number, one key.
    (number.leading_zeros() as usize / 8 == 8 - length).then_some(number)
}

fn take_hash(rest: &mut &[u8]) -> Option<u128> {
    let (bytes, after) = rest.split_first_chunk::<16>()?;
    *rest = after;
    Some(u128::from_be_bytes(*bytes))
}

fn take_partition(rest: &mut &[u8]) -> Option<Partition> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(Partition::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = Arc<str>> {
        let odd = prop_oneof![Just('\0'), Just('\u{1}'), Just('/'), Just('a'), Just('ÿ'), any::<char>()];
        prop::collection::vec(odd, 0..6).prop_map(|chars| chars.into_iter().collect::<String>().into())
    }

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), Just(u64::MAX), 0..300_u64, any::<u64>()]
    }

    fn keys() -> impl Strategy<Value = Key> {
        let station = || name().prop_map(|id| Station::from(&*id));
        let place = prop_oneof![Just(Place::Global), station().prop_map(Place::Station)];
        let of = prop_oneof![name().prop_map(Of::Topic), name().prop_map(Of::Module)];
        prop_oneof![
            Just(Key::Meta),
            Just(Key::Early),
            name().prop_map(Key::Topic),
            (name(), any::<i32>()).prop_map(|(topic, partition)| Key::Position(topic, partition)),
            number().prop_map(Key::Letter),
            (place, of, number()).prop_map(|(place, of, part)| Key::Slot(place, of, part)),
            (station(), name()).prop_map(|(station, module)| Key::Run(station, module)),
            (station(), name(), number()).prop_map(|(station, module, at)| Key::Pending(station, module, at)),
            (station(), name(), any::<u128>()).prop_map(|(station, module, key)| Key::Done(station, module, key)),
        ]
    }

    proptest! {
        #[test]
        fn every_key_comes_back_and_no_two_are_alike(one in keys(), other in keys()) {
            let mut reader = KeyReader::default();
            prop_assert_eq!(reader.decode(&one.encode()), Some(one.clone()));
            prop_assert_eq!(one.encode() == other.encode(), one == other);
        }

        #[test]
        fn bytes_that_are_no_key_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            if let Some(key) = KeyReader::default().decode(&bytes) {
                prop_assert_eq!(key.encode(), bytes);
            }
        }

        #[test]
        fn what_belongs_to_one_station_lies_together(one in name(), other in name()) {
            let run = |id: &str, module: &str| Key::Run(Station::from(id), module.into()).encode();
            let (from, to) = (run(&one, ""), run(&one, "\u{10ffff}"));
            let strange = run(&other, "m");
            prop_assert!(one == other || strange < from || strange > to);
        }
    }

    #[test]
    fn the_bytes_of_keys_do_not_change() {
        let station = || Station::from("S\0");
        for (key, bytes) in [
            (Key::Meta, "01"),
            (Key::Topic("T".into()), "0254 0000"),
            (Key::Position("T".into(), 3), "0354 0000 00000003"),
            (Key::Letter(258), "04 02 0102"),
            (Key::Early, "05"),
            (Key::Slot(Place::Global, Of::Topic("T".into()), 0), "10 01 54 0000 00"),
            (Key::Slot(Place::Station(station()), Of::Module("m".into()), 7), "11 53 00ff 0000 02 6d 0000 01 07"),
            (Key::Run(station(), "m".into()), "11 53 00ff 0000 03 6d 0000"),
            (Key::Pending(station(), "m".into(), 1), "11 53 00ff 0000 04 6d 0000 01 01"),
            (Key::Done(station(), "m".into(), 2), "11 53 00ff 0000 05 6d 0000 00000000 00000000 00000000 00000002"),
        ] {
            let hex: String = key.encode().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, bytes.replace(' ', ""), "{key:?}");
        }
    }
}
