//! What of a topic's plan decides what its windows hold. Windows that were kept under another shape mean something else;
//! windows that reached less far back lack what lies before. The texts are part of what is stored: they may not change.

use super::{Column, Pointer, RowsPlan, Scope, TopicPlan, WindowPlan};

impl TopicPlan {
    /// What decides what a window of this topic holds; equal texts mean the same. Compared, never read.
    #[must_use]
    pub fn shape(&self) -> String {
        let scope = match &self.scope {
            Scope::Station(at) => format!("station {at}"),
            Scope::Global => "global".to_owned(),
        };
        let time = self.time.as_ref().map(super::TimeField::shape).unwrap_or_default();
        let fields = self.fields.as_ref().map_or_else(|| "*".to_owned(), |fields| listed(fields));
        let window = match &self.window {
            WindowPlan::Latest => "latest".to_owned(),
            WindowPlan::PerKey { key, .. } => format!("per_key {key}"),
            WindowPlan::Rows(RowsPlan { columns: None, .. }) => "rows".to_owned(),
            WindowPlan::Rows(RowsPlan { columns: Some(columns), .. }) => format!("rows {}", named(columns)),
            WindowPlan::Grid(grid) => {
                let (steps, series) = (grid.steps.shape(), listed(&grid.series));
                format!("grid {steps} series {series} values {} totals {}", named(&grid.values), named(&grid.totals))
            }
            WindowPlan::Bucket(bucket) => format!("bucket {}", bucket.every_ms),
            WindowPlan::Results => "results".to_owned(),
        };
        format!("{window}; {scope}; records {}; time {time}; fields {fields}", listed(&self.records))
    }

    /// How far back a window of this topic reaches: comparable between plans of one shape. Larger reaches further.
    #[must_use]
    pub fn reach(&self) -> i64 {
        match &self.window {
            WindowPlan::Rows(rows) => {
                i64::try_from(rows.size).unwrap_or(i64::MAX).saturating_add(rows.span_ms.unwrap_or(0))
            }
            WindowPlan::Grid(grid) => i64::try_from(grid.len).unwrap_or(i64::MAX).saturating_mul(grid.steps.step_ms()),
            WindowPlan::Latest | WindowPlan::PerKey { .. } | WindowPlan::Bucket(_) | WindowPlan::Results => 0,
        }
    }
}

fn listed<T: ToString>(pointers: &[T]) -> String {
    pointers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn named(columns: &[Column]) -> String {
    let pointers: Vec<&Pointer> = columns.iter().map(|column| &column.at).collect();
    listed(&pointers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{OnNull, Pad, RecordsPointer};

    fn topic(window: WindowPlan) -> TopicPlan {
        TopicPlan {
            name: "T".into(),
            records: vec![
                RecordsPointer::parse("/data/*").expect("pointer"),
                RecordsPointer::parse("").expect("pointer"),
            ],
            scope: Scope::Station(Pointer::parse("/a~1b").expect("pointer")),
            time: None,
            fields: None,
            on_null: OnNull::DeadLetter,
            window,
            expect_ms: None,
        }
    }

    #[test]
    fn the_text_of_a_shape_is_part_of_what_is_stored() {
        let shape = topic(WindowPlan::Latest).shape();
        assert_eq!(shape, "latest; station /a~1b; records /data/* ; time ; fields *");
    }

    #[test]
    fn a_longer_window_has_the_same_shape_and_reaches_further() {
        let rows = |size, span_ms| topic(WindowPlan::Rows(RowsPlan { size, span_ms, columns: None, pad: Pad::None }));
        let (short, long) = (rows(10, Some(5)), rows(20, Some(5)));
        assert_eq!(short.shape(), long.shape());
        assert!(short.reach() < long.reach() && short.reach() < rows(10, Some(60)).reach());
        assert_ne!(short.shape(), topic(WindowPlan::Latest).shape());
    }
}
