//! `drain`: a backlog on a real broker, read by the bare client and by quorate in turn, each run in a fresh process and
//! a fresh group.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use quorate_testkit::{Broker, BrokerOptions};
use serde::Serialize;

use crate::backlog::{self, HOT, MIN_BYTES, SLOW, SLOW_RECORDS};
use crate::child::{Contender, Measured};
use crate::{gauges, setup, table};

#[derive(Debug, Args)]
pub struct DrainArgs {
    /// Records of the backlog
    #[arg(long, default_value_t = 10_000_000)]
    records: u64,
    /// Bytes of each of them
    #[arg(long, default_value_t = 363)]
    bytes: usize,
    /// Runs of each contender
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Also write every figure to this file, as JSON
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Afterwards keep the broker and its records until Enter is pressed, to run children by hand
    #[arg(long)]
    hold: bool,
}

/// One run, with what only the parent sees.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    #[serde(flatten)]
    pub measured: Measured,
    /// Processor time of the broker while the child lived, in seconds.
    pub broker_cpu_seconds: f64,
}

/// Everything `--out` writes.
#[derive(Debug, Serialize)]
struct Figures<'a> {
    records: u64,
    bytes: usize,
    cores: usize,
    runs: &'a [Run],
}

/// Measures and prints.
///
/// # Errors
/// No broker can run here, or a run did not come to its end.
pub fn run(args: &DrainArgs) -> Result<(), Box<dyn Error>> {
    if args.bytes < MIN_BYTES {
        return Err(format!("an order has at least {MIN_BYTES} bytes").into());
    }
    let mut out = std::io::stdout();
    let broker = Broker::start(BrokerOptions::default().measured())?;
    let began = Instant::now();
    backlog::write(&broker, args.records, args.bytes);
    writeln!(out, "{} records of {} bytes written in {:.0?}", args.records, args.bytes, began.elapsed())?;
    let properties = setup::bare_properties(&setup::settings(&broker.bootstrap(), "drain")?, "drain");
    writeln!(out, "client properties:")?;
    for (name, value) in properties.shown() {
        writeln!(out, "  {name}={value}")?;
    }
    let total = args.records + SLOW_RECORDS;
    let mut runs = Vec::new();
    for round in 1..=args.runs {
        for contender in [Contender::Bare, Contender::Quorate] {
            let run = measure(&broker, contender, round, total)?;
            writeln!(out, "{}", table::brief(&run))?;
            runs.push(run);
        }
    }
    writeln!(out, "\n{}", table::of(&runs, args.bytes))?;
    if let Some(path) = &args.out {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let figures = Figures { records: args.records, bytes: args.bytes, cores, runs: &runs };
        std::fs::write(path, serde_json::to_string_pretty(&figures)?)?;
    }
    if args.hold {
        writeln!(out, "broker at {}, {total} records; Enter ends it", broker.bootstrap())?;
        std::io::stdin().read_line(&mut String::new())?;
    }
    Ok(())
}

fn measure(broker: &Broker, contender: Contender, round: usize, total: u64) -> Result<Run, Box<dyn Error>> {
    let name = match contender {
        Contender::Bare => "bare",
        Contender::Quorate => "quorate",
    };
    let group = format!("drain-{name}-{round}");
    let broker_cpu = || broker.pid().and_then(gauges::cpu_of).unwrap_or_default();
    let before = broker_cpu();
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["child", name, "--servers", &broker.bootstrap(), "--group", &group, "--records", &total.to_string()]);
    let output = child.stderr(Stdio::inherit()).output()?;
    let spent = broker_cpu().saturating_sub(before);
    if !output.status.success() {
        return Err(format!("{name} ended with {}", output.status).into());
    }
    let measured: Measured = serde_json::from_slice(&output.stdout)?;
    verify(broker, contender, &group)?;
    Ok(Run { measured, broker_cpu_seconds: spent.as_secs_f64() })
}

/// The broker itself says that the groups stand at the end.
fn verify(broker: &Broker, contender: Contender, group: &str) -> Result<(), Box<dyn Error>> {
    for topic in std::iter::once(HOT).chain(SLOW) {
        let group = match contender {
            Contender::Bare => group.to_owned(),
            Contender::Quorate => format!("{group}-{topic}"),
        };
        let (committed, ends) = (broker.committed(&group, topic), broker.end_offsets(topic));
        if committed != ends {
            return Err(format!("group {group} stands at {committed:?} of {ends:?} in {topic}").into());
        }
    }
    Ok(())
}
