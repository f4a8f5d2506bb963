//! The acceptance cases of the station domain, table C: hourly power per gun on a grid. Beside the rows stand the
//! grid rules of the replay contract that no row covers: order of series, totals, `max_gap`, zones.

mod support;

use quorate_core::plan::Fill;
use serde_json::{Value, json};
use support::fleet::{PARAM, REALTIME, guns, hour, hours, param, realtime, with_station_average};
use support::scenario::{Scenario, value_after};
use support::within::{assert_lines, assert_within};
use support::{DAY, Grid, HOUR, MINUTE, T0, Topic, module, plan, probe_of, topic};

const STATION: &str = "1881540927845654529";
const HOST: &str = "52000000000088";
const AVG: &str = "outputPowerPerGunAvg";
const MAX: &str = "outputPowerPerGunMax";
const TOTAL: &str = "outputPowerPerStationAvg";

/// The three hours of the table.
fn morning() -> [Value; 3] {
    [
        at_nine(),
        hour(STATION, HOST, "2025-11-04 10:00:00", &[("02", 44.17, 79.2), ("01", 2.27, 196.8)]),
        hour(STATION, HOST, "2025-11-04 11:00:00", &[("01", 56.42, 60.1), ("05", 45.8, 50.2), ("03", 12.5, 15.0)]),
    ]
}

fn at_nine() -> Value {
    hour(STATION, HOST, "2025-11-04 09:00:00", &[("01", 2.73, 7.0), ("05", 34.29, 100.8), ("02", 88.48, 135.2)])
}

/// The grid after one message with these rows.
fn grid_of(topic: Topic, rows: &[Value]) -> Value {
    value_after(probe_of(vec![topic]), &[(T0, hours(rows))])
}

fn gun_numbers(grid: &Value) -> Vec<&str> {
    let series = grid["series"].as_array().expect("series");
    series.iter().map(|series| series[1].as_str().expect("gun")).collect()
}

/// The last `count` rows of a column.
fn tail(grid: &Value, column: &str, count: usize) -> Value {
    let rows = grid[column].as_array().expect("column");
    json!(rows[rows.len() - count..])
}

#[test]
fn row_c1_a_week_of_hours_is_zero_filled() {
    let grid = grid_of(realtime(Fill::Zero, 168), &morning());
    let times = grid["time"].as_array().expect("time");
    assert_eq!(
        (times.len(), &times[0], &times[167]),
        (168, &json!("2025-10-28 12:00:00"), &json!("2025-11-04 11:00:00"))
    );
    assert_eq!(gun_numbers(&grid), ["01", "05", "02", "03"]);
    let want =
        json!([[0.0, 0.0, 0.0, 0.0], [2.73, 34.29, 88.48, 0.0], [2.27, 0.0, 44.17, 0.0], [56.42, 45.8, 0.0, 12.5]]);
    assert_eq!(tail(&grid, AVG, 4), want);
    assert_eq!(
        tail(&grid, MAX, 3),
        json!([[7.0, 100.8, 135.2, 0.0], [196.8, 0.0, 79.2, 0.0], [60.1, 50.2, 0.0, 15.0]])
    );
    let rows = grid[AVG].as_array().expect("rows");
    assert!(rows.len() == 168 && rows.iter().all(|row| row.as_array().expect("row").len() == 4));
}

#[test]
fn row_c2_linear_fill_interpolates_and_repeats_the_nearest_at_the_ends() {
    let grid = grid_of(realtime(Fill::Linear, 3), &morning());
    let avg = json!([[2.73, 34.29, 88.48, 12.5], [2.27, 40.045, 44.17, 12.5], [56.42, 45.8, 44.17, 12.5]]);
    let max = json!([[7.0, 100.8, 135.2, 15.0], [196.8, 75.5, 79.2, 15.0], [60.1, 50.2, 79.2, 15.0]]);
    assert_within(&avg, &grid[AVG]);
    assert_within(&max, &grid[MAX]);
}

