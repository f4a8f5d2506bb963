//! Where the rows of a segment came from, in a few bytes each: the distance from a base that rows of one partition share.

use crate::contract::make_room;
use crate::ident::{Offset, Partition};
use crate::provenance::{Incarnation, Provenance};

/// The provenances of some rows, in order.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// How far each row's offset lies from its base.
    distances: Vec<i32>,
    bases: Vec<Base>,
    /// Which base each row has; empty while there is but one.
    base_of: Vec<u16>,
    /// Which element of its record each row is; empty while all are the first.
    elements: Vec<u32>,
}

/// A place that offsets are counted from. A partition has several when its offsets lie too far apart for one.
#[derive(Debug)]
struct Base {
    incarnation: Incarnation,
    partition: Partition,
    offset: i64,
    /// The lowest and highest offset that is counted from here.
    low: i64,
    high: i64,
}

impl Places {
    /// These, with room for no more.
    pub(super) fn of(origins: impl ExactSizeIterator<Item = Provenance>) -> Self {
        let (mut places, all) = (Self::default(), origins.len());
        for (at, origin) in origins.enumerate() {
            places.insert(at, origin, |len| all - len);
        }
        places
    }

    /// The provenance of row `at`, which is below the number of rows.
    pub(super) fn get(&self, at: usize) -> Provenance {
        let base = &self.bases[self.base_of.get(at).map_or(0, |&base| usize::from(base))];
        Provenance {
            incarnation: base.incarnation,
            partition: base.partition,
            offset: Offset(base.offset + i64::from(self.distances[at])),
            element: self.elements.get(at).copied().unwrap_or(0),
        }
    }

    /// Puts a provenance before the one of row `at`. Room is made by `grow`. There are never more than 2^16.
    pub(super) fn insert(&mut self, at: usize, origin: Provenance, grow: impl Fn(usize) -> usize) {
        let rows = self.distances.len();
        let (base, distance) = self.base(&origin);
        make_room(&mut self.distances, &grow);
        self.distances.insert(at, distance);
        if base > 0 || !self.base_of.is_empty() {
            self.base_of.resize(rows, 0);
            make_room(&mut self.base_of, &grow);
            self.base_of.insert(at, base);
        }
        if origin.element > 0 || !self.elements.is_empty() {
            self.elements.resize(rows, 0);
            make_room(&mut self.elements, &grow);
            self.elements.insert(at, origin.element);
        }
    }

    /// Visits a provenance with the lowest and one with the highest offset of each base.
    pub(super) fn extremes(&self, visit: &mut dyn FnMut(&Provenance)) {
        for base in &self.bases {
            for offset in [base.low, base.high] {
                visit(&Provenance {
                    incarnation: base.incarnation,
                    partition: base.partition,
                    offset: Offset(offset),
                    element: 0,
                });
            }
        }
    }

    /// The base that an origin is counted from, a new one if none is near enough, and its distance.
    fn base(&mut self, origin: &Provenance) -> (u16, i32) {
        let offset = origin.offset.0;
        for (number, base) in (0..).zip(&mut self.bases) {
            let distance = offset.checked_sub(base.offset).and_then(|distance| i32::try_from(distance).ok());
            if let Some(distance) = distance
                && (base.incarnation, base.partition) == (origin.incarnation, origin.partition)
            {
                base.low = base.low.min(offset);
                base.high = base.high.max(offset);
                return (number, distance);
            }
        }
        let number = u16::try_from(self.bases.len()).unwrap_or(u16::MAX);
        self.bases.push(Base {
            incarnation: origin.incarnation,
            partition: origin.partition,
            offset,
            low: offset,
            high: offset,
        });
        (number, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(partition: Partition, offset: i64, element: u32) -> Provenance {
        Provenance { incarnation: 0, partition, offset: Offset(offset), element }
    }

    fn places(origins: &[Provenance]) -> Places {
        let mut places = Places::default();
        for (at, origin) in origins.iter().enumerate() {
            places.insert(at, *origin, |_| 1);
        }
        places
    }

    fn all(places: &Places) -> Vec<Provenance> {
        (0..places.distances.len()).map(|at| places.get(at)).collect()
    }

    #[test]
    fn one_partition_costs_four_bytes_a_row() {
        let origins = [origin(3, 1 << 40, 0), origin(3, (1 << 40) + 1, 0), origin(3, (1 << 40) - 1, 0)];
        let places = places(&origins);
        assert_eq!(all(&places), origins);
        assert!(places.base_of.is_empty() && places.elements.is_empty());
    }

    #[test]
    fn partitions_elements_lives_and_far_offsets_come_back() {
        let mut origins = vec![
            origin(0, 7, 0),
            origin(1, i64::MAX, 2),
            origin(0, i64::MIN, 0),
            origin(0, 8, u32::MAX),
            Provenance { incarnation: 1, ..origin(0, 7, 0) },
        ];
        let mut places = places(&origins);
        assert_eq!(places.bases.len(), 4);
        assert_eq!(all(&places), origins);
        places.insert(1, origin(1, i64::MAX - 9, 0), |_| 1);
        origins.insert(1, origin(1, i64::MAX - 9, 0));
        assert_eq!(all(&places), origins);
    }

    #[test]
    fn the_extremes_are_the_lowest_and_highest_offset_of_each_partition() {
        let places = places(&[origin(0, 7, 0), origin(1, 4, 0), origin(0, 5, 3), origin(0, 9, 0)]);
        let mut seen = Vec::new();
        places.extremes(&mut |origin| seen.push((origin.partition, origin.offset.0)));
        assert_eq!(seen, [(0, 5), (0, 9), (1, 4), (1, 4)]);
    }
}
