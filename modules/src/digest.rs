//! `digest`: reads every value once and gives back a hash of each. For measuring the service rather than a model.
//!
//! **Input:** any topics of any window kind. **Output:** one result,
//! `{"inputs":{TOPIC:{"status":"fresh|stale|missing","time":ms|null,"bytes":n,"digest":"16 hexadecimal digits"}}}`, where
//! `digest` is FNV-1a (64 bits) over the value's JSON text of `bytes` bytes. **Errors:** none that an input can cause.

use std::io;

use async_trait::async_trait;
use quorate_core::contract::{Module, ModuleError, ModuleInput, Output, Status, TopicInput};
use quorate_core::ident::Millis;
use serde::Serialize;

use crate::by_topic::ByTopic;

/// The module `digest`.
#[derive(Clone, Copy, Debug)]
pub struct Digest;

#[derive(Serialize)]
struct Digests<'a> {
    inputs: ByTopic<'a, Entry>,
}

#[derive(Serialize)]
struct Entry {
    status: Status,
    time: Option<Millis>,
    bytes: usize,
    digest: String,
}

#[async_trait]
impl Module for Digest {
    fn name(&self) -> &'static str {
        "digest"
    }

    async fn invoke(&self, input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
        let mut inputs = Vec::with_capacity(input.inputs.len());
        for topic in &input.inputs {
            inputs.push((&*topic.topic, entry(topic)?));
        }
        Ok(vec![Output::json(&Digests { inputs: ByTopic(inputs) })?])
    }
}

fn entry(topic: &TopicInput) -> Result<Entry, ModuleError> {
    let mut hash = Fnv1a::new();
    serde_json::to_writer(&mut hash, &topic.value)
        .map_err(|e| ModuleError::rejected(format!("{} has no JSON form: {e}", topic.topic)))?;
    Ok(Entry { status: topic.status, time: topic.time, bytes: hash.bytes, digest: format!("{:016x}", hash.state) })
}

/// FNV-1a, 64 bits, over what is written to it; the text itself is never held.
struct Fnv1a {
    state: u64,
    bytes: usize,
}

impl Fnv1a {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;

    fn new() -> Self {
        Self { state: Self::OFFSET_BASIS, bytes: 0 }
    }
}

impl io::Write for Fnv1a {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        for byte in text {
            self.state = (self.state ^ u64::from(*byte)).wrapping_mul(Self::PRIME);
        }
        self.bytes += text.len();
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::testing::{InputBuilder, call, reading};

    #[test]
    fn the_hash_is_fnv_1a() {
        for (text, hash) in
            [("", 0xcbf2_9ce4_8422_2325_u64), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            let mut fnv = Fnv1a::new();
            fnv.write_all(text.as_bytes()).expect("never fails");
            assert_eq!((fnv.state, fnv.bytes), (hash, text.len()), "{text:?}");
        }
    }

    #[test]
    fn every_topic_has_status_time_length_and_hash() {
        let input =
            InputBuilder::new("digest").topic("PARAM", Millis(5), reading(r#"{"gunNum":2}"#)).missing("GUN").build();
        let output = call(&Digest, &input).expect("accepted");
        let json: serde_json::Value = serde_json::from_str(output[0].as_json()).expect("JSON");
        assert_eq!(json["inputs"]["PARAM"]["status"], "fresh");
        assert_eq!(json["inputs"]["PARAM"]["time"], 5);
        assert_eq!(json["inputs"]["PARAM"]["bytes"], 12);
        assert_eq!(json["inputs"]["GUN"]["status"], "missing");
        assert_eq!(json["inputs"]["GUN"]["bytes"], 4, "a missing value is the text null");
        assert_ne!(json["inputs"]["GUN"]["digest"], json["inputs"]["PARAM"]["digest"]);
    }

    #[test]
    fn the_hash_follows_the_value_and_not_the_moment() {
        let digest = |json: &str, at| {
            let input = InputBuilder::new("digest").topic("PARAM", Millis(5), reading(json)).at(at).build();
            call(&Digest, &input).expect("accepted")
        };
        assert_eq!(digest(r#"{"a":1}"#, Millis(9)), digest(r#"{"a":1}"#, Millis(99)));
        assert_ne!(digest(r#"{"a":1}"#, Millis(9)), digest(r#"{"a":2}"#, Millis(9)));
    }
}
