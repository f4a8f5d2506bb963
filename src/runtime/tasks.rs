//! Tasks of the service, each with a name. One that ends by a panic is an event that ends the service: a stage of the
//! pipeline has no life of its own.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{Instrument, error, info_span};

/// The running tasks. Dropping it aborts them.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<()>,
    failed: Arc<Notify>,
}

impl Tasks {
    /// Spawns a task under `name`.
    pub fn spawn(&mut self, name: String, task: impl Future<Output = ()> + Send + 'static) {
        let failed = Arc::clone(&self.failed);
        let span = info_span!("task", name);
        let guarded = async move {
            let guard = PanicGuard { name, failed, armed: true };
            task.await;
            guard.disarm();
        };
        self.set.spawn(guarded.instrument(span));
    }

    /// Resolves when a task has panicked.
    pub fn failed(&self) -> Arc<Notify> {
        Arc::clone(&self.failed)
    }

    /// Ends every task that has not ended by itself.
    pub async fn stop(&mut self) {
        self.set.abort_all();
        while self.set.join_next().await.is_some() {}
    }
}

/// Dropped armed only while a panic unwinds or the task is aborted.
struct PanicGuard {
    name: String,
    failed: Arc<Notify>,
    armed: bool,
}

impl PanicGuard {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if self.armed && std::thread::panicking() {
            error!(task = self.name, "task panicked, service stops");
            self.failed.notify_one();
        }
    }
}
