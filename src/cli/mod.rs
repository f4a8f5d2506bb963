//! The command line: one file per command, exit codes in one place.

mod check;
mod demo;
mod exit;
mod input;
mod progress;
mod record;
mod replay;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Loaded, Purpose, Report, Sources, load};
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
        // Names and values that are not Unicode cannot be ours.
        let env =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        load(Sources { path: self.config.clone(), env, set: self.set.clone() }, purpose)
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

/// Parses the command line and performs it.
#[must_use]
pub fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Record(args) => record::record(&args),
        Command::Check(args) => check::check(&args),
        Command::Config(command) => check::config(&command),
    };
    exit.into()
}
