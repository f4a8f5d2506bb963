//! What consumers tell the pipeline in a schedule: partitions come and go, records and positions are handed over, what
//! was to be committed reaches the group.

use std::time::Duration;

use quorate::pipeline::ports::LaneItem;
use quorate_core::ident::Epoch;
use quorate_core::record::RecordBatch;

use super::broker::{ORDER, Place, TOPICS};
use super::schedule::Schedule;

impl Schedule {
    pub(super) async fn deliver(&self) -> Result<(), String> {
        let (topic, count) = {
            let mut scene = self.scene.lock();
            (scene.chance.index(TOPICS.len()), 1 + scene.chance.index(6))
        };
        self.deliver_from(topic, count).await
    }

    pub(super) async fn deliver_from(&self, topic: usize, count: usize) -> Result<(), String> {
        if !self.process.has_room(topic) {
            return Ok(());
        }
        let mut batch = RecordBatch::new(Place { topic, partition: 0 }.topic_id());
        {
            let mut scene = self.scene.lock();
            let (mut positions, mut live) = (Vec::new(), Vec::new());
            if topic == ORDER {
                scene.orders_follow();
            }
            for place in scene.broker.places_of(topic) {
                let offsets = scene.broker.hand_out(place, count, &mut batch);
                if offsets.is_empty() {
                    continue;
                }
                let incarnation = scene.broker.log(place).held.map_or(0, |held| held.life.incarnation);
                let lives = (scene.life, incarnation);
                offsets.iter().for_each(|&offset| scene.ledger.handed_out(place, offset, lives));
                scene.note(&format!("deliver {}/{} {offsets:?}", place.name(), place.partition));
                let tell_end = scene.chance.happens(500);
                let position = scene.broker.position(place, tell_end);
                let newest = batch.rows().iter().filter(|row| row.partition == place.number()).map(|row| row.timestamp);
                let read = offsets.last().copied().zip(newest.max());
                position.iter().for_each(|position| scene.orders_told(place, position, read));
                positions.extend(position);
                let handed = scene.numbers(place, &offsets);
                if topic == ORDER {
                    scene.orders_open(&handed);
                }
                let live_from = scene.broker.log(place).held.map_or(i64::MAX, |held| held.live_from);
                live.extend(handed.into_iter().filter(|number| scene.ledger.readings[*number].offset >= live_from));
            }
            batch.set_positions(positions);
            let counts = self.process.has_loaded(topic);
            scene.intake.sent(topic, &batch, if counts { live } else { Vec::new() });
        }
        if batch.rows().is_empty() { Ok(()) } else { self.process.tell(topic, LaneItem::Batch(batch)).await }
    }

    pub(super) async fn tell_positions(&self, topic: usize) -> Result<(), String> {
        let positions: Vec<_> = {
            let mut scene = self.scene.lock();
            let places = scene.broker.places_of(topic);
            let mut positions = Vec::new();
            for place in places {
                scene.broker.pass_gaps(place);
                let position = scene.broker.position(place, true);
                position.iter().for_each(|position| scene.orders_told(place, position, None));
                positions.extend(position);
            }
            positions
        };
        self.process.tell(topic, LaneItem::Positions(positions)).await
    }

    /// Assigns every partition of a topic that is not held.
    pub(super) async fn assign(&self, topic: usize) -> Result<(), String> {
        let assigned: Vec<_> = {
            let mut scene = self.scene.lock();
            let mut free = scene.broker.places_of(topic);
            free.retain(|place| scene.broker.log(*place).held.is_none());
            let assigned: Vec<_> = free.into_iter().map(|place| scene.assign(place)).collect();
            scene.note(&format!("assign {} {assigned:?}", TOPICS[topic].0));
            assigned
        };
        if assigned.is_empty() { Ok(()) } else { self.process.tell(topic, LaneItem::Assigned(assigned)).await }
    }

    pub(super) async fn assign_all(&self) -> Result<(), String> {
        for topic in 0..TOPICS.len() {
            self.assign(topic).await?;
        }
        Ok(())
    }

    /// Looks whether what is held of a topic is worth anything still. What is not begins anew.
    pub(super) async fn look_again(&self, topic: usize) -> Result<(), String> {
        let (gone, assigned) = {
            let mut scene = self.scene.lock();
            let mut places = scene.broker.places_of(topic);
            places.retain(|place| scene.broker.is_outlived(*place));
            let (mut gone, mut assigned) = (Vec::new(), Vec::new());
            for place in places {
                scene.orders_revoked(place);
                gone.extend(scene.broker.revoke(place).map(|epoch| (place.number(), Epoch(epoch))));
                assigned.push(scene.assign(place));
            }
            if !gone.is_empty() {
                scene.note(&format!("begin anew {} {assigned:?}", TOPICS[topic].0));
            }
            (gone, assigned)
        };
        if gone.is_empty() {
            return Ok(());
        }
        self.process.tell(topic, LaneItem::Revoked(gone)).await?;
        self.process.tell(topic, LaneItem::Assigned(assigned)).await
    }

    /// Takes partitions of a topic away, all or one. What is settled may leave with them.
    pub(super) async fn revoke(&self) -> Result<(), String> {
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
        self.take_away(topic, only).await
    }

    /// Takes one partition of a topic away, or all where it has none of that number.
    pub(super) async fn take_away(&self, topic: usize, only: usize) -> Result<(), String> {
        let revoked: Vec<_> = {
            let mut scene = self.scene.lock();
            let mut gone = scene.broker.places_of(topic);
            gone.retain(|place| only >= TOPICS[topic].1 || place.partition == only);
            gone.iter().for_each(|place| scene.orders_revoked(*place));
            let gone = gone.into_iter().filter_map(|place| Some((place.number(), Epoch(scene.broker.revoke(place)?))));
            let gone: Vec<_> = gone.collect();
            scene.note(&format!("revoke {} {gone:?}", TOPICS[topic].0));
            gone
        };
        if revoked.is_empty() { Ok(()) } else { self.process.tell(topic, LaneItem::Revoked(revoked)).await }
    }

    /// Records that were polled before their assignment ended, and come after it.
    pub(super) async fn straggle(&self) -> Result<(), String> {
        let topic = self.scene.lock().chance.index(TOPICS.len());
        if !self.process.has_room(topic) {
            return Ok(());
        }
        let mut batch = RecordBatch::new(Place { topic, partition: 0 }.topic_id());
        {
            let mut scene = self.scene.lock();
            let places = scene.broker.places_of(topic).into_iter();
            let positions = places.filter_map(|place| scene.broker.straggle(place, 3, &mut batch)).collect();
            scene.note(&format!("straggle {} {positions:?}", TOPICS[topic].0));
            batch.set_positions(positions);
            scene.intake.sent(topic, &batch, Vec::new());
        }
        if batch.rows().is_empty() { Ok(()) } else { self.process.tell(topic, LaneItem::Batch(batch)).await }
    }

    /// What was asked for reaches the group, or does not.
    pub(super) fn commits_arrive(&self, topic: usize) {
        let mut scene = self.scene.lock();
        for place in scene.broker.places_of(topic) {
            let lose = scene.mood.lose_commit;
            // Whoever knows no topic by its id must not find in a group what was meant for the one before.
            if scene.disk.is_none() && scene.broker.is_outlived(place) {
                continue;
            }
            let Some(asked) = scene.broker.log(place).held.and_then(|held| held.asked) else { continue };
            if !scene.chance.happens(lose) {
                scene.broker.log_mut(place).committed = Some(asked);
                scene.note(&format!("committed {}/{} {asked}", place.name(), place.partition));
            }
        }
    }
}
