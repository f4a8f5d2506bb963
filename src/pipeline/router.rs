//! The router: serves lanes fairly, decodes, and sends each reading to the shard that owns its station. It alone knows
//! where partitions stand, so it also takes the consistent cuts that commits rest on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quorate_core::decode::{DeadRecord, Decoder, Readings};
use quorate_core::fairness::Rounds;
use quorate_core::ident::{Millis, Offset, Partition, TopicId};
use quorate_core::plan::Plan;
use quorate_core::progress::Progress;
use quorate_core::provenance::shard_of;
use quorate_core::record::{PartitionPosition, RecordBatch, RecordRow};
use quorate_core::shard::Mode;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::trace;

use super::broken::Broken;
use super::ceilings::{Admission, Ceilings};
use super::checkpoint::{Checkpoint, Keeping};
use super::counts::Counts;
use super::cuts::{Dirt, sleep_until};
use super::dead_letters::{self, DeadLetter, DeadLetterSender};
use super::gauges::Gauges;
use super::lane::LaneReceiver;
use super::loading::Loads;
use super::ports::{Clock, Commit, LaneItem};
use super::shard_task::{Modes, Portion, ToShard};
use super::standstill::{self, Standstill};

/// Records of one topic that may themselves be unsettled; at this many its lane stops.
pub const MAX_UNSETTLED: usize = 100_000;

/// How long nothing may come of a topic before runs no longer wait for it to be read.
pub(super) const LOAD_PATIENCE: Duration = Duration::from_secs(60);

/// In a lane's turn so many bytes weigh as much as one record, so that large records take as many turns as they cost.
const BYTES_PER_RECORD: usize = 4096;

/// How soon a stopped lane is looked at again.
const STOPPED_PAUSE: Duration = Duration::from_millis(20);

/// What the router is asked from outside its lanes.
#[derive(Debug)]
pub(super) enum ToRouter {
    /// Take a cut now and say what may be committed: partitions are about to be taken away.
    SettleNow(oneshot::Sender<Vec<Commit>>),
    /// Serve lanes no more; answer once shards have nothing ready or in flight, everything is acknowledged, and the
    /// last positions are on their way to the consumers.
    Drain(oneshot::Sender<()>),
}

pub(super) struct Router {
    pub(super) plan: Arc<Plan>,
    pub(super) lanes: Vec<Lane>,
    pub(super) rounds: Rounds,
    pub(super) progress: Progress,
    pub(super) shards: Vec<mpsc::Sender<ToShard>>,
    pub(super) dead: DeadLetterSender,
    pub(super) checkpoints: mpsc::Sender<Checkpoint>,
    pub(super) inbox: mpsc::Receiver<ToRouter>,
    pub(super) wake: Arc<Notify>,
    pub(super) unsettled: Vec<Gauges>,
    pub(super) dead_bytes: Gauges,
    pub(super) counts: Arc<Counts>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) flush_interval: Duration,
    /// Per topic what may wait to be settled or handed over.
    pub(super) max_pending: Vec<usize>,
    /// Where state is kept, and how far that admits records.
    pub(super) keeping: Option<(Keeping, Ceilings)>,
    pub(super) hurry: Arc<Notify>,
    pub(super) broken: Broken,
    pub(super) dirt: Dirt,
    pub(super) loads: Loads,
}

/// The router's end of one topic's lane, with the batch at its head.
pub(super) struct Lane {
    pub(super) receiver: LaneReceiver,
    head: VecDeque<RecordBatch>,
    /// The last record of each partition in the batch at the head.
    last: Vec<(Partition, Offset)>,
    decoder: Decoder,
    /// Whether a record that cannot be decoded stops it, and whether one has.
    stops: bool,
    stands_still: bool,
    /// Whether the shards were told that it is loaded.
    pub(super) loaded: bool,
    /// Whether the shards were told an event clock other than the wall clock.
    pub(super) behind: bool,
    /// Whether a part of the topic is missing.
    pub(super) split: bool,
    /// Whether the shards were told that a part of it is missing, or is back and was not read yet.
    pub(super) partial: bool,
    /// How far it was read at the last look of that which modules wait for, and for how long no further, in whole flush
    /// intervals.
    pub(super) read: Option<u64>,
    pub(super) silent: Duration,
    /// That was too long: nobody waits for it before it is assigned anew.
    pub(super) given_up: bool,
}

/// What stands at the head of a lane.
pub(super) enum Head {
    Empty,
    /// Too much of the topic is unsettled.
    Owes,
    /// Its records may not be applied before that is on record.
    Stopped,
    /// No more of it is applied in this life.
    StandsStill,
    Records(usize),
}

impl Head {
    fn records(&self) -> Option<usize> {
        match self {
            Self::Records(records) => Some(*records),
            Self::Empty | Self::Owes | Self::Stopped | Self::StandsStill => None,
        }
    }

    /// Whether records wait that will be applied.
    pub(super) fn holds_records(&self) -> bool {
        matches!(self, Self::Owes | Self::Stopped | Self::Records(_))
    }
}

