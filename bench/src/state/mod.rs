//! What keeping state on disk costs, and what a store does when it is killed or a byte of it changes.

mod child;
mod content;
mod damage;
mod engines;
mod race;
mod report;

use std::path::{Path, PathBuf};

use clap::Args;

pub use child::{StateChildArgs, run as run_child};
use engines::{Engine, Failure};

#[derive(Debug, Args)]
pub struct StateArgs {
    /// Windows in the store; 0 to only kill and damage stores
    #[arg(long, default_value_t = 1_000_000)]
    slots: u64,
    /// Changed windows of a flush
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000])]
    sizes: Vec<u64>,
    /// Turns of each engine, for each size
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// Stores that are killed and then have one byte changed
    #[arg(long, default_value_t = 25)]
    trials: u64,
    /// Who stores; the first is what the others are compared with
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Engine::Quorate, Engine::Redb, Engine::Fjall, Engine::Journal, Engine::FjallWitness, Engine::JournalWitness])]
    engines: Vec<Engine>,
    /// Where; on the kind of disk that is meant
    #[arg(long, default_value = "target/bench-state")]
    dir: PathBuf,
}

/// Measures all engines.
///
/// # Errors
/// An engine failed, or the disk did.
pub fn run(args: &StateArgs) -> Result<(), Failure> {
    if args.slots > 0 {
        let (turns, stores) = race::turns(args)?;
        say(&report::flushes(args, &turns));
        say(&report::starts(args, &race::starts(args, &stores)?));
    }
    if args.trials > 0 {
        say(&damage::table(&args.engines, &args.dir.join("damage"), args.trials)?);
    }
    Ok(())
}

fn fresh(dir: &Path) -> Result<PathBuf, Failure> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    std::fs::create_dir_all(dir)?;
    Ok(dir.to_owned())
}

#[expect(clippy::print_stdout, reason = "the result of the measurement")]
fn say(text: &str) {
    println!("{text}");
}
