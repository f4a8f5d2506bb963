//! What is unsettled, as the stages tell it to each other: exact answers at a cut, and running counts per topic that
//! decide whether a lane must stop.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use quorate_core::ident::{Offset, Partition, TopicId};

/// Per partition the lowest offset whose effect is not settled.
pub(super) type Unsettled = HashMap<(TopicId, Partition), Offset>;

/// One count per topic of the plan; one stage writes them, the router reads them.
pub(super) type Gauges = Arc<[AtomicUsize]>;

/// As many gauges as the plan has topics, all 0.
pub(super) fn gauges(topics: usize) -> Gauges {
    (0..topics).map(|_| AtomicUsize::new(0)).collect()
}
