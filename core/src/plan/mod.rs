//! The resolved plan: what each topic is read for and what each module needs. Built once from the configuration,
//! never changed, shared by every stage. Knows no Kafka settings: quotas and groups belong to the shell.

mod grid;
mod module;
mod pointer;
mod shape;
mod time;
mod window;

use std::sync::Arc;

pub use grid::{Fill, GridPlan, Steps};
pub use module::{IncompletePlan, InputPlan, ModulePlan, OncePlan, QuarantinePlan, Source, Then, Trigger};
pub(crate) use pointer::array_index;
pub use pointer::{Pointer, PointerError, RecordsPointer, Step};
pub use time::{TimeError, TimeField, WallClock};
pub use window::{BucketPlan, Column, Pad, RowsPlan, WindowPlan};

use crate::ident::{ModuleId, TopicId};

/// Everything the core needs to know about a service.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The consumed topics; [`TopicId`] is the index.
    pub topics: Vec<TopicPlan>,
    /// The enabled modules, each after those it depends on, otherwise by name; [`ModuleId`] is the index.
    pub modules: Vec<ModulePlan>,
    /// What one record may cost.
    pub limits: Limits,
    /// How many stations there may be.
    pub stations: StationLimits,
}

impl Plan {
    /// The topic called `name`.
    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        let ix = self.topics.iter().position(|topic| &*topic.name == name)?;
        u16::try_from(ix).ok().map(TopicId)
    }

    /// The plan of one topic.
    #[must_use]
    pub fn topic(&self, id: TopicId) -> &TopicPlan {
        &self.topics[id.ix()]
    }

    /// The plan of one module.
    #[must_use]
    pub fn module(&self, id: ModuleId) -> &ModulePlan {
        &self.modules[id.ix()]
    }

    /// The module called `name`.
    #[must_use]
    pub fn module_id(&self, name: &str) -> Option<ModuleId> {
        let ix = self.modules.iter().position(|module| &*module.name == name)?;
        u16::try_from(ix).ok().map(ModuleId)
    }

    /// Whether some module of this plan is fed with the results of `module`.
    #[must_use]
    pub fn has_dependents(&self, module: ModuleId) -> bool {
        let fed = |plan: &ModulePlan| plan.inputs().any(|(input, _)| input.source == Source::Module(module));
        self.modules.iter().any(fed)
    }

    /// All topics with their ids.
    pub fn topics(&self) -> impl Iterator<Item = (TopicId, &TopicPlan)> {
        (0u16..).map(TopicId).zip(&self.topics)
    }

    /// All modules with their ids.
    pub fn modules(&self) -> impl Iterator<Item = (ModuleId, &ModulePlan)> {
        (0u16..).map(ModuleId).zip(&self.modules)
    }
}

/// How the records of one topic become readings, and the window they are kept in.
#[derive(Clone, Debug)]
pub struct TopicPlan {
    /// The topic's name.
    pub name: Arc<str>,
    /// Where readings are inside a message: the first pointer that exists counts.
    pub records: Vec<RecordsPointer>,
    /// Whom a reading belongs to.
    pub scope: Scope,
    /// Where its event time is; none means the record's timestamp.
    pub time: Option<TimeField>,
    /// What is kept of a reading; none means all of it. Pointers named elsewhere in the plan are kept anyway.
    pub fields: Option<Vec<Pointer>>,
    /// What a null payload means.
    pub on_null: OnNull,
    /// What is kept per station.
    pub window: WindowPlan,
    /// Declared cadence, in milliseconds; none when it only changes now and then.
    pub expect_ms: Option<i64>,
}

/// Whom a reading belongs to.
#[derive(Clone, Debug)]
pub enum Scope {
    /// The station named at this pointer inside the reading.
    Station(Pointer),
    /// Every station, also those that appear later.
    Global,
}

/// What a null payload (tombstone) means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNull {
    /// A dead letter, reason `wrong_shape`.
    DeadLetter,
    /// Nothing: accounted for and passed over.
    Ignore,
}

/// What one record may cost before it becomes a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Payload size in bytes; above it the reason is `too_large`.
    pub record_bytes: usize,
    /// Nesting of arrays and objects, at most [`Limits::MAX_DEPTH`]; above it the reason is `too_deep`.
    pub depth: usize,
    /// Readings in one record, and elements of one array; above it the reason is `too_large`.
    pub elements: usize,
    /// Length of one string in bytes; above it the reason is `too_large`.
    pub string_bytes: usize,
}

impl Limits {
    /// The deepest nesting that a configuration may allow. Walking and printing a reading recurse: from about 4,000
    /// levels on they overflow the 2 MiB stack of a thread of the dev profile, and an overflow ends the process.
    pub const MAX_DEPTH: usize = 512;
}

impl Default for Limits {
    fn default() -> Self {
        Self { record_bytes: 100 << 20, depth: 128, elements: 1_000_000, string_bytes: 1 << 20 }
    }
}

/// How many stations there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StationLimits {
    /// Known stations in the whole service; a reading of one more is dead-lettered, reason `too_many_stations`.
    pub max: usize,
    /// First appearances per minute of the clock, likewise.
    pub new_per_minute: usize,
    /// How long a station may have nothing but global readings before it is forgotten, in milliseconds; none: for ever.
    pub forget_after_ms: Option<i64>,
}

impl Default for StationLimits {
    fn default() -> Self {
        Self { max: 1_000_000, new_per_minute: 100_000, forget_after_ms: None }
    }
}
