//! Lines of recorded records: what kcat prints is read as it is, and what is written reads back as the same bytes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use quorate_core::replay::RecordedRecord;

fn read(line: impl AsRef<[u8]>) -> RecordedRecord {
    serde_json::from_slice(line.as_ref()).expect("a recorded record")
}

fn refusal(line: &str) -> String {
    serde_json::from_str::<RecordedRecord>(line).expect_err("no recorded record").to_string()
}

/// A line as kcat prints it, with these fields between the first and the last.
fn kcat(fields: &str) -> RecordedRecord {
    let line = format!(
        r#"{{"topic":"T","partition":3,"offset":17,"tstype":"create","ts":1762218000000,"broker":0,{fields}"payload":"p"}}"#
    );
    read(line)
}

fn text(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

#[test]
fn a_line_of_kcat_is_read_in_any_order_of_its_fields() {
    let record = kcat(r#""headers":["a","1","b",null],"key":"k","#);
    assert_eq!((record.topic.as_str(), record.partition, record.offset, record.ts), ("T", 3, 17, 1_762_218_000_000));
    assert_eq!(record.headers, [("a".to_owned(), text("1")), ("b".to_owned(), None)]);
    assert_eq!((record.key.clone(), record.payload.clone()), (text("k"), text("p")));

    let shuffled = r#" {"payload":"p","key":"k","ts":1762218000000,"headers":["a","1","b",null],"offset":17,
        "broker":-1,"partition":3,"tstype":"logappend","topic":"T"} "#;
    assert_eq!(read(shuffled), record);
}

#[test]
fn headers_come_as_names_and_values_in_turn_or_pairs_or_an_object() {
    let flat = kcat(r#""headers":["a","1","b",null,"a","2"],"#).headers;
    assert_eq!(kcat(r#""headers":[["a","1"],["b",null],["a","2"]],"#).headers, flat);
    assert_eq!(
        kcat(r#""headers":{"a":["1","2"],"b":[null]},"#).headers,
        [("a".to_owned(), text("1")), ("a".to_owned(), text("2")), ("b".to_owned(), None)]
    );
    for none in [r#""headers":[],"#, r#""headers":null,"#, r#""headers":{},"#, ""] {
        assert_eq!(kcat(none).headers, []);
    }
}

#[test]
fn what_kcat_leaves_out_or_adds_is_no_matter() {
    let bare = read(r#"{"topic":"T","partition":0,"offset":0,"payload":null}"#);
    assert_eq!(bare, RecordedRecord { topic: "T".to_owned(), ts: -1, ..RecordedRecord::default() });
    let added = r#""key_schema_id":7,"x":{"deep":[[[{}]]]},"x":1,"y":"\ud800","key":null,"#;
    assert_eq!(kcat(added), kcat(""));
}

#[test]
fn bytes_that_are_no_text_stay_what_they_were() {
    let raw =
        b"{\"topic\":\"T\",\"partition\":0,\"offset\":0,\"ts\":0,\"unknown\":\"\xff\",\"headers\":[\"h\",\"\xfe\"],\
        \"key\":\"k\xc3\",\"payload\":\"a\xff\\n\\u0000\"}";
    let record = read(raw);
    assert_eq!(record.payload.as_deref(), Some(&b"a\xff\n\0"[..]));
    assert_eq!(record.key.as_deref(), Some(&b"k\xc3"[..]));
    assert_eq!(record.headers, [("h".to_owned(), Some(b"\xfe".to_vec()))]);
}

#[test]
fn escapes_are_read_and_half_a_surrogate_pair_is_no_text() {
    let payload = |escaped: &str| {
        let line = format!(r#"{{"topic":"T","partition":0,"offset":0,"ts":0,"payload":"{escaped}"}}"#);
        read(line).payload.expect("a payload")
    };
    assert_eq!(payload(r#"{\"a\":\"\\\"\\u00e9\"}"#), br#"{"a":"\"\u00e9"}"#);
    assert_eq!(payload(r"\u00e9\ud83d\ude00\/"), "é😀/".as_bytes());
    for half in [r"\ud83d", r"\ude00", r"\ud83d\u0041"] {
        assert!(std::str::from_utf8(&payload(half)).is_err(), "{half}");
    }
}

#[test]
fn a_line_that_is_no_record_is_refused_with_its_column() {
    for (line, words) in [
        (
            r#"{"topic":"T","partition":0,"offset":0,"ts":0,"payload":{"a":1}}"#,
            "expected a string or null at line 1 column 55",
        ),
        (r#"{"topic":"T","partition":0,"offset":0,"ts":0,"payload":["a"]}"#, "expected a string or null"),
        (r#"{"topic":"T","partition":0,"ts":0,"payload":"a"}"#, "missing field `offset`"),
        (r#"{"topic":"T","partition":"0","offset":0,"ts":0,"payload":"a"}"#, "column 28"),
        (r#"{"topic":"T","partition":0,"offset":0,"ts":0,"payload":"a"} x"#, "trailing characters"),
        (r#"{"topic":"T","partition":0,"offset":0,"ts":0,"payload":"a"#, "EOF while parsing a string"),
        (r#"{"topic":"T","partition":0,"offset":0,"headers":["a"],"payload":"a"}"#, "header \"a\" has no value"),
        (r#"{"topic":"T","partition":0,"offset":0,"headers":[["a"]],"payload":"a"}"#, "no pair"),
        (r#"{"topic":"T","partition":0,"offset":0,"payload_base64":"?","payload":"a"}"#, "not base64"),
    ] {
        let said = refusal(line);
        assert!(said.contains(words), "{line}: {said}");
    }
}

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    option::of(prop_oneof![vec(any::<u8>(), 0..24), any::<String>().prop_map(String::into_bytes)])
}

prop_compose! {
    fn records()(
        topic in "[a-zA-Z0-9._-]{1,12}",
        (partition, offset, ts) in (0..100, 0..i64::MAX, -1..i64::MAX),
        headers in vec((any::<String>(), bytes()), 0..4),
        (key, payload) in (bytes(), bytes()),
    ) -> RecordedRecord {
        RecordedRecord { topic, partition, offset, ts, headers, key, payload }
    }
}

/// A string or null as yajl, hence kcat, prints it: bytes above ASCII are left alone.
fn yajl(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(bytes) = bytes else { return out.extend(b"null") };
    out.push(b'"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            0..=31 => out.extend(format!("\\u{byte:04X}").bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

proptest! {
    #[test]
    fn what_is_written_is_one_line_of_text_and_reads_back_as_the_same_bytes(record in records()) {
        let line = serde_json::to_vec(&record).expect("JSON");
        prop_assert!(std::str::from_utf8(&line).is_ok() && !line.contains(&b'\n'));
        prop_assert_eq!(read(&line), record);
    }

    #[test]
    fn what_kcat_prints_reads_back_as_the_same_bytes(record in records()) {
        let mut line = format!(r#"{{"topic":"{}","partition":{},"#, record.topic, record.partition).into_bytes();
        line.extend(format!(r#""offset":{},"tstype":"create","ts":{},"broker":1"#, record.offset, record.ts).bytes());
        let values = record.headers.iter().flat_map(|(name, value)| [Some(name.as_bytes()), value.as_deref()]);
        line.extend(b",\"headers\":[");
        for (index, value) in values.enumerate() {
            line.extend(if index == 0 { &b""[..] } else { b"," });
            yajl(value, &mut line);
        }
        line.push(b']');
        for (name, value) in [("key", &record.key), ("payload", &record.payload)] {
            line.extend(format!(",\"{name}\":").bytes());
            yajl(value.as_deref(), &mut line);
        }
        line.push(b'}');
        prop_assert_eq!(read(&line), record);
    }
}
