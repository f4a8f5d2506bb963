//! What happened in a schedule, as a hash that two runs of one seed share, and as lines for people who ask.

use std::hash::{DefaultHasher, Hash, Hasher};

use quorate_core::ident::Millis;

#[derive(Default)]
pub struct Trace {
    hasher: DefaultHasher,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub fn new(keep_lines: bool) -> Self {
        Self { hasher: DefaultHasher::new(), lines: keep_lines.then(Vec::new) }
    }

    /// Notes something at a moment, given in milliseconds since the schedule began.
    pub fn note(&mut self, at: Millis, what: &str) {
        (at.0, what).hash(&mut self.hasher);
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>9} {what}", at.0));
        }
    }

    pub fn keeps_lines(&self) -> bool {
        self.lines.is_some()
    }

    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
