//! Logs: one subscriber for the whole process, text or JSON, always on standard error. Standard output belongs to
//! whatever a command prints.

use std::panic::PanicHookInfo;

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::LogFormat;

/// The longest panic text that is logged, in bytes.
const PANIC_BYTES: usize = 4096;

/// Installs the subscriber and routes panics into it. `QUORATE_LOG` filters as `RUST_LOG` does elsewhere.
pub fn install(format: LogFormat, default_filter: &str) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(default_filter))
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE)
        .with_target(false);
    let installed = match format {
        LogFormat::Text => builder.with_ansi(use_colour()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
    if installed.is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

/// Installs the same in text without colour, where standard error is not to be written to: each event is one write.
pub fn install_into<W>(writer: W, default_filter: &str)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter(default_filter)).with_writer(writer);
    if builder.with_ansi(false).with_target(false).try_init().is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

fn filter(default: &str) -> EnvFilter {
    EnvFilter::try_from_env("QUORATE_LOG").unwrap_or_else(|_| EnvFilter::new(default))
}

/// Whether standard error is a terminal that wants colour.
fn use_colour() -> bool {
    use std::io::IsTerminal as _;
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal()
}

/// A panic is one event like any other, on one line.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let text = panic.payload().downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.payload().downcast_ref::<String>().cloned()).unwrap_or_default();
    let text = &text[..text.floor_char_boundary(PANIC_BYTES)];
    let place = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    error!(panic = text, place, thread = thread.name().unwrap_or("unnamed"), "panicked");
}
