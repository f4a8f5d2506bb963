//! A lane: the bounded queue between one topic's consumer and the router. It is bounded by bytes, and carries
//! batches, assignments and positions in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::ports::LaneItem;

/// Items a lane holds at the most, whatever their size.
const MAX_ITEMS: usize = 256;

/// A lane of `capacity` bytes. `wake` is notified whenever an item arrives, so that one router can wait for many.
#[must_use]
pub fn lane(capacity: usize, wake: Arc<Notify>) -> (LaneSender, LaneReceiver) {
    let (tx, rx) = mpsc::channel(MAX_ITEMS);
    let level = Arc::new(Level {
        capacity,
        queued: AtomicUsize::new(0),
        drained: Notify::new(),
        partial: AtomicBool::new(false),
    });
    (LaneSender { tx, level: Arc::clone(&level), wake }, LaneReceiver { rx, level })
}

/// Bytes in the lane, and a signal when they become fewer.
#[derive(Debug)]
struct Level {
    capacity: usize,
    queued: AtomicUsize,
    drained: Notify,
    /// What the newest [`LaneItem::Split`] says, whether it has come through yet or not.
    partial: AtomicBool,
}

/// The consumer's end.
#[derive(Clone, Debug)]
pub struct LaneSender {
    tx: mpsc::Sender<LaneItem>,
    level: Arc<Level>,
    wake: Arc<Notify>,
}

/// What a lane says when it is asked for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Below its capacity: one more batch may be sent.
    Free,
    /// At capacity after the time that was waited.
    Full,
    /// The pipeline is gone.
    Closed,
}

impl LaneSender {
    /// Whether a batch may be sent now. A batch may overshoot the capacity by its own size.
    #[must_use]
    pub fn room(&self) -> Room {
        if self.tx.is_closed() {
            return Room::Closed;
        }
        if self.level.queued.load(Ordering::Acquire) < self.level.capacity && self.tx.capacity() > 0 {
            return Room::Free;
        }
        Room::Full
    }

    /// Waits until there is room, at most for `patience`.
    pub async fn wait_for_room(&self, patience: Duration) -> Room {
        let waiting = async {
            loop {
                let drained = self.level.drained.notified();
                let mut drained = std::pin::pin!(drained);
                drained.as_mut().enable();
                match self.room() {
                    Room::Full => drained.await,
                    room => return room,
                }
            }
        };
        tokio::time::timeout(patience, waiting).await.unwrap_or(Room::Full)
    }

    /// Appends an item; waits while the lane holds `MAX_ITEMS`. False when the pipeline is gone.
    pub async fn send(&self, item: LaneItem) -> bool {
        let cost = cost(&item);
        self.level.queued.fetch_add(cost, Ordering::AcqRel);
        if self.tx.send(item).await.is_err() {
            self.level.queued.fetch_sub(cost, Ordering::AcqRel);
            return false;
        }
        self.wake.notify_one();
        true
    }

    /// Says ahead of the item, which may have to wait for room, whether a part of the topic is missing.
    pub fn announce(&self, partial: bool) {
        self.level.partial.store(partial, Ordering::Release);
        self.wake.notify_one();
    }

    /// Bytes queued now.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.level.queued.load(Ordering::Acquire)
    }
}

/// The router's end.
#[derive(Debug)]
pub struct LaneReceiver {
    rx: mpsc::Receiver<LaneItem>,
    level: Arc<Level>,
}

impl LaneReceiver {
    /// The next item, if one is queued.
    pub fn try_recv(&mut self) -> Option<LaneItem> {
        let item = self.rx.try_recv().ok()?;
        self.level.queued.fetch_sub(cost(&item), Ordering::AcqRel);
        self.level.drained.notify_waiters();
        Some(item)
    }

    /// Whether a part of the topic is missing at present, whatever is still queued before the item that says so.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.level.partial.load(Ordering::Acquire)
    }

    /// Whether the consumer's end is gone and everything was received.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.rx.is_closed() && self.rx.is_empty()
    }
}

fn cost(item: &LaneItem) -> usize {
    match item {
        LaneItem::Batch(batch) => batch.cost_bytes(),
        LaneItem::Assigned(_) | LaneItem::Positions(_) | LaneItem::Revoked(_) | LaneItem::Split(_) => 0,
    }
}
