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
use crate::history::{Place, Role, Seen};
use crate::process::Process;

/// The pause between two looks, and how long one may take; a broker that is away has nothing to say.
const EVERY: Duration = Duration::from_millis(200);
const PATIENT: Duration = Duration::from_secs(1);

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
                let process = Process(pid.load(Ordering::Acquire));
                peak_kib = peak_kib.max(process.status("VmHWM").unwrap_or(0));
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
pub struct Group {
    topic: String,
    client: BaseConsumer,
    committed: BTreeMap<i32, i64>,
    ends: BTreeMap<i32, i64>,
    seen: Seen,
}

impl Group {
    /// Somebody who asks about the group and is no member of it.
    pub fn new(broker: &Broker, scenario: &str, role: Role) -> Self {
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
        self.seen.tries += 1;
        let Some(committed) = self.ask() else { return };
        self.seen.looks += 1;
        for (partition, offset) in committed {
            let Some(offset) = offset else { continue };
            let before = self.committed.insert(partition, offset);
            if let Some(before) = before.filter(|before| *before > offset) {
                self.seen.back.push((partition, before, offset));
            }
            self.compare_with_end(partition, offset);
        }
    }

    /// What is committed of each partition; none when the broker does not say.
    fn ask(&self) -> Option<BTreeMap<i32, Option<i64>>> {
        let metadata = self.client.fetch_metadata(Some(&self.topic), PATIENT).ok()?;
        let mut question = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            question.add_partition(&self.topic, partition.id());
        }
        let answer = self.client.committed_offsets(question, PATIENT).ok()?;
        let offset = |offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
        Some(answer.elements().iter().map(|of| (of.partition(), offset(of.offset()))).collect())
    }

    /// Where each partition stands: what is committed, and the end of its log; none when the broker does not say.
    pub fn stands(&self) -> Option<Vec<(Place, i64, i64)>> {
        let stand = |(partition, committed): (i32, Option<i64>)| {
            let (_, end) = self.client.fetch_watermarks(&self.topic, partition, PATIENT).ok()?;
            Some(((self.topic.clone(), partition), committed.unwrap_or(0), end))
        };
        self.ask()?.into_iter().map(stand).collect()
    }

    /// Records behind what is committed; none when the broker does not say.
    pub fn lag(&self) -> Option<i64> {
        let behind = self.ask()?.into_iter().map(|(partition, committed)| {
            let (begin, end) = self.client.fetch_watermarks(&self.topic, partition, PATIENT).ok()?;
            Some(end - committed.unwrap_or(begin))
        });
        behind.sum()
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
