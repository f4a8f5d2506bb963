//! The nine modules of the station service, each with the topics it reads and the modules it depends on, over the topics
//! that the `config.toml` at the root of the repository declares.

use std::collections::BTreeSet;

use quorate::config::{self, Loaded, Purpose};
use quorate_core::plan::{Source, WindowPlan};

use super::{only, warnings};

/// A module, its topics without `SCHEDULE-`, the modules it depends on.
const TABLE: [(&str, &[&str], &[&str]); 9] = [
    ("load_prediction", &["STATION-PARAM", "STATION-REALTIME-DATA", "ENVIRONMENT-CALENDAR"], &[]),
    (
        "operation_optimization",
        &["STATION-PARAM", "CAR-ORDER", "CAR-PRICE", "DEVICE-HOST-DCDC", "DEVICE-STORAGE"],
        &["pv_prediction"],
    ),
    (
        "electricity_price",
        &[
            "STATION-PARAM",
            "STATION-REALTIME-DATA",
            "ENVIRONMENT-CALENDAR",
            "DEVICE-METER",
            "CAR-ORDER",
            "CAR-PRICE",
            "DEVICE-STORAGE",
        ],
        &["pv_prediction", "evaluation_model", "SOH_model"],
    ),
    ("SOH_model", &["STATION-PARAM", "STATION-REALTIME-DATA", "ENVIRONMENT-CALENDAR", "DEVICE-ERROR"], &[]),
    (
        "thermal_management",
        &["STATION-REALTIME-DATA", "CAR-PRICE", "DEVICE-HOST-DCDC", "DEVICE-HOST-ACDC", "DEVICE-STORAGE"],
        &["load_prediction", "operation_optimization"],
    ),
    (
        "evaluation_model",
        &["STATION-REALTIME-DATA", "CAR-ORDER", "CAR-PRICE", "DEVICE-HOST-DCDC", "DEVICE-HOST-ACDC", "DEVICE-STORAGE"],
        &[],
    ),
    ("station_guidance", &["CAR-ORDER"], &["load_prediction", "evaluation_model"]),
    ("pv_prediction", &["DEVICE-PV", "ENVIRONMENT-WEATHER"], &[]),
    ("customer_mining", &[], &[]),
];

fn output_topic(module: &str) -> String {
    format!("MODULE-OUTPUT-{}", module.to_ascii_uppercase().replace('_', "-"))
}

/// What is above the modules in the repository's own configuration.
fn topics() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let text = std::fs::read_to_string(path).expect("config.toml");
    text.split_once("# Modules ---").expect("a heading").0.to_owned()
}

/// The whole table with the modules enabled that `enabled` says.
fn load(enabled: impl Fn(&str) -> bool) -> Result<Loaded, config::Report> {
    let mut text = topics();
    for (name, topics, modules) in TABLE {
        let topics: Vec<_> = topics.iter().map(|topic| format!("SCHEDULE-{topic}")).collect();
        let enabled = enabled(name);
        text.push_str(&format!(
            "[modules.{name}]\nenabled = {enabled}\nrequires = {topics:?}\ndepends_on = {modules:?}\n"
        ));
    }
    let registry = TABLE.map(|(name, ..)| (name, "1"));
    config::from_str("config.toml", &text, Purpose::service(&registry))
}

fn read(loaded: &Loaded) -> BTreeSet<String> {
    loaded.settings.plan.topics.iter().map(|topic| topic.name.to_string()).collect()
}

#[test]
fn row_b14_the_configuration_declares_the_thirteen_sources_and_the_nine_topics_of_results() {
    let parsed: toml::Table = topics().parse().expect("TOML");
    let declared: BTreeSet<String> = parsed["topics"].as_table().expect("tables").keys().cloned().collect();
    assert_eq!(declared.len(), 22);
    for (name, topics, _) in TABLE {
        assert!(declared.contains(&output_topic(name)), "{name}");
        assert!(topics.iter().all(|topic| declared.contains(&format!("SCHEDULE-{topic}"))), "{name}");
    }
}

#[test]
fn row_g12_a_module_alone_reads_its_own_topics_and_the_results_of_those_it_depends_on() {
    let totals = [3, 6, 10, 4, 7, 6, 3, 2];
    for ((name, topics, modules), total) in TABLE.into_iter().zip(totals) {
        let loaded = load(|module| module == name).unwrap_or_else(|report| panic!("{report}"));
        let sources = topics.iter().map(|topic| format!("SCHEDULE-{topic}"));
        let expected: BTreeSet<String> = sources.chain(modules.iter().map(|module| output_topic(module))).collect();
        assert_eq!((read(&loaded), expected.len()), (expected, total), "{name}");
        let plan = &loaded.settings.plan;
        let inputs = plan.modules[0].requires.iter().map(|input| &*input.name);
        let names: Vec<_> = topics.iter().map(|topic| format!("SCHEDULE-{topic}")).collect();
        let expected: Vec<_> = names.iter().map(String::as_str).chain(modules.iter().copied()).collect();
        assert_eq!(inputs.collect::<Vec<_>>(), expected, "{name}");
        for topic in &plan.topics {
            let results = topic.name.starts_with("MODULE-OUTPUT-");
            assert_eq!(matches!(topic.window, WindowPlan::Results), results, "{}", topic.name);
        }
        assert_eq!(warnings(&loaded), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn row_g12_a_module_without_inputs_is_refused() {
    let report = load(|module| module == "customer_mining").expect_err("no inputs");
    only(&report, "module `customer_mining` is enabled but names no inputs");
    assert_eq!(report.errors(), 1, "{report}");
}

#[test]
fn row_b14_together_modules_are_fed_by_exactly_those_they_depend_on_and_stand_behind_them() {
    let loaded = load(|module| module != "customer_mining").unwrap_or_else(|report| panic!("{report}"));
    let plan = &loaded.settings.plan;
    let order: Vec<_> = plan.modules.iter().map(|module| &*module.name).collect();
    let expected = [
        "SOH_model",
        "evaluation_model",
        "load_prediction",
        "pv_prediction",
        "electricity_price",
        "operation_optimization",
        "station_guidance",
        "thermal_management",
    ];
    assert_eq!(order, expected);
    assert!(read(&loaded).iter().all(|topic| topic.starts_with("SCHEDULE-")), "results are handed on");
    for (id, upstream) in plan.modules() {
        let fed = |name: &str| {
            let module = plan.module(plan.module_id(name).expect("enabled"));
            module.inputs().any(|(input, _)| input.source == Source::Module(id))
        };
        for (name, _, modules) in TABLE.iter().filter(|(name, ..)| *name != "customer_mining") {
            assert_eq!(fed(name), modules.contains(&&*upstream.name), "{} feeds {name}", upstream.name);
        }
    }
}
