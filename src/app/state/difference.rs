//! What the configuration asks for and a store does not have, or has of something else: which topics are read again, whose
//! runs count as never recorded, what is forgotten.

use std::sync::Arc;

use quorate_core::plan::{ModulePlan, Plan, TopicPlan};
use tracing::{info, warn};

use crate::state::{Drops, Holdings, ModuleShape, TopicShape};

/// What a store says of itself.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) topics: Vec<TopicShape>,
    pub(super) modules: Vec<ModuleShape>,
    pub(super) holdings: Holdings,
    /// What was there before is gone.
    pub(super) was_lost: bool,
}

/// What differs.
#[derive(Debug)]
pub(super) struct Difference {
    /// Per topic of the plan what the store is to say until it was read again.
    pub(super) topics: Vec<TopicShape>,
    /// What it is to say of modules.
    pub(super) modules: Vec<ModuleShape>,
    /// What it is to forget.
    pub(super) drops: Drops,
}

impl Difference {
    /// Compares, and says in the log what it finds.
    pub(super) fn between(plan: &Plan, stored: &Stored) -> Self {
        let mut drops = Drops::default();
        let topics = plan.topics.iter().map(|topic| shape_now(topic, stored, &mut drops.windows)).collect();
        let modules: Vec<ModuleShape> = plan.modules.iter().map(shape_of_module).collect();
        let is_recorded =
            |name: &Arc<str>| modules.iter().any(|module| module.name == *name && stored.modules.contains(module));
        drops.runs = stored.holdings.runs.iter().filter(|module| !is_recorded(module)).cloned().collect();
        let is_needed = |name: &Arc<str>| plan.module_id(name).is_some_and(|module| plan.has_dependents(module));
        drops.results = stored.holdings.results.iter().filter(|module| !is_needed(module)).cloned().collect();
        for module in drops.runs.iter().filter(|module| plan.module_id(module).is_some()) {
            info!(
                module = &**module,
                "runs on record are of another version or other inputs, it runs for every station"
            );
        }
        Self { topics, modules, drops }
    }
}

/// What a topic's windows hold as soon as it was read to its end.
pub(super) fn shape_of(topic: &TopicPlan) -> TopicShape {
    let (name, shape, reach) = (Arc::clone(&topic.name), topic.shape(), topic.reach());
    TopicShape { name, shape, reach, unread: false, lost: false }
}

fn shape_of_module(module: &ModulePlan) -> ModuleShape {
    ModuleShape { name: Arc::clone(&module.name), shape: module.shape() }
}

