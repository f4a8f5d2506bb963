//! Which stations send: always the same, or ever new ones, of which each falls silent for good after a while. Pure.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::seed::Chance;

/// Once in so many times a station is drawn that stays for ever, where there are any.
const RESIDENT_ONCE_IN: u64 = 10;

/// The stations of a workload, by number.
#[derive(Clone, Debug)]
pub struct Population {
    residents: u64,
    passing: Range<u64>,
}

impl Population {
    /// So many stations that stay.
    pub fn settled(stations: u64) -> Self {
        Self { residents: 0, passing: 0..stations }
    }

    /// Stations that stay, and beside them so many others that do not.
    pub fn passing(residents: u64, others: u64) -> Self {
        Self { residents, passing: residents..residents + others }
    }

    /// Any that sends.
    pub fn any(&self, chance: &mut Chance) -> u64 {
        if self.residents > 0 && chance.once_in(RESIDENT_ONCE_IN) {
            return chance.within(0..self.residents);
        }
        chance.within(self.passing.clone())
    }

    /// All that send.
    pub fn alive(&self) -> impl Iterator<Item = u64> + use<> {
        (0..self.residents).chain(self.passing.clone())
    }

    /// All there ever were.
    pub fn seen(&self) -> u64 {
        self.passing.end
    }

    /// Lets the one that has been passing for longest fall silent, and returns the newcomer in its stead.
    pub fn succeed(&mut self) -> u64 {
        self.passing.start += 1;
        self.passing.end += 1;
        self.passing.end - 1
    }

    /// The names of those that fell silent.
    pub fn silent(&self) -> BTreeSet<String> {
        (self.residents..self.passing.start).map(name).collect()
    }
}

/// What a station calls itself.
pub fn name(station: u64) -> String {
    format!("S{station}")
}

#[test]
fn newcomers_take_the_places_of_those_that_fall_silent_and_residents_stay() {
    let (mut population, mut chance) = (Population::passing(2, 3), Chance::of("population"));
    assert_eq!([(); 3].map(|()| population.succeed()), [5, 6, 7]);
    assert_eq!(population.alive().collect::<Vec<_>>(), [0, 1, 5, 6, 7]);
    assert_eq!(population.silent(), ["S2", "S3", "S4"].map(str::to_owned).into());
    assert_eq!(population.seen(), 8);
    let drawn: BTreeSet<u64> = (0..1000).map(|_| population.any(&mut chance)).collect();
    assert_eq!(drawn, population.alive().collect());
}
