//! The configuration of the service under test: one text for all scenarios, so that a feature is switched on for all.

use std::fmt::Write as _;
use std::path::Path;

use quorate_testkit::User;

use crate::history::Role;

/// Milliseconds of a bucket of the curve.
pub const BUCKET_MS: i64 = 1000;

/// Orders that a station's window keeps, unless a scenario has it otherwise.
pub const ORDERS: usize = 5;

/// The module that sees newest states; its output is a hash of each value.
pub const LATEST: &str = "digest";

/// The module that is handed buckets; its output is what is in them.
pub const BUCKETS: &str = "probe";

/// The module that is called for each task; its output is the task.
pub const TASKS: &str = "echo";

/// All of them.
pub const MODULES: [&str; 3] = [LATEST, BUCKETS, TASKS];

/// Where the service keeps its state, in its working directory.
pub const STATE: &str = "state";

/// Deaths in the same call after which its station pauses, and for how long.
pub const DEATHS: u32 = 3;
pub const PAUSE_S: u64 = 20;

/// What a scenario changes.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Static members get their partitions back at once after a kill; dynamic ones wait for the end of the session.
    pub instance_id: Option<String>,
    pub drain_timeout_s: u64,
    pub session_timeout_ms: u64,
    /// How long a start tries to reach the broker.
    pub startup_timeout_s: u64,
    /// What the service logs in with, where it has to.
    pub password: Option<&'static str>,
    /// How long a bucket waits for stragglers when nothing newer opens another one.
    pub close_after_s: u64,
    /// How often settled positions are committed: about so much is read again after a kill.
    pub flush_interval_ms: u64,
    /// How often clients ask which topics and partitions there are.
    pub metadata_ms: u64,
    /// Records that a topic hands out in one turn.
    pub poll_records: u32,
    /// How long a client may go without being polled, unless that is as long as usual.
    pub poll_interval_ms: Option<u64>,
    /// Where a partition begins of which nobody knows anything.
    pub reset: &'static str,
    /// Orders that a station's window keeps.
    pub orders: usize,
    /// For how long a station that is silent is remembered; longer than any test, unless the scenario is about that.
    pub forget_after: String,
    /// The time between two runs of the module that sees newest states.
    pub min_interval_ms: u64,
    /// The largest batch that the workload's topics take.
    pub message_bytes: usize,
    /// The largest record that is looked at; none is the service's own limit.
    pub record_bytes: Option<usize>,
    /// Properties of the client library.
    pub properties: &'static [(&'static str, &'static str)],
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            instance_id: None,
            drain_timeout_s: 20,
            session_timeout_ms: 6000,
            startup_timeout_s: 60,
            password: None,
            close_after_s: 6,
            flush_interval_ms: 100,
            metadata_ms: 1000,
            poll_records: 500,
            poll_interval_ms: None,
            reset: "earliest",
            orders: ORDERS,
            forget_after: "400d".to_owned(),
            min_interval_ms: 0,
            message_bytes: 1_048_588,
            record_bytes: None,
            properties: &[],
        }
    }
}

/// The name on the broker of a scenario's topic.
pub fn topic(scenario: &str, role: Role) -> String {
    format!("{scenario}-{}", role.short())
}

/// A topic's group.
pub fn group(scenario: &str, role: Role) -> String {
    format!("{scenario}-{}", topic(scenario, role))
}

/// Where a module's results go.
pub fn results(scenario: &str, module: &str) -> String {
    format!("{scenario}-of-{module}")
}

/// Where dead letters go.
pub fn dead_letters(scenario: &str) -> String {
    format!("{scenario}-dead")
}

/// What a service needs to log in, its password being in a file.
pub fn login(password: &Path) -> String {
    let name = User::Svc.name();
    format!(
        r#"
[kafka.security]
protocol = "sasl_plaintext"
sasl_mechanism = "PLAIN"
username = "{name}"
password = {{ file = {password:?} }}
"#
    )
}

