//! What every engine is given to keep, and what is found of it afterwards. Knows no engine.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Partitions whose positions each flush writes.
pub const PARTITIONS: i32 = 13;
/// Bytes of one key and value, about.
pub const ENTRY_BYTES: u64 = 400;
/// Bytes of one position, about.
pub const POSITION_BYTES: u64 = 30;
/// Text kept of a reading; with its origin, wrapping and key it makes an entry.
const TEXT_BYTES: usize = 360;
/// Names of a reading's fields, as a station's telemetry has them: about half of its text.
const FIELDS: [&str; 14] = [
    "energy_wh",
    "power_w",
    "current_a",
    "voltage_v",
    "soc_pct",
    "temp_c",
    "limit_w",
    "phase",
    "freq_hz",
    "pf",
    "session",
    "meter_wh",
    "offer_a",
    "signal",
];

/// What is found in a store.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Content {
    /// Windows.
    pub slots: u64,
    /// The number of the last flush, by the positions; 0 when there are none.
    pub number: u64,
    /// The lowest number of any window that the last flush wrote, if the first windows are always written.
    pub lowest: u64,
}

/// Numbers that look random and are the same for the same seed.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// So many different windows, in no order.
    pub fn choose(&mut self, count: u64, slots: u64) -> Vec<u64> {
        let mut seen = BTreeSet::new();
        let count = count.min(slots) as usize;
        let mut chosen = Vec::with_capacity(count);
        while chosen.len() < count {
            let slot = self.next() % slots;
            if seen.insert(slot) {
                chosen.push(slot);
            }
        }
        chosen
    }
}

/// One number for one number.
fn mixed(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Stations in no order, as their ids are.
pub fn station(slot: u64) -> String {
    format!("{:016x}", mixed(slot))
}

/// The text of one window after one flush.
pub fn text(number: u64, slot: u64) -> String {
    let mut numbers = Numbers::new(number.rotate_left(40) ^ slot);
    let mut text = String::with_capacity(TEXT_BYTES + 40);
    let mut lead = '{';
    for field in FIELDS {
        if text.len() + 40 > TEXT_BYTES {
            break;
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{lead}\"{field}\":{}.{:06}", numbers.next() % 100_000, numbers.next() % 1_000_000);
        lead = ',';
    }
    let _ = write!(text, ",\"x\":\"{:0width$}\"}}", 0, width = TEXT_BYTES - text.len() - 8);
    text
}

/// The entries of one flush for engines that keep bytes, about as long as quorate's own.
pub fn entries(number: u64, slots: &[u64]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let value = |text: &[u8], bytes: usize| {
        let mut value = number.to_le_bytes().to_vec();
        value.extend_from_slice(text);
        value.resize(bytes, b'.');
        value
    };
    let slot = |&slot: &u64| (key(slot), value(text(number, slot).as_bytes(), TEXT_BYTES + 16));
    let position = |partition| (format!("p{partition}").into(), value(b"", 24));
    slots.iter().map(slot).chain((0..PARTITIONS).map(position)).collect()
}

fn key(slot: u64) -> Vec<u8> {
    format!("s{}/topic/", station(slot)).into()
}

/// Adds up what is read, entry by entry.
pub struct Tally {
    first: Vec<Vec<u8>>,
    content: Content,
}

impl Tally {
    /// `lowest` is over the first so many windows.
    pub fn new(first: u64) -> Self {
        let mut first: Vec<Vec<u8>> = (0..first).map(|slot| station(slot).into()).collect();
        first.sort_unstable();
        Self { first, content: Content { lowest: u64::MAX, ..Content::default() } }
    }

    /// Takes one of [`entries`].
    pub fn take(&mut self, key: &[u8], value: &[u8]) {
        let number = value.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        match key {
            [b's', key @ ..] => self.slot(key.get(..16).unwrap_or(key), number),
            _ => self.content.number = self.content.number.max(number),
        }
    }

    /// Takes the window of a station.
    pub fn slot(&mut self, station: &[u8], number: u64) {
        self.content.slots += 1;
        if self.first.binary_search_by(|first| first.as_slice().cmp(station)).is_ok() {
            self.content.lowest = self.content.lowest.min(number);
        }
    }

    pub fn content(self) -> Content {
        self.content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_length_and_differ_from_window_to_window() {
        let lengths: BTreeSet<usize> = (0..500).map(|slot| text(7, slot).len()).collect();
        assert_eq!(lengths, BTreeSet::from([TEXT_BYTES]));
        assert_ne!(text(7, 1), text(7, 2));
        assert!(serde_json::from_str::<serde_json::Value>(&text(7, 1)).is_ok());
    }

    #[test]
    fn windows_are_chosen_once_each_and_alike_for_one_seed() {
        let chosen = Numbers::new(3).choose(900, 1_000);
        assert_eq!(chosen, Numbers::new(3).choose(900, 1_000));
        assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), 900);
    }
}
