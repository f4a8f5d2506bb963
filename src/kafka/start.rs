//! Where reading a partition begins. Pure rules over what was found out about it (reliability rules 1-5: the durable
//! position is preferred, a lost one is never silent, a partition that appears later begins at its first record, and
//! positions never outlive the topic they were written for).

use quorate_core::ident::NextOffset;
use quorate_core::provenance::Incarnation;

use crate::config::{OffsetReset, OutOfRange, Recreated};

/// What is known of one partition at the moment it is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
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
    /// Whether the partition was added after its topic was first read.
    pub added_later: bool,
    /// The id that the broker gives the topic; none when it does not say.
    pub topic_id: Option<u128>,
    /// The life of the topic that this process read last.
    pub life: Option<Life>,
    /// Where the partition stands durably.
    pub stood: Option<Stood>,
    /// Windows have to be read again although the partition stands somewhere.
    pub reload: bool,
    /// The log may keep a later copy of an older record only.
    pub compacted: bool,
}

/// One life of a topic, from its creation to its deletion, as one partition counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// How many came before it.
    pub incarnation: Incarnation,
    /// The id the topic has in it, where the broker says so.
    pub topic_id: Option<u128>,
}

impl Life {
    /// Whether a topic of this id is another one. An id that is not known is taken for the same.
    pub(super) fn is_over(self, topic_id: Option<u128>) -> bool {
        self.topic_id.zip(topic_id).is_some_and(|(known, found)| known != found)
    }

    fn next(self, topic_id: Option<u128>) -> Self {
        Self { incarnation: self.incarnation.saturating_add(1), topic_id: topic_id.or(self.topic_id) }
    }
}

/// Where a partition stands durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stood {
    /// The life its offsets belong to.
    pub life: Life,
    /// The first offset whose effect is not part of the durable state.
    pub next: NextOffset,
    /// Records before this only load state; beyond `next` where loading was interrupted.
    pub live_from: NextOffset,
    /// Nothing at or beyond it was ever applied.
    pub ceiling: Option<NextOffset>,
}

/// What the configuration says about positions that are absent or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartRules {
    /// Without a position.
    pub absent: OffsetReset,
    /// With one that no longer exists.
    pub gone: OutOfRange,
    /// With one of a topic that was recreated or cut short.
    pub recreated: Recreated,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The first offset to read.
    pub start: NextOffset,
    /// From here on records invoke modules.
    pub live_from: NextOffset,
    /// Modules wait until everything before this was read: what results published earlier may have known.
    pub load_until: NextOffset,
    /// The life that is read.
    pub life: Life,
    /// Records between these positions will never be read.
    pub gap: Option<Gap>,
    /// What somebody should hear of.
    pub notice: Option<Notice>,
    /// The group has no position yet, or another one: commit `live_from` once.
    pub announce: bool,
}

/// Something that should not happen, and that reading goes on after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The group stands beyond what this service knows: somebody else has committed.
    ForeignProgress {
        /// Where we stand.
        stood: NextOffset,
        /// Where the group stands.
        committed: NextOffset,
    },
    /// Another topic of the same name: positions mean nothing in it.
    Recreated {
        /// Where we stood, if it is known.
        stood: Option<NextOffset>,
    },
    /// The log ends before where we stood.
    Truncated {
        /// Where we stood.
        stood: NextOffset,
    },
}

/// Records that are gone, or passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
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
pub fn decide(found: &Found, rules: StartRules) -> Result<Start, String> {
    // A life that began in this process and was never flushed is the newer one; what is durable belongs to its forerunner.
    let is_newest = |stood: &Stood| found.life.is_none_or(|life| life.incarnation <= stood.life.incarnation);
    let stood = found.stood.filter(is_newest);
    let known = stood.map(|stood| stood.life).or(found.life);
    if let Some(life) = known.filter(|life| life.is_over(found.topic_id)) {
        let notice = Notice::Recreated { stood: stood.map(|stood| stood.next).or(found.carried) };
        return renewed(found, rules, life, notice);
    }
    let Life { incarnation, topic_id } = known.unwrap_or(Life { incarnation: 0, topic_id: None });
    let life = Life { incarnation, topic_id: found.topic_id.or(topic_id) };
    // What this process has read counts even where none of it is durable: other records may come to stand at its offsets.
    let known_to = stood.map(|stood| stood.next).max(found.carried);
    match (known_to, stood) {
        (Some(known_to), _) if known_to > found.high => {
            renewed(found, rules, life, Notice::Truncated { stood: known_to })
        }
        (_, Some(stood)) => resumed(found, rules, life, stood),
        (_, None) => by_the_group(found, rules, life),
    }
}

