//! `quorate replay`: recorded records through the same core, offline, in virtual time. Needs no broker, no state
//! directory and no network, and prints nothing but events on standard output.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use quorate_core::contract::{ModuleInput, Output};
use quorate_core::replay::{Observer, Replay, ReplayEvent};

use super::Configured;
use super::exit::Exit;
use super::input::{Input, InputError};
use super::progress::Progress;
use crate::app::{Registry, call_in_place};
use crate::config::{Purpose, Settings, parse_duration};

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    configured: Configured,
    /// Recorded records, as `kcat -C -J` and `quorate record` print them; - is standard input
    ///
    /// One JSON object a line, several files one after another. A line that is no record ends the replay with its place
    /// and exit code 1; everything before it has been printed by then.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    input: Vec<PathBuf>,
    /// What to print, separated by commas
    #[arg(long, value_name = "KIND", value_delimiter = ',', default_value = "inputs,dead_letters")]
    emit: Vec<Emit>,
    /// Let time run on after the last record, so that deadlines up to and including its end fire
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    advance: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Emit {
    /// Each complete input when it is due
    Inputs,
    /// Modules are called, and each of their results
    Outputs,
    /// Each record, element or input that is given up, with the reason
    DeadLetters,
    /// At the end, each known station that a module still waits for, with what is missing
    Incomplete,
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("standard output: {0}")]
    Write(io::Error),
}

/// Replays the given files and says how that went.
pub(super) fn replay(args: &ReplayArgs, registry: &Registry) -> Exit {
    let known = registry.known();
    let calls = args.emit.contains(&Emit::Outputs);
    let purpose = if calls { Purpose::replay_with_outputs(&known) } else { Purpose::replay(&known) };
    let loaded = match args.configured.load_or_report(purpose) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    match perform(args, &loaded.settings, calls.then_some(registry)) {
        Ok(()) => Exit::Success,
        // Whoever reads the events has seen enough.
        Err(ReplayError::Write(e)) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Err(e) => {
            let _ = writeln!(io::stderr(), "error: {e}");
            Exit::Failed
        }
    }
}

fn perform(args: &ReplayArgs, settings: &Settings, registry: Option<&Registry>) -> Result<(), ReplayError> {
    let mut replay = Replay::new(Arc::clone(&settings.plan));
    let mut input = Input::new(&args.input, settings.plan.limits.record_bytes)?;
    let progress = Progress::of_bytes(input.total_bytes());
    let printer = Printer { emit: &args.emit, out: progress.standard_output(), failed: None };
    let mut caller = Caller { registry, settings, printer };
    let mut records = 0;
    while let Some(record) = input.next()? {
        replay.record(&record, &mut caller);
        records += 1;
        progress.bytes(input.read_bytes(), records);
        // Whoever waits at the other end of a pipe is not kept waiting for a full buffer.
        if input.is_dry() {
            caller.printer.flush();
        }
        if caller.printer.failed.is_some() {
            return caller.printer.finish();
        }
    }
    if let Some(duration) = args.advance {
        replay.advance(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX), &mut caller);
    }
    replay.incomplete(&mut caller);
    caller.printer.finish()
}

/// Prints what happens, and calls modules where outputs are wanted.
struct Caller<'a, W: Write> {
    /// None when no module is to be called.
    registry: Option<&'a Registry>,
    settings: &'a Settings,
    printer: Printer<'a, W>,
}

impl<W: Write> Observer for Caller<'_, W> {
    fn event(&mut self, event: ReplayEvent) {
        self.printer.print(&event);
    }

    fn call(&mut self, input: &ModuleInput) -> Vec<Output> {
        let Some(registry) = self.registry else { return Vec::new() };
        call_in_place(registry, &self.settings.modules, input, |event| self.printer.print(&event))
    }
}

/// Prints the wanted events, one JSON object a line. The first failure ends the printing.
struct Printer<'a, W: Write> {
    emit: &'a [Emit],
    out: W,
    failed: Option<io::Error>,
}

impl<W: Write> Printer<'_, W> {
    fn print(&mut self, event: &ReplayEvent) {
        let wanted = match event {
            ReplayEvent::Input(_) => Emit::Inputs,
            ReplayEvent::Output { .. } => Emit::Outputs,
            ReplayEvent::DeadLetter { .. } | ReplayEvent::RunFailed { .. } => Emit::DeadLetters,
            ReplayEvent::Incomplete { .. } => Emit::Incomplete,
        };
        if self.failed.is_some() || !self.emit.contains(&wanted) {
            return;
        }
        let written = serde_json::to_writer(&mut self.out, event).map_err(io::Error::from);
        if let Err(e) = written.and_then(|()| self.out.write_all(b"\n")) {
            self.failed = Some(e);
        }
    }

    fn flush(&mut self) {
        if let Err(e) = self.out.flush() {
            self.failed.get_or_insert(e);
        }
    }

    fn finish(mut self) -> Result<(), ReplayError> {
        match self.failed.take() {
            Some(e) => Err(ReplayError::Write(e)),
            None => self.out.flush().map_err(ReplayError::Write),
        }
    }
}
