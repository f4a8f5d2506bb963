//! What keeping state on disk costs, and what a store does when it is killed or a byte of it changes.

mod child;
mod damage;
mod engines;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

pub use child::{StateChildArgs, run as run_child};
use child::{Work, command, first_line, start};
use engines::{Engine, Failure};

const MEBI: f64 = (1 << 20) as f64;

#[derive(Debug, Args)]
pub struct StateArgs {
    /// Windows in the store
    #[arg(long, default_value_t = 1_000_000)]
    slots: u64,
    /// Changed windows of a flush
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000])]
    sizes: Vec<u64>,
    /// Stores that are killed and then have one byte changed
    #[arg(long, default_value_t = 25)]
    trials: u64,
    /// Who stores
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Engine::Quorate, Engine::Redb, Engine::Fjall, Engine::Journal])]
    engines: Vec<Engine>,
    /// Where; on the kind of disk that is meant
    #[arg(long, default_value = "target/bench-state")]
    dir: PathBuf,
}

/// Flushes of one size.
#[derive(Debug, Deserialize, Serialize)]
struct Flushes {
    size: u64,
    /// Sorted.
    seconds: Vec<f64>,
    /// Bytes that went to the disk, over bytes of keys and values.
    amplification: f64,
}

/// A start after the process before was killed.
#[derive(Debug, Deserialize, Serialize)]
struct Reopened {
    open_seconds: f64,
    read_seconds: f64,
    slots: u64,
    peak_bytes: u64,
}

/// Measures all engines, one after the other.
///
/// # Errors
/// An engine failed, or the disk did.
pub fn run(args: &StateArgs) -> Result<(), Failure> {
    let mut table = String::from(
        "| engine | flush of | p50 ms | p99 ms | written / given |\n| --- | ---: | ---: | ---: | ---: |\n",
    );
    let mut starts = String::from(
        "| engine | files, MiB | open after kill -9, s | read all, s | peak, MiB |\n| --- | ---: | ---: | ---: | ---: |\n",
    );
    for engine in args.engines.iter().copied().filter(|_| args.slots > 0) {
        let dir = fresh(&args.dir)?;
        let mut writing =
            start(command(engine, &dir, Work::Measure, args.slots).arg("--sizes").arg(list(&args.sizes)))?;
        for _ in &args.sizes {
            let Flushes { size, seconds, amplification } = serde_json::from_str(&writing.line()?)?;
            let at = |share: f64| seconds[((seconds.len() - 1) as f64 * share).round() as usize] * 1e3;
            let (p50, p99) = (at(0.5), at(0.99));
            writeln!(table, "| {engine:?} | {size} | {p50:.1} | {p99:.1} | {amplification:.1} |")?;
        }
        writing.line()?;
        writing.kill()?;
        let files = damage::files(&dir)?.iter().map(|(_, length)| *length).sum::<u64>() as f64 / MEBI;
        let Reopened { open_seconds, read_seconds, slots, peak_bytes } =
            serde_json::from_str(&first_line(&mut command(engine, &dir, Work::Reopen, args.slots))?)?;
        assert_eq!(slots, args.slots, "{engine:?} lost windows");
        let peak = peak_bytes as f64 / MEBI;
        writeln!(starts, "| {engine:?} | {files:.0} | {open_seconds:.2} | {read_seconds:.2} | {peak:.0} |")?;
        say(&format!("{table}\n{starts}"));
    }
    say(&damage::table(&args.engines, &args.dir, args.trials)?);
    Ok(())
}

fn fresh(dir: &PathBuf) -> Result<PathBuf, Failure> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    std::fs::create_dir_all(dir)?;
    Ok(dir.clone())
}

fn list(sizes: &[u64]) -> String {
    sizes.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

#[expect(clippy::print_stdout, reason = "the result of the measurement")]
fn say(text: &str) {
    println!("{text}");
}
