//! Deficit round robin over lanes (Shreedhar and Varghese 1995), counted in records: in its turn a lane is handed out
//! at most its quota plus what it could not use before, so never more than twice its quota before each other lane
//! that has something has had a turn.

/// Whose turn it is.
#[derive(Debug)]
pub struct Rounds {
    lanes: Vec<Credit>,
    turn: usize,
    begun: bool,
}

#[derive(Clone, Copy, Debug)]
struct Credit {
    quota: usize,
    left: usize,
}

impl Rounds {
    /// Lanes with the given quotas, in records a turn.
    #[must_use]
    pub fn new(quotas: impl IntoIterator<Item = usize>) -> Self {
        let lanes = quotas.into_iter().map(|quota| Credit { quota: quota.max(1), left: 0 }).collect();
        Self { lanes, turn: 0, begun: false }
    }

    /// The lane to take one batch from. `head` says how many records the first batch of a lane has; none when the
    /// lane is empty or stopped. A batch larger than twice the quota is handed out alone in a turn of its own.
    pub fn next(&mut self, head: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        // A batch of up to twice the quota may have to save up for two turns.
        for _ in 0..=2 * self.lanes.len() {
            let lane = &mut self.lanes[self.turn];
            match head(self.turn) {
                Some(records) => {
                    if !self.begun {
                        lane.left = (lane.left + lane.quota).min(2 * lane.quota);
                    }
                    let starts_turn = !std::mem::replace(&mut self.begun, true);
                    if records <= lane.left || (starts_turn && records > 2 * lane.quota) {
                        lane.left = lane.left.saturating_sub(records);
                        return Some(self.turn);
                    }
                }
                None => lane.left = 0,
            }
            self.turn = (self.turn + 1) % self.lanes.len();
            self.begun = false;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lanes_with_something_take_turns_whatever_their_backlog() {
        let mut rounds = Rounds::new([500, 500, 500]);
        let turns: Vec<_> = (0..6).filter_map(|_| rounds.next(|lane| (lane != 1).then_some(500))).collect();
        assert_eq!(turns, [0, 2, 0, 2, 0, 2]);
    }

    #[test]
    fn whatever_its_batches_weigh_a_lane_that_has_something_is_served() {
        let mut rounds = Rounds::new([500, 500]);
        for records in [1_000, 1_000, 501, 999, 1_001, 1_000, 5_000] {
            assert_eq!(rounds.next(|lane| (lane == 1).then_some(records)), Some(1), "{records} records");
        }
    }

    #[test]
    fn nothing_is_handed_out_when_all_lanes_are_empty_or_stopped() {
        let mut rounds = Rounds::new([10, 10]);
        assert_eq!(rounds.next(|_| None), None);
        assert_eq!(rounds.next(|lane| (lane == 1).then_some(3)), Some(1));
    }

    proptest! {
        #[test]
        fn row_4_01_no_lane_gets_more_than_twice_its_quota_before_each_other_has_had_a_turn(
            quotas in prop::collection::vec(1_usize..50, 2..6),
            sizes in prop::collection::vec(prop::collection::vec(1_usize..50, 1..60), 6),
        ) {
            let mut lanes: Vec<VecDeque<usize>> = quotas
                .iter()
                .zip(&sizes)
                .map(|(&quota, sizes)| sizes.iter().map(|&size| size.min(quota)).collect())
                .collect();
            let mut rounds = Rounds::new(quotas.iter().copied());
            let mut since = vec![vec![0_usize; quotas.len()]; quotas.len()];
            while let Some(lane) = rounds.next(|lane| lanes[lane].front().copied()) {
                let records = lanes[lane].pop_front().expect("the head that was asked for");
                for other in 0..quotas.len() {
                    since[other][lane] = 0;
                    if other != lane && !lanes[other].is_empty() {
                        since[lane][other] += records;
                        prop_assert!(since[lane][other] <= 2 * quotas[lane]);
                    } else {
                        since[lane][other] = 0;
                    }
                }
            }
            prop_assert!(lanes.iter().all(VecDeque::is_empty));
        }
    }
}
