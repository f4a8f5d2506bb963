//! What has come of it: complete stations, results, dead letters.

use std::collections::BTreeMap;
use std::fmt::Display;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{LineGauge, Paragraph};

use super::frame::panel;
use super::palette::Palette;
use crate::demo::scene::Scene;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene, palette: Palette) {
    let block = panel(palette).title(Span::styled(" stations and results ", palette.strong()));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [gauge, counts] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(inner);
    let gauge = Rect { width: gauge.width.saturating_sub(1), ..gauge };
    let (complete, stations) = (scene.sample.complete, scene.fleet.stations().len());
    let share = if stations == 0 { 0.0 } else { complete as f64 / stations as f64 };
    let filled = if complete == stations { palette.good() } else { palette.busy() };
    let bar = LineGauge::default()
        .ratio(share.clamp(0.0, 1.0))
        .label(format!(" {complete} of {stations} complete"))
        .filled_symbol("█")
        .unfilled_symbol("░")
        .filled_style(filled)
        .unfilled_style(palette.quiet());
    frame.render_widget(bar, gauge);
    let lines = lines(scene, usize::from(counts.width), usize::from(counts.height), palette);
    frame.render_widget(Paragraph::new(lines), counts);
}

fn lines(scene: &Scene, width: usize, height: usize, palette: Palette) -> Vec<Line<'static>> {
    let tally = &scene.sample.tally;
    let dead: u64 = tally.dead_letters.values().sum();
    let line = |name: &str, number: u64, more: String| {
        Line::from(vec![
            Span::styled(format!(" {name:<12}"), palette.quiet()),
            Span::raw(format!("{:>9}", grouped(number))),
            Span::styled(format!("  {more}"), palette.quiet()),
        ])
    };
    let detail = |counts: Vec<String>| {
        counts.into_iter().map(|text| Line::styled(format!("   {text}"), palette.quiet())).collect::<Vec<_>>()
    };
    let width = width.saturating_sub(3);
    let groups = [
        (line("records", tally.records, rate(scene.rates.records)), Vec::new(), 3),
        (line("inputs", tally.inputs, format!("{} open", scene.sample.open_runs)), Vec::new(), 3),
        (line("results", tally.results, rate(scene.rates.results)), wrapped(&scene.seen.results, width), 2),
        (line("forecasts", scene.seen.methods.values().sum(), String::new()), wrapped(&scene.seen.methods, width), 1),
        (line("dead letters", dead, String::new()), wrapped(&scene.sample.dead_letters(), width), 0),
    ];
    // Breakdowns stand under their sums as far as there is room, the most telling ones first.
    let mut room = height.saturating_sub(groups.len());
    let mut shown = [false; 5];
    for rank in 0..3 {
        for (ix, (_, detail, _)) in groups.iter().enumerate().filter(|(_, (_, _, of))| *of == rank) {
            if detail.len() <= room {
                room -= detail.len();
                shown[ix] = true;
            }
        }
    }
    let lines = groups.into_iter().zip(shown).flat_map(|((sum, counts, _), shown)| {
        std::iter::once(sum).chain(detail(if shown { counts } else { Vec::new() }))
    });
    lines.collect()
}

fn rate(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}/s") } else { format!("{}/s", grouped(rate.round() as u64)) }
}

/// Names and counts in as many lines as they need.
fn wrapped<K: Display>(counts: &BTreeMap<K, u64>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (name, count) in counts {
        let entry = format!("{name} {}", grouped(*count));
        match lines.last_mut() {
            Some(line) if line.len() + 2 + entry.len() <= width => {
                line.push_str("  ");
                line.push_str(&entry);
            }
            _ => lines.push(entry),
        }
    }
    lines
}

/// A number in groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_in_groups_of_three() {
        let texts = [0, 999, 1_000, 15_160, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "15,160", "1,234,567"]);
    }

    #[test]
    fn counts_fill_a_line_before_the_next_begins() {
        let counts = BTreeMap::from([("aa", 1), ("bb", 22), ("cc", 3)]);
        assert_eq!(wrapped(&counts, 11), ["aa 1  bb 22", "cc 3"]);
    }
}
