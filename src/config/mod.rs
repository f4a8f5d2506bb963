//! Configuration: from text, environment and command line to resolved [`Settings`], with every problem at once.
//!
//! The way of a value: `raw` (a tree with places) ← `overlay` (environment, `--set`) → `reader` (typed, defaults,
//! unknown keys) → one file per table → `link` (names) and `native` (what clients are built from) → `resolve`.

mod consumer;
mod dependencies;
mod effective;
mod failure;
mod groups;
mod link;
mod modules;
mod native;
mod overlay;
mod problem;
mod producer;
mod profile;
mod queue;
mod raw;
mod reader;
mod render;
mod resolve;
mod scalar;
mod secrecy;
mod secret;
mod security;
mod service;
mod settings;
mod state;
mod topics;
mod trigger;
mod window;

use std::path::PathBuf;
use std::sync::Arc;

pub use effective::{Effective, EffectiveValue};
pub use problem::{Origin, Problem, Report, Severity};
pub use render::Look;
pub use scalar::parse_duration;
pub use settings::{
    BreakerSettings, CallbackSettings, ConsumerMode, ConsumerSettings, FailureSettings, LogFormat, MissingTopic,
    ModuleSettings, OffsetReset, OnFailure, OnceSettings, OutOfRange, Properties, Provision, QuarantineSettings,
    Recreated, Rehydrate, Retry, ServiceSettings, Settings, StateMode, StateSettings, TopicSettings, Undecodable,
};

use problem::Listing;
use reader::Notes;
use secret::Vault;

/// Where a configuration comes from. Later ones win: file, environment, `--set`. May hold secrets, hence no `Debug`.
#[derive(Clone)]
pub struct Sources<E> {
    /// The TOML file.
    pub path: PathBuf,
    /// Environment variables: those that begin with `QUORATE__`, and those that secrets refer to.
    pub env: E,
    /// `KEY=VALUE`, dotted, in the order given.
    pub set: Vec<String>,
}

/// What the settings are for.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    /// Names and versions of the modules there are.
    pub known_modules: &'a [(&'a str, &'a str)],
    /// Whether modules are called: then every enabled one must be known. One that is not has version "1" otherwise.
    pub calls_modules: bool,
    /// Whether Kafka is connected to: then brokers and the group must be named, and secrets are looked up.
    pub connects: bool,
}

impl<'a> Purpose<'a> {
    /// To run the service.
    #[must_use]
    pub fn service(known_modules: &'a [(&'a str, &'a str)]) -> Self {
        Self { known_modules, calls_modules: true, connects: true }
    }

    /// To replay records without calling modules.
    #[must_use]
    pub fn replay(known_modules: &'a [(&'a str, &'a str)]) -> Self {
        Self { known_modules, calls_modules: false, connects: false }
    }

    /// To replay records and call modules.
    #[must_use]
    pub fn replay_with_outputs(known_modules: &'a [(&'a str, &'a str)]) -> Self {
        Self { known_modules, calls_modules: true, connects: false }
    }
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it means.
    pub settings: Settings,
    /// What is suspicious about it.
    pub warnings: Report,
    /// What is right about it and might suit better otherwise.
    pub advice: Report,
    /// Its values and their origins, to be shown.
    pub shown: Effective,
}

/// Loads a configuration.
///
/// # Errors
/// A [`Report`] of every problem, warnings included, when at least one is an error.
pub fn load<E>(sources: Sources<E>, purpose: Purpose<'_>) -> Result<Loaded, Report>
where
    E: IntoIterator<Item = (String, String)>,
{
    let name = sources.path.display().to_string();
    let env: Vec<_> = sources.env.into_iter().collect();
    match std::fs::read_to_string(&sources.path) {
        Ok(text) => read(&name, &text, &env, &sources.set, purpose),
        Err(error) => {
            let problem = Problem::error(&Origin::Default, format!("the file cannot be read: {error}"));
            let listing = Arc::new(Listing { name, text: String::new() });
            Err(Report::new(vec![problem.help("name another one with `--config PATH`")], listing))
        }
    }
}

/// Loads a configuration from text alone; `name` stands for the file's path in messages.
///
/// # Errors
/// As [`load`].
pub fn from_str(name: &str, text: &str, purpose: Purpose<'_>) -> Result<Loaded, Report> {
    read(name, text, &[], &[], purpose)
}

/// Loads a configuration from text, with values laid over it as `--set` would; the environment is left out.
///
/// # Errors
/// As [`load`].
pub fn from_str_with(name: &str, text: &str, set: &[String], purpose: Purpose<'_>) -> Result<Loaded, Report> {
    read(name, text, &[], set, purpose)
}

fn read(
    name: &str,
    text: &str,
    env: &[(String, String)],
    set: &[String],
    purpose: Purpose<'_>,
) -> Result<Loaded, Report> {
    let (mut tree, mut found) = raw::parse_file(text);
    let listing = Arc::new(Listing { name: name.to_owned(), text: secrecy::blot(text, &tree) });
    let notes = Notes::new(!found.is_empty());
    found.extend(overlay::environment(&mut tree, env));
    found.extend(set.iter().filter_map(|argument| overlay::argument(&mut tree, argument)));
    found.into_iter().for_each(|problem| notes.add(problem));

    let vault = Vault { env, open: purpose.connects };
    let settings = resolve::resolve(&notes, &tree, &vault, &purpose);
    let (problems, values) = notes.into_parts();
    let (advice, problems) = problems.into_iter().partition(|problem| problem.severity == Severity::Advice);
    let warnings = Report::new(problems, Arc::clone(&listing));
    if warnings.has_errors() {
        return Err(warnings);
    }
    let advice = Report::new(advice, Arc::clone(&listing));
    let shown = Effective::new(values, &settings, listing);
    Ok(Loaded { settings, warnings, advice, shown })
}
