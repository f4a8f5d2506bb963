//! `grid`: one value per series and step. A reading replaces only the steps and series it carries; of two readings
//! for the same place the later by (time, provenance, place in the array) wins.

mod fill;
mod row;
mod state;
mod view;

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::ident::Millis;
use crate::plan::GridPlan;
use crate::provenance::Provenance;
pub(super) use fill::between_at;
use row::{Claim, Row};
pub(super) use view::GridTimes;

/// Interned series are compacted when there are more than this many, then at twice as many as were left.
const COMPACT_AT: usize = 64;

#[derive(Debug)]
pub(crate) struct GridWindow {
    /// Names by number; rows refer to series by number.
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, usize>,
    compact_at: usize,
    /// Value columns per series.
    width: usize,
    /// One row per step, oldest first; the last is step `newest`.
    rows: VecDeque<Row>,
    newest: i64,
    /// Whether the last reading carried nothing and is yet the latest to reach its step.
    renewed: bool,
}

/// The values of one series, and its place in the reading's arrays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    pub(super) series: &'a str,
    pub(super) index: u32,
    pub(super) values: &'a [f64],
}

impl Default for GridWindow {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            numbers: HashMap::new(),
            compact_at: COMPACT_AT,
            width: 0,
            rows: VecDeque::new(),
            newest: i64::MIN,
            renewed: false,
        }
    }
}

impl GridWindow {
    pub(super) fn apply<'a>(
        &mut self,
        plan: &GridPlan,
        time: Millis,
        origin: Provenance,
        cells: impl Iterator<Item = Placed<'a>>,
        totals: &[f64],
    ) -> bool {
        self.width = plan.values.len();
        let step = plan.steps.number(time);
        let moved = self.reach(step, plan.len);
        self.renewed = false;
        let Some(place) = self.place(step) else { return false };
        let mut claim = Claim::new(time, origin);
        for cell in cells.filter(|cell| cell.values.iter().any(|value| !value.is_nan())) {
            let series = self.intern(cell.series);
            self.rows[place].take_cell(&mut claim, series, cell.index, cell.values);
        }
        self.rows[place].take_totals(&mut claim, totals);
        let (changed, renewed) = self.rows[place].settle(claim);
        self.renewed = renewed;
        if self.names.len() > self.compact_at {
            self.compact();
        }
        moved || changed
    }

    /// Whether the last reading carried nothing and yet renewed the window: its time, and what its hash is made of.
    pub(super) fn renewed(&self) -> bool {
        self.renewed
    }

    /// Event time of the newest reading in the window.
    pub(super) fn newest(&self) -> Option<Millis> {
        self.rows.iter().rev().find_map(Row::newest)
    }

    pub(super) fn origins(&self, visit: &mut dyn FnMut(&Provenance)) {
        self.rows.iter().flat_map(Row::owners).for_each(visit);
    }

    /// Lets the grid end at `step` if that is later than where it ends. True when it did.
    fn reach(&mut self, step: i64, len: usize) -> bool {
        if !self.rows.is_empty() && step <= self.newest {
            return false;
        }
        let ahead = step.checked_sub(self.newest).and_then(|ahead| usize::try_from(ahead).ok()).unwrap_or(len);
        self.rows.drain(..ahead.min(self.rows.len()));
        self.rows.resize_with(len, Row::default);
        self.newest = step;
        true
    }

    /// Where the row of `step` stands; none when it is older than the span.
    fn place(&self, step: i64) -> Option<usize> {
        let back = usize::try_from(self.newest.checked_sub(step)?).ok()?;
        self.rows.len().checked_sub(back + 1)
    }

    fn intern(&mut self, name: &str) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len();
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }

    /// Forgets the names of series that have no value left.
    fn compact(&mut self) {
        let width = self.width;
        let mut alive = vec![false; self.names.len()];
        for row in &self.rows {
            for (series, alive) in alive.iter_mut().enumerate() {
                *alive |= row.observes(series, width);
            }
        }
        let mut moved = vec![None; self.names.len()];
        let mut names = Vec::new();
        for (series, name) in std::mem::take(&mut self.names).into_iter().enumerate() {
            if alive[series] {
                moved[series] = Some(names.len());
                names.push(name);
            }
        }
        self.rows.iter_mut().for_each(|row| row.renumber(&moved, names.len(), width));
        self.numbers = names.iter().cloned().zip(0..).collect();
        self.names = names;
        self.compact_at = COMPACT_AT.max(2 * self.names.len());
    }
}
