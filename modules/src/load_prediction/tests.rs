//! `load_prediction` as the service calls it: grid in, JSON out, on a synthetic fleet.

use jiff::civil::{Date, date};
use quorate_core::contract::{ModuleInput, Value};
use serde_json::Value as Json;

use super::history::Hour;
use super::*;
use crate::testing::{InputBuilder, call, column, hourly_grid, reading};

const WEEK: usize = 168;
const GUNS: [&str; 3] = ["01", "02", "05"];
/// When [`fleet::FIRST`] begins in Shanghai, eight hours before UTC.
const FIRST: Millis = Millis(1_756_656_000_000);

/// Stations the model's settings were not chosen on; those were 1 to 10.
const HELD_BACK_STATIONS: std::ops::RangeInclusive<u64> = 101..=108;

/// Two holidays inside the first four weeks, two in the days held back after them.
const HOLIDAYS: [Date; 4] = [date(2025, 9, 10), date(2025, 9, 26), date(2025, 10, 1), date(2025, 10, 2)];

fn days(holidays: &[Date]) -> DayTypes {
    DayTypes::parse(&Reading::from_json(fleet::calendar(60, holidays).as_str().into())).expect("read")
}

/// `hours` of a station as a grid that begins with hour `from` of the fleet, the load spread over three guns.
fn grid(hours: &[Hour], from: usize) -> Value {
    let guns: Vec<f64> = hours.iter().flat_map(|hour| [0.5 * hour.kw, 0.3 * hour.kw, 0.2 * hour.kw]).collect();
    let start = FIRST.plus(from as i64 * 3_600_000);
    hourly_grid(start, hours.len(), 8, &GUNS, vec![column("outputPowerPerGunAvg", &guns)])
}

