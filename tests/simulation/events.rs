//! The invariants of one event: whether a module may be called with this, a result may follow the one before, a dead
//! letter is deserved.

use std::sync::Arc;

use quorate_core::provenance::Incarnation;

use super::broker::Place;
use super::ledger::{Content, EACH, OFFER, Outcome, Piece, Reading, TALLY, TASK, key};
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
        // What was known of records that are no more may go with the process that knew it.
        let counts = |old: usize| before.life == outcome.life || self.ledger.readings[old].is_kept();
        let older = |new: Option<usize>, old: Option<usize>| old.is_some_and(counts) && self.rank(new) < self.rank(old);
        let went_back = match content.module {
            TALLY => bucket(content) <= bucket(&before.content),
            EACH | TASK | OFFER => self.place_of(content) <= self.place_of(&before.content),
            _ => {
                let before = &before.content;
                older(content.load, before.load)
                    || older(content.price, before.price)
                    || older(content.tariff, before.tariff)
            }
        };
        if went_back {
            Err(format!("older than the one before: {content:?} after {:?}", before.content))
        } else {
            Ok(())
        }
    }

    /// What is handed over one by one follows the one before of its partition; after a crash some of it may come again.
    fn is_comparable(&self, before: &Outcome, outcome: &Outcome) -> bool {
        let partition = |outcome: &Outcome| Some(self.ledger.readings[outcome.content.handed()?].place);
        match outcome.content.module {
            EACH | TASK | OFFER => before.life == outcome.life && partition(before) == partition(outcome),
            TALLY => before.life == outcome.life,
            _ => before.life == outcome.life || self.disk.is_some(),
        }
    }

    /// What is done with is not begun again in the life of the process that has done it.
    pub fn is_new_task(&self, life: u32, content: &Content) -> Result<(), String> {
        let Some(number) = content.price.filter(|_| content.module == TASK) else { return Ok(()) };
        let is_done = |outcome: &Outcome| {
            (outcome.is_result, outcome.life, outcome.content.price.map(key)) == (true, life, Some(key(number)))
        };
        match self.ledger.outcomes(TASK, content.station).iter().find(|outcome| is_done(outcome)) {
            Some(done) => Err(format!("called again: {content:?} after {done:?}")),
            None => Ok(()),
        }
    }

    /// What is handed over one by one is not begun again where somebody is done with all of it: whoever was there before
    /// the store, or, without one, whoever has committed before this life.
    pub fn is_live(&self, content: &Content) -> Result<(), String> {
        let handed = content.handed().into_iter().chain(content.orders.iter().flat_map(|(_, orders)| orders.clone()));
        let is_loaded = |number: usize| {
            let reading = &self.ledger.readings[number];
            let at = self.began_at.get(&reading.place);
            let is_committed = || at.is_some_and(|at| reading.exists && reading.offset < *at);
            reading.history || (self.disk.is_none() && is_committed())
        };
        let mut handed = handed.peekable();
        if handed.peek().is_some() && handed.all(is_loaded) {
            return Err(format!("called for what was only loaded: {content:?}"));
        }
        Ok(())
    }

    /// A crash at this moment must not let the next life publish anything that knows less.
    pub fn knows_no_more_than_is_on_record(&self, content: &Content) -> Result<(), String> {
        let Some(disk) = &self.disk else { return Ok(()) };
        content.numbers().into_iter().try_for_each(|number| disk.may_know(&self.ledger.readings[number]))
    }

    /// What a module was called with, and would be read again after a crash, stands below its ceiling.
    pub fn ceilings_hold(&self) -> Result<(), String> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let counts = |reading: &&Reading| reading.known && reading.exists && !reading.durable;
        self.ledger.readings.iter().filter(counts).try_for_each(|reading| disk.may_know(reading))
    }

    /// Whoever has drained has nothing under way and no letter waiting.
    pub fn is_quiet(&self) -> Result<(), String> {
        let waits = |piece: &Piece| !self.ledger.letters.contains(piece);
        let waiting = self.disk.as_ref().and_then(|disk| disk.letters().find(|piece| waits(piece)));
        let mut running = self.running.iter().filter(|(_, module, station)| !self.is_belated(*module, *station));
        match (running.next(), waiting) {
            (None, None) => Ok(()),
            (call, letter) => Err(format!("drained, and yet under way: call {call:?}, letter {letter:?}")),
        }
    }

    fn place_of(&self, content: &Content) -> Option<(Incarnation, i64, usize)> {
        let reading = &self.ledger.readings[content.handed()?];
        Some((reading.incarnation, reading.offset, reading.element))
    }

    /// A dead letter of a record has arrived: it must deserve one.
    pub fn buried(&mut self, at: (Place, i64, Option<usize>), value: &[u8], reason: &str) -> Result<(), String> {
        let is_late = reason == "late";
        let pieces = self.ledger.pieces(at, is_late, value);
        self.note(&format!("dead letter {at:?} {pieces:?} {reason}"));
        let mut is_due = |piece: &Piece| match *piece {
            Piece::Reading(number) => {
                let order = self.ledger.readings[number];
                is_late && (order.place, order.offset) == (at.0, at.1) && self.is_late(number)
            }
            Piece::Bad(number) => {
                let bad = &self.ledger.bad[number];
                !is_late && (bad.place, bad.offset, bad.element) == at
            }
        };
        if !pieces.iter().any(&mut is_due) {
            return Err(format!("nothing is wrong with {at:?}, {pieces:?}: {reason}"));
        }
        if let [Piece::Reading(number)] = *pieces
            && self.is_tallied_in_this_life(number)
        {
            return Err(format!("late, and yet handed over: {at:?} {pieces:?}"));
        }
        self.ledger.letters.extend(pieces);
        Ok(())
    }

    fn is_tallied_in_this_life(&self, number: usize) -> bool {
        let station = self.ledger.readings[number].station;
        let outcomes = self.ledger.outcomes(TALLY, station).iter().filter(|outcome| outcome.life == self.life);
        let mut orders = outcomes.filter_map(|outcome| outcome.content.orders.as_ref());
        orders.any(|(_, orders)| orders.contains(&number))
    }
}

fn bucket(content: &Arc<Content>) -> Option<i64> {
    content.orders.as_ref().map(|(from, _)| *from)
}
