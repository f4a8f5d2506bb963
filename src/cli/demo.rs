//! `quorate demo`: the service against an embedded broker fed by a simulated fleet, with a live view on a terminal and
//! plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use tokio::sync::watch;

use super::check::say;
use super::exit::Exit;
use crate::app::Registry;
use crate::config::{LogFormat, parse_duration};
use crate::demo::view::{LogRing, View};
use crate::demo::{self, DemoError, Options, Phase, Scene, Summary, plain};
use crate::runtime::Signals;
use crate::telemetry;

/// How often a plain line tells how far things are.
const LINE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How long to feed the service, e.g. 20s; until Ctrl-C when absent
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Stations of the simulated fleet
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    stations: u32,
    /// The same seed gives the same stations and records
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Print one JSON object at the end, and nothing else on standard output
    #[arg(long)]
    json: bool,
}

/// Runs the demo and says how it went.
pub(super) fn demo(args: &DemoArgs, registry: &Registry) -> Exit {
    let options = Options { duration: args.duration, stations: args.stations as usize, seed: args.seed };
    let logs = (!args.json && can_draw()).then(LogRing::default);
    match &logs {
        Some(ring) => {
            let ring = ring.clone();
            telemetry::install_into(move || ring.clone(), "error");
        }
        None => telemetry::install(LogFormat::Text, "warn"),
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return fail(&format!("runtime not started: {e}")),
    };
    let ended = runtime.block_on(perform(&options, registry, logs.as_ref()));
    // A client that hangs must not keep the process: what counts has been told.
    runtime.shutdown_background();
    for line in logs.iter().flat_map(LogRing::take) {
        complain(&line);
    }
    match ended {
        Ok(Some(summary)) => tell(&summary, args.json),
        Ok(None) => Exit::Interrupted,
        Err(what) => fail(&what),
    }
}

/// None when a second request to stop cut it short.
async fn perform(options: &Options, registry: &Registry, logs: Option<&LogRing>) -> Result<Option<Summary>, String> {
    let mut signals = Signals::new().map_err(|e| format!("signals cannot be handled: {e}"))?;
    let (scenes, scene) = watch::channel(Scene::opening(demo::fleet(options)));
    let (stops, stopping) = watch::channel(0_u32);
    let view = match logs {
        Some(logs) => {
            let opened = View::open(scene.clone(), stops.clone(), logs.clone(), !no_colour());
            Some(opened.map_err(|e| format!("the terminal cannot be used: {e}"))?)
        }
        None => None,
    };
    let listen = async {
        loop {
            signals.next().await;
            stops.send_modify(|stops| *stops += 1);
        }
    };
    let mut again = stopping.clone();
    let ended = tokio::select! {
        ended = demo::run(options, registry, stopping, &scenes) => ended.map(Some),
        Ok(_) = again.wait_for(|stops| *stops > 1) => Ok(None),
        () = listen => Ok(None),
        () = tell_progress(scene, view.is_none()) => Ok(None),
    };
    drop(view);
    ended.map_err(|e: DemoError| e.to_string())
}

/// Prints a line a second, if wanted; never ends.
async fn tell_progress(scene: watch::Receiver<Scene>, wanted: bool) {
    if !wanted {
        return std::future::pending().await;
    }
    let mut tick = tokio::time::interval(LINE);
    loop {
        tick.tick().await;
        let line = {
            let scene = scene.borrow();
            (scene.phase != Phase::Starting).then(|| plain::progress(&scene))
        };
        line.iter().for_each(|line| complain(line));
    }
}

fn tell(summary: &Summary, json: bool) -> Exit {
    match serde_json::to_string(summary) {
        Ok(object) if json => say(&format!("{object}\n")),
        _ => say(&summary.to_string()),
    }
    if summary.shortfalls.is_empty() {
        return Exit::Success;
    }
    summary.shortfalls.iter().for_each(|shortfall| complain(&format!("error: {shortfall}")));
    fail("the demo lost a result, or something else is short")
}

fn fail(what: &str) -> Exit {
    complain(&format!("error: {what}"));
    Exit::Failed
}

fn complain(line: &str) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether there is a terminal that can show more than lines.
fn can_draw() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && io::stdin().is_terminal() && !dumb
}

fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
