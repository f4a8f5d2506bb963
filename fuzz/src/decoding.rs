//! What decoding promises: every record ends as what the contract says, the same each time, whatever stands beside
//! it in its batch, and takes no more room than its bytes allow.

use std::sync::{Arc, LazyLock};

use quorate_core::decode::{Body, Decoder, Readings, Reason, Scalar, elements_json};
use quorate_core::ident::{Epoch, Millis, Offset, TopicId};
use quorate_core::plan::{Plan, WindowPlan};
use quorate_core::record::RecordBatch;
use quorate_core::replay::{RecordedRecord, Replay, ReplayEvent};

use crate::document::{Document, read};
use crate::expected::{Content, Expected, Fate, fate};
use crate::plans::decoded;
use crate::support::T0;

static PLANS: LazyLock<Vec<Plan>> = LazyLock::new(decoded);

/// What a record has beside it in its batch.
const NEIGHBOUR: &[u8] = r#"[{"stationId":"\u0053","k":1,"v":2}]"#.as_bytes();

/// What a record came to: its readings and dead elements by place.
#[derive(Debug, PartialEq)]
struct Found {
    readings: Vec<(Option<u32>, Expected)>,
    dead: Vec<(Option<u32>, Reason, String)>,
}

/// Fails where some plan makes of `payload` what it must not.
pub(crate) fn check(payload: &[u8]) {
    for plan in PLANS.iter() {
        let mut decoder = Decoder::new(plan, TopicId(0));
        let alone = decode(&mut decoder, &[Some(payload)]);
        assert_bounded(plan, &alone, payload.len());
        let found = found(&alone, 0);
        assert_expected(plan, payload, &found);
        let among = decode(&mut decoder, &[Some(NEIGHBOUR), Some(payload), None, Some(payload), Some(NEIGHBOUR)]);
        for place in [1, 3] {
            assert_eq!(found, self::found(&among, place), "alone and among others");
        }
        let neighbour = self::found(&decode(&mut Decoder::new(plan, TopicId(0)), &[Some(NEIGHBOUR)]), 0);
        for place in [0, 4] {
            assert_eq!(neighbour, self::found(&among, place), "a neighbour");
        }
        if let Ok(text) = std::str::from_utf8(payload) {
            assert_seen(plan, text, &found);
        }
    }
}

fn decode(decoder: &mut Decoder, payloads: &[Option<&[u8]>]) -> Readings {
    let mut batch = RecordBatch::new(TopicId(0));
    for (offset, payload) in (0..).zip(payloads) {
        batch.push((0, Offset(offset), Epoch(0)), Millis(T0), None, *payload).expect("room in the batch");
    }
    decoder.decode(Arc::new(batch))
}

/// Each byte yields at most one reading, dead element, cell or number of a column; and a name has a limit.
fn assert_bounded(plan: &Plan, readings: &Readings, bytes: usize) {
    let most = bytes + 1;
    assert!(readings.rows().len() + readings.dead().len() <= most);
    let columns = match &plan.topics[0].window {
        WindowPlan::Grid(grid) => grid.values.len() + grid.totals.len(),
        _ => 0,
    };
    let (mut cells, mut numbers) = (0, 0);
    for row in readings.rows() {
        if let Body::Grid { cells: of_row, totals } = readings.body(row) {
            cells += of_row.iter().count();
            numbers += of_row.iter().map(|cell| cell.values.len()).sum::<usize>() + totals.len();
        }
    }
    assert!(cells <= most && numbers <= most * columns.max(1), "{cells} cells and {numbers} numbers of {bytes} bytes");
}

