//! One schedule: what happens to the service, in which order, at which moments, all of it drawn from one number. Then
//! faults stop, and what was promised must be there.

use std::time::Duration;

use quorate::pipeline::BreakerPolicy;
use tokio::time::Instant;

use super::broker::{LOAD, Place, TOPICS};
use super::disk::Disk;
use super::ledger::{MODULES, STATIONS};
use super::limits::NO_LIMIT;
use super::process::Process;
use super::scene::{Mood, Scene, Shared};

/// No schedule lasts as long as this, in virtual time; one that does is stuck.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// After faults stop: retries of calls that hang, letters that were refused, the interval of commits.
const RECOVERY: Duration = Duration::from_secs(150);

/// A topic that cannot be read for a minute is no longer waited for, and then less is promised: no life comes so far.
const LOAD_PATIENCE: Duration = Duration::from_secs(30);

/// Deliveries to every topic after which whatever there is must have been taken in.
const ROUNDS: u32 = 2_000;

/// A schedule that broke an invariant.
pub struct Broken {
    pub why: String,
    /// What happened until then, if it was to be kept.
    pub lines: Vec<String>,
}

/// Plays the schedule of a seed. A hash of everything that happened.
///
/// # Errors
/// The first invariant that did not hold.
pub fn play(seed: u64, keep_lines: bool) -> Result<u64, Broken> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    // The schedule may go on between any two steps of any task.
    let runtime = runtime.enable_time().start_paused(true).event_interval(1).build().expect("a runtime");
    runtime.block_on(async {
        let scene = Shared::new(seed, keep_lines);
        let played = tokio::time::timeout(PATIENCE, Schedule::new(scene.clone()).play()).await;
        let mut scene = scene.lock();
        let played = played.unwrap_or_else(|_| Err("stuck: nothing happens any more".to_owned()));
        played.map_err(|why| Broken { why, lines: scene.trace.take_lines() })?;
        Ok(scene.trace.hash())
    })
}

pub struct Schedule {
    pub(super) scene: Shared,
    pub(super) process: Process,
    weights: [u64; OPERATIONS.len()],
    /// When this life of the process began, and whether it has read everything that it loads.
    began: Instant,
    loaded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Produce,
    Deliver,
    Positions,
    Assign,
    Revoke,
    LookAgain,
    Straggle,
    Commit,
    Step,
    Moment,
    Seconds,
    Minutes,
    Crash,
    Stop,
    Recreate,
    CutShort,
    Retain,
    Grow,
    Away,
}

/// What may happen next, and how often.
const OPERATIONS: [(Operation, u64); 19] = [
    (Operation::Produce, 30),
    (Operation::Deliver, 30),
    (Operation::Positions, 6),
    (Operation::Assign, 10),
    (Operation::Revoke, 4),
    (Operation::Straggle, 2),
    (Operation::Commit, 10),
    (Operation::Step, 15),
    (Operation::Moment, 20),
    (Operation::Seconds, 12),
    (Operation::Minutes, 2),
    (Operation::Crash, 3),
    (Operation::Stop, 2),
    (Operation::LookAgain, 8),
    (Operation::Recreate, 2),
    (Operation::CutShort, 2),
    (Operation::Retain, 2),
    (Operation::Grow, 1),
    (Operation::Away, 2),
];

/// Topics lose records, and sometimes all of them. Most schedules have nothing of it.
const LOSSES: [Operation; 3] = [Operation::Recreate, Operation::CutShort, Operation::Retain];

impl Schedule {
    fn new(scene: Shared) -> Self {
        {
            // Ceilings that lie so near are felt all the time.
            let mut scene = scene.lock();
            let (keeps, ahead) = (scene.chance.happens(600), 5 + scene.chance.below(16));
            scene.disk = keeps.then(|| Disk::new(i64::try_from(ahead).expect("a small number")));
            if keeps {
                scene.write_history();
            }
        }
        let mut weights = OPERATIONS.map(|(_, weight)| weight);
        {
            let mut scene = scene.lock();
            // Schedules differ in what happens often, and in what goes wrong.
            let (loses, is_left) = (scene.chance.happens(350), scene.chance.happens(100));
            for ((operation, _), weight) in OPERATIONS.iter().zip(&mut weights) {
                *weight *= [1, 1, 1, 2, 4][scene.chance.index(5)];
                // Without a store nothing tells what was read of a log before its end was lost.
                // Nor does anything before all of what somebody else has worked off was read.
                let is_told = *operation != Operation::CutShort || (scene.disk.is_some() && !scene.has_history());
                *weight *= u64::from(!LOSSES.contains(operation) || (loses && is_told));
                *weight *= u64::from(*operation != Operation::Away || is_left);
            }
            let often = [0, 0, 30, 150, 400];
            let mut draw = || often[scene.chance.index(often.len())];
            let (call, slow_call, slow_publish) = (draw(), draw(), draw());
            let (refuse, lose_commit) = (draw() / 4, draw());
            let (slow_flush, fail_flush) = (draw(), draw() / 20);
            let cursed = scene.chance.happens(400);
            let curse = (scene.chance.index(MODULES.len()), scene.chance.index(STATIONS.len()));
            let curse = cursed.then_some(curse);
            if scene.chance.happens(300) {
                let few = [1, 2, 3, 5, 8, NO_LIMIT];
                scene.limits = TOPICS.map(|_| scene.chance.pick(&few)).into();
            }
            let fails_often = BreakerPolicy { failure_ratio: 0.5, of: 4, pause_ms: 500 };
            scene.breaker = scene.chance.happens(250).then_some(fails_often);
            scene.mood = Mood { call, slow_call, refuse, slow_publish, lose_commit, slow_flush, fail_flush, curse };
        }
        let process = Process::start(&scene);
        Self { scene, process, weights, began: Instant::now(), loaded: false }
    }

