//! One running service: built in order, drained in reverse.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::contract::Module;
use quorate_core::ident::Millis;
use thiserror::Error;
use tokio::time::Instant;
use tracing::{info, warn};

use super::builder::SetupError;
use super::state::{self, Begun};
use super::translated::pipeline_settings;
use crate::config::{MissingTopic, Settings, StateMode, StateSettings};
use crate::failures::TargetError;
use crate::kafka::{
    ConnectError, ConsumerHealth, Ensured, Hopeless, IntakeSetup, KafkaConsumers, KafkaPublisher, KafkaRoomError,
    PublisherHealth, SettledNow, Timing, describe_topics, ensure_topics, wait_for_brokers,
};
use crate::pipeline::ports::{Clock as _, Consumers as _};
use crate::pipeline::{Handle, Pipeline, Ports};
use crate::runtime::{ModuleThreads, RegisteredModule, Tasks, TooLittle, WallClock, blocking, check_limits};
use crate::state::{Identity, OpenError};

/// What a revoke may take: settled positions that are not known by then are committed later or not at all.
const REVOKE: Duration = Duration::from_millis(50);

/// What the end of a drain keeps for itself: flushing the producer, the last commits, leaving the groups.
const FAREWELL: Duration = Duration::from_secs(3);

/// A service that was started.
pub struct Service {
    pipeline: Handle,
    consumers: Arc<KafkaConsumers>,
    publisher: Arc<KafkaPublisher>,
    tasks: Tasks,
    drain_timeout: Duration,
}

/// Why a service could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The service cannot be built as it is described.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// No broker, or no login, within the start-up time-out.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A client could not be built.
    #[error(transparent)]
    Kafka(#[from] KafkaRoomError),
    /// A topic is missing and `missing_topic = "fail"`, or could not be created.
    #[error("topic {topic} {what}")]
    Topic {
        /// The topic.
        topic: Arc<str>,
        /// What is wrong with it.
        what: String,
    },
    /// An enabled module is not compiled in.
    #[error("module {0} is not compiled in")]
    Module(Arc<str>),
    /// A failure callback cannot be reached by its address.
    #[error(transparent)]
    Callback(#[from] TargetError),
    /// The state cannot be used.
    #[error(transparent)]
    State(OpenError),
    /// The system does not allow the process enough.
    #[error(transparent)]
    Limit(#[from] TooLittle),
    /// The system refuses a thread.
    #[error("thread not started: {0}")]
    Thread(#[source] std::io::Error),
}

/// Why a service cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doomed {
    /// A stage has panicked.
    Stage,
    /// State can no longer be kept.
    State(String),
    /// Another process has taken over our identity in every group.
    Fenced,
    /// A consumer cannot be made to work.
    Consumer(String),
}

/// How a service ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Whether everything ready or in flight was finished before the deadline.
    pub drained: bool,
    /// Records that were enqueued and never acknowledged.
    pub undelivered: usize,
    /// Consumers that did not close in time.
    pub abandoned: Vec<Arc<str>>,
    /// State could not be kept to the end.
    pub state_failed: bool,
}

impl Service {
    /// Connects, builds and starts everything `settings` ask for. `modules` are those there are to choose from.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running.
    pub async fn start(settings: Settings, modules: &[Arc<dyn Module>]) -> Result<Self, StartError> {
        // One for each consumer, and the producer.
        check_limits(settings.consumers.len() + 1)?;
        let registered = registered(&settings, modules)?;
        let cluster = wait_for_brokers(&settings.client, settings.service.startup_timeout).await?;
        look_after_topics(&settings).await?;
        let publisher = Arc::new(KafkaPublisher::new(settings.producer.clone())?);
        let threads = settings.modules.iter().map(|module| module.concurrency).sum::<usize>();
        let threads = threads.min(settings.service.module_threads);
        let executor = Arc::new(ModuleThreads::new(registered, threads).map_err(StartError::Thread)?);
        let mut pipeline = Pipeline::new(Arc::clone(&settings.plan), pipeline_settings(&settings)?);
        let handle = pipeline.handle();
        let clock = Arc::new(WallClock::new());
        let begun;
        (pipeline, begun) = begin(&settings, cluster.cluster_id, clock.now(), pipeline).await?;
        let consumers = KafkaConsumers::start(IntakeSetup {
            names: settings.plan.topics.iter().map(|topic| Arc::clone(&topic.name)).collect(),
            reload: begun.reload,
            standings: begun.standings,
            client: settings.client.clone(),
            timing: Timing::default(),
            lanes: pipeline.lanes(),
            settled: settled_now(handle.clone()),
            runtime: tokio::runtime::Handle::current(),
            consumers: settings.consumers,
            topics: settings.topics,
        })?;
        let ports =
            Ports { consumers: Arc::clone(&consumers) as _, publisher: Arc::clone(&publisher) as _, executor, clock };
        let mut tasks = Tasks::default();
        for stage in pipeline.stages(ports) {
            tasks.spawn(stage.name, stage.task);
        }
        if let Some(unread) = begun.unread {
            tasks.spawn("state-loaded".to_owned(), unread.adopt(handle.loaded()));
        }
        let drain_timeout = settings.service.drain_timeout;
        Ok(Self { pipeline: handle, consumers, publisher, tasks, drain_timeout })
    }

    /// The running pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &Handle {
        &self.pipeline
    }

    /// How each topic's consumption stands.
    #[must_use]
    pub fn health(&self) -> &Arc<ConsumerHealth> {
        self.consumers.health()
    }

    /// How many consumer clients there are.
    #[must_use]
    pub fn consumer_count(&self) -> usize {
        self.consumers.count()
    }

    /// How publishing stands.
    #[must_use]
    pub fn publishing(&self) -> PublisherHealth {
        self.publisher.health()
    }

    /// Resolves once the service cannot go on, with the reason.
    pub fn doomed(&self) -> impl Future<Output = Doomed> + Send + use<> {
        let (failed, mut hopeless, pipeline) = (self.tasks.failed(), self.consumers.hopeless(), self.pipeline.clone());
        async move {
            tokio::select! {
                () = failed.notified() => Doomed::Stage,
                error = pipeline.broken() => Doomed::State(error.to_string()),
                Ok(why) = hopeless.wait_for(Option::is_some) => match &*why {
                    Some(Hopeless::Broken { group, why }) => Doomed::Consumer(format!("{group}: {why}")),
                    Some(Hopeless::Fenced) | None => Doomed::Fenced,
                },
            }
        }
    }

    /// Stops polling, finishes what is ready or in flight, flushes, commits and leaves the groups; ends by
    /// `drain_timeout` at the latest.
    pub async fn drain(mut self) -> Ended {
        let deadline = Instant::now() + self.drain_timeout;
        info!(timeout = ?self.drain_timeout, "draining");
        self.consumers.stop_intake();
        let farewell = FAREWELL.min(self.drain_timeout / 2);
        let drained = self.pipeline.drain(self.drain_timeout - farewell).await;
        let state_failed = self.pipeline.is_broken();
        if !drained && !state_failed {
            let open = self.pipeline.tally();
            warn!(inputs = open.inputs, results = open.results, "runs are still due; they run at the next start");
        }
        let flushing = deadline.saturating_duration_since(Instant::now()) / 2;
        let closing = deadline.saturating_duration_since(Instant::now());
        let (undelivered, report) = tokio::join!(self.publisher.flush(flushing), self.consumers.close(closing));
        self.publisher.close(Duration::ZERO).await;
        self.tasks.stop().await;
        info!(drained, undelivered, "stopped");
        Ended { drained, undelivered, abandoned: report.abandoned, state_failed }
    }
}

