//! One scenario: its corner of a broker, its service with a folder of its own, and the judgement at the end.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use quorate_testkit::{Broker, BrokerOptions, Offsets, Unavailable, within};
use tempfile::TempDir;

use crate::checker::{Rules, check, is_handed_over};
use crate::config::{self, Knobs, LATEST, MODULES, STATE};
use crate::history::{History, Produced, Role};
use crate::model;
use crate::observer;
use crate::remains::{Ends, Remains};
use crate::seed::{Chance, seed};
use crate::service::{
    PATIENCE, Service, quorate, quorate_armed, quorate_clocked, quorate_deadly, quorate_deaf_to_limits,
    quorate_failing, quorate_held, quorate_limited,
};
use crate::watch::Watch;
use crate::workload::Workload;

/// Partitions of the workload's topics.
const PARTITIONS: [(Role, i32); 5] =
    [(Role::Param, 2), (Role::Calendar, 1), (Role::Orders, 3), (Role::Curve, 2), (Role::Task, 2)];

/// What handing over may take beyond the time that buckets wait, and the pause between two looks.
const LEISURE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(500);

/// What ending costs beyond waiting for others.
pub const SLACK: Duration = Duration::from_secs(3);

/// A topic that is deleted comes back only when its scenario says so.
fn options() -> BrokerOptions {
    BrokerOptions::default().property("auto.create.topics.enable", "false")
}

/// The broker of all scenarios that leave it in peace, with proxies for those that need a bad network.
pub fn broker() -> Result<&'static Broker, &'static Unavailable> {
    static BROKER: OnceLock<Result<Broker, Unavailable>> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(options().proxied(5))).as_ref()
}

/// A broker that is not left in peace, for one scenario at a time.
type Disturbed = OnceLock<Result<Mutex<Broker>, Unavailable>>;

/// The broker of scenarios that kill it.
pub fn killed_broker() -> Result<MutexGuard<'static, Broker>, &'static Unavailable> {
    static BROKER: Disturbed = OnceLock::new();
    disturbed(&BROKER, options)
}

/// The broker of scenarios that freeze it. Its own session with the controller outlasts them: what is thawed is the
/// same broker, and not one that was given up meanwhile and may have to register anew.
pub fn frozen_broker() -> Result<MutexGuard<'static, Broker>, &'static Unavailable> {
    static BROKER: Disturbed = OnceLock::new();
    disturbed(&BROKER, || options().property("broker.session.timeout.ms", "60000"))
}

/// A broker of one scenario that asks for a user.
pub fn secured_broker() -> Result<Broker, Unavailable> {
    Broker::start(BrokerOptions::secured().property("auto.create.topics.enable", "false"))
}

fn disturbed(
    broker: &'static Disturbed,
    options: fn() -> BrokerOptions,
) -> Result<MutexGuard<'static, Broker>, &'static Unavailable> {
    let broker = broker.get_or_init(|| Broker::start(options()).map(Mutex::new));
    let broker = broker.as_ref().map(|broker| broker.lock().unwrap_or_else(PoisonError::into_inner))?;
    // A scenario that failed may have left it frozen or dead.
    match broker.pid() {
        Some(_) => broker.resume(),
        None => broker.restart(),
    }
    Ok(broker)
}

/// A scenario under way.
pub struct Scenario<'b> {
    pub broker: &'b Broker,
    pub name: &'static str,
    pub chance: Chance,
    pub knobs: Knobs,
    bootstrap: String,
    dir: TempDir,
    starts: Cell<u32>,
    pid: Arc<AtomicU32>,
    remains: Arc<Remains>,
    watch: Watch,
}

impl<'b> Scenario<'b> {
    /// Creates its topics. The name is part of every topic's, so that others may use the same broker.
    pub fn begin(broker: &'b Broker, name: &'static str, knobs: Knobs) -> Self {
        eprintln!("{name}: QUORATE_FAULT_SEED={}", seed());
        let message_bytes = knobs.message_bytes.to_string();
        for (role, partitions) in PARTITIONS {
            broker.create_topic(&config::topic(name, role), partitions, &[("max.message.bytes", &message_bytes)]);
        }
        for topic in MODULES.map(|module| config::results(name, module)).iter().chain([&config::dead_letters(name)]) {
            broker.create_topic(topic, 1, &[]);
        }
        let pid = Arc::new(AtomicU32::new(0));
        let (watch, remains) = (Watch::start(broker, name, &pid), Arc::new(Remains::new(broker, name)));
        // The workload draws from the generator of the name itself.
        let chance = Chance::of(&format!("{name}, faults"));
        let (dir, starts) = (tempfile::tempdir().expect("a folder"), Cell::new(0));
        Self { broker, name, chance, knobs, bootstrap: broker.bootstrap(), dir, starts, pid, remains, watch }
    }

    /// From here on the service reaches the broker at another address.
    pub fn through(mut self, bootstrap: String) -> Self {
        self.bootstrap = bootstrap;
        self
    }

