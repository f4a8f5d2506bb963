//! The set of consumers, as the pipeline sees it: starts their threads, passes orders on, closes them side by side.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate_core::ident::{Millis, TopicId};
use tokio::sync::{oneshot, watch};

use super::broken::{Fate, Hopeless};
use super::errors::KafkaRoomError;
use super::health::{ConsumerHealth, TopicHealth, TopicState};
use super::intake::{IntakeSetup, SubscribedTopic};
use super::mailbox::Mailbox;
use super::supervise::Member;
use super::{clock, threads};
use crate::config::{ConsumerSettings, Properties};
use crate::pipeline::ports::{Commit, Consumers};

/// All consumers of a run.
pub struct KafkaConsumers {
    members: Vec<Handle>,
    /// The member that reads a topic, by [`TopicId`].
    readers: Vec<Option<usize>>,
    health: Arc<ConsumerHealth>,
    fate: Arc<Fate>,
}

struct Handle {
    group: Arc<str>,
    mailbox: Arc<Mailbox>,
    closed: Mutex<Option<oneshot::Receiver<()>>>,
}

/// Nobody can order anything any more, so nothing is left to serve.
impl Drop for KafkaConsumers {
    fn drop(&mut self) {
        for member in &self.members {
            member.mailbox.close(clock::now());
        }
    }
}

/// How closing went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseReport {
    /// Groups whose consumer was closed in time.
    pub closed: Vec<Arc<str>>,
    /// Groups whose consumer was left behind at the deadline.
    pub abandoned: Vec<Arc<str>>,
}

impl KafkaConsumers {
    /// Starts one thread per consumer. They connect by themselves, and for as long as it takes.
    ///
    /// # Errors
    /// A consumer names a topic that is not configured, or the system refuses a thread.
    pub fn start(setup: IntakeSetup) -> Result<Arc<Self>, KafkaRoomError> {
        let mut readers = vec![None; setup.names.len()];
        let mut boards: Vec<Option<TopicHealth>> = setup.names.iter().map(|_| None).collect();
        let client = Arc::new(setup.client.clone());
        let mut subscriptions: Vec<Arc<[SubscribedTopic]>> = Vec::with_capacity(setup.consumers.len());
        for (member, consumer) in setup.consumers.iter().enumerate() {
            let topics = consumer.topics.iter().map(|topic| subscribed(&setup, &client, consumer, *topic));
            let topics: Arc<[SubscribedTopic]> = topics.collect::<Result<Vec<_>, _>>()?.into();
            for topic in topics.iter() {
                readers[topic.id.ix()] = Some(member);
                boards[topic.id.ix()] = Some(unread(consumer, topic));
            }
            subscriptions.push(topics);
        }
        let health = Arc::new(ConsumerHealth::new(boards));
        let fate = Arc::new(Fate::new(subscriptions.len()));
        let topics: usize = subscriptions.iter().map(|topics| topics.len()).sum();
        tracing::info!(consumers = setup.consumers.len(), topics, "starting consumers");
        let mut members = Vec::with_capacity(setup.consumers.len());
        for (settings, topics) in setup.consumers.into_iter().zip(subscriptions) {
            let mailbox = Arc::new(Mailbox::default());
            let (closed, waiting) = oneshot::channel();
            let group = settings.group.clone();
            let member = Member {
                settings,
                topics,
                mailbox: Arc::clone(&mailbox),
                settled: Arc::clone(&setup.settled),
                health: Arc::clone(&health),
                fate: Arc::clone(&fate),
                timing: setup.timing,
                runtime: setup.runtime.clone(),
                closed,
            };
            threads::spawn(&group, move || member.live())
                .map_err(|source| KafkaRoomError::Thread { client: group.clone(), source })?;
            members.push(Handle { group: group.into(), mailbox, closed: Mutex::new(Some(waiting)) });
        }
        Ok(Arc::new(Self { members, readers, health, fate }))
    }

    /// The board that shows how each topic stands.
    #[must_use]
    pub fn health(&self) -> &Arc<ConsumerHealth> {
        &self.health
    }

    /// Says when the process had better end and leave the rest to whoever supervises it; consumers go on trying what
    /// they can meanwhile.
    #[must_use]
    pub fn hopeless(&self) -> watch::Receiver<Option<Hopeless>> {
        self.fate.watch()
    }

    /// How many consumer clients there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Commits what is settled, leaves all groups side by side, and returns after `patience` at the latest. A consumer
    /// whose broker does not answer is left behind; the process may end without it.
    pub async fn close(&self, patience: Duration) -> CloseReport {
        let deadline = clock::now() + patience;
        for member in &self.members {
            member.mailbox.close(deadline);
        }
        let waiting = self.members.iter().map(|member| async {
            let receiver = member.closed.lock().unwrap_or_else(PoisonError::into_inner).take();
            match receiver {
                Some(closed) => tokio::time::timeout(patience, closed).await.is_ok(),
                None => true,
            }
        });
        let mut report = CloseReport::default();
        for (member, in_time) in self.members.iter().zip(futures::future::join_all(waiting).await) {
            let group = Arc::clone(&member.group);
            if in_time {
                report.closed.push(group);
            } else {
                tracing::warn!(group = &*group, ?patience, "consumer not closed in time, left behind");
                report.abandoned.push(group);
            }
        }
        report
    }
}

impl Consumers for KafkaConsumers {
    fn commit(&self, commits: &[Commit]) {
        let mut by_member: Vec<Vec<Commit>> = self.members.iter().map(|_| Vec::new()).collect();
        for commit in commits {
            if let Some(Some(member)) = self.readers.get(commit.topic.ix()) {
                by_member[*member].push(*commit);
            }
        }
        for (member, commits) in self.members.iter().zip(by_member) {
            if !commits.is_empty() {
                member.mailbox.commit(commits);
            }
        }
    }

    fn stop_intake(&self) {
        for member in &self.members {
            member.mailbox.stop();
        }
    }
}

fn subscribed(
    setup: &IntakeSetup,
    client: &Arc<Properties>,
    consumer: &ConsumerSettings,
    topic: TopicId,
) -> Result<SubscribedTopic, KafkaRoomError> {
    let unknown = || KafkaRoomError::UnknownTopic { group: consumer.group.clone(), topic: topic.0 };
    Ok(SubscribedTopic {
        id: topic,
        name: Arc::clone(setup.names.get(topic.ix()).ok_or_else(unknown)?),
        settings: setup.topics.get(topic.ix()).ok_or_else(unknown)?.clone(),
        reload: setup.reload.get(topic.ix()).copied().unwrap_or_default(),
        standings: Arc::clone(&setup.standings),
        client: Arc::clone(client),
        lane: setup.lanes.get(topic.ix()).ok_or_else(unknown)?.clone(),
    })
}

fn unread(consumer: &ConsumerSettings, topic: &SubscribedTopic) -> TopicHealth {
    TopicHealth {
        topic: Arc::clone(&topic.name),
        group: consumer.group.as_str().into(),
        state: TopicState::Connecting,
        since: Millis(clock::wall().0),
        partitions: std::collections::BTreeMap::new(),
        partition_count: None,
        quota: topic.settings.quota,
        prefetch_limit_bytes: consumer.prefetch_bytes,
        prefetched_bytes: 0,
        records: 0,
        batches: 0,
        rebalances: 0,
        commits: 0,
        failed_commits: 0,
        stale_commits: 0,
        fenced_commits: 0,
        missed_offsets: 0,
        foreign_progress: 0,
        renewals: 0,
        rebuilds: 0,
        self_heals: 0,
    }
}
