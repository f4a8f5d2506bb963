//! Kafka: the only room that imports the client library. Consumers feed the pipeline's lanes and carry its commits,
//! one producer publishes, an admin client looks after topics. Knows nothing of readings, stations or modules.

mod admin;
mod assign;
mod backoff;
mod client;
mod clock;
mod closing;
mod commits;
mod connect;
mod consumers;
mod context;
mod drain;
mod embedded;
mod errors;
mod feed;
mod ffi;
mod health;
mod intake;
mod lookup;
mod mailbox;
mod offsets;
mod outbox;
mod poll;
mod producer;
mod recorder;
mod start;
mod stats;
mod supervise;
mod table;
mod tail;
mod threads;

pub use admin::{Ensured, TopicFacts, describe_topics, ensure_topics};
pub use connect::{ClusterFacts, ConnectError, wait_for_brokers};
pub use consumers::{CloseReport, KafkaConsumers};
pub use embedded::EmbeddedBroker;
pub use errors::{KafkaRoomError, Trouble, TroubleKind};
pub use feed::{Feed, FeedError, PartitionFed};
pub use health::{ConsumerHealth, PartitionHealth, TopicHealth, TopicState};
pub use intake::{IntakeSetup, SettledNow};
pub use producer::{KafkaPublisher, PublisherHealth};
pub use recorder::{RecordFrom, RecordSink, RecordUntil, Recorded, RecorderError, RecorderSetup, record};
pub use tail::{Tail, TailedRecord};