/// The enabled modules in the order of the plan, each with its time-out.
fn registered(settings: &Settings, modules: &[Arc<dyn Module>]) -> Result<Vec<RegisteredModule>, StartError> {
    let find = |name: &Arc<str>| modules.iter().find(|module| module.name() == &**name).cloned();
    settings
        .modules
        .iter()
        .map(|chosen| {
            let module = find(&chosen.name).ok_or_else(|| StartError::Module(Arc::clone(&chosen.name)))?;
            Ok(RegisteredModule { module, timeout: chosen.timeout })
        })
        .collect()
}

/// Opens the store, where state is kept, and lets the pipeline have what it holds.
async fn begin(
    settings: &Settings,
    cluster_id: Option<String>,
    now: Millis,
    mut pipeline: Pipeline,
) -> Result<(Pipeline, Begun), StartError> {
    let StateSettings { mode, dir } = settings.state.clone();
    if mode == StateMode::Memory {
        return Ok((pipeline, Begun::default()));
    }
    let group_id = settings.base_group.clone();
    let identity = Identity { cluster_id: cluster_id.unwrap_or_default(), group_id };
    let plan = Arc::clone(&settings.plan);
    let opening = move || {
        let begun = state::begin(&dir, &identity, &plan, &mut pipeline, now)?;
        Ok((pipeline, begun))
    };
    match blocking(opening).await {
        Some(begun) => begun.map_err(StartError::State),
        None => Err(StartError::Thread(std::io::Error::other("the state could not be read"))),
    }
}

/// Creates topics that are to be created, refuses to start without those that must exist, and names the others.
async fn look_after_topics(settings: &Settings) -> Result<(), StartError> {
    let topics = || settings.plan.topics.iter().zip(&settings.topics);
    let create = topics().filter(|(_, settings)| settings.missing_topic == MissingTopic::Create);
    let create: Vec<_> =
        create.filter_map(|(topic, settings)| Some((Arc::clone(&topic.name), settings.provision.clone()?))).collect();
    for (topic, outcome) in ensure_topics(&settings.client, &create).await? {
        if let Ensured::Failed(trouble) = outcome {
            return Err(StartError::Topic { topic, what: format!("could not be created: {}", trouble.detail) });
        }
    }
    let names: Vec<_> = topics().map(|(topic, _)| Arc::clone(&topic.name)).collect();
    let facts = describe_topics(&settings.client, &names).await?;
    for (facts, (_, settings)) in facts.into_iter().zip(topics()) {
        let Err(trouble) = facts.partitions else { continue };
        if settings.missing_topic == MissingTopic::Fail {
            return Err(StartError::Topic { topic: facts.topic, what: format!("cannot be read: {}", trouble.detail) });
        }
        warn!(topic = &*facts.topic, error = trouble.detail, "topic cannot be read yet, modules that need it wait");
    }
    Ok(())
}

/// Asks the pipeline, from a consumer's own thread, what is settled of topics it is about to lose.
fn settled_now(pipeline: Handle) -> SettledNow {
    let runtime = tokio::runtime::Handle::current();
    Arc::new(move |topics| {
        let mut settled = runtime.block_on(pipeline.settle_now(REVOKE));
        settled.retain(|commit| topics.contains(&commit.topic));
        settled
    })
}
