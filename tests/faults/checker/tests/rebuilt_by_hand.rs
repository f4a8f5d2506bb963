//! What a result says of itself, against what the records come to that it names.

use super::*;

fn strange(breaches: &[Breach], topic: &str) -> bool {
    let of = |breach: &Breach| matches!(breach, Breach::NotRebuilt { topic: of, .. } if of == topic);
    breaches.iter().any(of)
}

/// What is found when the second result is another one.
fn instead(change: impl FnOnce(&mut Published)) -> Vec<Breach> {
    strictly(|history, _| change(&mut history.published[1]))
}

#[test]
fn the_hash_of_a_value_is_fnv_1a() {
    assert_eq!([rebuilt::fnv1a(""), rebuilt::fnv1a("foobar")], [0xcbf2_9ce4_8422_2325, 0x8594_4171_f739_67e8]);
}

#[test]
fn a_value_that_is_not_what_its_records_come_to_is_noticed() {
    for topic in ["param", "calendar", "orders"] {
        let other = |result: &mut Published| result.output["inputs"][topic] = entry(4, "{}");
        assert!(strange(&instead(other), topic), "{topic}");
    }
    let older = |result: &mut Published| result.output["inputs"]["orders"]["time"] = json!(100);
    assert!(strange(&instead(older), "orders"), "the time alone");
    let replaced = |number: usize, other: Published| strictly(|history, _| history.published[number] = other);
    let (bucket, task) =
        (bucket(&[4, 3]), Published { output: json!({ "value": { "s": "S", "n": 5 } }), ..task(0, 5) });
    assert!(strange(&replaced(3, bucket), "curve"), "readings out of their order");
    assert!(strange(&replaced(5, task), "task"), "a task that does not say where it came from");
}

#[test]
fn lineage_that_is_too_wide_or_too_narrow_or_somebody_elses_is_noticed() {
    for (from, to) in [(0, 5), (2, 5), (1, 4)] {
        let lie = |result: &mut Published| result.lineage[1] = source(Role::Orders, from, to);
        assert!(strange(&instead(lie), "orders"), "{from} to {to}");
    }
    assert!(strange(&instead(|result| drop(result.lineage.remove(0))), "calendar"), "a topic that is not named");
    let foreign = source(Role::Task, 0, 0);
    let breaches = instead(|result| result.lineage.push(foreign.clone()));
    assert_eq!(breaches, [Breach::Invented { station: station(), source: foreign }]);
    let of_another = strictly(|history, _| history.produced[0].reading = Some(("T".to_owned(), 1)));
    assert!(strange(&of_another, "param"), "a record of another station");
}

#[test]
fn a_result_that_says_that_it_is_not_complete_is_noticed() {
    let breaches = instead(|result| result.complete = false);
    assert_eq!(breaches, [Breach::Incomplete { module: LATEST.to_owned(), station: station() }]);
}

#[test]
fn a_result_older_than_the_one_before_it_is_noticed_in_any_input_though_the_last_is_right() {
    let between = |older: Published| strictly(|history, _| history.published.insert(2, older));
    let back = |missing: &str| Breach::WentBack { station: station(), missing: vec![missing.to_owned()] };
    assert_eq!(between(state(1, 1)), [back("param/0/2")]);
    assert_eq!(between(state(2, 0)), [back("orders/0/5")]);
    let both = between(state(1, 0));
    assert!(both.contains(&back("param/0/2")) && both.contains(&back("orders/0/5")), "{both:?}");
}

/// Orders of a second partition: so many behind those that there are, at these times.
fn elsewhere(history: &mut History, times: &[i64]) {
    for (offset, ts) in times.iter().enumerate() {
        let (offset, number) = (offset as i64, 30 + offset as u64);
        history.produced.push(Produced { partition: 1, ..produced(Role::Orders, offset, *ts, Some(number)) });
    }
}

