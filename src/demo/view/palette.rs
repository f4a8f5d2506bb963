//! Colours, or none. Whatever a colour says, a word or a place says as well.

use ratatui::style::{Color, Modifier, Style};

/// The styles of the view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    /// Whether colours may be used.
    pub(super) colour: bool,
}

impl Palette {
    /// What is as it should be.
    pub(super) fn good(self) -> Style {
        self.tint(Color::Green)
    }

    /// What is on its way.
    pub(super) fn busy(self) -> Style {
        self.tint(Color::Yellow)
    }

    /// What is wrong.
    pub(super) fn bad(self) -> Style {
        self.tint(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// The curve of interest.
    pub(super) fn curve(self) -> Style {
        self.tint(Color::Cyan)
    }

    /// A limit.
    pub(super) fn limit(self) -> Style {
        self.tint(Color::Red)
    }

    /// Names, frames, units.
    pub(super) fn quiet(self) -> Style {
        if self.colour { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// Headings.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The name of the programme.
    pub(super) fn banner(self) -> Style {
        self.strong().add_modifier(Modifier::REVERSED)
    }

    fn tint(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }
}
