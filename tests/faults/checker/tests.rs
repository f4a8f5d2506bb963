//! Proves that the checker can fail: a small history that keeps every promise, and each promise broken in it once.

use serde_json::json;

use super::*;
use crate::config::{BUCKET_MS, BUCKETS, LATEST, TASKS};
use crate::history::{Letter, Produced, Published, Role, Seen};
use crate::model::Last;

const FROM: i64 = 7 * BUCKET_MS;

fn produced(role: Role, offset: i64, ts: i64, number: Option<u64>) -> Produced {
    Produced {
        topic: role.short().to_owned(),
        role,
        partition: 0,
        offset,
        ts,
        key: "S".to_owned(),
        payload: Some(Vec::new()),
        incarnation: 0,
        reading: number.map(|number| ("S".to_owned(), number)),
    }
}

fn source(role: Role, from: i64, to: i64) -> Source {
    Source { place: (role.short().to_owned(), 0), from, to }
}

fn state(n: u64, offset: i64) -> Published {
    Published {
        module: LATEST.to_owned(),
        station: "S".to_owned(),
        hash: format!("h{n}"),
        trigger: None,
        output: json!({ "n": n }),
        lineage: vec![source(Role::Param, offset, offset)],
    }
}

fn bucket(numbers: &[u64]) -> Published {
    let readings: Vec<_> = numbers.iter().map(|n| json!({ "s": "S", "n": n })).collect();
    Published {
        module: BUCKETS.to_owned(),
        station: "S".to_owned(),
        hash: format!("b{numbers:?}"),
        trigger: Some(FROM.to_string()),
        output: json!({ "inputs": { "curve": { "value": { "from": FROM, "readings": readings } } } }),
        lineage: vec![source(Role::Curve, 0, 1)],
    }
}

fn task(offset: i64, number: u64) -> Published {
    Published {
        module: TASKS.to_owned(),
        station: "S".to_owned(),
        hash: format!("t{number}"),
        trigger: Some(format!("task/0/{offset}/0")),
        output: json!({ "value": { "s": "S", "n": number } }),
        lineage: vec![source(Role::Task, offset, offset)],
    }
}

fn letter(origin: &str, reason: &str) -> Letter {
    Letter { origin: Some(origin.to_owned()), reason: reason.to_owned() }
}

/// Two parameters with an unreadable record between them, a bucket of two readings, and two tasks. The second result,
/// the bucket and the first task were published twice, as after a crash.
fn sound() -> (History, Model) {
    let history = History {
        produced: vec![
            produced(Role::Param, 0, 1, Some(1)),
            produced(Role::Param, 1, 2, None),
            produced(Role::Param, 2, 3, Some(2)),
            produced(Role::Curve, 0, FROM, Some(3)),
            produced(Role::Curve, 1, FROM + BUCKET_MS - 1, Some(4)),
            produced(Role::Task, 0, 5, Some(5)),
            produced(Role::Task, 1, 6, Some(6)),
        ],
        published: vec![
            state(1, 0),
            state(2, 2),
            state(2, 2),
            bucket(&[3, 4]),
            bucket(&[3, 4]),
            task(0, 5),
            task(0, 5),
            task(1, 6),
        ],
        letters: vec![letter("param/0/1", "not_json"), letter("param/0/1", "not_json")],
        seen: [("param".to_owned(), Seen { looks: 1, ..Seen::default() })].into(),
        settled: [(("param".to_owned(), 0), (3, 3))].into(),
    };
    let model = [("S".to_owned(), Last { hash: "h2".to_owned(), output: json!({ "n": 2 }) })].into();
    (history, model)
}

/// What the checker finds after a change of the sound history.
fn found(rules: &Rules, change: impl FnOnce(&mut History, &mut Model)) -> Vec<Breach> {
    let (mut history, mut model) = sound();
    change(&mut history, &mut model);
    check(&history, &model, rules)
}

fn strictly(change: impl FnOnce(&mut History, &mut Model)) -> Vec<Breach> {
    found(&Rules::default(), change)
}

fn station() -> String {
    "S".to_owned()
}

#[test]
fn a_history_that_keeps_every_promise_passes() {
    assert_eq!(strictly(|_, _| {}), []);
}

#[test]
fn a_result_that_never_came_is_noticed() {
    let breaches = strictly(|_, model| {
        let last = model[&station()].clone();
        model.insert("T".to_owned(), last);
    });
    assert_eq!(breaches, [Breach::NoResult { station: "T".to_owned() }]);
}

