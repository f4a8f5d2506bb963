//! [`latest`]: the newest reading of a topic that may be absent, in the shape a module wants it in.

use quorate_core::contract::{ModuleError, ModuleInput, Reading, Value};

/// None when the topic is absent, from the configuration or from the input.
///
/// # Errors
/// [`ModuleError::Rejected`] naming the topic, when its window is of another kind or `parse` fails.
pub(crate) fn latest<T>(
    input: &ModuleInput,
    topic: &str,
    parse: impl FnOnce(&Reading) -> Result<T, ModuleError>,
) -> Result<Option<T>, ModuleError> {
    match input.topic(topic).map(|topic| &topic.value) {
        Err(_) | Ok(Value::Missing) => Ok(None),
        Ok(value) => value.reading().and_then(parse).map(Some).map_err(|e| of(topic, &e)),
    }
}

/// The newest reading of a topic that must be there.
///
/// # Errors
/// [`ModuleError::Rejected`] naming the topic, also when it is absent.
pub(crate) fn needed<T>(
    input: &ModuleInput,
    topic: &str,
    parse: impl FnOnce(&Reading) -> Result<T, ModuleError>,
) -> Result<T, ModuleError> {
    let value = &input.topic(topic)?.value;
    value.reading().and_then(parse).map_err(|e| of(topic, &e))
}

/// `error` with the topic that it is about.
pub(crate) fn of(topic: &str, error: &ModuleError) -> ModuleError {
    ModuleError::rejected(format!("{topic}: {error}"))
}