#[test]
fn row_c3_station_averages_are_as_long_as_the_hours() {
    let [nine, _, eleven] = morning();
    let rows = [with_station_average(nine, 15.0), with_station_average(eleven, 27.5)];
    let grid = grid_of(realtime(Fill::Zero, 168), &rows);
    assert_eq!(grid[TOTAL].as_array().expect("total").len(), 168);
    assert_eq!(tail(&grid, TOTAL, 3), json!([15.0, 0.0, 27.5]));
    assert_eq!(tail(&grid, AVG, 2)[0], json!([0.0, 0.0, 0.0, 0.0]));
    assert_eq!(grid["observed"][TOTAL], 2);
}

#[test]
fn row_c4_a_second_past_the_hour_belongs_to_the_hour() {
    let late = hour(STATION, HOST, "2025-11-04 09:00:01", &[("02", 88.48, 135.2)]);
    let [_, ten, _] = morning();
    let grid = grid_of(realtime(Fill::Zero, 2), &[late, ten]);
    assert_eq!(grid["time"], json!(["2025-11-04 09:00:00", "2025-11-04 10:00:00"]));
    assert_eq!(gun_numbers(&grid), ["02", "01"]);
    assert_eq!(grid[AVG], json!([[88.48, 0.0], [44.17, 2.27]]));
}

#[test]
fn row_c5_guns_of_two_hosts_stand_apart() {
    let other = hour(STATION, "52000000000099", "2025-11-04 09:00:00", &[("11", 5.0, 6.0), ("01", 7.0, 8.0)]);
    let grid = grid_of(realtime(Fill::Zero, 1), &[at_nine(), other]);
    let (a, b) = (HOST, "52000000000099");
    assert_eq!(grid["series"], json!([[a, "01"], [a, "05"], [a, "02"], [b, "11"], [b, "01"]]));
    assert_eq!(grid[AVG], json!([[2.73, 34.29, 88.48, 5.0, 7.0]]));
}

#[test]
fn row_c6_a_later_message_replaces_only_what_it_carries() {
    let noon = hour(STATION, HOST, "2025-11-04 12:00:00", &[("01", 9.0, 10.0)]);
    let correction = hour(STATION, HOST, "2025-11-04 10:00:00", &[("01", 3.0, 4.0)]);
    let records = [(T0, hours(&morning())), (T0 + 1, hours(&[noon])), (T0 + 2, hours(&[correction]))];
    let grid = value_after(probe_of(vec![realtime(Fill::Missing, 4)]), &records);
    assert_eq!(gun_numbers(&grid), ["01", "05", "02", "03"]);
    let want = json!([
        [2.73, 34.29, 88.48, null],
        [3.0, null, 44.17, null],
        [56.42, 45.8, null, 12.5],
        [9.0, null, null, null]
    ]);
    assert_eq!(grid[AVG], want);
}

#[test]
fn row_c7_and_c8_a_time_in_another_format_or_none_is_a_dead_letter() {
    let slashes = hour(STATION, HOST, "2025/11/04 09:00", &[("01", 1.0, 1.0)]);
    let mut timeless = at_nine();
    timeless.as_object_mut().expect("object").remove("sendTime");
    let mut scenario = Scenario::new(probe_of(vec![realtime(Fill::Zero, 4)]));
    scenario.send(REALTIME, T0, hours(&[slashes, timeless, at_nine()]));
    let gone = |element: usize| json!({"event": "dead_letter", "reason": "bad_time", "element": element});
    assert_lines(&[gone(0), gone(1), json!({"event": "input", "station": STATION})], &scenario.finish());
}

#[test]
fn row_c9_an_hour_without_guns_still_has_a_row_of_guns() {
    let [nine, _, eleven] = morning();
    let no_guns = with_station_average(hour(STATION, HOST, "2025-11-04 10:00:00", &[]), 20.0);
    let grid = grid_of(realtime(Fill::Zero, 3), &[nine, no_guns, eleven]);
    assert_eq!(grid[AVG], json!([[2.73, 34.29, 88.48, 0.0], [0.0, 0.0, 0.0, 0.0], [56.42, 45.8, 0.0, 12.5]]));
    assert_eq!(grid[TOTAL], json!([0.0, 20.0, 0.0]));
}

