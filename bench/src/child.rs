//! One contender in a process of its own: reads everything, prints one line of JSON about it, ends.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::{bare, gauges, service};

/// A contender that makes no progress for so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub struct ChildArgs {
    /// Who reads
    pub contender: Contender,
    /// The broker
    #[arg(long, value_name = "HOST:PORT")]
    pub servers: String,
    /// A group nobody has used before
    #[arg(long)]
    pub group: String,
    /// Records on all topics together
    #[arg(long)]
    pub records: u64,
}

/// Who reads the backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// A client that polls one record after the other and does nothing with it.
    Bare,
    /// The whole service.
    Quorate,
}

/// What one run took. Times begin when the first record was polled.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Measured {
    /// Who read.
    pub contender: Contender,
    /// Records read.
    pub records: u64,
    /// Seconds until the last record was polled (bare) or applied (quorate).
    pub seconds: f64,
    /// Seconds until the group's committed positions stood at the end.
    pub committed_seconds: f64,
    /// Processor time of this process in that first span, in seconds.
    pub cpu_seconds: f64,
    /// The most memory the process had resident, in bytes.
    pub peak_bytes: u64,
    /// Results that were acknowledged by then.
    pub results: u64,
}

/// Times and processor time of one run, from the first record on.
pub struct Watch {
    began: Instant,
    cpu: Duration,
}

/// When everything was read, and what that took.
pub struct Lap {
    pub seconds: f64,
    pub cpu_seconds: f64,
}

impl Watch {
    pub fn start() -> Self {
        Self { began: Instant::now(), cpu: gauges::own_cpu() }
    }

    pub fn lap(&self) -> Lap {
        let cpu = gauges::own_cpu().saturating_sub(self.cpu);
        Lap { seconds: self.began.elapsed().as_secs_f64(), cpu_seconds: cpu.as_secs_f64() }
    }
}

/// Runs one contender.
///
/// # Errors
/// It could not start, or it did not come to the end.
pub fn run(args: &ChildArgs) -> Result<(), Box<dyn std::error::Error>> {
    let measured = match args.contender {
        Contender::Bare => bare::run(args)?,
        Contender::Quorate => service::run(args)?,
    };
    serde_json::to_writer(std::io::stdout(), &measured)?;
    Ok(())
}
