//! Benchmarks of quorate as a whole, on a real broker. Each measurement is a command of its own.

mod backlog;
mod bare;
mod child;
mod drain;
mod gauges;
mod service;
mod setup;
mod state;
mod table;

use clap::{Parser, Subcommand};

/// Measures quorate. Build with --release.
#[derive(Debug, Parser)]
#[command(name = "quorate-bench", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How fast a backlog is applied, beside a bare client that only reads it
    Drain(drain::DrainArgs),
    /// One contender of `drain` alone, measured in a process of its own
    Child(child::ChildArgs),
    /// What keeping state on disk costs, beside bare engines, and what damage does to it
    State(state::StateArgs),
    /// One engine of `state`, in a process of its own
    #[command(hide = true)]
    StateChild(state::StateChildArgs),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Cli::parse().command {
        Command::Drain(args) => drain::run(&args),
        Command::Child(args) => child::run(&args),
        Command::State(args) => state::run(&args),
        Command::StateChild(args) => state::run_child(&args),
    }
}
