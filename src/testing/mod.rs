//! What a module author tests with: the real configuration and the real core, driven by hand. No Kafka, no runtime, no
//! waiting; time is whatever the test says.

mod clock;
mod outcome;
mod scenario;
mod source;

pub use clock::{ManualClock, Moment};
pub use outcome::{DeadLetter, Origin};
pub use scenario::Scenario;
pub use source::{MemorySource, Record, RecordingError};

/// Promises that every module keeps, as checks.
pub use quorate_modules::conformance;
/// Inputs made by hand, and a call without a service around it.
pub use quorate_modules::testing as inputs;

pub use quorate_core::decode::Reason;
pub use quorate_core::replay::{RecordedRecord, ReplayEvent};
pub use quorate_core::shard::{Block, Explanation, Incomplete, InputExplanation, RunStanding};
