//! The table of topics: how fast, how much, how far behind.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Row, Table};

use super::numbers::grouped;
use super::palette::Palette;
use crate::demo::sample::TopicSample;
use crate::demo::scene::Scene;
use crate::kafka::TopicState;

/// Lines without a frame: the topics and their heading.
pub(super) fn height(scene: &Scene) -> u16 {
    u16::try_from(scene.sample.topics.len().max(13)).unwrap_or(u16::MAX).saturating_add(1)
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene, palette: Palette) {
    let rates = scene.rates.topics.iter().copied().chain(std::iter::repeat(0.0));
    let rows = scene.sample.topics.iter().zip(rates).map(|(topic, rate)| row(topic, rate, palette));
    let heading = |text: &'static str| Cell::from(Line::from(text).right_aligned());
    let header = Row::new([
        Cell::from(" topic"),
        heading("records/s"),
        heading("total"),
        heading("lag"),
        heading("quota"),
        Cell::from("  state"),
    ]);
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Length(5),
        Constraint::Length(14),
    ];
    frame.render_widget(Table::new(rows, widths).header(header.style(palette.strong())).column_spacing(1), area);
}

fn row(topic: &TopicSample, rate: f64, palette: Palette) -> Row<'static> {
    let number = |text: String, style: Style| Cell::from(Text::from(Line::styled(text, style).right_aligned()));
    let plain = Style::new();
    let behind = if topic.lag > 0 { palette.busy() } else { palette.quiet() };
    let (word, style) = state(topic, palette);
    Row::new([
        Cell::from(format!(" {}", topic.name)),
        number(if rate < 10.0 { format!("{rate:.1}") } else { grouped(rate.round() as u64) }, plain),
        number(grouped(topic.records), plain),
        number(grouped(topic.lag), behind),
        number(topic.quota.to_string(), palette.quiet()),
        Cell::from(Line::from(vec![Span::styled("  ● ", style), Span::raw(word)])),
    ])
}

fn state(topic: &TopicSample, palette: Palette) -> (&'static str, Style) {
    match &topic.state {
        TopicState::Connecting => ("joining", palette.busy()),
        TopicState::Assigned if topic.lag > 0 => ("reading", palette.busy()),
        TopicState::Assigned => ("caught up", palette.good()),
        TopicState::SplitOwnership(_) => ("split", palette.bad()),
        TopicState::Failed(trouble) => (trouble.kind.as_str(), palette.bad()),
        TopicState::Stopped => ("stopped", palette.quiet()),
    }
}
