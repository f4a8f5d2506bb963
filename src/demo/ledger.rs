//! The books of the demo: what the fleet sent, what the service says, what the observer saw. Pure; every difference is
//! named in a sentence of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::feeder::{Fed, Stage};
use super::observer::Seen;
use super::sample::Sample;

/// What is compared once nothing moves any more.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// What was fed.
    pub fed: Fed,
    /// What the service says, taken before it was drained.
    pub told: Sample,
    /// What was seen on the output topics.
    pub seen: Seen,
    /// Whether everything came to rest before patience was at its end.
    pub settled: bool,
    /// Whether the service was drained before its own deadline.
    pub drained: bool,
    /// Records it never delivered.
    pub undelivered: usize,
}

impl Ledger {
    /// Everything that is short, or more than it should be; empty when nothing was lost.
    #[must_use]
    pub fn shortfalls(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(failed) = &self.fed.failed {
            found.push(format!("feeding stopped: {failed}"));
        }
        if !self.settled {
            found.push(format!("not at rest in time: {} runs open", self.told.open_runs));
        }
        self.records(&mut found);
        self.results(&mut found);
        self.dead_letters(&mut found);
        self.stations(&mut found);
        if !self.drained {
            found.push("the service was not drained before its deadline".to_owned());
        }
        if self.undelivered > 0 {
            found.push(format!("{} records were never delivered", self.undelivered));
        }
        found
    }

    fn records(&self, found: &mut Vec<String>) {
        let sent = self.fed.tally.total(|_| true).records;
        compare(found, "records acknowledged by the broker", self.fed.acknowledged, "sent by the fleet", sent);
        compare(found, "records handed out", self.told.tally.records, "sent by the fleet", sent);
        if self.fed.stage != Stage::Done {
            found.push("the fleet had not finished sending".to_owned());
        }
        for (topic, lag) in self.told.lags().filter(|(_, lag)| *lag > 0) {
            found.push(format!("{lag} records of {topic} were not read"));
        }
    }

    fn results(&self, found: &mut Vec<String>) {
        let acknowledged = self.told.tally.results;
        compare(found, "results seen", self.seen.results(), "acknowledged", acknowledged);
        // Each module of the demo answers an input with one result, or the run is given up with the input in its letter.
        compare(found, "results acknowledged", acknowledged, "inputs assembled", self.told.tally.inputs);
        if self.seen.odd > 0 {
            found.push(format!("{} results are not as they should be", self.seen.odd));
            found.extend(self.seen.oddities.iter().cloned());
        }
    }

    fn dead_letters(&self, found: &mut Vec<String>) {
        let sent = self.fed.tally.total(|_| true).dead_letters;
        let expected: BTreeMap<&str, u64> = sent.iter().map(|(reason, count)| (*reason, *count)).collect();
        let told = self.told.dead_letters();
        let seen: BTreeMap<&str, u64> = self.seen.dead_letters.iter().map(|(r, count)| (r.as_str(), *count)).collect();
        let reasons: BTreeSet<&str> = [&expected, &told, &seen].into_iter().flat_map(BTreeMap::keys).copied().collect();
        for reason in reasons {
            let of = |counts: &BTreeMap<&str, u64>| counts.get(reason).copied().unwrap_or(0);
            let what = format!("dead letters `{reason}` acknowledged");
            compare(found, &what, of(&told), "to be expected", of(&expected));
            let what = format!("dead letters `{reason}` seen");
            compare(found, &what, of(&seen), "acknowledged", of(&told));
        }
    }

    fn stations(&self, found: &mut Vec<String>) {
        let count = |count: usize| count as u64;
        compare(found, "stations known", count(self.told.stations), "named by the fleet", count(self.fed.stations));
        let complete = count(self.told.complete);
        compare(found, "complete stations", complete, "sent everything they need", count(self.fed.complete));
        compare(found, "stations with a forecast", count(self.seen.forecasts.len()), "complete", complete);
    }
}

