//! The room where tasks and threads are made and the clock is read: spawning under a name, module threads, time, limits.

mod blocking;
mod clock;
mod limits;
mod module_threads;
mod signals;
mod tasks;
mod waiting_room;

pub use blocking::blocking;
pub use clock::WallClock;
pub use limits::{TooLittle, check_limits};
pub use module_threads::{ModuleThreads, RegisteredModule};
pub use signals::{Signals, StopSignal};
pub use tasks::Tasks;
