//! Which stations the fleet has named on which topic, so that it is known which ones a module can be complete for. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_core::plan::{Plan, Scope, Source};

use crate::fleet::FleetRecord;

/// How payloads of the fleet name a station.
const FIELD: &[u8] = br#""stationId":""#;

/// What is needed for completeness, and what of it was sent.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    needed: BTreeMap<Arc<str>, Needed>,
    named: BTreeSet<String>,
}

#[derive(Clone, Debug)]
enum Needed {
    /// One reading serves every station.
    Global { sent: bool },
    /// Stations that have a reading.
    Stations(BTreeSet<String>),
}

impl Reach {
    /// Nothing sent yet; `module` is the one to be complete for.
    pub(super) fn new(plan: &Plan, module: &str) -> Self {
        let required =
            plan.modules.iter().filter(|planned| &*planned.name == module).flat_map(|module| &module.requires);
        let needed = required.filter_map(|input| {
            let Source::Topic(topic) = input.source else { return None };
            let topic = plan.topic(topic);
            let needed = match topic.scope {
                Scope::Global => Needed::Global { sent: false },
                Scope::Station(_) => Needed::Stations(BTreeSet::new()),
            };
            Some((Arc::clone(&topic.name), needed))
        });
        Self { needed: needed.collect(), named: BTreeSet::new() }
    }

    /// A record was sent. What is bad in it names no station that is not named by a good reading beside it.
    pub(super) fn sent(&mut self, record: &FleetRecord) {
        if record.readings == 0 {
            return;
        }
        for station in stations(&record.payload) {
            if !self.named.contains(station) {
                self.named.insert(station.to_owned());
            }
            if let Some(Needed::Stations(known)) = self.needed.get_mut(record.topic)
                && !known.contains(station)
            {
                known.insert(station.to_owned());
            }
        }
        if let Some(Needed::Global { sent }) = self.needed.get_mut(record.topic) {
            *sent = true;
        }
    }

    /// Stations named anywhere.
    pub(super) fn named(&self) -> usize {
        self.named.len()
    }

    /// Stations for which the module has been sent everything it needs.
    pub(super) fn complete(&self) -> usize {
        let complete = |station: &&String| {
            self.needed.values().all(|needed| match needed {
                Needed::Global { sent } => *sent,
                Needed::Stations(known) => known.contains(*station),
            })
        };
        self.named.iter().filter(complete).count()
    }
}

/// The stations a payload names, in its order.
fn stations(payload: &[u8]) -> impl Iterator<Item = &str> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let place = rest.windows(FIELD.len()).position(|window| window == FIELD)?;
        rest = &rest[place + FIELD.len()..];
        let end = rest.iter().position(|byte| *byte == b'"')?;
        std::str::from_utf8(&rest[..end]).ok()
    })
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::Millis;

    use super::*;
    use crate::app::Registry;
    use crate::demo::settings;
    use crate::fleet::Topic;

    fn record(topic: Topic, payload: &str, readings: u32) -> FleetRecord {
        let payload = payload.as_bytes().to_vec();
        FleetRecord { topic: topic.name(), payload, timestamp: Millis(0), readings, bad: None }
    }

    #[test]
    fn a_station_can_be_complete_once_every_required_topic_has_named_it() {
        let settings = settings::load("localhost:1", &Registry::built_in()).expect("no problem");
        let mut reach = Reach::new(&settings.plan, settings::MODULE);
        let of_two = r#"[{"stationId":"1"},{"stationId":"2"}]"#;
        reach.sent(&record(Topic::StationParam, of_two, 2));
        reach.sent(&record(Topic::Realtime, of_two, 2));
        reach.sent(&record(Topic::Gun, r#"{"stationId":"1"}"#, 1));
        reach.sent(&record(Topic::Calendar, "{}", 1));
        assert_eq!((reach.named(), reach.complete()), (2, 0));
        reach.sent(&record(Topic::CarOrder, r#"{"stationId":"1"}"#, 0));
        assert_eq!(reach.complete(), 0, "what is bad completes nothing");
        reach.sent(&record(Topic::CarOrder, r#"{"stationId":"1"}"#, 1));
        assert_eq!(reach.complete(), 1);
    }
}
