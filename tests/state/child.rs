//! A process that writes to a store until it is killed or refused, and says what was acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use std::{env, io, process, thread};

use quorate::fault::KILL_POINT;
use quorate::pipeline::durable::StateStore;
use quorate::state::Opened;

use crate::content::{ceiling, flush, open};

const DIR: &str = "QUORATE_TEST_STATE";
const GROWS: &str = "QUORATE_TEST_STATE_GROWS";
/// How large a file the child may write, where the disk is to be full, in blocks of 512 bytes.
const BLOCKS: u32 = 16_384;

/// What the child does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Flushes and raises for ever.
    Flush,
    /// Flushes more and more, until files may not grow any longer.
    Fill,
}

/// A running child.
pub struct Child {
    process: process::Child,
    lines: Receiver<String>,
    ended: Ending,
}

/// What a child said before it ended.
#[derive(Debug, Default)]
pub struct Ending {
    /// How many flushes were acknowledged.
    pub acks: u64,
    /// The last number whose flush was acknowledged.
    pub flushed: i64,
    /// The last ceiling that was.
    pub raised: i64,
    /// Everything else.
    pub told: String,
}

impl Child {
    pub fn start(dir: &Path, work: Work, kill_point: Option<&str>) -> Self {
        let own = env::current_exe().expect("a path");
        let mut command = Command::new("sh");
        let limit = if work == Work::Fill { format!("trap '' XFSZ; ulimit -f {BLOCKS};") } else { String::new() };
        command.args(["-c", &format!("{limit} exec \"$0\" \"$@\"")]).arg(own);
        command.args(["--exact", "child", "--ignored", "--nocapture"]).env(DIR, dir).stdout(Stdio::piped());
        command.env_remove(KILL_POINT).envs(kill_point.map(|point| (KILL_POINT, point)));
        command.envs((work == Work::Fill).then_some((GROWS, "yes"))).stderr(Stdio::null());
        let mut process = command.spawn().expect("started");
        let lines = read(process.stdout.take().expect("piped"));
        Self { process, lines, ended: Ending::default() }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until so many more flushes were acknowledged.
    #[track_caller]
    pub fn wait_for_acks(&mut self, count: u64) {
        let wanted = self.ended.acks + count;
        while self.ended.acks < wanted {
            let line = self.lines.recv_timeout(Duration::from_secs(60)).expect("the child goes on");
            self.ended.note(&line);
        }
    }

    /// Kills it, as the kernel does when memory runs out.
    pub fn kill_after(mut self, delay: Duration) -> Ending {
        let until = Instant::now() + delay;
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.ended.note(&line);
        }
        self.process.kill().expect("killed");
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ending {
        self.process.wait().expect("ended");
        self.lines.iter().for_each(|line| self.ended.note(&line));
        self.ended
    }
}

impl Ending {
    fn note(&mut self, line: &str) {
        match line.split_once(' ').and_then(|(what, number)| Some((what, number.parse().ok()?))) {
            Some(("flushed", number)) => (self.flushed, self.acks) = (number, self.acks + 1),
            Some(("raised", number)) => self.raised = number,
            _ => self.told.push_str(line),
        }
    }
}

fn read(from: ChildStdout) -> Receiver<String> {
    let (lines, received) = sync_channel(10_000);
    thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).all(|line| lines.send(line).is_ok()));
    received
}

/// Writes to the store that the environment names.
pub fn run(stations: usize) {
    let Ok(dir) = env::var(DIR) else { panic!("this is a part of other tests") };
    let Opened { store, positions, .. } = match open(Path::new(&dir)) {
        Ok(opened) => opened,
        Err(e) => return say(&e.to_string()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let first = positions.first().map_or(0, |position| position.next.0) + 1;
    for number in first.. {
        let stations = if env::var_os(GROWS).is_some() { stations * number as usize } else { stations };
        if let Err(e) = runtime.block_on(store.flush(flush(number, stations))) {
            let flushed = runtime.block_on(store.flush(flush(number, 1)));
            let raised = runtime.block_on(store.raise(vec![ceiling(number)]));
            assert_eq!((flushed, raised), (Err(e.clone()), Err(e.clone())));
            return say(&format!("refused for good: {e}"));
        }
        say(&format!("flushed {number}"));
        runtime.block_on(store.raise(vec![ceiling(number)])).expect("raised");
        say(&format!("raised {number}"));
    }
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("somebody listens");
}
