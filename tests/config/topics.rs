//! Topics and windows: what they resolve to, and what is refused.

use quorate::config::{self, Loaded, Purpose, Rehydrate};
use quorate_core::plan::{BucketPlan, Fill, OnNull, Pad, Scope, WindowPlan};

use super::{MODULES, advice, bad, good, only};

fn topic(lines: &str) -> String {
    format!(
        "[kafka]\nbootstrap_servers = 'a:1'\n[kafka.consumer]\ngroup_id = 'g'\n[topics.T]\n{lines}\n\
         [modules.probe]\nrequires = ['T']\n"
    )
}

fn replay(lines: &str) -> Result<Loaded, config::Report> {
    config::from_str("config.toml", &topic(lines).replace("probe", "operation_optimization"), Purpose::replay(MODULES))
}

const TIME: &str = "time = { at = '/sendTime', format = '%Y-%m-%d %H:%M:%S', zone = 'Asia/Shanghai' }";
const GRID: &str = "kind = 'grid', step = '1h', series = ['/hostCode', '/gunPower/gunNo'], values = ['/gunPower/outputPowerPerGunAvg']";

#[test]
fn a_topic_has_defaults_for_everything_but_whom_it_belongs_to() {
    let settings = good(&topic("station = '/stationId'")).settings;
    let plan = &settings.plan.topics[0];
    assert!(matches!(plan.window, WindowPlan::Latest) && plan.time.is_none() && plan.fields.is_none());
    assert_eq!((plan.records.len(), plan.on_null), (1, OnNull::DeadLetter));
    assert!(plan.records[0].steps().is_empty());
    let topic = &settings.topics[0];
    assert_eq!((topic.quota, topic.rehydrate, topic.expect_ms), (500, Rehydrate::Beginning, None));
    assert!(topic.provision.is_none());
}

#[test]
fn everything_a_topic_can_say_reaches_the_plan() {
    let lines = "records = ['/photovoltaicMessage/*', '']\nstation = '/stationId'\nexpect = '1h'\nfields = ['/a', '/b/c']\n\
                 on_null = 'ignore'\nrehydrate = 'none'\n\
                 provision = { partitions = 3, replication = 1, retention = '7d', cleanup = 'delete', max_message_bytes = 1048576 }";
    let settings = good(&topic(&format!("{lines}\n{TIME}"))).settings;
    let plan = &settings.plan.topics[0];
    assert!(plan.records[0].is_list() && !plan.records[1].is_list());
    assert!(matches!(&plan.scope, Scope::Station(at) if at.name() == Some("stationId")));
    assert_eq!(plan.fields.as_ref().map(Vec::len), Some(2));
    assert_eq!((plan.on_null, plan.time.is_some()), (OnNull::Ignore, true));
    assert_eq!((settings.topics[0].expect_ms, settings.topics[0].rehydrate), (Some(3_600_000), Rehydrate::None));
    let provision = settings.topics[0].provision.as_ref().expect("provision");
    assert_eq!((provision.partitions, provision.replication), (3, 1));
    let config: Vec<_> = provision.config.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(config, [("cleanup.policy", "delete"), ("max.message.bytes", "1048576"), ("retention.ms", "604800000")]);
}

#[test]
fn windows_that_forget_are_loaded_as_far_back_as_they_reach() {
    for (window, expected) in [
        ("{ kind = 'latest' }".to_owned(), Rehydrate::Beginning),
        ("{ kind = 'per_key', key = '/k' }".to_owned(), Rehydrate::Beginning),
        ("{ kind = 'per_key', key = '/k', expire = '10m' }".to_owned(), Rehydrate::Span { span_ms: 600_000 }),
        (format!("{{ {GRID}, span = '4h' }}"), Rehydrate::Span { span_ms: 14_400_000 }),
        ("{ kind = 'rows', size = 6 }".to_owned(), Rehydrate::Beginning),
        ("{ kind = 'rows', size = 6, span = '1h' }".to_owned(), Rehydrate::Span { span_ms: 3_600_000 }),
        ("{ kind = 'bucket', every = '1s' }".to_owned(), Rehydrate::Span { span_ms: 2000 }),
        ("{ kind = 'bucket', every = '1s', close_after = '0s' }".to_owned(), Rehydrate::Span { span_ms: 2000 }),
        ("{ kind = 'bucket', every = '1s', close_after = '5s' }".to_owned(), Rehydrate::Span { span_ms: 6000 }),
    ] {
        let settings = good(&topic(&format!("station = '/s'\nwindow = {window}"))).settings;
        assert_eq!(settings.topics[0].rehydrate, expected, "{window}");
    }
    only(&bad(&topic("station = '/s'\nrehydrate = 'span'")), "needs a window that reaches back");
}

