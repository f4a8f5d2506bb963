//! The demo: the very service that `quorate run` runs, against a broker inside the process, fed by the simulated fleet
//! and watched by a reader of its own. Knows how to start, feed, bring to rest and compare; shows nothing itself.

mod backlog;
mod feeder;
mod ledger;
mod observer;
mod pace;
pub mod plain;
mod reach;
mod sample;
mod scene;
mod settings;
mod summary;
pub mod view;

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::ident::Millis;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::app::{Ended, Registry, Service, StartError};
use crate::config::Report;
use crate::fleet::{Cadence, Fleet, FleetPlan};
use crate::kafka::{EmbeddedBroker, Feed, KafkaRoomError, Tail, TailedRecord};
use crate::runtime::Tasks;

pub use feeder::{Fed, Stage};
pub use ledger::Ledger;
pub use observer::{Forecast, Point, Seen};
pub use sample::{Sample, TopicSample};
pub use scene::{Mode, Phase, Rates, Scene};
pub use summary::Summary;

use feeder::Feeder;
use observer::Observer;
use scene::Meter;

/// Where simulated time begins: Monday 2025-11-03, 08:00 in the stations' zone. A fixed moment, so that a seed gives the
/// same records whenever the demo runs; a morning, so that cars charge everywhere.
const START: Millis = Millis(1_762_128_000_000);

/// How often the service is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How long what was fed may take to be worked off.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the observer may take to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long to feed; none is until asked to stop.
    pub duration: Option<Duration>,
    /// Stations of the fleet.
    pub stations: usize,
    /// The fleet's seed.
    pub seed: u64,
}

/// Why the demo could not be carried through.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The built-in configuration has problems.
    #[error("the demo's configuration cannot be used:\n{}", .0.render(crate::config::Look::Plain))]
    Configuration(Report),
    /// The broker, the feed or the observer could not be set up.
    #[error(transparent)]
    Kafka(#[from] KafkaRoomError),
    /// The service could not be started.
    #[error("the service was not started: {0}")]
    Start(#[from] StartError),
    /// A stage of the service panicked.
    #[error("a stage of the service panicked")]
    Broken,
}

/// The fleet of the demo.
#[must_use]
pub fn fleet(options: &Options) -> Arc<Fleet> {
    let plan = FleetPlan { cadence: Cadence::demo(), ..FleetPlan::new(options.stations, options.seed, START) };
    Arc::new(Fleet::new(plan))
}

/// Runs the demo to its end: until the duration is over or `stops` counts a request, then until everything fed is worked
/// off. `scenes` receives what there is to see, several times a second.
///
/// # Errors
/// See [`DemoError`]. What is short at the end is no error but stands in the summary.
pub async fn run(
    options: &Options,
    registry: &Registry,
    mut stops: watch::Receiver<u32>,
    scenes: &watch::Sender<Scene>,
) -> Result<Summary, DemoError> {
    let fleet = Arc::clone(&scenes.borrow().fleet);
    // Cut short, a run leaves its broker up until the process ends: clients would only complain that it is gone.
    let broker = ManuallyDrop::new(EmbeddedBroker::start(1)?);
    let settings = settings::load(broker.servers(), registry).map_err(DemoError::Configuration)?;
    let (sources, sinks) = (settings::sources(&settings), settings::sinks(&settings));
    for (name, partitions) in sources.iter().chain(&sinks) {
        broker.create_topic(name, *partitions)?;
    }
    let mut tasks = Tasks::default();
    let (tail, records) = Tail::start(&settings.client, &sinks)?;
    let ids = fleet.stations().iter().map(|site| site.id.clone());
    let observer = Observer::new(ids, settings.dead_letter_topic.as_str().into());
    let (sight, seen) = watch::channel(Seen::default());
    tasks.spawn("observer".to_owned(), observe(observer, records, sight));
    let feed = Feed::start(&settings.client, &sources)?;
    let plan = Arc::clone(&settings.plan);
    let module = settings.modules.iter().position(|module| &*module.name == settings::MODULE).unwrap_or(0);
    let mode = Mode::new(&settings);

    let service = Service::start(settings, registry.modules()).await?;
    let (telling, fed) = watch::channel(Fed::default());
    let (halt, halted) = watch::channel(false);
    let feeder = Feeder::new((Arc::clone(&fleet), feed), (&plan, &sources), service.health(), telling, halted);
    tasks.spawn("feeder".to_owned(), feeder.run());

    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let began = looks.tick().await;
    scenes.send_modify(|scene| scene.mode = mode);
    let mut stage = Watching { service, module, fed, seen, scenes, looks, began, meter: Meter::default() };
    tokio::select! {
        broken = stage.watch(Phase::Feeding, |_| false) => broken?,
        () = over(options.duration) => {}
        // Nobody left to ask is no request.
        Ok(_) = stops.wait_for(|stops| *stops > 0) => {}
    }
    halt.send_replace(true);
    let settled = match tokio::time::timeout(PATIENCE, stage.rest()).await {
        Ok(rested) => rested.map(|()| true)?,
        Err(_) => false,
    };
    scenes.send_modify(|scene| scene.phase = Phase::Draining);
    let Watching { service, fed, mut seen, mut looks, .. } = stage;
    let told = scenes.borrow().sample.clone();
    let Ended { drained, undelivered, .. } = service.drain().await;
    let took = looks.tick().await.duration_since(began);
    let ledger = Ledger { fed: fed.borrow().clone(), told, seen: seen.borrow().clone(), settled, drained, undelivered };
    drop(tail);
    // The observer ends with its thread, and that must be before the broker does. A thread that hangs is left behind.
    let _ = tokio::time::timeout(FAREWELL, async { while seen.changed().await.is_ok() {} }).await;
    tasks.stop().await;
    drop(ManuallyDrop::into_inner(broker));
    Ok(Summary::new(&ledger, options.seed, took))
}

/// The running service and everything that is looked at while it runs.
struct Watching<'a> {
    service: Service,
    module: usize,
    fed: watch::Receiver<Fed>,
    seen: watch::Receiver<Seen>,
    scenes: &'a watch::Sender<Scene>,
    looks: Interval,
    began: Instant,
    meter: Meter,
}

