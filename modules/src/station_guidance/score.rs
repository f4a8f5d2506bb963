//! [`Terms`]: how good a station is to drive to in one hour, as one number to sort by. Knows no topics.

/// What a term weighs; those of unknown terms fall away.
const FREE_POWER: f64 = 0.35;
const FREE_GUNS: f64 = 0.35;
const PRICE: f64 = 0.2;
const EVALUATION: f64 = 0.1;

/// Where a term is worth one half: the power of a fast charge, two guns, a usual price per kWh.
const HALF_AT_KW: f64 = 120.0;
const HALF_AT_GUNS: f64 = 2.0;
const HALF_AT_PRICE: f64 = 1.0;

/// What is known of a station in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Terms {
    pub(super) free_kw: Option<f64>,
    pub(super) free_guns: Option<f64>,
    /// What a customer pays per kWh; less than zero is as good as zero.
    pub(super) price: Option<f64>,
    /// From 0 to 1.
    pub(super) evaluation: Option<f64>,
}

impl Terms {
    /// From 0 to 1: the mean, by weight, of `kW / (kW + 120)`, `guns / (guns + 2)`, `1 / (1 + price)` and the evaluation, over
    /// those that are known. Each grows with what is good, so more free power, more free guns or a lower price never
    /// lower the score; the first bit of either counts most. None when nothing is known.
    pub(super) fn score(&self) -> Option<f64> {
        // The same as amount / (amount + half), and rising in floating point too, because every step of it is.
        let rising = |amount: f64, half: f64| 1.0 - half / (amount.max(0.0) + half);
        let terms = [
            (FREE_POWER, self.free_kw.map(|kw| rising(kw, HALF_AT_KW))),
            (FREE_GUNS, self.free_guns.map(|guns| rising(guns, HALF_AT_GUNS))),
            (PRICE, self.price.map(|price| HALF_AT_PRICE / (HALF_AT_PRICE + price.max(0.0)))),
            (EVALUATION, self.evaluation),
        ];
        let known = terms.into_iter().filter_map(|(weight, term)| Some((weight, term?)));
        let (sum, weights) = known.fold((0.0, 0.0), |(sum, all), (weight, term)| (sum + weight * term, all + weight));
        (weights > 0.0).then(|| sum / weights)
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn terms() -> impl Strategy<Value = Terms> {
        let amounts = (option::of(0.0..1e6_f64), option::of(0.0..500.0_f64));
        (amounts, option::of(-1.0..100.0_f64), option::of(0.0..=1.0_f64))
            .prop_map(|((free_kw, free_guns), price, evaluation)| Terms { free_kw, free_guns, price, evaluation })
    }

    #[test]
    fn the_score_is_the_weighted_mean_of_what_is_known() {
        let all = Terms { free_kw: Some(120.0), free_guns: Some(6.0), price: Some(1.0), evaluation: Some(0.9) };
        assert!((all.score().expect("known") - (0.35 * 0.5 + 0.35 * 0.75 + 0.2 * 0.5 + 0.1 * 0.9)).abs() < 1e-12);
        let guns = Terms { free_guns: Some(6.0), ..Terms::default() }.score().expect("known");
        assert!((guns - 0.75).abs() < 1e-12, "weights of what is unknown fall away");
        assert_eq!(Terms::default().score(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_better_never_scores_lower(terms in terms(), more in 0.0..1e4_f64) {
            let score = |terms: Terms| terms.score().unwrap_or_default();
            let before = score(terms);
            prop_assert!((0.0..=1.0).contains(&before));
            let better = [
                Terms { free_kw: terms.free_kw.map(|kw| kw + more), ..terms },
                Terms { free_guns: terms.free_guns.map(|guns| guns + more), ..terms },
                Terms { price: terms.price.map(|price| price - more), ..terms },
                Terms { evaluation: terms.evaluation.map(|evaluation| (evaluation + more).min(1.0)), ..terms },
            ];
            for better in better {
                prop_assert!(score(better) >= before, "{better:?}");
            }
        }
    }
}
