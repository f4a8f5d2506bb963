//! What is wrong with a configuration and where: problems, their origins, and the report that holds them all.
//! Knows nothing about keys; how a report looks on a screen is [`super::render`]'s.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Where a value came from, strongest last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A named set of values, e.g. `catch_up`.
    Profile(&'static str),
    /// Bytes of the configuration file.
    File(Range<usize>),
    /// The environment variable of this name.
    Env(Arc<str>),
    /// `--set` with this key.
    Set(Arc<str>),
}

impl Origin {
    /// Whether a user wrote the value.
    #[must_use]
    pub fn is_given(&self) -> bool {
        matches!(self, Self::File(_) | Self::Env(_) | Self::Set(_))
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but probably does not do what was meant.
    Warning,
    /// It does what was meant; something else may suit better.
    Advice,
}

/// One thing that is wrong. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong; lower case, no full stop.
    pub message: String,
    /// The value or key that is meant; [`Origin::Default`] when nothing was written anywhere.
    pub origin: Origin,
    /// What to do instead.
    pub help: Option<String>,
}

impl Problem {
    /// An error at `origin`.
    pub fn error(origin: &Origin, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), origin: origin.clone(), help: None }
    }

    /// A warning at `origin`.
    pub fn warning(origin: &Origin, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(origin, message) }
    }

    /// A piece of advice at `origin`.
    pub fn advice(origin: &Origin, message: impl Into<String>) -> Self {
        Self { severity: Severity::Advice, ..Self::error(origin, message) }
    }

    /// The same problem with help.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// The file's name and its text, in which every secret is blotted out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) name: String,
    pub(super) text: String,
}

impl Listing {
    /// One-based line and column, in characters, of a byte of the text.
    pub(super) fn line_column(&self, byte: usize) -> (usize, usize) {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        let before = &self.text[..byte];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// An origin in words: `config.toml:3:5`, `environment QUORATE__…`.
    pub(super) fn place(&self, origin: &Origin) -> String {
        match origin {
            Origin::Default => "default".to_owned(),
            Origin::Profile(name) => format!("profile {name}"),
            Origin::File(span) => {
                let (line, column) = self.line_column(span.start);
                format!("{}:{line}:{column}", self.name)
            }
            Origin::Env(name) => format!("environment {name}"),
            Origin::Set(key) => format!("--set {key}"),
        }
    }
}

/// Every problem of a configuration, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    problems: Vec<Problem>,
    listing: Arc<Listing>,
}

impl Report {
    /// Sorted by place, without repetitions.
    pub(super) fn new(mut problems: Vec<Problem>, listing: Arc<Listing>) -> Self {
        problems.sort_by_key(|problem| (rank(&problem.origin), problem.severity));
        let mut unique: Vec<Problem> = Vec::with_capacity(problems.len());
        for problem in problems {
            if !unique.contains(&problem) {
                unique.push(problem);
            }
        }
        Self { problems: unique, listing }
    }

    /// The problems.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether anything forbids using the configuration.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors there are.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// Whether nothing is wrong at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// One-based line and column of a problem that stands in the file.
    #[must_use]
    pub fn line_column(&self, problem: &Problem) -> Option<(usize, usize)> {
        match &problem.origin {
            Origin::File(span) => Some(self.listing.line_column(span.start)),
            _ => None,
        }
    }

    pub(super) fn listing(&self) -> &Listing {
        &self.listing
    }
}

fn rank(origin: &Origin) -> (u8, usize, String) {
    match origin {
        Origin::File(span) => (0, span.start, String::new()),
        Origin::Env(name) => (1, 0, name.to_string()),
        Origin::Set(key) => (2, 0, key.to_string()),
        Origin::Default | Origin::Profile(_) => (3, 0, String::new()),
    }
}

/// One line per problem, as [`Report::plain`].
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain())
    }
}

impl std::error::Error for Report {}
