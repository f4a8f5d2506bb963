//! The disk that outlives crashes: a real store, told when to fail and when to take its time, and by itself what has
//! been acknowledged, so that nobody has to ask the store what it promised.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use quorate::pipeline::durable::{Flush, Standing, Standings, StateStore, StoreError, StoredCeiling};
use quorate::pipeline::{Kept, Pipeline};
use quorate::state::MemoryStore;
use quorate_core::PendingContent;
use quorate_core::contract::ModuleInput;
use quorate_core::ident::Station;
use quorate_core::provenance::{Incarnation, key_hash};
use quorate_core::shard::{PendingState, RunState};

use super::broker::{Place, TOPICS};
use super::ledger::{BUCKET_MS, Content, Ledger, MODULES, Piece, Reading, STATIONS, TASK, each_of, key};
use super::scene::{Scene, Shared};

/// What tells runs of one module and station apart that are each handed something of their own.
pub type Trigger = String;

/// What is on the disk, and what the life at hand knows of it.
pub struct Disk {
    store: MemoryStore,
    standings: Arc<Standings>,
    /// How many offsets a ceiling lies ahead.
    ahead: i64,
    /// Every topic was once read to where its state reaches back; until then each life reads it again.
    pub read: bool,
    /// Whether this life reads it again.
    reload: bool,
    /// The store refused something and is of no more use to this life.
    pub failed: bool,
    /// What it refused was a flush.
    pub refused: bool,
    positions: BTreeMap<Place, Stood>,
    ceilings: BTreeMap<Place, (Incarnation, i64)>,
    /// As the life at hand knows them.
    known_ceilings: BTreeMap<Place, (Incarnation, i64)>,
    letters: HashMap<u64, Vec<Piece>>,
    runs: HashMap<(Station, Arc<str>), RunState>,
    waiting: HashMap<(Station, Arc<str>, u64), Trigger>,
    triggers: HashSet<(usize, usize, Trigger)>,
    /// Keys of what is done, by their hashes.
    keys: HashSet<u128>,
    /// Runs of which the end is on the disk.
    done: HashSet<(usize, usize, Trigger)>,
}

/// Where a partition stands on the disk.
#[derive(Clone, Copy)]
pub struct Stood {
    pub incarnation: Incarnation,
    /// Everything before it has had its effect: records before `live_from` had it in an earlier life.
    pub at: i64,
    /// Everything before it is part of the state.
    pub next: i64,
}

impl Disk {
    pub fn new(ahead: i64) -> Self {
        Self {
            store: MemoryStore::default(),
            standings: Arc::default(),
            ahead,
            read: false,
            reload: true,
            failed: false,
            refused: false,
            positions: BTreeMap::new(),
            ceilings: BTreeMap::new(),
            known_ceilings: BTreeMap::new(),
            letters: HashMap::new(),
            runs: HashMap::new(),
            waiting: HashMap::new(),
            triggers: HashSet::new(),
            keys: HashSet::new(),
            done: HashSet::new(),
        }
    }

    /// Where a partition begins by what is durable, and whether its windows are to be read again.
    pub fn standing(&self, place: Place) -> (Option<Standing>, bool) {
        (self.standings.of(&place.name().into(), place.number()), self.reload)
    }

    /// Where a partition stands on the disk.
    pub fn stood(&self, place: Place) -> Option<Stood> {
        self.positions.get(&place).copied()
    }

    /// Whether the end of a run is on the disk; of what is handed over one by one, that it is.
    pub fn has_ended(&self, content: &Content, trigger: Option<Trigger>, hash: &str) -> bool {
        let &Content { module, station, .. } = content;
        match trigger {
            Some(trigger) => self.done.contains(&(module, station, trigger)),
            None => {
                let run = self.runs.get(&(STATIONS[station].into(), MODULES[module].into()));
                run.is_some_and(|run| !run.due && run.ended.is_some_and(|ended| ended.to_string() == hash))
            }
        }
    }

