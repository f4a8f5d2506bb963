//! A broker's life: start, stop, kill, pause, restart on the same ports and data.
//! The broker's configuration and command line belong to `scripts/kafka`; here they are only asked for.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::Signal;

use crate::ports::{MOST_PROXIES, Ports};
use crate::process::{BrokerProcess, NotReady, Watchdog};
use crate::proxy::Proxy;

/// The script beside this package that knows how to run Kafka.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka");

/// Exit status of the script when Java, Maven or the jars cannot be had.
const CANNOT_RUN: i32 = 69;

/// A start takes 3 s on two idle cores; many test binaries may be starting at once.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// A clean stop takes about a second.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

/// A call to a broker that is up.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Why this machine cannot run a broker.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no Kafka broker can run here: {0}")]
pub struct Unavailable(String);

/// What kind of broker to start. The default suits most tests: one plain listener, everything allowed.
#[derive(Clone, Debug, Default)]
pub struct BrokerOptions {
    secured: bool,
    measured: bool,
    proxies: u16,
    properties: Vec<(String, String)>,
}

impl BrokerOptions {
    /// A broker with one more listener that asks for a [`User`](crate::User), and with access rules.
    #[must_use]
    pub fn secured() -> Self {
        Self { secured: true, ..Self::default() }
    }

    /// Adds a server property, such as `offsets.retention.minutes`.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A broker that can also be reached through so many proxies, at most eight, each with faults of its own.
    #[must_use]
    pub fn proxied(mut self, proxies: u16) -> Self {
        assert!(proxies <= MOST_PROXIES, "at most {MOST_PROXIES} proxies");
        self.proxies = proxies;
        self
    }

    /// For measurements: starts later, and serves as fast as it can.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.measured = true;
        self
    }
}

/// A real broker with a data folder of its own. Stopped, and its folder removed, when it is dropped or when this
/// process ends; `QUORATE_KEEP_BROKER=1` in the environment keeps the folder.
///
/// # Panics
/// Methods panic when the broker or the machine does not do what they ask.
pub struct Broker {
    dir: PathBuf,
    ports: Ports,
    options: BrokerOptions,
    proxies: Vec<Proxy>,
    life: Mutex<Life>,
}

/// What changes while the broker is used. The process is stopped first; then the watchdog goes and takes the folder.
struct Life {
    /// Server properties beyond those that it was started with.
    properties: Vec<(String, String)>,
    process: Option<BrokerProcess>,
    watchdog: Watchdog,
}

impl Broker {
    /// Starts a broker and returns when it answers.
    ///
    /// # Errors
    /// Java, Maven or Kafka's jars are missing.
    ///
    /// # Panics
    /// The machine can run a broker, but this one did not start; the message ends with its log.
    pub fn start(options: BrokerOptions) -> Result<Self, Unavailable> {
        check_machine()?;
        let dir = tempfile::Builder::new().prefix("quorate-broker-").tempdir().expect("a folder can be made").keep();
        let keep = std::env::var_os("QUORATE_KEEP_BROKER").is_some();
        let watchdog = Watchdog::start((!keep).then_some(dir.as_path()));
        let life = Mutex::new(Life { properties: Vec::new(), process: None, watchdog });
        let mut broker = Self { dir, ports: Ports::free(), options, proxies: Vec::new(), life };
        for _ in 0..3 {
            broker.proxies =
                (0..broker.options.proxies).map(|nth| Proxy::start(broker.ports.behind_proxy(nth))).collect();
            match broker.try_run() {
                Ok(()) => return Ok(broker),
                // Somebody was faster; the folder is as good as new but for the ports in its properties.
                Err(NotReady::Ended) if broker.log().contains("Address already in use") => {
                    broker.ports = Ports::free();
                }
                Err(why) => broker.panic_with_log(why),
            }
        }
        broker.panic_with_log(NotReady::Ended)
    }

