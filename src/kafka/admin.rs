//! Looking after topics: what exists, and creating what the configuration asks for. Changes no existing topic.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::errors::{KafkaRoomError, Trouble, TroubleKind};
use super::{client, threads};
use crate::config::{Properties, Provision};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a question for a topic's configuration may take.
const CONFIGURATION_PATIENCE: Duration = Duration::from_secs(5);

/// What is known of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// The topic.
    pub topic: Arc<str>,
    /// Its number of partitions, or why it is not known; [`TroubleKind::Missing`] when the topic does not exist.
    pub partitions: Result<usize, Trouble>,
}

/// What became of one topic that was to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was created.
    Created,
    /// It was there already, perhaps since a moment ago.
    Existed,
    /// It could not be created.
    Failed(Trouble),
}

/// Asks the cluster for topics, one answer each, in order. Creates nothing.
///
/// # Errors
/// The client could not be built. Whatever the cluster says is in the answers.
pub async fn describe_topics(properties: &Properties, names: &[Arc<str>]) -> Result<Vec<TopicFacts>, KafkaRoomError> {
    let admin = admin(properties)?;
    let names = names.to_vec();
    let asked = threads::offload("kafka-admin", move || {
        let ask = |topic: Arc<str>| TopicFacts { partitions: partitions(&admin, &topic), topic };
        names.into_iter().map(ask).collect::<Vec<_>>()
    });
    // Without a thread nothing is known of any topic.
    Ok(asked.await.unwrap_or_default())
}

/// Creates the topics that do not exist, one outcome each, in order. Running it again changes nothing.
///
/// # Errors
/// The client could not be built. Whatever the cluster says is in the outcomes.
pub async fn ensure_topics(
    properties: &Properties,
    topics: &[(Arc<str>, Provision)],
) -> Result<Vec<(Arc<str>, Ensured)>, KafkaRoomError> {
    let names: Vec<Arc<str>> = topics.iter().map(|(name, _)| Arc::clone(name)).collect();
    let facts = describe_topics(properties, &names).await?;
    let admin = admin(properties)?;
    let mut outcomes = Vec::with_capacity(topics.len());
    for (name, provision) in topics {
        let known = facts.iter().find(|facts| facts.topic == *name).map(|facts| &facts.partitions);
        let outcome = match known {
            Some(Ok(_)) => Ensured::Existed,
            Some(Err(trouble)) if trouble.kind != TroubleKind::Missing => Ensured::Failed(trouble.clone()),
            _ => create(&admin, name, provision).await,
        };
        if outcome == Ensured::Created {
            tracing::info!(topic = &**name, partitions = provision.partitions, "topic created");
        }
        outcomes.push((Arc::clone(name), outcome));
    }
    Ok(outcomes)
}

async fn create(admin: &AdminClient<Logged>, name: &str, provision: &Provision) -> Ensured {
    let replication = TopicReplication::Fixed(provision.replication);
    let wanted = NewTopic::new(name, provision.partitions, replication);
    let wanted = provision.config.iter().fold(wanted, |topic, (key, value)| topic.set(key, value));
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    match admin.create_topics([&wanted], &options).await {
        Err(error) => Ensured::Failed(Trouble::of(&error)),
        Ok(results) => match results.into_iter().next() {
            Some(Ok(_)) => Ensured::Created,
            Some(Err((_, Code::TopicAlreadyExists))) => Ensured::Existed,
            Some(Err((_, code))) => Ensured::Failed(Trouble::new(TroubleKind::of(code), code.to_string())),
            None => Ensured::Failed(Trouble::new(TroubleKind::Other, "no answer for this topic")),
        },
    }
}

/// Whether a topic's log is compacted. Waits for the answer, so it is asked by a thread that may wait.
pub(super) fn is_compacted(properties: &Properties, topic: &str) -> Result<bool, Trouble> {
    let unusable = |error: KafkaRoomError| Trouble::new(TroubleKind::Other, error.to_string());
    let admin = admin(properties).map_err(unusable)?;
    let options = AdminOptions::new().request_timeout(Some(CONFIGURATION_PATIENCE));
    let resource = ResourceSpecifier::Topic(topic);
    let answer = futures::executor::block_on(admin.describe_configs([&resource], &options))
        .map_err(|error| Trouble::of(&error))?;
    let unanswered = || Trouble::new(TroubleKind::Other, "no answer for this topic");
    let resource = answer.into_iter().next().ok_or_else(unanswered)?;
    let resource = resource.map_err(|code| Trouble::new(TroubleKind::of(code), code.to_string()))?;
    let policy = resource.get("cleanup.policy").and_then(|entry| entry.value.as_deref());
    Ok(policy.is_some_and(|policy| policy.split(',').any(|part| part.trim() == "compact")))
}

fn partitions(admin: &AdminClient<Logged>, name: &str) -> Result<usize, Trouble> {
    let metadata = admin.inner().fetch_metadata(Some(name), PATIENCE).map_err(|error| Trouble::of(&error))?;
    let missing = || Trouble::new(TroubleKind::Missing, "the topic does not exist");
    let topic = metadata.topics().iter().find(|topic| topic.name() == name).ok_or_else(missing)?;
    match topic.error().map(Code::from) {
        Some(code) => Err(Trouble::new(TroubleKind::of(code), code.to_string())),
        None if topic.partitions().is_empty() => Err(missing()),
        None => Ok(topic.partitions().len()),
    }
}

fn admin(properties: &Properties) -> Result<AdminClient<Logged>, KafkaRoomError> {
    let mut config = client::config(properties);
    // The admin client is a producer to the library, which would let its questions create topics.
    config.set("allow.auto.create.topics", "false");
    config.create_with_context(Logged).map_err(|source| KafkaRoomError::Client { client: "admin".to_owned(), source })
}

struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, fac: &str, log_message: &str) {
        client::log("admin", level, fac, log_message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(client = "admin", %error, reason, "client error");
    }
}
