//! Looks at the groups' offsets and at the service's memory again and again, while a scenario goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use quorate_testkit::Broker;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::config::{group, topic};
use crate::history::{Role, Seen};

/// The pause between two looks, and how long one may take; a broker that is away has nothing to say.
const EVERY: Duration = Duration::from_millis(200);
const PATIENT: Duration = Duration::from_secs(1);

/// The most memory that a process held so far, as the system calls it.
const PEAK: &str = "VmHWM:";

/// What was seen.
#[derive(Debug, Default)]
pub struct Watched {
    /// By topic.
    pub seen: BTreeMap<String, Seen>,
    /// The most memory that one process held, in KiB.
    pub peak_kib: u64,
}

/// Somebody who looks.
pub struct Watch {
    stop: SyncSender<()>,
    thread: JoinHandle<Watched>,
}

impl Watch {
    /// Watches the groups of a scenario's topics and the process with the id in `pid`; 0 is none.
    pub fn start(broker: &Broker, scenario: &str, pid: &Arc<AtomicU32>) -> Self {
        let mut groups: Vec<Group> = Role::ALL.iter().map(|role| Group::new(broker, scenario, *role)).collect();
        let pid = Arc::clone(pid);
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let mut peak_kib = 0;
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                groups.iter_mut().for_each(Group::look);
                peak_kib = peak_kib.max(memory_kib(pid.load(Ordering::Acquire), PEAK));
            }
            Watched { seen: groups.into_iter().map(|group| (group.topic, group.seen)).collect(), peak_kib }
        });
        Self { stop, thread }
    }

    /// Ends the watch.
    pub fn stop(self) -> Watched {
        drop(self.stop);
        self.thread.join().expect("the watch does not panic")
    }
}

/// One topic's group and what is known of it.
struct Group {
    topic: String,
    client: BaseConsumer,
    committed: BTreeMap<i32, i64>,
    ends: BTreeMap<i32, i64>,
    seen: Seen,
}

impl Group {
    fn new(broker: &Broker, scenario: &str, role: Role) -> Self {
        let mut config = broker.client_config();
        config.set("group.id", group(scenario, role)).set("enable.auto.commit", "false");
        let client = config.create().expect("valid properties");
        Self {
            topic: topic(scenario, role),
            client,
            committed: BTreeMap::new(),
            ends: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    /// Takes what is committed at the moment. An offset that is gone counts as the one that was there.
    fn look(&mut self) {
        let Ok(metadata) = self.client.fetch_metadata(Some(&self.topic), PATIENT) else { return };
        let mut question = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            question.add_partition(&self.topic, partition.id());
        }
        let Ok(answer) = self.client.committed_offsets(question, PATIENT) else { return };
        self.seen.looks += 1;
        for element in answer.elements() {
            let (partition, Offset::Offset(offset)) = (element.partition(), element.offset()) else { continue };
            let before = self.committed.insert(partition, offset);
            if let Some(before) = before.filter(|before| *before > offset) {
                self.seen.back.push((partition, before, offset));
            }
            self.compare_with_end(partition, offset);
        }
    }

    /// A log only grows: its end is asked for when the one known is too low.
    fn compare_with_end(&mut self, partition: i32, offset: i64) {
        if self.ends.get(&partition).is_none_or(|end| offset > *end) {
            let Ok((_, end)) = self.client.fetch_watermarks(&self.topic, partition, PATIENT) else { return };
            self.ends.insert(partition, end);
            if offset > end {
                self.seen.beyond.push((partition, offset, end));
            }
        }
    }
}

/// A figure of the memory of a process, by its name in the system's account; 0 when there is no such process.
pub fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

#[test]
fn this_process_holds_some_memory() {
    assert!(memory_kib(std::process::id(), PEAK) > 1024);
    assert_eq!(memory_kib(0, PEAK), 0);
}
