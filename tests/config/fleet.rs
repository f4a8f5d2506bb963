//! The `config.toml` at the root of the repository.

use quorate::config::{self, ConsumerMode, Purpose, Rehydrate, Sources};
use quorate_core::ident::ModuleId;
use quorate_core::plan::{Fill, Scope, Source, Trigger, WindowPlan};

use super::warnings;

fn fleet(set: &[&str]) -> config::Loaded {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let set = set.iter().map(|argument| (*argument).to_owned()).collect();
    match config::load(Sources { path, env: [], set }, Purpose::service(&quorate_modules::known())) {
        Ok(loaded) => loaded,
        Err(report) => panic!("{report}"),
    }
}

#[test]
fn the_fleet_loads_without_a_warning_and_consumes_what_its_modules_name() {
    let loaded = fleet(&[]);
    assert_eq!(warnings(&loaded), Vec::<&str>::new());
    let settings = loaded.settings;
    assert_eq!(settings.mode, ConsumerMode::Multi);
    let names: Vec<_> = settings.plan.topics.iter().map(|topic| &*topic.name).collect();
    assert_eq!(
        names,
        [
            "SCHEDULE-CAR-ORDER",
            "SCHEDULE-CAR-PRICE",
            "SCHEDULE-DEVICE-GUN",
            "SCHEDULE-DEVICE-HOST-DCDC",
            "SCHEDULE-DEVICE-STORAGE",
            "SCHEDULE-ENVIRONMENT-CALENDAR",
            "SCHEDULE-STATION-PARAM",
            "SCHEDULE-STATION-REALTIME-DATA",
        ]
    );
    assert_eq!(settings.topics.iter().map(|topic| topic.quota).collect::<Vec<_>>(), [300; 8]);
    let module = &settings.plan.modules[0];
    assert_eq!((&*module.name, &*module.version, module.requires.len()), ("load_prediction", "1", 5));
    assert!(matches!(module.trigger, Trigger::Changes { min_interval_ms: 2000, .. }));
    assert_eq!(settings.modules[0].output_topic, "MODULE-OUTPUT-LOAD-PREDICTION");
    assert_eq!(settings.dead_letter_topic, "data-analysis-service-dead-letters");
}

#[test]
fn the_fleets_grid_has_four_weeks_of_hours_and_is_loaded_as_far_back() {
    let settings = fleet(&[]).settings;
    let id = settings.plan.topic_id("SCHEDULE-STATION-REALTIME-DATA").expect("consumed");
    let WindowPlan::Grid(grid) = &settings.plan.topic(id).window else { panic!("a grid") };
    assert_eq!((grid.len, grid.fill, grid.max_gap_ms, grid.series.len()), (672, Fill::Linear, Some(10_800_000), 2));
    let names: Vec<_> = grid.values.iter().chain(&grid.totals).map(|column| &*column.name).collect();
    let totals = ["outputPowerPerStationAvg", "outputPowerPerStationMax"];
    assert_eq!(names, [&["outputPowerPerGunAvg", "outputPowerPerGunMax"][..], &totals].concat());
    assert_eq!(settings.topics[id.ix()].rehydrate, Rehydrate::Span { span_ms: 672 * 3_600_000 });
    let calendar = settings.plan.topic_id("SCHEDULE-ENVIRONMENT-CALENDAR").expect("consumed");
    assert!(matches!(settings.plan.topic(calendar).scope, Scope::Global));
    assert_eq!(settings.topics[calendar.ix()].rehydrate, Rehydrate::Beginning);
}

#[test]
fn all_thirteen_topics_are_consumed_once_the_probe_is_enabled() {
    let loaded = fleet(&["modules.probe.enabled=true"]);
    assert_eq!(warnings(&loaded), Vec::<&str>::new());
    assert_eq!(loaded.settings.consumers.len(), 13);
    assert!(loaded.settings.topics.iter().all(|topic| topic.quota == 200 && topic.provision.is_some()));
    let pv = loaded.settings.plan.topic_id("SCHEDULE-DEVICE-PV").expect("consumed");
    assert_eq!(loaded.settings.plan.topic(pv).records.len(), 2);
}

#[test]
fn the_modules_behind_the_forecast_are_fed_with_it_inside_the_process() {
    let loaded = fleet(&[]);
    assert_eq!(warnings(&loaded), Vec::<&str>::new());
    let plan = &loaded.settings.plan;
    let names: Vec<_> = plan.modules.iter().map(|module| &*module.name).collect();
    assert_eq!(names, ["load_prediction", "operation_optimization", "station_guidance"]);
    let forecast = Source::Module(ModuleId(0));
    let [_, optimization, guidance] = &plan.modules[..] else { panic!("three modules") };
    let fed = optimization.requires.last().expect("inputs");
    assert_eq!((&*fed.name, fed.source, fed.max_age_ms), ("load_prediction", forecast, Some(26 * 3_600_000)));
    let Trigger::Changes { on: Some(on), min_interval_ms: 60_000 } = &optimization.trigger else { panic!("changes") };
    assert!(on.len() == 3 && on[0] == forecast);
    assert_eq!(guidance.requires.last().map(|input| input.source), Some(forecast));
    let rated =
        r#"modules.station_guidance.depends_on=["load_prediction", { module = "evaluation_model", optional = true }]"#;
    let plan = fleet(&[rated]).settings.plan;
    let rating = plan.topic_id("MODULE-OUTPUT-EVALUATION-MODEL").expect("consumed");
    let guidance = plan.module(plan.module_id("station_guidance").expect("enabled"));
    assert_eq!(guidance.optional.last().map(|input| input.source), Some(Source::Topic(rating)));
    assert!(matches!(plan.topic(rating).window, WindowPlan::Results));
}

#[test]
fn the_queue_that_the_fleet_only_describes_is_one_once_it_is_written() {
    let text = include_str!("../../config.toml");
    let (_, rest) = text.split_once("# A queue of tasks").expect("described");
    let (queue, _) = rest.split_once("\n[log]").expect("before the log");
    let written = queue.lines().filter_map(|line| line.strip_prefix("# ")).collect::<Vec<_>>().join("\n");
    let set = ["topics.SCHEDULE-TASK.auto_offset_reset=earliest".to_owned()];
    let text = format!("{text}\n{written}\n");
    let loaded = config::from_str_with("config.toml", &text, &set, Purpose::replay(&quorate_modules::known()));
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(warnings(&loaded), Vec::<&str>::new());
    assert!(loaded.advice.is_empty(), "{}", loaded.advice);
    let settings = loaded.settings;
    let id = settings.plan.module_id("task_worker").expect("enabled");
    let topic = settings.plan.topic_id("SCHEDULE-TASK").expect("consumed");
    assert_eq!(settings.plan.module(id).trigger, Trigger::Each { on: vec![Source::Topic(topic)] });
    assert_eq!(settings.topics[topic.ix()].quota, 1);
    let worker = &settings.modules[id.ix()];
    assert!(worker.once.is_some() && worker.failure.callback.is_some() && worker.concurrency == 1);
}
