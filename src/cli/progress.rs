//! How far a long command is: one line on standard error while that is a terminal, and nothing at all elsewhere.

use std::io::{self, BufWriter, IsTerminal, LineWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

const BYTES_OF_TOTAL: &str = "{wide_bar} {bytes}/{total_bytes}  {records} records  {binary_bytes_per_sec}  {eta} left";
const BYTES: &str = "{spinner} {bytes}  {records} records  {binary_bytes_per_sec}  {elapsed}";
const RECORDS_OF_TOTAL: &str = "{wide_bar} {human_pos}/{human_len} records  {per_sec}  {eta} left";
const RECORDS: &str = "{spinner} {human_pos} records  {per_sec}  {elapsed}";

/// A progress line; gone when it is dropped.
#[derive(Clone)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    records: Arc<AtomicU64>,
}

impl Progress {
    /// Counts bytes, and the records in them; without a total for what has no known length.
    pub(super) fn of_bytes(total: Option<u64>) -> Self {
        Self::new(total, if total.is_some() { BYTES_OF_TOTAL } else { BYTES })
    }

    /// Counts records; without a total until one is known.
    pub(super) fn of_records() -> Self {
        Self::new(None, RECORDS)
    }

    fn new(total: Option<u64>, template: &str) -> Self {
        let records = Arc::default();
        let bar = can_draw().then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(5));
            bar.with_style(style(template, &records))
        });
        Self { bar, records }
    }

    /// So many records are to come.
    pub(super) fn expect(&self, records: u64) {
        if let Some(bar) = &self.bar {
            bar.set_style(style(RECORDS_OF_TOTAL, &self.records));
            bar.set_length(records);
        }
    }

    /// So many bytes are read, with so many records in them.
    pub(super) fn bytes(&self, bytes: u64, records: u64) {
        if let Some(bar) = &self.bar {
            self.records.store(records, Ordering::Relaxed);
            bar.set_position(bytes);
        }
    }

    /// One more record.
    pub(super) fn record(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Standard output, buffered. On a terminal that shows this line as well, lines of both do not mix.
    pub(super) fn standard_output(&self) -> Box<dyn Write + Send> {
        let out = io::stdout();
        match &self.bar {
            Some(_) if out.is_terminal() => Box::new(LineWriter::new(self.beside(out))),
            _ => Box::new(BufWriter::with_capacity(1 << 16, out)),
        }
    }

    /// A writer to the same terminal, which is written to in whole lines: each moves this line down.
    pub(super) fn beside<W: Write>(&self, out: W) -> Beside<W> {
        Beside { out, bar: self.bar.clone() }
    }
}

/// A writer to a terminal on which a progress line may stand.
pub(super) struct Beside<W> {
    out: W,
    bar: Option<ProgressBar>,
}

impl<W: Write> Write for Beside<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { out, bar } = self;
        match bar {
            Some(bar) => bar.suspend(|| out.write(bytes)),
            None => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Without colours, whatever `NO_COLOR` says.
fn style(template: &str, records: &Arc<AtomicU64>) -> ProgressStyle {
    let records = Arc::clone(records);
    let show = move |_: &ProgressState, text: &mut dyn std::fmt::Write| {
        // Text in memory takes everything.
        let _ = write!(text, "{}", HumanCount(records.load(Ordering::Relaxed)));
    };
    let style = ProgressStyle::with_template(template).expect("the templates above are well-formed");
    style.with_key("records", show).progress_chars("=> ")
}

fn can_draw() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stderr().is_terminal() && !dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_well_formed() {
        for template in [BYTES_OF_TOTAL, BYTES, RECORDS_OF_TOTAL, RECORDS] {
            let _ = style(template, &Arc::default());
        }
    }
}
