//! Plans written in Rust, and the two ways to drive the core through them: [`scenario`] replays records under the
//! virtual clock, [`live`] drives a shard as the service does. Knows no configuration format.

#![allow(dead_code, reason = "every test file uses its own part of this")]

pub mod fleet;
pub mod generated;
pub mod live;
pub mod scenario;
pub mod within;

use std::sync::Arc;

use quorate_core::plan::{
    BucketPlan, Column, Fill, GridPlan, IncompletePlan, InputPlan, Limits, ModulePlan, OnNull, OncePlan, Pad, Plan,
    Pointer, QuarantinePlan, RecordsPointer, RowsPlan, Scope, Source, StationLimits, Steps, Then, TimeField, TopicPlan,
    Trigger, WallClock, WindowPlan,
};

/// How many cases chance makes of each property that matters, so that none of them is taken on trust.
pub const CASES: u32 = 10_000;

/// 2025-11-04 11:05:00 in Shanghai: the moment at which the acceptance cases begin.
pub const T0: i64 = 1_762_225_500_000;
pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// How the station fleet writes local times.
pub const LOCAL: &str = "%Y-%m-%d %H:%M:%S";

/// A topic on its way into a plan.
#[derive(Clone)]
pub struct Topic {
    plan: TopicPlan,
    grid: Option<Grid>,
}

/// What a grid window is asked to keep.
#[derive(Clone)]
pub struct Grid {
    pub step_ms: i64,
    pub steps: usize,
    pub fill: Fill,
    pub max_gap_ms: Option<i64>,
    pub series: Vec<&'static str>,
    pub values: Vec<&'static str>,
    pub totals: Vec<&'static str>,
}

/// One reading per message, its station at `/stationId`, its time the record's, window `latest`.
pub fn topic(name: &str) -> Topic {
    let plan = TopicPlan {
        name: name.into(),
        records: vec![RecordsPointer::parse("").expect("pointer")],
        scope: Scope::Station(pointer("/stationId")),
        time: None,
        fields: None,
        on_null: OnNull::DeadLetter,
        window: WindowPlan::Latest,
        expect_ms: None,
    };
    Topic { plan, grid: None }
}

impl Topic {
    pub fn records(mut self, pointers: &[&str]) -> Self {
        self.plan.records = pointers.iter().map(|text| RecordsPointer::parse(text).expect("pointer")).collect();
        self
    }

    pub fn station(mut self, at: &str) -> Self {
        self.plan.scope = Scope::Station(pointer(at));
        self
    }

    pub fn global(mut self) -> Self {
        self.plan.scope = Scope::Global;
        self
    }

    /// Event time at `at`, written as `2025-11-04 11:05:00` in `zone`.
    pub fn local_time(mut self, at: &str, zone: &str) -> Self {
        self.plan.time = Some(TimeField::new(pointer(at), LOCAL, zone).expect("time field"));
        self
    }

    /// Event time at `at` in whole seconds since the epoch.
    pub fn epoch_time(mut self, at: &str) -> Self {
        self.plan.time = Some(TimeField::new(pointer(at), "%s", "UTC").expect("time field"));
        self
    }

    pub fn fields(mut self, fields: &[&str]) -> Self {
        self.plan.fields = Some(fields.iter().map(|at| pointer(at)).collect());
        self
    }

    pub fn ignore_null(mut self) -> Self {
        self.plan.on_null = OnNull::Ignore;
        self
    }

    pub fn per_key(mut self, key: &str, expire_ms: Option<i64>) -> Self {
        self.plan.window = WindowPlan::PerKey { key: pointer(key), expire_ms };
        self
    }

    pub fn bucket(mut self, every_ms: i64, close_after_ms: Option<i64>) -> Self {
        self.plan.window = WindowPlan::Bucket(BucketPlan { every_ms, close_after_ms });
        self
    }