/// The contract overrides the table here: a reading without a value at a `series` pointer cannot be placed.
#[test]
fn row_c9_a_reading_without_its_series_is_a_dead_letter() {
    let bare = json!({"stationId": STATION, "hostCode": HOST, "sendTime": "2025-11-04 10:00:00", "outputPowerPerStationAvg": 20.0});
    let mut scenario = Scenario::new(probe_of(vec![realtime(Fill::Zero, 3)]));
    scenario.send(REALTIME, T0, hours(&[bare]));
    assert_lines(&[json!({"event": "dead_letter", "reason": "wrong_shape", "element": 0})], &scenario.finish());
}

#[test]
fn row_c10_an_object_where_a_list_belongs_is_rejected() {
    let mut scenario = Scenario::new(probe_of(vec![realtime(Fill::Zero, 4)]));
    scenario.send(REALTIME, T0, json!({"realTimeData": {"a": at_nine()}}));
    assert_lines(&[json!({"event": "dead_letter", "reason": "wrong_shape", "element": null})], &scenario.finish());
}

#[test]
fn row_c11_the_union_of_guns_stands_in_every_row() {
    let rows = [
        hour("S", "H", "2025-11-04 09:00:00", &[("01", 10.0, 20.0), ("02", 20.0, 40.0)]),
        hour("S", "H", "2025-11-04 10:00:00", &[("02", 25.0, 50.0), ("03", 35.0, 70.0)]),
        hour("S", "H", "2025-11-04 11:00:00", &[("01", 15.0, 30.0), ("03", 40.0, 80.0)]),
    ];
    let grid = grid_of(realtime(Fill::Zero, 3), &rows);
    assert_eq!(gun_numbers(&grid), ["01", "02", "03"]);
    assert_eq!(grid[AVG], json!([[10.0, 20.0, 0.0], [0.0, 25.0, 35.0], [15.0, 0.0, 40.0]]));
}

#[test]
fn row_c12_a_station_without_hours_has_no_grid() {
    let probe = module("probe").requires(&[PARAM]).optional(&[REALTIME]);
    let mut scenario = Scenario::new(plan(vec![param(), realtime(Fill::Zero, 4)], vec![probe]));
    scenario.send(PARAM, T0, json!([{"stationId": "S"}]));
    assert_eq!(
        scenario.input()["inputs"][REALTIME],
        json!({"status": "missing", "age_ms": null, "time": null, "value": null})
    );
}

#[test]
fn series_stand_by_oldest_step_then_reading_then_place_and_leave_with_their_last_value() {
    let rows = [
        hour("S", "H", "2025-11-04 10:00:00", &[("d", 1.0, 1.0), ("a", 1.0, 1.0)]),
        hour("S", "G", "2025-11-04 09:00:00", &[("c", 1.0, 1.0)]),
        hour("S", "H", "2025-11-04 09:00:00", &[("b", 1.0, 1.0), ("a", 1.0, 1.0)]),
    ];
    let grid = grid_of(realtime(Fill::Zero, 2), &rows);
    assert_eq!(grid["series"], json!([["G", "c"], ["H", "b"], ["H", "a"], ["H", "d"]]));
    let next = hour("S", "H", "2025-11-04 11:00:00", &[]);
    let grid = value_after(probe_of(vec![realtime(Fill::Zero, 2)]), &[(T0, hours(&rows)), (T0 + 1, hours(&[next]))]);
    assert_eq!(grid["series"], json!([["H", "d"], ["H", "a"]]));
    assert_eq!(grid["time"], json!(["2025-11-04 10:00:00", "2025-11-04 11:00:00"]));
}

#[test]
fn a_null_is_no_observation_and_erases_none() {
    let mut nulls = at_nine();
    nulls["gunPower"][AVG] = json!([null, null, 1.5]);
    nulls["gunPower"][MAX] = Value::Null;
    let records = [(T0, hours(&[at_nine()])), (T0 + 1, hours(&[nulls]))];
    let grid = value_after(probe_of(vec![realtime(Fill::Missing, 1)]), &records);
    assert_eq!((&grid[AVG], &grid[MAX]), (&json!([[2.73, 34.29, 1.5]]), &json!([[7.0, 100.8, 135.2]])));
    assert_eq!(grid["observed"], json!({AVG: 3, MAX: 3, TOTAL: 0}));
}

