//! The kinds of windows, each with a topic of the station fleet that wants it and messages as that topic carries them.

use std::fmt;

use quorate_core::ident::Millis;
use quorate_core::plan::{
    BucketPlan, Column, Fill, GridPlan, OnNull, Pad, Pointer, RecordsPointer, RowsPlan, Scope, Steps, TimeField,
    TopicPlan, WallClock, WindowPlan,
};

use crate::messages;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Hours that one message with guns has for each station: a week.
const HOURS_SENT: i64 = 168;

/// Hours that a grid keeps: four weeks.
const HOURS_KEPT: usize = 672;

/// Power modules are reported for so many hosts of a station.
const HOSTS: u64 = 5;

/// How much is measured at a time.
pub struct Sizes {
    /// Stations that share a batch.
    stations: u64,
    /// Stations that share one message with hours of guns.
    guns_stations: u64,
    /// Records of one batch; where one record holds many stations, it is one.
    records: u64,
    /// Rows that are kept as text, and in columns.
    texts: usize,
    columns: usize,
    /// Rows of the one window that is large: a week of seconds.
    week: usize,
}

impl Sizes {
    /// What the figures are of.
    pub const MEASURED: Self =
        Self { stations: 100, guns_stations: 10, records: 500, texts: 600, columns: 3_600, week: 604_800 };
    /// Enough to see every benchmark work.
    pub const TRIED: Self = Self { stations: 4, guns_stations: 1, records: 20, texts: 10, columns: 20, week: 40 };
}

