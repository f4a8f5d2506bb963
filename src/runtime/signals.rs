//! Signals of the operating system as events: the first asks for a drain, the second ends at once.

use std::io;
use std::time::Duration;

use futures::FutureExt;

/// Which signal asked the service to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT, Ctrl-C, Ctrl-Break.
    Interrupt,
    /// SIGTERM, a closing console, a shutdown.
    Terminate,
}

/// Wrappers often pass one Ctrl-C on while the terminal sends it too: within this time it is the same signal.
const SAME_SIGNAL: Duration = Duration::from_millis(250);

impl Signals {
    /// Waits for a signal that is not the first one's echo.
    pub async fn second(&mut self) -> StopSignal {
        tokio::time::sleep(SAME_SIGNAL).await;
        while self.next().now_or_never().is_some() {}
        self.next().await
    }
}

/// The signals that stop the service.
#[cfg(unix)]
#[derive(Debug)]
pub struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Takes the signals over from their defaults.
    ///
    /// # Errors
    /// When the operating system refuses to.
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.interrupt.recv() => StopSignal::Interrupt,
            _ = self.terminate.recv() => StopSignal::Terminate,
        }
    }
}

/// The console events that stop the service.
#[cfg(windows)]
#[derive(Debug)]
pub struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    break_: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
    shutdown: tokio::signal::windows::CtrlShutdown,
}

#[cfg(windows)]
impl Signals {
    /// Takes the console events over from their defaults.
    ///
    /// # Errors
    /// When the operating system refuses to.
    pub fn new() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
        Ok(Self { interrupt: ctrl_c()?, break_: ctrl_break()?, close: ctrl_close()?, shutdown: ctrl_shutdown()? })
    }

    /// Waits for the next event.
    pub async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.interrupt.recv() => StopSignal::Interrupt,
            _ = self.break_.recv() => StopSignal::Interrupt,
            _ = self.close.recv() => StopSignal::Terminate,
            _ = self.shutdown.recv() => StopSignal::Terminate,
        }
    }
}
