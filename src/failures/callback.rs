//! [`HttpCallback`]: posts each failure as JSON to one address, and again a few times where that may help.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use quorate_core::contract::{InputHash, ModuleInput};
use quorate_core::ident::Millis;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::http::{PostError, Target, TargetError};
use crate::pipeline::ports::{Failure, FailureSink, SinkError};

/// Requests under way at the same time: a module that fails for every station must not storm whoever is told.
const REQUESTS: usize = 32;

/// Whom to call back, and how patiently.
#[derive(Clone)]
pub struct CallbackSettings {
    /// Where to: `http` or `https`. Path and query may be secrets and are never shown.
    pub url: String,
    /// The longest one request may take, from connecting to the answer's status.
    pub timeout: Duration,
    /// Requests per failure at the most.
    pub attempts: u32,
    /// Pause before the second request; doubles with each further one.
    pub backoff: Duration,
}

/// Tells one address of failures by `POST`. Any 2xx is success. Statuses 408, 425, 429 and 5xx, and requests that got no
/// answer, are tried again; any other status is final. Redirections are not followed.
///
/// The body is one JSON object: `id` (the same when it is told twice), `module`, `station`, `reason`, `detail`,
/// `attempts`, `at`, `origin` (`topic`, `partition`, `offset` of the newest record behind the input, or null),
/// `input_hash`, `trigger` where there is one, and the whole `input`. The id is also the header `idempotency-key`.
pub struct HttpCallback {
    target: Target,
    settings: CallbackSettings,
    room: Semaphore,
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    module: &'a str,
    station: &'a str,
    reason: &'a str,
    detail: &'a str,
    attempts: u32,
    at: Millis,
    origin: Option<Place<'a>>,
    input_hash: InputHash,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<String>,
    input: &'a ModuleInput,
}

#[derive(Serialize)]
struct Place<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
}

impl CallbackSettings {
    /// What holds where nothing else is said: 3 requests of 30 seconds each, with pauses from 1 second.
    #[must_use]
    pub fn to(url: &str) -> Self {
        let (timeout, backoff) = (Duration::from_secs(30), Duration::from_secs(1));
        Self { url: url.to_owned(), timeout, attempts: 3, backoff }
    }
}

impl HttpCallback {
    /// A callback that has not connected anywhere yet.
    ///
    /// # Errors
    /// When the address cannot be one of a callback, or the system's certificates cannot be read.
    pub fn new(settings: CallbackSettings) -> Result<Self, TargetError> {
        let target = Target::new(&settings.url)?;
        Ok(Self { target, settings, room: Semaphore::new(REQUESTS) })
    }

    async fn post(&self, id: &str, body: &str) -> Result<(), PostError> {
        // Never closed.
        let _room = self.room.acquire().await;
        match timeout(self.settings.timeout, self.target.post(id, body.to_owned())).await {
            Ok(Ok(status)) if status.is_success() => Ok(()),
            Ok(Ok(status)) => Err(PostError::Refused(status)),
            Ok(Err(e)) => Err(e),
            Err(_) => Err(PostError::TimedOut(self.settings.timeout)),
        }
    }
}

#[async_trait]
impl FailureSink for HttpCallback {
    async fn record(&self, failure: &Failure) -> Result<(), SinkError> {
        let id = failure.id();
        let body = body(&id, failure).map_err(|e| SinkError(e.to_string()))?;
        let (mut attempt, mut pause) = (1, self.settings.backoff);
        loop {
            let error = match self.post(&id, &body).await {
                Ok(()) => {
                    debug!(to = %self.target, id, attempt, "failure callback done");
                    return Ok(());
                }
                Err(error) => error,
            };
            if !error.may_pass() || attempt >= self.settings.attempts {
                return Err(SinkError(format!("{error}, request {attempt} of {}", self.settings.attempts)));
            }
            warn!(to = %self.target, id, attempt, %error, ?pause, "failure callback failed, will be repeated");
            sleep(pause).await;
            attempt += 1;
            pause = pause.saturating_mul(2);
        }
    }
}

impl fmt::Debug for HttpCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpCallback({})", self.target)
    }
}

impl fmt::Debug for CallbackSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, timeout, attempts, backoff } = self;
        write!(f, "CallbackSettings {{ timeout: {timeout:?}, attempts: {attempts}, backoff: {backoff:?}, .. }}")
    }
}

fn body(id: &str, failure: &Failure) -> serde_json::Result<String> {
    let input = &*failure.input;
    let newest = failure.origin();
    serde_json::to_string(&Body {
        id,
        module: &input.module,
        station: input.station.as_str(),
        reason: failure.reason.as_str(),
        detail: &failure.detail,
        attempts: failure.attempts,
        at: failure.at,
        origin: newest.map(|range| Place { topic: &range.topic, partition: range.partition, offset: range.to_offset }),
        input_hash: input.input_hash,
        trigger: failure.trigger(),
        input,
    })
}
