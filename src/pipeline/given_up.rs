//! [`GivenUp`]: records runs that failed for good, in the sinks of their module, before they count as over. Knows
//! nothing of why they failed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tracing::error;

use super::counts::Counts;
use super::dead_letters::{DeadLetter, DeadLetterSender};
use super::ports::{Failure, FailureSink, SinkError};
use super::run_settings::FailureSinks;

/// Writes down what was given up.
pub(super) struct GivenUp {
    dead: DeadLetterSender,
    counts: Arc<Counts>,
}

impl GivenUp {
    pub(super) fn new(dead: DeadLetterSender, counts: Arc<Counts>) -> Self {
        Self { dead, counts }
    }

    /// Returns once the failure stands wherever it is to stand. When the callback fails for good it stands in the
    /// dead-letter topic, asked for or not.
    pub(super) async fn record(&self, sinks: &FailureSinks, failure: &Failure) {
        let is_told = match &sinks.callback {
            Some(callback) => self.tell(&**callback, failure).await,
            None => true,
        };
        if sinks.log {
            log(failure);
        }
        if sinks.topic || !is_told {
            self.dead.settle(DeadLetter::of_run(failure)).await;
        }
    }

    async fn tell(&self, callback: &dyn FailureSink, failure: &Failure) -> bool {
        let told = AssertUnwindSafe(callback.record(failure)).catch_unwind().await;
        let told = told.unwrap_or_else(|_| Err(SinkError("it panicked".to_owned())));
        self.counts.add_callback(told.is_ok());
        if let Err(e) = &told {
            let (module, station) = (&*failure.input.module, failure.input.station.as_str());
            error!(module, station, id = failure.id(), error = %e, "failure callback failed, a dead letter follows");
        }
        told.is_ok()
    }
}

/// Everything but the input, which may be large and is nobody's business in a log.
fn log(failure: &Failure) {
    let origin = failure.origin().map(|newest| format!("{}/{}/{}", newest.topic, newest.partition, newest.to_offset));
    error!(
        module = &*failure.input.module,
        station = failure.input.station.as_str(),
        reason = failure.reason.as_str(),
        detail = &*failure.detail,
        attempts = failure.attempts,
        id = failure.id(),
        origin,
        "run failed for good"
    );
}
