//! What is told at the end: one JSON object for machines, a few lines for people. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::ledger::Ledger;

/// The demo in numbers. Field names are part of the product.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Records handed out to modules' windows.
    pub records: u64,
    /// Readings in them.
    pub readings: u64,
    /// Inputs assembled.
    pub inputs: u64,
    /// Results acknowledged by the broker.
    pub results: u64,
    /// Results an independent reader found on the output topics.
    pub observed_results: u64,
    /// The same, by module.
    pub results_by_module: BTreeMap<String, u64>,
    /// Forecasts by method.
    pub methods: BTreeMap<String, u64>,
    /// Dead letters by reason.
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// What the fleet sent bad, by reason.
    pub expected_dead_letters: BTreeMap<&'static str, u64>,
    /// Stations known.
    pub stations: usize,
    /// Stations complete for load prediction.
    pub complete_stations: usize,
    /// Records sent and not read, by topic.
    pub lag: BTreeMap<String, u64>,
    /// Records the fleet sent.
    pub fed_records: u64,
    /// Bytes of their payloads.
    pub fed_bytes: u64,
    /// The fleet's seed.
    pub seed: u64,
    /// From the start of the service to the end of its drain.
    pub duration_ms: u64,
    /// What is short; empty when nothing was lost.
    pub shortfalls: Vec<String>,
}

impl Summary {
    /// The summary of closed books.
    #[must_use]
    pub fn new(ledger: &Ledger, seed: u64, took: Duration) -> Self {
        let Ledger { fed, told, seen, .. } = ledger;
        let sent = fed.tally.total(|_| true);
        Self {
            records: told.tally.records,
            readings: told.tally.readings,
            inputs: told.tally.inputs,
            results: told.tally.results,
            observed_results: seen.results(),
            results_by_module: seen.results.clone(),
            methods: seen.methods.clone(),
            dead_letters: told.dead_letters(),
            expected_dead_letters: sent.dead_letters,
            stations: told.stations,
            complete_stations: told.complete,
            lag: told.lags().map(|(topic, lag)| (topic.to_owned(), lag)).collect(),
            fed_records: sent.records,
            fed_bytes: sent.bytes,
            seed,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            shortfalls: ledger.shortfalls(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::from_millis(self.duration_ms).as_secs_f64();
        let mib = self.fed_bytes as f64 / f64::from(1 << 20);
        let verdict = if self.shortfalls.is_empty() { "nothing lost" } else { "not everything arrived" };
        writeln!(f, "quorate demo: {verdict}, {seconds:.1} s, seed {}", self.seed)?;
        writeln!(f)?;
        let mut line = |name: &str, value: &dyn fmt::Display, more: String| {
            writeln!(f, "  {name:<14}{:>9}{}{more}", value.to_string(), if more.is_empty() { "" } else { "   " })
        };
        line("records fed", &self.fed_records, format!("{mib:.1} MiB on {} topics", self.lag.len()))?;
        line("records read", &self.records, format!("lag {}", self.lag.values().sum::<u64>()))?;
        line("readings", &self.readings, String::new())?;
        line("inputs", &self.inputs, String::new())?;
        line("results", &self.results, listed(&self.results_by_module))?;
        line("  seen", &self.observed_results, "by a reader of the output topics".to_owned())?;
        line("forecasts", &self.methods.values().sum::<u64>(), listed(&self.methods))?;
        line("dead letters", &self.dead_letters.values().sum::<u64>(), listed(&self.dead_letters))?;
        line("  sent bad", &self.expected_dead_letters.values().sum::<u64>(), listed(&self.expected_dead_letters))?;
        line("stations", &self.stations, format!("{} complete for load_prediction", self.complete_stations))
    }
}

fn listed(counts: &BTreeMap<impl fmt::Display, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
