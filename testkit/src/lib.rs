//! A real Kafka broker for tests: started once per test binary, stopped when the binary ends, however it ends.
//! Knows Kafka and nothing of quorate. Whatever goes wrong with the broker panics: these are tests.

mod access;
mod broker;
mod ports;
mod process;
mod proxy;
mod records;
mod topics;

use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use access::User;
pub use broker::{Broker, BrokerOptions, Unavailable};
pub use process::Witness;
pub use proxy::{Direction, Proxy};
pub use records::{Compression, Consumed, Loader};
pub use topics::Offsets;

/// The broker that every test of this binary may use. Tests give their topics and groups names of their own; one that
/// stops, pauses or reconfigures a broker starts its own with [`Broker::start`].
///
/// # Errors
/// This machine cannot run a broker.
pub fn shared_broker() -> Result<&'static Broker, &'static Unavailable> {
    // Statics are never dropped: the broker's watchdog stops it when this process is gone.
    static SHARED: OnceLock<Result<Broker, Unavailable>> = OnceLock::new();
    SHARED.get_or_init(|| Broker::start(BrokerOptions::default())).as_ref()
}

/// The shared broker, or the one that the given expression starts. Where no broker can run, the test returns and is
/// reported as skipped; with `CI=true` in the environment it fails.
///
/// ```no_run
/// # use quorate_testkit::{Broker, BrokerOptions, require_broker};
/// # fn test() {
/// let broker = require_broker!();
/// let guarded = require_broker!(Broker::start(BrokerOptions::secured()));
/// # }
/// ```
#[macro_export]
macro_rules! require_broker {
    () => {
        $crate::require_broker!($crate::shared_broker())
    };
    ($start:expr) => {
        match $start {
            Ok(broker) => broker,
            Err(unavailable) => {
                $crate::skip(&unavailable);
                return;
            }
        }
    };
}

/// Says that a test is skipped, past the capture of test output.
///
/// # Panics
/// With `CI=true` in the environment, where every test has to run.
pub fn skip(unavailable: &Unavailable) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{unavailable}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // A test cannot do anything about a closed standard error.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {unavailable}");
}

/// Asks `probe` again and again until it answers; for state of other programs that sends no event.
///
/// # Panics
/// It did not answer within `bound`; the message names `what` was waited for.
pub fn within<T>(bound: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(started.elapsed() < bound, "waited {bound:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
