//! What the consumers of a run are made from, and the topics of one of them as its thread sees them.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::ident::TopicId;

use crate::config::{ConsumerSettings, Properties, TopicSettings};
use crate::pipeline::durable::Standings;
use crate::pipeline::lane::LaneSender;
use crate::pipeline::ports::Commit;

/// Asks the pipeline for the newest settled positions of topics that are about to be lost. It is called inside the
/// revoke callback, on a consumer's thread, and must return within 50 ms.
pub type SettledNow = Arc<dyn Fn(&[TopicId]) -> Vec<Commit> + Send + Sync>;

/// Everything the consumers need. Tables are indexed by [`TopicId`].
pub struct IntakeSetup {
    /// The consumers to build.
    pub consumers: Vec<ConsumerSettings>,
    /// The topics' names.
    pub names: Vec<Arc<str>>,
    /// The topics' settings.
    pub topics: Vec<TopicSettings>,
    /// Topics whose windows have to be read again although their partitions stand somewhere: they are wider than what
    /// is durable, or are not durable at all. Absent entries say no.
    pub reload: Vec<bool>,
    /// Where partitions stand durably. Empty where nothing outlives the process: then the groups' positions count.
    pub standings: Arc<Standings>,
    /// What clients have in common that are no consumers, to ask for the configuration of topics.
    pub client: Properties,
    /// How long consumers wait before they believe what they see.
    pub timing: Timing,
    /// The topics' lanes.
    pub lanes: Vec<LaneSender>,
    /// Settled positions at the moment of a revoke.
    pub settled: SettledNow,
    /// The pipeline's runtime: consumer threads wait on it for room in a lane.
    pub runtime: tokio::runtime::Handle,
}

/// How long consumers wait before they believe what they see. Tests are less patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often the cluster is asked whether a topic was deleted and created again.
    pub topic_check: Duration,
    /// How long partitions may be missing after a rebalance before somebody else is held to own them.
    pub split_after: Duration,
    /// How long a partition's end may move while nothing arrives before its consumer is built anew.
    pub stalled_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            topic_check: Duration::from_secs(10),
            split_after: Duration::from_secs(30),
            stalled_after: Duration::from_secs(60),
        }
    }
}

/// A topic of one consumer, by its place in that consumer's list.
pub(super) type Slot = usize;

/// One topic as its consumer's thread sees it.
#[derive(Debug)]
pub(super) struct SubscribedTopic {
    pub id: TopicId,
    pub name: Arc<str>,
    pub settings: TopicSettings,
    pub reload: bool,
    pub standings: Arc<Standings>,
    pub client: Arc<Properties>,
    pub lane: LaneSender,
}

/// The slot of a topic by name. Consumers have few topics, mostly one.
pub(super) fn slot_of(topics: &[SubscribedTopic], name: &str) -> Option<Slot> {
    topics.iter().position(|topic| &*topic.name == name)
}
