//! `quorate run`: the service until a signal.

use tracing::{error, info};

use super::Configured;
use super::exit::Exit;
use crate::app::{Service, StartError};
use crate::config::{Purpose, Settings};
use crate::runtime::Signals;
use crate::telemetry;

/// Runs the service and says how it ended.
pub(super) fn run(args: &Configured) -> Exit {
    let known = quorate_modules::known();
    let loaded = match args.load_or_report(Purpose::service(&known)) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    telemetry::install(loaded.settings.log_format, "info");
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            error!(error = %e, "runtime not started");
            return Exit::Failed;
        }
    };
    let exit = runtime.block_on(serve(loaded.settings));
    // A client that hangs must not keep the process: what counts has been committed.
    runtime.shutdown_background();
    exit
}

async fn serve(settings: Settings) -> Exit {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(e) => {
            error!(error = %e, "signals cannot be handled");
            return Exit::Failed;
        }
    };
    let modules = quorate_modules::all();
    let started = tokio::select! {
        started = Service::start(settings, &modules) => started,
        signal = signals.next() => {
            info!(?signal, "stopped before the start was complete");
            return Exit::Success;
        }
    };
    let service = match started {
        Ok(service) => service,
        Err(e) => {
            error!(error = %e, "not started");
            return if matches!(e, StartError::Connect(_)) { Exit::Unreachable } else { Exit::Failed };
        }
    };
    let failed = service.failed();
    let broken = tokio::select! {
        signal = signals.next() => {
            info!(?signal, "stopping");
            false
        }
        () = failed.notified() => true,
    };
    let ended = tokio::select! {
        ended = service.drain() => ended,
        signal = signals.second() => {
            error!(?signal, "second signal, ending at once");
            return Exit::Interrupted;
        }
    };
    match (broken, ended.drained) {
        (true, _) => Exit::Failed,
        (false, false) => Exit::StillDue,
        (false, true) => Exit::Success,
    }
}
