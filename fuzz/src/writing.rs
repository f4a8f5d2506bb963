//! JSON texts close to what the plans look for, written choice by choice: keys twice, numbers at the edges, escapes,
//! deep and wide containers, and sometimes damage that makes it no JSON at all.

use crate::choices::Choices;

const KEYS: [&str; 24] = [
    r#""stationId""#,
    r#""k""#,
    r#""v""#,
    r#""w""#,
    r#""t""#,
    r#""at""#,
    r#""n""#,
    r#""list""#,
    r#""a""#,
    r#""b""#,
    r#""c""#,
    r#""r""#,
    r#""results""#,
    r#""station_id""#,
    r#""module""#,
    r#""output""#,
    r#""input_hash""#,
    r#""0""#,
    r#""""#,
    r#""station\u0049d""#,
    r#""\ud83d\ude97""#,
    r#""$serde_json::private::RawValue""#,
    r#""$serde_json::private::Number""#,
    r#""*""#,
];

const LEAVES: [&str; 44] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "-0",
    "-0.0",
    "0.1",
    "1E5",
    "1e-400",
    "1e309",
    "-1e400",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "12345678901234567890123",
    "1.7976931348623157e308",
    "4.9e-324",
    "1762225500",
    "1762225500000",
    r#""S""#,
    r#""T""#,
    r#""""#,
    r#""1""#,
    r#""1762225500""#,
    r#""-62135596800""#,
    r#""9223372036854775807""#,
    r#""2025-11-04 11:05:00""#,
    r#""2025-10-26 02:30:00""#,
    r#""2025-03-30 02:30:00""#,
    r#""-9999-01-01 00:00:00""#,
    r#""9999-12-31 23:59:59""#,
    r#""\u0053""#,
    r#""a\u0000b""#,
    r#""\ud83d\ude97""#,
    r#""\ud800""#,
    r#""00000000000000000000000000000009""#,
    r#""+0000000000000000000000000000009""#,
    r#""ABCDEF00000000000000000000000009""#,
    r#""{\"stationId\":\"S\"}""#,
    r#""[1""#,
];

/// A payload, now and then of broken JSON or bytes that are no text.
pub(crate) fn payload(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut text = String::new();
    message(choices, &mut text);
    let mut bytes = text.into_bytes();
    if choices.one_in(8) {
        damage(choices, &mut bytes);
    }
    bytes
}

/// The same as text.
pub(crate) fn text(choices: &mut Choices<'_>) -> String {
    String::from_utf8_lossy(&payload(choices)).into_owned()
}

fn message(choices: &mut Choices<'_>, out: &mut String) {
    match choices.below(8) {
        0 => reading(choices, out),
        1 | 2 => list(choices, out, reading),
        3 => wrapped(choices, out, r#"{"list":"#, "}"),
        4 => wrapped(choices, out, r#"{"results":"#, "}"),
        5 => wrapped(choices, out, r#"{"a":[{"b":"#, "}]}"),
        6 => wide(choices, out),
        _ => value(choices, out, 0),
    }
}

fn wrapped(choices: &mut Choices<'_>, out: &mut String, before: &str, after: &str) {
    out.push_str(before);
    list(choices, out, reading);
    out.push_str(after);
}

/// An object with most of what some plan asks for.
fn reading(choices: &mut Choices<'_>, out: &mut String) {
    if choices.one_in(12) {
        return value(choices, out, 1);
    }
    let station = if choices.one_in(4) { "station_id" } else { "stationId" };
    let id = choices.of(&[r#""S""#, r#""T""#, "7", r#""7""#, r#""\u0053""#, r#""""#, "null", "-0"]);
    out.push_str(&format!(r#"{{"{station}":{id}"#));
    for _ in 0..choices.below(7) {
        out.push(',');
        out.push_str(choices.of(&KEYS));
        out.push(':');
        value(choices, out, 1);
    }
    out.push('}');
}

fn list(choices: &mut Choices<'_>, out: &mut String, mut item: impl FnMut(&mut Choices<'_>, &mut String)) {
    out.push('[');
    for place in 0..choices.below(5) {
        if place > 0 {
            out.push(',');
        }
        item(choices, out);
    }
    out.push(']');
}

fn value(choices: &mut Choices<'_>, out: &mut String, depth: usize) {
    match choices.below(10) {
        0 if depth < 8 => list(choices, out, |choices, out| value(choices, out, depth + 1)),
        1 if depth < 8 => {
            out.push('{');
            for place in 0..choices.below(4) {
                if place > 0 {
                    out.push(',');
                }
                out.push_str(choices.of(&KEYS));
                out.push(':');
                value(choices, out, depth + 1);
            }
            out.push('}');
        }
        2 => {
            let items = choices.of(&[r#"["1","2"]"#, "[1,2]", "[null,1]", "[]", r#"["1"]"#, r#"[[1],2]"#, "[0.5]"]);
            out.push_str(items);
        }
        3 => {
            let text: String = (0..choices.below(4)).map(|_| char::from(choices.byte())).collect();
            out.push_str(&serde_json::Value::from(text).to_string());
        }
        _ => out.push_str(choices.of(&LEAVES)),
    }
}

/// Something near a limit: deep, long or with many elements.
fn wide(choices: &mut Choices<'_>, out: &mut String) {
    let count = choices.below(40);
    match choices.below(4) {
        0 => out.push_str(&format!(r#"{{"stationId":"S","v":{}1{}}}"#, "[".repeat(count), "]".repeat(count))),
        1 => out.push_str(&format!("[{}]", vec![r#"{"stationId":"S"}"#; count].join(","))),
        2 => out.push_str(&format!(r#"{{"stationId":"{}"}}"#, "é".repeat(count * 2))),
        _ => {
            let entries: Vec<String> = (0..count).map(|key| format!(r#""{key}":{key}"#)).collect();
            out.push_str(&format!(
                r#"[{{"stationId":"S","n":["{}"],"v":[1]}},{{{}}}]"#,
                "x".repeat(count * 3),
                entries.join(",")
            ));
        }
    }
}

fn damage(choices: &mut Choices<'_>, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = (choices.below(256) * 256 + choices.below(256)) % bytes.len();
    match choices.below(6) {
        0 => bytes.truncate(at),
        1 => bytes[at] = choices.byte(),
        2 => bytes.insert(at, choices.byte()),
        3 => drop(bytes.remove(at)),
        4 => bytes.extend_from_slice(b" {}"),
        _ => drop(bytes.splice(0..0, *b"\xef\xbb\xbf")),
    }
}
