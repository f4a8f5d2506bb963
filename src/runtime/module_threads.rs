//! Module threads: modules run here and nowhere else, so that one that computes, blocks, hangs or panics costs its own
//! call. A thread past its deadline is abandoned, counted and replaced; at most four per module, then calls of that
//! module wait until one of its threads comes back. No module may hold every thread.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::executor::block_on;
use quorate_core::contract::{Module, ModuleError, ModuleInput, Output};
use quorate_core::ident::ModuleId;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::timeout;
use tracing::{error, warn};

use super::waiting_room::{Waited, WaitingRoom};
use crate::pipeline::ports::{CallOutcome, Executor};

/// Threads of one module that may be past their deadline at the same time.
const MAX_ABANDONED: usize = 4;

/// A module and the longest one call of it may take.
#[derive(Clone)]
pub struct RegisteredModule {
    /// The module.
    pub module: Arc<dyn Module>,
    /// The longest one call may take, from the moment a thread takes it up.
    pub timeout: Duration,
}

/// Runs modules on threads of their own.
pub struct ModuleThreads {
    modules: Vec<Entry>,
    /// One permit per thread that takes calls.
    free: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Worker>>>,
}

/// One module, the threads it may hold at the same time, and those it has lost.
struct Entry {
    registered: RegisteredModule,
    share: Semaphore,
    lost: Arc<Lost>,
    /// Where its calls wait, if that is all they do.
    waiting: Option<WaitingRoom>,
}

/// Threads of one module that are past their deadline.
#[derive(Debug, Default)]
struct Lost {
    count: AtomicUsize,
    returned: Notify,
}

impl Lost {
    /// Waits until fewer than [`MAX_ABANDONED`] threads are lost: what is due waits rather than fails.
    async fn wait_for_one_to_spare(&self) {
        loop {
            let mut returned = std::pin::pin!(self.returned.notified());
            returned.as_mut().enable();
            if self.count.load(Ordering::Acquire) < MAX_ABANDONED {
                return;
            }
            returned.await;
        }
    }
}

/// One thread and the way to give it a call. It ends when the sender is dropped.
struct Worker {
    calls: mpsc::SyncSender<Call>,
}

struct Call {
    module: Arc<dyn Module>,
    input: Arc<ModuleInput>,
    reply: oneshot::Sender<CallOutcome>,
}

impl ModuleThreads {
    /// `threads` threads for modules that compute, at least one for each, and one for each that only waits.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn new(modules: Vec<RegisteredModule>, threads: usize) -> std::io::Result<Self> {
        let computing = modules.iter().filter(|registered| !registered.module.waits()).count().max(1);
        let threads = threads.max(computing);
        let share = threads - (computing - 1);
        let idle = (0..threads).map(|_| Worker::start()).collect::<Result<Vec<_>, _>>()?;
        let modules = modules.into_iter().map(|registered| Entry::new(registered, share));
        Ok(Self {
            modules: modules.collect::<Result<_, _>>()?,
            free: Arc::new(Semaphore::new(threads)),
            idle: Arc::new(Mutex::new(idle)),
        })
    }

    async fn compute(&self, entry: &Entry, input: Arc<ModuleInput>) -> CallOutcome {
        let Entry { registered, share, lost, .. } = entry;
        lost.wait_for_one_to_spare().await;
        let (Ok(_share), Ok(_thread)) = (share.acquire().await, self.free.acquire().await) else {
            return CallOutcome::Failed("module threads are closed".to_owned());
        };
        let Some(worker) = self.worker() else {
            return CallOutcome::Failed("no thread could be started".to_owned());
        };
        let (reply, mut outcome) = oneshot::channel();
        let call = Call { module: Arc::clone(&registered.module), input, reply };
        if worker.calls.send(call).is_err() {
            return CallOutcome::Failed("module thread ended".to_owned());
        }
        match timeout(registered.timeout, &mut outcome).await {
            Ok(Ok(outcome)) => {
                lock(&self.idle).push(worker);
                outcome
            }
            Ok(Err(_)) => CallOutcome::Panicked("module thread ended".to_owned()),
            Err(_) => {
                abandon(registered, lost, async move { drop(outcome.await) });
                CallOutcome::Stuck(registered.timeout)
            }
        }
    }

    /// An idle thread, or a new one in place of an abandoned one.
    fn worker(&self) -> Option<Worker> {
        let idle = lock(&self.idle).pop();
        idle.or_else(|| Worker::start().inspect_err(|e| error!(error = %e, "module thread not started")).ok())
    }

    async fn wait(&self, entry: &Entry, room: &WaitingRoom, input: Arc<ModuleInput>) -> CallOutcome {
        let Entry { registered, lost, .. } = entry;
        lost.wait_for_one_to_spare().await;
        let module = Arc::clone(&registered.module);
        match room.drive(async move { guarded(&*module, &input).await }, registered.timeout).await {
            Waited::Done(outcome) => outcome,
            Waited::Panicked(words) => CallOutcome::Panicked(words),
            Waited::TimedOut => CallOutcome::TimedOut(registered.timeout),
            Waited::Blocks(task) => {
                abandon(registered, lost, async move { drop(task.await) });
                CallOutcome::Stuck(registered.timeout)
            }
        }
    }
}

