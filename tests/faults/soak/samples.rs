//! Measures the service from outside, once a second, until it is told to stop.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::history::Role;
use crate::process::Process;
use crate::scenario::Scenario;
use crate::watch::Group;

/// From one sample to the next, and from one that is shown while time goes by to the next.
const EVERY: Duration = Duration::from_secs(1);
const SHOWN_EVERY: usize = 60;

/// What was measured at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Since the moment that the sampler counts from.
    pub at: Duration,
    pub process: Process,
    /// Memory held, in KiB: at the moment, and the most since the process began.
    pub memory_kib: u64,
    pub peak_kib: u64,
    pub threads: u64,
    /// Open files, sockets and the like.
    pub files: u64,
    /// The folder of the state, in KiB.
    pub store_kib: u64,
    /// Records behind what is committed, over all topics.
    pub lag: u64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, process: Process(id), memory_kib, peak_kib, threads, files, store_kib, lag } = self;
        let at = at.as_secs();
        write!(
            f,
            "{at:>6} s, process {id}: {memory_kib} KiB of at most {peak_kib}, {threads} threads, {files} files, "
        )?;
        write!(f, "store {store_kib} KiB, lag {lag}")
    }
}

/// Somebody who measures.
pub struct Sampler {
    stop: SyncSender<()>,
    thread: JoinHandle<Vec<Sample>>,
}

impl Sampler {
    /// Measures whatever process of the scenario runs, counting time from `began`. Moments without one, or without an
    /// answer of the broker, have no sample.
    pub fn start(scenario: &Scenario<'_>, began: Instant) -> Self {
        let (process, state) = (scenario.process(), scenario.state());
        let groups = Role::ALL.map(|role| Group::new(scenario.broker, scenario.name, role));
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let (mut samples, mut pause) = (Vec::new(), EVERY);
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let at = began.elapsed();
                if let Some(sample) = sample(at, Process(process.load(Ordering::Acquire)), &state, &groups) {
                    samples.push(sample);
                    if samples.len().is_multiple_of(SHOWN_EVERY) {
                        eprintln!("{sample}");
                    }
                }
                pause = EVERY.saturating_sub(began.elapsed().saturating_sub(at));
            }
            samples
        });
        Self { stop, thread }
    }

    /// Ends it, and returns all samples in order.
    pub fn stop(self) -> Vec<Sample> {
        drop(self.stop);
        self.thread.join().expect("the sampler does not panic")
    }
}

fn sample(at: Duration, process: Process, state: &Path, groups: &[Group]) -> Option<Sample> {
    let lag: Option<i64> = groups.iter().map(Group::lag).sum();
    Some(Sample {
        at,
        process,
        memory_kib: process.status("VmRSS")?,
        peak_kib: process.status("VmHWM")?,
        threads: process.status("Threads")?,
        files: process.open_files()?,
        store_kib: files(state).iter().filter_map(|path| fs::metadata(path).ok()).map(|file| file.len()).sum::<u64>()
            / 1024,
        lag: u64::try_from(lag?).unwrap_or(0),
    })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}
