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
        let cell = |(series, name): (usize, &Box<str>)| {
            let (index, values) = row.owned_cell(owner, series, width)?;
            Some(GridCellState { series: name.to_string(), index, values })
        };
        self.names.iter().enumerate().filter_map(cell).collect()
    }
}
