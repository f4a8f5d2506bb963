//! Reliability rows 20, 21 and 23 at the decoder: whatever arrives ends as readings or dead letters with the reason
//! the contract names, never as a panic, and a bad element never takes the good ones of its record with it.

mod support;

use proptest::prelude::*;
use quorate_core::decode::{Reason, elements_json};
use quorate_core::plan::{Fill, Limits, Plan};
use serde_json::{Value, json};
use support::live::{Sent, decode, decode_one};
use support::scenario::{Scenario, value_after};
use support::within::assert_lines;
use support::{CASES, Grid, HOUR, T0, Topic, plan, probe_of, topic};

use quorate_core::ident::TopicId;

/// Ways to read a message: each takes another path through the decoder.
fn shapes() -> Vec<(&'static str, Topic)> {
    let grid = Grid {
        step_ms: HOUR,
        steps: 2,
        fill: Fill::Zero,
        max_gap_ms: None,
        series: vec!["/k"],
        values: vec!["/v"],
        totals: vec!["/t"],
    };
    vec![
        ("latest, one", topic("T")),
        ("latest, list", topic("T").records(&["/*"])),
        ("latest, inside", topic("T").records(&["/a/0/b/*", "/c", ""])),
        ("per_key", topic("T").records(&["/*"]).per_key("/k", None)),
        ("grid, one", topic("T").grid(grid.clone())),
        ("grid, list", topic("T").records(&["/list/*"]).grid(grid)),
        ("timed", topic("T").epoch_time("/at")),
        ("global", topic("T").global()),
        ("bucket", topic("T").bucket(HOUR, Some(0))),
        ("results", topic("T").results().station("/stationId")),
    ]
}

/// What became of one payload: the number of readings, and each dead letter's place and reason.
fn fate(topic: Topic, payload: &[u8]) -> (usize, Vec<(Option<u32>, Reason)>) {
    fate_of(&probe_of(vec![topic]), payload)
}

fn fate_of(plan: &Plan, payload: &[u8]) -> (usize, Vec<(Option<u32>, Reason)>) {
    let (readings, dead) = decode_one(plan, Some(payload));
    (readings, dead.into_iter().map(|dead| (dead.element, dead.reason)).collect())
}

/// The whole record was given up.
fn whole(reason: Reason) -> (usize, Vec<(Option<u32>, Reason)>) {
    (0, vec![(None, reason)])
}

fn limited(topic: Topic, limits: Limits) -> Plan {
    Plan { limits, ..probe_of(vec![topic]) }
}

#[test]
fn row_0_41_what_a_newer_sender_adds_is_kept_and_another_format_is_given_up_with_its_reason() {
    let newer = json!({"stationId": "S", "v": 1, "schema": 7, "added": {"deep": [1, null]}});
    let kept = value_after(probe_of(vec![topic("T")]), &[(T0, newer.clone())]);
    assert_eq!(kept, newer, "nothing of it is lost");
    // Avro behind a schema id, Protocol Buffers, XML, MessagePack, and the object where a list was agreed on.
    let avro: &[u8] = &[0, 0, 0, 0, 7, 2, b'S'];
    for (payload, reason) in [
        (avro, Reason::NotJson),
        (&[0x0a, 0x01, b'S', 0x10, 0x01], Reason::NotJson),
        (b"<reading stationId='S'/>", Reason::NotJson),
        (&[0x81, 0xa1, b's', 0xa1, b'S'], Reason::NotUtf8),
    ] {
        assert_eq!(fate(topic("T"), payload), whole(reason), "{payload:?}");
    }
    assert_eq!(fate(topic("T").records(&["/*"]), newer.to_string().as_bytes()), whole(Reason::WrongShape));
}