    async fn play(mut self) -> Result<(), String> {
        let (steps, assigned) = {
            let mut scene = self.scene.lock();
            (20 + scene.chance.index(60), scene.chance.happens(500))
        };
        if assigned {
            self.assign_all().await?;
        }
        for _ in 0..steps {
            let operation = OPERATIONS[self.scene.lock().chance.weighted(&self.weights)].0;
            self.perform(operation).await?;
            self.check()?;
        }
        let curse = self.scene.lock().mood.curse;
        self.recover(curse).await?;
        self.scene.lock().has_converged(curse)?;
        self.recover(None).await?;
        let scene = self.scene.lock();
        scene.has_converged(None)?;
        scene.owes_nothing()
    }

    pub(super) fn check(&mut self) -> Result<(), String> {
        self.process.is_alive()?;
        self.check_scene()?;
        let scene = self.scene.lock();
        (0..TOPICS.len()).try_for_each(|topic| scene.waits_within_its_limit(topic, self.process.queued_bytes(topic)))
    }

    async fn perform(&mut self, operation: Operation) -> Result<(), String> {
        self.leave_a_broken_store().await?;
        if matches!(operation, Operation::Minutes | Operation::Away) || self.began.elapsed() > LOAD_PATIENCE {
            self.load().await?;
        }
        match operation {
            Operation::Produce => self.produce(),
            Operation::Deliver => self.deliver().await?,
            Operation::Positions => {
                let topic = self.scene.lock().chance.index(TOPICS.len());
                self.tell_positions(topic).await?;
            }
            Operation::Assign => {
                let topic = self.scene.lock().chance.index(TOPICS.len());
                self.assign(topic).await?;
            }
            Operation::Revoke => self.revoke().await?,
            Operation::LookAgain => {
                let topic = self.scene.lock().chance.index(TOPICS.len());
                self.look_again(topic).await?;
            }
            Operation::Recreate | Operation::CutShort | Operation::Retain | Operation::Grow => self.upset(operation),
            Operation::Straggle => self.straggle().await?,
            Operation::Commit => {
                let topic = self.scene.lock().chance.index(TOPICS.len());
                self.commits_arrive(topic);
            }
            Operation::Step => {
                let steps = 1 + self.scene.lock().chance.below(12);
                for _ in 0..steps {
                    tokio::task::yield_now().await;
                }
            }
            Operation::Moment => self.pass(1, 50).await,
            Operation::Seconds => self.pass(500, 5_000).await,
            Operation::Minutes => self.pass(20_000, 100_000).await,
            Operation::Crash => self.restart().await,
            Operation::Stop if self.scene.lock().chance.happens(300) => self.stop_half_way().await?,
            Operation::Stop => self.stop().await?,
            Operation::Away => self.go_away().await?,
        }
        Ok(())
    }

    /// A pipeline whose store fails says so at once; then there is nothing left but to start again.
    async fn leave_a_broken_store(&mut self) -> Result<(), String> {
        if !self.has_failed() {
            return Ok(());
        }
        self.pass(1, 2_000).await;
        self.check()?;
        if !self.process.handle.is_broken() {
            return Err("the store has failed, and nobody says so".to_owned());
        }
        self.restart().await;
        Ok(())
    }

    pub(super) fn has_failed(&self) -> bool {
        self.scene.lock().disk.as_ref().is_some_and(|disk| disk.failed)
    }

    pub(super) fn check_scene(&self) -> Result<(), String> {
        self.scene.lock().broken.take().map_or(Ok(()), Err)
    }

