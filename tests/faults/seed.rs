//! Chance that can be repeated: one seed for a run of this binary, from it a generator for each scenario.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

/// The seed of this run: `QUORATE_FAULT_SEED`, or another one each time.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| match std::env::var("QUORATE_FAULT_SEED") {
        Ok(text) => text.parse().expect("QUORATE_FAULT_SEED is a number"),
        Err(_) => RandomState::new().hash_one(0) >> 16,
    })
}

/// How often a fault that can be repeated is: `QUORATE_FAULT_ROUNDS`, or `short`.
pub fn rounds(short: u32) -> u32 {
    let rounds = std::env::var("QUORATE_FAULT_ROUNDS");
    rounds.map_or(short, |text| text.parse().expect("QUORATE_FAULT_ROUNDS is a number"))
}

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The generator of a scenario: another one for each name, the same one for each run with the same seed.
    pub fn of(name: &str) -> Self {
        Self(name.bytes().fold(seed(), |state, byte| state.wrapping_mul(31).wrapping_add(u64::from(byte))))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of the range, which is not empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.within(0..times) == 0
    }

    /// A time of so many milliseconds.
    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }
}

#[test]
fn a_scenario_has_chances_of_its_own_and_the_same_each_time() {
    let draw = |name: &str| {
        let mut chance = Chance::of(name);
        [(); 8].map(|()| chance.within(10..20))
    };
    assert_eq!(draw("a"), draw("a"));
    assert_ne!(draw("a"), draw("b"));
    assert!(draw("a").iter().all(|drawn| (10..20).contains(drawn)));
}
