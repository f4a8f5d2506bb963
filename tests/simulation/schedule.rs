//! One schedule: what happens to the service, in which order, at which moments, all of it drawn from one number. Then
//! faults stop, and what was promised must be there.

use std::time::Duration;

use quorate::pipeline::ports::{AssignedPartition, LaneItem};
use quorate_core::ident::Epoch;
use quorate_core::record::RecordBatch;
use tokio::time::Instant;

use super::broker::{Broker, LOAD, ORDER, Place, TOPICS};
use super::disk::Disk;
use super::ledger::{MODULES, STATIONS};
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

struct Schedule {
    scene: Shared,
    process: Process,
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
    Straggle,
    Commit,
    Step,
    Moment,
    Seconds,
    Minutes,
    Crash,
    Stop,
}

/// What may happen next, and how often.
const OPERATIONS: [(Operation, u64); 13] = [
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
    (Operation::Stop, 1),
];

impl Schedule {
    fn new(scene: Shared) -> Self {
        {
            // Ceilings that lie so near are felt all the time.
            let mut scene = scene.lock();
            let (keeps, ahead) = (scene.chance.happens(600), 5 + scene.chance.below(16));
            scene.disk = keeps.then(|| Disk::new(i64::try_from(ahead).expect("a small number")));
        }
        let process = Process::start(&scene);
        let mut weights = OPERATIONS.map(|(_, weight)| weight);
        {
            let mut scene = scene.lock();
            // Schedules differ in what happens often, and in what goes wrong.
            for weight in &mut weights {
                *weight *= [1, 1, 1, 2, 4][scene.chance.index(5)];
            }
            let often = [0, 0, 30, 150, 400];
            let mut draw = || often[scene.chance.index(often.len())];
            let (call, slow_call, slow_publish) = (draw(), draw(), draw());
            let (refuse, lose_commit) = (draw() / 4, draw());
            let (slow_flush, fail_flush) = (draw(), draw() / 20);
            let cursed = scene.chance.happens(400);
            let curse = (scene.chance.index(MODULES.len()), scene.chance.index(STATIONS.len()));
            let curse = cursed.then_some(curse);
            scene.mood = Mood { call, slow_call, refuse, slow_publish, lose_commit, slow_flush, fail_flush, curse };
        }
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

    fn check(&mut self) -> Result<(), String> {
        self.process.is_alive()?;
        self.scene.lock().broken.take().map_or(Ok(()), Err)
    }

    async fn perform(&mut self, operation: Operation) -> Result<(), String> {
        self.leave_a_broken_store().await?;
        if operation == Operation::Minutes || self.began.elapsed() > LOAD_PATIENCE {
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
            Operation::Stop => {
                let drained = self.process.handle.drain(Duration::from_secs(30)).await;
                self.scene.lock().note(&format!("drained: {drained}"));
                (0..TOPICS.len()).for_each(|topic| self.commits_arrive(topic));
                self.check_scene()?;
                self.restart().await;
            }
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

    fn has_failed(&self) -> bool {
        self.scene.lock().disk.as_ref().is_some_and(|disk| disk.failed)
    }

    fn check_scene(&self) -> Result<(), String> {
        self.scene.lock().broken.take().map_or(Ok(()), Err)
    }

    async fn pass(&self, from_ms: u64, more_ms: u64) {
        let ms = from_ms + self.scene.lock().chance.below(more_ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn produce(&self) {
        let mut scene = self.scene.lock();
        for _ in 0..=scene.chance.index(4) {
            produce_one(&mut scene);
        }
    }

    async fn deliver(&self) -> Result<(), String> {
        let (topic, count) = {
            let mut scene = self.scene.lock();
            (scene.chance.index(TOPICS.len()), 1 + scene.chance.index(6))
        };
        self.deliver_from(topic, count).await
    }

    async fn deliver_from(&self, topic: usize, count: usize) -> Result<(), String> {
        if !self.process.has_room(topic) {
            return Ok(());
        }
        let mut batch = RecordBatch::new(Place { topic, partition: 0 }.topic_id());
        {
            let mut scene = self.scene.lock();
            let mut positions = Vec::new();
            for place in places(topic) {
                let offsets = scene.broker.hand_out(place, count, &mut batch);
                if offsets.is_empty() {
                    continue;
                }
                let life = scene.life;
                offsets.iter().for_each(|&offset| scene.ledger.handed_out(place, offset, life));
                scene.note(&format!("deliver {}/{} {offsets:?}", place.name(), place.partition));
                let tell_end = scene.chance.happens(500);
                positions.extend(scene.broker.position(place, tell_end));
            }
            batch.set_positions(positions);
        }
        if batch.rows().is_empty() { Ok(()) } else { self.process.tell(topic, LaneItem::Batch(batch)).await }
    }

    async fn tell_positions(&self, topic: usize) -> Result<(), String> {
        let positions: Vec<_> = {
            let mut scene = self.scene.lock();
            places(topic).for_each(|place| scene.broker.pass_gaps(place));
            places(topic).filter_map(|place| scene.broker.position(place, true)).collect()
        };
        self.process.tell(topic, LaneItem::Positions(positions)).await
    }

    /// Assigns every partition of a topic that is not held.
    async fn assign(&self, topic: usize) -> Result<(), String> {
        let assigned: Vec<_> = {
            let mut scene = self.scene.lock();
            let free = places(topic).filter(|place| scene.broker.log(*place).held.is_none()).collect::<Vec<_>>();
            let assigned: Vec<_> = free.into_iter().map(|place| assign(&mut scene, place)).collect();
            scene.note(&format!("assign {} {assigned:?}", TOPICS[topic].0));
            assigned
        };
        if assigned.is_empty() { Ok(()) } else { self.process.tell(topic, LaneItem::Assigned(assigned)).await }
    }

    async fn assign_all(&self) -> Result<(), String> {
        for topic in 0..TOPICS.len() {
            self.assign(topic).await?;
        }
        Ok(())
    }

    /// Takes partitions of a topic away, all or one. What is settled may leave with them.
    async fn revoke(&self) -> Result<(), String> {
        let (topic, only, asks) = {
            let mut scene = self.scene.lock();
            let (topic, only) = (scene.chance.index(TOPICS.len()), scene.chance.index(4));
            (topic, only, scene.chance.happens(500))
        };
        if asks {
            let settled = self.process.handle.settle_now(Duration::from_millis(50)).await;
            let mut scene = self.scene.lock();
            settled.iter().for_each(|commit| scene.asked(commit));
            let held = if scene.disk.is_some() { Ok(()) } else { scene.committed_is_settled() };
            scene.expect(held);
            drop(scene);
            self.commits_arrive(topic);
        }
        let revoked: Vec<_> = {
            let mut scene = self.scene.lock();
            let gone = places(topic).filter(|place| only >= TOPICS[topic].1 || place.partition == only);
            let gone = gone.filter_map(|place| Some((place.number(), Epoch(scene.broker.revoke(place)?))));
            let gone: Vec<_> = gone.collect();
            scene.note(&format!("revoke {} {gone:?}", TOPICS[topic].0));
            gone
        };
        if revoked.is_empty() { Ok(()) } else { self.process.tell(topic, LaneItem::Revoked(revoked)).await }
    }

    /// Records that were polled before their assignment ended, and come after it.
    async fn straggle(&self) -> Result<(), String> {
        let topic = self.scene.lock().chance.index(TOPICS.len());
        if !self.process.has_room(topic) {
            return Ok(());
        }
        let mut batch = RecordBatch::new(Place { topic, partition: 0 }.topic_id());
        {
            let mut scene = self.scene.lock();
            let positions = places(topic).filter_map(|place| scene.broker.straggle(place, 3, &mut batch)).collect();
            scene.note(&format!("straggle {} {positions:?}", TOPICS[topic].0));
            batch.set_positions(positions);
        }
        if batch.rows().is_empty() { Ok(()) } else { self.process.tell(topic, LaneItem::Batch(batch)).await }
    }

    /// What was asked for reaches the group, or does not.
    fn commits_arrive(&self, topic: usize) {
        let mut scene = self.scene.lock();
        for place in places(topic) {
            let lose = scene.mood.lose_commit;
            let Some(asked) = scene.broker.log(place).held.and_then(|held| held.asked) else { continue };
            if !scene.chance.happens(lose) {
                scene.broker.log_mut(place).committed = Some(asked);
                scene.note(&format!("committed {}/{} {asked}", place.name(), place.partition));
            }
        }
    }

    /// Everything in memory is lost, and the process starts again.
    async fn restart(&mut self) {
        let next = {
            let mut scene = self.scene.lock();
            scene.note("end");
            scene.broker.forget();
            scene.running.clear();
            meddle(&mut scene);
            drop(scene);
            Process::start(&self.scene)
        };
        std::mem::replace(&mut self.process, next).end().await;
        (self.began, self.loaded) = (Instant::now(), false);
    }

    /// Reads what this life loads, if it has not yet.
    async fn load(&mut self) -> Result<(), String> {
        let mut rounds = 0..ROUNDS;
        while !self.has_failed() && !std::mem::replace(&mut self.loaded, true) {
            rounds.next().ok_or("stuck: what is to be loaded is not taken in")?;
            self.assign_all().await?;
            for topic in 0..TOPICS.len() {
                self.deliver_from(topic, 20).await?;
                self.tell_positions(topic).await?;
            }
            self.pass(1, 100).await;
            self.loaded = Broker::places().all(|place| is_loaded(&self.scene.lock(), place));
        }
        Ok(())
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
        while Broker::places().any(|place| !is_delivered(&self.scene.lock(), place)) {
            rounds.next().ok_or("stuck: what is delivered is not taken in")?;
            for topic in 0..TOPICS.len() {
                self.deliver_from(topic, 20).await?;
                self.tell_positions(topic).await?;
            }
            self.pass(1, 100).await;
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

fn places(topic: usize) -> impl Iterator<Item = Place> {
    (0..TOPICS[topic].1).map(move |partition| Place { topic, partition })
}

fn assign(scene: &mut Scene, place: Place) -> AssignedPartition {
    let stood = scene.disk.as_ref().map_or((None, false), |disk| disk.standing(place));
    scene.broker.assign(place, stood)
}

/// Somebody sets the group's positions. Of partitions that stand on the disk nobody may care.
fn meddle(scene: &mut Scene) {
    for place in Broker::places() {
        if scene.disk.as_ref().and_then(|disk| disk.stood(place)).is_some() && scene.chance.happens(100) {
            let end = scene.broker.log(place).end;
            let at = scene.chance.below(u64::try_from(end).unwrap_or(0) + 1);
            scene.broker.log_mut(place).committed = i64::try_from(at).ok();
            scene.note(&format!("meddled {}/{} {at}", place.name(), place.partition));
        }
    }
}

fn is_loaded(scene: &Scene, place: Place) -> bool {
    scene.broker.log(place).held.is_some_and(|held| held.position >= held.load_until)
}

fn is_delivered(scene: &Scene, place: Place) -> bool {
    let log = scene.broker.log(place);
    log.held.is_some_and(|held| held.position == log.end)
}

fn produce_one(scene: &mut Scene) {
    let topic = scene.chance.index(TOPICS.len());
    let station = scene.chance.index(STATIONS.len());
    let partition = match topic {
        // Readings of one station may stand in any partition, orders of one station in one.
        LOAD => scene.chance.index(TOPICS[LOAD].1),
        ORDER => station % TOPICS[ORDER].1,
        _ => 0,
    };
    let place = Place { topic, partition };
    let age_ms = i64::try_from(scene.chance.below(2_500)).unwrap_or(0);
    let good = |scene: &mut Scene, station| (!scene.chance.happens(60)).then_some(station);
    let mut stations = vec![good(scene, station)];
    if topic == LOAD && scene.chance.happens(400) {
        let other = scene.chance.index(STATIONS.len());
        stations.push(good(scene, other));
    }
    let is_text = !scene.chance.happens(40);
    scene.produce(place, age_ms, is_text.then_some(&stations));
    if scene.chance.happens(50) {
        scene.broker.mark(place, 1);
    }
}
