//! What must hold between the properties of one client: rules the library would refuse a client by, or, worse, not.

use super::clients::{Map, Set};
use crate::config::problem::Origin;
use crate::config::reader::Notes;

/// librdkafka's default, where the map has none.
const MESSAGE_BYTES: i64 = 1_000_000;
/// Attempts below which an idempotent producer gives results up that it could still deliver.
const FEW_RETRIES: i64 = 100;

/// The one of two properties that a user wrote, and if both, the first.
fn blame<'m>(map: &'m Map, names: [&str; 2]) -> Option<&'m Set> {
    let sets = || names.iter().filter_map(|name| map.0.get(*name));
    sets().find(|set| set.origin.is_given()).or_else(|| sets().next())
}

fn name(map: &Map, native: &str) -> String {
    map.0.get(native).map_or_else(|| native.to_owned(), |set| set.key.clone())
}

/// One side of a rule: a property and its number.
type Side<'a> = (&'a str, i64);

fn broken(notes: &Notes, map: &Map, (left, l): Side<'_>, rule: &str, (right, r): Side<'_>) {
    let origin = blame(map, [left, right]).map_or(Origin::Default, |set| set.origin.clone());
    let message = format!("`{}` ({l}) must be {rule} `{}` ({r})", name(map, left), name(map, right));
    notes.error(&origin, message, "change one of them");
}

/// Rules of every client.
pub(in crate::config) fn client(notes: &Notes, map: &Map) {
    let (least, most) = ("reconnect.backoff.ms", "reconnect.backoff.max.ms");
    if let (Some(l), Some(m)) = (map.number(least), map.number(most))
        && m < l
    {
        broken(notes, map, (most, m), "at least", (least, l));
    }
}

/// Rules of one consumer.
pub(in crate::config) fn consumer(notes: &Notes, map: &Map) {
    client(notes, map);
    let (session, heartbeat, interval) = ("session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms");
    if let (Some(s), Some(i)) = (map.number(session), map.number(interval))
        && i < s
    {
        broken(notes, map, (interval, i), "at least", (session, s));
    }
    if let (Some(s), Some(h)) = (map.number(session), map.number(heartbeat)) {
        if h >= s {
            broken(notes, map, (heartbeat, h), "less than", (session, s));
        } else if h > s / 3 {
            let origin = blame(map, [heartbeat, session]).map_or(Origin::Default, |set| set.origin.clone());
            let message =
                format!("`{}` ({h}) is more than a third of `{}` ({s})", name(map, heartbeat), name(map, session));
            notes.warn(&origin, message, "two lost heartbeats should not cost the membership");
        }
    }
    if let Some(set) = map.0.get("statistics.interval.ms").filter(|set| set.value == "0") {
        notes.error(&set.origin, "without statistics there is no lag to report", "leave the property out, or use 1000");
    }
    let (fetch, message, response) = ("fetch.max.bytes", "message.max.bytes", "receive.message.max.bytes");
    let message_bytes = map.number(message).unwrap_or(MESSAGE_BYTES);
    if let Some(f) = map.number(fetch) {
        if f < message_bytes {
            broken(notes, map, (fetch, f), "at least", (message, message_bytes));
        }
        if let Some(r) = map.number(response)
            && r < f.saturating_add(512)
        {
            broken(notes, map, (response, r), "at least 512 more than", (fetch, f));
        }
    }
}

/// Rules of the producer.
pub(in crate::config) fn producer(notes: &Notes, map: &Map) {
    client(notes, map);
    if map.text("enable.idempotence") == Some("true") {
        idempotence(notes, map);
    } else if let Some(set) = map.0.get("enable.gapless.guarantee").filter(|set| set.value == "true") {
        notes.error(
            &set.origin,
            "\"enable.gapless.guarantee\" needs `enable_idempotence = true`",
            "change one of them",
        );
    }
    let (timeout, linger) = ("message.timeout.ms", "linger.ms");
    if let (Some(t), Some(l)) = (map.number(timeout), map.number(linger))
        && t != 0
        && t <= l
    {
        broken(notes, map, (timeout, t), "more than", (linger, l));
    }
    if let Some(set) = map.0.get("acks").filter(|set| !is_all(&set.value)) {
        let message = format!("with `acks` = {} a result counts as delivered before it is safe", set.value);
        notes.warn(&set.origin, message, "use \"all\"");
    }
}

fn idempotence(notes: &Notes, map: &Map) {
    let refuse = |native: &str, holds: fn(&str) -> bool, wants: &str| {
        if let Some(set) = map.0.get(native).filter(|set| !holds(&set.value)) {
            let blamed = blame(map, [native, "enable.idempotence"]).map_or(&set.origin, |set| &set.origin);
            let message =
                format!("`{}` = {} contradicts `enable_idempotence` = true, which wants {wants}", set.key, set.value);
            notes.error(blamed, message, "change it, or set `enable_idempotence = false` in [kafka.producer]");
        }
    };
    refuse("acks", is_all, "\"all\"");
    refuse("max.in.flight", |value| value.parse::<i64>().is_ok_and(|number| number <= 5), "at most 5");
    refuse("retries", |value| value.parse::<i64>().is_ok_and(|number| number >= 1), "at least 1");
    refuse("queuing.strategy", |value| value == "fifo", "\"fifo\"");
    refuse("queue.buffering.backpressure.threshold", |value| value == "1", "1");
    let few = map.0.get("retries").filter(|_| map.number("retries").is_some_and(|n| (1..FEW_RETRIES).contains(&n)));
    if let Some(set) = few {
        let message = format!("after {} retries a result fails that could still be delivered", set.value);
        notes.warn(&set.origin, message, "leave \"retries\" out and bound delivery by \"message.timeout.ms\"");
    }
}

fn is_all(acks: &str) -> bool {
    matches!(acks, "all" | "-1")
}
