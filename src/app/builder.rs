//! [`ServiceBuilder`]: a service described step by step, from a configuration and the modules it may choose from. Reads
//! the environment on behalf of a configuration file; everything around a running service is somebody else's.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use quorate_core::contract::Module;
use thiserror::Error;

use super::registry::{Registry, RegistryError};
use super::service::{Service, StartError};
use crate::config::{Loaded, Purpose, Report, Sources, from_str_with, load};

/// Describes a service. Nothing is read or started before the last step.
///
/// | last step | what it does |
/// | --- | --- |
/// | [`run`](Self::run) | what `quorate run` does, as a whole process: logs, signals, a runtime, the drain |
/// | [`start`](Self::start) | starts it inside a runtime of yours, without touching logs and signals |
/// | [`check`](Self::check) | says what is wrong with the configuration |
/// | [`Scenario::of`](crate::testing::Scenario::of) | drives it in a test, without Kafka |
#[derive(Clone)]
pub struct ServiceBuilder {
    source: Source,
    set: Vec<String>,
    modules: Vec<Arc<dyn Module>>,
}

#[derive(Clone)]
enum Source {
    File(PathBuf),
    Text { name: String, text: String },
}

/// Why a service cannot be built as it is described.
#[derive(Error)]
pub enum SetupError {
    /// The modules do not go together.
    #[error(transparent)]
    Modules(#[from] RegistryError),
    /// Every problem of the configuration, one line each.
    #[error("the configuration cannot be used:\n{0}")]
    Configuration(Report),
}

impl Service {
    /// Begins the description of a service: `config.toml` in the working directory, and the built-in modules.
    #[must_use]
    pub fn builder() -> ServiceBuilder {
        ServiceBuilder { source: Source::File("config.toml".into()), set: Vec::new(), modules: Vec::new() }
    }
}

impl ServiceBuilder {
    /// Reads the configuration from this file, with the environment (`QUORATE__…`) laid over it.
    #[must_use]
    pub fn config(mut self, path: impl Into<PathBuf>) -> Self {
        self.source = Source::File(path.into());
        self
    }

    /// Takes the configuration from this text, without the environment; `name` stands for a file's name in messages.
    #[must_use]
    pub fn config_text(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.source = Source::Text { name: name.into(), text: text.into() };
        self
    }

    /// Overrides one value, as `--set` does: `kafka.consumer.group_id=test`. The last one of a key counts.
    #[must_use]
    pub fn set(mut self, key_value: impl Into<String>) -> Self {
        self.set.push(key_value.into());
        self
    }

    /// Adds a module. One that has the name of a built-in module takes its place.
    #[must_use]
    pub fn module(self, module: impl Module) -> Self {
        self.shared_module(Arc::new(module))
    }

    /// Adds a module of which the caller keeps a handle.
    #[must_use]
    pub fn shared_module(mut self, module: Arc<dyn Module>) -> Self {
        self.modules.push(module);
        self
    }

    /// Looks the description over as `quorate check` does. Returns the warnings.
    ///
    /// # Errors
    /// Modules that do not go together, or every problem of the configuration at once.
    pub fn check(&self) -> Result<Report, SetupError> {
        let (loaded, _) = self.load()?;
        Ok(loaded.warnings)
    }

    /// Starts the service on the runtime this is called on, which needs worker threads, IO and time. Logs and signals
    /// stay the caller's; so does [`Service::drain`] at the end.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running.
    pub async fn start(&self) -> Result<Service, StartError> {
        let (loaded, registry) = self.load()?;
        Service::start(loaded.settings, registry.modules()).await
    }

    /// Everything that running the service takes.
    pub(crate) fn load(&self) -> Result<(Loaded, Registry), SetupError> {
        self.load_for(|known| Purpose::service(known))
    }

    /// Everything that calling its modules takes: brokers need not be named.
    pub(crate) fn load_offline(&self) -> Result<(Loaded, Registry), SetupError> {
        self.load_for(|known| Purpose::replay_with_outputs(known))
    }

    fn load_for(
        &self,
        purpose: impl for<'a> FnOnce(&'a [(&'a str, &'a str)]) -> Purpose<'a>,
    ) -> Result<(Loaded, Registry), SetupError> {
        let registry = Registry::with(self.modules.iter().cloned())?;
        let known = registry.known();
        let purpose = purpose(&known);
        let loaded = match &self.source {
            Source::File(path) => load(sources(path.clone(), self.set.clone()), purpose),
            Source::Text { name, text } => from_str_with(name, text, &self.set, purpose),
        };
        Ok((loaded.map_err(SetupError::Configuration)?, registry))
    }
}

/// A configuration file with the environment of this process.
pub(crate) fn sources(path: PathBuf, set: Vec<String>) -> Sources<Vec<(String, String)>> {
    // Names and values that are not Unicode cannot be ours.
    let env =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Sources { path, env: env.collect(), set }
}

/// What is configured may be secret.
impl fmt::Debug for ServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.source {
            Source::File(path) => path.display().to_string(),
            Source::Text { name, .. } => name.clone(),
        };
        let modules: Vec<_> = self.modules.iter().map(|module| module.name()).collect();
        f.debug_struct("ServiceBuilder").field("config", &name).field("modules", &modules).finish_non_exhaustive()
    }
}

/// The same sentences as for people: `expect` in a test prints them.
impl fmt::Debug for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
