//! Runs of modules as they go on: which calls each had, how they ended, and that a dead letter is there exactly for those
//! that failed for good. And that no call knows less than one before it.

use std::collections::HashMap;
use std::sync::Arc;

use super::broker::TOPICS;
use super::ledger::{Content, MODULES, STATIONS};
use super::scene::{Fate, Scene};

/// Calls of one input at the most, and calls of one module at the same time, as the configuration says.
pub const ATTEMPTS: u32 = 2;
pub const CONCURRENCY: usize = 2;

/// A run that began and has not ended yet.
struct Run {
    content: Arc<Content>,
    calls: u32,
    /// How its last call ended; none while that goes on.
    fate: Option<Fate>,
    /// The broker has refused its result.
    refused: bool,
}

/// The runs of one life, by module and station: there is one at a time.
#[derive(Default)]
pub struct Runs {
    open: HashMap<(usize, usize), Run>,
    /// The newest reading of each topic that a module was called with for a station.
    seen: HashMap<(usize, usize), usize>,
}

impl Scene {
    /// A module is called.
    pub fn begins(&mut self, content: &Arc<Content>) -> Result<(), String> {
        let place = (content.module, content.station);
        let running = self.running.iter().filter(|(_, module, _)| *module == content.module).count();
        if running >= CONCURRENCY {
            return Err(format!("more calls at the same time than {}: {content:?}", MODULES[content.module]));
        }
        match self.runs.open.get_mut(&place) {
            Some(run) if run.content == *content => {
                run.calls += 1;
                let is_repeated = run.fate.is_some_and(Fate::may_be_repeated);
                run.fate = None;
                if run.calls > ATTEMPTS || !is_repeated {
                    return Err(format!("called once more: {content:?}, for the {}. time", run.calls));
                }
                return Ok(());
            }
            // Whoever drains puts back what it need not wait for.
            Some(run) if self.draining => {
                *run = Run { content: Arc::clone(content), calls: 1, fate: None, refused: false };
            }
            Some(run) => return Err(format!("{content:?} though this has not ended: {:?}", run.content)),
            None => {
                let run = Run { content: Arc::clone(content), calls: 1, fate: None, refused: false };
                self.runs.open.insert(place, run);
            }
        }
        self.knows_no_less(content)
    }

    /// A station's windows only become newer, whichever module is shown them.
    fn knows_no_less(&mut self, content: &Content) -> Result<(), String> {
        let handed = content.handed();
        for number in [content.load, content.price, content.tariff].into_iter().flatten() {
            let known = (self.ledger.readings[number].place.topic, content.station);
            let before = self.runs.seen.get(&known).copied();
            if handed != Some(number) {
                if self.rank(Some(number)) < self.rank(before) {
                    let name = TOPICS[known.0].0;
                    return Err(format!("{content:?} knows less of {name} than a call before it: {before:?}"));
                }
                self.runs.seen.insert(known, number);
            }
        }
        Ok(())
    }

    /// A call has ended.
    pub fn call_ended(&mut self, content: &Content, fate: Fate) {
        if let Some(run) = self.runs.open.get_mut(&(content.module, content.station)) {
            run.fate = Some(fate);
        }
    }

    /// The broker refuses the result of a run.
    pub fn refused(&mut self, content: &Content) {
        if let Some(run) = self.runs.open.get_mut(&(content.module, content.station)) {
            run.refused = true;
        }
    }

    /// A run has ended in Kafka, by a result or by a dead letter with this reason: it must deserve that.
    pub fn run_ended(&mut self, content: &Content, reason: Option<&str>) -> Result<(), String> {
        let run = self.runs.open.remove(&(content.module, content.station));
        let Some(Run { calls, fate: Some(fate), refused, .. }) = run.filter(|run| *run.content == *content) else {
            return Err(format!("ended though it was not called: {content:?}"));
        };
        let deserved = match fate.reason() {
            None => refused.then_some("publish_failed"),
            Some(reason) if calls >= ATTEMPTS || !fate.may_be_repeated() => Some(reason),
            Some(_) => return Err(format!("ended after a call that may be repeated: {content:?}, {fate:?}")),
        };
        if reason == deserved {
            return Ok(());
        }
        let station = STATIONS[content.station];
        Err(format!("ended by {reason:?} where {deserved:?} is deserved: {content:?} of {station}, {fate:?}"))
    }
}
