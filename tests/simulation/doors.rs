//! The doors of the pipeline as the scene opens and shuts them: consumers, the producer, module threads, the clock.

use std::sync::Arc;

use async_trait::async_trait;
use quorate::pipeline::Ports;
use quorate::pipeline::ports::{
    CallOutcome, Clock, Commit, Consumers, Executor, OutgoingRecord, PublishError, Publisher,
};
use quorate_core::contract::{ModuleInput, Output};
use quorate_core::ident::{Millis, ModuleId};

use super::broker::{Place, TOPICS};
use super::disk::{Disk, Stood};
use super::ledger::{Content, PAIR, Pair};
use super::scene::{Fate, Shared, TIMEOUT};

/// Where dead letters go.
pub const DEAD_LETTERS: &str = "simulation-dead-letters";

/// The doors of one life of the process.
#[derive(Clone)]
struct Door {
    scene: Shared,
    life: u32,
}

/// All doors for one life.
pub fn ports(scene: &Shared, life: u32) -> Ports {
    let door = Arc::new(Door { scene: scene.clone(), life });
    Ports {
        consumers: Arc::clone(&door) as _,
        publisher: Arc::clone(&door) as _,
        executor: Arc::clone(&door) as _,
        clock: door,
    }
}

impl Clock for Door {
    fn now(&self) -> Millis {
        self.scene.lock().now()
    }
}

impl Consumers for Door {
    fn commit(&self, commits: &[Commit]) {
        let mut scene = self.scene.lock();
        scene.away.iter_mut().for_each(|asked| asked.commits += 1);
        commits.iter().for_each(|commit| scene.asked(commit));
        let held = match &scene.disk {
            Some(disk) if disk.refused => Err("committed though the store has failed".to_owned()),
            Some(_) => Ok(()),
            None => scene.committed_is_settled(),
        };
        scene.expect(held);
    }

    fn stop_intake(&self) {}
}

impl super::scene::Scene {
    /// A commit is asked for; the consumer drops those of another assignment.
    pub fn asked(&mut self, commit: &Commit) {
        let place = Place {
            topic: commit.topic.ix(),
            partition: usize::try_from(commit.partition).expect("a partition of ours"),
        };
        let next = commit.next.0;
        let Some(held) = self.broker.log(place).held.filter(|held| held.epoch == commit.epoch.0) else { return };
        let of_its_life = |stood: &Stood| stood.incarnation == held.life.incarnation;
        let stood = self.disk.as_ref().map(|disk| disk.stood(place).filter(of_its_life).map_or(0, |stood| stood.at));
        let held_up = if stood.is_some_and(|stood| next > stood) {
            Err(format!("committed beyond what is durable: {place:?} {next} > {stood:?}"))
        } else if next > held.position {
            Err(format!("committed beyond what was handed out: {place:?} {next} > {}", held.position))
        } else if next < held.live_from.max(held.asked.unwrap_or(0)) {
            Err(format!("commits went back: {place:?} {next} after {:?}, from {}", held.asked, held.live_from))
        } else {
            Ok(())
        };
        self.expect(held_up);
        if let Some(held) = &mut self.broker.log_mut(place).held {
            held.asked = Some(next);
        }
        self.note(&format!("asked {}/{} {next}", place.name(), place.partition));
    }
}

#[async_trait]
impl Executor for Door {
    async fn call(&self, _module: ModuleId, input: Arc<ModuleInput>) -> CallOutcome {
        let (content, fate, pause) = {
            let mut scene = self.scene.lock();
            let life = scene.disk.is_none().then_some(self.life);
            match scene.ledger.called(life, &input) {
                Ok(content) => {
                    let may = |disk: &Disk| disk.may_call(&content, &input);
                    let held = scene.disk.as_ref().map_or(Ok(()), may).and(scene.is_new_task(self.life, &content));
                    scene.expect(held);
                    let held = scene.knows_no_more_than_is_on_record(&content).and(scene.is_live(&content));
                    scene.expect(held);
                    scene.note(&format!("call {content:?} {}", input.input_hash));
                    let (fate, pause) = scene.fate(&content);
                    let key = (self.life, content.module, content.station);
                    if scene.running.contains(&key) {
                        scene.expect(Err(format!("two calls at the same time: {key:?}")));
                    }
                    let held = scene.begins(&content);
                    scene.expect(held);
                    scene.running.push(key);
                    scene.away.iter_mut().for_each(|asked| asked.calls += 1);
                    (content, fate, pause)
                }
                Err(why) => {
                    scene.expect(Err(why.clone()));
                    return CallOutcome::Rejected(why);
                }
            }
        };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        {
            let mut scene = self.scene.lock();
            scene.running.retain(|key| *key != (self.life, content.module, content.station));
            scene.call_ended(&content, fate);
        }
        match fate {
            Fate::Returns => CallOutcome::Returned(vec![output(&content)]),
            Fate::Fails => CallOutcome::Failed("by chance".to_owned()),
            Fate::Rejects => CallOutcome::Rejected("by chance".to_owned()),
            Fate::Panics => CallOutcome::Panicked("by chance".to_owned()),
            Fate::TimesOut => CallOutcome::TimedOut(TIMEOUT),
            Fate::Sticks => CallOutcome::Stuck(TIMEOUT),
        }
    }
}

