//! The one place of this room that spawns threads: each has a name, and ends by returning.

use std::io;
use std::thread::{Builder, JoinHandle};

use tokio::sync::oneshot;

/// Runs `work` on a thread of its own.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(short(name)).spawn(work)
}

/// Runs blocking `work` on a thread of its own and waits for its result; none when the thread could not be had.
pub(super) async fn offload<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    let spawned = spawn(name, move || {
        // Whoever asked may have stopped waiting.
        let _ = done.send(work());
    });
    if let Err(error) = spawned {
        tracing::error!(thread = name, %error, "no thread");
        return None;
    }
    result.await.ok()
}

/// Linux shows 15 bytes of a thread's name; the end of a group id says more than its beginning.
fn short(name: &str) -> String {
    let skip = name.chars().count().saturating_sub(15);
    name.chars().skip(skip).filter(|c| *c != '\0').collect()
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_thread_name_keeps_the_end_that_tells_topics_apart() {
        assert_eq!(short("analysis-SCHEDULE-CAR-ORDER"), "EDULE-CAR-ORDER");
        assert_eq!(short("a"), "a");
    }
}
