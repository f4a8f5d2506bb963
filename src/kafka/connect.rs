//! The first contact: is there a broker, and does it let us in? Decides nothing about what follows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

use super::backoff::Backoff;
use super::errors::{KafkaRoomError, Trouble, TroubleKind};
use super::{client, clock, threads};
use crate::config::Properties;

/// How long one question for metadata may take.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How long what the client has said already is listened to when time is up.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// What the first contact found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterFacts {
    /// How many brokers there are.
    pub brokers: usize,
    /// The cluster's id; none where it has none.
    pub cluster_id: Option<String>,
}

/// Why Kafka could not be used within the start-up time-out.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No broker answered.
    #[error("no broker at {servers} answered within {waited:?}: {detail}")]
    Unreachable {
        /// The configured servers.
        servers: String,
        /// How long it was tried.
        waited: Duration,
        /// What the client said last.
        detail: String,
    },
    /// A broker answered, and refused name, password or certificate.
    #[error("{servers} refuses the login, tried for {waited:?}: {detail}")]
    LoginRefused {
        /// The configured servers.
        servers: String,
        /// How long it was tried.
        waited: Duration,
        /// What the client said last.
        detail: String,
    },
    /// The client could not be built.
    #[error(transparent)]
    Room(#[from] KafkaRoomError),
}

/// Waits until a broker answers, at most for `patience`.
///
/// # Errors
/// See [`ConnectError`].
pub async fn wait_for_brokers(properties: &Properties, patience: Duration) -> Result<ClusterFacts, ConnectError> {
    let properties = properties.clone();
    let found = threads::offload("kafka-connect", move || wait(&properties, patience)).await;
    found.unwrap_or_else(|| {
        let detail = "the thread that tries to connect is gone".to_owned();
        Err(ConnectError::Unreachable { servers: String::new(), waited: Duration::ZERO, detail })
    })
}

fn wait(properties: &Properties, patience: Duration) -> Result<ClusterFacts, ConnectError> {
    let context = Listener::default();
    let heard = Arc::clone(&context.heard);
    let consumer: BaseConsumer<Listener> = client::config(properties)
        .create_with_context(context)
        .map_err(|source| KafkaRoomError::Client { client: "connect".to_owned(), source })?;
    let servers = properties.0.get("bootstrap.servers").cloned().unwrap_or_default();
    let began = clock::now();
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        let left = patience.saturating_sub(clock::since(began));
        let last = match consumer.fetch_metadata(None, left.min(ATTEMPT)) {
            Ok(metadata) if !metadata.brokers().is_empty() => {
                let cluster_id = consumer.client().fetch_cluster_id(ATTEMPT);
                return Ok(ClusterFacts { brokers: metadata.brokers().len(), cluster_id });
            }
            Ok(_) => "no broker in the metadata".to_owned(),
            Err(error) => error.to_string(),
        };
        let waited = clock::since(began);
        listen(&consumer, backoff.next().min(patience.saturating_sub(waited)).max(LAST_WORDS));
        if waited >= patience {
            let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Err(match heard {
                Some(Trouble { kind: TroubleKind::LoginRefused, detail }) => {
                    ConnectError::LoginRefused { servers, waited, detail }
                }
                Some(Trouble { detail, .. }) => ConnectError::Unreachable { servers, waited, detail },
                None => ConnectError::Unreachable { servers, waited, detail: last },
            });
        }
        tracing::info!(servers, ?waited, error = last, "waiting for a broker");
    }
}

/// Lets time pass. Errors arrive as events, one a poll and log lines between them: what the client said about its
/// connections is heard here.
fn listen(consumer: &BaseConsumer<Listener>, pause: Duration) {
    let began = clock::now();
    loop {
        let left = pause.saturating_sub(clock::since(began));
        if left.is_zero() {
            return;
        }
        consumer.poll(left);
    }
}

/// Remembers the last error; a refused login is never overwritten by the disconnections that follow it.
#[derive(Default)]
struct Listener {
    heard: Arc<Mutex<Option<Trouble>>>,
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        client::log("connect", level, fac, log_message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(&*heard, Some(Trouble { kind: TroubleKind::LoginRefused, .. })) {
            *heard = Some(Trouble { detail: reason.to_owned(), ..Trouble::of(&error) });
        }
    }
}

impl ConsumerContext for Listener {}