/// A result with these orders, all of the second partition but those of the first with the offsets of `first`.
fn moved(first: std::ops::Range<i64>, second: std::ops::Range<i64>, time: i64) -> Published {
    let numbers = first.clone().map(|offset| offset + 10).chain(second.clone().map(|offset| offset + 30));
    let texts: Vec<String> = numbers.map(|number| format!(r#"{{"n":{number},"s":"S"}}"#)).collect();
    let mut result = Published { hash: format!("m{first:?}{second:?}"), ..state(2, 1) };
    result.output["inputs"]["orders"] = entry(time, &format!("[{}]", texts.join(",")));
    let of = |partition: i32, range: std::ops::Range<i64>| Source {
        place: ("orders".to_owned(), partition),
        from: range.start,
        to: range.end - 1,
        life: 0,
    };
    let parts = [(0, first), (1, second)].into_iter().filter(|(_, range)| !range.is_empty());
    result.lineage.splice(1..2, parts.map(|(partition, range)| of(partition, range)));
    result
}

#[test]
fn a_partition_may_go_unnamed_once_all_of_it_was_pushed_out_and_not_before() {
    let last = |result: Published, times: &'static [i64]| {
        strictly(|history, model| {
            elsewhere(history, times);
            history.published.push(result.clone());
            *model = [(station(), Last { hash: result.hash.clone(), output: result.output })].into();
        })
    };
    assert_eq!(last(moved(5..6, 0..4, 109), &[106, 107, 108, 109]), [], "one of the first is still there");
    assert_eq!(last(moved(0..0, 0..5, 110), &[106, 107, 108, 109, 110]), [], "five newer ones");
    let lost = last(moved(0..0, 0..4, 109), &[106, 107, 108, 109]);
    assert!(
        lost.contains(&Breach::WentBack { station: station(), missing: vec!["orders/0/5".to_owned()] }),
        "{lost:?}"
    );
}

#[test]
fn the_fold_by_hand_is_a_second_opinion_on_replay() {
    let breaches = strictly(|history, model| {
        let older = state(1, 0);
        history.published.truncate(1);
        *model = [(station(), Last { hash: older.hash, output: older.output })].into();
    });
    let differs = |breach: &Breach| matches!(breach, Breach::ModelDiffers { .. });
    assert!(breaches.iter().any(differs), "{breaches:?}");
    let unknown = strictly(|_, model| model.clear());
    assert!(unknown.iter().any(differs), "{unknown:?}");
}

#[test]
fn of_a_station_that_replay_forgot_the_second_opinion_leaves_out_what_is_global() {
    let unseen = |rules: &Rules| {
        let breaches = found(rules, |history, _| history.produced.push(produced(Role::Calendar, 1, 5, Some(19))));
        breaches.iter().any(|breach| matches!(breach, Breach::ModelDiffers { .. }))
    };
    assert!(unseen(&after_a_death()));
    assert!(!unseen(&Rules { forgotten: [station()].into(), ..after_a_death() }));
}

/// The orders were deleted and created again, and hold six others.
fn recreated(history: &mut History) {
    for offset in 0..6 {
        let again = produced(Role::Orders, offset, 200 + offset, Some(30 + offset as u64));
        history.produced.push(Produced { incarnation: 1, ..again });
    }
}

#[test]
fn of_a_topic_that_was_created_again_each_range_is_of_the_life_that_it_says() {
    let last = |numbers: [u64; 5], time: i64, spans: &[(u32, i64, i64)]| {
        let texts = numbers.map(|number| format!(r#"{{"n":{number},"s":"S"}}"#));
        let mut result = Published { hash: "r".to_owned(), ..state(2, 1) };
        result.output["inputs"]["orders"] = entry(time, &format!("[{}]", texts.join(",")));
        result.lineage.remove(1);
        let spans = spans.iter().map(|(life, from, to)| Source { life: *life, ..source(Role::Orders, *from, *to) });
        result.lineage.extend(spans);
        let breaches = found(&after_a_death(), |history, _| {
            recreated(history);
            history.published.push(result);
        });
        let of_last = |breach: &Breach| matches!(breach, Breach::LastDiffers { .. } | Breach::ModelDiffers { .. });
        breaches.into_iter().filter(|breach| !of_last(breach)).collect::<Vec<_>>()
    };
    assert_eq!(last([31, 32, 33, 34, 35], 205, &[(1, 1, 5)]), []);
    assert_eq!(last([14, 15, 30, 31, 32], 202, &[(0, 4, 5), (1, 0, 2)]), []);
    for (numbers, spans) in [
        ([14, 15, 30, 31, 32], vec![(0, 0, 5)]),
        ([13, 15, 30, 31, 32], vec![(0, 4, 5), (1, 0, 2)]),
        ([31, 32, 33, 34, 35], vec![(0, 1, 5)]),
    ] {
        let breaches = last(numbers, 202, &spans);
        assert!(strange(&breaches, "orders"), "{numbers:?}, {spans:?}: {breaches:?}");
    }
}
