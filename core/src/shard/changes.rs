//! What changed since it was last asked for, as plain data, and how it is taken back in. A store keeps it outside.

use std::sync::Arc;

use super::Shard;
use super::station::StationState;
use crate::ident::{Station, TopicId};
use crate::provenance::station_hash;
use crate::window::WindowState;

/// What changed in a shard. Applying every set in order to an empty shard gives the same state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Windows that changed, each whole.
    pub slots: Vec<SlotChange>,
}

/// One window.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotChange {
    /// Whose it is.
    pub place: Place,
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its content; none when it became empty.
    pub state: Option<WindowState>,
}

/// Whose a window is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// One station's.
    Station(Station),
    /// Every station's.
    Global,
}

/// Which windows changed. A window is listed once, however often it changed.
#[derive(Debug, Default)]
pub(super) struct Changed {
    stations: Vec<u32>,
    globals: Vec<TopicId>,
}

impl Changed {
    #[inline]
    pub(super) fn slot(&mut self, state: &mut StationState, station: u32, topic: TopicId) {
        if state.unsaved.is_empty() {
            self.stations.push(station);
        }
        if !state.unsaved.contains(&topic) {
            state.unsaved.push(topic);
        }
    }

    pub(super) fn global(&mut self, topic: TopicId) {
        if !self.globals.contains(&topic) {
            self.globals.push(topic);
        }
    }
}

impl Shard {
    /// Every window that changed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        let mut slots = Vec::new();
        for topic in std::mem::take(&mut self.changed.globals) {
            let state = self.topics[topic.ix()].global.as_ref().and_then(crate::window::Window::state);
            slots.push(SlotChange { place: Place::Global, topic: self.name(topic), state });
        }
        for station in std::mem::take(&mut self.changed.stations) {
            for topic in std::mem::take(&mut self.stations[station as usize].unsaved) {
                let of = &self.stations[station as usize];
                let state = of.windows[topic.ix()].state();
                slots.push(SlotChange { place: Place::Station(of.id.clone()), topic: self.name(topic), state });
            }
        }
        Changes { slots }
    }

    /// Takes windows back in that [`Shard::take_changes`] gave out. Makes nothing due, and nothing of it counts as
    /// changed. Windows of topics that the plan no longer has are passed over.
    pub fn restore(&mut self, changes: &Changes) {
        for slot in &changes.slots {
            let (Some(topic), Some(state)) = (self.plan.topic_id(&slot.topic), &slot.state) else { continue };
            let of = &mut self.topics[topic.ix()];
            match (&slot.place, &mut of.global) {
                (Place::Global, Some(window)) => window.restore(&of.windows, state),
                (Place::Station(id), None) => {
                    let hash = station_hash(id.as_str());
                    if let Some(station) = self.find_or_readmit(id.as_str(), hash) {
                        let of = &self.topics[topic.ix()];
                        self.stations[station as usize].windows[topic.ix()].restore(&of.windows, state);
                    }
                }
                _ => {}
            }
        }
    }

    fn name(&self, topic: TopicId) -> Arc<str> {
        Arc::clone(&self.plan.topic(topic).name)
    }
}
