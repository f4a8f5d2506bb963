//! The soak: stations come and go for as long as wanted, partitions move, bad and late records arrive, and one process
//! lives through most of it; then it is stopped and killed a few times, all with the load going on. Nothing of it may
//! grow: memory, threads, files, store. `QUORATE_SOAK=30m` says how long; without it the soak is short.

mod flat;
mod samples;
pub mod visitor;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use quorate_testkit::require_broker;
use serde_json::Value;

use crate::checker::Rules;
use crate::config::Knobs;
use crate::history::{History, Role};
use crate::scenario::{Scenario, broker};
use crate::service::{Service, quorate};
use crate::workload::Workload;
use flat::Report;
use samples::{Sample, Sampler};
use visitor::visit;

/// How long stations come and go, unless `QUORATE_SOAK` says.
const SHORT: Duration = Duration::from_secs(12);

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
        let forget_after = Duration::from_secs(if churn < Duration::from_secs(60) { 5 } else { 20 });
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

    /// What was measured of the first process, once it was warm and before it was stopped.
    fn of_first_process(&self, samples: &[Sample]) -> Vec<Sample> {
        let counts =
            |sample: &&Sample| sample.process == samples[0].process && (self.warm..self.closing).contains(&sample.at);
        let counted: Vec<Sample> = samples.iter().filter(counts).copied().collect();
        assert!(counted.len() >= 3, "measured only {} times in all", samples.len());
        counted
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
    let service = scenario.start();
    let sampler = Sampler::start(&scenario, began);
    scenario.until_more_results(0);
    let moved = move_partitions(&scenario, &service, began + terms.closing);
    let (service, at_stops) = stop_and_kill(&mut scenario, service, &terms, began);
    let (workload, sent_for, silent) = (load.stop(), began.elapsed(), Instant::now());
    let rules = Rules { late: true, forgotten: workload.population().silent(), ..Rules::default() };
    scenario.until_done(&workload, &rules);
    // Silence is what is waited for: it has to last for so long.
    std::thread::sleep((terms.forget_after * 5 / 4 + Duration::from_secs(2)).saturating_sub(silent.elapsed()));
    let samples = sampler.stop();
    assert_eq!(service.terminate(scenario.drain_bound()), 0, "nothing was due");
    let left = entries_of_stations(&scenario.state());
    let (report, stations) = (Report::of(&terms.of_first_process(&samples)), workload.population().seen());
    eprintln!("one process, measured each second from {:?} to {:?}:\n\n{report}", terms.warm, terms.closing);
    eprintln!("{stations} stations; entries of them in the store at each stop {at_stops:?}, in the end {left}");
    eprintln!("{moved:?}");
    eprintln!("{}", totals(&scenario.judge(&workload, &rules), sent_for));

    let mut grown = report.grown();
    if let Some(entries) = at_stops.iter().find(|entries| **entries > terms.most_entries()) {
        grown.push(format!("{entries} entries of stations in the store"));
    }
    if left > 0 {
        grown.push(format!("{left} entries of stations that are all to be forgotten"));
    }
    assert_eq!(grown, Vec::<String>::new());
    assert!(moved.revoked >= moved.visits && moved.taken > 0, "partitions have moved: {moved:?}");
}

/// Partitions that changed hands.
#[derive(Debug)]
struct Moved {
    /// Visits of somebody in a group, and partitions that were given to him.
    visits: usize,
    taken: usize,
    /// How often partitions were taken away from the service.
    revoked: usize,
}

/// Again and again somebody joins one group after another and leaves it.
fn move_partitions(scenario: &Scenario<'_>, service: &Service, until: Instant) -> Moved {
    let mut moved = Moved { visits: 0, taken: 0, revoked: 0 };
    for role in Role::ALL.into_iter().cycle() {
        moved.taken += visit(scenario.broker, scenario.name, role, VISIT);
        moved.visits += 1;
        std::thread::sleep(BETWEEN_VISITS);
        if Instant::now() > until {
            break;
        }
    }
    moved.revoked = service.log().matches("partitions revoked").count();
    moved
}

/// Stops the service and kills it, once or as often as there is time for; returns the last one and the entries of
/// stations that were in the store at each stop.
fn stop_and_kill(
    scenario: &mut Scenario<'_>,
    mut service: Service,
    terms: &Terms,
    began: Instant,
) -> (Service, Vec<u64>) {
    // Whom a store gives back is remembered as if it had just been heard: a process has to live longer to forget any.
    let life = terms.forget_after * 2;
    let mut at_stops = Vec::new();
    loop {
        assert_eq!(service.terminate(scenario.drain_bound()), 0, "what was due could be finished");
        at_stops.push(entries_of_stations(&scenario.state()));
        service = scenario.start();
        scenario.until_more_results(scenario.results() + 50);
        std::thread::sleep(scenario.chance.millis(0..2000));
        service.kill();
        service = scenario.start();
        scenario.until_more_results(scenario.results() + 50);
        if began.elapsed() + life > terms.churn {
            return (service, at_stops);
        }
        std::thread::sleep(life);
    }
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
