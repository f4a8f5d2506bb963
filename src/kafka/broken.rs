//! Why a client cannot go on, and when building another one is no help: then the process had better end, and whoever
//! supervises it decide.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A second fatal error within this time shows that a new client does not help.
const FATAL_TWICE: Duration = Duration::from_secs(600);
/// An identity that its former holder has not given back is free after this: the longest session brokers give by default.
const RELEASED: Duration = Duration::from_secs(60);

/// Why a client cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub kind: BrokenKind,
    pub why: String,
}

/// Kinds of ends, by what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokenKind {
    /// Records are there and none arrive: a new client, counted as healed.
    Stalled,
    /// Another process has taken our place under the same identity: it is theirs.
    Fenced,
    /// The place under our identity is not free yet: a new client, for as long as a session takes.
    Unreleased,
    /// The library calls it fatal: a new client, once.
    Fatal,
    /// Anything else a new client may cure.
    Failed,
}

/// What follows for the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another client.
    Rebuild,
    /// Another client, though it will hardly help.
    Hopeless,
    /// No other client: its topics stop.
    Fenced,
}

/// The ends one consumer has had.
#[derive(Debug, Default)]
pub(super) struct Ends {
    fatal: Option<Instant>,
    unreleased: Option<Instant>,
}

impl Ends {
    /// One more client has come to an end.
    pub(super) fn judge(&mut self, kind: BrokenKind, now: Instant) -> Verdict {
        let within = |since: Option<Instant>, bound| since.is_some_and(|at| now.saturating_duration_since(at) < bound);
        match kind {
            BrokenKind::Stalled | BrokenKind::Failed => Verdict::Rebuild,
            BrokenKind::Fenced => Verdict::Fenced,
            BrokenKind::Unreleased => {
                let since = self.unreleased.filter(|since| within(Some(*since), FATAL_TWICE));
                let since = *self.unreleased.insert(since.unwrap_or(now));
                if within(Some(since), RELEASED) { Verdict::Rebuild } else { Verdict::Fenced }
            }
            BrokenKind::Fatal => {
                let again = within(self.fatal.replace(now), FATAL_TWICE);
                if again { Verdict::Hopeless } else { Verdict::Rebuild }
            }
        }
    }
}

/// Why the process had better end: nothing it can do will put its consumers right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hopeless {
    /// Another process with our identity has taken the place of every consumer.
    Fenced,
    /// A consumer's clients failed fatally, twice within ten minutes.
    Broken {
        /// The consumer's group.
        group: Arc<str>,
        /// What the client said last.
        why: String,
    },
}

/// Where consumers say that they have no hope; the first to say so is heard.
#[derive(Debug)]
pub(super) struct Fate {
    sound: AtomicUsize,
    told: watch::Sender<Option<Hopeless>>,
}

impl Fate {
    /// Of so many consumers.
    pub(super) fn new(consumers: usize) -> Self {
        Self { sound: AtomicUsize::new(consumers), told: watch::Sender::new(None) }
    }

    /// Hears of it.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Hopeless>> {
        self.told.subscribe()
    }

    /// One more consumer was fenced, for good.
    pub(super) fn fenced(&self) {
        if self.sound.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.tell(Hopeless::Fenced);
        }
    }

    /// One consumer is beyond repair.
    pub(super) fn broken(&self, group: &Arc<str>, why: &str) {
        self.tell(Hopeless::Broken { group: Arc::clone(group), why: why.to_owned() });
    }

    fn tell(&self, hopeless: Hopeless) {
        self.told.send_if_modified(|told| {
            let is_first = told.is_none();
            told.get_or_insert(hopeless);
            is_first
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fatal_error_is_tried_once_with_another_client_and_a_fenced_one_not_at_all() {
        use BrokenKind::{Failed, Fatal, Fenced, Stalled, Unreleased};
        // Each story: ends by second, and what follows from the last.
        let stories: [(&[(BrokenKind, u64)], Verdict); 8] = [
            (&[(Fatal, 0)], Verdict::Rebuild),
            (&[(Fatal, 0), (Fatal, 599)], Verdict::Hopeless),
            (&[(Fatal, 0), (Fatal, 600)], Verdict::Rebuild),
            (&[(Stalled, 0), (Stalled, 1), (Failed, 2), (Failed, 3)], Verdict::Rebuild),
            (&[(Fenced, 0)], Verdict::Fenced),
            (&[(Unreleased, 0), (Unreleased, 59)], Verdict::Rebuild),
            (&[(Unreleased, 0), (Unreleased, 60)], Verdict::Fenced),
            (&[(Unreleased, 0), (Unreleased, 700)], Verdict::Rebuild),
        ];
        let start = Instant::now();
        for (story, expected) in stories {
            let mut ends = Ends::default();
            let last =
                story.iter().map(|(kind, second)| ends.judge(*kind, start + Duration::from_secs(*second))).last();
            assert_eq!(last, Some(expected), "{story:?}");
        }
    }

    #[test]
    fn there_is_no_hope_when_every_consumer_is_fenced_or_one_is_beyond_repair() {
        let fate = Fate::new(2);
        fate.fenced();
        assert_eq!(*fate.watch().borrow(), None);
        fate.fenced();
        assert_eq!(*fate.watch().borrow(), Some(Hopeless::Fenced));
        fate.broken(&"g".into(), "late");
        assert_eq!(*fate.watch().borrow(), Some(Hopeless::Fenced), "the first word counts");
    }
}
