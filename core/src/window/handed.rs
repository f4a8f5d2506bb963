//! What a run of its own hands over: a closed bucket, or one reading. Unlike a window it never changes again.

use std::sync::Arc;

use super::bucket::Closed;
use super::text::{Text, value_at};
use super::{EntryState, PendingContent, TopicWindows, View};
use crate::contract::{Reading, Value};
use crate::ident::Millis;
use crate::plan::Pointer;
use crate::provenance::Provenance;

/// Where what waits is bounded, a reading counts once for every so many bytes that it begins.
const BYTES_OF_ONE: usize = 16 << 10;

/// A closed bucket, or one reading.
#[derive(Clone, Debug)]
pub(crate) enum Handed {
    Bucket(Arc<Closed>),
    Reading(Arc<Single>),
}

/// One reading as it was received.
#[derive(Debug)]
pub(crate) struct Single {
    time: Millis,
    origin: Provenance,
    reading: Reading,
    /// The hash of its provenance.
    sum: u128,
}

impl Handed {
    /// A reading on its own.
    pub(crate) fn reading(topic: &TopicWindows, time: Millis, origin: Provenance, text: &str) -> Self {
        let reading = Text::received(text).reading(&topic.projection);
        Self::Reading(Arc::new(Single { time, origin, reading, sum: origin.hash(&topic.seed) }))
    }

    /// The time of an input made of it: a bucket's end, a reading's own.
    pub(crate) fn time(&self) -> Millis {
        match self {
            Self::Bucket(bucket) => bucket.to(),
            Self::Reading(single) => single.time,
        }
    }

    /// How much it counts where what waits is bounded.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Bucket(_) => 1,
            Self::Reading(single) => single.reading.as_json().len().div_ceil(BYTES_OF_ONE),
        }
    }

    pub(crate) fn view(&self) -> View {
        match self {
            Self::Bucket(bucket) => bucket.view(),
            Self::Reading(single) => View { value: Value::Reading(single.reading.clone()), sum: single.sum },
        }
    }

    pub(crate) fn origins(&self, visit: &mut dyn FnMut(&Provenance)) {
        match self {
            Self::Bucket(bucket) => bucket.origins(visit),
            Self::Reading(single) => visit(&single.origin),
        }
    }

    /// The value at a pointer of the reading, as canonical JSON; none where there is no such value or it is null, and of
    /// a bucket.
    pub(crate) fn text_at(&self, pointer: &Pointer) -> Option<String> {
        match self {
            Self::Bucket(_) => None,
            Self::Reading(single) => value_at(single.reading.as_json(), pointer),
        }
    }

    /// When the bucket began; none for a reading.
    pub(crate) fn bucket_from(&self) -> Option<Millis> {
        match self {
            Self::Bucket(bucket) => Some(bucket.from()),
            Self::Reading(_) => None,
        }
    }

    /// Where the reading came from; none for a bucket.
    pub(crate) fn origin(&self) -> Option<Provenance> {
        match self {
            Self::Bucket(_) => None,
            Self::Reading(single) => Some(single.origin),
        }
    }

    pub(crate) fn state(&self) -> PendingContent {
        match self {
            Self::Bucket(bucket) => PendingContent::Bucket(bucket.handed_state()),
            Self::Reading(single) => {
                let Single { time, origin, reading, .. } = &**single;
                let json = reading.as_json().to_owned();
                PendingContent::Reading(EntryState { time: *time, origin: *origin, json })
            }
        }
    }

    /// The inverse of [`Handed::state`]; none when the topic keeps something else by its present plan.
    pub(crate) fn restored(topic: &TopicWindows, content: &PendingContent) -> Option<Self> {
        match (content, topic.closer()) {
            (PendingContent::Bucket(state), Some(closer)) => {
                Some(Self::Bucket(Arc::new(Closed::handed_restored(&closer, state))))
            }
            (PendingContent::Reading(entry), None) => Some(Self::reading(topic, entry.time, entry.origin, &entry.json)),
            _ => None,
        }
    }
}
