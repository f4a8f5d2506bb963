//! The pipeline under thousands of schedules: records, rebalances, pauses, failures and crashes in every order, drawn
//! from seeds and repeatable to the letter. `QUORATE_SIM_SEED=N` plays one schedule and prints what happens in it.

mod broker;
mod chance;
mod checks;
mod consumers;
mod disk;
mod doors;
mod events;
mod lateness;
mod ledger;
mod limits;
mod logs;
mod outage;
mod process;
mod runs;
mod scene;
mod schedule;
mod stop;
mod trace;

/// Schedules of one run of the tests, in four parts so that all cores have something to do.
const SCHEDULES: u64 = 10_000;

/// Plays a quarter of all schedules, those with the remainder `quarter`, and tells of all that break something, of the
/// first one step by step.
#[track_caller]
fn play_quarter(quarter: u64) {
    let asked = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let one = asked("QUORATE_SIM_SEED");
    let count = asked("QUORATE_SIM_SCHEDULES").unwrap_or(SCHEDULES) / 4;
    let seeds = one.map_or(0..count, |seed| seed / 4..seed / 4 + 1).map(|seed| seed * 4 + quarter);
    let seeds = seeds.filter(|seed| one.is_none_or(|one| one == *seed));
    let broken: Vec<_> = seeds.filter_map(|seed| Some((seed, schedule::play(seed, false).err()?.why))).collect();
    if let Some((first, _)) = broken.first() {
        let steps = schedule::play(*first, true).err().map_or(String::new(), |again| again.lines.join("\n"));
        let list: Vec<String> = broken.iter().map(|(seed, why)| format!("QUORATE_SIM_SEED={seed}: {why}")).collect();
        panic!("schedule {first}:\n{steps}\n{} schedules break something:\n{}", broken.len(), list.join("\n"));
    }
}

#[test]
fn nothing_is_lost_in_the_first_quarter_of_schedules() {
    play_quarter(0);
}

#[test]
fn nothing_is_lost_in_the_second_quarter_of_schedules() {
    play_quarter(1);
}

#[test]
fn nothing_is_lost_in_the_third_quarter_of_schedules() {
    play_quarter(2);
}

#[test]
fn nothing_is_lost_in_the_fourth_quarter_of_schedules() {
    play_quarter(3);
}

#[test]
fn a_schedule_is_repeated_to_the_letter() {
    for seed in 0..200 {
        let hash = || schedule::play(seed, false).map_err(|broken| broken.why);
        assert_eq!(hash(), hash(), "schedule {seed}");
    }
}
