//! `quorate record`: live records of the configured topics, written down in the format that `quorate replay` reads.
//! Leaves no trace in Kafka.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use jiff::Timestamp;
use quorate_core::ident::Millis;
use quorate_core::replay::RecordedRecord;

use super::Configured;
use super::exit::Exit;
use super::progress::Progress;
use crate::app::Registry;
use crate::config::{Loaded, Purpose, Settings, parse_duration};
use crate::kafka::{
    ConnectError, KafkaRoomError, RecordFrom, RecordSink, RecordUntil, Recorded, RecorderError, RecorderSetup,
    TroubleKind, describe_topics, record as record_partitions, wait_for_brokers,
};
use crate::runtime::Signals;
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    #[command(flatten)]
    configured: Configured,
    /// Topics to record, of those that the configuration declares; all that enabled modules name when absent
    #[arg(long, value_name = "TOPIC", value_delimiter = ',', num_args = 1..)]
    topics: Vec<String>,
    /// Where to begin: beginning | end | a time (2025-11-04T09:00:00Z, or milliseconds) | so long ago (2h)
    #[arg(long, value_name = "PLACE", value_parser = parse_from, default_value = "beginning")]
    from: RecordFrom,
    /// When to stop: end (as it is at the start) | after a duration (10m) | after so many records (1000) | never
    ///
    /// Ctrl-C ends any recording after a complete line, with exit code 0.
    #[arg(long, value_name = "LIMIT", value_parser = parse_until, default_value = "end")]
    until: RecordUntil,
    /// The file to write, replaced when it exists; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

/// Why a recording failed.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("signals cannot be handled: {0}")]
    Signals(io::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Kafka(#[from] KafkaRoomError),
    #[error("topic {topic} cannot be read: {detail}")]
    Topic { topic: Arc<str>, detail: String },
    #[error("none of the topics exists: {0}")]
    NoTopic(String),
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    #[error("{path}: {source}")]
    Output { path: String, source: io::Error },
    #[error("ended by a second signal; the last line may be incomplete")]
    Interrupted,
}

/// Records and says how that went.
pub(super) fn record(args: &RecordArgs, registry: &Registry) -> Exit {
    let known = registry.known();
    let purpose = Purpose { known_modules: &known, calls_modules: false, connects: true };
    let loaded = match args.configured.load_or_report(purpose) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let topics = match chosen(&args.topics, &loaded) {
        Ok(topics) => topics,
        Err(what) => {
            complain(&what);
            return Exit::Configuration;
        }
    };
    let progress = Progress::of_records();
    let beside = progress.clone();
    telemetry::install_into(move || beside.beside(io::stderr()), "warn");
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            complain(&format!("runtime not started: {e}"));
            return Exit::Failed;
        }
    };
    let ended = runtime.block_on(perform(args, &loaded.settings, topics, &progress));
    // A client that hangs must not keep the process: everything recorded is written.
    runtime.shutdown_background();
    progress.clear();
    tell(ended)
}

fn tell(ended: Result<Recorded, RecordError>) -> Exit {
    let error = match ended {
        Ok(Recorded { records, partitions }) => {
            // Nobody is left to tell when standard error is gone.
            let _ = writeln!(io::stderr(), "recorded {records} records of {partitions} partitions");
            return Exit::Success;
        }
        Err(error) => error,
    };
    // Whoever reads the records has seen enough.
    if matches!(&error, RecordError::Recorder(RecorderError::Sink(e)) if e.kind() == io::ErrorKind::BrokenPipe) {
        return Exit::Success;
    }
    complain(&error.to_string());
    match error {
        RecordError::Connect(_) => Exit::Unreachable,
        RecordError::Interrupted => Exit::Interrupted,
        _ => Exit::Failed,
    }
}

