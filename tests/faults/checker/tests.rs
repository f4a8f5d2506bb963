//! Proves that the checker can fail: a small history that keeps every promise, and each promise broken in it once.

mod again;
mod rebuilt_by_hand;

use serde_json::{Value, json};

use super::*;
use crate::config::{BUCKET_MS, BUCKETS, LATEST, TASKS};
use crate::history::{Letter, Produced, Published, Role, Seen};
use crate::model::Last;

const FROM: i64 = 7 * BUCKET_MS;

fn produced(role: Role, offset: i64, ts: i64, number: Option<u64>) -> Produced {
    let owner = if role == Role::Calendar { "all" } else { "S" };
    Produced {
        topic: role.short().to_owned(),
        role,
        partition: 0,
        offset,
        ts,
        key: owner.to_owned(),
        payload: number.map(|number| format!(r#"{{"s":"{owner}", "n":{number}}}"#).into_bytes()),
        incarnation: 0,
        reading: number.map(|number| (owner.to_owned(), number)),
        fault: number.is_none().then_some("wrong_shape"),
    }
}

fn source(role: Role, from: i64, to: i64) -> Source {
    Source { place: (role.short().to_owned(), 0), from, to, life: 0 }
}

/// An entry of an input, given what the value's text is.
fn entry(time: i64, text: &str) -> Value {
    json!({
        "status": "fresh", "time": time, "bytes": text.len(), "digest": format!("{:016x}", rebuilt::fnv1a(text))
    })
}

/// A state made of the parameter with a number, the calendar and five orders, the oldest of which has this offset. Their
/// numbers are their offsets and 10, their times their offsets and 100.
fn state(parameter: u64, oldest: i64) -> Published {
    let (offset, time) = if parameter == 1 { (0, 1) } else { (2, 3) };
    let orders: Vec<String> =
        (oldest..oldest + 5).map(|offset| format!(r#"{{"n":{},"s":"S"}}"#, offset + 10)).collect();
    let inputs = json!({
        "param": entry(time, &format!(r#"{{"n":{parameter},"s":"S"}}"#)),
        "calendar": entry(4, r#"{"n":9,"s":"all"}"#),
        "orders": entry(oldest + 104, &format!("[{}]", orders.join(","))),
    });
    Published {
        module: LATEST.to_owned(),
        station: "S".to_owned(),
        hash: format!("h{parameter}-{oldest}"),
        trigger: None,
        output: json!({ "inputs": inputs }),
        complete: true,
        lineage: vec![
            source(Role::Calendar, 0, 0),
            source(Role::Orders, oldest, oldest + 4),
            source(Role::Param, offset, offset),
        ],
    }
}

fn bucket(numbers: &[u64]) -> Published {
    let readings: Vec<_> = numbers.iter().map(|n| json!({ "s": "S", "n": n })).collect();
    let value = json!({ "from": FROM, "to": FROM + BUCKET_MS, "readings": readings });
    Published {
        module: BUCKETS.to_owned(),
        station: "S".to_owned(),
        hash: format!("b{numbers:?}"),
        trigger: Some(FROM.to_string()),
        output: json!({ "inputs": { "curve": { "status": "fresh", "time": FROM + BUCKET_MS, "value": value } } }),
        complete: true,
        lineage: vec![source(Role::Curve, 0, 1)],
    }
}

fn task(offset: i64, number: u64) -> Published {
    let trigger = format!("task/0/{offset}/0");
    Published {
        module: TASKS.to_owned(),
        station: "S".to_owned(),
        hash: format!("t{number}"),
        trigger: Some(trigger.clone()),
        output: json!({ "reading": trigger, "value": { "s": "S", "n": number } }),
        complete: true,
        lineage: vec![source(Role::Task, offset, offset)],
    }
}

fn letter(origin: &str, reason: &str) -> Letter {
    Letter { origin: Some(origin.to_owned()), reason: reason.to_owned() }
}

/// Two parameters with an unreadable record between them, a calendar, six orders, a bucket of two readings, and two
/// tasks. The second result, the bucket and the first task were published twice, as after a crash.
fn sound() -> (History, Model) {
    let mut history = History {
        produced: vec![
            produced(Role::Param, 0, 1, Some(1)),
            produced(Role::Param, 1, 2, None),
            produced(Role::Param, 2, 3, Some(2)),
            produced(Role::Calendar, 0, 4, Some(9)),
            produced(Role::Curve, 0, FROM, Some(3)),
            produced(Role::Curve, 1, FROM + BUCKET_MS - 1, Some(4)),
            produced(Role::Task, 0, 5, Some(5)),
            produced(Role::Task, 1, 6, Some(6)),
        ],
        published: vec![
            state(1, 0),
            state(2, 1),
            state(2, 1),
            bucket(&[3, 4]),
            bucket(&[3, 4]),
            task(0, 5),
            task(0, 5),
            task(1, 6),
        ],
        letters: vec![letter("param/0/1", "wrong_shape"), letter("param/0/1", "wrong_shape")],
        seen: [("param".to_owned(), Seen { tries: 1, looks: 1, ..Seen::default() })].into(),
        left: vec![Left { place: ("param".to_owned(), 0), committed: 1, stored: 2, end: 2 }],
        settled: [(("param".to_owned(), 0), (3, 3))].into(),
        logs: "a service has started\n".to_owned(),
        owed: 0,
        peak_kib: 30 * 1024,
    };
    history.produced.extend((0..6).map(|nth| produced(Role::Orders, nth, 100 + nth, Some(10 + nth as u64))));
    let last = state(2, 1);
    let model = [("S".to_owned(), Last { hash: last.hash, output: last.output })].into();
    (history, model)
}

/// What the checker finds after a change of the sound history.
fn found(rules: &Rules, change: impl FnOnce(&mut History, &mut Model)) -> Vec<Breach> {
    let (mut history, mut model) = sound();
    change(&mut history, &mut model);
    check(&history, &model, rules)
}

/// The same where a service has died once: what was published twice may have been.
fn strictly(change: impl FnOnce(&mut History, &mut Model)) -> Vec<Breach> {
    found(&after_a_death(), change)
}

fn after_a_death() -> Rules {
    Rules { deaths: 1, ..Rules::default() }
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
    assert!(breaches.contains(&Breach::NoResult { station: "T".to_owned() }), "{breaches:?}");
}

#[test]
fn a_last_result_of_less_than_all_readings_is_noticed_and_so_is_its_hash_alone() {
    let breaches = strictly(|history, _| history.published.retain(|result| result.hash != "h2-1"));
    let (wanted, got) = (state(2, 1).output.to_string(), state(1, 0).output.to_string());
    assert_eq!(breaches, [Breach::LastDiffers { station: station(), wanted, got }]);
    let other = |_: &mut History, model: &mut Model| model.get_mut("S").expect("S").hash = "x".to_owned();
    assert_eq!(strictly(other), [Breach::LastDiffers { station: station(), wanted: "x".into(), got: "h2-1".into() }]);
    let recreated = Rules { recreated: ["param".to_owned()].into(), ..after_a_death() };
    assert_eq!(found(&recreated, other), [], "replay does not know of the second incarnation");
}

#[test]
fn of_a_station_that_was_forgotten_what_is_global_is_left_out_and_its_own_readings_count() {
    let last = |last: Published, rules: &Rules| {
        found(rules, |history, model| {
            history.produced.push(produced(Role::Calendar, 1, 5, Some(19)));
            history.published.retain(|result| result.module != LATEST);
            history.published.push(last);
            let inputs = &mut model.get_mut("S").expect("S").output["inputs"];
            inputs["calendar"] = entry(5, r#"{"n":19,"s":"all"}"#);
        })
    };
    let differs = |breaches: &[Breach]| matches!(breaches, [Breach::LastDiffers { .. }]);
    let forgotten = Rules { forgotten: [station()].into(), ..after_a_death() };
    assert_eq!(last(state(2, 1), &forgotten), []);
    assert!(differs(&last(state(1, 1), &forgotten)));
    assert!(differs(&last(state(2, 1), &after_a_death())), "one that sends knows what is global");
}

#[test]
fn a_result_of_nobodys_station_is_noticed() {
    let breaches = strictly(|history, _| history.published.push(Published { station: "X".to_owned(), ..state(2, 1) }));
    let unasked = Breach::Unasked { module: LATEST.to_owned(), station: "X".to_owned() };
    assert!(breaches.contains(&unasked), "{breaches:?}");
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
    let copied = strictly(|history, _| {
        history.produced.push(produced(Role::Orders, 6, 100, Some(10)));
        history.published[1].hash = "h3".to_owned();
    });
    assert!(!lies(copied), "a reading that was taken twice is the same in two places");
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
    assert!(replace(&[3]).contains(&differs(&[4], &[])));
    assert!(replace(&[3, 4, 1]).contains(&differs(&[], &[1])));
    let elsewhere = strictly(|history, _| history.published[4].trigger = None);
    let nameless = |breach: &Breach| matches!(breach, Breach::BucketDiffers { from: i64::MIN, .. });
    assert!(elsewhere.iter().any(nameless), "{elsewhere:?}");
}

#[test]
fn a_bucket_handed_over_again_as_another_one_is_noticed() {
    let breaches = strictly(|history, _| history.published.push(bucket(&[3])));
    assert!(breaches.contains(&Breach::RepeatDiffers { station: station(), from: FROM }), "{breaches:?}");
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
    let both =
        |breaches: Vec<Breach>, trigger| [differs(trigger), none(1)].iter().all(|breach| breaches.contains(breach));
    assert!(both(tasks(vec![task(0, 5), task(1, 9)]), second()));
    let nameless = Published { trigger: None, ..task(1, 6) };
    assert!(both(tasks(vec![task(0, 5), nameless]), None));
    let early = Breach::TaskOutOfOrder { station: station(), trigger: "task/0/0/0".to_owned() };
    assert_eq!(tasks(vec![task(1, 6), task(0, 5)]), [early]);
    assert_eq!(tasks(vec![task(0, 5), task(1, 6), task(0, 5), task(1, 6)]), [], "a repeat is no second beginning");
}

#[test]
fn offsets_that_go_back_or_beyond_or_stay_behind_are_noticed() {
    let topic = || "param".to_owned();
    let seen = |change: fn(&mut Seen)| strictly(move |history, _| history.seen.values_mut().for_each(change));
    let hardly = |tries, looks| Breach::HardlySeen { topic: topic(), tries, looks };
    assert_eq!(seen(|seen| seen.looks = 0), [hardly(1, 0)]);
    assert_eq!(seen(|seen| (seen.tries, seen.looks) = (9, 4)), [hardly(9, 4)]);
    assert_eq!(seen(|seen| (seen.tries, seen.looks) = (8, 4)), []);
    let back = Breach::OffsetBack { topic: topic(), partition: 0, before: 3, after: 1 };
    assert_eq!(seen(|seen| seen.back.push((0, 3, 1))), [back]);
    let foreign = Rules { foreign: true, ..after_a_death() };
    let excused = found(&foreign, |history, _| history.seen.values_mut().for_each(|seen| seen.back.push((0, 3, 1))));
    assert_eq!(excused, []);
    let beyond = Breach::OffsetBeyond { topic: topic(), partition: 0, committed: 4, end: 3 };
    assert_eq!(seen(|seen| seen.beyond.push((0, 4, 3))), [beyond]);
    let lag = strictly(|history, _| history.settled.values_mut().for_each(|(committed, _)| *committed = 2));
    assert_eq!(lag, [Breach::Lag { place: (topic(), 0), committed: 2, end: 3 }]);
}

#[test]
fn what_was_committed_without_being_durable_or_stored_without_being_there_is_noticed() {
    for (committed, stored, end) in [(3, 2, 3), (1, 3, 2), (1, 0, 2)] {
        let left = Left { place: ("param".to_owned(), 0), committed, stored, end };
        let breaches = strictly(|history, _| history.left.push(left.clone()));
        assert_eq!(breaches, [Breach::NotDurable { left }]);
    }
}

#[test]
fn a_panic_and_a_state_thrown_away_and_much_memory_and_what_is_owed_at_the_end_are_noticed() {
    let logged = |line: &str, rules: &Rules| found(rules, |history, _| history.logs += line);
    let said = |line: &str| [Breach::Logged { line: line.to_owned() }];
    assert_eq!(logged("thread 'shard-0' panicked at", &after_a_death()), said("thread 'shard-0' panicked at"));
    assert_eq!(logged("it is set aside", &after_a_death()), said("it is set aside"));
    assert_eq!(logged("it is set aside", &Rules { losses: 1, ..after_a_death() }), []);
    assert_eq!(strictly(|history, _| history.peak_kib = 151 << 10), [Breach::Memory { peak_kib: 151 << 10 }]);
    let roomy = Rules { more_memory_mib: 1, ..after_a_death() };
    assert_eq!(found(&roomy, |history, _| history.peak_kib = 151 << 10), []);
    assert_eq!(strictly(|history, _| history.owed = 1), [Breach::Owed { entries: 1 }]);
}
