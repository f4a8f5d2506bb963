//! Exit codes. They are part of the product.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Success = 0,
    /// Failed while running, or the demo lost a result.
    Failed = 1,
    /// Configuration problems.
    Configuration = 3,
    /// Kafka not reachable, or login refused, within the start-up time-out.
    Unreachable = 4,
    /// Stopped at the drain deadline with runs still due.
    StillDue = 5,
    /// The state was refused, is corrupt, or can no longer be written.
    State = 6,
    /// Another process has taken over this one's identity.
    Fenced = 7,
    /// A second signal.
    Interrupted = 130,
}

/// The table that `--help` prints. 2 is a bad command line and comes from the parser.
pub(super) const TABLE: &str = "\
Exit codes:
  0    success
  1    failed while running; the demo lost a result
  2    bad command line
  3    configuration problems
  4    Kafka not reachable or login refused within startup_timeout
  5    stopped at the drain deadline with runs still due
  6    state refused, corrupt or full
  7    fenced by another process
  130  second signal";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
