//! Says once, to whoever has to know, that state can no longer be kept.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::error;

use super::durable::StoreError;

/// Whether the store has failed. Clones share one answer.
#[derive(Clone, Debug)]
pub(super) struct Broken(Arc<watch::Sender<Option<StoreError>>>);

impl Broken {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// The store has failed; only the first failure counts.
    pub(super) fn report(&self, error: StoreError) {
        self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                error!(%error, "state cannot be kept; nothing more is taken in, and nothing is committed");
                *first = Some(error);
            }
            is_first
        });
    }

    /// Resolves once the store has failed.
    pub(super) async fn failed(&self) -> StoreError {
        let mut watched = self.0.subscribe();
        let error = watched.wait_for(Option::is_some).await.ok().and_then(|error| error.clone());
        match error {
            Some(error) => error,
            // The sender lives in `self`.
            None => std::future::pending().await,
        }
    }

    pub(super) fn is_reported(&self) -> bool {
        self.0.borrow().is_some()
    }
}
