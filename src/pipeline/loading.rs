//! How far topics are that fill windows, and how long that may still take: told in the log every few seconds, and to
//! whoever asks.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::ident::TopicId;
use quorate_core::plan::Plan;
use quorate_core::progress::{Loading, Progress};
use tokio::time::Instant;
use tracing::info;

/// How often the log says how far a topic is. One that is loaded sooner is said to be loaded, and nothing else.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// A topic that is being read as far back as state reaches, before modules that need it are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadingTopic {
    /// The topic.
    pub topic: Arc<str>,
    /// Offsets that were read, and those that are left.
    pub at: Loading,
    /// Offsets read in a second, so far.
    pub per_second: u64,
    /// How long it takes if it goes on like that; none while nothing comes.
    pub remaining: Option<Duration>,
}

/// What loads, and since when.
#[derive(Debug, Default)]
pub(super) struct Loads {
    /// Per topic when it was first seen loading, how far it was then, and how far at the last look.
    began: Vec<Option<(Instant, u64, u64)>>,
    told_at: Option<Instant>,
}

impl Loads {
    /// Looks at what loads at `now`, and tells the log if it is time.
    pub(super) fn look(&mut self, plan: &Plan, progress: &Progress, now: Instant) -> Vec<LoadingTopic> {
        let topics = plan.topics().filter_map(|(topic, of)| Some((topic, &of.name, progress.loading(topic)?)));
        let loading: Vec<LoadingTopic> = topics.map(|(topic, name, at)| self.of(topic, name, at, now)).collect();
        if loading.is_empty() {
            self.told_at = None;
        } else if now.saturating_duration_since(*self.told_at.get_or_insert(now)) >= TOLD_EVERY {
            self.told_at = Some(now);
            loading.iter().for_each(LoadingTopic::log);
        }
        loading
    }

    fn of(&mut self, topic: TopicId, name: &Arc<str>, at: Loading, now: Instant) -> LoadingTopic {
        if self.began.len() <= topic.ix() {
            self.began.resize(topic.ix() + 1, None);
        }
        // An assignment that begins elsewhere is another way to go.
        let began = self.began[topic.ix()].filter(|(.., last)| *last <= at.read);
        let (since, before) = began.map_or((now, at.read), |(since, before, _)| (since, before));
        self.began[topic.ix()] = Some((since, before, at.read));
        let took = now.saturating_duration_since(since).as_secs_f64();
        let per_second = if took > 0.0 { (at.read - before) as f64 / took } else { 0.0 };
        let remaining = (per_second > 0.0).then(|| Duration::from_secs_f64((at.left as f64 / per_second).ceil()));
        LoadingTopic { topic: Arc::clone(name), at, per_second: per_second as u64, remaining }
    }
}

impl LoadingTopic {
    fn log(&self) {
        let Self { topic, at: Loading { read, left }, per_second, remaining } = self;
        let remaining = remaining.map(tracing::field::debug);
        info!(topic = &**topic, read, left, per_second, remaining, "state is being loaded");
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::{Epoch, NextOffset};
    use quorate_core::progress::Assignment;
    use quorate_core::record::PartitionPosition;

    use super::*;

    const TOPIC: TopicId = TopicId(0);

    fn loads(at: Loading, seconds: u64, loads: &mut Loads, start: Instant) -> (u64, Option<u64>) {
        let told = loads.of(TOPIC, &"T".into(), at, start + Duration::from_secs(seconds));
        (told.per_second, told.remaining.map(|remaining| remaining.as_secs()))
    }

    #[test]
    fn what_is_left_is_told_by_what_was_read_so_far() {
        let (mut all, start) = (Loads::default(), Instant::now());
        let mut at = |read, left, seconds| loads(Loading { read, left }, seconds, &mut all, start);
        assert_eq!(at(0, 1_000, 0), (0, None), "nothing is known yet");
        assert_eq!(at(0, 1_000, 5), (0, None), "nothing comes");
        assert_eq!(at(100, 900, 10), (10, Some(90)));
        assert_eq!(at(500, 500, 20), (25, Some(20)));
        assert_eq!(at(10, 40, 30), (0, None), "begun elsewhere");
        assert_eq!(at(20, 30, 40), (1, Some(30)));
    }

    #[test]
    fn partitions_are_one_sum_and_a_topic_that_is_loaded_or_not_assigned_is_not_told_of() {
        let mut progress = Progress::new(1);
        assert_eq!(progress.loading(TOPIC), None);
        for (partition, start, live_from) in [(0, 10, 50), (1, 0, 100)] {
            let of = Assignment::fresh(partition, Epoch(1), NextOffset(live_from), NextOffset(200));
            progress.assigned(TOPIC, Assignment { start: NextOffset(start), ..of });
        }
        assert_eq!(progress.loading(TOPIC), Some(Loading { read: 0, left: 140 }));
        let mut moved = |partition, position| {
            let at = PartitionPosition { partition, epoch: Epoch(1), position: NextOffset(position), end: None };
            progress.moved(TOPIC, at, None);
            progress.loading(TOPIC)
        };
        assert_eq!(moved(0, 70), Some(Loading { read: 40, left: 100 }), "what is live is not counted");
        assert_eq!(moved(1, 99), Some(Loading { read: 139, left: 1 }));
        assert_eq!(moved(1, 100), None);
    }
}
