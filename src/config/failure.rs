//! What becomes of a module's failures: attempts and their deadline, who is told, and when calls pause.
//! Knows no client: an address is only looked at.

use std::time::Duration;

use super::raw::{Node, Value};
use super::reader::{Misfit, Parsed, Placed, Reader};
use super::scalar::{choice, duration, list, positive, text, within};
use super::secrecy;
use super::settings::{BreakerSettings, CallbackSettings, FailureSettings, OnFailure, QuarantineSettings, Retry};

/// The calls a breaker may look back on.
const MAX_CALLS: i64 = 10_000;

/// What a module says about its failures.
pub(super) struct Failure {
    pub(super) on_failure: OnFailure,
    pub(super) timeout: Duration,
    pub(super) retry: Retry,
    pub(super) deadline: Option<Duration>,
    pub(super) breaker: Option<BreakerSettings>,
    pub(super) quarantine: Option<QuarantineSettings>,
    pub(super) told: FailureSettings,
}

impl Failure {
    /// The longest that one input may take from its first call to its end.
    pub(super) fn longest(&self) -> Duration {
        let longest = self.retry.longest(self.timeout);
        self.deadline.map_or(longest, |deadline| deadline.min(longest))
    }
}

pub(super) fn read(module: &Reader<'_>) -> Failure {
    let policies = vec![
        ("retry_then_dead_letter", OnFailure::RetryThenDeadLetter),
        ("commit", OnFailure::Commit),
        ("halt", OnFailure::Halt),
    ];
    let on_failure = module.or("on_failure", "retry_then_dead_letter", choice(policies, &[])).value;
    let timeout = module.or("timeout", "30s", positive).value;
    let deadline = module.optional("deadline", positive);
    if let Some(deadline) = deadline.as_ref().filter(|deadline| deadline.value < timeout) {
        let help = "lengthen `deadline`, which is for all attempts, or shorten `timeout`, which is for each";
        module.notes.error(&deadline.origin, "`deadline` is shorter than `timeout`", help);
    }
    Failure {
        on_failure,
        timeout,
        retry: retry(module, on_failure),
        deadline: deadline.map(|deadline| deadline.value),
        breaker: breaker(module),
        quarantine: quarantine(module),
        told: told(module),
    }
}

/// With `on_failure = "commit"` there is one attempt, whatever else is written.
fn retry(module: &Reader<'_>, on_failure: OnFailure) -> Retry {
    let table = module.table("retry");
    if let Some(entry) = module.entry("retry").filter(|_| on_failure == OnFailure::Commit) {
        let message = "`retry` has no effect with `on_failure = \"commit\"`: there is one attempt";
        table.notes.warn(&entry.key, message, "remove it, or use \"retry_then_dead_letter\"");
    }
    let attempts = match on_failure {
        OnFailure::Commit if !table.has("attempts") => table.or("attempts", 1, attempts),
        _ => table.or("attempts", 3, attempts),
    };
    let backoff = table.or("backoff", "1s", duration);
    let max_backoff = table.or("max_backoff", "30s", duration);
    not_longer(&table, ("backoff", &backoff), ("max_backoff", &max_backoff));
    table.finish();
    let attempts = if on_failure == OnFailure::Commit { 1 } else { attempts.value };
    Retry { attempts, backoff: backoff.value, max_backoff: max_backoff.value }
}

fn attempts(node: &Node) -> Parsed<u32> {
    number(1000)(node)
}