    /// A workload that has sent what makes every station complete.
    pub fn workload(&self) -> Workload {
        self.prepared(Workload::new(self.broker, self.name))
    }

    /// The same with a workload of another kind.
    pub fn prepared(&self, mut workload: Workload) -> Workload {
        workload.complete_all();
        workload.flush();
        workload
    }

    /// Starts the service.
    pub fn start(&self) -> Service {
        self.start_in(self.dir.path())
    }

    /// Starts the service so that it dies when it passes a place of this name for the `nth` time.
    pub fn start_armed(&self, point: &str, nth: u64) -> Service {
        self.start_by(&mut quorate_armed(point, nth), self.dir.path())
    }

    /// Starts the service so that whoever passes a place of this name for the `nth` time is held up for so long.
    pub fn start_held(&self, point: &str, nth: u64, pause: Duration) -> Service {
        self.start_by(&mut quorate_held(point, nth, pause), self.dir.path())
    }

    /// Starts the service so that it dies in each call of a module for a station.
    pub fn start_deadly(&self, module: &str, station: &str) -> Service {
        self.start_by(&mut quorate_deadly(module, station), self.dir.path())
    }

    /// Starts the service so that its disk fails once: when it passes a place of this name for the `nth` time.
    pub fn start_failing(&self, point: &str, nth: u64) -> Service {
        self.start_by(&mut quorate_failing(point, nth), self.dir.path())
    }

    /// Starts it with a wall clock of its own; see [`set_clock`](Self::set_clock).
    pub fn start_clocked(&self) -> Service {
        self.start_by(&mut quorate_clocked(&self.clock()), self.dir.path())
    }

    /// Sets the wall clock of a service to so many milliseconds after the right time.
    pub fn set_clock(&self, error_ms: i64) {
        // Never half written: the service reads it all the time.
        let next = self.clock().with_extension("next");
        std::fs::write(&next, error_ms.to_string()).expect("the clock is written");
        std::fs::rename(next, self.clock()).expect("the clock is set");
    }

    fn clock(&self) -> PathBuf {
        self.dir.path().join("clock")
    }

    /// Starts it with limits of the system, as a shell's `ulimit` takes them.
    pub fn start_limited(&self, limit: &str) -> Service {
        self.start_by(&mut quorate_limited(limit), self.dir.path())
    }

    /// Starts it so that no file it writes may grow beyond what [`Service::limit_files`] says.
    pub fn start_limitable(&self) -> Service {
        self.start_by(&mut quorate_deaf_to_limits(), self.dir.path())
    }

