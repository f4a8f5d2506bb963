//! What a module must have been given: worked out anew from the records that its result names, as sorted lists of all that
//! a station sent. Shares nothing with the service but what [`config`](crate::config) says of windows and modules.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Breach, Rules};
use crate::config::{BUCKET_MS, BUCKETS, LATEST, ORDERS, TASKS};
use crate::history::{History, Produced, Published, Role, Source};

/// Readings of one input, in the order of time, then life, partition and offset.
pub type Window<'a> = Vec<&'a Produced>;

/// A result and the readings that it was made of.
pub struct Rebuilt<'a> {
    pub result: &'a Published,
    pub windows: BTreeMap<Role, Window<'a>>,
}

/// Readings of one owner in a topic, by life, partition and offset.
type Sent<'a> = BTreeMap<(u32, i32, i64), &'a Produced>;

/// Every good record.
pub struct Records<'a> {
    of: BTreeMap<(Role, &'a str), Sent<'a>>,
    topics: BTreeMap<Role, &'a str>,
}

/// What a module is fed with.
fn inputs(module: &str) -> &'static [Role] {
    match module {
        LATEST => &[Role::Param, Role::Calendar, Role::Orders],
        BUCKETS => &[Role::Curve],
        TASKS => &[Role::Task],
        _ => &[],
    }
}

impl<'a> Records<'a> {
    pub fn of(history: &'a History) -> Self {
        let mut records = Self { of: BTreeMap::new(), topics: BTreeMap::new() };
        for record in &history.produced {
            records.topics.insert(record.role, &record.topic);
            if let Some((owner, _)) = &record.reading {
                let place = (record.incarnation, record.partition, record.offset);
                records.of.entry((record.role, owner)).or_default().insert(place, record);
            }
        }
        records
    }

    /// Every result with what it was made of, and what is wrong with what it says of that.
    pub fn rebuild(&self, history: &'a History, rules: &Rules) -> (Vec<Rebuilt<'a>>, Vec<Breach>) {
        let (mut rebuilt, mut breaches) = (Vec::new(), Vec::new());
        for result in &history.published {
            if !result.complete {
                breaches.push(Breach::Incomplete { module: result.module.clone(), station: result.station.clone() });
            }
            let required = inputs(&result.module);
            let foreign = |source: &&Source| !required.iter().any(|role| self.topic(*role) == source.place.0);
            breaches.extend(result.lineage.iter().filter(foreign).map(|source| invented(result, source)));
            let mut windows = BTreeMap::new();
            for role in required.iter().copied() {
                let got = (said(result, self.topic(role)), named(result, self.topic(role)));
                let mut meant = self.meant(result, role, rules);
                let wanted = |(nth, window): (usize, &Window<'_>)| (of(role, window, result), spans(window, nth > 0));
                let got = |nth: usize| (got.0.clone(), if nth > 0 { merged(&got.1) } else { got.1.clone() });
                let Some(found) = (0..meant.len()).find(|nth| wanted((*nth, &meant[*nth])) == got(*nth)) else {
                    breaches.push(Breach::NotRebuilt {
                        module: result.module.clone(),
                        station: result.station.clone(),
                        topic: self.topic(role).to_owned(),
                        wanted: format!("{:?}", wanted((0, &meant[0]))),
                        got: format!("{:?}", got(0)),
                    });
                    continue;
                };
                let window = meant.swap_remove(found);
                windows.insert(role, window);
            }
            rebuilt.push(Rebuilt { result, windows });
        }
        (rebuilt, breaches)
    }

    /// What everything that was sent comes to, for each station that is complete.
    pub fn last(&self, rules: &Rules) -> BTreeMap<&'a str, Value> {
        let stations = self.of.keys().filter(|(role, _)| *role == Role::Param).map(|(_, station)| *station);
        let complete = stations.filter_map(|station| {
            let entry = |role: &Role| {
                let all = self.of.get(&(*role, owner(*role, station)))?;
                Some((
                    self.topic(*role).to_owned(),
                    digested(*role, &kept(*role, all.values().copied().collect(), rules.wider_by)),
                ))
            };
            let entries: Option<serde_json::Map<_, _>> = inputs(LATEST).iter().map(entry).collect();
            Some((station, json!({ "inputs": entries? })))
        });
        complete.collect()
    }

    fn topic(&self, role: Role) -> &'a str {
        self.topics.get(&role).copied().unwrap_or_default()
    }

    /// The windows that a result's lineage may mean: one, unless its topic was created again. Until that is noticed reading
    /// goes on in the next life, and what is read there is taken for part of the one before.
    fn meant(&self, result: &'a Published, role: Role, rules: &Rules) -> Vec<Window<'a>> {
        let ranges = || result.lineage.iter().filter(|source| source.place.0 == self.topic(role));
        let all = self.of.get(&(role, owner(role, &result.station)));
        let within = |source: &Source, later: u32| {
            let place = |offset| (source.life + later, source.place.1, offset);
            let (from, to) = (place(source.from), place(source.to));
            let named = all.filter(|_| from <= to).into_iter();
            named.flat_map(move |all| all.range(from..=to).map(|(_, record)| *record))
        };
        let of = |later: u32| -> Window<'a> { ranges().flat_map(|source| within(source, later)).collect() };
        let mut windows = vec![of(0)];
        if rules.recreated.contains(self.topic(role)) {
            let (before, after) = (of(0), of(1));
            for from in after.iter().map(|record| record.offset) {
                let old = before.iter().filter(|record| record.offset < from);
                let new = after.iter().filter(|record| record.offset >= from);
                windows.push(old.chain(new).copied().collect());
            }
        }
        let handed = |window, wider_by| match role {
            Role::Curve => bucket(window, result),
            Role::Task => task(window, result),
            _ => kept(role, window, wider_by),
        };
        let mut handed: Vec<_> = windows.into_iter().map(|window| handed(window, 0)).collect();
        if rules.wider_by > 0 {
            handed.insert(1, kept(role, of(0), rules.wider_by));
        }
        handed
    }
}

