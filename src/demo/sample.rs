//! What the service says of itself at one moment, and how far that is from what it was sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::ident::NextOffset;

use super::feeder::{Fed, Stage};
use super::observer::Seen;
use crate::app::Service;
use crate::kafka::{TopicHealth, TopicState};
use crate::pipeline::Tally;

/// The service at one moment.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Counts since the start.
    pub tally: Tally,
    /// Stations it knows.
    pub stations: usize,
    /// Stations complete for the module of interest.
    pub complete: usize,
    /// Runs delayed, ready or in flight, of all modules.
    pub open_runs: usize,
    /// The topics, in the order of the plan.
    pub topics: Vec<TopicSample>,
}

/// One topic at one moment.
#[derive(Clone, Debug)]
pub struct TopicSample {
    /// Its name.
    pub name: Arc<str>,
    /// Where its consumption stands.
    pub state: TopicState,
    /// Records read.
    pub records: u64,
    /// Records sent and not read: exact, because every end is known.
    pub lag: u64,
    /// The most records it hands out in one turn.
    pub quota: usize,
}

impl Sample {
    /// Asks the service; `module` is the place of the module of interest in the plan, `ends` are what was fed.
    pub(super) async fn take(service: &Service, module: usize, ends: &[Vec<NextOffset>]) -> Self {
        let census = service.pipeline().census().await;
        let topics = service.health().snapshot().into_iter().enumerate();
        Self {
            tally: service.pipeline().tally(),
            stations: census.stations,
            complete: census.modules.get(module).map_or(0, |module| module.complete),
            open_runs: census.open_runs,
            topics: topics.map(|(ix, health)| topic(health, ends.get(ix).map_or(&[], Vec::as_slice))).collect(),
        }
    }

    /// Topics and what is unread of them.
    pub fn lags(&self) -> impl Iterator<Item = (&str, u64)> {
        self.topics.iter().map(|topic| (&*topic.name, topic.lag))
    }

    /// Dead letters by the word for their reason.
    #[must_use]
    pub fn dead_letters(&self) -> BTreeMap<&'static str, u64> {
        self.tally.dead_letters.iter().map(|(reason, count)| (reason.as_str(), *count)).collect()
    }

    /// Whether everything fed has been read and worked off, and the observer has seen what came of it.
    pub(super) fn is_at_rest(&self, fed: &Fed, seen: &Seen) -> bool {
        fed.stage == Stage::Done
            && self.open_runs == 0
            && self.lags().all(|(_, lag)| lag == 0)
            && self.tally.records >= fed.tally.total(|_| true).records
            && seen.results() >= self.tally.results
            && seen.dead_letters() >= self.tally.dead_letters.values().sum()
    }
}

fn topic(health: TopicHealth, ends: &[NextOffset]) -> TopicSample {
    let unread = ends.iter().enumerate().map(|(ix, end)| {
        let partition = i32::try_from(ix).ok().and_then(|partition| health.partitions.get(&partition));
        end.0.saturating_sub(partition.map_or(0, |partition| partition.position.0))
    });
    let lag = unread.map(|unread| u64::try_from(unread).unwrap_or(0)).sum();
    TopicSample { name: health.topic, state: health.state, records: health.records, lag, quota: health.quota }
}