/// The topic lives again, or its log was cut short: its offsets are not those that were known.
fn renewed(found: &Found, rules: StartRules, over: Life, notice: Notice) -> Result<Start, String> {
    if rules.recreated == Recreated::Halt {
        let why = match notice {
            Notice::Truncated { stood } => format!("the log ends at {}, before position {stood}", found.high),
            _ => "the topic was deleted and created again".to_owned(),
        };
        return Err(format!("{why}; on_recreate = halt"));
    }
    Ok(Start {
        start: found.low,
        live_from: found.low,
        load_until: if found.compacted { found.high } else { found.low.min(found.high) },
        life: over.next(found.topic_id),
        gap: None,
        notice: Some(notice),
        announce: found.committed != Some(found.low),
    })
}

/// The durable position counts, whatever the group says.
fn resumed(found: &Found, rules: StartRules, life: Life, stood: Stood) -> Result<Start, String> {
    // Before this records only fill windows: there are as many as there are.
    let lives = stood.next.max(stood.live_from);
    let (next, gap) = if lives >= found.low {
        (stood.next.max(found.low), None)
    } else {
        let to = passed_over(found, rules, lives)?;
        // What this process has read since the last flush is not missing, though it may be read again.
        let from = found.carried.map_or(lives, |carried| carried.max(lives));
        (to, (from < to).then_some(Gap { from, to }))
    };
    // What this process has read again already is in memory.
    let again = found.load_from.filter(|_| found.reload).map(|load_from| found.carried.unwrap_or(load_from));
    let start = again.map_or(next, |from| from.max(found.low).min(next));
    let live_from = stood.live_from.max(next).min(found.high);
    let ahead = found.committed.filter(|committed| *committed > lives);
    // Whoever was here may have published results that knew more than what they committed.
    let known = match ahead {
        Some(_) => found.high,
        None => stood.ceiling.map_or(live_from, |ceiling| ceiling.max(live_from)),
    };
    Ok(Start {
        start,
        live_from,
        load_until: if found.compacted { found.high } else { known.min(found.high) },
        life,
        gap,
        notice: ahead.map(|committed| Notice::ForeignProgress { stood: stood.next, committed }),
        // The group hears of the durable position with the next cut.
        announce: false,
    })
}

/// Nothing is durable: the group's position counts, and what this process remembers.
fn by_the_group(found: &Found, rules: StartRules, life: Life) -> Result<Start, String> {
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
    // Where this process stood may be ahead of what is settled: the group hears of that with the next cut.
    let is_remembered = found.committed.is_none() && found.carried == Some(live_from);
    let announce = found.committed != Some(live_from) && !is_remembered;
    Ok(Start { start, live_from, load_until: live_from.min(found.high), life, gap, notice: None, announce })
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
    let to = passed_over(found, rules, committed)?;
    Ok((to, Some(Gap { from: committed, to })))
}