    /// Results of a module that runs elsewhere, in the envelope or as an older list.
    pub fn results(mut self) -> Self {
        self.plan.window = WindowPlan::Results;
        self.records(&["/results/*", ""]).station("/station_id")
    }

    /// Declared cadence.
    pub fn expect(mut self, expect_ms: i64) -> Self {
        self.plan.expect_ms = Some(expect_ms);
        self
    }

    pub fn grid(mut self, grid: Grid) -> Self {
        self.grid = Some(grid);
        self
    }

    /// The last `size` readings, as they are.
    pub fn rows(mut self, size: usize, span_ms: Option<i64>) -> Self {
        self.plan.window = WindowPlan::Rows(RowsPlan { size, span_ms, columns: None, pad: Pad::None });
        self
    }

    /// The same column by column.
    pub fn columns(mut self, size: usize, span_ms: Option<i64>, columns: &[&str], pad: Pad) -> Self {
        let columns = Some(columns.iter().map(|at| column(at)).collect());
        self.plan.window = WindowPlan::Rows(RowsPlan { size, span_ms, columns, pad });
        self
    }

    fn build(self) -> TopicPlan {
        let Self { mut plan, grid } = self;
        if let Some(grid) = grid {
            let clock = plan.time.as_ref().map_or_else(WallClock::utc, |time| time.clock().clone());
            plan.window = WindowPlan::Grid(GridPlan {
                steps: Steps::new(grid.step_ms, clock).expect("steps"),
                len: grid.steps,
                fill: grid.fill,
                max_gap_ms: grid.max_gap_ms,
                series: grid.series.iter().map(|at| pointer(at)).collect(),
                values: grid.values.iter().map(|at| column(at)).collect(),
                totals: grid.totals.iter().map(|at| column(at)).collect(),
            });
        }
        plan
    }
}

/// A module on its way into a plan; its inputs are named until topics and modules are known.
#[derive(Clone)]
pub struct Module {
    name: String,
    version: String,
    requires: Vec<(String, Option<i64>)>,
    optional: Vec<(String, Option<i64>)>,
    on: Option<Vec<String>>,
    min_interval_ms: i64,
    every_ms: Option<i64>,
    each: bool,
    quarantine: Option<QuarantinePlan>,
    once: Option<OncePlan>,
    incomplete: IncompletePlan,
    call_ms: i64,
}

/// A module without inputs that any input may trigger.
pub fn module(name: &str) -> Module {
    Module {
        name: name.to_owned(),
        version: "1".to_owned(),
        requires: Vec::new(),
        optional: Vec::new(),
        on: None,
        min_interval_ms: 0,
        every_ms: None,
        each: false,
        quarantine: None,
        once: None,
        incomplete: IncompletePlan::default(),
        call_ms: 30 * SECOND,
    }
}

impl Module {
    /// Topics, or modules by name.
    pub fn requires(mut self, topics: &[&str]) -> Self {
        self.requires.extend(topics.iter().map(|&topic| (topic.to_owned(), None)));
        self
    }

    pub fn requires_young(mut self, topic: &str, max_age_ms: i64) -> Self {
        self.requires.push((topic.to_owned(), Some(max_age_ms)));
        self
    }

    pub fn optional(mut self, topics: &[&str]) -> Self {
        self.optional.extend(topics.iter().map(|&topic| (topic.to_owned(), None)));
        self
    }

    pub fn optional_young(mut self, topic: &str, max_age_ms: i64) -> Self {
        self.optional.push((topic.to_owned(), Some(max_age_ms)));
        self
    }

    pub fn on(mut self, topics: &[&str]) -> Self {
        self.on = Some(topics.iter().map(|&topic| topic.to_owned()).collect());
        self
    }

    pub fn min_interval(mut self, min_interval_ms: i64) -> Self {
        self.min_interval_ms = min_interval_ms;
        self
    }

    /// Due at multiples of this.
    /// Each reading of these topics is a run.
    pub fn each(mut self, topics: &[&str]) -> Self {
        self.each = true;
        self.on(topics)
    }

