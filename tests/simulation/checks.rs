//! The invariants, worked out from what was produced and what reached Kafka, in another way than the service does it.

use std::sync::Arc;

use super::broker::{Broker, LOAD, ORDER, PRICE, Place};
use super::ledger::{
    AFTER, BUCKET_MS, Bad, CLOSE_AFTER_MS, Content, EACH, Outcome, PAIR, Pair, Reading, STATIONS, TALLY,
};
use super::scene::Scene;

impl Scene {
    /// No result is older than the one before it, and within one life of the process none is published twice. Where
    /// nothing outlives it, the order is promised within one life, too.
    pub fn follows(&self, outcome: &Outcome) -> Result<(), String> {
        let content = &outcome.content;
        let before = self.ledger.outcomes(content.module, content.station).iter().rev();
        let mut before = before.filter(|before| self.is_comparable(before, outcome));
        let Some(before) = before.next() else { return Ok(()) };
        if before.content == *content {
            return if before.life == outcome.life { Err(format!("twice: {content:?}")) } else { Ok(()) };
        }
        let older = |new: Option<usize>, old: Option<usize>| self.rank(new) < self.rank(old);
        let went_back = match content.module {
            TALLY => bucket(content) <= bucket(&before.content),
            EACH => self.place_of(content) <= self.place_of(&before.content),
            _ => older(content.load, before.content.load) || older(content.price, before.content.price),
        };
        if went_back {
            Err(format!("older than the one before: {content:?} after {:?}", before.content))
        } else {
            Ok(())
        }
    }

    /// What is handed over one by one follows the one before of its partition; after a crash some of it may come again.
    fn is_comparable(&self, before: &Outcome, outcome: &Outcome) -> bool {
        let partition = |outcome: &Outcome| self.place_of(&outcome.content).map(|(place, ..)| place);
        match outcome.content.module {
            EACH => before.life == outcome.life && partition(before) == partition(outcome),
            TALLY => before.life == outcome.life,
            _ => before.life == outcome.life || self.disk.is_some(),
        }
    }

    fn place_of(&self, content: &Content) -> Option<(Place, i64, usize)> {
        let load = &self.ledger.readings[content.load?];
        Some((load.place, load.offset, load.element))
    }

    /// A dead letter of a record has arrived: it must deserve one.
    pub fn buried(&mut self, piece: Bad, reason: &str) -> Result<(), String> {
        self.note(&format!("dead letter {piece:?} {reason}"));
        self.ledger.letters.insert(piece);
        if reason == "late" {
            let at = |reading: &&Reading| (reading.place, reading.offset) == (piece.place, piece.offset);
            let Some(order) = self.ledger.readings.iter().find(at).filter(|order| order.place.topic == ORDER) else {
                return Err(format!("late, but no order: {piece:?}"));
            };
            let is_over = order.bucket() + BUCKET_MS + CLOSE_AFTER_MS <= self.now().0;
            let later = |other: &Reading| other.station == order.station && other.bucket() > order.bucket();
            let is_passed = self.ledger.readings.iter().any(|other| other.handed_out > 0 && later(other));
            return if is_over || is_passed { Ok(()) } else { Err(format!("not late: {order:?}")) };
        }
        if self.ledger.bad.contains(&piece) {
            Ok(())
        } else {
            Err(format!("nothing is wrong with {piece:?}: {reason}"))
        }
    }

    /// Everything before the commits that were asked for has had its whole effect, or something newer that will be
    /// read again has taken it over: a crash at this moment loses nothing.
    pub fn committed_is_settled(&self) -> Result<(), String> {
        let below = |reading: &Reading| reading.offset < self.broker.log(reading.place).settled();
        for bad in &self.ledger.bad {
            if bad.offset < self.broker.log(bad.place).settled() && !self.ledger.letters.contains(bad) {
                return Err(format!("committed without a dead letter: {bad:?}"));
            }
        }
        self.orders_are_accounted(below)?;
        self.loads_are_accounted(below)?;
        (0..STATIONS.len()).try_for_each(|station| self.pair_is_settled(station, below))
    }

    fn orders_are_accounted(&self, below: impl Fn(&Reading) -> bool) -> Result<(), String> {
        for (number, order) in self.ledger.readings.iter().enumerate() {
            if order.place.topic != ORDER || !below(order) || self.is_accounted(number, order) {
                continue;
            }
            let stands_for = |other: &Reading| {
                let same = (other.place.topic, other.station, other.bucket()) == (ORDER, order.station, order.bucket());
                same && other.handed_out > 0 && !below(other)
            };
            if !self.ledger.readings.iter().any(stands_for) {
                return Err(format!("committed without its bucket: order {number} {order:?}"));
            }
        }
        Ok(())
    }

    /// Every load has ended a run of its own.
    fn loads_are_accounted(&self, below: impl Fn(&Reading) -> bool) -> Result<(), String> {
        for (number, load) in self.ledger.readings.iter().enumerate() {
            let is_its = |outcome: &Outcome| outcome.content.load == Some(number);
            if load.place.topic == LOAD && below(load) && !self.ledger.outcomes(EACH, load.station).iter().any(is_its) {
                return Err(format!("never handed over: load {number} {load:?}"));
            }
        }
        Ok(())
    }

    fn is_accounted(&self, number: usize, order: &Reading) -> bool {
        let letter = Bad { place: order.place, offset: order.offset, element: None };
        self.ledger.tallied.contains(&number) || self.ledger.letters.contains(&letter)
    }

