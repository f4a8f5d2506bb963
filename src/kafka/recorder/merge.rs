//! In which order records of several partitions are written down: by timestamp, as far as records are known. Pure.

/// The newest knowledge of each partition.
pub(super) struct Merge<R> {
    lanes: Vec<Lane<R>>,
}

enum Lane<R> {
    /// Its next record is not known yet, and may be older than those of the others.
    Awaited,
    /// Its next record, with its timestamp.
    Ready(i64, R),
    /// Read to its end: whatever comes, comes later.
    AtEnd,
    /// Nothing of it is wanted any more.
    Closed,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<R> {
    /// Find out how this partition goes on.
    Await(usize),
    /// Write this record of this partition down.
    Take(usize, R),
    /// Every partition that is not closed is at its end.
    Idle,
    /// Every partition is closed.
    Over,
}

impl<R> Merge<R> {
    /// So many partitions, nothing known of any.
    pub(super) fn new(lanes: usize) -> Self {
        Self { lanes: std::iter::repeat_with(|| Lane::Awaited).take(lanes).collect() }
    }

    /// A partition's next record.
    pub(super) fn offer(&mut self, lane: usize, timestamp: i64, record: R) {
        self.lanes[lane] = Lane::Ready(timestamp, record);
    }

    /// A partition has no next record at present.
    pub(super) fn end(&mut self, lane: usize) {
        self.lanes[lane] = Lane::AtEnd;
    }

    /// Nothing of a partition is wanted any more.
    pub(super) fn close(&mut self, lane: usize) {
        self.lanes[lane] = Lane::Closed;
    }

    /// The partitions at their end, where a record may come at any time.
    pub(super) fn ended(&self) -> Vec<usize> {
        (0..self.lanes.len()).filter(|lane| matches!(self.lanes[*lane], Lane::AtEnd)).collect()
    }

    /// The oldest record, once no partition can hold an older one; of equal ones the first partition's. Its partition is
    /// awaited then.
    pub(super) fn next(&mut self) -> Next<R> {
        let mut oldest: Option<(i64, usize)> = None;
        let mut open = false;
        for (index, lane) in self.lanes.iter().enumerate() {
            match lane {
                Lane::Awaited => return Next::Await(index),
                Lane::Ready(timestamp, _) if oldest.is_none_or(|(other, _)| *timestamp < other) => {
                    oldest = Some((*timestamp, index));
                }
                Lane::Ready(..) | Lane::Closed => {}
                Lane::AtEnd => open = true,
            }
        }
        let Some((_, index)) = oldest else { return if open { Next::Idle } else { Next::Over } };
        match std::mem::replace(&mut self.lanes[index], Lane::Awaited) {
            Lane::Ready(_, record) => Next::Take(index, record),
            Lane::Awaited | Lane::AtEnd | Lane::Closed => unreachable!("found ready above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_by_timestamp_once_every_partition_is_known() {
        let mut merge = Merge::new(3);
        merge.offer(0, 20, "b");
        merge.offer(2, 10, "a");
        assert_eq!(merge.next(), Next::Await(1));
        merge.end(1);
        assert_eq!(merge.next(), Next::Take(2, "a"));
        assert_eq!(merge.next(), Next::Await(2));
        merge.offer(2, 20, "c");
        assert_eq!((merge.next(), merge.next()), (Next::Take(0, "b"), Next::Await(0)));
        merge.close(0);
        assert_eq!((merge.next(), merge.next()), (Next::Take(2, "c"), Next::Await(2)));
    }

    #[test]
    fn order_within_a_partition_outweighs_timestamps() {
        let mut merge = Merge::new(2);
        merge.offer(0, 30, "late first");
        merge.offer(1, 20, "other");
        assert_eq!(merge.next(), Next::Take(1, "other"));
        merge.close(1);
        assert_eq!(merge.next(), Next::Take(0, "late first"));
        merge.offer(0, 10, "early second");
        assert_eq!(merge.next(), Next::Take(0, "early second"));
    }

    #[test]
    fn it_is_idle_at_the_ends_and_over_when_all_are_closed() {
        let mut merge = Merge::new(2);
        merge.end(0);
        merge.close(1);
        assert_eq!(merge.next(), Next::Idle);
        assert_eq!(merge.ended(), [0]);
        merge.offer(0, 1, "late");
        assert_eq!(merge.next(), Next::Take(0, "late"));
        merge.close(0);
        assert_eq!(merge.next(), Next::Over);
    }
}