    /// Of readings with one value at `key` only the first is worked on.
    pub fn once(mut self, key: &str, keep_ms: i64, max: usize) -> Self {
        self.once = Some(OncePlan { key: pointer(key), keep_ms, max });
        self
    }

    pub fn quarantine(mut self, after: u32, pause_ms: i64, max_pause_ms: i64) -> Self {
        self.quarantine = Some(QuarantinePlan { after, pause_ms, max_pause_ms });
        self
    }

    pub fn every(mut self, every_ms: i64) -> Self {
        self.every_ms = Some(every_ms);
        self
    }

    /// What happens while a station is incomplete; `after_ms` raises the alarm.
    pub fn incomplete(mut self, then: Then, after_ms: Option<i64>) -> Self {
        self.incomplete = IncompletePlan { after_ms, then };
        self
    }

    /// How long one call may take; there are three.
    pub fn timeout(mut self, call_ms: i64) -> Self {
        self.call_ms = call_ms;
        self
    }

    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }
}

/// Everything together, with the default limits. Modules stand after those they depend on, otherwise by name.
pub fn plan(topics: Vec<Topic>, mut modules: Vec<Module>) -> Plan {
    let topics: Vec<TopicPlan> = topics.into_iter().map(Topic::build).collect();
    let mut plan = Plan { topics, modules: Vec::new(), limits: Limits::default(), stations: StationLimits::default() };
    modules.sort_by(|a, b| a.name.cmp(&b.name));
    while !modules.is_empty() {
        let waits = |module: &Module| module.inputs().any(|(name, _)| modules.iter().any(|other| other.name == *name));
        let next = modules.iter().position(|module| !waits(module)).expect("no cycle");
        let module = resolve(&plan, modules.remove(next));
        plan.modules.push(module);
    }
    plan
}

/// One module called `probe` that requires every topic.
pub fn probe_of(topics: Vec<Topic>) -> Plan {
    let names: Vec<Arc<str>> = topics.iter().map(|topic| Arc::clone(&topic.plan.name)).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    plan(topics, vec![module("probe").requires(&names)])
}

pub fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).expect("pointer")
}

fn column(at: &str) -> Column {
    let at = pointer(at);
    let name = at.name().expect("a column has a name").into();
    Column { at, name }
}

impl Module {
    fn inputs(&self) -> impl Iterator<Item = &(String, Option<i64>)> {
        self.requires.iter().chain(&self.optional)
    }
}

fn resolve(plan: &Plan, module: Module) -> ModulePlan {
    let source = |name: &String| match (plan.module_id(name), plan.topic_id(name)) {
        (Some(module), _) => Source::Module(module),
        (None, Some(topic)) => Source::Topic(topic),
        (None, None) => panic!("the plan has neither a module nor a topic {name}"),
    };
    let inputs = |inputs: &[(String, Option<i64>)]| {
        let input = |(name, max_age_ms): &(String, Option<i64>)| InputPlan {
            name: name.as_str().into(),
            source: source(name),
            max_age_ms: *max_age_ms,
        };
        inputs.iter().map(input).collect()
    };
    ModulePlan {
        name: module.name.as_str().into(),
        version: module.version.as_str().into(),
        requires: inputs(&module.requires),
        optional: inputs(&module.optional),
        trigger: match module.every_ms {
            Some(interval_ms) => Trigger::Every { interval_ms },
            None if module.each => Trigger::Each { on: module.on.unwrap_or_default().iter().map(source).collect() },
            None => Trigger::Changes {
                on: module.on.map(|on| on.iter().map(source).collect()),
                min_interval_ms: module.min_interval_ms,
            },
        },
        incomplete: module.incomplete,
        run_ms: 3 * module.call_ms,
        call_ms: module.call_ms,
        quarantine: module.quarantine,
        once: module.once,
    }
}
