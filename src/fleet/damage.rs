//! Deliberately bad records and elements, each with the dead-letter reason it must lead to. Damage is always added beside
//! good readings, never instead of them, so the good ones are the same at any rate. Works on bytes; knows no fields but
//! the two it spoils.

use super::seed::Draw;
use super::topic::Topic;

/// A way in which records go wrong, spoilt from a good record or element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// A record cut off in the middle.
    CutOff,
    /// A record with a byte that occurs in no UTF-8 text.
    NotText,
    /// A record that is JSON but neither object nor list.
    KeepAlive,
    /// An element, or a whole one-object record, whose station stands under another name.
    NoStation,
    /// An element with a time in another notation.
    OtherTime,
    /// An element that is not an object.
    NullElement,
}

impl Damage {
    /// One that can happen to records of `topic`.
    pub(super) fn pick(topic: Topic, draw: &mut Draw) -> Self {
        use Damage::{CutOff, KeepAlive, NoStation, NotText, NullElement, OtherTime};
        match topic {
            Topic::Calendar => draw.pick(&[CutOff, NotText, KeepAlive]),
            Topic::Realtime => draw.pick(&[CutOff, NotText, KeepAlive, NoStation, NoStation, OtherTime, NullElement]),
            _ if topic.brackets().is_some() => draw.pick(&[CutOff, NotText, KeepAlive, NoStation, NullElement]),
            _ => draw.pick(&[CutOff, NotText, KeepAlive, NoStation]),
        }
    }

    /// The reason of the dead letter.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::CutOff => "not_json",
            Self::NotText => "not_utf8",
            Self::KeepAlive | Self::NullElement => "wrong_shape",
            Self::NoStation => "missing_station",
            Self::OtherTime => "bad_time",
        }
    }

    /// Whether it spoils one element of a message that holds many, and leaves the others good.
    pub(super) fn is_of_element(self, topic: Topic) -> bool {
        topic.brackets().is_some() && matches!(self, Self::NoStation | Self::OtherTime | Self::NullElement)
    }

    /// The spoilt twin of a good record or element.
    pub(super) fn spoil(self, good: &[u8]) -> Vec<u8> {
        match self {
            Self::CutOff => cut_off(good),
            Self::NotText => {
                let inside_a_string = good.iter().position(|byte| *byte == b'"').map_or(0, |quote| quote + 1);
                [&good[..inside_a_string], b"\xFF", &good[inside_a_string..]].concat()
            }
            Self::KeepAlive => br#""keep-alive""#.to_vec(),
            Self::NullElement => b"null".to_vec(),
            Self::NoStation => replace_first(good, br#""stationId""#, br#""stationNo""#),
            Self::OtherTime => other_time(good),
        }
    }
}

/// Ends at a comma near the middle: commas are never part of a longer character, so what is left is text.
fn cut_off(good: &[u8]) -> Vec<u8> {
    let half = &good[..good.len() / 2];
    let end = half.iter().rposition(|byte| *byte == b',').unwrap_or(good.len().saturating_sub(1));
    good[..end].to_vec()
}

/// `2025-11-04 09:00:00` becomes `2025/11/04 09:00:00`.
fn other_time(good: &[u8]) -> Vec<u8> {
    let mut spoilt = good.to_vec();
    let field = br#""sendTime":""#;
    if let Some(place) = find(good, field) {
        let date = place + field.len()..(place + field.len() + 10).min(good.len());
        spoilt[date].iter_mut().filter(|byte| **byte == b'-').for_each(|byte| *byte = b'/');
    }
    spoilt
}

fn replace_first(good: &[u8], wanted: &[u8], instead: &[u8]) -> Vec<u8> {
    find(good, wanted)
        .map_or_else(|| good.to_vec(), |place| [&good[..place], instead, &good[place + wanted.len()..]].concat())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const GOOD: &str = r#"{"stationId":"1","sendTime":"2025-11-04 09:00:00","weather":"多云,晴"}"#;

    #[test]
    fn each_damage_spoils_exactly_what_its_reason_says() {
        let text = |damage: Damage| String::from_utf8(damage.spoil(GOOD.as_bytes())).expect("text");
        let json = |damage: Damage| serde_json::from_str::<Value>(&text(damage));
        assert!(json(Damage::CutOff).is_err());
        assert!(std::str::from_utf8(&Damage::NotText.spoil(GOOD.as_bytes())).is_err());
        assert!(json(Damage::KeepAlive).expect("json").is_string());
        assert!(json(Damage::NullElement).expect("json").is_null());
        assert!(json(Damage::NoStation).expect("json").get("stationId").is_none());
        assert_eq!(json(Damage::OtherTime).expect("json")["sendTime"], "2025/11/04 09:00:00");
    }

    #[test]
    fn a_record_cut_off_anywhere_stays_text_without_being_json() {
        for good in [GOOD, "[]", "{\"天\":\"气气气气气\"}"] {
            let cut = String::from_utf8(Damage::CutOff.spoil(good.as_bytes())).expect("text");
            assert!(serde_json::from_str::<Value>(&cut).is_err(), "{cut}");
        }
    }
}
