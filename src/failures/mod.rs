//! Where runs that failed for good are told of outside Kafka: the HTTP callback. Knows failures and nothing of how they
//! came about; what cannot be told here is the pipeline's to keep.

mod callback;
mod http;

pub use callback::{CallbackSettings, HttpCallback};
pub use http::TargetError;
