//! Log lines while the screen is taken: the newest are kept in memory and shown below the view, or told afterwards.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines kept.
const LINES: usize = 100;

/// A bounded list of log lines that is written to like a file, one event per write.
#[derive(Clone, Debug, Default)]
pub struct LogRing(Arc<Mutex<VecDeque<String>>>);

impl LogRing {
    /// The newest lines, oldest first.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<String> {
        let lines = self.lines();
        lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect()
    }

    /// All lines that are still there, oldest first; there are none afterwards.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        self.lines().drain(..).collect()
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for LogRing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = self.lines();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if lines.len() == LINES {
                lines.pop_front();
            }
            lines.push_back(line.to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_the_newest_lines_are_kept() {
        let mut ring = LogRing::default();
        for line in 0..LINES + 5 {
            ring.write_all(format!("line {line}\n").as_bytes()).expect("memory takes it");
        }
        assert_eq!(ring.last(2), ["line 103", "line 104"]);
        assert_eq!(ring.take().len(), LINES);
        assert!(ring.last(2).is_empty());
    }
}
