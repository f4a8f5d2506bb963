//! `quorate check` and `quorate config show`: what is wrong with a configuration, and what it comes to.

use std::io::{IsTerminal, Write};

use clap::{Args, Subcommand};

use super::Configured;
use super::exit::Exit;
use crate::app::Registry;
use crate::config::{Look, Purpose, Report};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    configured: Configured,
    /// Warnings are errors too
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print each value and where it came from, secrets masked
    Show {
        #[command(flatten)]
        configured: Configured,
        /// Print the native properties of each client too
        #[arg(long)]
        kafka: bool,
    },
}

/// Reports every problem.
pub(super) fn check(args: &CheckArgs, registry: &Registry) -> Exit {
    let known = registry.known();
    match args.configured.load(Purpose::service(&known)) {
        Ok(loaded) => {
            print_report(&loaded.warnings);
            print_report(&loaded.advice);
            let settings = &loaded.settings;
            if args.strict && !loaded.warnings.is_empty() {
                return Exit::Configuration;
            }
            say(&format!(
                "{}: {} topics, {} consumers, {} modules; no errors\n",
                args.configured.config.display(),
                settings.topics.len(),
                settings.consumers.len(),
                settings.modules.len(),
            ));
            Exit::Success
        }
        Err(report) => {
            print_report(&report);
            Exit::Configuration
        }
    }
}

/// Shows the effective configuration.
pub(super) fn config(command: &ConfigCommand, registry: &Registry) -> Exit {
    let ConfigCommand::Show { configured, kafka } = command;
    let known = registry.known();
    match configured.load_or_report(Purpose::service(&known)) {
        Ok(loaded) => {
            say(&loaded.shown.render(*kafka));
            Exit::Success
        }
        Err(exit) => exit,
    }
}

/// Prints problems to standard error, drawn on a terminal, one line each elsewhere.
pub(super) fn print_report(report: &Report) {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let stderr = std::io::stderr();
    let text = report.render(Look::of_stream(stderr.is_terminal(), no_colour));
    // Nobody is left to tell when standard error is gone.
    let _ = stderr.lock().write_all(text.as_bytes());
}

/// Prints to standard output; a reader that has seen enough is no error.
pub(super) fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