impl Watching<'_> {
    /// Looks until the scene is as wanted.
    async fn watch(&mut self, phase: Phase, mut is_enough: impl FnMut(&Scene) -> bool) -> Result<(), DemoError> {
        loop {
            let at = tokio::select! {
                at = self.looks.tick() => at,
                _ = self.service.doomed() => return Err(DemoError::Broken),
            };
            let fed = self.fed.borrow().clone();
            let sample = Sample::take(&self.service, self.module, &fed.ends).await;
            let seen = self.seen.borrow().clone();
            let uptime = at.duration_since(self.began);
            let rates = self.meter.rates(uptime, &sample);
            let mut enough = false;
            self.scenes.send_modify(|scene| {
                (scene.phase, scene.uptime, scene.rates) = (phase, uptime, rates);
                (scene.sample, scene.fed, scene.seen) = (sample, fed, seen);
                enough = is_enough(scene);
            });
            if enough {
                return Ok(());
            }
        }
    }

    /// Looks until everything is at rest. One look proves little: a record that was handed out a moment ago may not have
    /// reached its shard. Two in a row that say the same do.
    async fn rest(&mut self) -> Result<(), DemoError> {
        let mut before = None;
        self.watch(Phase::Finishing, |scene| {
            let at_rest = scene.sample.is_at_rest(&scene.fed, &scene.seen);
            let now = at_rest.then(|| scene.sample.tally.clone());
            let same = now.is_some() && now == before;
            before = now;
            same
        })
        .await
    }
}

async fn over(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

async fn observe(observer: Observer, mut records: mpsc::Receiver<TailedRecord>, sight: watch::Sender<Seen>) {
    while let Some(record) = records.recv().await {
        sight.send_modify(|seen| observer.look(&record, seen));
    }
}
