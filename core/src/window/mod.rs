//! Windows: what is kept of one topic for one station (or for all). A window is a function of the set of readings it
//! was given, not of their order; the same reading twice changes nothing.

mod bucket;
mod grid;
mod handed;
mod latest;
mod per_key;
mod results;
mod rows;
mod state;
mod text;

use crate::contract::Value;
use crate::decode::Body;
use crate::ident::Millis;
use crate::plan::{TopicPlan, WindowPlan};
use crate::provenance::{Provenance, TopicSeed};

pub(crate) use bucket::{Buckets, Closer, Closing, Taken};
use grid::{GridTimes, GridWindow, Placed};
pub(crate) use handed::Handed;
use latest::Latest;
use per_key::PerKey;
pub(crate) use results::Results;
pub use results::RunResult;
use rows::Rows;
pub use state::{
    BucketState, ClosedBucketState, EntryState, GridCellState, GridReadingState, OpenBucketState, PendingContent,
    ResultState, RowsColumnState, RowsContentState, RowsState, WindowState,
};
use text::Projection;

/// What windows of one topic share: what its readings hash with, what is kept of them, how its steps are labelled.
#[derive(Debug)]
pub(crate) struct TopicWindows {
    plan: WindowPlan,
    seed: TopicSeed,
    projection: Projection,
    times: GridTimes,
}

/// One reading on its way into a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arriving<'a> {
    pub(crate) time: Millis,
    pub(crate) origin: Provenance,
    pub(crate) body: Body<'a>,
}

/// One topic's window of one station.
#[derive(Debug)]
pub(crate) enum Window {
    Latest(Latest),
    PerKey(PerKey),
    Grid(Box<GridWindow>),
    Buckets(Box<Buckets>),
    Results(Results),
    Rows(Box<Rows>),
}

/// A window as a module sees it.
pub(crate) struct View {
    pub(crate) value: Value,
    /// Sum over the hashes of the readings' provenances.
    pub(crate) sum: u128,
}

impl TopicWindows {
    pub(crate) fn new(topic: &TopicPlan) -> Self {
        Self {
            plan: topic.window.clone(),
            seed: TopicSeed::new(&topic.name),
            projection: Projection::new(topic),
            times: GridTimes::default(),
        }
    }

    /// An empty window of this topic.
    pub(crate) fn empty(&self) -> Window {
        match self.plan {
            WindowPlan::Latest => Window::Latest(Latest::default()),
            WindowPlan::PerKey { .. } => Window::PerKey(PerKey::default()),
            WindowPlan::Grid(_) => Window::Grid(Box::default()),
            WindowPlan::Rows(_) => Window::Rows(Box::default()),
            WindowPlan::Bucket(_) => Window::Buckets(Box::default()),
            WindowPlan::Results => Window::Results(Results::default()),
        }
    }

    /// What closing buckets of this topic needs; none when its window is of another kind.
    pub(crate) fn closer(&self) -> Option<Closer<'_>> {
        match &self.plan {
            WindowPlan::Bucket(plan) => Some(Closer { plan, projection: &self.projection, seed: &self.seed }),
            _ => None,
        }
    }

    /// The moment at which a window whose newest reading is of `newest` becomes empty by itself.
    pub(crate) fn expires_at(&self, newest: Millis) -> Option<Millis> {
        // An entry leaves when it is older than the limit, not when it is just as old.
        self.expire_ms().map(|expire_ms| newest.plus(expire_ms).plus(1))
    }

    /// Whether readings leave by themselves.
    pub(crate) fn expires(&self) -> bool {
        self.expire_ms().is_some()
    }

    fn expire_ms(&self) -> Option<i64> {
        match self.plan {
            WindowPlan::PerKey { expire_ms, .. } => expire_ms,
            _ => None,
        }
    }
}

impl Window {
    /// Takes a reading in. True when it changes what a module can see. `clock` is the topic's event clock. Buckets are
    /// fed through [`Buckets::apply`].
    #[inline]
    pub(crate) fn apply(&mut self, topic: &TopicWindows, reading: &Arriving<'_>, clock: Millis) -> bool {
        match (self, reading.body, &topic.plan) {
            (Self::Latest(latest), Body::Text(text), _) => latest.apply(reading.time, reading.origin, text),
            (Self::PerKey(per_key), Body::Keyed { key, text }, _) => {
                per_key.apply(reading.time, reading.origin, key, text, topic.expire_ms(), clock)
            }
            (Self::Grid(grid), Body::Grid { cells, totals }, WindowPlan::Grid(plan)) => {
                let cells = (0..).zip(cells.iter());
                let cells = cells.map(|(index, cell)| Placed { series: cell.series, index, values: cell.values });
                grid.apply(plan, reading.time, reading.origin, cells, totals)
            }
            (Self::Results(results), Body::Result { hash, text }, _) => {
                results.apply(reading.time, reading.origin, hash, text)
            }
            (Self::Rows(rows), body, WindowPlan::Rows(plan)) => {
                rows.apply(plan, &topic.seed, reading.time, reading.origin, body)
            }
            _ => false,
        }
    }

