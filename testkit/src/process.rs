//! One broker process and the watchdog that outlives the test process by a moment. Knows processes, pipes and
//! signals; nothing of Kafka but the line that says it is ready.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

const READY_LINE: &str = "Kafka Server started";

/// What the log of a process tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Ready,
    /// The end of the log: the process is gone, or about to be.
    Ended,
}

/// A running broker process.
#[derive(Debug)]
pub(crate) struct BrokerProcess {
    child: Child,
    signs: Receiver<Sign>,
}

/// How a start ended that did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// The process ended before it was ready.
    Ended,
    /// It was killed because it was not ready in time.
    Late,
}

impl BrokerProcess {
    /// Starts the command with its output appended to `log`. In a process group of its own: an interrupt from the
    /// keyboard is for the test, and the broker follows it in order.
    pub(crate) fn spawn(mut command: Command, log: &Path) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(log).expect("the log can be opened");
        let errors = log.try_clone().expect("the log's handle can be cloned");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .process_group(0)
            .spawn()
            .expect("the broker's script can be run");
        let output = child.stdout.take().expect("standard output is piped");
        let (sender, signs) = sync_channel(2);
        std::thread::Builder::new()
            .name("broker-log".to_owned())
            .spawn(move || keep_log(output, log, &sender))
            .expect("a thread can be started");
        Self { child, signs }
    }

    /// Waits for the line that says the broker is ready.
    pub(crate) fn wait_ready(&mut self, bound: Duration) -> Result<(), NotReady> {
        match self.signs.recv_timeout(bound) {
            Ok(Sign::Ready) => Ok(()),
            Ok(Sign::Ended) | Err(RecvTimeoutError::Disconnected) => {
                self.kill();
                Err(NotReady::Ended)
            }
            Err(RecvTimeoutError::Timeout) => {
                self.kill();
                Err(NotReady::Late)
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal. The process cannot have been replaced by another one: it is our child and not waited for yet.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("our own child takes signals");
    }

    /// Ends the process at once and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("our own child can be killed");
        self.child.wait().expect("our own child can be waited for");
    }

    /// Asks the process to end, and kills it after `bound`.
    pub(crate) fn stop(&mut self, bound: Duration) {
        // A paused process acts on no other signal.
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        while let Ok(sign) = self.signs.recv_timeout(bound) {
            if sign == Sign::Ended {
                break;
            }
        }
        self.kill();
    }
}

/// Copies the process's output to its log until it ends, and reports what matters.
fn keep_log(output: ChildStdout, mut log: File, signs: &SyncSender<Sign>) {
    for line in BufReader::new(output).split(b'\n') {
        let Ok(mut line) = line else { break };
        line.push(b'\n');
        // A full disk must not stop the broker; its test fails on its own.
        let _ = log.write_all(&line);
        if String::from_utf8_lossy(&line).contains(READY_LINE) {
            let _ = signs.try_send(Sign::Ready);
        }
    }
    let _ = signs.try_send(Sign::Ended);
}

/// A small shell that holds a pipe to this process. When the pipe closes, because this process dropped the watchdog or
/// died of whatever, it kills the process named last and removes the folder.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
    pipe: Option<ChildStdin>,
}

const WATCH: &str = r#"
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then kill -KILL "$pid"; fi
if [ -n "$1" ]; then rm -rf "$1"; fi
"#;

impl Watchdog {
    /// Starts watching over nobody yet; `remove` is the folder to remove at the end.
    pub(crate) fn start(remove: Option<&Path>) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", WATCH, "watchdog"])
            .args(remove)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell can be started");
        let pipe = shell.stdin.take();
        Self { shell, pipe }
    }

    /// Names the process to kill; none after it ended by itself, since its id may be given to another program.
    pub(crate) fn watch(&mut self, pid: Option<u32>) {
        let line = pid.map_or_else(|| "\n".to_owned(), |pid| format!("{pid}\n"));
        let pipe = self.pipe.as_mut().expect("the pipe is open until the drop");
        let told = pipe.write_all(line.as_bytes());
        assert!(pid.is_none() || told.is_ok(), "the watchdog is gone");
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // Nothing is left to do if the shell was killed by somebody else.
        let _ = self.shell.wait();
    }
}

/// Sees a process end that need not be a child of ours.
#[derive(Debug)]
pub struct Witness(OwnedFd);

impl Witness {
    /// A witness of the process with this id; none when there is no such process.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        pidfd_open(pid, PidfdFlags::empty()).ok().map(Self)
    }

    /// Whether the process ended, after waiting for at most `bound`.
    #[must_use]
    pub fn sees_end_within(&self, bound: Duration) -> bool {
        let timeout = Timespec::try_from(bound).expect("a bound of less than ages");
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout)).is_ok_and(|ready| ready == 1)
    }
}