    /// The folder of its state.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join(STATE)
    }

    /// The process that runs at the moment; 0 is none.
    pub fn process(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.pid)
    }

    /// Starts another one beside it with the same configuration, as on another host: nothing on disk is shared.
    pub fn start_elsewhere(&self) -> Service {
        let elsewhere = self.dir.path().join("elsewhere");
        std::fs::create_dir_all(&elsewhere).expect("a folder");
        self.start_in(&elsewhere)
    }

    /// What all its services have logged.
    pub fn logs(&self) -> String {
        let log = |nth| std::fs::read_to_string(self.dir.path().join(format!("log-{nth}"))).expect("a log");
        (0..self.starts.get()).map(log).collect()
    }

    fn start_in(&self, dir: &Path) -> Service {
        self.start_by(&mut quorate(&[]), dir)
    }

    fn start_by(&self, command: &mut Command, dir: &Path) -> Service {
        let nth = self.starts.replace(self.starts.get() + 1);
        let log = self.dir.path().join(format!("log-{nth}"));
        Service::start(command, &self.config(), dir, log, &self.pid, &self.remains)
    }

    fn config(&self) -> PathBuf {
        let path = self.dir.path().join("config.toml");
        let mut toml = config::toml(self.name, &self.bootstrap, &self.knobs);
        if let Some(password) = self.knobs.password {
            let file = self.dir.path().join("password");
            std::fs::write(&file, password).expect("the password is written");
            toml += &config::login(&file);
        }
        std::fs::write(&path, toml).expect("the configuration is written");
        path
    }

    /// The name on the broker of one of its topics.
    pub fn topic(&self, role: Role) -> String {
        config::topic(self.name, role)
    }

    /// What a topic's group has committed, partitions at 0 left out.
    pub fn committed(&self, role: Role) -> Offsets {
        let mut committed = self.broker.committed(&config::group(self.name, role), &self.topic(role));
        committed.retain(|_, offset| *offset > 0);
        committed
    }

    /// Deletes what the groups have committed, while they have no members, as an operator does or a long absence.
    pub fn forget_committed(&self) {
        let groups = Role::ALL.map(|role| config::group(self.name, role));
        let of_groups = groups.iter().flat_map(|group| ["--group", group]);
        let deleted = self.broker.tool("kafka-consumer-groups", std::iter::once("--delete").chain(of_groups));
        assert!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
        within(PATIENCE, "the offsets to be gone", || {
            Role::ALL.iter().all(|role| self.committed(*role).is_empty()).then_some(())
        });
    }

    /// Waits until every group has committed all that its topic holds.
    pub fn until_settled(&self) {
        for role in Role::ALL {
            let mut ends = self.broker.end_offsets(&self.topic(role));
            ends.retain(|_, end| *end > 0);
            within(PATIENCE, &format!("{} to be settled up to {ends:?}", self.topic(role)), || {
                (self.committed(role) == ends).then_some(())
            });
        }
    }

    /// Results on the topic of newest states so far.
    pub fn results(&self) -> i64 {
        self.broker.end_offsets(&config::results(self.name, LATEST)).values().sum()
    }

    /// Waits until there are more results than there were.
    pub fn until_more_results(&self, than: i64) {
        within(PATIENCE, "results", || (self.results() > than).then_some(()));
    }

    /// How long the service may take to end.
    pub fn drain_bound(&self) -> Duration {
        Duration::from_secs(self.knobs.drain_timeout_s) + SLACK
    }

    /// Lets the service settle everything and hand over what waits for its time, ends it in order, and judges the whole.
    pub fn finish(self, service: Service, workload: &Workload, rules: &Rules) {
        self.until_done(workload, rules);
        assert_eq!(service.terminate(self.drain_bound()), 0, "nothing was due");
        self.judge(workload, rules);
    }

    /// Lets the service settle everything and hand over what waits for its time.
    pub fn until_done(&self, workload: &Workload, rules: &Rules) {
        self.until_settled();
        self.until_handed_over(workload, rules);
    }

    /// Positions may pass what is kept, such as buckets that are open: waits until all of that has come out. What has not
    /// in good time is for the judgement.
    fn until_handed_over(&self, workload: &Workload, rules: &Rules) {
        let deadline = Instant::now() + Duration::from_secs(self.knobs.close_after_s) + LEISURE;
        let mut history = History { produced: self.produced(workload), ..History::default() };
        loop {
            self.add_published(&mut history);
            if is_handed_over(&history, rules) || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// All that the topics were given, in the order of time.
    fn produced(&self, workload: &Workload) -> Vec<Produced> {
        let mut produced = workload.produced();
        let copies: Vec<_> =
            Role::ALL.iter().flat_map(|role| observer::copies(self.broker, &self.topic(*role), &produced)).collect();
        if !copies.is_empty() {
            eprintln!("{}: {} records were taken twice", self.name, copies.len());
            produced.extend(copies);
            produced.sort_by_key(|record| (record.ts, record.partition, record.offset));
        }
        produced
    }

    fn add_published(&self, history: &mut History) {
        let of = |module| observer::results(self.broker, &config::results(self.name, module));
        history.published = MODULES.into_iter().flat_map(of).collect();
        history.letters = observer::letters(self.broker, &config::dead_letters(self.name));
    }

    /// Judges the whole, once the service has ended. Returns what was published.
    pub fn judge(self, workload: &Workload, rules: &Rules) -> History {
        let (broker, name) = (self.broker, self.name);
        let produced = self.produced(workload);
        let model = model::fold(&produced, &self.config(), self.dir.path());
        assert_eq!(model.len() as u64, workload.population().seen(), "every station is complete in the model");
        let mut history = History { produced, ..History::default() };
        self.add_published(&mut history);
        for role in Role::ALL {
            let (topic, committed) = (self.topic(role), self.committed(role));
            for (partition, end) in broker.end_offsets(&topic) {
                let committed = committed.get(&partition).copied().unwrap_or(0);
                history.settled.insert((topic.clone(), partition), (committed, end));
            }
        }
        let Ends { deaths, left, owed } = self.remains.ends(self.dir.path());
        let rules = &Rules { deaths, ..rules.clone() };
        history.logs = self.logs();
        let watched = self.watch.stop();
        (history.left, history.owed, history.seen, history.peak_kib) = (left, owed, watched.seen, watched.peak_kib);
        let (records, results, letters) = (history.produced.len(), history.published.len(), history.letters.len());
        let starts = self.starts.get();
        let peak_mib = watched.peak_kib / 1024;
        eprintln!(
            "{name}: {records} records, {results} results, {letters} letters, {starts} starts, {deaths} deaths, {peak_mib} MiB, {owed} owed"
        );
        let breaches = check(&history, &model, rules);
        if !breaches.is_empty() {
            let kept = self.dir.keep();
            let shown: Vec<String> = breaches.iter().take(20).map(|breach| format!("{breach:?}")).collect();
            panic!(
                "{} breach(es) with QUORATE_FAULT_SEED={}, logs in {}:\n  {}",
                breaches.len(),
                seed(),
                kept.display(),
                shown.join("\n  ")
            );
        }
        history
    }
}
