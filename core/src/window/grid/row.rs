//! One step of a grid: its values, and which reading each came from.

use crate::ident::Millis;
use crate::provenance::Provenance;

/// A value nobody has claimed.
const NOBODY: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(super) struct Row {
    /// Readings that own at least one value; a free place is reused.
    readings: Vec<Owner>,
    /// Value columns of each series, series by series; shorter than the grid is wide where nothing was observed.
    cells: Vec<Cell>,
    totals: Vec<Cell>,
    /// The latest reading that reached this step without a single observation.
    empty: Option<(Millis, Provenance)>,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    time: Millis,
    origin: Provenance,
    owned: u32,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    value: f64,
    owner: u32,
    /// Place in the reading's arrays.
    index: u32,
}

const VACANT: Cell = Cell { value: f64::NAN, owner: NOBODY, index: 0 };

/// A reading that is claiming values of one row.
#[derive(Debug)]
pub(super) struct Claim {
    time: Millis,
    origin: Provenance,
    /// Its place among the row's readings, once it owns something.
    owner: Option<u32>,
    observed: bool,
}

impl Claim {
    pub(super) fn new(time: Millis, origin: Provenance) -> Self {
        Self { time, origin, owner: None, observed: false }
    }
}

impl Row {
    /// Claims the values of one series that stood at `index` of the reading's arrays.
    pub(super) fn take_cell(&mut self, claim: &mut Claim, series: usize, index: u32, values: &[f64]) {
        let first = series * values.len();
        if self.cells.len() < first + values.len() {
            self.cells.resize(first + values.len(), VACANT);
        }
        for (column, &value) in values.iter().enumerate() {
            let mut cell = self.cells[first + column];
            if self.take(claim, &mut cell, index, value) {
                self.cells[first + column] = cell;
            }
        }
    }

    pub(super) fn take_totals(&mut self, claim: &mut Claim, totals: &[f64]) {
        if self.totals.len() < totals.len() {
            self.totals.resize(totals.len(), VACANT);
        }
        for (column, &value) in totals.iter().enumerate() {
            let mut cell = self.totals[column];
            if self.take(claim, &mut cell, 0, value) {
                self.totals[column] = cell;
            }
        }
    }

    /// Ends a claim: whether it took anything, and whether without an observation it is the latest to reach the step.
    pub(super) fn settle(&mut self, claim: Claim) -> (bool, bool) {
        let mark = Some((claim.time, claim.origin));
        let renewed = !claim.observed && mark > self.empty;
        if renewed {
            self.empty = mark;
        }
        (claim.owner.is_some(), renewed)
    }

    /// The value of one column of a series; NaN where nothing was observed.
    pub(super) fn value(&self, series: usize, column: usize, width: usize) -> f64 {
        self.cells.get(series * width + column).map_or(f64::NAN, |cell| cell.value)
    }

    pub(super) fn total(&self, column: usize) -> f64 {
        self.totals.get(column).map_or(f64::NAN, |cell| cell.value)
    }

    pub(super) fn observes(&self, series: usize, width: usize) -> bool {
        self.cells.iter().skip(series * width).take(width).any(|cell| cell.owner != NOBODY)
    }

    /// Where a series first appears in this step: by reading, then by place in its arrays.
    pub(super) fn appearance(&self, series: usize, width: usize) -> Option<(Millis, Provenance, u32)> {
        let cells = self.cells.iter().skip(series * width).take(width).filter(|cell| cell.owner != NOBODY);
        cells
            .map(|cell| {
                let owner = self.readings[cell.owner as usize];
                (owner.time, owner.origin, cell.index)
            })
            .min()
    }

    /// Event time of the newest reading of this step.
    pub(super) fn newest(&self) -> Option<Millis> {
        let owners = self.readings.iter().filter(|reading| reading.owned > 0).map(|reading| reading.time);
        owners.chain(self.empty.map(|(time, _)| time)).max()
    }

