//! The folder of the state: held by somebody else, damaged, and on a disk that is full.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};

use quorate_testkit::{require_broker, within};

use crate::checker::Rules;
use crate::config::Knobs;
use crate::scenario::{Scenario, broker};
use crate::seed::rounds;
use crate::service::PATIENCE;

/// What the service ends with when its state is refused or cannot be written.
const STATE_EXIT: i32 = 6;

/// Where the disk may fail once, and how many passings there are to choose from before it does. The first few of each are
/// those of a start.
const FAILURES: [(&str, u64); 5] =
    [("device_write", 60), ("device_short_write", 60), ("device_sync", 30), ("device_read", 8), ("ceilings_sync", 10)];

/// Bytes that a file may have on a disk that is full: the log has room, the store has not.
const LIMIT: u64 = 64 * 1024;

#[test]
fn matrix_19_a_second_process_on_the_same_state_is_refused() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "state-shared", Knobs::default());
    let load = scenario.workload().in_background();
    let first = scenario.start();
    for _ in 0..rounds(2) {
        scenario.until_more_results(scenario.results());
        assert_eq!(scenario.start().until_ended(), STATE_EXIT);
    }
    scenario.until_more_results(scenario.results());
    scenario.finish(first, &load.stop(), &Rules::default());
}

#[test]
fn matrix_17_a_state_damaged_while_the_service_is_down_is_set_aside_and_built_again() {
    let broker = require_broker!(broker());
    let mut scenario = Scenario::begin(broker, "state-damaged", Knobs::default());
    let load = scenario.workload().in_background();
    let mut service = scenario.start();
    let losses = rounds(1);
    for _ in 0..losses {
        scenario.until_more_results(scenario.results() + 50);
        assert_eq!(service.terminate(scenario.drain_bound()), 0);
        let path = scenario.state().join("state.redb");
        let bytes = fs::metadata(&path).expect("a store").len();
        // Much of the file may be unused: only what spares its very beginning at most is sure to hurt.
        let at = scenario.chance.within(0..4096);
        let mut file = OpenOptions::new().write(true).open(&path).expect("a store");
        file.seek(SeekFrom::Start(at)).expect("a place in it");
        file.write_all(&vec![0xa5; usize::try_from(bytes - at).expect("a small store")]).expect("damage");
        drop(file);
        service = scenario.start();
        service.until_logged("it is set aside", 1);
    }
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &Rules { losses, ..Rules::default() });
}

#[test]
fn matrix_15_a_disk_that_is_full_ends_the_service_and_costs_nothing() {
    let broker = require_broker!(broker());
    let scenario = Scenario::begin(broker, "state-full", Knobs::default());
    let load = scenario.workload().in_background();
    for _ in 0..rounds(2) {
        let service = scenario.start_limitable();
        scenario.until_more_results(scenario.results() + 20);
        within(PATIENCE, "a store larger than the limit", || {
            fs::metadata(scenario.state().join("state.redb")).is_ok_and(|file| file.len() > 2 * LIMIT).then_some(())
        });
        service.limit_files(LIMIT);
        assert_eq!(service.until_ended(), STATE_EXIT);
    }
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &Rules::default());
}

#[test]
fn matrix_16_a_disk_that_fails_once_ends_the_service_and_costs_nothing() {
    let broker = require_broker!(broker());
    let knobs = Knobs { instance_id: Some("one".to_owned()), ..Knobs::default() };
    let mut scenario = Scenario::begin(broker, "state-fails", knobs);
    let load = scenario.workload().in_background();
    let first = scenario.start();
    scenario.until_more_results(scenario.results());
    first.kill();
    for _ in 0..rounds(1) {
        for (point, most) in FAILURES {
            let nth = scenario.chance.within(1..most + 1);
            eprintln!("state-fails: {point}:{nth}");
            // Whoever tried again would find a disk that works, and go on.
            assert_eq!(scenario.start_failing(point, nth).until_ended(), STATE_EXIT, "{point}:{nth}");
        }
    }
    let files = fs::read_dir(scenario.state()).expect("a folder").map(|file| file.expect("a file").file_name());
    let set_aside: Vec<_> = files.filter(|name| name.to_string_lossy().starts_with("set-aside")).collect();
    assert!(set_aside.is_empty(), "what a disk did not give was taken for damage: {set_aside:?}");
    let service = scenario.start();
    scenario.until_more_results(scenario.results());
    scenario.finish(service, &load.stop(), &Rules::default());
}
