//! The configuration both contenders of `drain` use, and the bare client's part of it.

use quorate::config::{ConsumerSettings, Properties, Purpose, Settings, Sources, load};
use quorate_core::plan::Plan;

use crate::backlog::HOT;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/drain.toml");

/// quorate's settings for these servers and this base group.
///
/// # Errors
/// The file beside this package is gone or wrong.
pub fn settings(servers: &str, group: &str) -> Result<Settings, String> {
    let known = quorate_modules::known();
    let set = vec![format!("kafka.bootstrap_servers={servers}"), format!("kafka.consumer.group_id={group}")];
    let sources = Sources { path: CONFIG.into(), env: [], set };
    let loaded = load(sources, Purpose::service(&known)).map_err(|report| format!("{report:?}"))?;
    Ok(loaded.settings)
}

/// The properties of the consumer that quorate would read the backlog with.
#[must_use]
pub fn hot_properties(settings: &Settings) -> Properties {
    let reads_hot = |consumer: &&ConsumerSettings| consumer.topics.iter().any(|&topic| name(&settings.plan, topic));
    let consumer = settings.consumers.iter().find(reads_hot);
    consumer.map(|consumer| consumer.properties.clone()).unwrap_or_default()
}

fn name(plan: &Plan, topic: quorate_core::ident::TopicId) -> bool {
    &*plan.topic(topic).name == HOT
}

/// The same for a client that has nobody to tell it where to begin: a group of its own, from the first record on.
#[must_use]
pub fn bare_properties(settings: &Settings, group: &str) -> Properties {
    let mut properties = hot_properties(settings);
    for (name, value) in [("group.id", group), ("client.id", group), ("auto.offset.reset", "earliest")] {
        properties.0.insert(name.to_owned(), value.to_owned());
    }
    properties
}