fn output(content: &Content) -> Output {
    let output = match (content.module, content.load, content.price) {
        (PAIR, Some(load), Some(price)) => Output::json(&Pair { load, price }),
        _ => Output::json(&0),
    };
    output.expect("JSON")
}

#[async_trait]
impl Publisher for Door {
    async fn publish(&self, record: OutgoingRecord) -> Result<(), PublishError> {
        let (refused, before, after) = {
            let mut scene = self.scene.lock();
            let (refuse, slow) = (scene.mood.refuse, scene.mood.slow_publish);
            scene.away.iter_mut().for_each(|asked| {
                let count = if &*record.topic == DEAD_LETTERS { &mut asked.letters } else { &mut asked.results };
                *count += 1;
            });
            (scene.chance.happens(refuse), scene.pause(slow, 3_000), scene.pause(slow, 3_000))
        };
        if !before.is_zero() {
            tokio::time::sleep(before).await;
        }
        self.broker().await;
        if refused {
            self.refused(&record);
            return Err(PublishError::Refused("by chance".to_owned()));
        }
        self.arrived(&record);
        // Whoever crashes here never learns that the record is in Kafka.
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        self.broker().await;
        Ok(())
    }
}

impl Door {
    /// Returns once the broker is there.
    async fn broker(&self) {
        let back = self.scene.lock().return_of_broker();
        if let Some(back) = back {
            back.await;
        }
    }

    /// A record is not taken by the broker.
    fn refused(&self, record: &OutgoingRecord) {
        let mut scene = self.scene.lock();
        let content = header(record, "quorate-input-hash").and_then(|hash| scene.ledger.input(&hash));
        if let Some(content) = content.filter(|_| &*record.topic != DEAD_LETTERS) {
            scene.refused(&content);
        }
    }

    /// A record is in Kafka for good.
    fn arrived(&self, record: &OutgoingRecord) {
        let text = |name: &str| header(record, name);
        let mut scene = self.scene.lock();
        let is_letter = &*record.topic == DEAD_LETTERS;
        let held = match (text("quorate-input-hash"), text("quorate-origin")) {
            (Some(hash), _) => match scene.ledger.input(&hash) {
                Some(content) => {
                    let reason = text("quorate-reason").filter(|_| is_letter);
                    scene.ended(self.life, &content, reason.as_deref());
                    let (told, is) = (text("quorate-trigger"), scene.ledger.trigger(&content));
                    let same = is_letter || told == is;
                    if same { Ok(()) } else { Err(format!("triggered by {is:?}, published as {told:?}")) }
                }
                None => Err(format!("no module was called with {hash}")),
            },
            (None, Some(origin)) => {
                let element = text("quorate-element").and_then(|element| element.parse().ok());
                let reason = text("quorate-reason").unwrap_or_default();
                match place(&origin) {
                    Some((place, offset)) => {
                        let value = record.value.as_deref().unwrap_or_default();
                        scene.buried((place, offset, element), value, &reason)
                    }
                    None => Err(format!("no such place: {origin}")),
                }
            }
            _ => Err(format!("neither the end of a run nor a dead letter: {:?}", record.headers)),
        };
        scene.expect(held);
    }
}

fn header(record: &OutgoingRecord, name: &str) -> Option<String> {
    let value = record.headers.iter().find(|(other, _)| *other == name)?;
    String::from_utf8(value.1.clone()).ok()
}

fn place(origin: &str) -> Option<(Place, i64)> {
    let mut parts = origin.split('/');
    let topic = parts.next()?;
    let topic = TOPICS.iter().position(|(name, _)| *name == topic)?;
    Some((Place { topic, partition: parts.next()?.parse().ok()? }, parts.next()?.parse().ok()?))
}
