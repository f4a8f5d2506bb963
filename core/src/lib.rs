//! The pure core of quorate: records in, effects out.
//!
//! Nothing here performs IO, spawns, locks, logs or asks for the time. Everything is a value that is driven from
//! outside, so that the same records in the same order give the same inputs, byte for byte.

pub mod breaker;
pub mod contract;
pub mod decode;
pub mod fairness;
pub mod ident;
pub mod plan;
pub mod progress;
pub mod provenance;
pub mod record;
pub mod replay;
pub mod shard;
mod window;

pub use window::{
    BucketState, ClosedBucketState, EntryState, GridCellState, GridReadingState, OpenBucketState, PendingContent,
    ResultState, RowsColumnState, RowsContentState, RowsState, RunResult, WindowState,
};