#[async_trait]
impl Executor for ModuleThreads {
    async fn call(&self, module: ModuleId, input: Arc<ModuleInput>) -> CallOutcome {
        let entry = &self.modules[module.ix()];
        match &entry.waiting {
            Some(room) => self.wait(entry, room, input).await,
            None => self.compute(entry, input).await,
        }
    }
}

impl Entry {
    fn new(registered: RegisteredModule, share: usize) -> std::io::Result<Self> {
        let waiting = registered.module.waits().then(WaitingRoom::open).transpose()?;
        Ok(Self { registered, share: Semaphore::new(share), lost: Arc::default(), waiting })
    }
}

impl Worker {
    fn start() -> std::io::Result<Self> {
        let (calls, inbox) = mpsc::sync_channel::<Call>(1);
        thread::Builder::new().name("module".to_owned()).spawn(move || {
            while let Ok(Call { module, input, reply }) = inbox.recv() {
                // Whoever asked may have given up: then this thread was abandoned and its sender is gone too.
                let _ = reply.send(block_on(guarded(&*module, &input)));
            }
        })?;
        Ok(Self { calls })
    }
}

/// Counts a thread past its deadline until its call ends after all.
fn abandon(registered: &RegisteredModule, lost: &Arc<Lost>, over: impl Future<Output = ()> + Send + 'static) {
    let stuck = lost.count.fetch_add(1, Ordering::AcqRel) + 1;
    let module = registered.module.name();
    warn!(module, stuck, limit = MAX_ABANDONED, "module call past its deadline, thread abandoned");
    let lost = Arc::clone(lost);
    #[expect(
        clippy::disallowed_methods,
        reason = "a watcher that ends with the call it watches, at most four a module"
    )]
    tokio::spawn(async move {
        over.await;
        lost.count.fetch_sub(1, Ordering::AcqRel);
        lost.returned.notify_waiters();
    });
}

/// Calls a module and turns everything it may do into an outcome.
async fn guarded(module: &dyn Module, input: &ModuleInput) -> CallOutcome {
    match AssertUnwindSafe(module.invoke(input)).catch_unwind().await {
        Ok(result) => outcome(result),
        Err(panic) => CallOutcome::Panicked(panic_text(&*panic)),
    }
}