#[test]
fn a_total_never_observed_is_null_under_every_fill_but_zero() {
    for (fill, want) in [
        (Fill::Zero, json!([0.0, 0.0])),
        (Fill::Missing, json!([null, null])),
        (Fill::Forward, json!([null, null])),
        (Fill::Linear, json!([null, null])),
    ] {
        assert_eq!(grid_of(realtime(fill, 2), &[at_nine()])[TOTAL], want, "{fill:?}");
    }
}

#[test]
fn nothing_further_than_max_gap_from_an_observation_is_filled() {
    let gapped = |fill| realtime(fill, 8).grid(Grid { max_gap_ms: Some(2 * HOUR), ..guns(fill, 8) });
    let at = |time: &str, value: f64| with_station_average(hour("S", "H", time, &[("01", value, value)]), value);
    let rows = [at("2025-11-04 03:00:00", 1.0), at("2025-11-04 05:00:00", 3.0), at("2025-11-04 08:00:00", 6.0)];
    // The steps are 01:00 to 08:00 once the eighth hour is the newest.
    for (fill, want) in [
        (Fill::Linear, json!([1.0, 1.0, 1.0, 2.0, 3.0, null, null, 6.0])),
        (Fill::Forward, json!([1.0, 1.0, 1.0, 1.0, 3.0, null, null, 6.0])),
        (Fill::Zero, json!([0.0, 0.0, 1.0, 0.0, 3.0, null, null, 6.0])),
        (Fill::Missing, json!([null, null, 1.0, null, 3.0, null, null, 6.0])),
    ] {
        assert_eq!(grid_of(gapped(fill), &rows)[TOTAL], want, "{fill:?}");
    }
    // After the last observation too: the grid moves on without one.
    let silent = hour("S", "H", "2025-11-04 11:00:00", &[]);
    let grid = grid_of(gapped(Fill::Forward), &[at("2025-11-04 08:00:00", 6.0), silent]);
    assert_eq!(tail(&grid, TOTAL, 4), json!([6.0, 6.0, 6.0, null]));
    assert_eq!(tail(&grid, AVG, 4), json!([[6.0], [6.0], [6.0], [null]]));
}

#[test]
fn linear_fill_between_the_largest_numbers_stays_a_number() {
    let at = |time: &str, value: f64| with_station_average(hour("S", "H", time, &[]), value);
    let rows = [at("2025-11-04 09:00:00", -1.7e308), at("2025-11-04 11:00:00", 1.7e308)];
    let grid = grid_of(realtime(Fill::Linear, 3), &rows);
    assert_eq!(grid[TOTAL], json!([-1.7e308, 0.0, 1.7e308]));
}

#[test]
fn an_older_reading_of_the_same_place_changes_nothing_and_one_before_the_span_neither() {
    let mut scenario = Scenario::new(probe_of(vec![realtime(Fill::Zero, 2)]));
    let at = |time: &str, value: f64| hours(&[hour("S", "H", time, &[("01", value, value)])]);
    scenario.send(REALTIME, T0, at("2025-11-04 10:00:05", 1.0));
    assert_eq!(scenario.inputs().len(), 1);
    scenario.send(REALTIME, T0, at("2025-11-04 10:00:04", 2.0)).send(REALTIME, T0, at("2025-11-04 08:59:59", 3.0));
    assert_eq!(scenario.inputs(), Vec::<Value>::new());
    scenario.send(REALTIME, T0, at("2025-11-04 10:00:05", 4.0));
    assert_eq!(scenario.input()["inputs"][REALTIME]["value"][AVG], json!([[0.0], [4.0]]));
}

