//! When is a partition stalled? Pure: what is seen goes in, whether its consumer is to be built anew comes out.

use std::time::{Duration, Instant};

use quorate_core::ident::NextOffset;

/// What is seen of one partition at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// The next offset the consumer will be given.
    pub position: NextOffset,
    /// Up to where there is something to read, when known.
    pub end: Option<NextOffset>,
    /// Bytes the client has fetched and not handed out.
    pub queued_bytes: u64,
    /// Reading is paused, or an error says why nothing comes.
    pub excused: bool,
}

/// Watches one partition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StallWatch(Option<Still>);

/// Since when there have been records to read and none arrived, and how the partition stood then.
#[derive(Clone, Copy, Debug)]
struct Still {
    since: Instant,
    position: NextOffset,
    end: NextOffset,
}

impl StallWatch {
    /// True when the partition's end has moved while for `patience` nothing of it arrived, nothing was on its way, and
    /// nothing excused it. An end that stands still says that the broker does not answer either, which heals by itself.
    pub(super) fn is_stalled(&mut self, sight: Sight, now: Instant, patience: Duration) -> bool {
        let Sight { position, end, queued_bytes, excused } = sight;
        let Some(end) = end.filter(|end| *end > position && queued_bytes == 0 && !excused) else {
            self.0 = None;
            return false;
        };
        let still = self.0.filter(|still| still.position == position);
        let still = *self.0.insert(still.unwrap_or(Still { since: now, position, end }));
        end > still.end && now.saturating_duration_since(still.since) >= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Second, position, end, bytes on their way, excused.
    type Seen = (u64, i64, i64, u64, bool);

    #[test]
    fn a_partition_is_stalled_when_its_end_moves_while_nothing_arrives_and_nothing_excuses_it() {
        // Each story, and whether the last of what is seen is a stall.
        let stories: [(&str, &[Seen], bool); 8] = [
            (
                "the end moves, nothing comes",
                &[(0, 5, 60, 0, false), (59, 5, 70, 0, false), (60, 5, 70, 0, false)],
                true,
            ),
            ("not long enough", &[(0, 5, 60, 0, false), (59, 5, 70, 0, false)], false),
            ("the end stands still too", &[(0, 5, 60, 0, false), (600, 5, 60, 0, false)], false),
            ("everything is read", &[(0, 60, 60, 0, false), (60, 60, 60, 0, false), (61, 60, 60, 0, false)], false),
            ("records came", &[(0, 5, 60, 0, false), (50, 6, 70, 0, false), (70, 6, 80, 0, false)], false),
            ("records are fetched", &[(0, 5, 60, 0, false), (30, 5, 70, 9, false), (70, 5, 80, 0, false)], false),
            ("reading was paused", &[(0, 5, 60, 0, false), (30, 5, 70, 0, true), (70, 5, 80, 0, false)], false),
            ("caught up in between", &[(0, 5, 5, 0, false), (61, 5, 6, 0, false), (62, 5, 7, 0, false)], false),
        ];
        let start = Instant::now();
        for (story, sights, expected) in stories {
            let mut watch = StallWatch::default();
            let mut stalled = false;
            for &(second, position, end, queued_bytes, excused) in sights {
                let sight = Sight { position: NextOffset(position), end: Some(NextOffset(end)), queued_bytes, excused };
                stalled = watch.is_stalled(sight, start + Duration::from_secs(second), Duration::from_secs(60));
            }
            assert_eq!(stalled, expected, "{story}");
        }
    }
}
