//! Work that blocks, beside the runtime.

/// Runs `work` on a thread of its own kind; none when it panicked or the runtime ends.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    #[expect(clippy::disallowed_methods, reason = "the place where work that blocks leaves the runtime")]
    let done = tokio::task::spawn_blocking(work);
    done.await.ok()
}
