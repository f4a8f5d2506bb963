//! [`Attempt`]: one call of a module on a thread of its own, so that a panic or a call that never ends costs the check and
//! not the checker. Judges nothing.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use quorate_core::contract::{Module, ModuleError, ModuleInput, Output};

use crate::testing::call;

/// What a module said.
pub(super) type Answer = Result<Vec<Output>, ModuleError>;

/// A call under way, or why there is none.
pub(super) struct Attempt(Result<Running, String>);

struct Running {
    answer: Receiver<Answer>,
    thread: JoinHandle<()>,
}

impl Attempt {
    pub(super) fn start(module: &Arc<dyn Module>, input: &ModuleInput) -> Self {
        let (sender, answer) = sync_channel(1);
        let (module, input) = (Arc::clone(module), input.clone());
        let thread = Builder::new().name("conformance".to_owned()).spawn(move || {
            // Nobody listens any more when the call was late.
            drop(sender.send(call(&*module, &input)));
        });
        Self(thread.map(|thread| Running { answer, thread }).map_err(|e| format!("no thread to call on: {e}")))
    }

    /// The answer, or in words why there is none. A thread that is late is left behind.
    pub(super) fn wait(self, patience: Duration) -> Result<Answer, String> {
        let Running { answer, thread } = self.0?;
        match answer.recv_timeout(patience) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => Err(format!("no answer after {patience:?}")),
            Err(RecvTimeoutError::Disconnected) => {
                let payload = thread.join().err();
                let text = payload.as_ref().and_then(|payload| {
                    let text = payload.downcast_ref::<&str>().copied();
                    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
                });
                Err(format!("panicked: {}", text.unwrap_or("without a text")))
            }
        }
    }
}