    /// The readings that own a value.
    pub(super) fn owners(&self) -> impl Iterator<Item = &Provenance> {
        self.readings.iter().filter(|reading| reading.owned > 0).map(|reading| &reading.origin)
    }

    /// The reading that reached this step without an observation.
    pub(super) fn empty(&self) -> Option<&Provenance> {
        self.empty.as_ref().map(|(_, origin)| origin)
    }

    /// Each reading that is kept: its time, its origin, and its place among the owners; none for one that only
    /// reached the step.
    pub(super) fn readings(&self) -> impl Iterator<Item = (Millis, Provenance, Option<u32>)> {
        let owners = (0..).zip(&self.readings).filter(|(_, reading)| reading.owned > 0);
        let owners = owners.map(|(place, reading)| (reading.time, reading.origin, Some(place)));
        owners.chain(self.empty.map(|(time, origin)| (time, origin, None)))
    }

    /// What the reading at `owner` owns of one series: for each place in its arrays the values from there, with NaN
    /// elsewhere. A reading may name a series more than once and own a column from each place.
    pub(super) fn owned_cells(&self, owner: u32, series: usize, width: usize) -> Vec<(u32, Vec<f64>)> {
        let cells = self.cells.get(series * width..(series + 1) * width).unwrap_or_default();
        let mut places: Vec<u32> = cells.iter().filter(|cell| cell.owner == owner).map(|cell| cell.index).collect();
        places.sort_unstable();
        places.dedup();
        let from = |place| owned_values(cells, |cell| cell.owner == owner && cell.index == place);
        places.into_iter().map(|place| (place, from(place))).collect()
    }

    /// What the reading at `owner` owns of the totals, with NaN elsewhere.
    pub(super) fn owned_totals(&self, owner: u32) -> Vec<f64> {
        owned_values(&self.totals, |cell| cell.owner == owner)
    }

    /// Moves series to the numbers in `moved`; those without one are gone.
    pub(super) fn renumber(&mut self, moved: &[Option<usize>], count: usize, width: usize) {
        let mut cells = vec![VACANT; count * width];
        for (old, new) in moved.iter().enumerate() {
            let Some(new) = new else { continue };
            for column in 0..width {
                if let Some(cell) = self.cells.get(old * width + column) {
                    cells[new * width + column] = *cell;
                }
            }
        }
        self.cells = cells;
    }

    fn take(&mut self, claim: &mut Claim, cell: &mut Cell, index: u32, value: f64) -> bool {
        if value.is_nan() {
            return false;
        }
        claim.observed = true;
        if let Some(owner) = self.readings.get(cell.owner as usize)
            && (claim.time, claim.origin, index) <= (owner.time, owner.origin, cell.index)
        {
            return false;
        }
        let owner = match claim.owner {
            Some(owner) => owner,
            None => self.admit(claim),
        };
        // Admitting may reuse a free place, never one that owns this cell.
        if let Some(loser) = self.readings.get_mut(cell.owner as usize) {
            loser.owned -= 1;
        }
        self.readings[owner as usize].owned += 1;
        *cell = Cell { value, owner, index };
        true
    }

    fn admit(&mut self, claim: &mut Claim) -> u32 {
        let reading = Owner { time: claim.time, origin: claim.origin, owned: 0 };
        let place = match self.readings.iter().position(|reading| reading.owned == 0) {
            Some(place) => {
                self.readings[place] = reading;
                place
            }
            None => {
                self.readings.push(reading);
                self.readings.len() - 1
            }
        };
        let place = u32::try_from(place).unwrap_or(NOBODY - 1);
        claim.owner = Some(place);
        place
    }
}

fn owned_values(cells: &[Cell], is_owned: impl Fn(&Cell) -> bool) -> Vec<f64> {
    cells.iter().map(|cell| if is_owned(cell) { cell.value } else { f64::NAN }).collect()
}
