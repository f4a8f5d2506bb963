//! [`Reading`]: one decoded element of a record as a JSON document. Knows nothing of windows.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::ModuleError;

/// One decoded element of a record, as canonical JSON: keys sorted, of two equal keys the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    json: Arc<str>,
}

impl Reading {
    /// Wraps text that is known to be one JSON value.
    #[must_use]
    pub fn from_json(json: Arc<str>) -> Self {
        Self { json }
    }

    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// The reading as a type of the module's own; unknown keys are up to that type.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] naming the field that does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ModuleError> {
        serde_json::from_str(&self.json).map_err(|e| ModuleError::rejected(format!("reading has another shape: {e}")))
    }
}

impl Serialize for Reading {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw(&self.json).serialize(serializer)
    }
}

/// Borrowed JSON text that serialises as itself; `null` where the text is not JSON, which no constructor lets happen.
fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).unwrap_or(RawValue::NULL)
}
