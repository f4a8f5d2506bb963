//! What of a topic's plan decides what its windows hold. Windows that were kept under another shape mean something else;
//! windows that reached less far back lack what lies before. The texts are part of what is stored: they may not change.

use super::{Column, InputPlan, ModulePlan, Pointer, RowsPlan, Scope, TopicPlan, WindowPlan};

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

    /// How far back a window of this topic reaches, by each limit that it has: comparable, limit by limit, between plans of
    /// one shape. Where any of them is larger, it may lack what it is now to hold.
    #[must_use]
    pub fn reach(&self) -> Vec<i64> {
        let ms = |limit: Option<i64>| limit.unwrap_or(i64::MAX);
        let count = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
        match &self.window {
            WindowPlan::Rows(rows) => vec![count(rows.size), ms(rows.span_ms)],
            WindowPlan::Grid(grid) => vec![count(grid.len)],
            WindowPlan::PerKey { expire_ms, .. } => vec![ms(*expire_ms)],
            WindowPlan::Latest | WindowPlan::Bucket(_) | WindowPlan::Results => Vec::new(),
        }
    }

    /// Whether windows that reached back as far as `before` lack what those of this plan are to hold. Nobody knows how far
    /// those reached of which it was not noted in this way.
    #[must_use]
    pub fn reaches_beyond(&self, before: &[i64]) -> bool {
        let now = self.reach();
        now.len() != before.len() || now.iter().zip(before).any(|(now, before)| now > before)
    }
}

impl ModulePlan {
    /// What tells runs of this module from those of another one of its name: its version, and which inputs it is given.
    /// Compared, never read.
    #[must_use]
    pub fn shape(&self) -> String {
        let names = |inputs: &[InputPlan]| inputs.iter().map(|input| &*input.name).collect::<Vec<_>>().join(" ");
        format!("version {}; requires {}; optional {}", self.version, names(&self.requires), names(&self.optional))
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
        let per_key = |expire_ms| topic(WindowPlan::PerKey { key: Pointer::parse("/k").expect("pointer"), expire_ms });
        for (before, now, further) in [
            (rows(10, Some(5)), rows(10, Some(5)), false),
            (rows(10, Some(5)), rows(20, Some(5)), true),
            (rows(10, Some(5)), rows(10, Some(60)), true),
            (rows(100, Some(3_600_000)), rows(100, None), true),
            (rows(100, None), rows(100, Some(3_600_000)), false),
            (rows(100, Some(3_600_000)), rows(10_000, Some(60_000)), true),
            (rows(10, Some(5)), rows(9, Some(4)), false),
            (per_key(Some(5)), per_key(Some(6)), true),
            (per_key(Some(5)), per_key(None), true),
            (per_key(None), per_key(Some(5)), false),
            (topic(WindowPlan::Latest), topic(WindowPlan::Latest), false),
        ] {
            assert_eq!(before.shape(), now.shape());
            assert_eq!(now.reaches_beyond(&before.reach()), further, "{before:?} and then {now:?}");
        }
        assert!(rows(10, None).reaches_beyond(&[]), "it was noted in another way");
        assert_ne!(rows(10, None).shape(), topic(WindowPlan::Latest).shape());
    }
}
