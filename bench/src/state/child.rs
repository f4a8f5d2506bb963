//! One engine in a process of its own, which can be killed: writes, or reads what is left.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use clap::{Args, ValueEnum};

use super::engines::{Engine, Failure, PARTITIONS, Store, open};
use super::{Flushes, Reopened};
use crate::gauges;

/// Windows that every flush of [`Work::Write`] writes.
pub const ALWAYS: u64 = 200;
/// Windows of a flush that fills the store.
const FILL: u64 = 10_000;
/// Bytes of one key and value, about.
const ENTRY_BYTES: u64 = 388;

#[derive(Debug, Args)]
pub struct StateChildArgs {
    engine: Engine,
    dir: PathBuf,
    work: Work,
    /// Windows in the store
    #[arg(long)]
    slots: u64,
    /// Changed windows of a flush
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<u64>,
}

/// What the process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Fills a store, measures flushes, then flushes until it is killed.
    Measure,
    /// Opens a store and reads all of it.
    Reopen,
    /// Flushes until it is killed and tells every flush that was acknowledged.
    Write,
    /// Tells what a store holds.
    Check,
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
            })
        }
        Work::Write => {
            let mut store = open(args.engine, &args.dir)?;
            store.flush(1, &mut (0..args.slots))?;
            for number in 2.. {
                store.flush(number, &mut (0..ALWAYS))?;
                tell(&number)?;
            }
            Ok(())
        }
        Work::Check => tell(&open(args.engine, &args.dir)?.read(ALWAYS)?),
    }
}

fn measure(args: &StateChildArgs) -> Result<(), Failure> {
    let mut store = open(args.engine, &args.dir)?;
    for from in (0..args.slots).step_by(FILL as usize) {
        store.flush(1, &mut (from..args.slots.min(from + FILL)))?;
    }
    let mut random = 88_172_645_463_325_252_u64;
    let mut number = 1;
    for &size in &args.sizes {
        let count = (200_000 / size).clamp(5, 40);
        let (mut seconds, before) = (Vec::new(), written());
        for _ in 0..count {
            number += 1;
            seconds.push(timed(&mut *store, number, size, args.slots, &mut random)?);
        }
        seconds.sort_by(f64::total_cmp);
        let given = count * (size * ENTRY_BYTES + PARTITIONS.unsigned_abs() as u64 * 30);
        tell(&Flushes { size, seconds, amplification: (written() - before) as f64 / given as f64 })?;
    }
    loop {
        number += 1;
        timed(&mut *store, number, 1_000, args.slots, &mut random)?;
        tell(&number)?;
    }
}

fn timed(store: &mut dyn Store, number: u64, size: u64, slots: u64, random: &mut u64) -> Result<f64, Failure> {
    let mut next = || {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        *random % slots
    };
    let chosen: Vec<u64> = (0..size).map(|_| next()).collect();
    let began = Instant::now();
    store.flush(number, &mut chosen.into_iter())?;
    Ok(began.elapsed().as_secs_f64())
}

/// Bytes this process caused to be written to disks.
fn written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn tell(what: &impl serde::Serialize) -> Result<(), Failure> {
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

/// A child that tells things line by line.
pub struct Telling {
    process: Child,
    lines: BufReader<ChildStdout>,
}

pub fn start(command: &mut Command) -> Result<Telling, Failure> {
    let mut process = command.stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(process.stdout.take().ok_or("no pipe")?);
    Ok(Telling { process, lines })
}

/// All that a child tells, if it ends well.
pub fn first_line(command: &mut Command) -> Result<String, Failure> {
    let output = command.output()?;
    let told = String::from_utf8(output.stdout)?;
    if output.status.success() { Ok(told) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

impl Telling {
    pub fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 { Err("the child ended".into()) } else { Ok(line) }
    }

    /// Kills it and gives the lines that it had still told.
    pub fn kill(mut self) -> Result<Vec<String>, Failure> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(self.lines.lines().map_while(Result::ok).collect())
    }
}
