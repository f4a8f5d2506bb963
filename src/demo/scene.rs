//! All that is shown while the demo runs, and the rates that follow from two moments. Pure; knows no terminal.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::feeder::Fed;
use super::observer::Seen;
use super::sample::Sample;
use crate::config::{ConsumerMode, Settings};
use crate::fleet::Fleet;

/// The time over which rates are taken.
const SPAN: Duration = Duration::from_secs(2);

/// The demo at one moment.
#[derive(Clone)]
pub struct Scene {
    /// What is going on.
    pub phase: Phase,
    /// Time since the service was started.
    pub uptime: Duration,
    /// How topics are consumed.
    pub mode: Mode,
    /// The fleet, for its seed, its stations and the load to be expected of them.
    pub fleet: Arc<Fleet>,
    /// What the service says.
    pub sample: Sample,
    /// What was fed.
    pub fed: Fed,
    /// What the observer saw.
    pub seen: Seen,
    /// Present rates.
    pub rates: Rates,
}

/// How topics are consumed.
#[derive(Clone, Debug, Default)]
pub struct Mode {
    /// Whether each topic has a consumer and a group of its own.
    pub multi: bool,
    /// The names of the groups.
    pub groups: Vec<String>,
    /// What they have in common.
    pub base: String,
}

impl Mode {
    pub(super) fn new(settings: &Settings) -> Self {
        let groups = settings.consumers.iter().map(|consumer| consumer.group.clone()).collect();
        Self { multi: settings.mode == ConsumerMode::Multi, groups, base: settings.base_group.clone() }
    }

    pub(super) fn short(&self) -> String {
        match (self.multi, self.groups.len()) {
            (_, 0) => String::new(),
            (true, groups) => format!("multi, {groups} groups"),
            (false, _) => "single, 1 group".to_owned(),
        }
    }

    pub(super) fn long(&self) -> String {
        match (self.multi, self.groups.len()) {
            (_, 0) => String::new(),
            (true, groups) => format!("multi, {groups} groups {}-…", self.base),
            (false, _) => format!("single, group {}", self.base),
        }
    }
}

/// What the demo is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The broker and the service come up.
    Starting,
    /// Records are fed.
    Feeding,
    /// Nothing is fed any more; what was fed is worked off.
    Finishing,
    /// The service is being drained.
    Draining,
}

impl Scene {
    /// The scene before anything has happened.
    #[must_use]
    pub fn opening(fleet: Arc<Fleet>) -> Self {
        Self {
            phase: Phase::Starting,
            uptime: Duration::ZERO,
            mode: Mode::default(),
            fed: Fed { simulated: fleet.plan().start, ..Fed::default() },
            fleet,
            sample: Sample::default(),
            seen: Seen::default(),
            rates: Rates::default(),
        }
    }
}

/// Events a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// Records read, by topic.
    pub topics: Vec<f64>,
    /// Records read.
    pub records: f64,
    /// Results acknowledged.
    pub results: f64,
}

/// Turns counts into rates.
#[derive(Debug, Default)]
pub(super) struct Meter {
    moments: VecDeque<(Duration, Vec<u64>, u64)>,
}

impl Meter {
    /// The rates at `at`, over as much of the last two seconds as is known.
    pub(super) fn rates(&mut self, at: Duration, sample: &Sample) -> Rates {
        let counts: Vec<u64> = sample.topics.iter().map(|topic| topic.records).collect();
        self.moments.push_back((at, counts, sample.tally.results));
        while self.moments.get(1).is_some_and(|(moment, ..)| *moment + SPAN <= at) {
            self.moments.pop_front();
        }
        let (Some((first, before, results_before)), Some((_, now, results))) =
            (self.moments.front(), self.moments.back())
        else {
            return Rates::default();
        };
        let seconds = at.saturating_sub(*first).as_secs_f64();
        let rate = |before: u64, now: u64| {
            if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 }
        };
        let topics: Vec<f64> = before.iter().zip(now).map(|(before, now)| rate(*before, *now)).collect();
        Rates { records: topics.iter().sum(), results: rate(*results_before, *results), topics }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::TopicSample;
    use super::*;
    use crate::kafka::TopicState;
    use crate::pipeline::Tally;

    fn sample(records: u64, results: u64) -> Sample {
        let topic = TopicSample { name: "T".into(), state: TopicState::Assigned, records, lag: 0, quota: 1 };
        Sample { tally: Tally { results, ..Tally::default() }, topics: vec![topic], ..Sample::default() }
    }

    #[test]
    fn rates_are_taken_over_the_last_two_seconds() {
        let mut meter = Meter::default();
        assert_eq!(meter.rates(Duration::ZERO, &sample(0, 0)).records, 0.0);
        for second in 1..=10 {
            meter.rates(Duration::from_secs(second), &sample(second * 100, second));
        }
        let slower = meter.rates(Duration::from_secs(11), &sample(1_000, 11));
        assert_eq!(slower, Rates { topics: vec![50.0], records: 50.0, results: 1.0 });
    }
}