#[test]
fn a_grid_that_says_nothing_about_gaps_leaves_them_empty() {
    for (fill, expected) in [
        ("", Fill::Missing),
        (", fill = 'zero'", Fill::Zero),
        (", fill = 'missing'", Fill::Missing),
        (", fill = 'forward'", Fill::Forward),
        (", fill = 'linear'", Fill::Linear),
    ] {
        let settings = good(&topic(&format!("station = '/s'\nwindow = {{ {GRID}, span = '4h'{fill} }}"))).settings;
        let WindowPlan::Grid(grid) = &settings.plan.topics[0].window else { panic!("a grid") };
        assert_eq!((grid.fill, grid.len, grid.steps.step_ms()), (expected, 4, 3_600_000));
    }
}

#[test]
fn rows_reach_the_plan_with_their_columns_and_how_they_are_filled_up() {
    for (pad, expected) in [
        ("", Pad::None),
        (", pad = 'none'", Pad::None),
        (", pad = 'zero'", Pad::Zero),
        (", pad = 'missing'", Pad::Missing),
        (", pad = 'forward'", Pad::Forward),
        (", pad = 'linear'", Pad::Linear),
    ] {
        let window = format!("{{ kind = 'rows', size = 6, span = '1h', columns = ['/a/v', '/w']{pad} }}");
        let settings = good(&topic(&format!("station = '/s'\nwindow = {window}"))).settings;
        let WindowPlan::Rows(rows) = &settings.plan.topics[0].window else { panic!("rows") };
        assert_eq!((rows.size, rows.span_ms, rows.pad), (6, Some(3_600_000), expected));
        let names = rows.columns.iter().flatten().map(|column| &*column.name);
        assert_eq!(names.collect::<Vec<_>>(), ["v", "w"]);
    }
    let settings = good(&topic("station = '/s'\nwindow = { kind = 'rows', size = 10_000_000 }")).settings;
    let WindowPlan::Rows(rows) = &settings.plan.topics[0].window else { panic!("rows") };
    assert_eq!((rows.size, rows.span_ms, rows.columns.is_none()), (10_000_000, None, true));
}

#[test]
fn buckets_reach_the_plan_also_for_readings_of_every_station() {
    for (whose, close_after, expected) in [
        ("station = '/s'", "", None),
        ("station = '/s'", ", close_after = '0s'", Some(0)),
        ("scope = 'global'", ", close_after = '5s'", Some(5000)),
    ] {
        let window = format!("{{ kind = 'bucket', every = '1s'{close_after} }}");
        let settings = good(&topic(&format!("{whose}\nwindow = {window}"))).settings;
        let WindowPlan::Bucket(bucket) = settings.plan.topics[0].window else { panic!("a bucket") };
        assert_eq!(bucket, BucketPlan { every_ms: 1000, close_after_ms: expected });
    }
}

