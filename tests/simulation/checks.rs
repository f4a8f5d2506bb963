//! The invariants of everything so far: what is committed is settled, and what was produced arrives in the end. Worked out
//! from what was produced and what reached Kafka, in another way than the service does it.

use super::broker::{LOAD, ORDER, PRICE, Place, TARIFF};
use super::disk::{Disk, Stood};
use super::ledger::{
    AFTER, Content, EACH, MODULES, OFFER, Outcome, PAIR, Pair, Piece, RATE, Reading, SIGN, STATIONS, TALLY, TASK,
};
use super::scene::Scene;

impl Scene {
    /// Everything before the commits that were asked for has had its whole effect, or something newer that will be
    /// read again has taken it over: a crash at this moment loses nothing.
    pub fn committed_is_settled(&self) -> Result<(), String> {
        self.would_be_settled(|place| self.broker.settled(place))
    }

    /// Whether a commit would lose nothing either.
    pub fn is_settled_up_to(&self, place: Place, next: i64) -> bool {
        let settled = |of: Place| if of == place { next } else { self.broker.settled(of) };
        self.would_be_settled(settled).is_ok()
    }

    fn would_be_settled(&self, settled: impl Fn(Place) -> i64) -> Result<(), String> {
        let below = |reading: &Reading| reading.exists && reading.offset < settled(reading.place);
        for (number, bad) in self.ledger.bad.iter().enumerate().filter(|(_, bad)| bad.exists) {
            let is_lettered = self.ledger.letters.contains(&Piece::Bad(number));
            if bad.offset < settled(bad.place) && !is_lettered {
                return Err(format!("committed without a dead letter: {bad:?}"));
            }
        }
        self.orders_are_accounted(below)?;
        self.loads_are_accounted(EACH, below)?;
        self.loads_are_accounted(OFFER, below)?;
        self.prices_are_accounted(below)?;
        for station in 0..STATIONS.len() {
            if let Some((load, price)) = self.join_is_settled((PAIR, PRICE), station, below)? {
                self.dependent_is_settled(station, (load, price))?;
            }
            self.join_is_settled((RATE, TARIFF), station, below)?;
        }
        Ok(())
    }

    fn orders_are_accounted(&self, below: impl Fn(&Reading) -> bool) -> Result<(), String> {
        for (number, order) in self.ledger.readings.iter().enumerate() {
            if order.place.topic != ORDER || !below(order) || self.is_accounted(number) {
                continue;
            }
            let stands_for = |other: &Reading| {
                let same = (other.place.topic, other.station, other.bucket()) == (ORDER, order.station, order.bucket());
                same && other.exists && other.handed_out > 0 && !below(other)
            };
            if !self.ledger.readings.iter().any(stands_for) {
                return Err(format!("committed without its bucket: order {number} {order:?}"));
            }
        }
        Ok(())
    }

    /// Every load has ended a run of its own.
    fn loads_are_accounted(&self, module: usize, below: impl Fn(&Reading) -> bool) -> Result<(), String> {
        for (number, load) in self.ledger.readings.iter().enumerate() {
            if load.place.topic == LOAD && below(load) && !self.ledger.is_handed_over(module, number) {
                return Err(format!("never handed over to {}: load {number} {load:?}", MODULES[module]));
            }
        }
        Ok(())
    }

    /// Every price has ended a run of its own, or its key was done with.
    fn prices_are_accounted(&self, below: impl Fn(&Reading) -> bool) -> Result<(), String> {
        for (number, price) in self.ledger.readings.iter().enumerate() {
            let counts = price.place.topic == PRICE && below(price);
            if counts && !self.ledger.is_worked_off(number, price.station) {
                return Err(format!("never handed over: price {number} {price:?}"));
            }
        }
        Ok(())
    }

    fn is_accounted(&self, number: usize) -> bool {
        self.ledger.tallied.contains(&number) || self.ledger.letters.contains(&Piece::Reading(number))
    }

    /// A module that needs the newest load and the newest reading of another topic. Which these are, if its last run has
    /// seen them or newer ones.
    fn join_is_settled(
        &self,
        (module, with): (usize, usize),
        station: usize,
        below: impl Fn(&Reading) -> bool,
    ) -> Result<Option<(usize, usize)>, String> {
        let (load, other) = (self.newest(LOAD, station, &below), self.newest(with, station, &below));
        let (Some(load), Some(other)) = (load, other) else { return Ok(None) };
        let takes_over = |reading: &Reading| {
            let known = match reading.place.topic {
                LOAD => load,
                topic if topic == with => other,
                _ => return false,
            };
            let newer = reading.rank() > self.ledger.readings[known].rank();
            reading.concerns(station) && newer && reading.exists && reading.handed_out > 0 && !below(reading)
        };
        if self.ledger.readings.iter().any(takes_over) {
            return Ok(None);
        }
        let saw = |outcome: &Outcome| self.saw(&outcome.content, (load, other));
        if !self.ledger.outcomes(module, station).iter().any(saw) {
            let name = MODULES[module];
            return Err(format!("committed without the end of its run: {name}, station {station}, {load}, {other}"));
        }
        Ok(Some((load, other)))
    }