fn shape_now(topic: &TopicPlan, stored: &Stored, dropped: &mut Vec<Arc<str>>) -> TopicShape {
    let now = shape_of(topic);
    let name = &*topic.name;
    let Some(before) = stored.topics.iter().find(|stored| stored.name == topic.name) else {
        return TopicShape { unread: true, lost: stored.was_lost, ..now };
    };
    if before.shape != now.shape {
        let windows = stored.holdings.windows.get(name).copied().unwrap_or(0);
        let (was, is) = (&*before.shape, &*now.shape);
        warn!(
            topic = name,
            was, is, windows, "windows are made differently: these are dropped, the topic is read again"
        );
        dropped.extend((windows > 0).then(|| Arc::clone(&topic.name)));
        return TopicShape { unread: true, lost: before.lost || windows > 0, ..now };
    }
    let wider = topic.reaches_beyond(&before.reach);
    if wider && !before.unread {
        info!(topic = name, "windows reach further back than they did, read again");
    }
    TopicShape { unread: before.unread || wider, lost: before.lost, ..now }
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::{ModuleId, TopicId};
    use quorate_core::plan::{
        IncompletePlan, InputPlan, Limits, OnNull, Pointer, RecordsPointer, RowsPlan, Scope, Source, StationLimits,
        Trigger, WindowPlan,
    };

    use super::*;

    fn topic(name: &str, rows: usize) -> TopicPlan {
        TopicPlan {
            name: name.into(),
            records: vec![RecordsPointer::parse("").expect("a pointer")],
            scope: Scope::Station(Pointer::parse("/id").expect("a pointer")),
            time: None,
            fields: None,
            on_null: OnNull::DeadLetter,
            window: WindowPlan::Rows(RowsPlan {
                size: rows,
                span_ms: None,
                columns: None,
                pad: quorate_core::plan::Pad::None,
            }),
            expect_ms: None,
        }
    }

    fn module(name: &str, version: &str, source: Source) -> ModulePlan {
        ModulePlan {
            name: name.into(),
            version: version.into(),
            requires: vec![InputPlan { name: "input".into(), source, max_age_ms: None }],
            optional: Vec::new(),
            trigger: Trigger::Changes { on: None, min_interval_ms: 0 },
            incomplete: IncompletePlan::default(),
            run_ms: 1,
            call_ms: 1,
            quarantine: None,
            once: None,
        }
    }

    /// `up` reads T; `down` depends on it.
    fn plan(down: bool) -> Plan {
        let down = down.then(|| module("down", "1", Source::Module(ModuleId(0))));
        let modules = [module("up", "1", Source::Topic(TopicId(0)))].into_iter().chain(down).collect();
        let (limits, stations) = (Limits::default(), StationLimits::default());
        Plan { topics: vec![topic("T", 10)], modules, limits, stations }
    }

    /// What a store says that was filled under a plan, and has something of everything.
    fn filled(plan: &Plan) -> Stored {
        let names = || plan.modules.iter().map(|module| Arc::clone(&module.name));
        Stored {
            topics: plan.topics.iter().map(shape_of).collect(),
            modules: plan.modules.iter().map(shape_of_module).collect(),
            holdings: Holdings {
                windows: [("T".into(), 7)].into(),
                runs: names().collect(),
                results: [Arc::from("up")].into(),
            },
            was_lost: false,
        }
    }

    #[test]
    fn a_store_that_was_filled_under_the_same_configuration_stays_as_it_is() {
        let Difference { topics, modules, drops } = Difference::between(&plan(true), &filled(&plan(true)));
        assert_eq!(topics, filled(&plan(true)).topics);
        assert_eq!(modules, filled(&plan(true)).modules);
        assert_eq!(drops, Drops::default());
    }

    #[test]
    fn a_topic_is_read_again_until_that_has_come_to_its_end_and_only_windows_of_another_shape_are_dropped() {
        let mut stored = filled(&plan(true));
        let mut changed = plan(true);
        changed.topics = vec![topic("T", 20), topic("NEW", 1)];
        let wider = Difference::between(&changed, &stored);
        assert_eq!(wider.topics.iter().map(|topic| (topic.unread, topic.lost)).collect::<Vec<_>>(), [(true, false); 2]);
        assert!(wider.drops.windows.is_empty());
        changed.topics[0].scope = Scope::Global;
        let other = Difference::between(&changed, &stored);
        assert_eq!((other.topics[0].unread, other.topics[0].lost), (true, true));
        assert_eq!(other.drops.windows, ["T".into()]);
        // The process ends before the topic was read.
        stored.topics = other.topics;
        stored.holdings.windows.clear();
        let again = Difference::between(&changed, &stored);
        assert_eq!((again.topics[0].unread, again.topics[0].lost), (true, true));
        assert!(again.drops.windows.is_empty());
    }

    #[test]
    fn where_a_store_was_lost_every_topic_is_until_it_was_read() {
        let lost = Difference::between(&plan(true), &Stored { was_lost: true, ..Stored::default() });
        assert!(lost.topics.iter().all(|topic| topic.unread && topic.lost));
        let again = Stored { topics: lost.topics.clone(), ..Stored::default() };
        assert_eq!(Difference::between(&plan(true), &again).topics, lost.topics);
        let fresh = Difference::between(&plan(true), &Stored::default());
        assert!(fresh.topics.iter().all(|topic| topic.unread && !topic.lost));
    }

    #[test]
    fn runs_of_another_version_or_of_other_inputs_or_of_a_module_that_was_disabled_are_no_record() {
        let mut newer = plan(true);
        newer.modules[0].version = "2".into();
        assert_eq!(Difference::between(&newer, &filled(&plan(true))).drops.runs, ["up".into()]);
        let mut other = plan(true);
        other.modules[0].requires[0].name = "other".into();
        assert_eq!(Difference::between(&other, &filled(&plan(true))).drops.runs, ["up".into()]);
        let without = Difference::between(&plan(false), &filled(&plan(true)));
        assert_eq!((without.drops.runs, without.drops.results), (vec!["down".into()], vec!["up".into()]));
        let unnoted = Stored { modules: without.modules, ..filled(&plan(true)) };
        assert_eq!(Difference::between(&plan(true), &unnoted).drops.runs, ["down".into()]);
    }
}
