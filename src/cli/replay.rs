//! `quorate replay`: recorded records through the same core, offline, in virtual time. Needs no broker, no state
//! directory and no network, and prints nothing but events on standard output.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures::FutureExt;
use futures::executor::block_on;
use quorate_core::contract::{Module, ModuleError, ModuleInput, Output};
use quorate_core::decode::Reason;
use quorate_core::replay::{Observer, RecordedRecord, Replay, ReplayEvent};

use super::Configured;
use super::exit::Exit;
use crate::config::{Purpose, Settings, parse_duration};

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    configured: Configured,
    /// Recorded records, one JSON object a line, as `kcat -C -J` prints them; - is standard input
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    input: Vec<PathBuf>,
    /// What to print
    #[arg(long, value_delimiter = ',', default_value = "inputs,dead_letters")]
    emit: Vec<Emit>,
    /// Let time run on after the last record
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    advance: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Emit {
    Inputs,
    Outputs,
    DeadLetters,
    Incomplete,
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error("{path}: {source}")]
    Open { path: String, source: io::Error },
    #[error("{path}:{line}: {source}")]
    Read { path: String, line: usize, source: io::Error },
    #[error("{path}:{line}: not a recorded record: {source}")]
    Line { path: String, line: usize, source: serde_json::Error },
    #[error("standard output: {0}")]
    Write(io::Error),
}

/// Replays the given files and says how that went.
pub(super) fn replay(args: &ReplayArgs) -> Exit {
    let known = quorate_modules::known();
    let calls = args.emit.contains(&Emit::Outputs);
    let purpose = if calls { Purpose::replay_with_outputs(&known) } else { Purpose::replay(&known) };
    let loaded = match args.configured.load_or_report(purpose) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    match perform(args, &loaded.settings, calls) {
        Ok(()) => Exit::Success,
        // Whoever reads the events has seen enough.
        Err(ReplayError::Write(e)) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Err(e) => {
            let _ = writeln!(io::stderr(), "error: {e}");
            Exit::Failed
        }
    }
}

fn perform(args: &ReplayArgs, settings: &Settings, calls: bool) -> Result<(), ReplayError> {
    let mut replay = Replay::new(Arc::clone(&settings.plan));
    let modules = if calls { quorate_modules::all() } else { Vec::new() };
    let printer = Printer { emit: &args.emit, out: BufWriter::new(io::stdout().lock()), failed: None };
    let mut caller = Caller { modules, settings, printer };
    for path in &args.input {
        read_lines(path, |record| replay.record(&record, &mut caller))?;
    }
    if let Some(duration) = args.advance {
        replay.advance(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX), &mut caller);
    }
    replay.incomplete(&mut caller);
    caller.printer.finish()
}

/// Prints what happens, and calls modules where outputs are wanted.
struct Caller<'a, W: Write> {
    /// Empty when no module is to be called.
    modules: Vec<Arc<dyn Module>>,
    settings: &'a Settings,
    printer: Printer<'a, W>,
}

impl<W: Write> Observer for Caller<'_, W> {
    fn event(&mut self, event: ReplayEvent) {
        self.printer.print(&event);
    }

    fn call(&mut self, input: &ModuleInput) -> Vec<Output> {
        let module = self.modules.iter().find(|module| module.name() == &*input.module);
        let chosen = self.settings.modules.iter().find(|module| module.name == input.module);
        let (Some(module), Some(chosen)) = (module, chosen) else { return Vec::new() };
        let (reason, detail) = match block_on(AssertUnwindSafe(module.invoke(input)).catch_unwind()) {
            Ok(Ok(outputs)) => {
                let events =
                    outputs.iter().filter_map(|output| ReplayEvent::output(input, &chosen.output_topic, output));
                events.for_each(|event| self.printer.print(&event));
                return outputs;
            }
            Ok(Err(ModuleError::Rejected(detail))) => (Reason::ModuleRejected, detail),
            Ok(Err(ModuleError::Retriable(detail))) => (Reason::ModuleFailed, detail),
            Err(_) => (Reason::ModulePanicked, String::new()),
        };
        self.printer.print(&ReplayEvent::run_failed(input, reason, detail));
        Vec::new()
    }
}

fn read_lines(path: &Path, mut each: impl FnMut(RecordedRecord)) -> Result<(), ReplayError> {
    let shown = path.display().to_string();
    let mut reader: Box<dyn BufRead> = if shown == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|source| ReplayError::Open { path: shown.clone(), source })?;
        Box::new(BufReader::with_capacity(1 << 16, file))
    };
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let read = reader.read_until(b'\n', &mut text);
        match read.map_err(|source| ReplayError::Read { path: shown.clone(), line, source })? {
            0 => break,
            _ if text.trim_ascii().is_empty() => {}
            _ => {
                let record = serde_json::from_slice(&text);
                each(record.map_err(|source| ReplayError::Line { path: shown.clone(), line, source })?);
            }
        }
    }
    Ok(())
}

/// Prints the wanted events, one JSON object a line. The first failure ends the printing.
struct Printer<'a, W: Write> {
    emit: &'a [Emit],
    out: BufWriter<W>,
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

    fn finish(mut self) -> Result<(), ReplayError> {
        match self.failed.take() {
            Some(e) => Err(ReplayError::Write(e)),
            None => self.out.flush().map_err(ReplayError::Write),
        }
    }
}