/// What a result's lineage says of a topic, and what it has to say of these readings: lowest and highest offset of each
/// partition in each life of the topic.
type Spans = BTreeMap<(u32, i32), (i64, i64)>;

fn named(result: &Published, topic: &str) -> Spans {
    let of_topic = result.lineage.iter().filter(|source| source.place.0 == topic);
    of_topic.map(|source| ((source.life, source.place.1), (source.from, source.to))).collect()
}

/// Those of readings; `merged` where lives cannot be told apart.
fn spans(window: &Window<'_>, merged: bool) -> Spans {
    let mut spans = Spans::new();
    for record in window {
        let place = (if merged { 0 } else { record.incarnation }, record.partition);
        let span = spans.entry(place).or_insert((record.offset, record.offset));
        *span = (record.offset.min(span.0), record.offset.max(span.1));
    }
    spans
}

fn merged(spans: &Spans) -> Spans {
    let mut merged = Spans::new();
    for ((_, partition), (from, to)) in spans {
        let span = merged.entry((0, *partition)).or_insert((*from, *to));
        *span = (span.0.min(*from), span.1.max(*to));
    }
    merged
}

/// Under which name a station's readings stand.
fn owner(role: Role, station: &str) -> &str {
    if role == Role::Calendar { "all" } else { station }
}

/// How readings of a topic are ordered.
pub fn order(record: &Produced) -> (i64, u32, i32, i64) {
    (record.ts, record.incarnation, record.partition, record.offset)
}

/// What a window keeps of readings, where one of orders is wider by so many: the newest ones, oldest first.
pub fn kept<'a>(role: Role, mut readings: Window<'a>, wider_by: usize) -> Window<'a> {
    readings.sort_by_key(|record| order(record));
    let most = if role == Role::Orders { ORDERS + wider_by } else { 1 };
    readings.drain(..readings.len().saturating_sub(most));
    readings
}

fn bucket<'a>(mut readings: Window<'a>, result: &Published) -> Window<'a> {
    let from = result.trigger.as_ref().and_then(|from| from.parse::<i64>().ok());
    readings.retain(|record| Some(record.ts.div_euclid(BUCKET_MS) * BUCKET_MS) == from);
    readings.sort_by_key(|record| order(record));
    readings
}

fn task<'a>(mut readings: Window<'a>, result: &Published) -> Window<'a> {
    readings.retain(|record| result.trigger == Some(format!("{}/0", record.origin())));
    readings
}

/// What a result says of one input; of a task, all of it.
fn said(result: &Published, topic: &str) -> Value {
    let input = if result.module == TASKS { &result.output } else { &result.output["inputs"][topic] };
    input.clone()
}

/// What it has to say when it was made of these readings.
fn of(role: Role, window: &Window<'_>, result: &Published) -> Value {
    let parsed = |record: &&Produced| serde_json::from_str::<Value>(&text(record)).unwrap_or_default();
    match role {
        Role::Task => json!({ "reading": result.trigger, "value": window.last().map(parsed) }),
        Role::Curve => {
            let from = window.first().map_or(0, |record| record.ts.div_euclid(BUCKET_MS) * BUCKET_MS);
            let (to, readings) = (from + BUCKET_MS, window.iter().map(parsed).collect::<Vec<_>>());
            json!({ "status": "fresh", "time": to, "value": { "from": from, "to": to, "readings": readings } })
        }
        _ => digested(role, window),
    }
}

/// The entry of an input whose value is only told by its hash.
pub fn digested(role: Role, window: &Window<'_>) -> Value {
    let mut texts = window.iter().map(|record| text(record)).collect::<Vec<_>>().join(",");
    if role == Role::Orders {
        texts = format!("[{texts}]");
    }
    let time = window.last().map(|record| record.ts);
    json!({ "status": "fresh", "time": time, "bytes": texts.len(), "digest": format!("{:016x}", fnv1a(&texts)) })
}

/// A reading as modules get it: without white space, its keys sorted.
fn text(record: &Produced) -> String {
    let payload = record.payload.as_deref().unwrap_or_default();
    let fields: BTreeMap<String, Value> = serde_json::from_slice(payload).unwrap_or_default();
    json!(fields).to_string()
}

/// 64 bits of FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>).
pub fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn invented(result: &Published, source: &Source) -> Breach {
    Breach::Invented { station: result.station.clone(), source: source.clone() }
}