/// An integer from 1 to `max`.
fn number(max: i64) -> impl Fn(&Node) -> Parsed<u32> {
    move |node| within(1, max)(node).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// A key and its duration.
type Pause<'p> = (&'static str, &'p Placed<Duration>);

fn not_longer(table: &Reader<'_>, (least, pause): Pause<'_>, (most, max): Pause<'_>) {
    if pause.value > max.value {
        let origin = if pause.origin.is_given() { &pause.origin } else { &max.origin };
        let help = format!("lengthen `{most}` or shorten `{least}`");
        table.notes.error(origin, format!("`{least}` is longer than `{most}`"), help);
    }
}

fn breaker(module: &Reader<'_>) -> Option<BreakerSettings> {
    let table = module.switchable("breaker")?;
    let breaker = BreakerSettings {
        failure_ratio: table.or("failure_ratio", 0.5, ratio).value,
        of: table.or("of", 20, number(MAX_CALLS)).value,
        pause: table.or("pause", "30s", positive).value,
    };
    table.finish();
    Some(breaker)
}

/// A share of something: more than none, at most all.
fn ratio(node: &Node) -> Parsed<f64> {
    let ratio = match node.value {
        Value::Float(number) => number,
        Value::Integer(1) => 1.0,
        Value::Integer(_) => f64::NAN,
        _ => return Err(Misfit::new(format!("must be a number, not {}", node.value.kind())).into()),
    };
    if ratio > 0.0 && ratio <= 1.0 {
        return Ok(ratio);
    }
    let misfit = Misfit::new(format!("{} is not above 0 and at most 1", node.value));
    Err(misfit.help("0.5 is half of the calls; `breaker = false` never pauses").into())
}

fn quarantine(module: &Reader<'_>) -> Option<QuarantineSettings> {
    let table = module.switchable("quarantine")?;
    let after = table.or("after", 3, number(1_000_000)).value;
    let pause = table.or("pause", "1m", positive);
    let max_pause = table.or("max_pause", "1h", positive);
    not_longer(&table, ("pause", &pause), ("max_pause", &max_pause));
    table.finish();
    Some(QuarantineSettings { after, pause: pause.value, max_pause: max_pause.value })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sink {
    Topic,
    Log,
}

fn told(module: &Reader<'_>) -> FailureSettings {
    let callback = callback(module);
    let sinks = list(choice(vec![("topic", Sink::Topic), ("log", Sink::Log)], &[]));
    let sinks = module.or("failure_sinks", ["topic"], sinks);
    if sinks.value.is_empty() && !module.has("failure_callback") {
        let help = "name \"topic\" or \"log\", or add `failure_callback = { url = \"http://…\" }`";
        module.notes.error(&sinks.origin, "a failure would leave no trace", help);
    }
    let has = |sink| sinks.value.contains(&sink);
    FailureSettings { topic: has(Sink::Topic), log: has(Sink::Log), callback }
}

fn callback(module: &Reader<'_>) -> Option<CallbackSettings> {
    let table = module.table("failure_callback");
    if !table.is_present() {
        return None;
    }
    let url = table.required("url", address, "who is told, e.g. `url = \"http://127.0.0.1:9000/failed\"`");
    let timeout = table.or("timeout", "30s", positive).value;
    let attempts = table.or("attempts", 3, attempts).value;
    let backoff = table.or("backoff", "1s", duration).value;
    table.finish();
    Some(CallbackSettings { url: url?.value, timeout, attempts, backoff })
}

/// An address that a plain HTTP request can be sent to. What is refused is not repeated: it may hold a secret.
fn address(node: &Node) -> Parsed<String> {
    const HELP: &str = "e.g. `http://127.0.0.1:9000/failed`";
    let url = text(node)?;
    if url.starts_with("https://") {
        let misfit = Misfit::new("https is not available in this version");
        return Err(misfit.help("use http, through a proxy on this machine that speaks https for it").into());
    }
    if secrecy::holds_login(&url) {
        return Err(Misfit::new("an address must not hold a login").help(HELP).into());
    }
    let host = url.strip_prefix("http://").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    let plain = url.chars().all(|c| c.is_ascii_graphic() && c != '#');
    match host {
        Some(host) if plain && is_host(host) => Ok(url),
        _ => Err(Misfit::new("must be an address that begins with `http://` and a host").help(HELP).into()),
    }
}

/// A name or an address, with or without a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, port.strip_prefix(':')),
            _ => return false,
        },
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let named = host.contains(':') || host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    !host.is_empty() && named && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}
