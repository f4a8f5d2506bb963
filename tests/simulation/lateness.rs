//! Whether an order may be too late: its bucket was closed by a later one, or, between the bucket's first order and this
//! one, by the clock of the topic. That is the wall clock only while everything of the topic is read; otherwise the newest
//! time read of the slowest partition that is not.

use std::collections::{BTreeMap, HashMap};

use quorate_core::ident::Millis;
use quorate_core::record::PartitionPosition;

use super::broker::{ORDER, Place};
use super::disk::Disk;
use super::ledger::{BUCKET_MS, CLOSE_AFTER_MS, Reading};
use super::scene::Scene;

/// What the pipeline was told of a partition under the assignment at hand.
struct Told {
    position: i64,
    end: i64,
    /// The last record.
    last: Option<i64>,
    newest: Option<Millis>,
}

/// The clock that buckets of orders close by.
#[derive(Default)]
pub struct OrderClock {
    told: BTreeMap<Place, Told>,
    /// Whether the topic was assigned in this life: before that nothing of it closes.
    runs: bool,
    /// Whether it is heeded that not everything is read. Of what an assignment says it is at once; a batch is taken in by
    /// the clock that was known before it, and what it says of an end beyond it counts from the next one on.
    heeds: bool,
    /// Where it stood from time to time: in this life or, where state outlives it, in all.
    stood: Vec<Millis>,
    /// When buckets of stations were opened, as a place among these.
    opened: HashMap<(usize, i64), usize>,
    /// Likewise when orders were last handed over, by their numbers.
    handed: HashMap<usize, usize>,
    /// Orders that were handed over and wait in their lane, by their numbers. What stands before them is taken in by the
    /// wall clock once it may be.
    waiting: Vec<usize>,
}

impl OrderClock {
    /// None is the wall clock.
    fn clock(&self, disk: Option<&Disk>) -> Option<Millis> {
        self.newest(|place, told| (self.heeds && told.position < told.end) || waits(disk, place, told))
    }

    fn is_behind(&self) -> bool {
        self.newest(|_, told| told.position < told.end).is_some()
    }

    fn newest(&self, is_behind: impl Fn(&Place, &Told) -> bool) -> Option<Millis> {
        let behind = self.told.iter().filter(|(place, told)| is_behind(place, told));
        behind.map(|(_, told)| told.newest.unwrap_or(Millis(i64::MIN))).min()
    }
}

/// What stands at its ceiling or beyond waits, however much the pipeline was told.
fn waits(disk: Option<&Disk>, place: &Place, told: &Told) -> bool {
    disk.is_some_and(|disk| told.last >= Some(disk.admits(*place)))
}

impl Scene {
    /// Orders that waited in their lane may be taken in, one batch after another.
    fn orders_go_on(&mut self, now: Millis) {
        let Some(disk) = &self.disk else { return };
        let OrderClock { stood, handed, waiting, .. } = &mut self.order_clock;
        let place = |number: &usize| (self.ledger.readings[*number].place, self.ledger.readings[*number].offset);
        let is_admitted = |number: &&usize| {
            let (place, offset) = place(number);
            offset < disk.admits(place)
        };
        let admitted = waiting.iter().take_while(is_admitted).count();
        if admitted > 0 {
            stood.push(now);
            handed.extend(waiting.drain(..admitted).map(|number| (number, stood.len())));
        }
    }

    /// Notes how far the clock has come before what it follows changes.
    pub fn orders_pass(&mut self) {
        let now = self.now();
        if self.order_clock.runs {
            self.orders_go_on(now);
            let clock = self.order_clock.clock(self.disk.as_ref()).map_or(now, |clock| clock.min(now));
            self.order_clock.stood.push(clock);
        }
    }

    /// The process ends; where nothing outlives it, so does what it has closed.
    pub fn orders_begin_anew(&mut self) {
        self.orders_pass();
        let outlives = self.disk.is_some();
        let clock = std::mem::take(&mut self.order_clock);
        if outlives {
            let OrderClock { stood, opened, handed, .. } = clock;
            self.order_clock = OrderClock { stood, opened, handed, ..OrderClock::default() };
        }
    }

    pub fn orders_assigned(&mut self, place: Place, (position, end): (i64, i64)) {
        if place.topic == ORDER {
            self.orders_pass();
            self.order_clock.runs = true;
            self.order_clock.told.insert(place, Told { position, end, last: None, newest: None });
            self.order_clock.heeds |= self.order_clock.is_behind();
        }
    }

    pub fn orders_revoked(&mut self, place: Place) {
        self.orders_pass();
        self.order_clock.told.remove(&place);
    }

    /// A batch of orders is about to be handed over.
    pub fn orders_follow(&mut self) {
        self.orders_pass();
        self.order_clock.heeds = self.order_clock.is_behind();
    }

    /// The pipeline is told where a partition stands, and the last offset and the newest time of what was read of it.
    pub fn orders_told(&mut self, place: Place, told: &PartitionPosition, read: Option<(i64, Millis)>) {
        if place.topic != ORDER {
            return;
        }
        self.orders_pass();
        if let Some(known) = self.order_clock.told.get_mut(&place) {
            known.position = known.position.max(told.position.0);
            known.end = told.end.map_or(known.end, |end| end.0);
            known.last = known.last.max(read.map(|(last, _)| last));
            known.newest = known.newest.max(read.map(|(_, newest)| newest));
        }
        self.order_clock.heeds &= self.order_clock.is_behind();
    }

    /// Orders are handed to the pipeline, which has been told where that leaves their partition.
    pub fn orders_open(&mut self, numbers: &[usize]) {
        let waits = self.order_clock.newest(|place, told| waits(self.disk.as_ref(), place, told)).is_some();
        for &number in numbers {
            let order = &self.ledger.readings[number];
            let at = self.order_clock.stood.len();
            self.order_clock.opened.entry((order.station, order.bucket())).or_insert(at);
            self.order_clock.handed.insert(number, at);
            if waits || !self.order_clock.waiting.is_empty() {
                self.order_clock.waiting.push(number);
            }
        }
    }

    /// Whether an order may have come too late for its bucket.
    pub fn is_late(&mut self, number: usize) -> bool {
        let order = self.ledger.readings[number];
        self.orders_pass();
        let OrderClock { stood, opened, handed, .. } = &self.order_clock;
        let between = opened.get(&(order.station, order.bucket())).zip(handed.get(&number));
        let since = between.map_or(&[][..], |(from, to)| &stood[*from..*to]);
        let is_over = since.iter().any(|clock| clock.0 >= order.bucket() + BUCKET_MS + CLOSE_AFTER_MS);
        let life = self.life;
        let outlives = self.disk.is_some();
        let was_read = |other: &Reading| if outlives { other.handed_out > 0 } else { other.handed_out == life };
        let later = |other: &Reading| other.station == order.station && other.bucket() > order.bucket();
        let mut others = self.ledger.readings.iter().filter(|other| other.place.topic == ORDER);
        order.place.topic == ORDER && (is_over || others.any(|other| was_read(other) && later(other)))
    }
}
