//! `quorate run`, and the same for those who describe their service in code: the service until a signal, as a process.

use std::io::{self, Write};
use std::process::ExitCode;

use tracing::{error, info};

use super::Configured;
use super::check::print_report;
use super::exit::Exit;
use crate::app::{Doomed, Registry, RegistryError, Service, ServiceBuilder, SetupError, StartError};
use crate::config::{Purpose, Settings};
use crate::runtime::Signals;
use crate::telemetry;

/// Runs the service and says how it ended.
pub(super) fn run(args: &Configured, registry: &Registry) -> Exit {
    match args.load_or_report(Purpose::service(&registry.known())) {
        Ok(loaded) => until_signal(loaded.settings, registry),
        Err(exit) => exit,
    }
}

impl ServiceBuilder {
    /// Runs the service until SIGINT or SIGTERM, as `quorate run` does: problems of the configuration are printed, logs
    /// go to standard error, and the code is one of those that `quorate --help` lists.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let exit = match self.load() {
            Ok((loaded, registry)) => {
                print_report(&loaded.warnings);
                until_signal(loaded.settings, &registry)
            }
            Err(SetupError::Configuration(report)) => {
                print_report(&report);
                Exit::Configuration
            }
            Err(SetupError::Modules(e)) => refused(&e),
        };
        exit.into()
    }
}

/// Says why there are no modules to choose from.
pub(super) fn refused(error: &RegistryError) -> Exit {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(io::stderr(), "error: {error}");
    Exit::Configuration
}

fn until_signal(settings: Settings, registry: &Registry) -> Exit {
    telemetry::install(settings.log_format, "info");
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            error!(error = %e, "runtime not started");
            return Exit::Failed;
        }
    };
    let exit = runtime.block_on(serve(settings, registry));
    // A client that hangs must not keep the process: what counts has been committed.
    runtime.shutdown_background();
    exit
}

async fn serve(settings: Settings, registry: &Registry) -> Exit {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(e) => {
            error!(error = %e, "signals cannot be handled");
            return Exit::Failed;
        }
    };
    let started = tokio::select! {
        started = Service::start(settings, registry.modules()) => started,
        signal = signals.next() => {
            info!(?signal, "stopped before the start was complete");
            return Exit::Success;
        }
    };
    let service = match started {
        Ok(service) => service,
        Err(e) => {
            error!(error = %e, "not started");
            return match e {
                StartError::Connect(_) => Exit::Unreachable,
                StartError::State(_) => Exit::State,
                _ => Exit::Failed,
            };
        }
    };
    let doomed = tokio::select! {
        signal = signals.next() => {
            info!(?signal, "stopping");
            None
        }
        doomed = service.doomed() => Some(told(&doomed)),
    };
    let ended = tokio::select! {
        ended = service.drain() => ended,
        signal = signals.second() => {
            error!(?signal, "second signal, ending at once");
            return Exit::Interrupted;
        }
    };
    match (doomed, ended.drained) {
        (Some(exit), _) => exit,
        (None, _) if ended.state_failed => Exit::State,
        (None, false) => Exit::StillDue,
        (None, true) => Exit::Success,
    }
}

/// Says why the service ends by itself, and with which code.
fn told(doomed: &Doomed) -> Exit {
    match doomed {
        Doomed::Stage => Exit::Failed,
        Doomed::State(error) => {
            error!(error, "stopping: see to the disk, then start again; what was kept is not lost");
            Exit::State
        }
        Doomed::Fenced => {
            error!("stopping: another process with this instance_id has taken over every topic");
            Exit::Fenced
        }
        Doomed::Consumer(why) => {
            error!(why, "stopping: a consumer keeps failing for good");
            Exit::Failed
        }
    }
}