fn input(grid: Value, holidays: &[Date], capacity: f64) -> ModuleInput {
    InputBuilder::new("load_prediction")
        .topic(PARAM, Millis(1), reading(&format!(r#"{{"gridCapacity":{capacity:?},"gunNum":3}}"#)))
        .topic(REALTIME, Millis(2), grid)
        .topic(CALENDAR, Millis(3), reading(&fleet::calendar(60, holidays)))
        .build()
}

fn result(input: &ModuleInput) -> Json {
    let output = call(&LoadPrediction, input).expect("accepted");
    assert_eq!(output.len(), 1);
    serde_json::from_str(output[0].as_json()).expect("JSON")
}

fn kw(result: &Json) -> Vec<f64> {
    let steps = result["forecast"].as_array().expect("a list");
    steps.iter().map(|step| step["kw"].as_f64().expect("a number")).collect()
}

/// Mean absolute errors, kW.
#[derive(Debug)]
struct Errors {
    /// Over every hour: the model's, the naive forecast's.
    all: [f64; 2],
    /// Over the hours of holidays alone.
    holidays: [f64; 2],
}

/// Errors over the held-back stations and the 14 days after their first four weeks. Each day is forecast from
/// `history` hours with the gaps that `holes` makes, by a model whose calendar names the holidays `told`.
fn errors(history: usize, told: &[Date], holes: impl Fn(&mut [Hour])) -> Errors {
    let days = days(&HOLIDAYS);
    let (mut all, mut holidays) = (Mean::default(), Mean::default());
    for seed in HELD_BACK_STATIONS {
        let truth = fleet::station(seed, 4 * WEEK + 14 * HORIZON, &days);
        for end in (4 * WEEK..truth.len()).step_by(HORIZON) {
            let mut known = truth[end - history..end].to_vec();
            holes(&mut known);
            let predicted = kw(&result(&input(grid(&known, end - history), told, 0.0)));
            for (hour, kw) in truth[end..end + HORIZON].iter().zip(predicted) {
                let naive = naive::forecast(&known, hour).expect("known");
                let found = [(kw - hour.kw).abs(), (naive - hour.kw).abs()];
                all.add(found);
                if HOLIDAYS.contains(&hour.at.date()) {
                    holidays.add(found);
                }
            }
        }
    }
    Errors { all: all.get(), holidays: holidays.get() }
}

#[derive(Default)]
struct Mean {
    sums: [f64; 2],
    count: f64,
}

impl Mean {
    fn add(&mut self, found: [f64; 2]) {
        self.sums = [self.sums[0] + found[0], self.sums[1] + found[1]];
        self.count += 1.0;
    }

    fn get(&self) -> [f64; 2] {
        self.sums.map(|sum| sum / self.count)
    }
}

/// Pins what was measured to 0.1 kW, so that a change for the better or the worse is noticed.
fn assert_measured(found: &Errors, all: [f64; 2], holidays: [f64; 2]) {
    let pairs = found.all.iter().zip(all).chain(found.holidays.iter().zip(holidays));
    assert!(pairs.into_iter().all(|(found, measured)| (found - measured).abs() < 0.1), "{found:.2?}");
}

/// On holidays the model is no better than the naive forecast, which copies the latest free day.
#[test]
fn four_weeks_of_history_forecast_better_than_the_same_hour_last_time() {
    let found = errors(4 * WEEK, &HOLIDAYS, |_| ());
    assert!(found.all[0] < 0.9 * found.all[1], "{found:.2?}");
    assert_measured(&found, [8.08, 9.96], [7.42, 7.49]);
}

#[test]
fn one_week_of_history_forecasts_better_than_the_same_hour_last_time() {
    let found = errors(WEEK, &HOLIDAYS, |_| ());
    assert!(found.all[0] < 0.9 * found.all[1], "{found:.2?}");
    assert_measured(&found, [8.55, 9.96], [6.19, 7.49]);
}

#[test]
fn history_with_gaps_forecasts_better_than_the_same_hour_last_time() {
    let found = errors(4 * WEEK, &HOLIDAYS, |hours| {
        for (from, length) in [(40, 9), (130, 30), (300, 5), (420, 14), (600, 24), (655, 10)] {
            fleet::gap(hours, from, from + length);
        }
    });
    assert!(found.all[0] < 0.9 * found.all[1], "{found:.2?}");
    assert_measured(&found, [7.93, 9.77], [7.29, 7.16]);
}

#[test]
fn knowing_the_holidays_makes_their_forecast_better() {
    let (told, untold) = (errors(4 * WEEK, &HOLIDAYS, |_| ()), errors(4 * WEEK, &[], |_| ()));
    assert!(told.holidays[0] < 0.5 * untold.holidays[0], "{told:.2?} {untold:.2?}");
    assert!(told.all[0] < untold.all[0], "{told:.2?} {untold:.2?}");
}

#[test]
fn the_result_has_24_hours_that_follow_the_newest_one_in_local_time() {
    let history = fleet::station(1, 4 * WEEK, &days(&[]));
    let result = result(&input(grid(&history, 0), &[], 1000.0));
    assert_eq!(result["forecast"].as_array().map(Vec::len), Some(24));
    let first = &result["forecast"][0];
    assert_eq!((&first["time"], &first["day"]), (&"2025-09-29 00:00:00".into(), &"workday".into()));
    assert_eq!(first["start"], FIRST.0 + 672 * 3_600_000);
    assert_eq!(result["forecast"][23]["time"], "2025-09-29 23:00:00");
    assert_eq!((&result["unit"], &result["method"]), (&"kW".into(), &"mstl_weekly".into()));
    assert_eq!((&result["observed_hours"], &result["fitted_hours"]), (&672.into(), &672.into()));
    assert_eq!(
        (&result["capacity_kw"], &result["clipped"], &result["clock"]),
        (&1000.0.into(), &0.into(), &"local".into())
    );
    assert_eq!(result.get("reason"), None);
}

#[test]
fn a_holiday_takes_the_weekend_profile() {
    let monday = date(2025, 9, 29);
    let history = fleet::station(2, 4 * WEEK, &days(&[]));
    let (workday, holiday) =
        (result(&input(grid(&history, 0), &[], 0.0)), result(&input(grid(&history, 0), &[monday], 0.0)));
    assert_eq!(holiday["forecast"][9]["day"], "free");

    let mean = |day: DayType, hour: i8| {
        let same: Vec<f64> = history.iter().filter(|h| h.day == day && h.at.hour() == hour).map(|h| h.kw).collect();
        same.iter().sum::<f64>() / same.len() as f64
    };
    let distance = |result: &Json, day| -> f64 {
        kw(result).iter().zip(0..).map(|(kw, hour)| (kw - mean(day, hour)).abs()).sum::<f64>() / HORIZON as f64
    };
    assert!(distance(&holiday, DayType::Free) < distance(&holiday, DayType::Workday) / 3.0);
    assert!(distance(&workday, DayType::Workday) < distance(&workday, DayType::Free) / 3.0);
}

#[test]
fn too_little_history_is_forecast_naively_and_says_why() {
    let history = fleet::station(3, 51, &days(&[]));
    let result = result(&input(grid(&history, 0), &[], 0.0));
    assert_eq!(result["method"], "seasonal_naive");
    assert_eq!(result["reason"], "51 observed hours, 72 needed");
    assert_eq!((&result["observed_hours"], &result["fitted_hours"]), (&51.into(), &Json::Null));
    let expected: Vec<f64> = history[27..51].iter().map(|hour| to_watts(hour.kw)).collect();
    let predicted = kw(&result);
    assert!(predicted.iter().zip(expected).all(|(kw, expected)| (kw - expected).abs() < 0.002), "{predicted:?}");
}

/// The model computes in single precision, which these loads are beyond.
#[test]
fn a_model_that_cannot_be_fitted_gives_way_to_the_naive_one_and_says_so() {
    let mut history = fleet::station(3, 4 * WEEK, &days(&[]));
    for hour in &mut history {
        hour.kw *= 1e60;
    }
    let result = result(&input(grid(&history, 0), &[], 600.0));
    assert_eq!(result["method"], "seasonal_naive");
    assert_eq!(result["reason"], "ETS: no model found");
    assert!(kw(&result).iter().all(|kw| (0.0..=600.0).contains(kw)));
}

#[test]
fn three_days_are_enough_for_the_daily_season() {
    let history = fleet::station(4, 72, &days(&[]));
    assert_eq!(result(&input(grid(&history, 0), &[], 0.0))["method"], "mstl_daily");
}

#[test]
fn the_forecast_stays_within_the_grid_capacity() {
    let history = fleet::station(5, 4 * WEEK, &days(&[]));
    let free = kw(&result(&input(grid(&history, 0), &[], 0.0)));
    let limit = free.iter().sum::<f64>() / 24.0;
    let limited = result(&input(grid(&history, 0), &[], limit));
    let above = free.iter().filter(|kw| **kw > limit).count();
    assert!(above > 0 && limited["clipped"] == above, "{above} of {}", limited["clipped"]);
    assert!(kw(&limited).iter().zip(&free).all(|(kw, free)| (kw - free.clamp(0.0, limit)).abs() < 0.002));
}

#[test]
fn an_unknown_capacity_limits_nothing() {
    let history = fleet::station(5, WEEK, &days(&[]));
    for param in [r#"{"gridCapacity":0.0}"#, r#"{"gridCapacity":-5}"#, r#"{"gridCapacity":null}"#, r#"{"gunNum":3}"#] {
        let input = InputBuilder::new("load_prediction")
            .topic(REALTIME, Millis(2), grid(&history, 0))
            .topic(PARAM, Millis(1), reading(param))
            .build();
        let result = result(&input);
        assert_eq!((&result["capacity_kw"], &result["clipped"]), (&Json::Null, &0.into()), "{param}");
    }
}

#[test]
fn only_the_realtime_topic_must_be_there() {
    let history = fleet::station(6, WEEK, &days(&[]));
    let alone = InputBuilder::new("load_prediction").topic(REALTIME, Millis(2), grid(&history, 0));
    let others_missing = alone.clone().missing(CALENDAR).missing(PARAM).missing("SCHEDULE-DEVICE-GUN").build();
    assert_eq!(result(&alone.build()), result(&others_missing));

    let without = InputBuilder::new("load_prediction").missing(CALENDAR).build();
    assert!(matches!(call(&LoadPrediction, &without), Err(ModuleError::Rejected(detail)) if detail.contains(REALTIME)));
}

#[test]
fn no_load_at_all_is_rejected() {
    let mut history = fleet::station(7, WEEK, &days(&[]));
    fleet::gap(&mut history, 0, WEEK);
    let error = call(&LoadPrediction, &input(grid(&history, 0), &[], 0.0)).expect_err("nothing known");
    assert_eq!(error, ModuleError::rejected("no hour of the station's load is known"));
}

#[test]
fn an_input_of_another_shape_is_rejected_by_the_name_of_its_topic() {
    let history = fleet::station(8, WEEK, &days(&[]));
    for (topic, wrong) in [(CALENDAR, r#"{"holiday":[]}"#), (PARAM, r#"{"gridCapacity":"600"}"#)] {
        let input = InputBuilder::new("load_prediction")
            .topic(REALTIME, Millis(2), grid(&history, 0))
            .topic(topic, Millis(1), reading(wrong))
            .build();
        let error = call(&LoadPrediction, &input).expect_err("another shape");
        assert!(matches!(&error, ModuleError::Rejected(detail) if detail.starts_with(topic)), "{error}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes_whenever_it_is_asked() {
    let history = fleet::station(9, 4 * WEEK, &days(&[]));
    let builder = InputBuilder::new("load_prediction").topic(REALTIME, Millis(2), grid(&history, 0));
    let (early, late) = (builder.clone().at(Millis(3)).build(), builder.at(Millis(99)).build());
    let first = call(&LoadPrediction, &early).expect("accepted");
    assert_eq!(first, call(&LoadPrediction, &early).expect("accepted"));
    assert_eq!(first, call(&LoadPrediction, &late).expect("accepted"));
}
