//! `[kafka.producer]`: from the keys of the contract to native properties.

use super::raw::{Node, Value};
use super::reader::{Misfit, Parsed, Placed, Reader};
use super::scalar::{choice, flag, within};
use super::security::Setting;

/// Reads the table; every key has a default.
pub(super) fn read(table: &Reader<'_>) -> Vec<Setting> {
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"].map(|codec| (codec, codec.to_owned())).to_vec();
    let linger = table.or("linger_ms", 5, within(0, 900_000));
    let idempotence = table.or("enable_idempotence", true, flag);
    vec![
        ("acks", "acks", table.or("acks", "all", acks)),
        ("compression.type", "compression_type", table.or("compression_type", "gzip", choice(codecs, &[]))),
        ("linger.ms", "linger_ms", in_words(linger)),
        ("enable.idempotence", "enable_idempotence", in_words(idempotence)),
    ]
}

fn in_words<T: ToString>(placed: Placed<T>) -> Placed<String> {
    Placed { value: placed.value.to_string(), origin: placed.origin }
}

/// `all` in any of its spellings, 0 or 1.
fn acks(node: &Node) -> Parsed<String> {
    let words = match &node.value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        _ => String::new(),
    };
    match words.as_str() {
        "all" | "-1" => Ok("all".to_owned()),
        "0" | "1" => Ok(words),
        _ => Err(Misfit::new("must be \"all\", 1 or 0").into()),
    }
}
