//! The service as a process that is started, stopped, frozen and killed; always by its own id.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use quorate_testkit::within;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// The program under test.
const QUORATE: &str = env!("CARGO_BIN_EXE_quorate");

/// The longest wait for anything that has no bound of its own. A machine that builds something else meanwhile is slow.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A command line of the program. Nothing of the test's environment reaches it.
pub fn quorate(arguments: &[&str]) -> Command {
    let mut command = Command::new(QUORATE);
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// A running `quorate run`. Killed when it is dropped.
pub struct Service {
    child: Child,
    log: PathBuf,
    watched: Arc<AtomicU32>,
}

impl Service {
    /// Starts the service in a working directory; `watched` is told its id while it runs.
    pub fn start(config: &Path, dir: &Path, log: PathBuf, watched: &Arc<AtomicU32>) -> Self {
        let child = quorate(&["run", "-c"])
            .arg(config)
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("the program starts");
        watched.store(child.id(), Ordering::Release);
        Self { child, log, watched: Arc::clone(watched) }
    }

    /// Everything it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// Waits until it has logged `words` so many times.
    pub fn until_logged(&mut self, words: &str, times: usize) {
        within(PATIENCE, &format!("`{words}` in the log"), || {
            assert!(self.ended().is_none(), "ended:\n{}", self.log());
            (self.log().matches(words).count() >= times).then_some(())
        });
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // Our own child, not waited for yet: its id belongs to nobody else.
        kill_process(Pid::from_child(&self.child), signal).expect("our own child takes signals");
    }

    /// Freezes it for a while.
    pub fn freeze(&self, duration: Duration) {
        self.signal(Signal::STOP);
        std::thread::sleep(duration);
        self.signal(Signal::CONT);
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.try_wait().expect("our own child");
        if ended.is_some() {
            // Unless another process has been started meanwhile.
            let _ = self.watched.compare_exchange(self.child.id(), 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        ended
    }

    /// Kills it, and makes sure that it ran until then.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        let status = within(PATIENCE, "the end of a killed process", || self.ended());
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "it had ended before, {status}:\n{}", self.log());
    }

    /// Asks it to end, and returns its exit code, which must come within `bound`.
    pub fn terminate(mut self, bound: Duration) -> i32 {
        self.signal(Signal::TERM);
        let began = Instant::now();
        let status = within(bound + PATIENCE, "the end of the process", || self.ended());
        let took = began.elapsed();
        assert!(took <= bound, "ended after {took:?} instead of {bound:?}:\n{}", self.log());
        status.code().unwrap_or_else(|| panic!("ended by {status}:\n{}", self.log()))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the service's log ends with:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}
