//! What services of a scenario leave behind when they end: how they ended, what their stores say, and what their groups
//! have committed by then. Looks only while none of them runs, so that all of it is of one moment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_testkit::{Broker, within};
use serde_json::Value;

use crate::config::STATE;
use crate::history::{Left, Place, Role};
use crate::service::{PATIENCE, quorate};
use crate::watch::Group;

/// The ends of a scenario's services.
pub struct Remains(Mutex<Known>);

struct Known {
    groups: Vec<Group>,
    running: u32,
    deaths: u32,
    /// By the working directory of a service. None until it has been looked at since a service last had it.
    stores: BTreeMap<PathBuf, Option<Store>>,
    left: Vec<Left>,
    /// Some service has ended since somebody looked.
    unseen: bool,
}

/// What a store says, as far as it is judged.
#[derive(Clone, Debug, Default)]
struct Store {
    positions: BTreeMap<Place, i64>,
    /// Buckets, readings and dead letters that wait.
    owed: u64,
}

/// What came of it all.
pub struct Ends {
    /// Services that were killed, died, or ended with another code than 0.
    pub deaths: u32,
    pub left: Vec<Left>,
    /// What the store of one directory owes in the end.
    pub owed: u64,
}

impl Remains {
    pub fn new(broker: &Broker, scenario: &str) -> Self {
        let groups = Role::ALL.iter().map(|role| Group::new(broker, scenario, *role)).collect();
        let (stores, left) = (BTreeMap::new(), Vec::new());
        Self(Mutex::new(Known { groups, running: 0, deaths: 0, stores, left, unseen: false }))
    }

    /// A service is about to be started in a directory. What the one before it left is still there to be seen.
    pub fn begins(&self, dir: &Path) {
        let mut known = self.known();
        known.until_seen();
        known.running += 1;
        known.stores.insert(dir.to_owned(), None);
    }

    /// A service has ended.
    pub fn ended(&self, status: ExitStatus) {
        let mut known = self.known();
        known.running -= 1;
        known.deaths += u32::from(!status.success());
        known.unseen = true;
    }

    /// Looks at what there is, unless a service runs or the broker has nothing to say: then somebody looks later.
    pub fn look(&self) {
        self.known().look();
    }

    /// What came of it all, once no service runs. What somebody else was to do who is gone for good is owed by nobody: only
    /// the store of `dir` counts.
    pub fn ends(&self, dir: &Path) -> Ends {
        let mut known = self.known();
        known.until_seen();
        let owed = known.stores.get(dir).and_then(Option::as_ref).map_or(0, |store| store.owed);
        Ends { deaths: known.deaths, left: std::mem::take(&mut known.left), owed }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn until_seen(&mut self) {
        within(PATIENCE, "an answer about groups that nobody is in", || self.look().then_some(()));
    }

    /// True when there is nothing left to be looked at that can be.
    fn look(&mut self) -> bool {
        if self.running > 0 || !self.unseen {
            return true;
        }
        for (dir, store) in &mut self.stores {
            store.get_or_insert_with(|| Store::read(&dir.join(STATE)));
        }
        let mut left = Vec::new();
        for group in &self.groups {
            let Some(stands) = group.stands() else { return false };
            left.extend(stands.into_iter().map(|(place, committed, end)| {
                let stored = self.stores.values().flatten().filter_map(|store| store.positions.get(&place));
                let stored = stored.copied().max().unwrap_or(0);
                Left { place, committed, stored, end }
            }));
        }
        self.left.append(&mut left);
        self.unseen = false;
        true
    }
}

impl Store {
    /// Reads a copy: what a crash left to be repaired, the next start has to repair itself.
    fn read(state: &Path) -> Self {
        if !state.join("state.redb").exists() {
            return Self::default();
        }
        let copy = tempfile::tempdir().expect("a folder");
        for file in fs::read_dir(state).expect("a folder").map(|file| file.expect("a file")) {
            if file.file_type().expect("a type").is_file() {
                fs::copy(file.path(), copy.path().join(file.file_name())).expect("a copy");
            }
        }
        let output = quorate(&["state", "verify", "--json", "--dir"]).arg(copy.path()).output().expect("it runs");
        let told = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "a service has left a store that is not whole: {}", told());
        let found: Value = serde_json::from_slice(&output.stdout).expect("one object");
        let position = |position: &Value| {
            let partition = i32::try_from(position["partition"].as_i64()?).ok()?;
            Some(((position["topic"].as_str()?.to_owned(), partition), position["next"].as_i64()?))
        };
        let positions = found["positions"].as_array().expect("a list").iter();
        let entries = |kind: &str| found["kinds"][kind]["entries"].as_u64().unwrap_or(0);
        Self {
            positions: positions.map(|of| position(of).expect("a place and an offset")).collect(),
            // Runs have an entry also when they are over.
            owed: ["waiting buckets and readings", "dead letters"].map(entries).iter().sum(),
        }
    }
}
