//! The one place of this room that leaves the runtime's threads: files block.

/// Runs blocking `work` beside the runtime; none when it panicked or the runtime ends. A clock that tests have stopped
/// stays stopped meanwhile. The work is done to its end even if nobody waits for it any longer.
pub(super) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    #[expect(clippy::disallowed_methods, reason = "the place where this room's blocking work leaves the runtime")]
    let done = tokio::task::spawn_blocking(work);
    done.await.ok()
}
