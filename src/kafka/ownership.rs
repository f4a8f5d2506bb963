//! Is the whole of a topic ours? Pure, but for the one question to the group who else there is. A part that belongs to
//! somebody else for longer than a rebalance takes means that no station is complete, here or there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::ident::Partition;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::context::PollContext;

/// How long the question to the group may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is put while something is missing.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// What is held of a topic, counted in partitions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// Those that are read.
    pub reading: usize,
    /// Those the group has granted, whether read or not.
    pub granted: usize,
    /// All there are, once known.
    pub of: Option<usize>,
    /// Whether the cluster refuses the topic, which says nothing of anybody else.
    pub is_refused: bool,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nothing.
    None,
    /// Ask the group who has the rest.
    Ask,
    /// It was split, and is whole again.
    Settled,
}

/// What the group says about a topic's other partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// It does not say, or is busy with a rebalance.
    Unknown,
    /// They belong to nobody.
    Nobody,
    /// They belong to this member.
    Somebody(Arc<str>),
}

/// Whose a topic is, as one consumer sees it.
#[derive(Clone, Debug)]
pub(super) struct Ownership {
    /// Since when nothing has changed that explains a missing part.
    settled_at: Instant,
    of: Option<usize>,
    asked: Option<Instant>,
    other: Option<Arc<str>>,
    /// Whether modules were told that a part is missing.
    partial: bool,
    /// How many partitions were ours when all of them last were.
    whole: usize,
}

impl Ownership {
    /// Nothing is known; doubts are held back as after a rebalance.
    pub(super) fn new(now: Instant) -> Self {
        Self { settled_at: now, of: None, asked: None, other: None, partial: false, whole: 0 }
    }

    /// The group has been rebalanced: what is missing may still come.
    pub(super) fn rebalanced(&mut self, now: Instant) {
        self.settled_at = now;
    }

    /// Who else owns partitions of the topic, once that is believed.
    pub(super) fn split_with(&self) -> Option<&Arc<str>> {
        self.other.as_ref()
    }

    /// Whether a part is missing, when that has changed: modules that need the topic wait from the first moment on,
    /// because somebody else may read the part and publish what it leads to. A topic that grew misses nothing until the
    /// new part had the time to come.
    pub(super) fn part(&mut self, held: Held, now: Instant, patience: Duration) -> Option<bool> {
        let of = held.of.filter(|of| *of > 0)?;
        self.grow(of, now);
        let is_young = now.saturating_duration_since(self.settled_at) < patience;
        let is_partial = match held {
            Held { reading, .. } if reading >= of => false,
            Held { is_refused: true, .. } => false,
            Held { granted, .. } if granted < of => !(is_young && self.whole > 0 && granted >= self.whole),
            // Ours, but not read yet; one that never will be is no reason to wait.
            _ => self.partial && is_young,
        };
        if held.reading >= of {
            self.whole = of;
        }
        (std::mem::replace(&mut self.partial, is_partial) != is_partial).then_some(is_partial)
    }

    /// A topic that grows has partitions that nobody was given yet.
    fn grow(&mut self, of: usize, now: Instant) {
        if self.of.replace(of).is_some_and(|before| before < of) {
            self.settled_at = now;
        }
    }

    /// Looks at what is held; a part missing for `patience` is a reason to ask.
    pub(super) fn doubt(&mut self, held: Held, now: Instant, patience: Duration) -> Doubt {
        let Some(of) = held.of.filter(|of| *of > 0) else { return Doubt::None };
        self.grow(of, now);
        if held.reading >= of {
            return if self.other.take().is_some() { Doubt::Settled } else { Doubt::None };
        }
        let is_young = now.saturating_duration_since(self.settled_at) < patience;
        let was_asked = self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < ASK_AGAIN.min(patience));
        if held.granted >= of || is_young || was_asked {
            return Doubt::None;
        }
        self.asked = Some(now);
        Doubt::Ask
    }

    /// Takes the group's word. Some when it changes whether the topic is split.
    pub(super) fn told(&mut self, held: Held, others: Others) -> Option<bool> {
        let other = match others {
            Others::Somebody(other) => Some(other),
            Others::Nobody => None,
            // A part that is ours shows that the group has settled, so the rest is somebody's.
            Others::Unknown if held.granted > 0 => Some(self.other.clone().unwrap_or_else(|| "another member".into())),
            Others::Unknown => return None,
        };
        let was = self.other.is_some();
        self.other = other;
        (self.other.is_some() != was).then_some(!was)
    }
}