    /// Whether the end of a run is on the disk, whatever became due since.
    pub fn knows_the_end_of(&self, content: &Content, trigger: Option<Trigger>, hash: &str) -> bool {
        let &Content { module, station, .. } = content;
        match trigger {
            Some(trigger) => self.done.contains(&(module, station, trigger)),
            None => {
                let run = self.runs.get(&(STATIONS[station].into(), MODULES[module].into()));
                run.is_some_and(|run| run.ended.is_some_and(|ended| ended.to_string() == hash))
            }
        }
    }

    /// What letters are about that wait on the disk.
    pub fn letters(&self) -> impl Iterator<Item = &Piece> {
        self.letters.values().flatten()
    }

    /// Up to where this life applies a partition.
    pub fn admits(&self, place: Place) -> i64 {
        self.known_ceilings.get(&place).map_or(0, |(_, at)| *at)
    }

    /// # Errors
    /// The reading stands at or above what may be applied by what is durable.
    pub fn may_know(&self, reading: &Reading) -> Result<(), String> {
        let ceiling = self.ceilings.get(&reading.place);
        if ceiling.is_some_and(|ceiling| (reading.incarnation, reading.offset) < *ceiling) {
            return Ok(());
        }
        Err(format!("known above its ceiling: {reading:?}, {ceiling:?}"))
    }