    /// Whether the last reading renewed what the window holds without changing it.
    pub(crate) fn renewed(&self) -> bool {
        match self {
            Self::Results(results) => results.renewed(),
            Self::Grid(grid) => grid.renewed(),
            _ => false,
        }
    }

    /// When the last reading of a window left that has become empty by itself.
    pub(crate) fn emptied_at(&self, topic: &TopicWindows) -> Option<Millis> {
        match self {
            Self::PerKey(per_key) => topic.expires_at(per_key.last()?),
            _ => None,
        }
    }

    /// Takes a part back that [`Window::take_state`] gave out. What is newer already stays.
    pub(crate) fn restore(&mut self, topic: &TopicWindows, part: u64, state: &WindowState) {
        match (self, state, &topic.plan) {
            (Self::Latest(latest), WindowState::Latest(entry), _) => {
                latest.apply(entry.time, entry.origin, &entry.json);
            }
            (Self::PerKey(per_key), WindowState::PerKey(entries), _) => {
                for (key, entry) in entries {
                    per_key.apply(entry.time, entry.origin, key, &entry.json, None, entry.time);
                }
            }
            (Self::Grid(grid), WindowState::Grid(readings), WindowPlan::Grid(plan)) => {
                for reading in readings {
                    let cells = reading.cells.iter();
                    let cells = cells.map(|c| Placed { series: &c.series, index: c.index, values: &c.values });
                    grid.apply(plan, reading.time, reading.origin, cells, &reading.totals);
                }
            }
            (Self::Buckets(buckets), WindowState::Buckets(state), _) => {
                if let Some(closer) = topic.closer() {
                    buckets.restore(&closer, state);
                }
            }
            (Self::Results(results), WindowState::Results(state), _) => results.restore(state),
            (Self::Rows(rows), WindowState::Rows(state), WindowPlan::Rows(plan)) => {
                state.iter().for_each(|state| rows.restore(plan, &topic.seed, part, state));
            }
            _ => {}
        }
    }

    /// Whether it holds no reading at all.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Latest(latest) => latest.newest().is_none(),
            Self::PerKey(per_key) => per_key.is_empty(),
            Self::Grid(grid) => grid.newest().is_none(),
            Self::Buckets(buckets) => buckets.is_empty(),
            Self::Results(results) => results.newest().is_none(),
            Self::Rows(rows) => rows.is_empty(),
        }
    }

    /// Event time of the newest reading the window holds at `clock`; none when it is empty.
    pub(crate) fn newest(&self, topic: &TopicWindows, clock: Millis) -> Option<Millis> {
        match self {
            Self::Latest(latest) => latest.newest(),
            Self::PerKey(per_key) => per_key.newest(topic.expire_ms(), clock),
            Self::Grid(grid) => grid.newest(),
            Self::Buckets(buckets) => buckets.newest().map(|closed| closed.to()),
            Self::Results(results) => results.newest(),
            Self::Rows(rows) => rows.newest(),
        }
    }

    /// The window as a module sees it at `clock`. Expired readings leave.
    pub(crate) fn view(&mut self, topic: &mut TopicWindows, clock: Millis) -> View {
        let expire_ms = topic.expire_ms();
        match self {
            Self::Latest(latest) => latest.view(&topic.projection, &topic.seed),
            Self::PerKey(per_key) => per_key.view(expire_ms, clock, &topic.projection, &topic.seed),
            Self::Grid(grid) => match &topic.plan {
                WindowPlan::Grid(plan) => grid.view(plan, &mut topic.times, &topic.seed),
                _ => View { value: Value::Missing, sum: 0 },
            },
            Self::Buckets(buckets) => {
                buckets.newest().map_or(View { value: Value::Missing, sum: 0 }, |closed| closed.view())
            }
            Self::Results(results) => results.view(Some(&topic.seed)),
            Self::Rows(rows) => match &topic.plan {
                WindowPlan::Rows(plan) => rows.view(plan, &topic.projection),
                _ => View { value: Value::Missing, sum: 0 },
            },
        }
    }

    /// Calls `visit` with the provenances of readings that the window's value is made of: at least with the lowest and
    /// the highest offset of each partition.
    pub(crate) fn origins(&self, visit: &mut dyn FnMut(&Provenance)) {
        match self {
            Self::Latest(latest) => latest.origins(visit),
            Self::PerKey(per_key) => per_key.origins(visit),
            Self::Grid(grid) => grid.origins(visit),
            Self::Buckets(buckets) => buckets.newest().into_iter().for_each(|closed| closed.origins(visit)),
            Self::Results(results) => results.origins(visit),
            Self::Rows(rows) => rows.origins(visit),
        }
    }
}
