//! The life of one consumer: build a client, run it, replace it when it breaks, close it when ordered to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use tokio::sync::oneshot;

use super::backoff::Backoff;
use super::context::PollContext;
use super::errors::{Trouble, TroubleKind};
use super::health::{ConsumerHealth, TopicState};
use super::intake::{SettledNow, SubscribedTopic};
use super::mailbox::Mailbox;
use super::outbox::Outbox;
use super::poll::{Ended, Poller};
use super::table::Table;
use super::{client, clock, closing};
use crate::config::ConsumerSettings;

/// A client that ran so long was sound: the next failure is a new one.
const SOUND: Duration = Duration::from_secs(60);

/// One consumer of the set, on its way into its thread.
pub(super) struct Member {
    pub settings: ConsumerSettings,
    pub topics: Arc<[SubscribedTopic]>,
    pub mailbox: Arc<Mailbox>,
    pub settled: SettledNow,
    pub health: Arc<ConsumerHealth>,
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
        let mut stopping = false;
        loop {
            let context = PollContext::new(
                Arc::clone(&group),
                Arc::clone(&self.topics),
                Arc::clone(&self.settled),
                Arc::clone(&self.health),
                Arc::clone(&table),
            );
            let began = clock::now();
            let why = match self.build(context) {
                Err(error) => error.to_string(),
                Ok(consumer) => match self.run(&consumer, &mut outbox, &mut stopping) {
                    Ended::Close(deadline) => {
                        let context = Arc::clone(consumer.context());
                        closing::close(&context, consumer, deadline);
                        break;
                    }
                    Ended::Rebuild(why) => {
                        self.replace(consumer, &mut outbox);
                        why
                    }
                },
            };
            if clock::since(began) > SOUND {
                backoff.reset();
            }
            let pause = backoff.next();
            tracing::error!(group = &*group, error = why, retry_in = ?pause, "consumer broken, building another");
            self.fail_all(&why);
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
            Ended::Rebuild(format!("consumer thread panicked: {words}"))
        })
    }

    /// Takes a broken client away. Its assignments end; where it stood is kept in the table for the next one.
    fn replace(&self, consumer: BaseConsumer<PollContext>, outbox: &mut Outbox) {
        let context = Arc::clone(consumer.context());
        let mut table = context.table();
        table.end_all();
        outbox.extend(table.take_events());
        drop(table);
        if !closing::discard(&context, consumer) {
            tracing::warn!(group = &*context.group, "a broken client does not go, its threads are left behind");
        }
        context.table().take_events();
        for topic in self.topics.iter() {
            self.health.update(topic.id, |health| {
                health.partitions.clear();
                health.rebuilds += 1;
            });
        }
    }

    fn fail_all(&self, why: &str) {
        for topic in self.topics.iter() {
            self.health.enter(topic.id, TopicState::Failed(Trouble::new(TroubleKind::Fatal, why)));
        }
    }
}
