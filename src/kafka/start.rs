//! Where reading a partition begins. Pure rules over what was found out about it (reliability rules 1-5: a known
//! position is preferred, a lost one is never silent, a partition that appears later begins at its first record).

use quorate_core::ident::NextOffset;

use crate::config::{OffsetReset, OutOfRange};

/// What is known of one partition at the moment it is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The group's committed position.
    pub committed: Option<NextOffset>,
    /// The first offset that still exists.
    pub low: NextOffset,
    /// The last stable offset.
    pub high: NextOffset,
    /// The first position to load state from, where the configuration asks for loading.
    pub load_from: Option<NextOffset>,
    /// Where this process stood when it last owned the partition; its state is still in memory.
    pub carried: Option<NextOffset>,
    /// Whether the partition was added while this process was running.
    pub added_later: bool,
}

/// What the configuration says about positions that are absent or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StartRules {
    /// Without a position.
    pub absent: OffsetReset,
    /// With one that no longer exists.
    pub gone: OutOfRange,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// The first offset to read.
    pub start: NextOffset,
    /// From here on records invoke modules.
    pub live_from: NextOffset,
    /// Records between these positions will never be read.
    pub gap: Option<Gap>,
    /// The group has no position yet, or another one: commit `live_from` once.
    pub announce: bool,
}

/// Records that are gone, or passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// The first position not read.
    pub from: NextOffset,
    /// Where reading goes on.
    pub to: NextOffset,
}

impl Gap {
    /// How many offsets it spans; 0 where the log became shorter than the position.
    pub(super) fn len(self) -> u64 {
        u64::try_from(self.to.0.saturating_sub(self.from.0)).unwrap_or(0)
    }
}

/// Applies the rules.
///
/// # Errors
/// Says why the topic has to stop, where the configuration wants that.
pub(super) fn decide(found: &Found, rules: StartRules) -> Result<Start, String> {
    let (live_from, mut gap) = live_from(found, rules)?;
    let wanted = match (found.carried, found.load_from) {
        (Some(carried), _) => carried.min(live_from),
        (None, Some(load_from)) => load_from.min(live_from),
        (None, None) => live_from,
    };
    let start = wanted.max(found.low).min(live_from);
    if let (None, Some(carried)) = (gap, found.carried)
        && carried < start
    {
        gap = Some(Gap { from: carried, to: start });
    }
    // What this process read before the gap is not lost, though it was never committed.
    let gap = gap.map(|gap| Gap { from: found.carried.map_or(gap.from, |carried| carried.max(gap.from)), ..gap });
    Ok(Start { start, live_from, gap, announce: found.committed != Some(live_from) })
}

fn live_from(found: &Found, rules: StartRules) -> Result<(NextOffset, Option<Gap>), String> {
    // A group that never took a commit does not outweigh what this process itself knows.
    let carried = found.carried.filter(|carried| (found.low..=found.high).contains(carried));
    let Some(committed) = found.committed.or(carried) else {
        return absent(found, rules.absent).map(|position| (position, None));
    };
    if (found.low..=found.high).contains(&committed) {
        return Ok((committed, None));
    }
    let to = match rules.gone {
        OutOfRange::Earliest => found.low,
        OutOfRange::Latest => found.high,
        OutOfRange::Halt => {
            return Err(format!(
                "position {committed} no longer exists, the partition holds {} to {}; on_out_of_range = halt",
                found.low, found.high
            ));
        }
    };
    Ok((to, Some(Gap { from: committed, to })))
}

