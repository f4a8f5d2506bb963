//! [`ByTopic`]: one JSON object with an entry per input topic, in the order of the configuration.

use serde::ser::{Serialize, Serializer};

/// Topics with what is said about each. Serialises as `{TOPIC: T, …}`.
pub(crate) struct ByTopic<'a, T>(pub(crate) Vec<(&'a str, T)>);

impl<T: Serialize> Serialize for ByTopic<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(topic, entry)| (*topic, entry)))
    }
}
