//! What the cases share: loading text for a purpose and finding a problem by its words.

mod advice;
mod clients;
mod dependencies;
mod failures;
mod fleet;
mod modules;
mod overlay;
mod problems;
mod profiles;
mod properties;
mod queues;
mod secrets;
mod state;
mod subscriptions;
mod topics;

use quorate::config::{self, Loaded, Problem, Purpose, Report, Severity};

/// The modules of the registry as these tests see it.
pub const MODULES: &[(&str, &str)] = &[("load_prediction", "3"), ("probe", "1"), ("digest", "2")];

/// A configuration with nothing wrong: one topic, one module.
pub const SMALL: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "base"
multi_consumer_mode = true
[topics.PARAM]
station = "/stationId"
[modules.probe]
requires = ["PARAM"]
"#;

/// Loads text as the service would.
pub fn service(text: &str) -> Result<Loaded, Report> {
    config::from_str("config.toml", text, Purpose::service(MODULES))
}

/// Loads text that has no errors.
#[track_caller]
pub fn good(text: &str) -> Loaded {
    match service(text) {
        Ok(loaded) => loaded,
        Err(report) => panic!("{report}"),
    }
}

/// Loads text that has errors.
#[track_caller]
pub fn bad(text: &str) -> Report {
    match service(text) {
        Ok(_) => panic!("no error in\n{text}"),
        Err(report) => report,
    }
}

/// [`SMALL`] with lines added at its end.
pub fn small_and(more: &str) -> String {
    format!("{SMALL}{more}\n")
}

/// `base`, `multi` and one `latest` topic per name, all required by one module.
pub fn with_topics(multi: Option<bool>, consumer: &str, names: &[&str]) -> String {
    let mode = multi.map_or(String::new(), |multi| format!("multi_consumer_mode = {multi}\n"));
    let mut text =
        format!("[kafka]\nbootstrap_servers = 'a:1'\n[kafka.consumer]\ngroup_id = 'base'\n{mode}{consumer}\n");
    for name in names {
        text.push_str(&format!("[topics.{name}]\nstation = '/s'\n"));
    }
    text.push_str(&format!("[modules.probe]\nrequires = {names:?}\n"));
    text
}

/// The only problem whose message holds `words`.
#[track_caller]
pub fn only<'r>(report: &'r Report, words: &str) -> &'r Problem {
    let found: Vec<_> = report.problems().iter().filter(|problem| problem.message.contains(words)).collect();
    assert_eq!(found.len(), 1, "problems about `{words}` in\n{report}");
    found[0]
}

/// The advice of the only problem whose message holds `words`.
#[track_caller]
pub fn advice<'r>(report: &'r Report, words: &str) -> &'r str {
    only(report, words).help.as_deref().unwrap_or_default()
}

/// The value of a key as `config show` prints it; none when it says nothing about the key.
pub fn shown(loaded: &Loaded, key: &str) -> Option<String> {
    loaded.shown.values().find(|value| value.key == key).map(|value| value.value.to_owned())
}

/// The messages of all warnings.
pub fn warnings(loaded: &Loaded) -> Vec<&str> {
    let warnings = loaded.warnings.problems().iter().filter(|problem| problem.severity == Severity::Warning);
    warnings.map(|problem| problem.message.as_str()).collect()
}