#[test]
fn row_20_what_is_not_json_is_a_dead_letter_on_every_path() {
    let corpus: [(&[u8], Reason); 16] = [
        (b"", Reason::NotJson),
        (b" \n\t", Reason::NotJson),
        (b"not json", Reason::NotJson),
        (br#"{"stationId":"S""#, Reason::NotJson),
        (br#"{"stationId":"S"}}"#, Reason::NotJson),
        (br#"{"stationId":"S"} {"stationId":"S"}"#, Reason::NotJson),
        (br#"{"stationId":"S",}"#, Reason::NotJson),
        (br"{'stationId':'S'}", Reason::NotJson),
        (br#"{"stationId":"S","v":NaN}"#, Reason::NotJson),
        (br#"{"stationId":"S","v":-Infinity}"#, Reason::NotJson),
        (br#"{"stationId":"S","v":01}"#, Reason::NotJson),
        (b"{\"stationId\":\"a\x00b\"}", Reason::NotJson),
        (br#"{"stationId":"S","v":"\ud800"}"#, Reason::NotJson),
        (br#"{"stationId":"S","\udc00":1}"#, Reason::NotJson),
        (b"\xef\xbb\xbf{\"stationId\":\"S\"}", Reason::NotJson),
        (b"{\"stationId\":\"\xff\"}", Reason::NotUtf8),
    ];
    for (name, topic) in shapes() {
        for (payload, reason) in corpus {
            assert_eq!(fate(topic.clone(), payload), whole(reason), "{name}: {:?}", String::from_utf8_lossy(payload));
        }
    }
}

#[test]
fn row_20_bad_json_after_good_elements_gives_up_the_whole_record() {
    for (name, topic) in shapes() {
        let payload = br#"[{"stationId":"S","k":"1","at":"5"},{"stationId":"S","k":"2"},{"stationId":1e400}]"#;
        assert_eq!(fate(topic.clone(), payload), whole(Reason::NotJson), "{name}");
        let payload = br#"{"list":[{"stationId":"S","k":"1"}],"a":[{"b":[{"stationId":"S"}]}],"z":tru}"#;
        assert_eq!(fate(topic, payload), whole(Reason::NotJson), "{name}");
    }
}

#[test]
fn row_20_a_tombstone_is_wrong_shape_or_nothing() {
    assert_eq!(decode_one(&probe_of(vec![topic("T")]), None).1[0].reason, Reason::WrongShape);
    let (readings, dead) = decode_one(&probe_of(vec![topic("T").ignore_null()]), None);
    assert_eq!((readings, dead.len()), (0, 0));
    let literal = fate(topic("T").ignore_null(), b"null");
    assert_eq!(literal, whole(Reason::WrongShape), "the text null is a payload");
}

#[test]
fn row_20_elements_that_cannot_be_readings_die_alone() {
    let elements = br#"[7,"x",null,true,[{"stationId":"S"}],{},{"stationId":""},{"stationId":null},{"stationId":1.5},
        {"stationId":true},{"stationId":["S"]},{"stationId":{"id":"S"}},{"stationId":"S"}]"#;
    let (shape, station) = (Reason::WrongShape, Reason::MissingStation);
    let reasons = [vec![shape; 5], vec![station; 7]].concat();
    let dead = (0..).map(Some).zip(reasons).collect();
    assert_eq!(fate(topic("T").records(&["/*"]), elements), (1, dead));
}

#[test]
fn row_20_a_bad_element_costs_its_station_nothing() {
    let mut scenario = Scenario::new(probe_of(vec![topic("T").records(&["/*"]).epoch_time("/at")]));
    scenario.send("T", T0, r#"[{"stationId":"S","at":"x"},{"stationId":"S","at":5,"v":1},{"stationId":"N"}]"#);
    let dead = |element: u32| json!({"event": "dead_letter", "reason": "bad_time", "element": element});
    assert_lines(&[dead(0), dead(2), json!({"event": "input", "station": "S"})], &scenario.finish());
}

#[test]
fn row_21_a_depth_bomb_is_given_up_in_bounded_time() {
    for (name, topic) in shapes() {
        let open = "[".repeat(1_000_000);
        let (readings, dead) = fate(topic.clone(), open.as_bytes());
        assert_eq!((readings, dead.len(), dead[0].0), (0, 1, None), "{name}");
        assert!(matches!(dead[0].1, Reason::TooDeep | Reason::NotJson), "{name}: {dead:?}");
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let bomb = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
            assert_eq!(fate(topic.clone(), bomb.as_bytes()), whole(Reason::TooDeep), "{name}");
            let inside = format!(r#"[{{"stationId":"S","k":"1","x":{bomb}}}]"#);
            assert_eq!(fate(topic.clone(), inside.as_bytes()), whole(Reason::TooDeep), "{name}");
        }
    }
}

/// `{"stationId":"S","x":[[…]]}` with `depth` containers in all.
fn nested(depth: usize) -> String {
    format!(r#"{{"stationId":"S","k":"1","v":1,"t":1,"x":{}1{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
}

#[test]
fn row_21_nesting_at_the_limit_is_read_and_one_deeper_is_not() {
    let shallow = Limits { depth: 5, ..Limits::default() };
    for (name, topic) in shapes().into_iter().filter(|(name, _)| *name != "timed") {
        let wrap = |inner: String| match name {
            "latest, list" | "per_key" => format!("[{inner}]"),
            "grid, list" => format!(r#"{{"list":[{inner}]}}"#),
            "latest, inside" => format!(r#"{{"a":[{{"b":[{inner}]}}]}}"#),
            _ => inner,
        };
        let around = wrap(String::new()).matches(['[', '{']).count();
        for limits in [Limits::default(), shallow] {
            let plan = limited(topic.clone(), limits);
            let at_limit = wrap(nested(limits.depth - around));
            assert_eq!(fate_of(&plan, at_limit.as_bytes()), (1, vec![]), "{name}, {}", limits.depth);
            let above = wrap(nested(limits.depth - around + 1));
            assert_eq!(fate_of(&plan, above.as_bytes()), whole(Reason::TooDeep), "{name}, {}", limits.depth);
        }
    }
}

#[test]
fn row_21_depth_is_decided_before_the_shape() {
    let bomb = format!("{}{}", "[".repeat(129), "]".repeat(129));
    assert_eq!(fate(topic("T").records(&["/nothing/here"]), bomb.as_bytes()), whole(Reason::TooDeep));
    let beside = format!(r#"{{"list":[],"beside":{bomb}}}"#);
    assert_eq!(fate(topic("T").records(&["/list/*"]), beside.as_bytes()), whole(Reason::TooDeep));
    let after_a_bad_element = format!(r#"[7,{{"stationId":"S","x":{bomb}}}]"#);
    assert_eq!(fate(topic("T").records(&["/*"]), after_a_bad_element.as_bytes()), whole(Reason::TooDeep));
}

#[test]
fn row_21_a_hundred_thousand_keys_are_a_reading() {
    let keys: Vec<String> = (0..100_000).map(|n| format!(r#""key{n}":{n}"#)).collect();
    let object = format!(r#"{{"stationId":"S","k":"1",{}}}"#, keys.join(","));
    assert_eq!(fate(topic("T"), object.as_bytes()), (1, vec![]));
    let value = value_after(probe_of(vec![topic("T")]), &[(T0, serde_json::from_str(&object).expect("json"))]);
    assert_eq!(value.as_object().expect("object").len(), 100_002);
    let few = Limits { elements: 1_000, ..Limits::default() };
    assert_eq!(fate_of(&limited(topic("T"), few), object.as_bytes()), whole(Reason::TooLarge));
}

#[test]
fn row_21_numbers_beyond_a_float_are_not_json_and_others_have_a_defined_value() {
    let long = "9".repeat(5_000_000);
    let fraction = format!("0.{long}");
    for (number, fits) in [
        ("1e400", false),
        ("-1e400", false),
        ("1e99999999999999999999", false),
        (long.as_str(), false),
        (fraction.as_str(), true),
        ("1e-400", true),
        ("0e99999999999999999999", true),
        ("99999999999999999999", true),
        ("-0", true),
        ("1.7976931348623157e308", true),
    ] {
        for (name, topic) in shapes().into_iter().filter(|(name, _)| !name.contains("list") && *name != "per_key") {
            for field in ["ignored", "v", "t"] {
                let payload = format!(r#"{{"stationId":"S","k":"1","at":5,"{field}":{number}}}"#);
                let want = if fits { (1, vec![]) } else { whole(Reason::NotJson) };
                let head = &number[..number.len().min(30)];
                assert_eq!(fate(topic.clone(), payload.as_bytes()), want, "{name}, {field}: {head}");
            }
        }
    }
}

#[test]
fn row_21_of_equal_keys_the_last_counts_everywhere() {
    let value = |topic: Topic, text: &str| {
        let mut scenario = Scenario::new(probe_of(vec![topic]));
        scenario.send("T", T0, text);
        scenario.finish()
    };
    let last = json!({"event": "input", "station": "B", "inputs": {"T": {"value": {"v": 2}}}});
    let station = r#"{"stationId":"A","v":1,"stationId":"B","v":2}"#;
    assert_lines(std::slice::from_ref(&last), &value(topic("T"), station));
    let container = r#"{"list":[{"stationId":"A"},{"stationId":"C"}],"list":[{"stationId":"B","v":2}]}"#;
    assert_lines(std::slice::from_ref(&last), &value(topic("T").records(&["/list/*"]), container));
    let nested = r#"{"stationId":"A","s":{"id":"A"},"v":2,"s":{"id":"B"}}"#;
    assert_lines(std::slice::from_ref(&last), &value(topic("T").station("/s/id"), nested));

    let gone = |reason: &str| json!({"event": "dead_letter", "reason": reason, "element": null});
    let no_list = r#"{"list":[{"stationId":"A"}],"list":7}"#;
    assert_lines(&[gone("wrong_shape")], &value(topic("T").records(&["/list/*"]), no_list));
    let no_station = r#"{"stationId":"A","stationId":null}"#;
    assert_lines(&[gone("missing_station")], &value(topic("T"), no_station));
    let no_longer_nested = r#"{"s":{"id":"A"},"s":"B"}"#;
    assert_lines(&[gone("missing_station")], &value(topic("T").station("/s/id"), no_longer_nested));
    let dead_then_good = r#"{"list":[7,8],"list":[{"stationId":"B","v":2}]}"#;
    assert_lines(&[last], &value(topic("T").records(&["/list/*"]), dead_then_good));
}

#[test]
fn row_21_stations_may_be_any_text_or_integer_and_escapes_do_not_matter() {
    for (station, id) in [
        (r#""站点-α-🚗""#, "站点-α-🚗"),
        (r#""a\u0000b""#, "a\u{0}b"),
        (r#""\ud83d\ude97""#, "🚗"),
        (r#""\u0053""#, "S"),
        (r#""S\/1""#, "S/1"),
        (r#"" ""#, " "),
        ("7", "7"),
        ("-7", "-7"),
        ("0", "0"),
        ("1881540927845654529", "1881540927845654529"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
    ] {
        for key in [r#""stationId""#, r#""station\u0049d""#] {
            let mut scenario = Scenario::new(probe_of(vec![topic("T")]));
            scenario.send("T", T0, format!("{{{key}:{station}}}"));
            assert_eq!(scenario.input()["station"], id, "{key}: {station}");
        }
    }
}

#[test]
fn row_21_an_integer_station_and_its_decimal_text_are_one_station() {
    let mut scenario = Scenario::new(probe_of(vec![topic("A"), topic("B")]));
    scenario.send("A", T0, r#"{"stationId":42}"#).send("B", T0, r#"{"stationId":"42"}"#);
    assert_eq!(scenario.input()["station"], "42");
}

#[test]
fn size_limits_hold_at_their_exact_value() {
    let limits = Limits { record_bytes: 60, elements: 3, string_bytes: 10, ..Limits::default() };
    let check = |topic: Topic, payload: &str, fits: bool| {
        let (readings, dead) = fate_of(&limited(topic, limits), payload.as_bytes());
        let too_large = dead.iter().any(|(element, reason)| element.is_none() && *reason == Reason::TooLarge);
        assert_eq!((readings > 0, too_large), (fits, !fits), "{payload}");
    };
    let list = || topic("T").records(&["/*"]).station("/s");
    check(list(), r#"[{"s":1},{"s":1},{"s":1}]"#, true);
    check(list(), r#"[{"s":1},{"s":1},{"s":1},{"s":1}]"#, false);
    check(list(), r#"[{"s":1,"x":[1,2,3]}]"#, true);
    check(list(), r#"[{"s":1,"x":[1,2,3,4]}]"#, false);
    check(list(), r#"[{"s":"0123456789"}]"#, true);
    check(list(), r#"[{"s":"0123456789a"}]"#, false);
    check(list(), r#"[{"s":1,"x":"ééééé"}]"#, true);
    check(list(), r#"[{"s":1,"x":"éééééé"}]"#, false);
    check(list(), r#"[{"s":1,"0123456789a":1}]"#, false);
    let padded = |len: usize| format!(r#"[{{"s":1}}{}]"#, " ".repeat(len - 9));
    check(list(), &padded(60), true);
    check(list(), &padded(61), false);
    let grid = Grid {
        step_ms: HOUR,
        steps: 1,
        fill: Fill::Zero,
        max_gap_ms: None,
        series: vec!["/k"],
        values: vec!["/v"],
        totals: vec![],
    };
    check(topic("T").station("/s").grid(grid.clone()), r#"{"s":1,"k":[1,2,3],"v":[1,2,3]}"#, true);
    check(topic("T").station("/s").grid(grid), r#"{"s":1,"k":[1,2,3,4],"v":[1,2,3,4]}"#, false);
}

#[test]
fn the_first_records_pointer_that_exists_counts_even_when_its_list_is_empty() {
    let either = || topic("T").records(&["/new/*", "/old/*"]);
    assert_eq!(fate(either(), br#"{"old":[{"stationId":"O"}]}"#), (1, vec![]));
    assert_eq!(fate(either(), br#"{"old":[{"stationId":"O"}],"new":[]}"#), (0, vec![]));
    assert_eq!(fate(either(), br#"{"old":[{"stationId":"O"}],"new":null}"#), (1, vec![]));
    assert_eq!(fate(either(), br#"{"old":[{"stationId":"O"}],"new":{"x":[]}}"#), (1, vec![]));
    assert_eq!(fate(either(), br#"{"old":{},"new":7}"#), whole(Reason::WrongShape));
    assert_eq!(fate(either(), b"[]"), whole(Reason::WrongShape));
    let shape = vec![(Some(0), Reason::WrongShape)];
    assert_eq!(fate(either(), br#"{"old":[{"stationId":"O"}],"new":[7]}"#), (0, shape));
}

#[test]
fn a_star_in_the_middle_gives_up_elements_in_which_the_rest_leads_nowhere() {
    let inner = topic("T").records(&["/hosts/*/reading"]);
    let hosts =
        br#"{"hosts":[{"reading":{"stationId":"A"}},{"other":1},7,{"reading":{"stationId":"B"}},{"reading":8}]}"#;
    let shape = [1, 2, 4].map(|at| (Some(at), Reason::WrongShape)).to_vec();
    assert_eq!(fate(inner, hosts), (2, shape));
    let twice = topic("T").records(&["/*/list/*"]);
    let lists = br#"[{"list":[{"stationId":"A"},{"stationId":"B"}]},{"list":[]},{"list":[{"x":1}]}]"#;
    assert_eq!(fate(twice, lists), (2, vec![(Some(2), Reason::MissingStation)]));
}

#[test]
fn an_index_is_a_step_and_one_with_a_leading_zero_or_sign_is_not() {
    let second = |at: &str| topic("T").records(&[at]);
    let list = br#"{"list":[{"x":1},{"stationId":"S"}]}"#;
    assert_eq!(fate(second("/list/1"), list), (1, vec![]));
    assert_eq!(fate(second("/list/0"), list), whole(Reason::MissingStation));
    for nowhere in ["/list/2", "/list/-", "/list/01", "/list/+1", "/list/1 ", "/list/"] {
        assert_eq!(fate(second(nowhere), list), whole(Reason::WrongShape), "{nowhere}");
    }
    assert_eq!(fate(second("/list/1"), br#"{"list":{"1":{"stationId":"S"}}}"#), (1, vec![]), "a key that is a number");
    assert_eq!(fate(topic("T").station("/ids/1"), br#"{"ids":["a","b"]}"#), (1, vec![]));
    assert_eq!(fate(topic("T").station("/ids/01"), br#"{"ids":["a","b"]}"#), whole(Reason::MissingStation));
}

#[test]
fn a_projection_reads_indices_as_the_decoder_does() {
    let plan = probe_of(vec![topic("T").fields(&["/list/01", "/list/1"])]);
    let value = value_after(plan, &[(T0, json!({"stationId": "S", "list": [7, 8]}))]);
    assert_eq!(value, json!({"stationId": "S", "list": {"1": 8}}));
}

#[test]
fn escaped_pointers_reach_keys_with_slashes_and_tildes() {
    let odd = topic("T").records(&["/a~1b/*"]).station("/m~0n");
    assert_eq!(fate(odd, br#"{"a/b":[{"m~n":"S"}]}"#), (1, vec![]));
    assert_eq!(fate(topic("T").station("/"), br#"{"":"S"}"#), (1, vec![]));
}

#[test]
fn a_time_that_is_missing_or_cannot_be_read_is_a_bad_time() {
    let timed = || topic("T").local_time("/at", "Asia/Shanghai");
    for at in [
        "null",
        "5",
        "1.5",
        "true",
        "[]",
        "{}",
        r#""""#,
        r#""2025-11-04""#,
        r#""2025-11-04 09:00""#,
        r#""2025/11/04 09:00:00""#,
        r#""2025-13-04 09:00:00""#,
        r#""2025-02-30 09:00:00""#,
        r#""2025-11-04 25:00:00""#,
        r#""2025-11-04 09:00:00 ""#,
        r#""2025-11-04 09:00:00Z""#,
        r#""9999999-11-04 09:00:00""#,
    ] {
        let payload = format!(r#"{{"stationId":"S","at":{at}}}"#);
        assert_eq!(fate(timed(), payload.as_bytes()), whole(Reason::BadTime), "{at}");
    }
    assert_eq!(fate(timed(), br#"{"stationId":"S"}"#), whole(Reason::BadTime));
    assert_eq!(fate(timed(), br#"{"stationId":"S","at":"2025-11-04 09:00:00"}"#), (1, vec![]));
    assert_eq!(fate(topic("T").epoch_time("/at"), br#"{"stationId":"S","at":1762225500}"#), (1, vec![]));
}

#[test]
fn a_missing_key_or_series_and_unequal_arrays_are_wrong_shape() {
    let keyed = |key: &str| fate(topic("T").per_key("/k", None), format!(r#"{{"stationId":"S"{key}}}"#).as_bytes());
    for key in ["", r#","k":null"#, r#","k":[1]"#, r#","k":{}"#] {
        assert_eq!(keyed(key), whole(Reason::WrongShape), "{key}");
    }
    for key in [r#","k":"1""#, r#","k":1"#] {
        assert_eq!(keyed(key), (1, vec![]), "{key}");
    }
    let grid = topic("T").grid(Grid {
        step_ms: HOUR,
        steps: 1,
        fill: Fill::Zero,
        max_gap_ms: None,
        series: vec!["/h", "/n"],
        values: vec!["/v", "/w"],
        totals: vec!["/t"],
    });
    for (fields, fits) in [
        (r#""h":"H","n":["1","2"],"v":[1,2],"w":[3,4],"t":5"#, true),
        (r#""h":"H","n":["1","2"],"v":[1,2]"#, true),
        (r#""h":"H","n":["1","2"],"v":[1,null],"w":null,"t":null"#, true),
        (r#""h":"H","n":"1","v":1,"w":2"#, true),
        (r#""h":["H","G"],"n":["1","2"],"v":[1,2],"w":[3,4]"#, true),
        (r#""h":"H","n":[],"v":[],"w":[]"#, true),
        (r#""h":["H"],"n":["1","2"],"v":[1,2],"w":[3,4]"#, false),
        (r#""h":"H","n":["1","2"],"v":[1,2,3],"w":[3,4]"#, false),
        (r#""h":"H","n":["1","2"],"v":[1],"w":[3,4]"#, false),
        (r#""h":"H","n":["1","2"],"v":1,"w":[3,4]"#, false),
        (r#""h":"H","n":"1","v":[1],"w":2"#, false),
        (r#""h":"H","n":["1",null],"v":[1,2],"w":[3,4]"#, false),
        (r#""h":null,"n":["1"],"v":[1],"w":[3]"#, false),
        (r#""h":"H","v":[1],"w":[3]"#, false),
        (r#""h":"H","n":["1"],"v":["1"],"w":[3]"#, false),
        (r#""h":"H","n":["1"],"v":[1],"w":[3],"t":"5""#, false),
    ] {
        let want = if fits { (1, vec![]) } else { whole(Reason::WrongShape) };
        assert_eq!(fate(grid.clone(), format!(r#"{{"stationId":"S",{fields}}}"#).as_bytes()), want, "{fields}");
    }
}

#[test]
fn of_several_faults_of_one_element_one_is_named_and_it_is_counted_once() {
    let (readings, dead) = fate(topic("T").per_key("/k", None).epoch_time("/at"), b"{}");
    assert_eq!((readings, dead.len()), (0, 1));
}

#[test]
fn a_dead_element_can_be_shown_as_its_json_also_at_the_depth_limit() {
    let shown = |topic: Topic, payload: &str, element: usize| {
        let plan = probe_of(vec![topic]);
        elements_json(&plan.topics[0].records, payload.as_bytes()).get(element).map(|&text| text.to_owned())
    };
    let list = || topic("T").records(&["/new/*/r", "/*"]);
    let json = |text: &str| Some(text.to_owned());
    assert_eq!(shown(list(), r#"[{"b":1,"a":2},7,null,"x"]"#, 0), json(r#"{"b":1,"a":2}"#));
    assert_eq!(shown(list(), r#"[{"b":1,"a":2},7,null,"x"]"#, 2), json("null"));
    assert_eq!(shown(list(), r#"{"new":[{"r":1},{"q":2},{"r":[3]}]}"#, 2), json("[3]"));
    assert_eq!(shown(list(), r#"[1]"#, 1), None);
    let deep = format!("{}1{}", "[".repeat(127), "]".repeat(127));
    assert_eq!(fate(list(), format!("[{deep}]").as_bytes()), (0, vec![(Some(0), Reason::WrongShape)]));
    assert_eq!(shown(list(), &format!("[{deep}]"), 0), Some(deep));
}

#[test]
fn row_23_readings_far_in_the_past_and_future_are_taken_without_a_panic() {
    for (name, topic) in shapes() {
        let mut scenario = Scenario::new(probe_of(vec![topic]));
        for ts in [i64::MIN, -1, 0, i64::MAX, T0] {
            let body = r#"{"stationId":"S","k":"1","v":1,"at":"253402300799"}"#;
            scenario.send("T", ts, body).send("T", ts, format!("[{body}]"));
            scenario.send("T", ts, format!(r#"{{"list":[{body}]}}"#));
        }
        assert!(!scenario.finish().is_empty(), "{name}");
    }
}

/// Every record of a batch ends as at least one reading or dead letter, or is an empty list.
fn assert_accounted_for(topic: &Topic, payload: &[u8]) {
    let plan = probe_of(vec![topic.clone()]);
    let sent = |offset| Sent { partition: 0, offset, ts: T0, payload: Some(payload.to_vec()) };
    let readings = decode(&plan, TopicId(0), &[sent(0), sent(1)]);
    let twice = |count: usize| assert_eq!(count % 2, 0, "the same bytes have the same fate");
    twice(readings.rows().len());
    twice(readings.dead().len());
    for element in readings.dead().iter().filter_map(|dead| dead.element) {
        let shown = elements_json(&plan.topics[0].records, payload);
        assert!(shown.len() > element as usize, "element {element} of {}", String::from_utf8_lossy(payload));
    }
    let whole = readings.dead().iter().any(|dead| dead.element.is_none() && !readings.rows().is_empty());
    assert!(!whole, "a record given up whole leaves no reading");
    if readings.rows().is_empty() && readings.dead().is_empty() {
        let value: Value = serde_json::from_slice(payload).expect("only valid JSON has no reading");
        assert!(value.is_array() || value.is_object(), "{value}");
    }
    let mut scenario = Scenario::new(plan);
    if let Ok(text) = std::str::from_utf8(payload) {
        scenario.send("T", T0, text);
        scenario.finish();
    }
}

/// JSON close to what the shapes look for.
fn near_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        4 => prop::sample::select(vec!["stationId", "k", "v", "t", "at", "list", "a", "b", "c"]).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        shapes().iter().for_each(|(_, topic)| assert_accounted_for(topic, &payload));
    }

    #[test]
    fn json_of_any_shape_is_accounted_for(value in near_json()) {
        shapes().iter().for_each(|(_, topic)| assert_accounted_for(topic, value.to_string().as_bytes()));
    }

    #[test]
    fn mutated_json_never_panics(
        value in near_json(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..6),
    ) {
        let mut bytes = value.to_string().into_bytes();
        for (at, byte, how) in cuts {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at),
            }
        }
        shapes().iter().for_each(|(_, topic)| assert_accounted_for(topic, &bytes));
    }

    /// A plan without a module that asks for the topic decodes it all the same.
    #[test]
    fn numbers_are_read_as_the_standard_library_reads_them(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
        let text = format!("{{\"stationId\":\"S\",\"v\":{number:e}}}");
        let mut scenario = Scenario::new(plan(vec![topic("T")], vec![support::module("probe").requires(&["T"])]));
        scenario.send("T", T0, text);
        let input = scenario.input();
        prop_assert_eq!(input["inputs"]["T"]["value"]["v"].as_f64(), Some(number));
    }
}
