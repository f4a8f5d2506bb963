//! [`WaitingRoom`]: one thread that drives all calls of one module that declares that it only waits. Where a call blocks
//! it after all, the thread is given up and another one takes its place; calls of other modules never notice.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How soon a thread that is not blocked lets go of a call that is cancelled.
const LETS_GO: Duration = Duration::from_secs(1);

/// One module's thread, and which of its calls it is busy with.
#[derive(Debug)]
pub(super) struct WaitingRoom {
    thread: Mutex<Thread>,
    calls: AtomicU64,
}

#[derive(Debug)]
struct Thread {
    /// None while the process ends.
    runtime: Option<Runtime>,
    /// The call that is being driven at the moment; 0 is none.
    busy_with: Arc<AtomicU64>,
}

/// How a call ended.
#[derive(Debug)]
pub(super) enum Waited<T> {
    /// In time.
    Done(T),
    /// It panicked outside the module, with these words.
    Panicked(String),
    /// Not in time; it was cancelled.
    TimedOut,
    /// Not in time, and it blocks its thread. Resolves once it lets go.
    Blocks(JoinHandle<T>),
}

impl Thread {
    fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("module-waits").enable_all().build()?;
        Ok(Self { runtime: Some(runtime), busy_with: Arc::default() })
    }
}

impl WaitingRoom {
    /// # Errors
    /// When the operating system refuses a thread.
    pub(super) fn open() -> std::io::Result<Self> {
        Ok(Self { thread: Mutex::new(Thread::start()?), calls: AtomicU64::new(1) })
    }

    /// Drives one call, for `patience` at the most.
    pub(super) async fn drive<T, F>(&self, call: F, patience: Duration) -> Waited<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let Some((handle, busy_with)) = self.open_to_calls() else { return std::future::pending().await };
        let noted = Arc::clone(&busy_with);
        let mut task = handle.spawn(async move {
            let mut call = pin!(call);
            poll_fn(|context| {
                noted.store(id, Ordering::Release);
                let polled = call.as_mut().poll(context);
                noted.store(0, Ordering::Release);
                polled
            })
            .await
        });
        match timeout(patience, &mut task).await {
            Ok(Ok(done)) => return Waited::Done(done),
            Ok(Err(error)) => return Waited::Panicked(error.to_string()),
            Err(_) => task.abort(),
        }
        if timeout(LETS_GO, &mut task).await.is_ok() || busy_with.load(Ordering::Acquire) != id {
            return Waited::TimedOut;
        }
        self.replace(&busy_with);
        Waited::Blocks(task)
    }

    fn open_to_calls(&self) -> Option<(Handle, Arc<AtomicU64>)> {
        let thread = self.thread();
        let runtime = thread.runtime.as_ref()?;
        Some((runtime.handle().clone(), Arc::clone(&thread.busy_with)))
    }

    /// Gives up the thread that this belongs to, unless that has happened. Without another one it stays.
    fn replace(&self, busy_with: &Arc<AtomicU64>) {
        let mut thread = self.thread();
        if Arc::ptr_eq(&thread.busy_with, busy_with)
            && thread.runtime.is_some()
            && let Ok(next) = Thread::start()
        {
            let blocked = std::mem::replace(&mut *thread, next);
            blocked.runtime.into_iter().for_each(Runtime::shutdown_background);
        }
    }

    fn thread(&self) -> MutexGuard<'_, Thread> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingRoom {
    fn drop(&mut self) {
        // Never wait for a module: the process may be ending on a deadline.
        self.thread().runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