    /// Whether an input holds a load and something else that are at least as new as these.
    fn saw(&self, content: &Content, (load, other): (usize, usize)) -> bool {
        let is_new = |seen: Option<usize>, known| self.rank(seen) >= self.rank(Some(known));
        is_new(content.load, load) && is_new(content.price.or(content.tariff), other)
    }

    fn dependent_is_settled(&self, station: usize, (load, price): (usize, usize)) -> Result<(), String> {
        let pairs = self.ledger.outcomes(PAIR, station);
        // A run that was given up is settled; that a later life may repeat it, and feed its dependent, is nobody's due.
        let given_up = |last: &Outcome| pairs.iter().any(|other| !other.is_result && other.content == last.content);
        let is_fed = pairs.last().is_some_and(|last| self.saw(&last.content, (load, price)) && !given_up(last));
        let after_saw = |content: &Content| {
            content.pair.is_some_and(|pair| {
                let of_pair = Content { load: Some(pair.load), price: Some(pair.price), ..content.clone() };
                let own = Content { price: Some(pair.price), ..content.clone() };
                self.saw(&of_pair, (load, price)) && self.saw(&own, (load, price))
            })
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
            let counts = order.place.topic == ORDER && order.is_owed() && spared != Some((TALLY, order.station));
            if counts && !self.is_accounted(number) {
                return Err(format!("lost: order {number} {order:?}"));
            }
        }
        for module in [EACH, OFFER] {
            self.loads_are_accounted(module, |load| load.is_owed() && spared != Some((module, load.station)))?;
        }
        self.prices_are_accounted(|price| price.is_owed() && spared != Some((TASK, price.station)))?;
        for station in 0..STATIONS.len() {
            if spared != Some((PAIR, station)) {
                self.join_has_converged((PAIR, PRICE), station)?;
                if spared != Some((AFTER, station)) {
                    self.dependent_has_converged(station)?;
                }
            }
            if spared != Some((RATE, station)) {
                self.join_has_converged((RATE, TARIFF), station)?;
            }
            if spared != Some((SIGN, station)) {
                self.sign_has_converged(station)?;
            }
        }
        Ok(())
    }

    fn join_has_converged(&self, (module, with): (usize, usize), station: usize) -> Result<(), String> {
        let (load, other) =
            (self.newest(LOAD, station, Reading::is_kept), self.newest(with, station, Reading::is_kept));
        let (Some(load), Some(other)) = (load, other) else { return Ok(()) };
        let last = self.ledger.outcomes(module, station).last();
        // What is newer than all that is kept, nobody had to know, though somebody may.
        if last.is_some_and(|last| self.saw(&last.content, (load, other))) {
            return Ok(());
        }
        let name = MODULES[module];
        Err(format!("not the newest: station {station} has {load} and {other}, {name} saw {last:?}"))
    }

    fn dependent_has_converged(&self, station: usize) -> Result<(), String> {
        let last = self.ledger.outcomes(PAIR, station).last().filter(|last| last.is_result);
        let seen = last.and_then(|last| last.content.load.zip(last.content.price));
        let Some((load, price)) = seen else { return Ok(()) };
        let last = self.ledger.outcomes(AFTER, station).last();
        let saw = last.map(|last| (last.content.load, last.content.pair));
        // What a pair of records that are no more was made of may be older than what is known to nobody.
        let is_kept = |number: usize| self.ledger.readings[number].is_kept();
        if saw == Some((Some(load), Some(Pair { load, price }))) || !is_kept(load) || !is_kept(price) {
            return Ok(());
        }
        Err(format!("not the newest: pair of station {station} saw {load} and {price}, after saw {last:?}"))
    }