fn outcome(result: Result<Vec<Output>, ModuleError>) -> CallOutcome {
    match result {
        Ok(outputs) => CallOutcome::Returned(outputs),
        Err(ModuleError::Retriable(detail)) => CallOutcome::Failed(detail),
        Err(ModuleError::Rejected(detail)) => CallOutcome::Rejected(detail),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic without a message".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use quorate_core::contract::{InputHash, Quality};
    use quorate_core::ident::{Millis, Station};

    use super::*;

    /// A module that does what the station's name says.
    struct Obedient {
        waits: bool,
        gate: Arc<Barrier>,
    }

    #[async_trait]
    impl Module for Obedient {
        fn name(&self) -> &'static str {
            "obedient"
        }

        fn waits(&self) -> bool {
            self.waits
        }

        async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
            match input.station.as_str() {
                "panic" => panic!("as told"),
                "block" => {
                    self.gate.wait();
                    Ok(Vec::new())
                }
                "hang" => std::future::pending().await,
                "thread" => Ok(vec![Output::json(&thread::current().name())?]),
                _ => Ok(vec![Output::json(&1)?]),
            }
        }
    }

    fn input(station: &str) -> Arc<ModuleInput> {
        let quality = Quality {
            complete: true,
            total_topics: 0,
            available_topics: Vec::new(),
            missing_topics: Vec::new(),
            stale_topics: Vec::new(),
            availability_ratio: 1.0,
        };
        Arc::new(ModuleInput {
            at: Millis(0),
            module: Arc::from("obedient"),
            station: Station::from(station),
            inputs: Vec::new(),
            quality,
            lineage: Vec::new(),
            input_hash: InputHash(0),
            bucket: None,
            reading: None,
        })
    }

    fn threads(waits: bool, parties: usize, timeout: Duration) -> (ModuleThreads, Arc<Barrier>) {
        let gate = Arc::new(Barrier::new(parties));
        let module = Arc::new(Obedient { waits, gate: Arc::clone(&gate) });
        let threads = ModuleThreads::new(vec![RegisteredModule { module, timeout }], 2).expect("threads");
        (threads, gate)
    }

    const M: ModuleId = ModuleId(0);

    #[tokio::test]
    async fn a_panic_costs_its_own_call() {
        for waits in [false, true] {
            let (threads, _) = threads(waits, 1, Duration::from_secs(30));
            assert_eq!(threads.call(M, input("panic")).await, CallOutcome::Panicked("as told".to_owned()));
            assert!(matches!(threads.call(M, input("fine")).await, CallOutcome::Returned(_)));
        }
    }

    #[tokio::test]
    async fn a_module_never_runs_on_the_runtime_that_called_it() {
        let (computing, _) = threads(false, 1, Duration::from_secs(30));
        let (waiting, _) = threads(true, 1, Duration::from_secs(30));
        for (threads, name) in [(computing, "\"module\""), (waiting, "\"module-waits\"")] {
            let CallOutcome::Returned(outputs) = threads.call(M, input("thread")).await else { panic!("no result") };
            assert_eq!(outputs[0].as_json(), name);
        }
    }

    #[tokio::test]
    async fn blocked_threads_are_replaced_up_to_four_and_then_calls_wait_until_one_comes_back() {
        let (threads, gate) = threads(false, MAX_ABANDONED + 1, Duration::from_millis(50));
        for _ in 0..MAX_ABANDONED {
            assert!(matches!(threads.call(M, input("block")).await, CallOutcome::Stuck(_)));
        }
        let mut waiting = std::pin::pin!(threads.call(M, input("fine")));
        assert!(futures::poll!(waiting.as_mut()).is_pending(), "four threads are lost");
        gate.wait();
        assert!(matches!(waiting.await, CallOutcome::Returned(_)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_module_holds_every_thread() {
        let gate = Arc::new(Barrier::new(4));
        let module = Arc::new(Obedient { waits: false, gate: Arc::clone(&gate) });
        let registered = RegisteredModule { module, timeout: Duration::from_secs(30) };
        let threads = ModuleThreads::new(vec![registered.clone(), registered], 4).expect("threads");
        let threads = Arc::new(threads);
        let block = |_| {
            let threads = Arc::clone(&threads);
            tokio::spawn(async move { threads.call(M, input("block")).await })
        };
        let blocked: Vec<_> = (0..3).map(block).collect();
        while threads.modules[0].share.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(threads.call(ModuleId(1), input("fine")).await, CallOutcome::Returned(_)));
        tokio::task::block_in_place(|| gate.wait());
        for call in blocked {
            assert!(matches!(call.await, Ok(CallOutcome::Returned(_))));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_module_that_blocks_although_it_only_waits_costs_its_own_calls_and_is_served_again() {
        let gate = Arc::new(Barrier::new(2));
        let module = |gate: &Arc<Barrier>| Arc::new(Obedient { waits: true, gate: Arc::clone(gate) });
        let modules = [module(&gate), module(&gate)];
        let modules = modules.map(|module| RegisteredModule { module, timeout: Duration::from_millis(500) });
        let threads = Arc::new(ModuleThreads::new(modules.to_vec(), 2).expect("threads"));
        let call = |module: u16, what: &'static str| {
            let threads = Arc::clone(&threads);
            tokio::spawn(async move { threads.call(ModuleId(module), input(what)).await })
        };
        let hanging = call(0, "hang");
        let blocked = call(0, "block");
        assert!(matches!(call(1, "fine").await, Ok(CallOutcome::Returned(_))), "another module does not notice");
        assert!(matches!(hanging.await, Ok(CallOutcome::TimedOut(_))), "it may be tried again");
        assert!(matches!(blocked.await, Ok(CallOutcome::Stuck(_))));
        assert!(matches!(call(0, "fine").await, Ok(CallOutcome::Returned(_))), "on another thread");
        assert_eq!(threads.modules[0].lost.count.load(Ordering::Acquire), 1);
        tokio::task::block_in_place(|| gate.wait());
        while threads.modules[0].lost.count.load(Ordering::Acquire) > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_module_that_only_waits_is_cancelled_at_its_deadline() {
        let (threads, _) = threads(true, 1, Duration::from_millis(50));
        assert!(matches!(threads.call(M, input("hang")).await, CallOutcome::TimedOut(_)));
        assert!(matches!(threads.call(M, input("fine")).await, CallOutcome::Returned(_)));
    }
}