fn assert_expected(plan: &Plan, payload: &[u8], found: &Found) {
    let shown = || String::from_utf8_lossy(payload);
    match fate(plan, Some(payload), Millis(T0)) {
        Fate::Nothing => panic!("only a null payload is passed over"),
        Fate::Whole(reasons) => {
            assert!(found.readings.is_empty(), "{reasons:?}, got {found:?} of {}", shown());
            let [(None, reason, _)] = found.dead[..] else { panic!("{reasons:?}, got {found:?} of {}", shown()) };
            assert!(reasons.contains(&reason), "{reasons:?}, got {reason:?} of {}", shown());
        }
        Fate::Elements { or_too_large: true, .. } if matches!(found.dead[..], [(None, Reason::TooLarge, _)]) => {}
        Fate::Elements { numbered, each, .. } => {
            let texts = elements_json(&plan.topics[0].records, payload);
            let (mut readings, mut dead) = (found.readings.iter(), found.dead.iter());
            for (place, (element, want)) in (0_u32..).zip(&each) {
                let place = numbered.then_some(place);
                match want {
                    Ok(want) => assert_eq!(readings.next(), Some(&(place, want.clone())), "of {}", shown()),
                    Err(want) => {
                        let got = dead.next().map(|(place, reason, _)| (*place, *reason));
                        assert_eq!(got, Some((place, *want)), "of {}", shown());
                    }
                }
                let text = texts.get(place.unwrap_or(0) as usize).copied().unwrap_or_default();
                assert_eq!(read(text).0.as_ref(), Some(element), "element {place:?} as shown, of {}", shown());
            }
            assert_eq!((readings.next(), dead.next(), texts.len()), (None, None, each.len()), "of {}", shown());
        }
    }
}

/// A module that is given a `latest` window sees the very reading that was sent.
fn assert_seen(plan: &Plan, payload: &str, found: &Found) {
    let topic = &plan.topics[0];
    let is_whole = matches!(topic.window, WindowPlan::Latest) && topic.fields.is_none();
    let [(_, Expected { body: Content::Text(want), .. })] = &found.readings[..] else { return };
    if !is_whole {
        return;
    }
    let mut seen = Vec::new();
    let mut hear = |event: ReplayEvent| {
        if let ReplayEvent::Input(input) = event {
            seen.push(serde_json::to_string(&input.inputs[0].value).expect("a value is JSON"));
        }
    };
    let record = RecordedRecord {
        topic: topic.name.to_string(),
        ts: T0,
        payload: Some(payload.as_bytes().to_vec()),
        ..RecordedRecord::default()
    };
    Replay::new(Arc::new(plan.clone())).record(&record, &mut hear);
    for seen in seen {
        assert_eq!(read(&seen).0.as_ref(), Some(want), "as a module sees {payload}");
    }
}

fn found(readings: &Readings, record: u32) -> Found {
    let rows = readings.rows().iter().filter(|row| row.record == record);
    let of_row = |row: &_| Expected {
        station: readings.station(row).map(str::to_owned),
        time: row.time,
        body: content(readings.body(row)),
    };
    let dead = readings.dead().iter().filter(|dead| dead.record == record);
    Found {
        readings: rows.map(|row| (row.element, of_row(row))).collect(),
        dead: dead.map(|dead| (dead.element, dead.reason, dead.detail.clone())).collect(),
    }
}

fn content(body: Body<'_>) -> Content {
    let document = |text| read(text).0.expect("the text of a reading is JSON");
    let observed = |numbers: &[f64]| {
        assert!(!numbers.iter().any(|number| number.is_infinite()));
        numbers.iter().map(|number| (!number.is_nan()).then_some(*number)).collect::<Vec<_>>()
    };
    match body {
        Body::Text(text) => Content::Text(document(text)),
        Body::Keyed { key, text } => Content::Keyed(key.to_owned(), document(text)),
        Body::Grid { cells, totals } => {
            let cells = cells.iter().map(|cell| (cell.series.to_owned(), observed(cell.values)));
            Content::Grid(cells.collect(), observed(totals))
        }
        Body::Columns(scalars) => Content::Columns(scalars.iter().map(scalar).collect()),
        Body::Result { hash, text } => Content::Result(hash, document(text)),
    }
}

fn scalar(scalar: Scalar<'_>) -> Document {
    match scalar {
        Scalar::Null => Document::Null,
        Scalar::Bool(value) => Document::Bool(value),
        Scalar::Number(number) => Document::Float(number),
        Scalar::Text(text) => Document::Text(text.to_owned()),
    }
}
