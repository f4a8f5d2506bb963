//! How a report looks: drawn with snippets on a terminal, narrated or one line each where there is none.
//! Prints nothing itself and decides nothing about what is wrong.

use std::fmt::{self, Write as _};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, NarratableReportHandler,
    Severity as Level, SourceCode,
};

use super::problem::{Origin, Problem, Report, Severity};

/// What a report is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A terminal: frames and snippets, with or without colour.
    Drawn {
        /// Whether colours may be used.
        colour: bool,
    },
    /// A screen reader or a log: the same in sentences.
    Narrated,
    /// `path:line:column: error: message (help)`, one line each.
    Plain,
}

impl Look {
    /// The look for an output stream: drawn on a terminal, plain elsewhere; `no_colour` is whether `NO_COLOR` is set
    /// to something.
    #[must_use]
    pub fn of_stream(is_terminal: bool, no_colour: bool) -> Self {
        if is_terminal { Self::Drawn { colour: !no_colour } } else { Self::Plain }
    }
}

impl Report {
    /// Every problem, in the given look. Ends with a line break unless empty.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        match look {
            Look::Plain => self.plain(),
            Look::Narrated => self.each(|out, shown| NarratableReportHandler::new().render_report(out, shown)),
            Look::Drawn { colour } => {
                let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
                let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(1).with_links(false);
                self.each(|out, shown| handler.render_report(out, shown))
            }
        }
    }

    /// One line per problem: `path:line:column: error: message (help)`.
    #[must_use]
    pub fn plain(&self) -> String {
        let mut out = String::new();
        for problem in self.problems() {
            let place = match &problem.origin {
                Origin::Default | Origin::Profile(_) => self.listing().name.clone(),
                origin => self.listing().place(origin),
            };
            out.push_str(&format!("{place}: {}: {}", word(problem.severity), problem.message));
            if let Some(help) = &problem.help {
                out.push_str(&format!(" ({help})"));
            }
            out.push('\n');
        }
        out
    }

    fn each(&self, draw: impl Fn(&mut String, &dyn Diagnostic) -> fmt::Result) -> String {
        let source = NamedSource::new(&self.listing().name, self.listing().text.clone());
        let mut out = String::new();
        for problem in self.problems() {
            let shown = Shown { problem, source: &source, report: self };
            // Writing to a string cannot fail; should drawing fail, the plain sentence is still there.
            if draw(&mut out, &shown).is_err() {
                let _ = writeln!(out, "{shown}");
            }
        }
        out
    }
}

/// One problem next to the text it stands in.
struct Shown<'a> {
    problem: &'a Problem,
    source: &'a NamedSource<String>,
    report: &'a Report,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)?;
        match &self.problem.origin {
            origin @ (Origin::Env(_) | Origin::Set(_)) => write!(f, " (from {})", self.report.listing().place(origin)),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<Level> {
        Some(match self.problem.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
            Severity::Advice => Level::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        match self.problem.origin {
            Origin::File(_) => Some(self.source),
            _ => None,
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        match &self.problem.origin {
            Origin::File(span) => {
                let label = LabeledSpan::underline((span.start, span.len()));
                Some(Box::new(std::iter::once(label)))
            }
            _ => None,
        }
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "advice",
    }
}
