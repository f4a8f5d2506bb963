//! `quorate state verify`: looks through a store and says what it holds and what is wrong with it. Changes nothing of it,
//! and needs neither a broker nor, with `--dir`, a configuration.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Configured;
use super::check::say;
use super::exit::Exit;
use crate::app::Registry;
use crate::config::{Purpose, StateMode};
use crate::state::{Kind, Verified, verify};

#[derive(Debug, Subcommand)]
pub(super) enum StateCommand {
    /// Read the whole store of a service that does not run, and report what it holds and every problem
    ///
    /// Every byte is checked. After a crash the database first repairs itself, as it does when the service starts;
    /// nothing else is changed, and nothing is set aside. Ends with 0 when the service would start with this state, with
    /// 6 when it would not, or when another process has the directory open.
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    configured: Configured,
    /// The directory of the store, in place of the configuration's `state.dir`; no configuration is read then
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn state(command: &StateCommand, registry: &Registry) -> Exit {
    let StateCommand::Verify(args) = command;
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => match args.configured.load_or_report(Purpose::service(&registry.known())) {
            Ok(loaded) if loaded.settings.state.mode == StateMode::Memory => {
                complain("`state.mode` is \"memory\": nothing is kept that could be looked through");
                return Exit::Configuration;
            }
            Ok(loaded) => loaded.settings.state.dir,
            Err(exit) => return exit,
        },
    };
    let found = match verify(&dir) {
        Ok(found) => found,
        Err(e) => {
            complain(&e.to_string());
            return Exit::State;
        }
    };
    if args.json {
        say(&format!("{}\n", as_json(&dir, &found)));
    } else {
        say(&as_text(&dir, &found));
    }
    if found.problems.is_empty() { Exit::Success } else { Exit::State }
}

fn as_json(dir: &Path, found: &Verified) -> Value {
    let kind =
        |(name, kind): (&&str, &Kind)| ((*name).to_owned(), json!({ "entries": kind.entries, "bytes": kind.bytes }));
    let positions = found.positions.iter().map(|position| {
        json!({
            "topic": &*position.topic,
            "partition": position.partition,
            "incarnation": position.incarnation,
            "next": position.next.0,
            "live_from": position.live_from.0,
        })
    });
    json!({
        "dir": dir.display().to_string(),
        "cluster_id": found.identity.as_ref().map(|identity| &identity.cluster_id),
        "group_id": found.identity.as_ref().map(|identity| &identity.group_id),
        "commits": found.commits,
        "kinds": found.kinds.iter().map(kind).collect::<serde_json::Map<_, _>>(),
        "positions": positions.collect::<Vec<_>>(),
        "problems": found.problems,
    })
}

fn as_text(dir: &Path, found: &Verified) -> String {
    let mut text = format!("state in {}\n", dir.display());
    let mut line = |words: std::fmt::Arguments<'_>| {
        // A string takes whatever is written to it.
        let _ = writeln!(text, "{words}");
    };
    if let Some(identity) = &found.identity {
        line(format_args!("  cluster {}, group {}", identity.cluster_id, identity.group_id));
    }
    line(format_args!("  {} commits\n", found.commits));
    for (name, kind) in &found.kinds {
        line(format_args!("  {name:<30} {:>12} entries {:>16} bytes", kind.entries, kind.bytes));
    }
    for position in &found.positions {
        let place = format!("{}[{}]", position.topic, position.partition);
        line(format_args!("  {place:<30} {:>12} is next, live from {}", position.next, position.live_from));
    }
    match found.problems.len() {
        0 => line(format_args!("\nno problems")),
        count => line(format_args!("\n{count} problems: the service would set this state aside and read topics again")),
    }
    found.problems.iter().for_each(|problem| line(format_args!("  {problem}")));
    text
}

fn complain(what: &str) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(std::io::stderr().lock(), "error: {what}");
}
