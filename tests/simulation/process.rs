//! One life of the process: the real pipeline, with lanes in and the scene around it. Ends by a crash or a clean stop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quorate::config::{Purpose, Settings, from_str};
use quorate::pipeline::lane::{LaneSender, Room};
use quorate::pipeline::ports::LaneItem;
use quorate::pipeline::{Handle, Pipeline, PipelineSettings, RunSettings, Stage};
use tokio::task::JoinSet;

use super::broker::TOPICS;
use super::disk;
use super::doors::{DEAD_LETTERS, ports};
use super::ledger::MODULES;
use super::limits::Intake;
use super::runs::Runs;
use super::scene::Shared;

const CONFIG: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "simulation"
multi_consumer_mode = true
auto_offset_reset = "earliest"
[topics.LOAD]
records = "/*"
station = "/s"
[topics.PRICE]
station = "/s"
[topics.ORDER]
station = "/s"
window = { kind = "bucket", every = "1s", close_after = "1s" }
[topics.TARIFF]
scope = "global"
[modules.pair]
requires = ["LOAD", "PRICE"]
{runs}
[modules.after]
requires = ["LOAD"]
depends_on = ["pair"]
{runs}
[modules.tally]
requires = ["ORDER"]
{runs}
[modules.each]
requires = ["LOAD"]
trigger = { each = true, on = ["LOAD"] }
{runs}
[modules.rate]
requires = ["LOAD", "TARIFF"]
{runs}
[modules.task]
requires = ["PRICE"]
trigger = { each = true, on = ["PRICE"] }
once = { key = "/k", keep = "7d" }
{runs}
[modules.offer]
requires = ["LOAD", "PRICE"]
trigger = { each = true, on = ["LOAD"] }
{runs}
[modules.sign]
requires = ["TARIFF"]
{runs}
"#;

/// How every module is run.
const RUNS: &str = r#"
retry = { attempts = 2, backoff = "1s" }
quarantine = { after = 2, pause = "1s", max_pause = "8s" }
concurrency = 2
"#;

/// What all lanes together may hold, in bytes: a few batches, so that they are often full.
const LANE_BYTES: usize = 6 << 10;

pub struct Process {
    pub handle: Handle,
    lanes: Vec<LaneSender>,
    stages: JoinSet<()>,
    turns: Vec<Turns>,
}

/// Counts how often a stage goes on.
struct Turns {
    name: String,
    count: Arc<AtomicU64>,
}

impl Turns {
    fn spawn(stage: Stage, stages: &mut JoinSet<()>) -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let (mut task, counted) = (stage.task, Arc::clone(&count));
        stages.spawn(std::future::poll_fn(move |context| {
            counted.fetch_add(1, Ordering::Relaxed);
            task.as_mut().poll(context)
        }));
        Self { name: stage.name, count }
    }
}

/// Read once for all schedules.
fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let known = MODULES.map(|name| (name, "1"));
        let loaded = from_str("simulation.toml", &CONFIG.replace("{runs}", RUNS), Purpose::service(&known));
        let settings = loaded.unwrap_or_else(|report| panic!("{}", report.plain())).settings;
        let names: Vec<&str> = settings.plan.topics.iter().map(|topic| &*topic.name).collect();
        assert_eq!(names, TOPICS.map(|(name, _)| name), "topics stand in the order of the plan");
        settings
    })
}

impl Process {
    /// Starts a life. The scene counts it.
    pub fn start(scene: &Shared) -> Self {
        let settings = settings();
        let (life, limits, (breaker, curse)) = {
            let mut scene = scene.lock();
            scene.life += 1;
            scene.runs = Runs::default();
            scene.intake = Intake::default();
            scene.draining = false;
            let what = format!("start {}", scene.life);
            scene.note(&what);
            (scene.life, scene.limits.clone(), (scene.breaker, scene.mood.curse))
        };
        // What always fails would keep a module shut for everybody else.
        let breaker = |name: &str| breaker.filter(|_| curse.is_none_or(|(module, _)| MODULES[module] != name));
        let runs = settings.modules.iter().map(|module| RunSettings {
            concurrency: module.concurrency,
            attempts: module.retry.attempts,
            backoff: module.retry.backoff,
            max_backoff: module.retry.max_backoff,
            breaker: breaker(&module.name),
            ..RunSettings::publishing_to(&module.output_topic)
        });
        let mut pipeline = Pipeline::new(
            Arc::clone(&settings.plan),
            PipelineSettings {
                quotas: settings.topics.iter().map(|topic| topic.quota).collect(),
                runs: runs.collect(),
                lane_bytes: LANE_BYTES,
                flush_interval: Duration::from_secs(1),
                max_pending: limits,
                stops_undecodable: Vec::new(),
                dead_letter_topic: DEAD_LETTERS.into(),
                shards: 2,
            },
        );
        disk::begin(scene, &mut pipeline);
        let (handle, lanes) = (pipeline.handle(), pipeline.lanes());
        let mut stages = JoinSet::new();
        let (mut loaded, whole) = (handle.loaded(), scene.clone());
        stages.spawn(async move {
            let all = |topics: &Vec<bool>| !topics.is_empty() && topics.iter().all(|topic| *topic);
            drop(loaded.wait_for(all).await);
            whole.lock().disk.iter_mut().for_each(|disk| disk.read = true);
            std::future::pending().await
        });
        let turns = pipeline.stages(ports(scene, life)).into_iter().map(|stage| Turns::spawn(stage, &mut stages));
        let turns = turns.collect();
        Self { handle, lanes, stages, turns }
    }

    /// How often each stage has gone on so far.
    pub fn turns(&self) -> Vec<(String, u64)> {
        self.turns.iter().map(|turns| (turns.name.clone(), turns.count.load(Ordering::Relaxed))).collect()
    }

    /// Bytes in a topic's lane.
    pub fn queued_bytes(&self, topic: usize) -> usize {
        self.lanes[topic].queued_bytes()
    }

    /// Whether the limit of a topic holds: it does not while it is loaded.
    pub fn has_loaded(&self, topic: usize) -> bool {
        self.handle.loaded().borrow().get(topic).is_some_and(|loaded| *loaded)
    }

    /// Whether a batch may be sent to a topic's lane.
    pub fn has_room(&self, topic: usize) -> bool {
        self.lanes[topic].room() == Room::Free
    }

    /// Sends an item as a consumer does.
    ///
    /// # Errors
    /// The pipeline is gone, and not because its store failed.
    pub async fn tell(&self, topic: usize, item: LaneItem) -> Result<(), String> {
        let goes_on = self.lanes[topic].send(item).await || self.handle.is_broken();
        if goes_on { Ok(()) } else { Err("the pipeline is gone".to_owned()) }
    }

    /// # Errors
    /// A stage has ended by itself though its store did not fail, or by a panic.
    pub fn is_alive(&mut self) -> Result<(), String> {
        match self.stages.try_join_next() {
            Some(Ok(())) if self.handle.is_broken() => Ok(()),
            Some(ended) => Err(format!("a stage ended: {ended:?}")),
            None => Ok(()),
        }
    }

    /// Everything in memory is gone.
    pub async fn end(mut self) {
        self.stages.shutdown().await;
    }
}
