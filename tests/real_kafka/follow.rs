//! What a test watches while the service runs: the results of a topic as they come, and that committed offsets never go
//! back.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use quorate_testkit::{Broker, Offsets, within};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::place::{PATIENCE, Place};

/// Reads a topic of results from its beginning, as far as it has been written.
pub struct Results {
    reader: BaseConsumer,
    /// The newest result of each module and station.
    last: BTreeMap<(String, String), Value>,
    count: usize,
}

impl Results {
    /// The results of a place.
    pub fn of(place: &Place<'_>) -> Self {
        let mut config = place.broker.client_config();
        config.set("group.id", "onlooker").set("enable.auto.commit", "false").set("fetch.wait.max.ms", "20");
        let reader: BaseConsumer = config.create().expect("valid properties");
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&place.output(), 0, Offset::Beginning).expect("an offset");
        reader.assign(&start).expect("a partition");
        Self { reader, last: BTreeMap::new(), count: 0 }
    }

    /// Results read so far.
    pub fn count(&mut self) -> usize {
        self.read();
        self.count
    }

    /// Waits until the newest result of every station shows these readings, by short topic name.
    pub fn until_last(&mut self, place: &Place<'_>, module: &str, stations: &[String], wanted: &[(&str, u64)]) {
        let what = format!("{module} to show {wanted:?} of {} stations", stations.len());
        within(PATIENCE, &what, || {
            self.read();
            let shown = |station: &String| {
                let result = self.last.get(&(module.to_owned(), station.clone()))?;
                let n = |topic: &str| reading_of(&result["output"], &place.topic(topic))["n"].as_u64();
                wanted.iter().all(|(topic, number)| n(topic) == Some(*number)).then_some(())
            };
            stations.iter().map(shown).collect::<Option<()>>()
        });
    }

    /// Errors are connections that come back by themselves.
    fn read(&mut self) {
        while let Some(polled) = self.reader.poll(Duration::from_millis(5)) {
            let Ok(message) = polled else { continue };
            let value: Value = serde_json::from_slice(message.payload().expect("a result")).expect("JSON");
            let name = |field: &str| value[field].as_str().expect("text").to_owned();
            self.last.insert((name("module"), name("station_id")), value.clone());
            self.count += 1;
        }
    }
}

/// A topic's reading in a result: of a scripted module, or of the compiled-in `probe`.
fn reading_of<'r>(output: &'r Value, topic: &str) -> &'r Value {
    output.get("inputs").map_or_else(|| &output[topic], |inputs| &inputs[topic]["value"])
}

/// Looks at a group's offsets again and again.
pub struct CommitWatch {
    stop: SyncSender<()>,
    thread: JoinHandle<Watched>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Watched {
    /// How often was looked, successfully.
    pub looks: usize,
    /// Offsets that went back: before and after.
    pub back: Vec<(Offsets, Offsets)>,
}

impl CommitWatch {
    /// Watches one topic of a group, which has `partitions`.
    pub fn start(broker: &Broker, group: &str, topic: &str, partitions: i32) -> Self {
        let mut config = broker.client_config();
        config.set("group.id", group).set("enable.auto.commit", "false");
        let client: BaseConsumer = config.create().expect("valid properties");
        let mut question = TopicPartitionList::new();
        for partition in 0..partitions {
            question.add_partition(topic, partition);
        }
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let (mut watched, mut before) = (Watched::default(), Offsets::new());
            loop {
                // A broker that is down has nothing to say.
                if let Ok(answer) = client.committed_offsets(question.clone(), Duration::from_secs(2)) {
                    watched.looks += 1;
                    let now: Offsets = answer
                        .elements()
                        .iter()
                        .map(|element| (element.partition(), element.offset().to_raw().unwrap_or(-1)))
                        .collect();
                    if before.iter().any(|(partition, offset)| now.get(partition).is_none_or(|now| now < offset)) {
                        watched.back.push((before, now.clone()));
                    }
                    before = now;
                }
                if stopped.recv_timeout(Duration::from_millis(20)) != Err(RecvTimeoutError::Timeout) {
                    return watched;
                }
            }
        });
        Self { stop, thread }
    }

    /// Ends the watch: something was seen, and nothing went back.
    pub fn never_went_back(self) {
        drop(self.stop);
        let watched = self.thread.join().expect("the watch does not panic");
        assert!(watched.looks > 0, "the group was never seen");
        assert!(watched.back.is_empty(), "committed offsets went back: {:?}", watched.back);
    }
}