    pub(super) async fn pass(&self, from_ms: u64, more_ms: u64) {
        let ms = from_ms + self.scene.lock().chance.below(more_ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// Something happens to the log of a topic.
    fn upset(&self, operation: Operation) {
        let mut scene = self.scene.lock();
        let places = scene.broker.places();
        let place = places[scene.chance.index(places.len())];
        match operation {
            Operation::Recreate => scene.recreate(place.topic),
            Operation::CutShort => scene.cut_short(place),
            Operation::Retain => scene.retain(place),
            // Of the others the partition follows from the station.
            _ => scene.grow(LOAD),
        }
    }

    pub(super) fn produce(&self) {
        let mut scene = self.scene.lock();
        for _ in 0..=scene.chance.index(4) {
            scene.produce_one();
        }
    }

    /// Everything in memory is lost, and the process starts again.
    pub(super) async fn restart(&mut self) {
        let next = {
            let mut scene = self.scene.lock();
            scene.note("end");
            scene.broker.forget();
            scene.orders_begin_anew();
            scene.running.clear();
            meddle(&mut scene);
            let stands = |place: &Place| scene.broker.log(*place).committed.unwrap_or(0);
            let began_at = scene.broker.places().into_iter().map(|place| (place, stands(&place))).collect();
            scene.began_at = began_at;
            drop(scene);
            Process::start(&self.scene)
        };
        std::mem::replace(&mut self.process, next).end().await;
        (self.began, self.loaded) = (Instant::now(), false);
    }

    /// Reads what this life loads, if it has not yet.
    pub(super) async fn load(&mut self) -> Result<(), String> {
        let mut rounds = 0..ROUNDS;
        while !self.has_failed() && !std::mem::replace(&mut self.loaded, true) {
            rounds.next().ok_or("stuck: what is to be loaded is not taken in")?;
            self.assign_all().await?;
            for topic in 0..TOPICS.len() {
                self.look_again(topic).await?;
                self.deliver_from(topic, 20).await?;
                self.tell_positions(topic).await?;
            }
            self.pass(1, 100).await;
            self.loaded = self.all_places(is_loaded);
        }
        Ok(())
    }

    fn all_places(&self, meets: impl Fn(&Scene, Place) -> bool) -> bool {
        let scene = self.scene.lock();
        scene.broker.places().into_iter().all(|place| meets(&scene, place))
    }

    /// Faults stop, but for the curse; everything is assigned and delivered, and time passes.
    async fn recover(&mut self, curse: Option<(usize, usize)>) -> Result<(), String> {
        {
            let mut scene = self.scene.lock();
            scene.note("recover");
            scene.mood = Mood { curse, ..Mood::default() };
        }
        self.leave_a_broken_store().await?;
        self.assign_all().await?;
        let mut rounds = 0..ROUNDS;
        while !self.all_places(is_delivered) || !self.scene.lock().unpriced().is_empty() {
            let round = rounds.next().ok_or("stuck: what is delivered is not taken in")?;
            self.scene.lock().price_all_stations();
            for topic in 0..TOPICS.len() {
                self.look_again(topic).await?;
                self.deliver_from(topic, 20).await?;
                self.tell_positions(topic).await?;
            }
            // Where a topic waits for its runs it may wait for long.
            self.pass(1, if round < ROUNDS / 4 { 100 } else { 2_000 }).await;
            self.check()?;
        }
        for topic in 0..TOPICS.len() {
            self.tell_positions(topic).await?;
        }
        tokio::time::sleep(RECOVERY).await;
        (0..TOPICS.len()).for_each(|topic| self.commits_arrive(topic));
        self.check()
    }
}

/// Somebody sets the group's positions. Of partitions that stand on the disk nobody may care.
fn meddle(scene: &mut Scene) {
    for place in scene.broker.places() {
        if scene.disk.as_ref().and_then(|disk| disk.stood(place)).is_some() && scene.chance.happens(100) {
            let end = scene.broker.log(place).end;
            let at = scene.chance.below(u64::try_from(end).unwrap_or(0) + 1);
            scene.broker.log_mut(place).committed = i64::try_from(at).ok();
            scene.note(&format!("meddled {}/{} {at}", place.name(), place.partition));
        }
    }
}

fn is_loaded(scene: &Scene, place: Place) -> bool {
    let held = scene.broker.log(place).held;
    let end = scene.broker.log(place).end;
    held.is_some_and(|held| held.position >= held.load_until.min(end)) && !scene.broker.is_outlived(place)
}

fn is_delivered(scene: &Scene, place: Place) -> bool {
    let log = scene.broker.log(place);
    log.held.is_some_and(|held| held.position == log.end) && !scene.broker.is_outlived(place)
}