    /// Who needs the tariff alone is called for every station there is.
    fn sign_has_converged(&self, station: usize) -> Result<(), String> {
        let is_known = self.ledger.readings.iter().any(|reading| reading.is_kept() && reading.station == station);
        let tariff = self.newest(TARIFF, station, Reading::is_kept).filter(|_| is_known);
        let last = self.ledger.outcomes(SIGN, station).last();
        let seen = last.and_then(|last| last.content.tariff);
        if tariff.is_some() && self.rank(seen) < self.rank(tariff) {
            return Err(format!("not the newest: station {station} has tariff {tariff:?}, sign saw {last:?}"));
        }
        Ok(())
    }

    /// Nothing is owed any more: every bad record has its letter, and every partition is committed to its end.
    pub fn owes_nothing(&self) -> Result<(), String> {
        let kept = self.ledger.bad.iter().enumerate().filter(|(_, bad)| (bad.exists || bad.durable) && !bad.history);
        let lost = |number: &usize| !self.ledger.letters.contains(&Piece::Bad(*number));
        if let Some((_, bad)) = kept.into_iter().find(|(number, _)| lost(number)) {
            return Err(format!("lost: no dead letter for {bad:?}"));
        }
        self.ends_are_durable()?;
        for place in self.broker.places() {
            let log = self.broker.log(place);
            let incarnation = log.held.map(|held| held.life.incarnation);
            let of_its_life = |stood: &Stood| Some(stood.incarnation) == incarnation;
            let stood = |disk: &Disk| disk.stood(place).filter(of_its_life).map_or(0, |stood| stood.at);
            let stood = self.disk.as_ref().map(stood);
            if stood.is_some_and(|stood| stood != log.end) {
                return Err(format!("never durable: {place:?} stands at {stood:?}, ends at {}", log.end));
            }
            let settled = self.broker.settled(place);
            if settled != log.end {
                return Err(format!("never settled: {place:?} is committed to {settled}, ends at {}", log.end));
            }
        }
        Ok(())
    }

    /// The next life would begin no run again: where each is one of its own, all have ended on the disk, otherwise the last.
    fn ends_are_durable(&self) -> Result<(), String> {
        let Some(disk) = &self.disk else { return Ok(()) };
        for outcomes in self.ledger.outcomes.values() {
            for (ix, outcome) in outcomes.iter().enumerate() {
                let content = &outcome.content;
                let trigger = self.ledger.trigger(content);
                let counts = trigger.is_some() || (ix + 1 == outcomes.len() && self.rests_on_the_last_pair(content));
                let is_kept = content.numbers().iter().all(|number| self.ledger.readings[*number].is_kept());
                let Some(hash) = self.ledger.hash(content).filter(|_| counts && is_kept) else { continue };
                if !disk.has_ended(content, trigger, hash) {
                    return Err(format!("ended, but not on the disk: {content:?} {hash}"));
                }
            }
        }
        Ok(())
    }

    /// A pair may have been forgotten with the process that published it, and then nobody sees it again.
    fn rests_on_the_last_pair(&self, content: &Content) -> bool {
        let last = self.ledger.outcomes(PAIR, content.station).last();
        let of = |content: &Content| Some(Pair { load: content.load?, price: content.price? });
        content.pair.is_none() || last.is_some_and(|last| last.is_result && of(&last.content) == content.pair)
    }

    /// What has ended in this life is on the disk.
    pub fn ends_of_this_life_are_durable(&self, disk: &Disk) -> Result<(), String> {
        let counts = |outcome: &Outcome| outcome.life == self.life && !outcome.is_belated;
        for outcomes in self.ledger.outcomes.values() {
            let last = outcomes.len().saturating_sub(1);
            for (ix, outcome) in outcomes.iter().enumerate().filter(|(_, outcome)| counts(outcome)) {
                let content = &outcome.content;
                let trigger = self.ledger.trigger(content);
                let Some(hash) = self.ledger.hash(content).filter(|_| trigger.is_some() || ix == last) else {
                    continue;
                };
                if !disk.knows_the_end_of(content, trigger, hash) {
                    return Err(format!("drained, and yet not on the disk: the end of {content:?} {hash}"));
                }
            }
        }
        Ok(())
    }

    /// The reading of a station on a topic that counts, among those that are `known`.
    fn newest(&self, topic: usize, station: usize, known: impl Fn(&Reading) -> bool) -> Option<usize> {
        let of = |reading: &Reading| reading.place.topic == topic && reading.concerns(station) && known(reading);
        let readings = self.ledger.readings.iter().enumerate().filter(|(_, reading)| of(reading));
        readings.max_by_key(|(_, reading)| reading.rank()).map(|(number, _)| number)
    }

    pub fn rank(&self, number: Option<usize>) -> Option<impl Ord> {
        number.map(|number| self.ledger.readings[number].rank())
    }
}