    fn pair_is_settled(&self, station: usize, below: impl Fn(&Reading) -> bool) -> Result<(), String> {
        let (load, price) = (self.newest(LOAD, station, &below), self.newest(PRICE, station, &below));
        let (Some(load), Some(price)) = (load, price) else { return Ok(()) };
        let takes_over = |other: &Reading| {
            let known = match other.place.topic {
                LOAD => load,
                PRICE => price,
                _ => return false,
            };
            let newer = other.rank() > self.ledger.readings[known].rank();
            other.station == station && newer && other.handed_out > 0 && !below(other)
        };
        if self.ledger.readings.iter().any(takes_over) {
            return Ok(());
        }
        let saw = |load_seen, price_seen| {
            self.rank(Some(load_seen)) >= self.rank(Some(load)) && self.rank(Some(price_seen)) >= self.rank(Some(price))
        };
        let pair_saw = |content: &Content| content.load.zip(content.price).is_some_and(|(l, p)| saw(l, p));
        let pairs = self.ledger.outcomes(PAIR, station);
        if !pairs.iter().any(|outcome| pair_saw(&outcome.content)) {
            return Err(format!("committed without the end of its run: station {station}, load {load}, price {price}"));
        }
        // A run that was given up is settled; that a later life may repeat it, and feed its dependent, is nobody's due.
        let given_up = |last: &Outcome| pairs.iter().any(|other| !other.is_result && other.content == last.content);
        let is_fed = pairs.last().is_some_and(|last| pair_saw(&last.content) && !given_up(last));
        let after_saw = |content: &Content| {
            content
                .load
                .zip(content.pair)
                .is_some_and(|(load, pair)| saw(load, pair.price) && saw(pair.load, pair.price))
        };
        if is_fed && !self.ledger.outcomes(AFTER, station).iter().any(|outcome| after_saw(&outcome.content)) {
            return Err(format!("committed without its dependent: station {station}, load {load}, price {price}"));
        }
        Ok(())
    }

    /// Everything was delivered, nothing fails any more, and time has passed: what is known is what was produced.
    /// `spared` is what still fails, and nobody else may suffer from it.
    pub fn has_converged(&self, spared: Option<(usize, usize)>) -> Result<(), String> {
        for (number, order) in self.ledger.readings.iter().enumerate() {
            let station = order.station;
            if order.place.topic == ORDER && spared != Some((TALLY, station)) && !self.is_accounted(number, order) {
                return Err(format!("lost: order {number} {order:?}"));
            }
        }
        self.loads_are_accounted(|load| spared != Some((EACH, load.station)))?;
        for station in 0..STATIONS.len() {
            if spared != Some((PAIR, station)) {
                self.pair_has_converged(station, spared == Some((AFTER, station)))?;
            }
        }
        Ok(())
    }

    fn pair_has_converged(&self, station: usize, after_is_spared: bool) -> Result<(), String> {
        let all = |_: &Reading| true;
        let (load, price) = (self.newest(LOAD, station, all), self.newest(PRICE, station, all));
        let (Some(load), Some(price)) = (load, price) else { return Ok(()) };
        let last = self.ledger.outcomes(PAIR, station).last();
        let saw = last.map(|last| (last.content.load, last.content.price));
        if saw != Some((Some(load), Some(price))) {
            return Err(format!("not the newest: station {station} has load {load}, price {price}, pair saw {last:?}"));
        }
        if after_is_spared || !last.is_some_and(|last| last.is_result) {
            return Ok(());
        }
        let last = self.ledger.outcomes(AFTER, station).last();
        let saw = last.map(|last| (last.content.load, last.content.pair));
        if saw != Some((Some(load), Some(Pair { load, price }))) {
            return Err(format!(
                "not the newest: station {station} has load {load}, price {price}, after saw {last:?}"
            ));
        }
        Ok(())
    }

    /// Nothing is owed any more: every bad record has its letter, and every partition is committed to its end.
    pub fn owes_nothing(&self) -> Result<(), String> {
        if let Some(bad) = self.ledger.bad.iter().find(|bad| !self.ledger.letters.contains(bad)) {
            return Err(format!("lost: no dead letter for {bad:?}"));
        }
        for place in Broker::places() {
            let log = self.broker.log(place);
            let stood = self.disk.as_ref().map(|disk| disk.stood(place).map_or(0, |stood| stood.at));
            if stood.is_some_and(|stood| stood != log.end) {
                return Err(format!("never durable: {place:?} stands at {stood:?}, ends at {}", log.end));
            }
            if log.settled() != log.end {
                return Err(format!("never settled: {place:?} is committed to {}, ends at {}", log.settled(), log.end));
            }
        }
        Ok(())
    }

    /// The reading of a station on a topic that counts, among those that are `known`.
    fn newest(&self, topic: usize, station: usize, known: impl Fn(&Reading) -> bool) -> Option<usize> {
        let of = |reading: &Reading| reading.place.topic == topic && reading.station == station && known(reading);
        let readings = self.ledger.readings.iter().enumerate().filter(|(_, reading)| of(reading));
        readings.max_by_key(|(_, reading)| reading.rank()).map(|(number, _)| number)
    }

    fn rank(&self, number: Option<usize>) -> Option<impl Ord> {
        number.map(|number| self.ledger.readings[number].rank())
    }
}

fn bucket(content: &Arc<Content>) -> Option<i64> {
    content.orders.as_ref().map(|(from, _)| *from)
}
