//! What the demo runs: the configuration of the repository, with the few values laid over it that an embedded broker
//! and a compressed day ask for. Nothing else differs from what `quorate run` reads by default.

use std::sync::Arc;

use crate::app::Registry;
use crate::config::{Loaded, Purpose, Report, Settings, from_str_with};
use crate::fleet::Topic;

/// The documented configuration.
const DOCUMENTED: &str = include_str!("../../config.toml");

/// The name under which it appears in messages.
const NAME: &str = "config.toml";

/// Values laid over the documented ones.
///
/// A demo leaves nothing behind, so it keeps no state on disk.
///
/// The mock cluster answers a fetch only after `fetch_max_wait_ms`, and its classic groups wait for the session
/// time-out at every change. A minute is an hour of the fleet, so what depends on the forecast follows each. `probe` is switched on so that all thirteen topics are consumed; devices that speak often
/// make it due, every other second at most. It is not the module of interest, so it may take one thread.
const OVERLAY: &[&str] = &[
    "state.mode=memory",
    "kafka.consumer.group_id=quorate-demo",
    "kafka.consumer.session_timeout_ms=6000",
    "kafka.consumer.heartbeat_interval_ms=1000",
    "kafka.consumer.fetch_max_wait_ms=10",
    "modules.operation_optimization.trigger={ on = [\"load_prediction\"] }",
    "modules.station_guidance.trigger={ on = [\"load_prediction\"] }",
    "modules.probe.enabled=true",
    "modules.probe.concurrency=1",
    "modules.probe.trigger={ on = [\"SCHEDULE-DEVICE-METER\", \"SCHEDULE-DEVICE-STORAGE\"], min_interval = \"2s\" }",
];

/// The module whose stations are counted as complete.
pub(super) const MODULE: &str = "load_prediction";

/// Partitions of the topic that carries the history: the mock cluster drops what is beyond 5 MiB in one.
const HISTORY_PARTITIONS: i32 = 24;

/// Partitions of every other topic.
const PARTITIONS: i32 = 3;

/// The demo's settings.
///
/// # Errors
/// Every problem of the configuration, which a test excludes.
pub(super) fn load(servers: &str, registry: &Registry) -> Result<Settings, Report> {
    let mut set = vec![format!("kafka.bootstrap_servers={servers}")];
    set.extend(OVERLAY.iter().map(|value| (*value).to_owned()));
    let Loaded { settings, .. } = from_str_with(NAME, DOCUMENTED, &set, Purpose::service(&registry.known()))?;
    Ok(settings)
}

/// The topics that the service reads, in the order of the plan, each with its partitions.
pub(super) fn sources(settings: &Settings) -> Vec<(Arc<str>, i32)> {
    let partitions = |name: &str| if name == Topic::Realtime.name() { HISTORY_PARTITIONS } else { PARTITIONS };
    settings.plan.topics.iter().map(|topic| (Arc::clone(&topic.name), partitions(&topic.name))).collect()
}

/// The topics that the service writes: results, and dead letters as the last.
pub(super) fn sinks(settings: &Settings) -> Vec<(Arc<str>, i32)> {
    let results = settings.modules.iter().map(|module| module.output_topic.as_str());
    results.chain([settings.dead_letter_topic.as_str()]).map(|name| (Arc::from(name), PARTITIONS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_configuration_with_the_overlay_reads_every_topic_the_fleet_speaks_on() {
        let settings = load("localhost:1", &Registry::built_in()).expect("no problem");
        let mut read: Vec<String> = sources(&settings).iter().map(|(name, _)| name.to_string()).collect();
        let mut spoken: Vec<&str> = Topic::ALL.iter().map(|topic| topic.name()).collect();
        read.sort();
        spoken.sort();
        assert_eq!(read, spoken);
        assert!(settings.modules.iter().any(|module| &*module.name == MODULE));
    }

    #[test]
    fn every_module_and_the_dead_letters_have_a_topic_of_their_own() {
        let settings = load("localhost:1", &Registry::built_in()).expect("no problem");
        let sinks: Vec<String> = sinks(&settings).iter().map(|(name, _)| name.to_string()).collect();
        let named = ["LOAD-PREDICTION", "OPERATION-OPTIMIZATION", "PROBE", "STATION-GUIDANCE"];
        let mut wanted: Vec<String> = named.iter().map(|name| format!("MODULE-OUTPUT-{name}")).collect();
        wanted.push("quorate-demo-dead-letters".to_owned());
        assert_eq!(sinks, wanted);
    }
}
