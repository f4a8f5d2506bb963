//! The soak: stations come and go for as long as wanted, partitions move, bad and late records arrive, and one process
//! lives through most of it; then it is stopped and killed a few times, all with the load going on. Nothing of it may
//! grow: memory, threads, files, store. `QUORATE_SOAK=30m` says how long; without it the soak is short.

mod flat;
mod samples;
mod visitor;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use quorate_testkit::require_broker;
use serde_json::Value;

use crate::checker::Rules;
use crate::config::Knobs;
use crate::history::{History, Role};
use crate::scenario::{Scenario, broker};
use crate::service::quorate;
use crate::workload::Workload;
use flat::Report;
use samples::{Sample, Sampler};
use visitor::visit;

/// How long stations come and go, unless `QUORATE_SOAK` says.
const SHORT: Duration = Duration::from_secs(18);

/// How long a visitor of a group stays, and from the end of one visit to the next.
const VISIT: Duration = Duration::from_millis(700);
const BETWEEN_VISITS: Duration = Duration::from_secs(2);

/// Entries that a store may have for each station that is remembered: five windows, of which one may have two parts,
/// and three runs.
const ENTRIES_PER_STATION: u64 = 9;

/// Stations that may be remembered at any moment for each second that silence is allowed to last: newcomers of a second.
const STATIONS_PER_SECOND: u64 = 25;

/// When things happen, counted from the beginning.
struct Terms {
    /// Stations come and go.
    churn: Duration,
    /// What is measured counts from here …
    warm: Duration,
    /// … to here; then the service is stopped and killed.
    closing: Duration,
    /// How long a silent station is remembered. Far longer than a rebalance or a busy machine keeps a station's readings
    /// from the service: one that sends is not to be forgotten.
    forget_after: Duration,
}

impl Terms {
    fn of(churn: Duration) -> Self {
        let forget_after = Duration::from_secs(if churn < Duration::from_secs(60) { 6 } else { 20 });
        // Until stations are forgotten as fast as they come.
        let warm = churn / 12 + forget_after + forget_after / 4;
        Self { churn, warm: warm.min(churn / 2), closing: churn - churn / 10, forget_after }
    }

    fn chosen() -> Self {
        Self::of(std::env::var("QUORATE_SOAK").map_or(SHORT, |text| duration(&text)))
    }

    fn knobs(&self) -> Knobs {
        let forget_after = format!("{}s", self.forget_after.as_secs());
        // A killed member that is static gets its partitions back without waiting for the end of its session.
        Knobs { forget_after, close_after_s: 2, instance_id: Some("one".to_owned()), ..Knobs::default() }
    }

    /// Entries of stations that a store may have while stations come and go.
    fn most_entries(&self) -> u64 {
        (self.forget_after.as_secs() + 10) * STATIONS_PER_SECOND * ENTRIES_PER_STATION
    }
}

/// `90s`, `30m`, `2h`.
fn duration(text: &str) -> Duration {
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        _ => panic!("QUORATE_SOAK is a number with s, m or h, not {text:?}"),
    };
    let number: u64 = text[..text.len() - 1].parse().expect("QUORATE_SOAK is a number with s, m or h");
    Duration::from_secs(number * unit)
}

#[test]
fn row_4_40_soak_nothing_grows_while_stations_come_and_go() {
    let broker = require_broker!(broker());
    let terms = Terms::chosen();
    let mut scenario = Scenario::begin(broker, "soak", terms.knobs());
    let began = Instant::now();
    let load = scenario.prepared(Workload::new(broker, scenario.name).churning()).in_background();
    let mut service = scenario.start();
    let sampler = Sampler::start(&scenario);
    scenario.until_more_results(0);

    let (mut visits, mut taken) = (0, 0);
    for role in Role::ALL.into_iter().cycle() {
        if began.elapsed() > terms.closing {
            break;
        }
        taken += visit(broker, scenario.name, role, VISIT);
        visits += 1;
        std::thread::sleep(BETWEEN_VISITS);
    }
    let rebalances = service.log().matches("partitions revoked").count();

    let mut in_store = Vec::new();
    while in_store.is_empty() || began.elapsed() < terms.churn {
        assert_eq!(service.terminate(scenario.drain_bound()), 0, "what was due could be finished");
        in_store.push(entries_of_stations(&scenario.state()));
        service = scenario.start();
        scenario.until_more_results(scenario.results() + 50);
        std::thread::sleep(scenario.chance.millis(0..2000));
        service.kill();
        service = scenario.start();
        scenario.until_more_results(scenario.results() + 50);
    }

    let (workload, sent_for) = (load.stop(), began.elapsed());
    let rules = Rules { late: true, forgotten: workload.population().silent(), ..Rules::default() };
    scenario.until_done(&workload, &rules);
    // Silence is what is waited for: it has to last for so long.
    std::thread::sleep(terms.forget_after * 5 / 4 + Duration::from_secs(2));
    let samples = sampler.stop();
    assert_eq!(service.terminate(scenario.drain_bound()), 0, "nothing was due");
    let left = entries_of_stations(&scenario.state());
    let history = scenario.judge(&workload, &rules);

    let of_one: Vec<Sample> = samples
        .iter()
        .filter(|sample| sample.process == samples[0].process && (terms.warm..terms.closing).contains(&sample.at))
        .copied()
        .collect();
    let report = Report::of(&of_one);
    let stations = workload.population().seen();
    eprintln!("one process, {} samples from {:?} to {:?}:\n\n{report}", of_one.len(), terms.warm, terms.closing);
    eprintln!("{}", totals(&history, sent_for));
    eprintln!(
        "{stations} stations seen, entries of stations in the store at each stop {in_store:?}, in the end {left}"
    );
    eprintln!("{visits} visits took {taken} partitions, {rebalances} times partitions were revoked");

    assert!(rebalances >= visits && taken > 0, "partitions have moved");
    assert_eq!(left, 0, "stations that everybody has forgotten are still in the store");
    assert!(in_store.iter().all(|entries| *entries < terms.most_entries()), "{in_store:?} entries in the store");
    assert_eq!(report.grown(), Vec::<String>::new());
}

/// What came of the records, as one line of figures.
fn totals(history: &History, sent_for: Duration) -> String {
    let mut letters: BTreeMap<&str, usize> = BTreeMap::new();
    for letter in &history.letters {
        *letters.entry(&letter.reason).or_default() += 1;
    }
    let (records, results) = (history.produced.len(), history.published.len());
    let a_second = |count: usize| count as u64 / sent_for.as_secs().max(1);
    format!(
        "{records} records ({} a second), {results} results ({} a second), dead letters {letters:?}",
        a_second(records),
        a_second(results)
    )
}

/// Entries of a store that belong to stations. Nobody runs on it.
fn entries_of_stations(state: &Path) -> u64 {
    let output = quorate(&["state", "verify", "--json", "--dir"]).arg(state).output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let found: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let entries = |kind: &str| found["kinds"][kind]["entries"].as_u64().unwrap_or(0);
    // One window is the calendar's, which is everybody's.
    entries("windows") - 1 + entries("runs") + entries("waiting buckets and readings")
}

#[test]
fn the_time_of_a_soak_is_a_number_with_a_unit() {
    assert_eq!(["90s", "30m", "2h"].map(|text| duration(text).as_secs()), [90, 1800, 7200]);
    let terms = Terms::of(duration("30m"));
    assert_eq!([terms.warm, terms.closing].map(|moment| moment.as_secs()), [175, 1620]);
}