#[test]
fn a_last_result_of_less_than_all_readings_is_noticed_and_so_is_its_hash_alone() {
    let breaches = strictly(|history, _| history.published.retain(|result| result.hash != "h2"));
    assert_eq!(
        breaches,
        [Breach::LastDiffers { station: station(), wanted: r#"{"n":2}"#.into(), got: r#"{"n":1}"#.into() }]
    );
    let other = |_: &mut History, model: &mut Model| model.get_mut("S").expect("S").hash = "x".to_owned();
    assert_eq!(strictly(other), [Breach::LastDiffers { station: station(), wanted: "x".into(), got: "h2".into() }]);
    let recreated = Rules { recreated: ["param".to_owned()].into(), ..Rules::default() };
    assert_eq!(found(&recreated, other), [], "replay does not know of the second incarnation");
}

#[test]
fn of_a_station_that_was_forgotten_what_is_global_is_left_out_and_its_own_readings_count() {
    let output = |own: &str, all: &str| json!({ "inputs": { "param": own, "calendar": all } });
    let last = |own: &str, rules: &Rules| {
        found(rules, |history, model| {
            history.produced.push(produced(Role::Calendar, 0, 4, Some(9)));
            history.published.retain(|result| result.module != LATEST);
            history.published.push(Published { output: output(own, "before"), ..state(1, 2) });
            model.insert(station(), Last { hash: "h2".to_owned(), output: output("newest", "after") });
        })
    };
    let differs = |breaches: &[Breach]| matches!(breaches, [Breach::LastDiffers { .. }]);
    let forgotten = Rules { forgotten: [station()].into(), ..Rules::default() };
    assert_eq!(last("newest", &forgotten), []);
    assert!(differs(&last("older", &forgotten)));
    assert!(differs(&last("newest", &Rules::default())), "one that sends knows what is global");
}

#[test]
fn a_result_older_than_the_one_before_it_is_noticed_though_the_last_is_right() {
    let breaches = strictly(|history, _| history.published.insert(2, state(1, 0)));
    let (before, after) = (source(Role::Param, 2, 2), source(Role::Param, 0, 0));
    assert_eq!(breaches, [Breach::WentBack { station: station(), before, after }]);
}

#[test]
fn a_result_of_nobodys_station_is_noticed() {
    let breaches = strictly(|history, _| history.published.push(Published { station: "X".to_owned(), ..state(2, 2) }));
    assert_eq!(breaches, [Breach::Unasked { module: LATEST.to_owned(), station: "X".to_owned() }]);
}

#[test]
fn lineage_that_names_no_readable_record_is_noticed() {
    for (from, to) in [(1, 2), (2, 9), (2, 0)] {
        let lie = source(Role::Param, from, to);
        let breaches = strictly(|history, _| history.published[2].lineage = vec![lie.clone()]);
        assert!(breaches.contains(&Breach::Invented { station: station(), source: lie }), "{breaches:?}");
    }
}

#[test]
fn equal_outputs_with_different_hashes_are_noticed_and_the_other_way_round() {
    let lies = |breaches: Vec<Breach>| breaches.iter().any(|breach| matches!(breach, Breach::HashLies { .. }));
    assert!(lies(strictly(|history, _| history.published[1].hash = "h3".to_owned())));
    assert!(lies(strictly(|history, _| history.published[1].output = json!({ "n": 9 }))));
}

#[test]
fn a_bucket_that_was_lost_or_cut_or_filled_up_is_noticed() {
    let without = |history: &mut History, _: &mut Model| history.published.retain(|result| result.module != BUCKETS);
    assert_eq!(strictly(without), [Breach::NoBucket { station: station(), from: FROM }]);
    let replace = |numbers: &'static [u64]| {
        strictly(move |history, _| {
            history.published.retain(|result| result.module != BUCKETS);
            history.published.push(bucket(numbers));
        })
    };
    let differs = |missing: &[u64], foreign: &[u64]| Breach::BucketDiffers {
        station: station(),
        from: FROM,
        missing: missing.to_vec(),
        foreign: foreign.to_vec(),
    };
    assert_eq!(replace(&[3]), [differs(&[4], &[])]);
    assert_eq!(replace(&[3, 4, 1]), [differs(&[], &[1])]);
    let elsewhere = strictly(|history, _| history.published[4].trigger = None);
    assert!(matches!(&elsewhere[..], [Breach::BucketDiffers { from: i64::MIN, .. }]), "{elsewhere:?}");
}

#[test]
fn a_bucket_handed_over_again_as_another_one_is_noticed() {
    let breaches = strictly(|history, _| history.published.push(bucket(&[3])));
    assert_eq!(breaches, [Breach::RepeatDiffers { station: station(), from: FROM }]);
}

#[test]
fn a_task_that_was_lost_or_is_another_one_or_came_too_early_is_noticed() {
    let tasks = |tasks: Vec<Published>| {
        strictly(move |history, _| {
            history.published.retain(|result| result.module != TASKS);
            history.published.extend(tasks);
        })
    };
    let none = |offset: i64| Breach::NoTask { origin: format!("task/0/{offset}/0") };
    assert_eq!(tasks(vec![task(0, 5)]), [none(1)]);
    let differs = |trigger: Option<String>| Breach::TaskDiffers { station: station(), trigger };
    let second = || Some("task/0/1/0".to_owned());
    assert_eq!(tasks(vec![task(0, 5), task(1, 9)]), [differs(second()), none(1)]);
    let nameless = Published { trigger: None, ..task(1, 6) };
    assert_eq!(tasks(vec![task(0, 5), nameless]), [differs(None), none(1)]);
    let early = Breach::TaskOutOfOrder { station: station(), trigger: "task/0/0/0".to_owned() };
    assert_eq!(tasks(vec![task(1, 6), task(0, 5)]), [early]);
    assert_eq!(tasks(vec![task(0, 5), task(1, 6), task(0, 5), task(1, 6)]), [], "a repeat is no second beginning");
}

#[test]
fn a_late_reading_is_excused_by_its_letter_and_only_where_lateness_is() {
    let late = |history: &mut History, _: &mut Model| {
        history.published.retain(|result| result.module != BUCKETS);
        history.published.push(bucket(&[3]));
        history.letters.push(letter("curve/0/1", "late"));
    };
    let lenient = Rules { late: true, ..Rules::default() };
    assert_eq!(found(&lenient, late), []);
    assert_eq!(strictly(late).len(), 2, "the bucket and the letter");
    let lost = found(&lenient, |history, model| {
        late(history, model);
        history.letters.pop();
    });
    assert_eq!(lost, [Breach::ReadingLost { station: station(), from: FROM, number: 4 }]);
}

#[test]
fn a_missing_letter_and_one_for_a_good_record_are_noticed() {
    let origin = || "param/0/1".to_owned();
    assert_eq!(strictly(|history, _| history.letters.clear()), [Breach::NoLetter { origin: origin() }]);
    let breaches = strictly(|history, _| history.letters.push(letter("param/0/2", "not_json")));
    assert_eq!(breaches, [Breach::LetterForGood { origin: Some("param/0/2".into()), reason: "not_json".into() }]);
    let run = strictly(|history, _| history.letters.push(Letter { origin: None, reason: "module_failed".into() }));
    assert_eq!(run, [Breach::LetterForGood { origin: None, reason: "module_failed".into() }]);
}

#[test]
fn offsets_that_go_back_or_beyond_or_stay_behind_are_noticed() {
    let topic = || "param".to_owned();
    let seen = |change: fn(&mut Seen)| strictly(move |history, _| history.seen.values_mut().for_each(change));
    assert_eq!(seen(|seen| seen.looks = 0), [Breach::NeverSeen { topic: topic() }]);
    let back = Breach::OffsetBack { topic: topic(), partition: 0, before: 3, after: 1 };
    assert_eq!(seen(|seen| seen.back.push((0, 3, 1))), [back]);
    let foreign = Rules { foreign: true, ..Rules::default() };
    let excused = found(&foreign, |history, _| history.seen.values_mut().for_each(|seen| seen.back.push((0, 3, 1))));
    assert_eq!(excused, []);
    let beyond = Breach::OffsetBeyond { topic: topic(), partition: 0, committed: 4, end: 3 };
    assert_eq!(seen(|seen| seen.beyond.push((0, 4, 3))), [beyond]);
    let lag = strictly(|history, _| history.settled.values_mut().for_each(|(committed, _)| *committed = 2));
    assert_eq!(lag, [Breach::Lag { place: (topic(), 0), committed: 2, end: 3 }]);
}