/// A window, words of the message, words of the advice.
const REFUSED: &[(&str, &str, &str)] = &[
    ("{ kind = 'latst' }", "unknown value `latst`", "`latest`"),
    ("{ kind = 'latest', key = '/k' }", "unknown key `topics.T.window.key`", "`kind`"),
    ("{ kind = 'per_key' }", "`topics.T.window.key` is missing", "/hostCode"),
    ("{ kind = 'per_key', key = 'k' }", "a JSON Pointer is empty or begins with `/`", "`/k`"),
    ("{ kind = 'grid', span = '4h', values = ['/v'] }", "`topics.T.window.step` is missing", ""),
    ("{ kind = 'grid', step = '1h', values = ['/v'] }", "`topics.T.window.span` is missing", ""),
    ("{ kind = 'grid', step = '1h', span = '90m', values = ['/v'] }", "not a whole number of steps", ""),
    ("{ kind = 'grid', step = '36h', span = '72h', values = ['/v'] }", "must be whole days", ""),
    ("{ kind = 'grid', step = '1ms', span = '1y', values = ['/v'] }", "steps long", "1000000"),
    ("{ kind = 'grid', step = '1h', span = '4h' }", "a grid needs `values` or `totals`", ""),
    (
        "{ kind = 'grid', step = '1h', span = '4h', values = ['/a/v', '/b/v'] }",
        "two pointers of this window end in `v`",
        "",
    ),
    (
        "{ kind = 'grid', step = '1h', span = '4h', values = ['/a/v'], totals = ['/v'] }",
        "two pointers of this window end in `v`",
        "",
    ),
    ("{ kind = 'grid', step = '1h', span = '4h', values = ['/time'] }", "no column can be called `time`", ""),
    ("{ kind = 'grid', step = '1h', span = '4h', values = [''] }", "names no column", ""),
    ("'grid'", "`topics.T.window` must be a table", ""),
    ("{ kind = 'rows' }", "`topics.T.window.size` is missing", "size = 12"),
    ("{ kind = 'rows', size = 0 }", "0 is not between 1 and 10000000", ""),
    ("{ kind = 'rows', size = 10_000_001 }", "10000001 is not between 1 and 10000000", ""),
    ("{ kind = 'rows', size = 6, span = '0s' }", "must be longer than nothing", ""),
    ("{ kind = 'rows', size = 6, pad = 'zero' }", "`pad` needs `columns`", "columns = [\"/pointer\"]"),
    ("{ kind = 'rows', size = 6, pad = 'left', columns = ['/v'] }", "unknown value `left`", "`forward`"),
    ("{ kind = 'rows', size = 6, columns = [] }", "rows without columns show nothing", "whole readings"),
    ("{ kind = 'rows', size = 6, columns = [''] }", "names no column", ""),
    ("{ kind = 'rows', size = 6, columns = ['/a/v', '/b/v'] }", "two pointers of this window end in `v`", "different"),
    ("{ kind = 'rows', size = 6, every = '1s' }", "unknown key `topics.T.window.every`", "`pad`"),
    ("{ kind = 'bucket' }", "`topics.T.window.every` is missing", "every = \"1s\""),
    ("{ kind = 'bucket', every = '0s' }", "must be longer than nothing", ""),
    ("{ kind = 'bucket', every = '1s', close_after = 5 }", "must be a duration", ""),
    ("{ kind = 'bucket', every = '1s', size = 5 }", "unknown key `topics.T.window.size`", ""),
];

#[test]
fn windows_that_cannot_be_kept_are_refused() {
    for (window, message, help) in REFUSED {
        let report = bad(&topic(&format!("station = '/s'\nwindow = {window}")));
        assert_eq!(report.errors(), 1, "{window}\n{report}");
        let found = only(&report, message);
        assert!(found.help.as_deref().unwrap_or_default().contains(help), "{report}");
    }
}

#[test]
fn times_that_cannot_be_read_are_refused() {
    let time = |time: &str| topic(&format!("station = '/s'\ntime = {time}"));
    only(&bad(&time("{ at = '/t', format = '%Y', zone = 'Mars/Base' }")), "unknown time zone `Mars/Base`");
    only(&bad(&time("{ at = '/t', format = '%H:%M' }")), "does not hold a whole date and time");
    let report = bad(&time("{ at = '/t' }"));
    assert!(advice(&report, "`topics.T.time.format` is missing").contains("%Y-%m-%d"));
}

/// Topic tables like those of the acceptance cases.
#[test]
fn the_shapes_of_the_acceptance_cases_load_for_a_replay_without_outputs() {
    let grid = |fill: &str| {
        format!(
            "records = '/realTimeData/*'\nstation = '/stationId'\nexpect = '1h'\n{TIME}\n[topics.T.window]\nkind = 'grid'\n\
             step = '1h'\nspan = '4h'\nfill = '{fill}'\nseries = ['/hostCode', '/gunPower/gunNo']\n\
             values = ['/gunPower/outputPowerPerGunAvg', '/gunPower/outputPowerPerGunMax']\ntotals = ['/outputPowerPerStationAvg']"
        )
    };
    for lines in [
        "records = '/*'\nstation = '/stationId'\nexpect = 'on_change'".to_owned(),
        "scope = 'global'\nexpect = '1y'".to_owned(),
        "records = '/results/*'\nstation = '/station_id'".to_owned(),
        format!("records = '/fee/*'\nstation = '/stationId'\nexpect = '30d'\n{TIME}"),
        "station = '/stationId'\nexpect = '15s'\nwindow = { kind = 'per_key', key = '/storageCode', expire = '10m' }"
            .to_owned(),
        grid("zero"),
        grid("missing"),
        grid("forward"),
        grid("linear"),
        "station = '/stationId'\nwindow = { kind = 'rows', size = 6, columns = ['/meterPower'], pad = 'linear' }"
            .to_owned(),
        "station = '/stationId'\nexpect = '1s'\nwindow = { kind = 'bucket', every = '1s', close_after = '1s' }"
            .to_owned(),
    ] {
        let loaded = replay(&lines).unwrap_or_else(|report| panic!("{report}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
}
