//! The service as its users run it: a process of its own, seen through its exit code, its log and its signals.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use quorate_testkit::within;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use crate::place::{Config, PATIENCE};

/// The program under test.
const QUORATE: &str = env!("CARGO_BIN_EXE_quorate");

/// A command line of the program, not started yet. Nothing of the test's environment reaches it.
pub fn quorate(arguments: &[&str]) -> Command {
    let mut command = Command::new(QUORATE);
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// A running `quorate run`. Killed when it is dropped.
pub struct Process {
    child: Child,
    started: Instant,
    log: PathBuf,
    _dir: TempDir,
}

impl Process {
    /// Starts the service.
    pub fn run(config: &Config) -> Self {
        Self::run_with(config, &[])
    }

    /// Starts the service with these environment variables.
    pub fn run_with(config: &Config, env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, log) = (dir.path().join("config.toml"), dir.path().join("log"));
        std::fs::write(&path, config.toml()).expect("the configuration is written");
        let child = quorate(&["run", "-c", path.to_str().expect("a Unicode path")])
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("the program starts");
        Self { child, started: Instant::now(), log, _dir: dir }
    }

    /// Everything it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// Waits until it has logged `words` so many times, and says how long after its start that was.
    pub fn until_logged(&mut self, words: &str, times: usize) -> Duration {
        within(PATIENCE, &format!("`{words}` in the log"), || {
            let ended = self.child.try_wait().expect("our own child");
            assert!(ended.is_none(), "ended with {ended:?}:\n{}", self.log());
            (self.log().matches(words).count() >= times).then_some(())
        });
        self.started.elapsed()
    }

    /// The most memory that it held so far, in MiB.
    pub fn peak_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a living process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak");
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
        kib >> 10
    }

    /// Sends a signal; one that comes after the end is lost.
    pub fn signal(&self, signal: Signal) {
        // Our own child, not waited for yet: its id belongs to nobody else.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child")
    }

    /// Waits for its end, at most for `bound`; returns its exit code and how long that took.
    pub fn until_ended(&mut self, bound: Duration) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let log = self.log.clone();
        let status = within(bound + PATIENCE, "the end of the process", || self.ended());
        let took = began.elapsed();
        let said = std::fs::read_to_string(log).expect("a log");
        assert!(took <= bound, "ended after {took:?} instead of {bound:?}:\n{said}");
        (status.code(), took)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of the service:\n{}", self.log());
        }
    }
}
