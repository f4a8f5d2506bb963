//! The life of one consumer: build a client, run it, replace it when it breaks, close it when ordered to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use tokio::sync::oneshot;

use super::backoff::Backoff;
use super::broken::{Broken, BrokenKind, Ends, Fate, Verdict};
use super::context::PollContext;
use super::errors::{Trouble, TroubleKind};
use super::health::{ConsumerHealth, TopicState};
use super::intake::{SettledNow, SubscribedTopic, Timing};
use super::mailbox::Mailbox;
use super::outbox::Outbox;
use super::poll::{Ended, Poller};
use super::table::Table;
use super::{assign, client, clock, closing};
use crate::config::ConsumerSettings;
use crate::pipeline::ports::LaneItem;

/// A client that ran so long was sound: the next failure is a new one.
const SOUND: Duration = Duration::from_secs(60);

/// How often a consumer without a client looks whether its lanes can be told.
const STANDING_BY: Duration = Duration::from_millis(100);

/// One consumer of the set, on its way into its thread.
pub(super) struct Member {
    pub settings: ConsumerSettings,
    pub topics: Arc<[SubscribedTopic]>,
    pub mailbox: Arc<Mailbox>,
    pub settled: SettledNow,
    pub health: Arc<ConsumerHealth>,
    pub fate: Arc<Fate>,
    pub timing: Timing,
    pub runtime: tokio::runtime::Handle,
    pub closed: oneshot::Sender<()>,
}

impl Member {
    /// Runs until closed; says so at the end.
    pub(super) fn live(self) {
        let group: Arc<str> = self.settings.group.as_str().into();
        let table = Arc::new(Mutex::new(Table::new(self.topics.len(), clock::now())));
        let mut outbox = Outbox::new(Arc::clone(&self.topics), Arc::clone(&self.health));
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
        let mut ends = Ends::default();
        let mut stopping = false;
        loop {
            let context = PollContext::new(
                Arc::clone(&group),
                Arc::clone(&self.topics),
                Arc::clone(&self.settled),
                Arc::clone(&self.health),
                self.timing,
                Arc::clone(&table),
            );
            let began = clock::now();
            let broken = match self.build(context) {
                Err(error) => Broken { kind: BrokenKind::Failed, why: error.to_string() },
                Ok(consumer) => match self.run(&consumer, &mut outbox, &mut stopping) {
                    Ended::Close(deadline) => {
                        let context = Arc::clone(consumer.context());
                        closing::close(&context, consumer, deadline);
                        break;
                    }
                    Ended::Broken(broken) => {
                        self.replace(consumer, &mut outbox, broken.kind);
                        broken
                    }
                },
            };
            let Broken { kind, why } = broken;
            match ends.judge(kind, clock::now()) {
                Verdict::Rebuild => {}
                Verdict::Hopeless => self.fate.broken(&group, &why),
                Verdict::Fenced => {
                    self.stand_down(&group, &why, &mut outbox);
                    break;
                }
            }
            if clock::since(began) > SOUND {
                backoff.reset();
            }
            let pause = backoff.next();
            tracing::error!(group = &*group, error = why, retry_in = ?pause, "consumer broken, building another");
            self.fail_all(TroubleKind::Fatal, &why);
            if self.mailbox.wait_for_close(pause).is_some() {
                break;
            }
        }
        for topic in self.topics.iter() {
            self.health.enter(topic.id, TopicState::Stopped);
            tracing::info!(topic = &*topic.name, group = &*group, "topic stopped");
        }
        // Whoever ordered the end may have given up waiting.
        let _ = self.closed.send(());
    }

    fn build(&self, context: PollContext) -> KafkaResult<BaseConsumer<PollContext>> {
        let mut config = client::config(&self.settings.properties);
        config.set("group.id", &self.settings.group);
        let consumer: BaseConsumer<PollContext> = config.create_with_context(context)?;
        let names: Vec<&str> = self.topics.iter().map(|topic| &*topic.name).collect();
        consumer.subscribe(&names)?;
        for topic in self.topics.iter() {
            self.health.enter(topic.id, TopicState::Connecting);
            tracing::info!(
                topic = &*topic.name,
                group = self.settings.group,
                max_poll_records = topic.settings.quota,
                prefetch_bytes = self.settings.prefetch_bytes,
                "consumer subscribed"
            );
        }
        Ok(consumer)
    }

    fn run(&self, consumer: &BaseConsumer<PollContext>, outbox: &mut Outbox, stopping: &mut bool) -> Ended {
        let context = consumer.context();
        let loop_of_client = || Poller::new(context, consumer, &self.mailbox, outbox, stopping, &self.runtime).run();
        catch_unwind(AssertUnwindSafe(loop_of_client)).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
            Ended::Broken(Broken { kind: BrokenKind::Failed, why: format!("consumer thread panicked: {words}") })
        })
    }

    /// Takes a broken client away. Its assignments end; where it stood is kept in the table for the next one.
    fn replace(&self, consumer: BaseConsumer<PollContext>, outbox: &mut Outbox, kind: BrokenKind) {
        let context = Arc::clone(consumer.context());
        let mut table = context.table();
        table.end_all();
        outbox.extend(table.take_events());
        drop(table);
        // Whoever has the topics meanwhile may publish what this process does not know.
        let parts =
            (0..self.topics.len()).filter_map(|slot| Some((slot, LaneItem::Split(assign::part(&context, slot)?))));
        outbox.extend(parts.collect::<Vec<_>>());
        if !closing::discard(&context, consumer) {
            tracing::warn!(group = &*context.group, "a broken client does not go, its threads are left behind");
        }
        context.table().take_events();
        for topic in self.topics.iter() {
            self.health.update(topic.id, |health| {
                health.partitions.clear();
                health.rebuilds += 1;
                health.self_heals += u64::from(kind == BrokenKind::Stalled);
            });
        }
    }

    /// Leaves the topics to the process that has taken our place, and waits for the end.
    fn stand_down(&self, group: &Arc<str>, why: &str, outbox: &mut Outbox) {
        tracing::error!(
            group = &**group,
            error = why,
            "another process has this instance_id, its topics stop here; stop that process or give it an id of its own"
        );
        self.fail_all(TroubleKind::Fenced, why);
        self.fate.fenced();
        while self.mailbox.wait_for_close(STANDING_BY).is_none() {
            outbox.hand_over();
        }
    }

    fn fail_all(&self, kind: TroubleKind, why: &str) {
        for topic in self.topics.iter() {
            self.health.enter(topic.id, TopicState::Failed(Trouble::new(kind, why)));
        }
    }
}
