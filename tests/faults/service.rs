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
use rustix::process::{Pid, Resource, Rlimit, kill_process, prlimit};

use crate::process::Process;
use crate::remains::Remains;

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

/// The same, dying when it passes a place of this name for the `nth` time.
pub fn quorate_armed(point: &str, nth: u64) -> Command {
    let mut command = quorate(&[]);
    command.env("QUORATE_KILL_POINT", format!("{point}:{nth}"));
    command
}

/// The same, holding up whoever passes a place of this name for the `nth` time.
pub fn quorate_held(point: &str, nth: u64, pause: Duration) -> Command {
    let mut command = quorate(&[]);
    command.env("QUORATE_HOLD_POINT", format!("{point}:{nth}:{}", pause.as_millis()));
    command
}

/// The same, dying in each call of a module for a station.
pub fn quorate_deadly(module: &str, station: &str) -> Command {
    let mut command = quorate(&[]);
    command.env("QUORATE_DEADLY_CALL", format!("{module}/{station}"));
    command
}

/// The same, whose disk fails once: when it passes a place of this name for the `nth` time.
pub fn quorate_failing(point: &str, nth: u64) -> Command {
    let mut command = quorate(&[]);
    command.env("QUORATE_FAIL_POINT", format!("{point}:{nth}"));
    command
}

/// The same, whose wall clock is wrong by the milliseconds in a file.
pub fn quorate_clocked(file: &Path) -> Command {
    let mut command = quorate(&[]);
    command.env("QUORATE_CLOCK_FILE", file);
    command
}

/// The same with limits of the system, as a shell's `ulimit` takes them.
pub fn quorate_limited(limit: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("ulimit {limit}; exec \"$@\""), "sh", QUORATE]).env_clear().stdin(Stdio::null());
    command
}

/// The same, taking a limit of its files for an error and not for a reason to die.
pub fn quorate_deaf_to_limits() -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", QUORATE]).env_clear().stdin(Stdio::null());
    command
}

/// A running `quorate run`. Killed when it is dropped.
pub struct Service {
    child: Child,
    log: PathBuf,
    watched: Arc<AtomicU32>,
    remains: Arc<Remains>,
    /// Whether its end has been told.
    is_over: bool,
}

impl Service {
    /// Starts the service by a command line in a working directory; `watched` is told its id while it runs, `remains`
    /// when it begins and ends.
    pub fn start(
        command: &mut Command,
        config: &Path,
        dir: &Path,
        log: PathBuf,
        watched: &Arc<AtomicU32>,
        remains: &Arc<Remains>,
    ) -> Self {
        remains.begins(dir);
        let child = command
            .args(["run", "-c"])
            .arg(config)
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("the program starts");
        watched.store(child.id(), Ordering::Release);
        Self { child, log, watched: Arc::clone(watched), remains: Arc::clone(remains), is_over: false }
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
        if let Some(status) = ended.filter(|_| !self.is_over) {
            self.is_over = true;
            self.remains.ended(status);
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
        self.remains.look();
    }

    /// Waits until it has died by its own hand at this place.
    pub fn until_dead_at(mut self, point: &str) {
        let status = within(PATIENCE, &format!("the end at {point}"), || self.ended());
        assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{point}: {status}:\n{}", self.log());
        assert!(self.log().contains(&format!("point=\"{point}\"")), "it died elsewhere:\n{}", self.log());
        self.remains.look();
    }

    /// Whether it runs no more.
    pub fn has_ended(&mut self) -> bool {
        self.ended().is_some()
    }

    /// The processor time it has taken so far, in all its threads.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("our own child");
        // Behind the name in brackets: user and system time are fields 14 and 15 of all, in hundredths of a second.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let ticks = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number"));
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    /// The memory it holds.
    pub fn memory_kib(&self) -> u64 {
        Process(self.child.id()).status("VmRSS").expect("it runs")
    }

    /// Waits until it ends by itself, and returns its exit code.
    pub fn until_ended(mut self) -> i32 {
        let status = within(PATIENCE, "the end of the process", || self.ended());
        self.remains.look();
        status.code().unwrap_or_else(|| panic!("ended by {status}:\n{}", self.log()))
    }

    /// From here on nothing can be written beyond so many bytes of a file, as on a disk that is full.
    pub fn limit_files(&self, bytes: u64) {
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).expect("our own child takes limits");
    }

    /// Asks it to end, and returns its exit code, which must come within `bound`.
    pub fn terminate(mut self, bound: Duration) -> i32 {
        self.signal(Signal::TERM);
        let began = Instant::now();
        let status = within(bound + PATIENCE, "the end of the process", || self.ended());
        let took = began.elapsed();
        assert!(took <= bound, "ended after {took:?} instead of {bound:?}:\n{}", self.log());
        self.remains.look();
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