impl Lane {
    /// `stops` says whether a record that cannot be decoded stops it.
    pub(super) fn new(receiver: LaneReceiver, decoder: Decoder, stops: bool) -> Self {
        Self {
            receiver,
            head: VecDeque::new(),
            last: Vec::new(),
            decoder,
            stops,
            stands_still: false,
            loaded: false,
            behind: false,
            split: false,
            partial: false,
            read: None,
            silent: Duration::ZERO,
            given_up: false,
        }
    }
}

impl Router {
    /// Runs until it is drained or nobody can reach it any more.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(self.flush_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.fill_heads().await;
            let heads: Vec<Head> = (0..self.lanes.len()).map(|lane| self.head(lane)).collect();
            let wanted_at = self.dirt.wanted_at();
            let stopped = heads.iter().any(|head| matches!(head, Head::Owes | Head::Stopped));
            self.hold_clocks(&heads).await;
            self.heed_parts(&heads).await;
            let next = self.rounds.next(|lane| heads[lane].records());
            tokio::select! {
                biased;
                _ = self.broken.failed() => return,
                asked = self.inbox.recv() => match asked {
                    Some(ToRouter::SettleNow(reply)) => self.settle_now(reply).await,
                    Some(ToRouter::Drain(reply)) => return self.drain(reply).await,
                    None => return,
                },
                _ = tick.tick() => {
                    self.stop_waiting_for_silent_topics(&heads).await;
                    self.counts.set_loading(self.loads.look(&self.plan, &self.progress, Instant::now()));
                    self.cut_if_free().await;
                }
                () = self.hurry.notified(), if wanted_at.is_none() => self.dirt.hurry(),
                () = sleep_until(wanted_at) => self.cut_if_free().await,
                () = std::future::ready(()), if next.is_some() => {}
                () = self.wake.notified(), if next.is_none() => {}
                () = tokio::time::sleep(STOPPED_PAUSE), if next.is_none() && stopped => {}
            }
            if let Some(lane) = next {
                trace!(lane, records = heads[lane].records(), waiting = ?waiting(&heads), "turn");
                self.serve(lane).await;
            }
        }
    }

    /// Brings the next batch of each lane to its head. What stands before it takes effect in order.
    async fn fill_heads(&mut self) {
        for lane in 0..self.lanes.len() {
            while self.lanes[lane].head.is_empty() || self.lanes[lane].stands_still {
                let Some(item) = self.lanes[lane].receiver.try_recv() else { break };
                let topic = topic_id(lane);
                match item {
                    LaneItem::Split(split) => self.lanes[lane].split = split,
                    // A topic that stands still does not follow its consumer, and must not keep one waiting that has others.
                    _ if self.lanes[lane].stands_still => {}
                    LaneItem::Batch(batch) => {
                        self.lanes[lane].last = last_offsets(&batch);
                        self.lanes[lane].head.push_back(batch);
                    }
                    LaneItem::Assigned(partitions) => {
                        self.progress.assigned_nothing(topic);
                        for assignment in partitions {
                            self.progress.assigned(topic, assignment);
                            if let Some((_, ceilings)) = &mut self.keeping {
                                ceilings.assigned(topic, assignment.partition);
                            }
                        }
                        (self.lanes[lane].silent, self.lanes[lane].given_up) = (Duration::ZERO, false);
                        self.follow_clock(topic).await;
                    }
                    LaneItem::Positions(positions) => self.moved(topic, &positions, |_| None).await,
                    LaneItem::Revoked(partitions) => {
                        for (partition, epoch) in partitions {
                            self.progress.revoked(topic, partition, epoch);
                        }
                        self.follow_clock(topic).await;
                    }
                }
            }
        }
    }

    fn head(&mut self, lane: usize) -> Head {
        if self.lanes[lane].stands_still {
            return Head::StandsStill;
        }
        let Some(batch) = self.lanes[lane].head.front() else { return Head::Empty };
        let unsettled: usize = self.unsettled.iter().map(|gauges| gauges[lane].load(Ordering::Relaxed)).sum();
        let dead_bytes = self.dead_bytes[lane].load(Ordering::Relaxed);
        // While a topic loads, what is owed on its account coalesces, and what settles it may stand behind this head.
        let is_loaded = self.lanes[lane].loaded || self.progress.is_loaded(topic_id(lane));
        let owes_too_much = is_loaded && unsettled >= self.max_pending.get(lane).copied().unwrap_or(MAX_UNSETTLED);
        let records = batch.len().max(batch.bytes().len() / BYTES_PER_RECORD);
        if owes_too_much || dead_bytes >= dead_letters::MAX_BYTES {
            return Head::Owes;
        }
        match self
            .keeping
            .as_mut()
            .map(|(_, ceilings)| ceilings.admits(&self.progress, topic_id(lane), &self.lanes[lane].last))
        {
            None | Some(Admission::Admitted) => Head::Records(records),
            Some(Admission::Waits) => Head::Stopped,
            Some(Admission::Unflushed) => {
                self.dirt.hurry();
                Head::Stopped
            }
        }
    }

    /// Decodes the head of a lane and hands it to the shards, up to a record at which its topic is to stop.
    async fn serve(&mut self, lane: usize) {
        let Some(batch) = self.lanes[lane].head.pop_front() else { return };
        let topic = topic_id(lane);
        let (modes, stale) = Modes::of(&self.progress, topic, batch.rows());
        let readings = self.lanes[lane].decoder.decode(Arc::new(batch));
        let source = readings.source();
        self.counts.add_stale(stale);
        let stop = self.lanes[lane].stops.then(|| standstill::first(&readings, &modes, self.plan.topic(topic)));
        let (end, positions) = match stop.flatten() {
            Some((end, standstill)) => {
                self.stand_still(lane, standstill);
                (end, standstill::positions_before(&source, end))
            }
            None => {
                self.bury(&readings, &modes).await;
                (source.len(), source.positions().to_vec())
            }
        };
        let rows = &source.rows()[..end];
        let stale = if stale == 0 { 0 } else { rows.iter().filter(|row| modes.at(row).is_none()).count() };
        let count = readings.rows().partition_point(|row| (row.record as usize) < end);
        self.counts.add_records(end - stale, count);
        // A record from the future must not expire what is there: the event clock never runs ahead of the wall clock.
        let now = self.clock.now();
        let newest = |partition| newest_timestamp(rows, partition).map(|newest| newest.min(now));
        let event_clock = self.progress.event_clock(topic);
        self.lanes[lane].behind = event_clock.is_some();
        let life = |&(partition, _): &(Partition, Offset)| {
            self.progress.incarnation(topic, partition).map(|life| (partition, life))
        };
        let lives = self.lanes[lane].last.iter().filter_map(life).collect();
        self.distribute(Portion { topic, readings, modes, event_clock, lives }, count).await;
        self.dirt.add(source.bytes().len());
        self.moved(topic, &positions, newest).await;
    }

    fn stand_still(&mut self, lane: usize, standstill: Standstill) {
        standstill.log();
        self.lanes[lane].stands_still = true;
        self.counts.add_standstill(standstill);
    }

    /// Hands what could not be decoded to the dead-letter writer, except what an earlier life or this one has given to it
    /// already.
    async fn bury(&self, readings: &Readings, modes: &Modes) {
        let source = readings.source();
        let topic = source.topic();
        let is_news = |dead: &&DeadRecord| {
            let row = &source.rows()[dead.record as usize];
            modes.at(row) == Some(Mode::Live) && !self.progress.is_again(topic, row)
        };
        let dead = readings.dead().iter().filter(is_news);
        let letters = DeadLetter::of_records(&self.plan, readings, dead, self.clock.now());
        if !letters.is_empty() {
            self.dead.send(letters).await;
        }
    }

    /// Sends the first `count` readings to their shards.
    async fn distribute(&self, portion: Portion, count: usize) {
        let shards = self.shards.len();
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); shards];
        for (index, row) in (0..).zip(&portion.readings.rows()[..count]) {
            if portion.readings.station(row).is_some() {
                rows[shard_of(row.station_hash, shards)].push(index);
            } else {
                rows.iter_mut().for_each(|rows| rows.push(index));
            }
        }
        let portion = Arc::new(portion);
        for (shard, rows) in self.shards.iter().zip(rows) {
            drop(shard.send(ToShard::Apply(Arc::clone(&portion), rows)).await);
        }
    }

    async fn moved(
        &mut self,
        topic: TopicId,
        positions: &[PartitionPosition],
        newest: impl Fn(Partition) -> Option<Millis>,
    ) {
        for position in positions {
            self.progress.moved(topic, *position, newest(position.partition));
        }
        self.catch_up(topic).await;
    }

    pub(super) async fn tell_all(&self, message: impl Fn() -> ToShard) {
        for shard in &self.shards {
            drop(shard.send(message()).await);
        }
    }
}

/// The last record of each partition in a batch.
fn last_offsets(batch: &RecordBatch) -> Vec<(Partition, Offset)> {
    let mut last: Vec<(Partition, Offset)> = Vec::new();
    for row in batch.rows() {
        match last.iter_mut().find(|(partition, _)| *partition == row.partition) {
            Some((_, offset)) => *offset = row.offset.max(*offset),
            None => last.push((row.partition, row.offset)),
        }
    }
    last
}

/// The lanes that have records to hand out.
fn waiting(heads: &[Head]) -> Vec<usize> {
    heads.iter().enumerate().filter(|(_, head)| head.records().is_some()).map(|(lane, _)| lane).collect()
}

pub(super) fn topic_id(lane: usize) -> TopicId {
    TopicId(u16::try_from(lane).unwrap_or(u16::MAX))
}

fn newest_timestamp(rows: &[RecordRow], partition: Partition) -> Option<Millis> {
    rows.iter().filter(|row| row.partition == partition).map(|row| row.timestamp).max()
}
