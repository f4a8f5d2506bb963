//! Topics and groups of a broker: created, changed and looked at through the client library, which takes milliseconds
//! where Kafka's own tools take a second.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::broker::{ANSWER_WITHIN, Broker};
use crate::within;

/// Offsets by partition.
pub type Offsets = BTreeMap<i32, i64>;

impl Broker {
    /// Creates a topic and returns when every partition can be read and written.
    pub fn create_topic(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in config {
            topic = topic.set(key, value);
        }
        let results = block_on(self.admin().create_topics([&topic], &patient())).expect("the broker answers");
        for result in results {
            result.unwrap_or_else(|(name, why)| panic!("topic {name} could not be created: {why}"));
        }
        self.wait_for_partitions(name, usize::try_from(partitions).expect("a positive number of partitions"));
    }

    /// Deletes a topic, and its offsets in every group, and returns when it is gone.
    pub fn delete_topic(&self, name: &str) {
        let results = block_on(self.admin().delete_topics(&[name], &patient())).expect("the broker answers");
        for result in results {
            result.unwrap_or_else(|(name, why)| panic!("topic {name} could not be deleted: {why}"));
        }
        self.wait_for_partitions(name, 0);
    }

    /// Raises the number of partitions to `total`.
    pub fn grow_topic(&self, name: &str, total: usize) {
        let growth = NewPartitions::new(name, total);
        let results = block_on(self.admin().create_partitions([&growth], &patient())).expect("the broker answers");
        for result in results {
            result.unwrap_or_else(|(name, why)| panic!("topic {name} could not grow: {why}"));
        }
        self.wait_for_partitions(name, total);
    }

    /// Removes what a partition holds before an offset, as retention does.
    pub fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("a valid offset");
        let results = block_on(self.admin().delete_records(&list, &patient())).expect("the broker answers");
        for element in results.elements() {
            element.error().expect("the records can be deleted");
        }
    }

    /// The first offset of every partition.
    #[must_use]
    pub fn start_offsets(&self, topic: &str) -> Offsets {
        self.watermarks(topic).into_iter().map(|(partition, (low, _))| (partition, low)).collect()
    }

    /// The offset after the last record or marker of every partition.
    #[must_use]
    pub fn end_offsets(&self, topic: &str) -> Offsets {
        self.watermarks(topic).into_iter().map(|(partition, (_, high))| (partition, high)).collect()
    }

    /// What a group committed for a topic; partitions without a commit are left out.
    #[must_use]
    pub fn committed(&self, group: &str, topic: &str) -> Offsets {
        let mut asked = TopicPartitionList::new();
        for partition in self.partitions(topic) {
            asked.add_partition(topic, partition);
        }
        let client = self.member_less(group);
        let answered = within(ANSWER_WITHIN, "the group's coordinator", || {
            match client.committed_offsets(asked.clone(), ANSWER_WITHIN) {
                Ok(answered) => Some(answered),
                // A broker that has just started takes a moment to take its groups over.
                Err(why) if is_taking_over(&why) => None,
                Err(why) => panic!("the group's coordinator does not answer: {why}"),
            }
        });
        let offsets = answered.elements().into_iter().filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        });
        offsets.collect()
    }

    /// Commits offsets for a group that has no members.
    pub fn commit(&self, group: &str, topic: &str, offsets: &Offsets) {
        let mut list = TopicPartitionList::new();
        for (&partition, &offset) in offsets {
            list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("a valid offset");
        }
        self.member_less(group).commit(&list, CommitMode::Sync).expect("a group without members takes commits");
    }

    pub(crate) fn watermarks(&self, topic: &str) -> BTreeMap<i32, (i64, i64)> {
        let client = self.observer();
        let ask = |partition| {
            // A broker that was frozen or has just started takes a moment to lead its partitions again.
            let marks = within(ANSWER_WITHIN, "the partition's leader", || {
                client.fetch_watermarks(topic, partition, ANSWER_WITHIN).ok()
            });
            (partition, marks)
        };
        self.partitions(topic).into_iter().map(ask).collect()
    }

    fn partitions(&self, topic: &str) -> Vec<i32> {
        let metadata = self.observer().fetch_metadata(Some(topic), ANSWER_WITHIN).expect("the broker answers");
        metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|partition| partition.id()).collect()
    }

    fn wait_for_partitions(&self, name: &str, count: usize) {
        let client = self.observer();
        within(ANSWER_WITHIN, &format!("{count} partitions of {name}"), || {
            let metadata = client.fetch_metadata(None, ANSWER_WITHIN).expect("the broker answers");
            let topic = metadata.topics().iter().find(|topic| topic.name() == name);
            let led = topic.map_or(0, |topic| topic.partitions().iter().filter(|p| p.leader() >= 0).count());
            (led == count).then_some(())
        });
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client_config().create().expect("the client's properties are valid")
    }

    fn observer(&self) -> BaseConsumer {
        self.client_config().create().expect("the client's properties are valid")
    }

    /// A client that speaks for a group without joining it.
    fn member_less(&self, group: &str) -> BaseConsumer {
        let mut config = self.client_config();
        config.set("group.id", group).set("enable.auto.commit", "false");
        config.create().expect("the client's properties are valid")
    }
}

fn is_taking_over(why: &KafkaError) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(why.rdkafka_error_code(), Some(CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator))
}

fn patient() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(ANSWER_WITHIN))
        .request_timeout(Some(ANSWER_WITHIN + Duration::from_secs(5)))
}
