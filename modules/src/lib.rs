//! The modules compiled into quorate: one file or folder each, and the one list of them.
//!
//! A module sees [`quorate_core::contract`] and nothing else: not where inputs come from, not where results go. Adding one
//! means writing it next to [`probe`], the shortest to learn from, and naming it in [`all`].

use std::sync::Arc;

use quorate_core::contract::Module;

mod by_topic;
pub mod conformance;
pub mod digest;
pub mod echo;
mod forecast;
mod latest;
pub mod load_prediction;
pub mod operation_optimization;
pub mod probe;
pub mod station_guidance;
mod tariff;
pub mod testing;

/// Every module there is, in the order of their names.
#[must_use]
pub fn all() -> Vec<Arc<dyn Module>> {
    vec![
        Arc::new(digest::Digest),
        Arc::new(echo::Echo),
        Arc::new(load_prediction::LoadPrediction),
        Arc::new(operation_optimization::OperationOptimization),
        Arc::new(probe::Probe),
        Arc::new(station_guidance::StationGuidance),
    ]
}

/// The module that `[modules.NAME]` means; none when there is no such module.
#[must_use]
pub fn by_name(name: &str) -> Option<Arc<dyn Module>> {
    all().into_iter().find(|module| module.name() == name)
}

/// Name and version of every module, in the order of [`all`].
#[must_use]
pub fn known() -> Vec<(&'static str, &'static str)> {
    all().iter().map(|module| (module.name(), module.version())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_unique_and_spelled_as_configuration_spells_them() {
        let names: Vec<_> = known().into_iter().map(|(name, _)| name).collect();
        let expected = ["digest", "echo", "load_prediction", "operation_optimization", "probe", "station_guidance"];
        assert_eq!(names, expected);
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }

    #[test]
    fn every_known_module_is_found_by_its_name_and_no_other() {
        for (name, version) in known() {
            let module = by_name(name).expect("listed");
            assert_eq!((module.name(), module.version()), (name, version));
        }
        assert!(by_name("Load_Prediction").is_none());
        assert!(by_name("").is_none());
    }
}
