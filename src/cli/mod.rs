//! The command line: one file per command, exit codes in one place.

mod check;
mod demo;
mod exit;
mod input;
mod progress;
mod record;
mod replay;
mod run;
mod state;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use quorate_core::contract::Module;

use crate::app::{Registry, sources};
use crate::config::{Loaded, Purpose, Report, load};
use exit::Exit;

/// Consumes many Kafka topics at once, assembles complete inputs per station, and calls modules with them.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, disable_help_subcommand = true, after_help = exit::TABLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGINT or SIGTERM
    Run(Configured),
    /// Run the same service against an embedded broker and a simulated station fleet; needs nothing installed
    Demo(demo::DemoArgs),
    /// Run recorded records through the same core, offline, in virtual time
    Replay(replay::ReplayArgs),
    /// Write records of the configured topics down for `replay`, without joining a group or committing anything
    Record(record::RecordArgs),
    /// Report every problem of the configuration
    Check(check::CheckArgs),
    /// Show the effective configuration
    #[command(subcommand)]
    Config(check::ConfigCommand),
    /// Look after the state that is kept between two runs
    #[command(subcommand)]
    State(state::StateCommand),
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Args)]
struct Configured {
    /// The configuration file
    #[arg(short, long, value_name = "PATH", default_value = "config.toml")]
    config: PathBuf,
    /// Override one value, e.g. --set kafka.consumer.group_id=test (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Configured {
    fn load(&self, purpose: Purpose<'_>) -> Result<Loaded, Report> {
        load(sources(self.config.clone(), self.set.clone()), purpose)
    }

    /// Loads for a command that runs the service; problems are printed.
    fn load_or_report(&self, purpose: Purpose<'_>) -> Result<Loaded, Exit> {
        match self.load(purpose) {
            Ok(loaded) => {
                check::print_report(&loaded.warnings);
                Ok(loaded)
            }
            Err(report) => {
                check::print_report(&report);
                Err(Exit::Configuration)
            }
        }
    }
}

/// The whole command line of quorate, with modules of one's own beside the built-in ones.
///
/// ```no_run
/// # struct Mine;
/// # #[quorate::async_trait]
/// # impl quorate::Module for Mine {
/// #     fn name(&self) -> &'static str { "mine" }
/// #     async fn invoke(&self, _: &quorate::ModuleInput) -> Result<Vec<quorate::Output>, quorate::ModuleError> {
/// #         Ok(Vec::new())
/// #     }
/// # }
/// fn main() -> std::process::ExitCode {
///     quorate::command().module(Mine).main()
/// }
/// ```
#[must_use]
pub fn command() -> CommandLine {
    CommandLine { modules: Vec::new() }
}

/// A command line to be: every command of `quorate`, and the modules it knows. See [`command`].
pub struct CommandLine {
    modules: Vec<Arc<dyn Module>>,
}

impl CommandLine {
    /// Adds a module, to be enabled by `[modules.NAME]`. One that has the name of a built-in module takes its place.
    #[must_use]
    pub fn module(mut self, module: impl Module) -> Self {
        self.modules.push(Arc::new(module));
        self
    }

    /// Parses the arguments of this process and performs the command. The code is one of those that `--help` lists.
    #[must_use]
    pub fn main(self) -> ExitCode {
        let command = Cli::parse().command;
        let exit = match Registry::with(self.modules) {
            Ok(registry) => command.perform(&registry),
            Err(e) => run::refused(&e),
        };
        exit.into()
    }
}

impl Command {
    fn perform(&self, registry: &Registry) -> Exit {
        match self {
            Self::Run(args) => run::run(args, registry),
            Self::Demo(args) => demo::demo(args, registry),
            Self::Replay(args) => replay::replay(args, registry),
            Self::Record(args) => record::record(args, registry),
            Self::Check(args) => check::check(args, registry),
            Self::Config(command) => check::config(command, registry),
            Self::State(command) => state::state(command, registry),
        }
    }
}
