//! What stands where nothing was observed.

use crate::plan::Fill;

/// Fills the NaNs of `values` in place. `max_gap` is in steps: observed neighbours further apart are not filled
/// between, and the ends no further out than that.
pub(super) fn fill(values: &mut [f64], fill: Fill, max_gap: Option<i64>) {
    if fill == Fill::Missing {
        return;
    }
    let reaches = |steps: usize| max_gap.is_none_or(|gap| i64::try_from(steps).is_ok_and(|steps| steps <= gap));
    let observed: Vec<usize> = (0..values.len()).filter(|&at| !values[at].is_nan()).collect();
    let (Some(&first), Some(&last)) = (observed.first(), observed.last()) else {
        if fill == Fill::Zero {
            values.fill(0.0);
        }
        return;
    };
    for at in (0..first).filter(|&at| reaches(first - at)) {
        values[at] = if fill == Fill::Zero { 0.0 } else { values[first] };
    }
    for at in (last + 1..values.len()).filter(|&at| reaches(at - last)) {
        values[at] = if fill == Fill::Zero { 0.0 } else { values[last] };
    }
    for pair in observed.windows(2).filter(|pair| reaches(pair[1] - pair[0])) {
        between(values, pair[0], pair[1], fill);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a grid has far fewer steps than 2^52")]
fn between(values: &mut [f64], left: usize, right: usize, fill: Fill) {
    let (from, to) = (values[left], values[right]);
    for (at, value) in values.iter_mut().enumerate().take(right).skip(left + 1) {
        *value = match fill {
            Fill::Zero => 0.0,
            Fill::Missing => f64::NAN,
            Fill::Forward => from,
            Fill::Linear => between_at(from, to, (at - left) as f64 / (right - left) as f64),
        };
    }
}

/// The value at `part` of the way. The distance of two finite numbers need not be finite; the value between them is.
pub(in super::super) fn between_at(from: f64, to: f64, part: f64) -> f64 {
    let way = to - from;
    if way.is_finite() { from + way * part } else { from * (1.0 - part) + to * part }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: f64 = f64::NAN;

    fn filled(values: &[f64], how: Fill, max_gap: Option<i64>) -> Vec<Option<f64>> {
        let mut values = values.to_vec();
        fill(&mut values, how, max_gap);
        values.into_iter().map(|value| (!value.is_nan()).then_some(value)).collect()
    }

    #[test]
    fn each_fill_has_its_own_rule_at_the_ends_and_in_the_middle() {
        let values = [GAP, 2.0, GAP, GAP, 8.0, GAP];
        assert_eq!(filled(&values, Fill::Zero, None), [0.0, 2.0, 0.0, 0.0, 8.0, 0.0].map(Some));
        assert_eq!(filled(&values, Fill::Forward, None), [2.0, 2.0, 2.0, 2.0, 8.0, 8.0].map(Some));
        assert_eq!(filled(&values, Fill::Linear, None), [2.0, 2.0, 4.0, 6.0, 8.0, 8.0].map(Some));
        assert_eq!(filled(&values, Fill::Missing, None), [None, Some(2.0), None, None, Some(8.0), None]);
    }

    #[test]
    fn between_the_largest_numbers_there_is_a_number() {
        let got = filled(&[-1.7e308, GAP, 1.7e308], Fill::Linear, None);
        assert_eq!(got, [Some(-1.7e308), Some(0.0), Some(1.7e308)]);
    }

    #[test]
    fn neighbours_further_apart_than_max_gap_are_not_filled_between() {
        let values = [GAP, GAP, 2.0, GAP, 4.0, GAP, GAP, 8.0, GAP, GAP, GAP];
        let got = filled(&values, Fill::Linear, Some(2));
        let want =
            [Some(2.0), Some(2.0), Some(2.0), Some(3.0), Some(4.0), None, None, Some(8.0), Some(8.0), Some(8.0), None];
        assert_eq!(got, want);
    }

    #[test]
    fn never_observed_is_null_under_every_fill_but_zero() {
        assert_eq!(filled(&[GAP, GAP], Fill::Zero, None), [Some(0.0), Some(0.0)]);
        assert_eq!(filled(&[GAP, GAP], Fill::Linear, None), [None, None]);
        assert_eq!(filled(&[GAP, GAP], Fill::Forward, None), [None, None]);
    }
}