async fn perform(
    args: &RecordArgs,
    settings: &Settings,
    topics: Vec<Arc<str>>,
    progress: &Progress,
) -> Result<Recorded, RecordError> {
    let mut signals = Signals::new().map_err(RecordError::Signals)?;
    let topics = tokio::select! {
        topics = existing(settings, topics) => topics?,
        _ = signals.next() => return Ok(Recorded { records: 0, partitions: 0 }),
    };
    let sink = Lines { out: open(args, progress)?, line: Vec::new(), progress: progress.clone() };
    let setup = RecorderSetup {
        client: settings.client.clone(),
        topics,
        from: args.from,
        until: args.until,
        patience: settings.service.startup_timeout,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let mut recording = std::pin::pin!(record_partitions(setup, sink, Arc::clone(&stop)));
    tokio::select! {
        ended = &mut recording => return Ok(ended?),
        _ = signals.next() => stop.store(true, Ordering::Release),
    }
    tokio::select! {
        ended = recording => Ok(ended?),
        _ = signals.second() => Err(RecordError::Interrupted),
    }
}

/// The topics with their partitions, without those that do not exist.
async fn existing(settings: &Settings, topics: Vec<Arc<str>>) -> Result<Vec<(Arc<str>, usize)>, RecordError> {
    wait_for_brokers(&settings.client, settings.service.startup_timeout).await?;
    let mut found = Vec::new();
    for facts in describe_topics(&settings.client, &topics).await? {
        match facts.partitions {
            Ok(partitions) => found.push((facts.topic, partitions)),
            Err(trouble) if trouble.kind == TroubleKind::Missing => {
                tracing::warn!(topic = &*facts.topic, "the topic does not exist, nothing of it is recorded");
            }
            Err(trouble) => return Err(RecordError::Topic { topic: facts.topic, detail: trouble.detail }),
        }
    }
    if found.is_empty() {
        return Err(RecordError::NoTopic(topics.join(", ")));
    }
    Ok(found)
}

/// Sorted, so that partitions whose records have the same timestamp come in an order that can be told beforehand.
fn chosen(wanted: &[String], loaded: &Loaded) -> Result<Vec<Arc<str>>, String> {
    let consumed = loaded.settings.plan.topics.iter().map(|topic| Arc::clone(&topic.name));
    let mut topics: Vec<Arc<str>> =
        if wanted.is_empty() { consumed.collect() } else { wanted.iter().map(|topic| topic.as_str().into()).collect() };
    topics.sort_unstable();
    topics.dedup();
    if topics.is_empty() {
        return Err("no enabled module names a topic\n  help: name topics with --topics".to_owned());
    }
    let is_declared = |topic: &str| {
        let (bare, quoted) = (format!("topics.{topic}."), format!("topics.\"{topic}\"."));
        loaded.shown.values().any(|value| value.key.starts_with(&bare) || value.key.starts_with(&quoted))
    };
    match topics.iter().find(|topic| !wanted.is_empty() && !is_declared(topic)) {
        Some(topic) => Err(format!("--topics {topic}: the configuration has no [topics.{topic}]")),
        None => Ok(topics),
    }
}

fn open(args: &RecordArgs, progress: &Progress) -> Result<Box<dyn Write + Send>, RecordError> {
    if args.output.as_os_str() == "-" {
        return Ok(progress.standard_output());
    }
    let file = File::create(&args.output);
    let file = file.map_err(|source| RecordError::Output { path: args.output.display().to_string(), source })?;
    Ok(Box::new(BufWriter::with_capacity(1 << 16, file)))
}

/// Records as lines.
struct Lines {
    out: Box<dyn Write + Send>,
    line: Vec<u8>,
    progress: Progress,
}

impl RecordSink for Lines {
    fn expect(&mut self, records: u64) {
        self.progress.expect(records);
    }

    fn take(&mut self, record: &RecordedRecord) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, record)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)?;
        self.progress.record();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn parse_from(text: &str) -> Result<RecordFrom, String> {
    let time = || text.parse::<Timestamp>().ok().map(|time| time.as_millisecond());
    match text {
        "beginning" => Ok(RecordFrom::Beginning),
        "end" => Ok(RecordFrom::End),
        _ => match text.parse().ok().or_else(time) {
            Some(time) => Ok(RecordFrom::Time(Millis(time))),
            None => parse_duration(text).map(RecordFrom::Ago).map_err(|_| {
                "write beginning, end, a time with its zone (2025-11-04T09:00:00Z, 1762218000000) or how long ago (2h)"
                    .to_owned()
            }),
        },
    }
}

fn parse_until(text: &str) -> Result<RecordUntil, String> {
    match text {
        "end" => Ok(RecordUntil::End),
        "never" => Ok(RecordUntil::Stopped),
        _ => match text.parse() {
            Ok(records) => Ok(RecordUntil::Count(records)),
            Err(_) => parse_duration(text)
                .map(RecordUntil::Elapsed)
                .map_err(|_| "write end, never, a duration (10m) or a number of records (1000)".to_owned()),
        },
    }
}

fn complain(what: &str) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(io::stderr(), "error: {what}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_place_to_begin_is_a_word_a_time_or_how_long_ago() {
        let time = RecordFrom::Time(Millis(1_762_218_000_000));
        for (text, from) in [
            ("beginning", RecordFrom::Beginning),
            ("end", RecordFrom::End),
            ("1762218000000", time),
            ("2025-11-04T01:00:00Z", time),
            ("2025-11-04T09:00:00+08:00", time),
            ("2h", RecordFrom::Ago(Duration::from_secs(7200))),
        ] {
            assert_eq!(parse_from(text), Ok(from), "{text}");
        }
        for text in ["", "start", "2025-11-04", "2025-11-04 09:00:00", "2 h", "-2h"] {
            assert!(parse_from(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_is_a_word_a_duration_or_a_number_of_records() {
        for (text, until) in [
            ("end", RecordUntil::End),
            ("never", RecordUntil::Stopped),
            ("1000", RecordUntil::Count(1000)),
            ("10m", RecordUntil::Elapsed(Duration::from_secs(600))),
        ] {
            assert_eq!(parse_until(text), Ok(until), "{text}");
        }
        for text in ["", "-1", "1.5", "ten", "10 m"] {
            assert!(parse_until(text).is_err(), "{text}");
        }
    }
}
