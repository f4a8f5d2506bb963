//! The circuit breaker: its story told once, and any story compared with a model that remembers everything.

use proptest::prelude::*;
use quorate_core::breaker::{Admission, Breaker, BreakerChange, BreakerPhase, BreakerPolicy, LONGEST_PAUSE, Pass};
use quorate_core::ident::Millis;

const POLICY: BreakerPolicy = BreakerPolicy { failure_ratio: 0.5, of: 4, pause_ms: 1_000 };

fn go(breaker: &mut Breaker, now: i64) -> Pass {
    match breaker.admit(Millis(now)) {
        Admission::Go(pass) => pass,
        other => panic!("{other:?}"),
    }
}

fn call(breaker: &mut Breaker, now: i64, succeeds: bool) -> Option<BreakerChange> {
    let pass = go(breaker, now);
    breaker.ended(pass, succeeds, Millis(now))
}

fn open(now: i64) -> Breaker {
    let mut breaker = Breaker::new(POLICY);
    for _ in 0..4 {
        call(&mut breaker, now, false);
    }
    breaker
}

#[test]
fn it_opens_at_its_share_of_the_last_calls_and_not_before_so_many_have_ended() {
    let mut breaker = Breaker::new(POLICY);
    for succeeds in [false, true, true] {
        assert_eq!(call(&mut breaker, 0, succeeds), None);
    }
    assert_eq!(call(&mut breaker, 0, true), None, "one of four");
    assert_eq!(call(&mut breaker, 0, false), None, "the first failure counts no more");
    let opened = BreakerChange::Opened { failures: 2, of: 4, until: Millis(1_007) };
    assert_eq!(call(&mut breaker, 7, false), Some(opened));
    assert!(matches!(breaker.admit(Millis(1_006)), Admission::At(Millis(1_007))));
}

#[test]
fn one_probe_decides_and_others_wait_for_it() {
    let mut breaker = open(0);
    let probe = go(&mut breaker, 1_000);
    assert!(matches!(breaker.admit(Millis(1_000)), Admission::AfterProbe));
    assert_eq!(breaker.ended(probe, true, Millis(1_500)), Some(BreakerChange::Closed));
    for _ in 0..3 {
        assert_eq!(call(&mut breaker, 1_500, false), None, "what was before is forgotten");
    }
}

#[test]
fn each_probe_that_fails_doubles_the_pause_up_to_sixteen_times_and_one_that_succeeds_ends_that() {
    let mut breaker = open(0);
    let mut now = 1_000;
    for factor in [2, 4, 8, 16, 16] {
        let until = Millis(now + factor * 1_000);
        let opened = BreakerChange::Opened { failures: 1, of: 1, until };
        assert_eq!(call(&mut breaker, now, false), Some(opened));
        now = until.0;
    }
    call(&mut breaker, now, true);
    for _ in 0..4 {
        call(&mut breaker, now, false);
    }
    assert_eq!(breaker.phase(), BreakerPhase::Open(Millis(now + 1_000)));
}

#[test]
fn a_probe_that_does_not_take_place_leaves_its_place_to_another() {
    let mut breaker = open(0);
    let probe = go(&mut breaker, 1_000);
    assert!(breaker.unused(probe));
    assert_eq!(call(&mut breaker, 1_000, true), Some(BreakerChange::Closed));
}

#[test]
fn a_call_that_began_before_it_opened_decides_nothing_after_it() {
    let mut breaker = Breaker::new(POLICY);
    let late = [go(&mut breaker, 0), go(&mut breaker, 0), go(&mut breaker, 0)];
    for _ in 0..4 {
        call(&mut breaker, 0, false);
    }
    let [first, second, third] = late;
    assert_eq!(breaker.ended(first, true, Millis(1)), None);
    let probe = go(&mut breaker, 1_000);
    assert_eq!(breaker.ended(second, true, Millis(1_001)), None);
    assert!(!breaker.unused(third));
    assert_eq!(breaker.phase(), BreakerPhase::HalfOpen { probing: true });
    assert_eq!(breaker.ended(probe, true, Millis(1_002)), Some(BreakerChange::Closed));
}

