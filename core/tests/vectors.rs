//! The acceptance cases of the replay contract, driven through the core with plans that say what each case's
//! configuration says.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use quorate_core::plan::{Fill, Pad, Plan};
use quorate_core::replay::RecordedRecord;
use serde_json::Value;
use support::fleet::{
    CALENDAR, METER, ORDER, PARAM, PV_OUTPUT, REALTIME, STORAGE, calendar, dcdc, param, price, pv_output, realtime,
    storage,
};
use support::scenario::Scenario;
use support::within::lines_within;
use support::{MINUTE, SECOND, module, plan, probe_of, topic};

#[test]
fn every_case_is_contained_in_what_is_printed() {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("the folder of cases")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
        .collect();
    names.sort();
    assert_eq!(names.len(), 17);
    for name in names {
        let (want, got) = run(&name);
        if let Err(difference) = lines_within(&want, &got) {
            panic!("{name}: {difference}");
        }
    }
}

#[test]
fn two_runs_of_a_case_print_the_same() {
    for name in ["stale-and-expired", "grid-fill-linear", "global-before-and-after"] {
        assert_eq!(run(name).1, run(name).1, "{name}");
    }
}

fn run(name: &str) -> (Vec<Value>, Vec<Value>) {
    let case = folder().join(name);
    let mut scenario = Scenario::new(plan_of(name));
    for line in lines(&case.join("records.ndjson")) {
        scenario.take(&serde_json::from_str::<RecordedRecord>(&line).expect("record"));
    }
    if name == "bucket-orders" {
        scenario.advance(5 * SECOND);
    }
    let expected = lines(&case.join("expected.ndjson"));
    let expected = expected.iter().map(|line| serde_json::from_str(line).expect("expected line")).collect();
    (expected, scenario.finish())
}

/// What the case's `config.toml` says.
fn plan_of(name: &str) -> Plan {
    match name {
        "bucket-orders" => probe_of(vec![topic(ORDER).bucket(SECOND, Some(SECOND))]),
        "dead-letters" => {
            let probe = module("probe").requires(&[PARAM]).optional(&[REALTIME]);
            plan(vec![param(), realtime(Fill::Zero, 4)], vec![probe])
        }
        "envelope-array" => probe_of(vec![param()]),
        "global-before-and-after" => {
            let load = module("load_prediction").requires(&[PARAM, REALTIME, CALENDAR]);
            plan(vec![param(), calendar(), realtime(Fill::Zero, 4)], vec![load])
        }
        "grid-fill-forward" => probe_of(vec![realtime(Fill::Forward, 4)]),
        "grid-fill-linear" => probe_of(vec![realtime(Fill::Linear, 4)]),
        "grid-fill-missing" => probe_of(vec![realtime(Fill::Missing, 4)]),
        "grid-fill-zero" => probe_of(vec![realtime(Fill::Zero, 4)]),
        "grid-merge-hosts-and-snap" => probe_of(vec![realtime(Fill::Zero, 2)]),
        "latest-by-event-time" => probe_of(vec![price()]),
        "module-output-envelope" => {
            let optimization = module("operation_optimization").requires(&[PARAM, PV_OUTPUT]);
            plan(vec![param(), pv_output()], vec![optimization])
        }
        "per-key-devices" => probe_of(vec![dcdc()]),
        "rows-pad-forward" => meters(Pad::Forward),
        "rows-pad-linear" => meters(Pad::Linear),
        "rows-pad-missing" => meters(Pad::Missing),
        "rows-pad-zero" => meters(Pad::Zero),
        "stale-and-expired" => {
            let probe = module("probe").requires(&[PARAM]).requires_young(STORAGE, 5 * MINUTE);
            plan(vec![param(), storage(Some(10 * MINUTE))], vec![probe])
        }
        other => panic!("no plan says what the case {other} configures"),
    }
}

/// Six values of one meter.
fn meters(pad: Pad) -> Plan {
    let meter = topic(METER).columns(6, None, &["/meterPower"], pad);
    plan(vec![meter], vec![module("probe").requires(&[METER]).on(&[METER]).min_interval(SECOND)])
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("readable case");
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}
