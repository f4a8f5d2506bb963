//! A grid as a module sees it: series in order of first appearance, columns filled, steps labelled.

use std::sync::Arc;

use super::super::View;
use super::GridWindow;
use super::fill::fill;
use crate::contract::{Column, Grid, Value};
use crate::ident::Millis;
use crate::plan::GridPlan;
use crate::provenance::TopicSeed;

/// The labels of one grid's steps. Stations usually end at the same step and then share them.
#[derive(Debug, Default)]
pub(crate) struct GridTimes {
    newest: Option<i64>,
    starts: Arc<[Millis]>,
    labels: Arc<[Box<str>]>,
}

impl GridTimes {
    fn ending_at(&mut self, newest: i64, plan: &GridPlan) -> (Arc<[Millis]>, Arc<[Box<str>]>) {
        if self.newest != Some(newest) {
            let len = i64::try_from(plan.len).unwrap_or(i64::MAX);
            let starts: Arc<[Millis]> =
                (newest.saturating_sub(len - 1)..=newest).map(|step| plan.steps.start(step)).collect();
            let clock = plan.steps.clock();
            self.labels = starts.iter().map(|&start| clock.print(start).unwrap_or_default()).collect();
            self.starts = starts;
            self.newest = Some(newest);
        }
        (Arc::clone(&self.starts), Arc::clone(&self.labels))
    }
}

impl GridWindow {
    pub(in super::super) fn view(&mut self, plan: &GridPlan, times: &mut GridTimes, seed: &TopicSeed) -> View {
        if self.rows.is_empty() {
            return View { value: Value::Missing, sum: 0 };
        }
        let (starts, times) = times.ending_at(self.newest, plan);
        let order = self.order();
        let series = order.iter().map(|&series| parts(&self.names[series])).collect();
        let columns = (0..plan.values.len())
            .map(|column| self.column(plan, column, &order))
            .chain((0..plan.totals.len()).map(|column| self.total(plan, column)))
            .collect();
        let step_ms = plan.steps.step_ms();
        View { value: Value::Grid(Grid { step_ms, starts, times, series, columns }), sum: self.sum(seed) }
    }

    /// Live series by first appearance: oldest step first, then by reading, then by place in its arrays.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut placed = vec![false; self.names.len()];
        let mut order = Vec::new();
        let mut here = Vec::new();
        for row in &self.rows {
            here.clear();
            for (series, placed) in placed.iter_mut().enumerate().filter(|(_, placed)| !**placed) {
                if let Some(appearance) = row.appearance(series, self.width) {
                    *placed = true;
                    here.push((appearance, series));
                }
            }
            here.sort_unstable();
            order.extend(here.iter().map(|&(_, series)| series));
        }
        order
    }

    fn column(&self, plan: &GridPlan, column: usize, order: &[usize]) -> Column {
        let (steps, wide) = (self.rows.len(), order.len());
        let mut data = vec![f64::NAN; steps * wide];
        let mut observed = 0;
        let mut one = vec![f64::NAN; steps];
        for (place, &series) in order.iter().enumerate() {
            for (step, row) in self.rows.iter().enumerate() {
                one[step] = row.value(series, column, self.width);
                observed += usize::from(!one[step].is_nan());
            }
            fill(&mut one, plan.fill, max_gap(plan));
            for (step, value) in one.iter().enumerate() {
                data[step * wide + place] = *value;
            }
        }
        Column::new(Arc::clone(&plan.values[column].name), false, observed, data)
    }

    fn total(&self, plan: &GridPlan, column: usize) -> Column {
        let mut data: Vec<f64> = self.rows.iter().map(|row| row.total(column)).collect();
        let observed = data.iter().filter(|value| !value.is_nan()).count();
        fill(&mut data, plan.fill, max_gap(plan));
        Column::new(Arc::clone(&plan.totals[column].name), true, observed, data)
    }

    fn sum(&self, seed: &TopicSeed) -> u128 {
        let origins = self.rows.iter().flat_map(|row| row.owners().chain(row.empty()));
        origins.fold(0, |sum: u128, origin| sum.wrapping_add(origin.hash(seed)))
    }
}

/// `max_gap` in steps.
fn max_gap(plan: &GridPlan) -> Option<i64> {
    plan.max_gap_ms.map(|gap| gap / plan.steps.step_ms())
}

/// The parts of a series' name, which is a JSON array of strings.
fn parts(name: &str) -> Box<[Box<str>]> {
    serde_json::from_str(name).unwrap_or_default()
}
