//! What is published again, and dead letters.

use super::*;

/// A history in which nothing is published twice.
fn once(history: &mut History) {
    for (nth, count) in [(6, 1), (4, 1), (2, 1)] {
        history.published.drain(nth..nth + count);
    }
    history.letters.truncate(1);
}

fn living(change: impl FnOnce(&mut History)) -> Vec<Breach> {
    found(&Rules::default(), |history, _| {
        once(history);
        change(history);
    })
}

#[test]
fn nothing_is_published_twice_by_services_that_live() {
    assert_eq!(living(|_| {}), []);
    let repeated = |module: &str, same: &str, times| Breach::Repeated {
        module: module.to_owned(),
        station: station(),
        same: same.to_owned(),
        times,
    };
    assert_eq!(living(|history| history.published.push(state(2, 1))), [repeated(LATEST, "h2-1", 2)]);
    let tasks = living(|history| history.published.push(task(1, 6)));
    assert_eq!(tasks, [repeated(TASKS, "t6", 2), repeated(TASKS, "task/0/1/0", 2)]);
    let buckets = living(|history| history.published.push(bucket(&[3, 4])));
    assert_eq!(buckets, [repeated(BUCKETS, "7000", 2), repeated(BUCKETS, "b[3, 4]", 2)]);
    let other_hash = living(|history| {
        let also_seen = Published { hash: "t6 and more".to_owned(), ..task(1, 6) };
        history.published.push(also_seen);
    });
    assert!(other_hash.contains(&repeated(TASKS, "task/0/1/0", 2)), "whatever else the module was given");
}

#[test]
fn each_death_and_each_loss_of_the_state_and_a_second_service_may_repeat_everything_once() {
    let thrice = |rules: &Rules| found(rules, |history, _| history.published.push(state(2, 1)));
    let breaches = thrice(&after_a_death());
    assert!(matches!(&breaches[..], [Breach::Repeated { times: 3, .. }]), "{breaches:?}");
    assert_eq!(thrice(&Rules { losses: 1, ..after_a_death() }), []);
    assert_eq!(thrice(&Rules { deaths: 2, ..Rules::default() }), []);
    assert_eq!(thrice(&Rules { shared: true, ..after_a_death() }), [], "a second service has done its part");
}

#[test]
fn a_missing_letter_and_one_for_a_good_record_and_one_too_many_are_noticed() {
    let origin = || "param/0/1".to_owned();
    assert_eq!(strictly(|history, _| history.letters.clear()), [Breach::NoLetter { origin: origin() }]);
    let breaches = strictly(|history, _| history.letters.push(letter("param/0/2", "wrong_shape")));
    assert_eq!(breaches, [Breach::LetterForGood { origin: Some("param/0/2".into()), reason: "wrong_shape".into() }]);
    let run = strictly(|history, _| history.letters.push(Letter { origin: None, reason: "module_failed".into() }));
    assert_eq!(run, [Breach::LetterForGood { origin: None, reason: "module_failed".into() }]);
    let again = |history: &mut History| history.letters.push(letter("param/0/1", "wrong_shape"));
    assert_eq!(living(again), [Breach::LettersRepeated { origin: origin(), times: 2 }]);
    assert_eq!(strictly(|history, _| again(history)), [], "from the state and from the record");
    let twice = |history: &mut History, _: &mut _| (0..2).for_each(|_| again(history));
    assert_eq!(strictly(twice), [Breach::LettersRepeated { origin: origin(), times: 4 }]);
}

#[test]
fn partitions_that_were_taken_away_from_a_service_that_went_on_excuse_a_letter_more_of_their_topic() {
    let told_twice = |logs: &str| {
        let breaches = living(|history| {
            history.letters.push(letter("param/0/1", "wrong_shape"));
            history.logs += logs;
        });
        breaches.iter().any(|breach| matches!(breach, Breach::LettersRepeated { .. }))
    };
    let revoked = |topic: &str| format!("12:00  INFO partitions revoked topic=\"{topic}\" partitions=[0] lost=true\n");
    let (ends, starts) = ("12:00  INFO draining timeout=20s\n", "12:00  INFO starting consumers consumers=5\n");
    assert!(!told_twice(&revoked("param")));
    assert!(told_twice(&revoked("orders")), "another topic");
    assert!(told_twice(&format!("{ends}{}", revoked("param"))), "an end in order, which leaves nothing behind");
    assert!(!told_twice(&format!("{ends}{starts}{}", revoked("param"))), "the service after it");
}

#[test]
fn a_letter_with_another_reason_than_what_is_wrong_with_its_record_is_noticed() {
    for got in ["not_json", "late"] {
        let breaches =
            found(&Rules { late: true, ..after_a_death() }, |history, _| history.letters[0].reason = got.into());
        let (origin, got) = ("param/0/1".to_owned(), got.to_owned());
        assert_eq!(breaches, [Breach::WrongReason { origin, wanted: "wrong_shape", got }]);
    }
}

/// The second reading of the bucket is not in it and has a letter.
fn late(history: &mut History, _: &mut Model) {
    history.published.retain(|result| result.module != BUCKETS);
    history.published.push(Published { lineage: vec![source(Role::Curve, 0, 0)], ..bucket(&[3]) });
    history.letters.push(letter("curve/0/1", "late"));
}

#[test]
fn a_late_reading_is_excused_by_its_letter_and_only_where_lateness_is() {
    let lenient = Rules { late: true, ..after_a_death() };
    assert_eq!(found(&lenient, late), []);
    assert_eq!(strictly(late).len(), 2, "the bucket and the letter");
    let lost = found(&lenient, |history, model| {
        late(history, model);
        history.letters.pop();
    });
    assert_eq!(lost, [Breach::ReadingLost { station: station(), from: FROM, number: 4 }]);
}

#[test]
fn a_letter_is_late_only_for_a_reading_of_a_bucket_that_was_not_handed_over() {
    let told = |origin: &str, deaths: u32| {
        found(&Rules { late: true, deaths, ..Rules::default() }, |history, _| {
            once(history);
            history.letters.push(letter(origin, "late"));
        })
    };
    let undeserved = |origin: &str| [Breach::LetterForGood { origin: Some(origin.into()), reason: "late".into() }];
    assert_eq!(told("param/0/2", 1), undeserved("param/0/2"), "the newest counts, whenever it comes");
    assert_eq!(told("curve/0/1", 0), undeserved("curve/0/1"), "it was handed over");
    assert_eq!(told("curve/0/1", 1), [], "a death may have come between");
}

#[test]
fn a_bucket_of_which_two_services_had_their_parts_is_excused_from_being_the_same_and_from_nothing_else() {
    let other = |rules: &Rules| {
        let breaches = found(rules, |history, _| {
            history.published.push(Published { lineage: vec![source(Role::Curve, 0, 0)], ..bucket(&[3]) });
        });
        breaches.iter().any(|breach| matches!(breach, Breach::RepeatDiffers { .. }))
    };
    assert!(other(&after_a_death()) && other(&Rules { late: true, ..after_a_death() }));
    assert!(!other(&Rules { shared: true, ..after_a_death() }));
}
