//! Logs: one subscriber for the whole process, text or JSON, always on standard error. Standard output belongs to
//! whatever a command prints.

use std::borrow::Cow;
use std::panic::PanicHookInfo;

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::debug_fn;

use crate::config::LogFormat;

/// The longest panic text that is logged, in bytes.
const PANIC_BYTES: usize = 4096;

/// Installs the subscriber and routes panics into it. `QUORATE_LOG` filters as `RUST_LOG` does elsewhere.
pub fn install(format: LogFormat, default_filter: &str) {
    let filter = EnvFilter::try_from_env("QUORATE_LOG").unwrap_or_else(|_| EnvFilter::new(default_filter));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let installed = match format {
        LogFormat::Text => builder.with_ansi(use_colour()).fmt_fields(one_line()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
    if installed.is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

/// Fields as text, without anything that could end a line or steer a terminal: one event is one line (row 2-13).
fn one_line() -> impl for<'w> FormatFields<'w> + 'static {
    debug_fn(|writer, field, value| {
        let text = format!("{value:?}");
        let text = escaped(&text);
        if field.name() == "message" { write!(writer, "{text}") } else { write!(writer, "{}={text}", field.name()) }
    })
    .delimited(" ")
}

/// Control characters as Rust would write them.
fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
    Cow::Owned(text.chars().map(escape).collect())
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

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("lines").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn logged(text: &str) -> String {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).fmt_fields(one_line());
        tracing::subscriber::with_default(subscriber.finish(), || {
            error!(error = %text, detail = text, "failed: {text}");
        });
        String::from_utf8(lines.0.lock().expect("lines").clone()).expect("UTF-8")
    }

    #[test]
    fn row_2_13_text_that_looks_like_a_format_is_logged_as_it_is() {
        let line = logged("{} {0} %s %d \"quoted\"");
        assert!(line.contains("error={} {0} %s %d"), "{line}");
    }

    proptest! {
        #[test]
        fn row_2_13_any_text_is_one_event_on_one_line(text in "\\PC*[\n\r\x1b\x00\u{85}\u{9b}]{0,3}\\PC*") {
            let line = logged(&text);
            prop_assert_eq!(line.trim_end_matches('\n').chars().filter(|c| c.is_control()).count(), 0);
            prop_assert!(line.ends_with('\n'));
        }
    }
}