/// What a story does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(i64),
    Begin,
    /// The call under way at this place, counted round, ends.
    End(usize, bool),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0_i64..3_000).prop_map(Step::Pass),
        4 => Just(Step::Begin),
        4 => (any::<usize>(), prop::bool::weighted(0.4)).prop_map(|(at, ok)| Step::End(at, ok)),
        1 => any::<usize>().prop_map(Step::Drop),
    ]
}

/// Remembers every call since it was last closed, and works everything out from that.
#[derive(Default)]
struct Model {
    /// None while closed; else until when it is open, and how many probes have failed.
    open: Option<(i64, u32)>,
    /// The call that probes.
    probe: Option<u64>,
    ended: Vec<bool>,
    begun: u64,
    /// The first call that began since it was last closed.
    counts_from: u64,
}

impl Model {
    fn begin(&mut self, now: i64) -> Option<u64> {
        if let Some((until, _)) = self.open {
            if now < until || self.probe.is_some() {
                return None;
            }
            self.probe = Some(self.begun);
        }
        self.begun += 1;
        Some(self.begun - 1)
    }

    fn end(&mut self, call: u64, ok: bool, now: i64, policy: BreakerPolicy) {
        match self.open {
            Some((_, failed)) if self.probe == Some(call) => {
                self.probe = None;
                self.open = (!ok).then(|| {
                    let factor = 2_i64.pow((failed + 1).min(30)).min(LONGEST_PAUSE);
                    (now + policy.pause_ms * factor, failed + 1)
                });
                self.counts_from = self.begun;
            }
            Some(_) => {}
            None if call < self.counts_from => {}
            None => {
                self.ended.push(ok);
                let last = self.ended.iter().rev().take(policy.of);
                let failures = last.clone().filter(|ok| !**ok).count();
                let share = failures as f64 / policy.of as f64;
                if last.len() == policy.of && failures > 0 && share >= policy.failure_ratio {
                    self.open = Some((now + policy.pause_ms, 0));
                    self.ended.clear();
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_story_goes_as_the_model_says(
        quarters in 0_u32..=4,
        of in 1_usize..8,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let policy = BreakerPolicy { failure_ratio: f64::from(quarters) / 4.0, of, pause_ms: 1_000 };
        let (mut breaker, mut model) = (Breaker::new(policy), Model::default());
        let (mut now, mut under_way) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Pass(ms) => now += ms,
                Step::Begin => {
                    let admitted = breaker.admit(Millis(now));
                    let expected = model.begin(now);
                    match (admitted, expected) {
                        (Admission::Go(pass), Some(call)) => under_way.push((pass, call)),
                        (Admission::At(until), None) => prop_assert_eq!(Some(until.0), model.open.map(|open| open.0)),
                        (Admission::AfterProbe, None) => prop_assert!(model.probe.is_some()),
                        (admitted, expected) => prop_assert!(false, "{admitted:?} where {expected:?}"),
                    }
                }
                Step::End(at, ok) if !under_way.is_empty() => {
                    let (pass, call) = under_way.remove(at % under_way.len());
                    breaker.ended(pass, ok, Millis(now));
                    model.end(call, ok, now, policy);
                }
                Step::Drop(at) if !under_way.is_empty() => {
                    let (pass, call) = under_way.remove(at % under_way.len());
                    let was_probe = model.probe == Some(call);
                    prop_assert_eq!(breaker.unused(pass), was_probe);
                    model.probe = model.probe.filter(|_| !was_probe);
                }
                Step::End(..) | Step::Drop(_) => {}
            }
            prop_assert_eq!(breaker.phase() == BreakerPhase::Closed, model.open.is_none());
        }
    }
}