    /// # Errors
    /// The call must not take place: its end is on the disk, or its beginning is not.
    pub fn may_call(&self, content: &Content, input: &ModuleInput) -> Result<(), String> {
        let &Content { module, station, .. } = content;
        let task = content.price.filter(|_| module == TASK);
        if task.is_some_and(|number| self.keys.contains(&hash_of(number, station))) {
            return Err(format!("called again though its key is durable: {content:?}"));
        }
        match trigger(input) {
            Some(trigger) => {
                let run = (module, station, trigger);
                if self.done.contains(&run) {
                    return Err(format!("called again though its end is durable: {run:?}"));
                }
                if !self.triggers.contains(&run) {
                    return Err(format!("called before that is durable: {run:?}"));
                }
            }
            None => {
                let stored = self.runs.get(&(input.station.clone(), Arc::clone(&input.module)));
                let ended = stored.filter(|run| !run.due).and_then(|run| run.ended);
                if ended == Some(input.input_hash) {
                    return Err(format!("called again with {}, of which the end is durable", input.input_hash));
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, flush: &Flush, ledger: &Ledger) -> Result<(), String> {
        for letter in &flush.letters {
            let Some((topic, partition, offset)) = &letter.origin else { continue };
            let topic = topic_of(topic)?;
            let header = letter.headers.iter().find(|(name, _)| name == "quorate-element");
            let element = header.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
            let partition = usize::try_from(*partition).map_err(|_| "a partition below 0")?;
            let at = (Place { topic, partition }, *offset, element);
            let pieces = ledger.pieces(at, letter.reason == "late", letter.value.as_deref().unwrap_or_default());
            self.letters.insert(letter.id, pieces);
        }
        self.letters.retain(|id, _| !flush.settled_letters.contains(id));
        for changes in &flush.changes {
            for run in &changes.runs {
                let key = (run.station.clone(), Arc::clone(&run.module));
                match run.state {
                    Some(state) => drop(self.runs.insert(key, state)),
                    None => drop(self.runs.remove(&key)),
                }
            }
            for done in &changes.done {
                match done.at {
                    Some(_) => self.keys.insert(done.key),
                    None => self.keys.remove(&done.key),
                };
            }
            for pending in &changes.pending {
                let key = (pending.station.clone(), Arc::clone(&pending.module), pending.number);
                let (module, station) = (module_of(&pending.module)?, station_of(&pending.station)?);
                match &pending.state {
                    Some(state) => {
                        let trigger = waiting(state);
                        self.triggers.insert((module, station, trigger.clone()));
                        self.waiting.insert(key, trigger);
                    }
                    None => {
                        let gone = self.waiting.remove(&key).ok_or("something ended that never was durable")?;
                        self.done.insert((module, station, gone));
                    }
                }
            }
        }
        for position in &flush.positions {
            let partition = usize::try_from(position.partition).map_err(|_| "a partition below 0")?;
            let place = Place { topic: topic_of(&position.topic)?, partition };
            let stood = Stood {
                incarnation: position.incarnation,
                at: position.next.0.max(position.live_from.0),
                next: position.next.0,
            };
            let before = self.positions.insert(place, stood);
            if before.is_some_and(|before| (before.incarnation, before.at) > (stood.incarnation, stood.at)) {
                return Err(format!("the durable position went back: {place:?} to {}", stood.at));
            }
        }
        Ok(())
    }
}

impl Scene {
    /// A flush is on the disk: nothing that it covers is owed without being on it, too.
    fn flushed(&mut self, flush: &Flush) -> Result<(), String> {
        let stands: Vec<_> =
            flush.positions.iter().map(|at| format!("{}/{} {}", at.topic, at.partition, at.next)).collect();
        self.note(&format!("flushed {stands:?}"));
        let Some(disk) = &mut self.disk else { return Ok(()) };
        disk.note(flush, &self.ledger)?;
        let disk = &*disk;
        for (&place, stood) in &disk.positions {
            let reached = self.broker.log(place).reached.get(&stood.incarnation);
            if reached.is_none_or(|reached| stood.at > *reached) {
                return Err(format!("durable beyond what was handed out: {place:?} {} > {reached:?}", stood.at));
            }
            self.ledger.stands(place, (stood.incarnation, stood.next), self.life);
            self.broker.log_mut(place).stands(stood.incarnation);
        }
        let lost = |number: usize| {
            let piece = Piece::Bad(number);
            !self.ledger.letters.contains(&piece) && disk.letters().all(|letter| *letter != piece)
        };
        let durable = self.ledger.bad.iter().enumerate().filter(|(_, bad)| bad.durable && !bad.history);
        if let Some((_, bad)) = durable.into_iter().find(|(number, _)| lost(*number)) {
            return Err(format!("durable without a dead letter: {bad:?}"));
        }
        for (number, reading) in
            self.ledger.readings.iter().enumerate().filter(|(_, reading)| reading.durable && !reading.history)
        {
            for &module in each_of(reading.place.topic) {
                let is_passed_over = module == TASK && disk.keys.contains(&hash_of(number, reading.station));
                if !is_passed_over && !disk.triggers.contains(&(module, reading.station, reading.trigger())) {
                    return Err(format!("durable, but not owed to {}: {reading:?}", MODULES[module]));
                }
            }
        }
        Ok(())
    }
}

/// Gives a life that begins what is on the disk.
pub fn begin(scene: &Shared, pipeline: &mut Pipeline) {
    let mut held = scene.lock();
    let Some(disk) = &mut held.disk else { return };
    disk.store = disk.store.reopened();
    disk.standings = Arc::default();
    disk.standings.flushed(disk.store.positions());
    disk.standings.raised(disk.store.ceilings());
    (disk.reload, disk.failed, disk.refused) = (!disk.read, false, false);
    disk.known_ceilings = disk.ceilings.clone();
    disk.store.load(&mut |changes| pipeline.restore(&changes));
    pipeline.restore_letters(disk.store.letters());
    let store = Arc::new(Driver { scene: scene.clone(), store: disk.store.clone() });
    pipeline.keep(Kept { store, standings: Arc::clone(&disk.standings), ahead: disk.ahead, calls: None });
}

/// The way of one life to the disk.
struct Driver {
    scene: Shared,
    store: MemoryStore,
}

impl Driver {
    /// How long a write takes before and after it is on the disk, and whether it fails.
    async fn arrive(&self) -> Result<std::time::Duration, StoreError> {
        let (before, after) = {
            let mut scene = self.scene.lock();
            scene.away.iter_mut().for_each(|asked| asked.writes += 1);
            let slow = scene.mood.slow_flush;
            (scene.pause(slow, 3_000), scene.pause(slow, 3_000))
        };
        if !before.is_zero() {
            tokio::time::sleep(before).await;
        }
        let mut scene = self.scene.lock();
        let fail = scene.mood.fail_flush;
        let fails = scene.chance.happens(fail);
        let Some(disk) = &mut scene.disk else { return Ok(after) };
        if !disk.failed && !fails {
            return Ok(after);
        }
        disk.failed = true;
        scene.note("the store fails");
        Err(StoreError("by chance".to_owned()))
    }
}

#[async_trait]
impl StateStore for Driver {
    async fn flush(&self, flush: Flush) -> Result<(), StoreError> {
        let arrived = self.arrive().await;
        if arrived.is_err() {
            self.scene.lock().disk.iter_mut().for_each(|disk| disk.refused = true);
        }
        // Whoever is told of a failure does not know how far it came.
        if arrived.is_err() && !self.scene.lock().chance.happens(300) {
            return arrived.map(|_| ());
        }
        self.store.flush(flush.clone()).await?;
        {
            let mut scene = self.scene.lock();
            let held = scene.flushed(&flush);
            scene.expect(held);
        }
        // Whoever crashes here never learns that it is durable.
        let after = arrived?;
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        Ok(())
    }

    async fn raise(&self, ceilings: Vec<StoredCeiling>) -> Result<(), StoreError> {
        let after = self.arrive().await?;
        self.store.raise(ceilings.clone()).await?;
        {
            let mut scene = self.scene.lock();
            for StoredCeiling { topic, partition, incarnation, at } in ceilings {
                let partition = usize::try_from(partition).expect("a partition of ours");
                let topic = topic_of(&topic).expect("a topic of ours");
                let ceilings = scene.disk.iter_mut().map(|disk| &mut disk.ceilings);
                ceilings.for_each(|ceilings| _ = ceilings.insert(Place { topic, partition }, (incarnation, at.0)));
            }
            let held = scene.ceilings_hold();
            scene.expect(held);
        }
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        self.scene.lock().disk.iter_mut().for_each(|disk| disk.known_ceilings = disk.ceilings.clone());
        Ok(())
    }
}

/// What tells a call from others of its module and station, if it is handed something of its own.
pub fn trigger(input: &ModuleInput) -> Option<Trigger> {
    let reading = || input.reading.as_ref().map(ToString::to_string);
    input.bucket.map(|from| from.0.to_string()).or_else(reading)
}

fn waiting(state: &PendingState) -> Trigger {
    match &state.content {
        PendingContent::Bucket(bucket) => (bucket.number * BUCKET_MS).to_string(),
        PendingContent::Reading(entry) => {
            let at = entry.origin;
            let life = if at.incarnation == 0 { String::new() } else { format!("/{}", at.incarnation) };
            format!("{}/{}/{}/{}{life}", state.topic, at.partition, at.offset, at.element)
        }
    }
}

/// The hash under which a module remembers the key of a reading.
pub fn hash_of(number: usize, station: usize) -> u128 {
    key_hash(&STATIONS[station].into(), &key(number).to_string())
}

fn topic_of(name: &str) -> Result<usize, String> {
    TOPICS.iter().position(|(known, _)| *known == name).ok_or_else(|| format!("an unknown topic: {name}"))
}

fn module_of(name: &str) -> Result<usize, String> {
    MODULES.iter().position(|known| *known == name).ok_or_else(|| format!("an unknown module: {name}"))
}

fn station_of(station: &Station) -> Result<usize, String> {
    STATIONS
        .iter()
        .position(|known| *known == station.as_str())
        .ok_or_else(|| format!("an unknown station: {station:?}"))
}