/// Where reading goes on after a position that no longer exists.
fn passed_over(found: &Found, rules: StartRules, position: NextOffset) -> Result<NextOffset, String> {
    match rules.gone {
        OutOfRange::Earliest => Ok(found.low),
        OutOfRange::Latest => Ok(found.high),
        OutOfRange::Halt => Err(format!(
            "position {position} no longer exists, the partition holds {} to {}; on_out_of_range = halt",
            found.low, found.high
        )),
    }
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

    const RULES: StartRules =
        StartRules { absent: OffsetReset::Earliest, gone: OutOfRange::Earliest, recreated: Recreated::Earliest };

    fn found(committed: Option<i64>) -> Found {
        Found {
            committed: committed.map(NextOffset),
            low: NextOffset(10),
            high: NextOffset(100),
            load_from: None,
            carried: None,
            added_later: false,
            topic_id: None,
            life: None,
            stood: None,
            reload: false,
            compacted: false,
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
        assert!(!decide(&back, latest).expect("a start").announce, "what stands before it may be owed");
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

    /// A partition that stands at 50 in its third life, under id 7.
    fn stood() -> Stood {
        let life = Life { incarnation: 2, topic_id: Some(7) };
        Stood { life, next: NextOffset(50), live_from: NextOffset(50), ceiling: None }
    }

    fn durable(stood: Stood, committed: Option<i64>) -> Found {
        Found { topic_id: Some(7), stood: Some(stood), ..found(committed) }
    }

    #[test]
    fn a_durable_position_is_where_reading_begins_whatever_the_group_says() {
        // What the group has committed, and whether it is somebody else's progress.
        for (committed, is_foreign) in [(None, false), (Some(20), false), (Some(50), false), (Some(51), true)] {
            let at = decide(&durable(stood(), committed), RULES).expect("a start");
            assert_eq!((at.start.0, at.live_from.0, at.life), (50, 50, stood().life), "{committed:?}");
            assert_eq!((at.gap, at.announce), (None, false), "{committed:?}");
            let foreign = Notice::ForeignProgress { stood: NextOffset(50), committed: NextOffset(51) };
            assert_eq!(at.notice, is_foreign.then_some(foreign), "{committed:?}");
        }
        let latest = StartRules { absent: OffsetReset::Latest, ..RULES };
        let carried = Found { carried: Some(NextOffset(80)), ..durable(stood(), None) };
        assert_eq!(start(carried, latest), (50, 50), "what memory holds beyond it is not durable");
        for next in [10, 100] {
            assert_eq!(start(durable(Stood { next: NextOffset(next), ..stood() }, None), RULES).0, next);
        }
    }

    #[test]
    fn loading_that_was_interrupted_goes_on_and_a_wider_window_loads_again() {
        let interrupted = Stood { next: NextOffset(30), live_from: NextOffset(60), ..stood() };
        let at = decide(&durable(interrupted, Some(60)), RULES).expect("a start");
        assert_eq!((at.start.0, at.live_from.0, at.notice), (30, 60, None));
        // Where the window reaches back to, and where reading begins with and without being told to read it again.
        for (load_from, told, otherwise) in [(20, 20, 50), (3, 10, 50), (90, 50, 50)] {
            let wider = Found { load_from: Some(NextOffset(load_from)), ..durable(stood(), None) };
            assert_eq!(start(Found { reload: true, ..wider }, RULES), (told, 50));
            assert_eq!(start(wider, RULES), (otherwise, 50));
        }
        assert_eq!(start(Found { reload: true, ..durable(stood(), None) }, RULES), (50, 50));
        // A partition that comes back: where this process stood, and where it goes on without reading all of it again.
        for (carried, goes_on) in [(3, 10), (20, 20), (50, 50), (80, 50)] {
            let back = Found { reload: true, carried: Some(NextOffset(carried)), ..durable(stood(), None) };
            assert_eq!(start(Found { load_from: Some(NextOffset(10)), ..back }, RULES), (goes_on, 50));
        }
    }

    #[test]
    fn loading_that_was_interrupted_goes_on_behind_what_was_retained_meanwhile_and_passes_over_nothing_live() {
        // How far loading came, where records become live, and what is missed of these.
        for (next, live_from, missed) in [(4, 60, None), (4, 10, None), (4, 8, Some(2)), (30, 60, None)] {
            let stood = Stood { next: NextOffset(next), live_from: NextOffset(live_from), ..stood() };
            for (gone, to) in [(OutOfRange::Earliest, 10), (OutOfRange::Latest, 100), (OutOfRange::Halt, 0)] {
                let at = decide(&durable(stood, Some(live_from)), StartRules { gone, ..RULES });
                let Some(missed) = missed else {
                    let at = at.expect("a start");
                    assert_eq!((at.start.0, at.live_from.0, at.gap), (next.max(10), live_from, None), "{gone:?}");
                    continue;
                };
                let at = at.ok().map(|at| (at.start.0, at.live_from.0, at.gap.map(Gap::len)));
                let behind = (to, to, Some(missed + u64::try_from(to - 10).unwrap_or(0)));
                assert_eq!(at, (gone != OutOfRange::Halt).then_some(behind), "{gone:?}");
            }
        }
    }

    #[test]
    fn modules_wait_for_what_an_earlier_life_may_have_known() {
        // The ceiling, whether the topic is compacted, and up to where is loaded.
        for (ceiling, compacted, until) in [
            (None, false, 50),
            (Some(40), false, 50),
            (Some(70), false, 70),
            (Some(500), false, 100),
            (None, true, 100),
        ] {
            let stood = Stood { ceiling: ceiling.map(NextOffset), ..stood() };
            let at = decide(&Found { compacted, ..durable(stood, None) }, RULES).expect("a start");
            assert_eq!(at.load_until.0, until, "{ceiling:?}, compacted: {compacted}");
        }
        assert_eq!(decide(&found(Some(40)), RULES).expect("a start").load_until.0, 40);
    }

    #[test]
    fn row_4_34_a_durable_position_below_the_log_is_a_gap_of_known_size() {
        let retained = durable(Stood { next: NextOffset(4), live_from: NextOffset(4), ..stood() }, Some(4));
        // The rule, the start, and what is missed; without a start the topic stops.
        for (gone, expected) in
            [(OutOfRange::Earliest, Some((10, 6))), (OutOfRange::Latest, Some((100, 96))), (OutOfRange::Halt, None)]
        {
            let at = decide(&retained, StartRules { gone, ..RULES }).ok();
            assert_eq!(at.map(|at| (at.start.0, at.gap.map_or(0, Gap::len))), expected);
        }
        let ahead = |carried| Found { carried: Some(NextOffset(carried)), ..retained };
        let missed = |carried| decide(&ahead(carried), RULES).expect("a start").gap.map(Gap::len);
        assert_eq!((missed(8), missed(12)), (Some(2), None), "what was read before is not missed");
    }

    #[test]
    fn a_recreated_topic_is_read_from_its_first_record_in_a_life_of_its_own() {
        let renewed = Life { incarnation: 3, topic_id: Some(8) };
        // Shorter than where we stood, and longer, which gives no other sign.
        for high in [20, 100] {
            let found = Found { topic_id: Some(8), high: NextOffset(high), ..durable(stood(), Some(90)) };
            let at = decide(&found, RULES).expect("a start");
            assert_eq!((at.start.0, at.live_from.0, at.load_until.0), (10, 10, 10));
            assert_eq!((at.life, at.announce), (renewed, true));
            assert_eq!(at.notice, Some(Notice::Recreated { stood: Some(NextOffset(50)) }));
            assert!(decide(&found, StartRules { recreated: Recreated::Halt, ..RULES }).is_err());
        }
        let same = Found { topic_id: None, ..durable(stood(), None) };
        assert_eq!(decide(&same, RULES).expect("a start").life, stood().life, "an unknown id says nothing");
        let nameless = Stood { life: Life { topic_id: None, ..stood().life }, ..stood() };
        assert_eq!(decide(&durable(nameless, None), RULES).expect("a start").life, stood().life, "it is learned");
    }

    #[test]
    fn a_log_that_was_cut_short_is_read_from_its_first_record_in_a_life_of_its_own() {
        let cut = durable(Stood { next: NextOffset(101), ..stood() }, Some(101));
        let at = decide(&cut, RULES).expect("a start");
        assert_eq!((at.start.0, at.life), (10, Life { incarnation: 3, topic_id: Some(7) }));
        assert_eq!(at.notice, Some(Notice::Truncated { stood: NextOffset(101) }));
        assert!(decide(&cut, StartRules { recreated: Recreated::Halt, ..RULES }).is_err());
    }

    #[test]
    fn a_log_that_ends_before_what_this_process_has_read_lives_again_whatever_is_durable() {
        let read = |stood| Found { carried: Some(NextOffset(101)), stood, topic_id: Some(7), ..found(Some(50)) };
        for stood in [Some(stood()), None] {
            let at = decide(&Found { life: Some(Life { incarnation: 2, topic_id: Some(7) }), ..read(stood) }, RULES);
            let at = at.expect("a start");
            assert_eq!((at.start.0, at.life.incarnation), (10, 3), "durable: {stood:?}");
            assert_eq!(at.notice, Some(Notice::Truncated { stood: NextOffset(101) }));
        }
    }

    #[test]
    fn a_life_that_began_in_this_process_counts_before_anything_of_it_is_durable() {
        let life = Life { incarnation: 3, topic_id: Some(8) };
        let back =
            Found { topic_id: Some(8), life: Some(life), carried: Some(NextOffset(60)), ..durable(stood(), None) };
        let at = decide(&back, RULES).expect("a start");
        assert_eq!((at.start.0, at.life, at.notice), (60, life, None));
        let again = decide(&Found { topic_id: Some(9), ..back }, RULES).expect("a start");
        assert_eq!((again.start.0, again.life), (10, Life { incarnation: 4, topic_id: Some(9) }));
        let without_a_store = Found { stood: None, topic_id: Some(9), ..back };
        assert_eq!(decide(&without_a_store, RULES).expect("a start").life.incarnation, 4);
    }
}
