//! One engine in a process of its own, which can be killed: writes, or reads what is left.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::content::Numbers;
use super::engines::{Engine, Failure, open};
use crate::gauges;

/// Windows that every flush of [`Work::Write`] writes.
pub const ALWAYS: u64 = 200;
/// Windows of a flush that fills the store.
const FILL: u64 = 250_000;

#[derive(Debug, Args)]
pub struct StateChildArgs {
    engine: Engine,
    dir: PathBuf,
    work: Work,
    /// Windows in the store
    #[arg(long)]
    slots: u64,
}

/// What the process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Fills a store, then flushes as it is asked to, until it is killed.
    Measure,
    /// Opens a store and reads all of it; ends as if it were killed.
    Reopen,
    /// Flushes until it is killed and tells every flush that was acknowledged.
    Write,
    /// Tells what a store holds.
    Check,
}

/// One line that asks for a flush of windows chosen by a seed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Ask {
    pub size: u64,
    pub seed: u64,
}

/// One flush.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Flushed {
    pub seconds: f64,
    /// The most memory the process had so far.
    pub peak_bytes: u64,
}

/// A start after the process before was killed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Reopened {
    pub open_seconds: f64,
    pub read_seconds: f64,
    pub slots: u64,
    pub peak_bytes: u64,
}

/// Does the work.
///
/// # Errors
/// The engine's, or the pipe to the parent is closed.
pub fn run(args: &StateChildArgs) -> Result<(), Failure> {
    match args.work {
        Work::Measure => measure(args),
        Work::Reopen => {
            let began = Instant::now();
            let mut store = open(args.engine, &args.dir)?;
            let opened = Instant::now();
            let content = store.read(0)?;
            tell(&Reopened {
                open_seconds: (opened - began).as_secs_f64(),
                read_seconds: opened.elapsed().as_secs_f64(),
                slots: content.slots,
                peak_bytes: gauges::own_peak_bytes().unwrap_or(0),
            })?;
            // Closed files would open faster the next time.
            std::mem::forget(store);
            Ok(())
        }
        Work::Write => {
            let mut store = open(args.engine, &args.dir)?;
            let all: Vec<u64> = (0..args.slots).collect();
            store.flush(1, &all)?;
            for number in 2.. {
                store.flush(number, &all[..ALWAYS as usize])?;
                tell(&number)?;
            }
            Ok(())
        }
        Work::Check => tell(&open(args.engine, &args.dir)?.read(ALWAYS)?),
    }
}

fn measure(args: &StateChildArgs) -> Result<(), Failure> {
    let mut store = open(args.engine, &args.dir)?;
    let all = Numbers::new(0).choose(args.slots, args.slots);
    for piece in all.chunks(FILL as usize) {
        store.flush(1, piece)?;
    }
    tell(&0)?;
    for (line, number) in std::io::stdin().lines().zip(2..) {
        let Ask { size, seed } = serde_json::from_str(&line?)?;
        let spent = store.flush(number, &Numbers::new(seed).choose(size, args.slots))?;
        tell(&Flushed { seconds: spent.as_secs_f64(), peak_bytes: gauges::own_peak_bytes().unwrap_or(0) })?;
    }
    Ok(())
}

fn tell(what: &impl Serialize) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(what)?)?;
    Ok(out.flush()?)
}

/// This program, as a child.
pub fn command(engine: Engine, dir: &Path, work: Work, slots: u64) -> Command {
    let name =
        |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| value().expect("has a name").get_name().to_owned();
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.arg("state-child").arg(name(&|| engine.to_possible_value())).arg(dir);
    command.arg(name(&|| work.to_possible_value())).arg("--slots").arg(slots.to_string());
    command
}

/// A child that tells things line by line, and may be asked for them.
pub struct Telling {
    process: Child,
    asks: ChildStdin,
    lines: BufReader<ChildStdout>,
}

pub fn start(command: &mut Command) -> Result<Telling, Failure> {
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let asks = process.stdin.take().ok_or("no pipe")?;
    let lines = BufReader::new(process.stdout.take().ok_or("no pipe")?);
    Ok(Telling { process, asks, lines })
}

/// All that a child tells, if it ends well.
pub fn answer<T: DeserializeOwned>(command: &mut Command) -> Result<T, Failure> {
    let output = command.output()?;
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout)?)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into())
    }
}

impl Telling {
    /// The next thing it tells.
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            Err("the child ended".into())
        } else {
            Ok(serde_json::from_str(&line)?)
        }
    }

    pub fn ask(&mut self, ask: Ask) -> Result<Flushed, Failure> {
        writeln!(self.asks, "{}", serde_json::to_string(&ask)?)?;
        self.next()
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills it and gives the lines that it had still told.
    pub fn kill(mut self) -> Result<Vec<String>, Failure> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(self.lines.by_ref().lines().map_while(Result::ok).collect())
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        // Gone already, if it was killed before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