/// A topic with its window, and what arrives on it.
pub struct Kind {
    pub name: String,
    pub topic: TopicPlan,
    /// The message of this number, written at this moment.
    pub message: Box<dyn Fn(u64, Millis) -> String>,
    /// Stations that one batch names.
    pub stations: u64,
    /// Records of one batch.
    pub records: u64,
    /// The time from one batch to the next.
    pub pace_ms: i64,
    /// How many batches fill the window, and the milliseconds from one of them to the next.
    pub fill: (u64, i64),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// One of each kind.
pub fn all(sizes: &Sizes) -> Vec<Kind> {
    vec![latest(sizes), per_key(sizes), texts(sizes), columns(sizes), grid(sizes), bucket(sizes), results(sizes)]
}

/// The newest charging order.
fn latest(sizes: &Sizes) -> Kind {
    let message = |station, serial, _| messages::order(station, serial);
    of_stations(sizes, "latest".to_owned(), topic("SCHEDULE-CAR-ORDER", WindowPlan::Latest), message)
}

/// The power modules of each host.
fn per_key(sizes: &Sizes) -> Kind {
    let window = WindowPlan::PerKey { key: pointer("/hostCode"), expire_ms: Some(10 * MINUTE_MS) };
    let stations = sizes.stations;
    let message = move |station, serial, _| messages::power_modules(station, serial / stations % HOSTS, serial);
    of_stations(sizes, "per_key".to_owned(), topic("SCHEDULE-DEVICE-HOST-DCDC", window), message)
}

/// The last charging orders as they are.
fn texts(sizes: &Sizes) -> Kind {
    let window = rows(sizes.texts, None);
    let name = format!("rows, {} texts", sizes.texts);
    let message = |station, serial, _| messages::order(station, serial);
    filled(of_stations(sizes, name, topic("SCHEDULE-CAR-ORDER", window), message), sizes.texts)
}

/// The last rows of a meter, column by column.
fn columns(sizes: &Sizes) -> Kind {
    filled(meters(sizes, sizes.columns), sizes.columns)
}

/// The same for one station with a row for every second of a week.
pub fn week(sizes: &Sizes) -> Kind {
    let one = Sizes { stations: 1, ..*sizes };
    filled(meters(&one, sizes.week), sizes.week)
}

fn meters(sizes: &Sizes, size: usize) -> Kind {
    let wanted = ["/meterPower", "/rmeterLimitPower", "/meterVoltage", "/meterElectric"];
    let window = rows(size, Some(wanted.map(column).into()));
    let name = format!("rows, {size} × 4 columns");
    let message = |station, serial, _| messages::meter(station, serial);
    of_stations(sizes, name, topic("SCHEDULE-DEVICE-METER", window), message)
}

/// Four weeks of hours for each gun. Every message has the hours of a week again.
fn grid(sizes: &Sizes) -> Kind {
    let time = TimeField::new(pointer("/sendTime"), "%Y-%m-%d %H:%M:%S", "Asia/Shanghai").expect("a time field");
    let clock = time.clock().clone();
    let window = WindowPlan::Grid(GridPlan {
        steps: Steps::new(HOUR_MS, clock.clone()).expect("steps"),
        len: HOURS_KEPT,
        fill: Fill::Linear,
        max_gap_ms: Some(3 * HOUR_MS),
        series: vec![pointer("/hostCode"), pointer("/gunPower/gunNo")],
        values: ["/gunPower/outputPowerPerGunAvg", "/gunPower/outputPowerPerGunMax"].map(column).into(),
        totals: vec![column("/outputPowerPerStationAvg")],
    });
    let topic = TopicPlan {
        records: vec![records("/realTimeData/*")],
        time: Some(time),
        ..topic("SCHEDULE-STATION-REALTIME-DATA", window)
    };
    let stations = sizes.guns_stations;
    let message = move |serial, at| messages::hours_of_guns(stations, &hours_before(&clock, at), serial);
    Kind {
        name: format!("grid, {HOURS_KEPT} h × {} guns", messages::GUNS),
        topic,
        message: Box::new(message),
        stations,
        records: 1,
        pace_ms: HOUR_MS,
        fill: (4, HOURS_SENT * HOUR_MS),
    }
}

/// The charging orders of a second.
fn bucket(sizes: &Sizes) -> Kind {
    let window = WindowPlan::Bucket(BucketPlan { every_ms: SECOND_MS, close_after_ms: Some(SECOND_MS) });
    let message = |station, serial, _| messages::order(station, serial);
    of_stations(sizes, "bucket".to_owned(), topic("SCHEDULE-CAR-ORDER", window), message)
}

/// The newest result of a module that runs elsewhere.
fn results(sizes: &Sizes) -> Kind {
    let topic = TopicPlan {
        records: vec![records("/results/*"), records("")],
        scope: Scope::Station(pointer("/station_id")),
        ..topic("MODULE-OUTPUT-LOAD-PREDICTION", WindowPlan::Results)
    };
    let message = |station, serial, at: Millis| messages::result(station, serial, at.0);
    of_stations(sizes, "results".to_owned(), topic, message)
}

/// A batch a second, a reading in each record, one station after the other. A message is told its station, its number
/// and its moment.
fn of_stations(
    sizes: &Sizes,
    name: String,
    topic: TopicPlan,
    message: impl Fn(u64, u64, Millis) -> String + 'static,
) -> Kind {
    let stations = sizes.stations;
    let message = move |serial: u64, at: Millis| message(serial % stations, serial, at);
    Kind {
        name,
        topic,
        message: Box::new(message),
        stations,
        records: sizes.records,
        pace_ms: SECOND_MS,
        fill: (2, SECOND_MS),
    }
}

/// The same with as many batches as it takes to fill windows of `rows` rows.
fn filled(kind: Kind, rows: usize) -> Kind {
    let each = kind.records / kind.stations;
    Kind { fill: ((rows as u64).div_ceil(each), kind.pace_ms), ..kind }
}

/// The hours up to the one of `at`, as the fleet writes them.
fn hours_before(clock: &WallClock, at: Millis) -> Vec<Box<str>> {
    let newest = at.0.div_euclid(HOUR_MS);
    let hours = newest - HOURS_SENT + 1..=newest;
    hours.map(|hour| clock.print(Millis(hour * HOUR_MS)).expect("a year of four digits")).collect()
}

fn topic(name: &str, window: WindowPlan) -> TopicPlan {
    TopicPlan {
        name: name.into(),
        records: vec![records("")],
        scope: Scope::Station(pointer("/stationId")),
        time: None,
        fields: None,
        on_null: OnNull::DeadLetter,
        window,
        expect_ms: None,
    }
}

fn rows(size: usize, columns: Option<Vec<Column>>) -> WindowPlan {
    WindowPlan::Rows(RowsPlan { size, span_ms: None, columns, pad: Pad::None })
}

fn column(at: &str) -> Column {
    let at = pointer(at);
    let name = at.name().expect("a column has a name").into();
    Column { at, name }
}

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).expect("a pointer")
}

fn records(text: &str) -> RecordsPointer {
    RecordsPointer::parse(text).expect("a pointer")
}
