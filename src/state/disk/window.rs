//! Windows as they are stored.

use prost::{Message, Oneof};
use quorate_core::contract::LineageRange;
use quorate_core::ident::{Millis, Offset};
use quorate_core::provenance::Provenance;
use quorate_core::{
    BucketState, ClosedBucketState, EntryState, GridCellState, GridReadingState, OpenBucketState, ResultState,
    WindowState,
};

use super::rows::Rows;
use super::{Malformed, bytes, hash};

/// A window, or a part of one.
#[derive(Clone, PartialEq, Message)]
pub(in crate::state) struct Window {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(message, tag = "1")]
    Latest(Entry),
    #[prost(message, tag = "2")]
    PerKey(PerKey),
    #[prost(message, tag = "3")]
    Grid(Grid),
    #[prost(message, tag = "4")]
    Buckets(Buckets),
    #[prost(message, tag = "5")]
    Result(ModuleResult),
    #[prost(message, tag = "6")]
    Rows(Rows),
}

#[derive(Clone, PartialEq, Message)]
struct Origin {
    #[prost(uint32, tag = "1")]
    incarnation: u32,
    #[prost(sint32, tag = "2")]
    partition: i32,
    #[prost(sint64, tag = "3")]
    offset: i64,
    #[prost(uint32, tag = "4")]
    element: u32,
}

/// A reading that is kept as text.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Entry {
    #[prost(sint64, tag = "1")]
    time: i64,
    #[prost(message, required, tag = "2")]
    origin: Origin,
    #[prost(string, tag = "3")]
    json: String,
}

#[derive(Clone, PartialEq, Message)]
struct PerKey {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<Keyed>,
}

#[derive(Clone, PartialEq, Message)]
struct Keyed {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, required, tag = "2")]
    entry: Entry,
}

#[derive(Clone, PartialEq, Message)]
struct Grid {
    #[prost(message, repeated, tag = "1")]
    readings: Vec<GridReading>,
}