fn absent(found: &Found, reset: OffsetReset) -> Result<NextOffset, String> {
    match reset {
        _ if found.added_later => Ok(found.low),
        OffsetReset::Earliest => Ok(found.low),
        OffsetReset::Latest => Ok(found.high),
        OffsetReset::Error => Err("the group has no position and auto_offset_reset = error".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: StartRules = StartRules { absent: OffsetReset::Earliest, gone: OutOfRange::Earliest };

    fn found(committed: Option<i64>) -> Found {
        Found {
            committed: committed.map(NextOffset),
            low: NextOffset(10),
            high: NextOffset(100),
            load_from: None,
            carried: None,
            added_later: false,
        }
    }

    fn start(found: Found, rules: StartRules) -> (i64, i64) {
        let start = decide(&found, rules).expect("a start");
        (start.start.0, start.live_from.0)
    }

    #[test]
    fn a_committed_position_inside_the_log_is_where_reading_begins() {
        for committed in [10, 50, 100] {
            assert_eq!(start(found(Some(committed)), RULES), (committed, committed));
        }
        assert!(!decide(&found(Some(50)), RULES).expect("a start").announce);
    }

    #[test]
    fn row_1_07_without_a_position_the_start_follows_the_setting_and_is_committed_once() {
        let latest = StartRules { absent: OffsetReset::Latest, ..RULES };
        assert_eq!(start(found(None), RULES), (10, 10));
        assert_eq!(start(found(None), latest), (100, 100));
        assert!(decide(&found(None), latest).expect("a start").announce);
        let error = StartRules { absent: OffsetReset::Error, ..RULES };
        assert!(decide(&found(None), error).is_err());
    }

    #[test]
    fn without_a_commit_a_partition_that_comes_back_goes_on_where_this_process_stood() {
        let latest = StartRules { absent: OffsetReset::Latest, ..RULES };
        let back = Found { carried: Some(NextOffset(60)), load_from: Some(NextOffset(10)), ..found(None) };
        assert_eq!(start(back, latest), (60, 60));
    }

    #[test]
    fn row_1_22_a_partition_added_later_begins_at_its_first_record_even_with_latest() {
        let latest = StartRules { absent: OffsetReset::Latest, ..RULES };
        assert_eq!(start(Found { added_later: true, ..found(None) }, latest), (10, 10));
    }

    #[test]
    fn row_4_34_a_position_below_the_log_is_a_gap_of_known_size() {
        let retained = decide(&found(Some(4)), RULES).expect("a start");
        assert_eq!((retained.start.0, retained.live_from.0), (10, 10));
        assert_eq!(retained.gap.map(Gap::len), Some(6));
        assert!(retained.announce);
        let latest = decide(&found(Some(4)), StartRules { gone: OutOfRange::Latest, ..RULES }).expect("a start");
        assert_eq!(latest.gap.map(Gap::len), Some(96));
        assert!(decide(&found(Some(4)), StartRules { gone: OutOfRange::Halt, ..RULES }).is_err());
    }

    #[test]
    fn a_position_beyond_the_log_is_reported_though_no_record_is_missed() {
        let truncated = decide(&found(Some(500)), RULES).expect("a start");
        assert_eq!(truncated.start.0, 10);
        assert_eq!(truncated.gap.map(Gap::len), Some(0));
    }

    #[test]
    fn loading_begins_before_the_committed_position_and_never_after_it() {
        let loading = |load_from| Found { load_from: Some(NextOffset(load_from)), ..found(Some(50)) };
        assert_eq!(start(loading(20), RULES), (20, 50));
        assert_eq!(start(loading(3), RULES), (10, 50));
        assert_eq!(start(loading(90), RULES), (50, 50));
    }

    #[test]
    fn a_partition_that_comes_back_goes_on_from_memory_instead_of_loading_again() {
        let back = |carried, committed| Found {
            carried: Some(NextOffset(carried)),
            load_from: Some(NextOffset(10)),
            ..found(Some(committed))
        };
        assert_eq!(start(back(60, 80), RULES), (60, 80));
        assert_eq!(start(back(60, 40), RULES), (40, 40));
        let late = decide(&back(4, 80), RULES).expect("a start");
        assert_eq!((late.start.0, late.gap.map(Gap::len)), (10, Some(6)));
        let read_ahead = decide(&back(8, 4), RULES).expect("a start");
        assert_eq!(read_ahead.gap.map(Gap::len), Some(2));
    }
}
