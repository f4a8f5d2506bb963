//! What happened, as the checker is told it: every record that was produced, every result and dead letter that was
//! published, every offset that a group was seen with. Values only.

use std::collections::BTreeMap;

use serde_json::Value;

/// A partition of a topic.
pub type Place = (String, i32);

/// What a topic of the workload is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Master data of a station; the newest counts.
    Param,
    /// For all stations; the newest counts.
    Calendar,
    /// The last few of a station count.
    Orders,
    /// Grouped by time; each group is handed over once.
    Curve,
    /// Each is worked on by itself, in order.
    Task,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Param, Self::Calendar, Self::Orders, Self::Curve, Self::Task];

    /// The topic's name after that of its scenario.
    pub fn short(self) -> &'static str {
        match self {
            Self::Param => "param",
            Self::Calendar => "calendar",
            Self::Orders => "orders",
            Self::Curve => "curve",
            Self::Task => "task",
        }
    }
}

/// A record that the broker acknowledged.
#[derive(Clone, Debug)]
pub struct Produced {
    pub topic: String,
    pub role: Role,
    pub partition: i32,
    pub offset: i64,
    pub ts: i64,
    pub key: String,
    /// None is a null payload.
    pub payload: Option<Vec<u8>>,
    /// How often the topic had been deleted and created again.
    pub incarnation: u32,
    /// The station and the unique number of the reading in it; none when it cannot be read.
    pub reading: Option<(String, u64)>,
    /// Why it cannot be read, as its dead letter has to say; none when it can.
    pub fault: Option<&'static str>,
}

/// A part of a result's lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub place: Place,
    pub from: i64,
    pub to: i64,
    /// The life of its topic that the offsets are of.
    pub life: u32,
}

/// A published result. `at` and the attempt are left out: a repeat differs in them.
#[derive(Clone, Debug)]
pub struct Published {
    pub module: String,
    pub station: String,
    pub hash: String,
    /// What the run was for, where results do not replace each other.
    pub trigger: Option<String>,
    pub output: Value,
    /// What it says of itself: whether it was made of everything that its module requires.
    pub complete: bool,
    pub lineage: Vec<Source>,
}

/// A dead letter.
#[derive(Clone, Debug)]
pub struct Letter {
    /// `topic/partition/offset`; none for a run that was given up.
    pub origin: Option<String>,
    pub reason: String,
}

/// What was seen of a topic's group.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Times that somebody looked, and those of them that got an answer.
    pub tries: usize,
    pub looks: usize,
    /// Committed offsets that were lower than one seen before: partition, before, after.
    pub back: Vec<(i32, i64, i64)>,
    /// Committed offsets beyond the end of the log: partition, committed, end.
    pub beyond: Vec<(i32, i64, i64)>,
}

/// How a partition stood when no service ran any more: what its group had committed, what the store said, and the end of
/// the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub place: Place,
    pub committed: i64,
    pub stored: i64,
    pub end: i64,
}

/// A whole scenario. Results and letters stand in the order of their topic.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub produced: Vec<Produced>,
    pub published: Vec<Published>,
    pub letters: Vec<Letter>,
    /// By topic.
    pub seen: BTreeMap<String, Seen>,
    /// After each end of a service.
    pub left: Vec<Left>,
    /// Committed offset and end of the log once all was settled.
    pub settled: BTreeMap<Place, (i64, i64)>,
    /// All that the services logged.
    pub logs: String,
    /// Buckets, readings and dead letters that wait in the store at the end.
    pub owed: u64,
    /// The most memory that one process held, in KiB.
    pub peak_kib: u64,
}

impl Produced {
    /// How a dead letter names it.
    pub fn origin(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }
}