/// Notes when `have` of something is not the `want` of something else.
fn compare(found: &mut Vec<String>, what: &str, have: u64, of: &str, want: u64) {
    if have < want {
        found.push(format!("{what}: {have}, that is {} fewer than {of} ({want})", want - have));
    } else if have > want {
        found.push(format!("{what}: {have}, that is {} more than {of} ({want})", have - want));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quorate_core::decode::Reason;
    use quorate_core::ident::Millis;

    use super::super::observer::Forecast;
    use super::*;
    use crate::fleet::{FleetRecord, Tally};
    use crate::pipeline;

    /// Four records, one of them bad, three results, one station.
    fn balanced() -> Ledger {
        let record = |bad| FleetRecord { topic: "T", payload: Vec::new(), timestamp: Millis(0), readings: 1, bad };
        let sent = [record(None), record(None), record(None), record(Some("not_json"))];
        let fed = Fed {
            stage: Stage::Done,
            tally: sent.iter().collect::<Tally>(),
            acknowledged: 4,
            stations: 1,
            complete: 1,
            ..Fed::default()
        };
        let tally = pipeline::Tally {
            records: 4,
            readings: 4,
            inputs: 3,
            results: 3,
            dead_letters: [(Reason::NotJson, 1)].into(),
            ..pipeline::Tally::default()
        };
        let forecast =
            Forecast { method: "m".into(), capacity_kw: None, observed_hours: 1, at: Millis(0), points: Vec::new() };
        let seen = Seen {
            results: [("m".to_owned(), 3)].into(),
            dead_letters: [("not_json".to_owned(), 1)].into(),
            forecasts: [("S".to_owned(), Arc::new(forecast))].into(),
            ..Seen::default()
        };
        let told = Sample { tally, stations: 1, complete: 1, ..Sample::default() };
        Ledger { fed, told, seen, settled: true, drained: true, undelivered: 0 }
    }

    #[test]
    fn balanced_books_have_no_shortfall() {
        assert_eq!(balanced().shortfalls(), Vec::<String>::new());
    }

    #[test]
    fn a_result_that_was_acknowledged_and_is_not_there_is_named() {
        let mut lost = balanced();
        lost.seen.results.insert("m".to_owned(), 2);
        assert_eq!(lost.shortfalls(), ["results seen: 2, that is 1 fewer than acknowledged (3)"]);
    }

    #[test]
    fn an_input_without_a_result_is_named() {
        let mut lost = balanced();
        lost.told.tally.results = 2;
        lost.seen.results.insert("m".to_owned(), 2);
        assert_eq!(lost.shortfalls(), ["results acknowledged: 2, that is 1 fewer than inputs assembled (3)"]);
    }

    #[test]
    fn a_record_that_was_not_handed_out_is_named() {
        let mut lost = balanced();
        lost.told.tally.records = 3;
        assert_eq!(lost.shortfalls(), ["records handed out: 3, that is 1 fewer than sent by the fleet (4)"]);
    }

    #[test]
    fn dead_letters_are_compared_reason_by_reason_on_both_sides() {
        let mut lost = balanced();
        lost.seen.dead_letters.clear();
        lost.told.tally.dead_letters.insert(Reason::ModuleFailed, 1);
        assert_eq!(
            lost.shortfalls(),
            [
                "dead letters `module_failed` acknowledged: 1, that is 1 more than to be expected (0)",
                "dead letters `module_failed` seen: 0, that is 1 fewer than acknowledged (1)",
                "dead letters `not_json` seen: 0, that is 1 fewer than acknowledged (1)",
            ]
        );
    }

    #[test]
    fn a_station_that_stays_incomplete_and_an_end_before_rest_are_named() {
        let mut lost = balanced();
        lost.told.complete = 0;
        lost.settled = false;
        lost.told.open_runs = 2;
        let found = lost.shortfalls();
        assert_eq!(found[0], "not at rest in time: 2 runs open");
        assert_eq!(found[1], "complete stations: 0, that is 1 fewer than sent everything they need (1)");
    }
}
