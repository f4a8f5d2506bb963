//! What a module author reads: the [`Module`] trait, what it is given, what it gives back, what its errors mean.
//! Nothing here knows where inputs come from or where results go.

#[cfg(feature = "arrow")]
mod arrow;
mod bucket;
mod chunk;
mod column;
mod columns;
mod grid;
mod input;
mod reading;
mod scalar;
mod value;

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

pub use bucket::Bucket;
pub(crate) use chunk::{Chunk, make_room};
pub use column::Column;
pub(crate) use column::Piece;
pub use columns::Columns;
pub(crate) use columns::Times;
pub use grid::Grid;
pub use input::{InputHash, LineageRange, ModuleInput, Quality, ReadingOrigin, Status, TopicInput};
pub use reading::Reading;
pub use scalar::Scalar;
pub use value::Value;

/// A model that is called with one station's complete input.
///
/// * **Who calls, when:** the service, when an input of the station has changed, everything required is present and
///   young enough, and the module's trigger allows it. Changes that arrive while a call waits or runs coalesce into one
///   further call with the newest values.
/// * **How often at once:** one call per station at a time, in order; up to `concurrency` stations in parallel.
/// * **On which thread:** one of the module threads, never one that polls Kafka. Blocking and computing are fine.
///   A module that only waits (for HTTP, say) returns `true` from [`Module::waits`]: its calls share one thread.
/// * **How long:** until `timeout`. A call that takes longer counts as failed; its thread is abandoned and replaced.
/// * **How much:** 10,000 results of 64 MiB together at the most; more count as a rejected input. What a call allocates
///   meanwhile is not bounded: modules share the service's memory.
/// * **Panic:** costs this call, nothing else.
/// * **Twice:** after a crash a call may be repeated with the same input; results then carry the same `input_hash`.
#[async_trait]
pub trait Module: Send + Sync + 'static {
    /// The name used in `[modules.NAME]`, lower case with underscores.
    fn name(&self) -> &'static str;

    /// Changes whenever the same input may give another result. Part of every result and of its hash.
    fn version(&self) -> &'static str {
        "1"
    }

    /// Whether a call spends its time waiting rather than computing.
    fn waits(&self) -> bool {
        false
    }

    /// Computes the results for one station: each becomes one record on the module's output topic, keyed by the
    /// station. An empty list publishes nothing and is a success.
    ///
    /// # Errors
    /// [`ModuleError::Retriable`] is tried again as configured; [`ModuleError::Rejected`] never is. What fails for good
    /// is dead-lettered together with the input.
    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError>;
}

/// One result: JSON, ready to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    json: Box<str>,
}

impl Output {
    /// A result from anything that serialises to JSON. Non-finite numbers become null: JSON cannot hold them.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when `value` has no JSON form (a map with keys that are not strings, say).
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, ModuleError> {
        match serde_json::to_string(value) {
            Ok(text) => Ok(Self { json: text.into() }),
            Err(e) => Err(ModuleError::rejected(format!("result is not JSON: {e}"))),
        }
    }

    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.json
    }
}

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleError {
    /// May succeed when tried again: a service that did not answer, a resource in use.
    Retriable(String),
    /// Will never succeed on this input: a value out of range, a shape the model does not know.
    Rejected(String),
}

impl ModuleError {
    /// A [`ModuleError::Retriable`] with `detail`.
    pub fn retriable(detail: impl Into<String>) -> Self {
        Self::Retriable(detail.into())
    }

    /// A [`ModuleError::Rejected`] with `detail`.
    pub fn rejected(detail: impl Into<String>) -> Self {
        Self::Rejected(detail.into())
    }
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retriable(detail) | Self::Rejected(detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for ModuleError {}
