//! The service in this process, on a runtime of its own, as its composition root starts and drains it.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use quorate::app::{Ended, Service, StartError};
use quorate::config::{Purpose, from_str};
use quorate::kafka::{TopicHealth, TopicState, TroubleKind};
use quorate_core::contract::Module;
use quorate_testkit::within;
use tempfile::NamedTempFile;
use tokio::runtime::{Builder, Runtime};
use tracing::{Dispatch, Level};

use crate::place::{Config, PATIENCE, Place};
use crate::scripted::Scripted;

/// What all services of this process have warned of since the first call.
pub fn warnings() -> String {
    static LOG: OnceLock<NamedTempFile> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = NamedTempFile::new().expect("a file");
        let writer: Arc<File> = Arc::new(log.reopen().expect("our own file"));
        let subscriber = tracing_subscriber::fmt().with_max_level(Level::WARN).with_ansi(false).with_writer(writer);
        tracing::subscriber::set_global_default(subscriber.finish()).expect("nobody else listens to everything");
        log
    });
    std::fs::read_to_string(log.path()).expect("a log")
}

/// A service that runs.
pub struct Running {
    service: Option<Service>,
    runtime: Option<Runtime>,
    broken: Arc<AtomicBool>,
}

impl Running {
    /// Starts the service with a test's modules in place of the compiled-in ones.
    pub fn start(config: &Config, modules: &[&Arc<Scripted>]) -> Self {
        Self::of(&config.toml(), modules)
    }

    /// The same, with a configuration as it stands in a file.
    pub fn of(toml: &str, modules: &[&Arc<Scripted>]) -> Self {
        Self::start_on(Builder::new_multi_thread(), toml, modules).expect("the service starts")
    }

    /// The same, with everything it traces going to `trace`.
    pub fn traced(config: &Config, modules: &[&Arc<Scripted>], trace: &Dispatch) -> Self {
        let mut builder = Builder::new_multi_thread();
        let trace = trace.clone();
        // The guard of a thread's default dispatcher lives as long as the thread.
        builder.on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&trace)));
        Self::start_on(builder, &config.toml(), modules).expect("the service starts")
    }

    fn start_on(mut builder: Builder, toml: &str, modules: &[&Arc<Scripted>]) -> Result<Self, StartError> {
        let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
        let known: Vec<_> = modules.iter().map(|module| (module.name(), module.version())).collect();
        let loaded = from_str("test.toml", toml, Purpose::service(&known));
        let settings = loaded.unwrap_or_else(|report| panic!("{}", report.plain())).settings;
        let modules: Vec<Arc<dyn Module>> = modules.iter().map(|module| Arc::clone(module) as _).collect();
        let service = runtime.block_on(Service::start(settings, &modules))?;
        let broken = Arc::new(AtomicBool::new(false));
        let (doomed, noted) = (service.doomed(), Arc::clone(&broken));
        runtime.spawn(async move {
            doomed.await;
            noted.store(true, Ordering::Release);
        });
        Ok(Self { service: Some(service), runtime: Some(runtime), broken })
    }

    pub fn service(&self) -> &Service {
        self.service.as_ref().expect("the service runs until it is stopped")
    }

    /// How a topic's consumption stands.
    pub fn health(&self, place: &Place<'_>, topic: &str) -> TopicHealth {
        let topic = place.topic(topic);
        let all = self.service().health().snapshot();
        all.into_iter().find(|health| *health.topic == *topic).expect("a consumed topic")
    }

    /// Waits until a topic fails in this way.
    pub fn until_fails(&self, place: &Place<'_>, topic: &str, kind: TroubleKind) {
        within(PATIENCE, &format!("{topic} to fail as {kind:?}"), || match self.health(place, topic).state {
            TopicState::Failed(trouble) if trouble.kind == kind => Some(()),
            _ => None,
        });
    }

    /// Waits until a topic is read.
    pub fn until_assigned(&self, place: &Place<'_>, topic: &str) {
        within(PATIENCE, &format!("{topic} to be assigned"), || {
            (self.health(place, topic).state == TopicState::Assigned).then_some(())
        });
    }

    /// Waits until every topic is read, and says since when the last one is, in milliseconds of the wall clock.
    pub fn until_all_assigned(&self) -> i64 {
        within(PATIENCE, "every topic to be assigned", || {
            let all = self.service().health().snapshot();
            let since = all.iter().map(|health| health.since.0).max();
            since.filter(|_| all.iter().all(|health| health.state == TopicState::Assigned))
        })
    }

    /// Complete stations of the plan's first module.
    pub fn complete(&self) -> usize {
        let runtime = self.runtime.as_ref().expect("the runtime lives as long as the service");
        runtime.block_on(self.service().pipeline().census()).modules[0].complete
    }

    /// Drains it; no stage may have panicked.
    pub fn stop(mut self) -> Ended {
        let (service, runtime) = (self.service.take().expect("stopped once"), self.runtime.take().expect("once"));
        let ended = runtime.block_on(service.drain());
        runtime.shutdown_background();
        assert!(!self.broken.load(Ordering::Acquire), "a stage panicked");
        ended
    }
}

impl Drop for Running {
    /// A test that failed does not wait for what it left running.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            drop(self.service.take());
            runtime.shutdown_background();
        }
    }
}