#[derive(Clone, PartialEq, Message)]
struct GridReading {
    #[prost(sint64, tag = "1")]
    time: i64,
    #[prost(message, required, tag = "2")]
    origin: Origin,
    #[prost(message, repeated, tag = "3")]
    cells: Vec<GridCell>,
    #[prost(double, repeated, tag = "4")]
    totals: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct GridCell {
    #[prost(string, tag = "1")]
    series: String,
    #[prost(uint32, tag = "2")]
    index: u32,
    #[prost(double, repeated, tag = "3")]
    values: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct Buckets {
    #[prost(message, repeated, tag = "1")]
    open: Vec<Bucket>,
    #[prost(message, optional, tag = "2")]
    newest: Option<Bucket>,
}

/// The readings of one bucket.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Bucket {
    #[prost(sint64, tag = "1")]
    number: i64,
    #[prost(message, repeated, tag = "2")]
    readings: Vec<Entry>,
    /// Of an open one: whether it is to be handed over.
    #[prost(bool, tag = "3")]
    live: bool,
    /// Of one that waits to be handed over: how long it is.
    #[prost(sint64, optional, tag = "4")]
    every_ms: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct ModuleResult {
    #[prost(sint64, tag = "1")]
    time: i64,
    #[prost(bytes = "vec", optional, tag = "2")]
    hash: Option<Vec<u8>>,
    #[prost(message, optional, tag = "3")]
    origin: Option<Origin>,
    #[prost(message, repeated, tag = "4")]
    lineage: Vec<Lineage>,
    #[prost(string, tag = "5")]
    json: String,
}

#[derive(Clone, PartialEq, Message)]
struct Lineage {
    #[prost(string, tag = "1")]
    topic: String,
    #[prost(sint32, tag = "2")]
    partition: i32,
    #[prost(sint64, tag = "3")]
    from_offset: i64,
    #[prost(sint64, tag = "4")]
    to_offset: i64,
    #[prost(uint32, tag = "5")]
    incarnation: u32,
}

impl From<WindowState> for Window {
    fn from(state: WindowState) -> Self {
        let kind = match state {
            WindowState::Latest(entry) => Kind::Latest(entry.into()),
            WindowState::PerKey(entries) => {
                let keyed = |(key, entry): (String, EntryState)| Keyed { key, entry: entry.into() };
                Kind::PerKey(PerKey { entries: entries.into_iter().map(keyed).collect() })
            }
            WindowState::Grid(readings) => Kind::Grid(Grid { readings: all(readings) }),
            WindowState::Buckets(BucketState { open, newest }) => {
                Kind::Buckets(Buckets { open: all(open), newest: newest.map(Into::into) })
            }
            WindowState::Results(result) => Kind::Result(result.into()),
            WindowState::Rows(parts) => Kind::Rows(Rows { parts: all(parts) }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<Window> for WindowState {
    type Error = Malformed;

    fn try_from(window: Window) -> Result<Self, Malformed> {
        Ok(match window.kind.ok_or(Malformed("a kind of window"))? {
            Kind::Latest(entry) => Self::Latest(entry.into()),
            Kind::PerKey(PerKey { entries }) => {
                Self::PerKey(entries.into_iter().map(|Keyed { key, entry }| (key, entry.into())).collect())
            }
            Kind::Grid(Grid { readings }) => Self::Grid(all(readings)),
            Kind::Buckets(Buckets { open, newest }) => {
                Self::Buckets(BucketState { open: all(open), newest: newest.map(Into::into) })
            }
            Kind::Result(result) => Self::Results(result.try_into()?),
            Kind::Rows(Rows { parts }) => {
                Self::Rows(parts.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
        })
    }
}

pub(super) fn all<From: Into<To>, To>(many: Vec<From>) -> Vec<To> {
    many.into_iter().map(Into::into).collect()
}

impl From<Provenance> for Origin {
    fn from(Provenance { incarnation, partition, offset, element }: Provenance) -> Self {
        Self { incarnation, partition, offset: offset.0, element }
    }
}

impl From<Origin> for Provenance {
    fn from(Origin { incarnation, partition, offset, element }: Origin) -> Self {
        Self { incarnation, partition, offset: Offset(offset), element }
    }
}

impl From<EntryState> for Entry {
    fn from(EntryState { time, origin, json }: EntryState) -> Self {
        Self { time: time.0, origin: origin.into(), json }
    }
}

impl From<Entry> for EntryState {
    fn from(Entry { time, origin, json }: Entry) -> Self {
        Self { time: Millis(time), origin: origin.into(), json }
    }
}

impl From<(i64, Vec<EntryState>)> for Bucket {
    fn from((number, readings): (i64, Vec<EntryState>)) -> Self {
        Self { number, readings: all(readings), live: false, every_ms: None }
    }
}

impl From<OpenBucketState> for Bucket {
    fn from(OpenBucketState { number, live, readings }: OpenBucketState) -> Self {
        Self { number, readings: all(readings), live, every_ms: None }
    }
}

impl From<Bucket> for OpenBucketState {
    fn from(Bucket { number, readings, live, .. }: Bucket) -> Self {
        Self { number, live, readings: all(readings) }
    }
}

impl From<ClosedBucketState> for Bucket {
    fn from(ClosedBucketState { number, every_ms, readings }: ClosedBucketState) -> Self {
        Self { number, readings: all(readings), live: false, every_ms }
    }
}

impl From<Bucket> for ClosedBucketState {
    fn from(Bucket { number, readings, every_ms, .. }: Bucket) -> Self {
        Self { number, every_ms, readings: all(readings) }
    }
}

impl From<Bucket> for (i64, Vec<EntryState>) {
    fn from(Bucket { number, readings, .. }: Bucket) -> Self {
        (number, all(readings))
    }
}

impl From<GridReadingState> for GridReading {
    fn from(GridReadingState { time, origin, cells, totals }: GridReadingState) -> Self {
        Self { time: time.0, origin: origin.into(), cells: all(cells), totals }
    }
}

impl From<GridReading> for GridReadingState {
    fn from(GridReading { time, origin, cells, totals }: GridReading) -> Self {
        Self { time: Millis(time), origin: origin.into(), cells: all(cells), totals }
    }
}

impl From<GridCellState> for GridCell {
    fn from(GridCellState { series, index, values }: GridCellState) -> Self {
        Self { series, index, values }
    }
}

impl From<GridCell> for GridCellState {
    fn from(GridCell { series, index, values }: GridCell) -> Self {
        Self { series, index, values }
    }
}

impl From<ResultState> for ModuleResult {
    fn from(ResultState { time, hash, origin, lineage, json }: ResultState) -> Self {
        let lineage = lineage.into_iter().map(|range| Lineage {
            topic: range.topic.to_string(),
            partition: range.partition,
            from_offset: range.from_offset,
            to_offset: range.to_offset,
            incarnation: range.incarnation,
        });
        let hash = hash.map(|hash| bytes(hash.0));
        Self { time: time.0, hash, origin: origin.map(Into::into), lineage: lineage.collect(), json }
    }
}

impl TryFrom<ModuleResult> for ResultState {
    type Error = Malformed;

    fn try_from(result: ModuleResult) -> Result<Self, Malformed> {
        let lineage = result.lineage.into_iter().map(|range| LineageRange {
            topic: range.topic.into(),
            partition: range.partition,
            from_offset: range.from_offset,
            to_offset: range.to_offset,
            incarnation: range.incarnation,
        });
        Ok(Self {
            time: Millis(result.time),
            hash: hash(result.hash)?,
            origin: result.origin.map(Into::into),
            lineage: lineage.collect(),
            json: result.json,
        })
    }
}