    /// Where clients connect that need no user.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.ports.plain()
    }

    /// Where clients connect that have a user; only a secured broker listens there.
    #[must_use]
    pub fn sasl_bootstrap(&self) -> String {
        assert!(self.options.secured, "only a secured broker knows users");
        self.ports.sasl()
    }

    /// One of the proxies that the broker was started with. Clients that begin at its address stay behind it: it is
    /// the address that the broker gives them.
    #[must_use]
    pub fn proxy(&self, nth: usize) -> &Proxy {
        self.proxies.get(nth).expect("the broker was started with so many proxies")
    }

    /// What a client needs to connect, and to be back soon after a restart.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config.set("reconnect.backoff.ms", "20");
        config.set("reconnect.backoff.max.ms", "500");
        config
    }

    /// The broker's process id; none while it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.life().process.as_ref().map(BrokerProcess::pid)
    }

    /// Everything the broker logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(self.log_path()).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// Ends the broker without warning, as a crash does.
    pub fn kill(&self) {
        let mut life = self.life();
        let mut process = life.process.take().expect("the broker runs");
        process.kill();
        life.watchdog.watch(None);
    }

    /// Stops the broker in order.
    pub fn stop(&self) {
        self.life().stop();
    }

    /// Starts the broker again, stopped or killed before or not, on the same ports and data; returns when it answers.
    pub fn restart(&self) {
        self.stop();
        if let Err(why) = self.try_run() {
            self.panic_with_log(why);
        }
    }

    /// Starts the broker again with another value of a server property, for good.
    pub(crate) fn restart_with(&self, name: &str, value: String) {
        let mut life = self.life();
        life.properties.retain(|(other, _)| other != name);
        life.properties.push((name.to_owned(), value));
        drop(life);
        self.restart();
    }

    /// Freezes the broker: connections stay open and nobody answers.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a paused broker go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Runs one of Kafka's own command-line tools against this broker, such as `kafka-consumer-groups`; takes about a
    /// second. The bootstrap server is added to the arguments.
    pub fn tool<A: AsRef<OsStr>>(&self, name: &str, args: impl IntoIterator<Item = A>) -> Output {
        let mut command = Command::new(SCRIPT);
        command.arg("shell").arg("--dir").arg(&self.dir).arg(name).args(args);
        command.output().expect("the broker's script can be run")
    }

    fn try_run(&self) -> Result<(), NotReady> {
        let mut command = Command::new(SCRIPT);
        command.arg("run").arg("--dir").arg(&self.dir).arg("--port").arg(self.ports.base().to_string());
        if self.options.secured {
            command.arg("--sasl");
        }
        if !self.options.measured {
            command.arg("--quick");
        }
        let mut life = self.life();
        for (name, value) in self.listeners().iter().chain(&self.options.properties).chain(&life.properties) {
            command.arg("--property").arg(format!("{name}={value}"));
        }
        let mut process = BrokerProcess::spawn(command, &self.log_path());
        life.watchdog.watch(Some(process.pid()));
        if let Err(why) = process.wait_ready(READY_WITHIN) {
            life.watchdog.watch(None);
            return Err(why);
        }
        life.process = Some(process);
        drop(life);
        self.wait_for_an_answer();
        Ok(())
    }

    /// The properties of listeners with one more for each proxy, which advertises the proxy's address.
    fn listeners(&self) -> Vec<(String, String)> {
        if self.proxies.is_empty() {
            return Vec::new();
        }
        assert!(!self.options.secured, "a broker is secured or proxied");
        let (plain, controller) = (self.ports.plain(), self.ports.controller());
        let mut kinds = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
        let mut listeners = format!("PLAINTEXT://{plain},CONTROLLER://{controller}");
        let mut advertised = format!("PLAINTEXT://{plain}");
        for (nth, proxy) in (0..).zip(&self.proxies) {
            kinds += &format!(",PROXY{nth}:PLAINTEXT");
            listeners += &format!(",PROXY{nth}://127.0.0.1:{}", self.ports.behind_proxy(nth));
            advertised += &format!(",PROXY{nth}://127.0.0.1:{}", proxy.port());
        }
        [("listeners", listeners), ("advertised.listeners", advertised), ("listener.security.protocol.map", kinds)]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec()
    }

    fn wait_for_an_answer(&self) {
        let client: BaseConsumer = self.client_config().create().expect("the client's properties are valid");
        let metadata = client.fetch_metadata(None, ANSWER_WITHIN).expect("a broker that is ready answers");
        assert_eq!(metadata.brokers().len(), 1, "one broker knows of one broker");
    }

    fn signal(&self, signal: Signal) {
        self.life().process.as_ref().expect("the broker runs").signal(signal);
    }

    /// A test that panicked while it held the lock left nothing half done that could not be stopped.
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("broker.log")
    }

    fn panic_with_log(&self, why: NotReady) -> ! {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(40)..].join("\n");
        panic!("the broker did not start ({why:?}); its log ends with:\n{tail}")
    }
}

impl Life {
    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop(STOPPED_WITHIN);
            self.watchdog.watch(None);
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("bootstrap", &self.bootstrap()).field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Whether Java and the jars are there; downloads the jars on first use.
fn check_machine() -> Result<(), Unavailable> {
    if !Path::new(SCRIPT).exists() {
        return Err(Unavailable(format!("{SCRIPT} does not exist")));
    }
    let output = Command::new(SCRIPT).arg("libs").output().map_err(|error| Unavailable(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(CANNOT_RUN) => Err(Unavailable(said)),
        _ => panic!("{SCRIPT} libs failed ({}): {said}", output.status),
    }
}
