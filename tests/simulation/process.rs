//! One life of the process: the real pipeline, with lanes in and the scene around it. Ends by a crash or a clean stop.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quorate::config::{Purpose, Settings, from_str};
use quorate::pipeline::lane::{LaneSender, Room};
use quorate::pipeline::ports::LaneItem;
use quorate::pipeline::{Handle, Pipeline, PipelineSettings, RunSettings};
use tokio::task::JoinSet;

use super::broker::TOPICS;
use super::disk;
use super::doors::{DEAD_LETTERS, ports};
use super::ledger::MODULES;
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
retry = { attempts = 2, backoff = "1s" }
concurrency = 2
[modules.after]
requires = ["LOAD"]
depends_on = ["pair"]
retry = { attempts = 2, backoff = "1s" }
[modules.tally]
requires = ["ORDER"]
quarantine = false
retry = { attempts = 2, backoff = "1s" }
concurrency = 2
[modules.each]
requires = ["LOAD"]
trigger = { each = true, on = ["LOAD"] }
quarantine = false
retry = { attempts = 2, backoff = "1s" }
concurrency = 2
[modules.rate]
requires = ["LOAD", "TARIFF"]
retry = { attempts = 2, backoff = "1s" }
[modules.task]
requires = ["PRICE"]
trigger = { each = true, on = ["PRICE"] }
once = { key = "/k", keep = "7d" }
quarantine = false
retry = { attempts = 2, backoff = "1s" }
[modules.sign]
requires = ["TARIFF"]
retry = { attempts = 2, backoff = "1s" }
"#;

/// What all lanes together may hold, in bytes: a few batches, so that they are often full.
const LANE_BYTES: usize = 6 << 10;

pub struct Process {
    pub handle: Handle,
    lanes: Vec<LaneSender>,
    stages: JoinSet<()>,
}

/// Read once for all schedules.
fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let known = MODULES.map(|name| (name, "1"));
        let loaded = from_str("simulation.toml", CONFIG, Purpose::service(&known));
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
        let life = {
            let mut scene = scene.lock();
            scene.life += 1;
            let what = format!("start {}", scene.life);
            scene.note(&what);
            scene.life
        };
        let runs = settings.modules.iter().map(|module| RunSettings {
            concurrency: module.concurrency,
            attempts: module.retry.attempts,
            backoff: module.retry.backoff,
            max_backoff: module.retry.max_backoff,
            ..RunSettings::publishing_to(&module.output_topic)
        });
        let mut pipeline = Pipeline::new(
            Arc::clone(&settings.plan),
            PipelineSettings {
                quotas: settings.topics.iter().map(|topic| topic.quota).collect(),
                runs: runs.collect(),
                lane_bytes: LANE_BYTES,
                flush_interval: Duration::from_secs(1),
                max_pending: Vec::new(),
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
        pipeline.stages(ports(scene, life)).into_iter().for_each(|stage| drop(stages.spawn(stage.task)));
        Self { handle, lanes, stages }
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