#[test]
fn steps_begin_on_the_local_hour_in_every_zone() {
    for (zone, time, start) in [
        ("Asia/Kolkata", "2025-11-04 09:42:00", "2025-11-04 09:00:00"),
        ("Asia/Kathmandu", "2025-11-04 09:42:00", "2025-11-04 09:00:00"),
        ("Asia/Colombo", "2025-11-04 09:42:00", "2025-11-04 09:00:00"),
        ("Australia/Eucla", "2025-11-04 09:42:00", "2025-11-04 09:00:00"),
        ("America/St_Johns", "2025-07-04 09:42:00", "2025-07-04 09:00:00"),
    ] {
        let grid = grid_of(realtime(Fill::Zero, 1).local_time("/sendTime", zone), &[hour("S", "H", time, &[])]);
        assert_eq!(grid["time"], json!([start]), "{zone}");
    }
}

#[test]
fn hours_lie_one_real_hour_apart_when_the_clocks_go_back_and_an_ambiguous_time_is_the_earlier() {
    let berlin = |hours| realtime(Fill::Zero, hours).local_time("/sendTime", "Europe/Berlin");
    let grid = grid_of(berlin(4), &[hour("S", "H", "2025-10-26 03:10:00", &[])]);
    let want = json!(["2025-10-26 01:00:00", "2025-10-26 02:00:00", "2025-10-26 02:00:00", "2025-10-26 03:00:00"]);
    assert_eq!(grid["time"], want);
    let rows = [hour("S", "H", "2025-10-26 02:30:00", &[("01", 1.0, 1.0)]), hour("S", "H", "2025-10-26 03:10:00", &[])];
    assert_eq!(grid_of(berlin(4), &rows)[AVG], json!([[0.0], [1.0], [0.0], [0.0]]));
}

#[test]
fn a_local_time_that_does_not_exist_is_a_bad_time() {
    let berlin = realtime(Fill::Zero, 4).local_time("/sendTime", "Europe/Berlin");
    let mut scenario = Scenario::new(probe_of(vec![berlin]));
    scenario.send(REALTIME, T0, hours(&[hour("S", "H", "2025-03-30 02:30:00", &[])]));
    assert_lines(&[json!({"event": "dead_letter", "reason": "bad_time", "element": 0})], &scenario.finish());
}

#[test]
fn days_follow_local_midnight_through_a_day_of_25_hours() {
    let berlin = realtime(Fill::Zero, 3).local_time("/sendTime", "Europe/Berlin");
    let days = berlin.grid(Grid { step_ms: DAY, ..guns(Fill::Zero, 3) });
    let at = |time: &str, value: f64| with_station_average(hour("S", "H", time, &[]), value);
    let rows = [
        at("2025-10-25 23:59:59", 1.0),
        at("2025-10-26 00:00:00", 2.0),
        at("2025-10-26 23:59:59", 3.0),
        at("2025-10-27 00:00:00", 4.0),
    ];
    let grid = grid_of(days, &rows);
    assert_eq!(grid["time"], json!(["2025-10-25 00:00:00", "2025-10-26 00:00:00", "2025-10-27 00:00:00"]));
    assert_eq!(grid[TOTAL], json!([1.0, 3.0, 4.0]));
    assert_eq!(grid["step_ms"], DAY);
}

#[test]
fn a_reading_without_series_pointers_is_one_series_of_its_own() {
    let meter = topic("METER").grid(Grid {
        step_ms: MINUTE,
        steps: 2,
        fill: Fill::Missing,
        max_gap_ms: None,
        series: vec![],
        values: vec!["/power"],
        totals: vec![],
    });
    let at = |power: i64| json!({"stationId": "S", "power": power});
    let grid = value_after(probe_of(vec![meter]), &[(T0, at(1)), (T0 + MINUTE, at(2))]);
    assert_eq!((&grid["series"], &grid["power"]), (&json!([[]]), &json!([[1.0], [2.0]])));
}

#[test]
fn age_and_time_are_those_of_the_newest_reading() {
    let mut scenario = Scenario::new(probe_of(vec![realtime(Fill::Zero, 4)]));
    scenario.send(REALTIME, T0, hours(&morning()));
    let input = scenario.input();
    let newest = T0 - 5 * MINUTE;
    assert_within(&json!({"status": "fresh", "age_ms": 5 * MINUTE, "time": newest}), &input["inputs"][REALTIME]);
    assert_eq!(input["lineage"], json!([{"topic": REALTIME, "partition": 0, "from_offset": 0, "to_offset": 0}]));
}