/// The file. Relative folders in it are the scenario's: the service runs in a working directory of its own.
pub fn toml(scenario: &str, bootstrap: &str, knobs: &Knobs) -> String {
    let Knobs {
        instance_id,
        drain_timeout_s,
        session_timeout_ms,
        startup_timeout_s,
        close_after_s,
        flush_interval_ms,
        metadata_ms,
        poll_records,
        poll_interval_ms,
        reset,
        orders: kept,
        forget_after,
        min_interval_ms,
        record_bytes,
        properties,
        ..
    } = knobs;
    let of = |role| topic(scenario, role);
    let heartbeat_ms = session_timeout_ms / 12;
    let mut text = format!(
        r#"
[kafka]
bootstrap_servers = ["{bootstrap}"]
startup_timeout = "{startup_timeout_s}s"

[kafka.consumer]
group_id = "{scenario}"
multi_consumer_mode = true
auto_offset_reset = "{reset}"
fetch_max_wait_ms = 50
max_poll_records = {poll_records}
session_timeout_ms = {session_timeout_ms}
heartbeat_interval_ms = {heartbeat_ms}
{instance}
{poll_interval}

[kafka.properties]
"topic.metadata.refresh.interval.ms" = {metadata_ms}
"socket.timeout.ms" = 3000
{properties}

{limits}

[service]
flush_interval = "{flush_interval_ms}ms"
drain_timeout = "{drain_timeout_s}s"

[stations]
forget_after = "{forget_after}"

[state]
mode = "local"
dir = "{STATE}"

[dead_letter]
topic = "{dead}"

[topics.{calendar}]
scope = "global"

[topics.{param}]
station = "/s"

[topics.{orders}]
station = "/s"
window = {{ kind = "rows", size = {kept} }}

[topics.{curve}]
station = "/s"
window = {{ kind = "bucket", every = "{BUCKET_MS}ms", close_after = "{close_after_s}s" }}

[topics.{task}]
station = "/s"
profile = "exclusive_task"
auto_offset_reset = "earliest"
session_timeout_ms = {session_timeout_ms}
heartbeat_interval_ms = {heartbeat_ms}
"#,
        instance = instance_id.as_ref().map(|id| format!("instance_id = {id:?}")).unwrap_or_default(),
        poll_interval = poll_interval_ms.map(|ms| format!("max_poll_interval_ms = {ms}")).unwrap_or_default(),
        properties = properties.iter().map(|(name, value)| format!("{name:?} = {value:?}\n")).collect::<String>(),
        limits = record_bytes.map(|bytes| format!("[limits]\nrecord_bytes = {bytes}")).unwrap_or_default(),
        dead = dead_letters(scenario),
        calendar = of(Role::Calendar),
        param = of(Role::Param),
        orders = of(Role::Orders),
        curve = of(Role::Curve),
        task = of(Role::Task),
    );
    let modules = [
        (LATEST, &[Role::Param, Role::Calendar, Role::Orders][..]),
        (BUCKETS, &[Role::Curve][..]),
        (TASKS, &[Role::Task][..]),
    ];
    for (module, roles) in modules {
        let requires: Vec<String> = roles.iter().map(|role| format!("{:?}", of(*role))).collect();
        let (requires, output) = (requires.join(", "), results(scenario, module));
        writeln!(text, "\n[modules.{module}]\nenabled = true\nrequires = [{requires}]\noutput_topic = {output:?}")
            .expect("memory");
        if module == LATEST {
            writeln!(text, "trigger = {{ on = [{requires}], min_interval = \"{min_interval_ms}ms\" }}")
                .expect("memory");
            let pause = format!("{PAUSE_S}s");
            writeln!(text, "quarantine = {{ after = {DEATHS}, pause = {pause:?}, max_pause = {pause:?} }}")
                .expect("memory");
        }
    }
    // Stands behind the table of the module that it belongs to, the last one.
    writeln!(text, "trigger = {{ each = true, on = [{:?}] }}\nconcurrency = 1\nmax_pending = 1", of(Role::Task))
        .expect("memory");
    text
}