/// Asks the group who has the partitions of a topic that are not ours.
pub(super) fn others(
    context: &PollContext,
    consumer: &BaseConsumer<PollContext>,
    topic: &str,
    ours: &[Partition],
) -> Others {
    let groups = match consumer.fetch_group_list(Some(&context.group), PATIENCE) {
        Ok(groups) => groups,
        Err(error) => {
            tracing::debug!(group = &*context.group, %error, "group not described");
            return Others::Unknown;
        }
    };
    let Some(group) = groups.groups().iter().find(|group| group.name() == &*context.group) else {
        return Others::Unknown;
    };
    if group.state() != "Stable" {
        return Others::Unknown;
    }
    let other = group.members().iter().find(|member| {
        let assigned = member.assignment().and_then(|bytes| assigned(bytes, topic)).unwrap_or_default();
        assigned.iter().any(|partition| !ours.contains(partition))
    });
    match other {
        Some(member) => Others::Somebody(format!("{} at {}", member.client_id(), member.client_host()).into()),
        None => Others::Nobody,
    }
}

/// The partitions of one topic in a member's assignment, as the classic protocol writes it: a version, then for each topic
/// its name and its partitions, all lengths and numbers big-endian. None where the bytes are no such thing.
fn assigned(mut bytes: &[u8], topic: &str) -> Option<Vec<Partition>> {
    let mut found = Vec::new();
    take::<2>(&mut bytes)?;
    for _ in 0..i32::from_be_bytes(take(&mut bytes)?) {
        let length = usize::try_from(i16::from_be_bytes(take(&mut bytes)?)).ok()?;
        let name = bytes.split_off(..length)?;
        for _ in 0..i32::from_be_bytes(take(&mut bytes)?) {
            let partition = Partition::from_be_bytes(take(&mut bytes)?);
            if name == topic.as_bytes() {
                found.push(partition);
            }
        }
    }
    Some(found)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    bytes.split_off(..N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn held(reading: usize, granted: usize) -> Held {
        Held { reading, granted, of: Some(2), is_refused: false }
    }

    #[test]
    fn a_missing_part_is_doubted_only_after_what_a_rebalance_takes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        // What is held, how long after the rebalance, and whether the group is asked.
        for (held, seconds, asks) in [
            (held(1, 1), 29, false),
            (held(1, 1), 30, true),
            (held(0, 0), 30, true),
            (held(1, 2), 300, false),
            (held(2, 2), 300, false),
            (Held { of: None, ..held(0, 0) }, 300, false),
            (Held { of: Some(0), ..held(0, 0) }, 300, false),
        ] {
            let doubt = Ownership::new(start).doubt(held, at(seconds), PATIENCE);
            assert_eq!(doubt == Doubt::Ask, asks, "{held:?} after {seconds} s");
        }
        let mut ownership = Ownership::new(start);
        ownership.rebalanced(at(20));
        assert_eq!(ownership.doubt(held(1, 1), at(40), PATIENCE), Doubt::None, "a rebalance begins it anew");
        assert_eq!(ownership.doubt(held(1, 1), at(50), PATIENCE), Doubt::Ask);
        assert_eq!(ownership.doubt(held(1, 1), at(55), PATIENCE), Doubt::None, "asked a moment ago");
        assert_eq!(ownership.doubt(held(1, 1), at(60), PATIENCE), Doubt::Ask);
        let grown = Held { of: Some(3), ..held(2, 2) };
        assert_eq!(ownership.doubt(grown, at(100), PATIENCE), Doubt::None, "a new partition may still come");
        assert_eq!(ownership.doubt(grown, at(130), PATIENCE), Doubt::Ask);
    }

    #[test]
    fn a_missing_part_lets_modules_wait_at_once_and_until_all_of_it_is_read() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ownership = Ownership::new(start);
        let mut part = |held, seconds| ownership.part(held, at(seconds), PATIENCE);
        assert_eq!(part(Held { of: None, ..held(0, 0) }, 0), None, "nothing is known yet");
        assert_eq!(part(held(1, 1), 0), Some(true), "a second process was here first");
        assert_eq!(part(held(1, 2), 1), None, "granted, and not read yet");
        assert_eq!(part(held(2, 2), 1), Some(false));
        assert_eq!(part(held(2, 2), 2), None);
        assert_eq!(part(held(0, 0), 3), Some(true), "taken away, perhaps to come back");
        let refused = Held { is_refused: true, ..held(0, 0) };
        assert_eq!(part(refused, 4), Some(false), "nobody has it on that account");
        assert_eq!(part(held(0, 0), 5), Some(true), "and others may once it is allowed again");
        assert_eq!(part(held(1, 2), 29), None);
        assert_eq!(part(held(1, 2), 30), Some(false), "one that cannot be read holds up nobody for ever");
    }

    #[test]
    fn a_topic_that_grew_is_whole_until_the_new_part_had_time_to_come() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let grown = |reading| Held { of: Some(3), ..held(reading, reading) };
        let mut ownership = Ownership::new(start);
        assert_eq!(ownership.part(held(2, 2), at(100), PATIENCE), None);
        assert_eq!(ownership.part(grown(2), at(200), PATIENCE), None);
        assert_eq!(ownership.part(grown(1), at(201), PATIENCE), Some(true), "what was ours is missing");
        assert_eq!(ownership.part(grown(2), at(202), PATIENCE), Some(false));
        assert_eq!(ownership.part(grown(2), at(231), PATIENCE), Some(true), "somebody else has it");
        assert_eq!(ownership.part(grown(3), at(232), PATIENCE), Some(false));
    }

    #[test]
    fn a_topic_is_split_when_the_group_says_so_and_whole_when_all_of_it_is_read() {
        let start = Instant::now();
        let late = start + Duration::from_secs(60);
        let somebody = || Others::Somebody("b at /10.0.0.2".into());
        // What is held, what the group says, and whether the topic counts as split.
        for (held, others, split) in [
            (held(1, 1), somebody(), Some(true)),
            (held(0, 0), somebody(), Some(true)),
            (held(1, 1), Others::Unknown, Some(true)),
            (held(0, 0), Others::Unknown, None),
            (held(1, 1), Others::Nobody, None),
        ] {
            let mut ownership = Ownership::new(start);
            assert_eq!(ownership.told(held, others.clone()), split, "{held:?}, {others:?}");
            assert_eq!(ownership.split_with().is_some(), split.is_some());
        }
        let mut ownership = Ownership::new(start);
        ownership.told(held(1, 1), somebody());
        assert_eq!(ownership.told(held(1, 1), somebody()), None, "said once");
        assert_eq!(ownership.doubt(held(1, 2), late, PATIENCE), Doubt::None, "granted, but not read yet");
        assert_eq!(ownership.doubt(held(2, 2), late, PATIENCE), Doubt::Settled);
        assert_eq!(ownership.doubt(held(2, 2), late, PATIENCE), Doubt::None);
        ownership.told(held(1, 1), somebody());
        assert_eq!(ownership.told(held(1, 1), Others::Nobody), Some(false), "the other one has left");
    }

    #[test]
    fn an_assignment_is_read_as_the_protocol_writes_it() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        bytes.extend([0, 1, b'A', 0, 0, 0, 1, 0, 0, 0, 9]);
        bytes.extend([0, 2, b'T', b'2', 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3]);
        bytes.extend([255, 255, 255, 255]);
        assert_eq!(assigned(&bytes, "T2"), Some(vec![1, 3]));
        assert_eq!(assigned(&bytes, "B"), Some(vec![]));
        assert_eq!(assigned(&bytes[..20], "T2"), None, "cut off");
        assert_eq!(assigned(&[], "T2"), None);
    }
}
