//! The state a service begins with: opens the store, compares what it holds with what the configuration asks for, and
//! gives it to the pipeline.

mod difference;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use quorate_core::ident::Millis;
use quorate_core::plan::Plan;
use quorate_core::shard::{Changes, PendingChange};
use tokio::sync::watch;
use tracing::{info, warn};

use self::difference::{Difference, Stored, shape_of};
use crate::fault::kill_point;
use crate::pipeline::durable::{CallLog, Deadly, Standings};
use crate::pipeline::{Kept, Pipeline};
use crate::runtime::blocking;
use crate::state::{Calls, Identity, LocalStore, OpenError, Opened, TopicShape};

/// How many offsets a ceiling lies ahead: far enough never to be felt, near enough to be read again in a second or two.
const AHEAD: i64 = 500_000;

/// What consumers are told of the state.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// Where partitions stand; nothing where nothing is kept.
    pub(super) standings: Arc<Standings>,
    /// Per topic whether its windows are to be read again.
    pub(super) reload: Vec<bool>,
    /// What the store is to be told once it was read.
    pub(super) unread: Option<Unread>,
}

/// Opens the store in `dir` and gives the pipeline what it holds. Blocks while it reads.
pub(super) fn begin(
    dir: &Path,
    identity: &Identity,
    plan: &Plan,
    pipeline: &mut Pipeline,
    now: Millis,
) -> Result<Begun, OpenError> {
    let opened = LocalStore::open(dir, identity, now)?;
    let Opened { store, positions, ceilings, letters, topics, modules, holdings, is_fresh, was_lost, .. } = opened;
    let Difference { topics, modules, drops } =
        Difference::between(plan, &Stored { topics, modules, holdings, was_lost });
    if !drops.windows.is_empty() {
        let copy = store.copy_aside(now)?;
        warn!(copy = %copy.display(), "windows are dropped: the store as it was is kept, nobody deletes it");
    }
    let unusable = |e: crate::pipeline::durable::StoreError| OpenError::Unusable {
        what: format!("the state in {} cannot be used: {e}", dir.display()),
        remedy: "see to the disk".to_owned(),
    };
    store.adopt(&topics, &modules, &drops).map_err(unusable)?;
    for topic in topics.iter().filter(|topic| topic.lost) {
        pipeline.restore(&Changes::lost(Arc::clone(&topic.name)));
    }
    let (mut places, mut left) = (0, Left::default());
    store
        .load(&mut |changes| {
            places += changes.slots.len() + changes.pending.len();
            changes.pending.iter().for_each(|waits| left.look(plan, waits));
            kill_point("restoring");
            pipeline.restore(&changes);
        })
        .map_err(unusable)?;
    left.log();
    info!(dir = %dir.display(), is_fresh, places, positions = positions.len(), letters = letters.len(), "state opened");
    pipeline.restore_letters(letters);
    let standings = Arc::new(Standings::default());
    standings.flushed(positions);
    standings.raised(ceilings);
    let store = Arc::new(store);
    let (calls, deadly) = Calls::open(dir)?;
    deadly.iter().for_each(tell_of);
    pipeline.pause_deadly(&deadly, now);
    let calls: Option<Arc<dyn CallLog>> = Some(Arc::new(calls));
    pipeline.keep(Kept { store: Arc::clone(&store) as _, standings: Arc::clone(&standings), ahead: AHEAD, calls });
    let reload: Vec<bool> = topics.iter().map(|topic| topic.unread).collect();
    let shapes = plan.topics.iter().map(shape_of).collect();
    let unread = reload.contains(&true).then(|| Unread { store, shapes, unread: reload.clone() });
    Ok(Begun { standings, reload, unread })
}

fn tell_of(Deadly { module, station, deaths }: &Deadly) {
    warn!(module, station, deaths, "the process ended while the module was called for the station");
}

/// What waits to be handed over and is not given to shards, because the configuration has no place for it: how many, by
/// module and topic.
#[derive(Debug, Default)]
struct Left(BTreeMap<(Arc<str>, Arc<str>), usize>);

impl Left {
    fn look(&mut self, plan: &Plan, waits: &PendingChange) {
        if let Some(state) = waits.state.as_ref().filter(|_| !waits.is_of(plan)) {
            *self.0.entry((Arc::clone(&waits.module), Arc::clone(&state.topic))).or_default() += 1;
        }
    }

    fn log(self) {
        for ((module, topic), waiting) in self.0 {
            warn!(
                module = &*module,
                topic = &*topic,
                waiting,
                "the module is not enabled, or its topic is kept in another way: what waits is kept, not handed over"
            );
        }
    }
}

/// Topics that are to be read again before the store may say what their windows hold.
#[derive(Debug)]
pub(super) struct Unread {
    store: Arc<LocalStore>,
    shapes: Vec<TopicShape>,
    /// Per topic whether the store does not say so yet.
    unread: Vec<bool>,
}

impl Unread {
    /// Notes of each topic that it was read, once `loaded` says that what was read is durable. A topic that cannot be
    /// read keeps no other one from being noted.
    pub(super) async fn adopt(mut self, mut loaded: watch::Receiver<Vec<bool>>) {
        loop {
            let read = self.take_read(&loaded.borrow_and_update());
            if !read.is_empty() {
                let store = Arc::clone(&self.store);
                let noted = blocking(move || store.note(&read)).await;
                if let Some(Err(error)) = noted {
                    warn!(%error, "not noted that topics were read again: they will be once more at the next start");
                    return;
                }
            }
            if !self.unread.contains(&true) || loaded.changed().await.is_err() {
                return;
            }
        }
    }

    fn take_read(&mut self, loaded: &[bool]) -> Vec<TopicShape> {
        let topics = self.shapes.iter().zip(&mut self.unread).zip(loaded);
        let read = |((shape, unread), &loaded): ((&TopicShape, &mut bool), &bool)| {
            (loaded && std::mem::take(unread)).then(|| shape.clone())
        };
        topics.filter_map(read).collect()
    }
}
