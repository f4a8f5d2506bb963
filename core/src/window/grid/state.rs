//! A grid as plain data: each reading with the values that it still owns. Taking these readings in again, in any order,
//! gives the same grid.

use super::super::{GridCellState, GridReadingState};
use super::GridWindow;
use super::row::Row;

impl GridWindow {
    pub(in super::super) fn state(&self) -> Vec<GridReadingState> {
        self.rows.iter().flat_map(|row| self.row_state(row)).collect()
    }

    fn row_state(&self, row: &Row) -> Vec<GridReadingState> {
        let width = self.width;
        row.readings()
            .map(|(time, origin, owner)| GridReadingState {
                time,
                origin,
                cells: self.cells(row, owner, width),
                totals: owner.map(|owner| row.owned_totals(owner)).unwrap_or_default(),
            })
            .collect()
    }

    fn cells(&self, row: &Row, owner: Option<u32>, width: usize) -> Vec<GridCellState> {
        let Some(owner) = owner else { return Vec::new() };
        let series = self.names.iter().enumerate().flat_map(|(series, name)| {
            let owned = row.owned_cells(owner, series, width).into_iter();
            owned.map(|(index, values)| GridCellState { series: name.to_string(), index, values })
        });
        series.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Placed;
    use super::*;
    use crate::ident::{Millis, Offset};
    use crate::plan::{Column, Fill, GridPlan, Pointer, Steps, WallClock};
    use crate::provenance::Provenance;

    #[test]
    fn a_series_named_twice_in_one_reading_comes_back_with_both_its_places() {
        let column =
            |name: &str| Column { at: Pointer::parse(&format!("/{name}")).expect("pointer"), name: name.into() };
        let plan = GridPlan {
            steps: Steps::new(1_000, WallClock::utc()).expect("steps"),
            len: 1,
            fill: Fill::Missing,
            max_gap_ms: None,
            series: Vec::new(),
            values: vec![column("a"), column("b")],
            totals: Vec::new(),
        };
        let origin = Provenance { incarnation: 0, partition: 0, offset: Offset(0), element: 0 };
        let sent = [("x", 0, [f64::NAN, 5.0]), ("y", 1, [1.0, 1.0]), ("x", 2, [7.0, f64::NAN])];
        let cells = || sent.iter().map(|(series, index, values)| Placed { series, index: *index, values });
        let mut grid = GridWindow::default();
        grid.apply(&plan, Millis(0), origin, cells(), &[]);

        let mut restored = GridWindow::default();
        for reading in grid.state() {
            let cells = reading.cells.iter();
            let cells = cells.map(|c| Placed { series: &c.series, index: c.index, values: &c.values });
            restored.apply(&plan, reading.time, reading.origin, cells, &reading.totals);
        }
        assert_eq!(restored.order(), grid.order());
        assert!(!restored.apply(&plan, Millis(0), origin, cells(), &[]), "the same reading again changes nothing");
    }
}
