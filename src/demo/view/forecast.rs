//! The latest forecast of one station as a curve, under the line of what it can draw from the grid, beside the load that
//! the fleet would expect of itself.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Paragraph};

use quorate_core::ident::Millis;

use super::frame::panel;
use super::palette::Palette;
use crate::demo::observer::Forecast;
use crate::demo::scene::Scene;
use crate::fleet::HOUR_MS;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene, station: usize, palette: Palette) {
    let sites = scene.fleet.stations();
    let Some(site) = sites.get(station) else { return };
    let title = format!(" forecast of {} ({} of {}) ", site.id, station + 1, sites.len());
    let block = panel(palette).title(Span::styled(title, palette.strong()));
    match scene.seen.forecasts.get(&site.id) {
        Some(forecast) => {
            let expected = |start: i64| scene.fleet.expected_kw(station, Millis(start + HOUR_MS / 2));
            let curves = Curves::new(forecast, expected);
            frame.render_widget(
                curves.chart(forecast, palette).block(block.title_bottom(legend(forecast, palette))),
                area,
            );
        }
        None => {
            let text = Line::styled("none yet: the station's inputs are not complete", palette.quiet());
            frame.render_widget(Paragraph::new(vec![Line::default(), text.centered()]).block(block), area);
        }
    }
}

/// The points of each curve, and the highest of them.
struct Curves {
    forecast: Vec<(f64, f64)>,
    expected: Vec<(f64, f64)>,
    capacity: Vec<(f64, f64)>,
    top: f64,
}

impl Curves {
    fn new(forecast: &Forecast, expected: impl Fn(i64) -> f64) -> Self {
        let hours = || (0_u32..).map(f64::from);
        let points = &forecast.points;
        let last = points.len().saturating_sub(1) as f64;
        let capacity = forecast.capacity_kw.map_or_else(Vec::new, |kw| vec![(0.0, kw), (last, kw)]);
        let predicted: Vec<_> = hours().zip(points.iter().map(|point| point.kw)).collect();
        let expected: Vec<_> = hours().zip(points.iter().map(|point| expected(point.start))).collect();
        let highest = predicted.iter().chain(&expected).map(|(_, kw)| *kw).fold(1.0, f64::max);
        // A forecast never exceeds the capacity, so that the axis may end there.
        let top = forecast.capacity_kw.filter(|kw| *kw >= highest).unwrap_or_else(|| nice_above(highest));
        Self { forecast: predicted, expected, capacity, top }
    }

    fn chart(&self, forecast: &Forecast, palette: Palette) -> Chart<'_> {
        let curve =
            |points, marker, kind, style| Dataset::default().data(points).marker(marker).graph_type(kind).style(style);
        let sets = vec![
            curve(&self.capacity, Marker::Braille, GraphType::Line, palette.limit()),
            curve(&self.expected, Marker::Dot, GraphType::Scatter, palette.quiet()),
            curve(&self.forecast, Marker::Braille, GraphType::Line, palette.curve()),
        ];
        let points = &forecast.points;
        let clock = |ix: usize| points.get(ix).map_or_else(String::new, |point| clock(&point.time));
        let last = points.len().saturating_sub(1);
        let quiet = palette.quiet();
        let label = |text: String| Span::styled(text, quiet);
        Chart::new(sets)
            .x_axis(Axis::default().style(quiet).bounds([0.0, last as f64]).labels([0, last / 2, last].map(clock)))
            .y_axis(Axis::default().style(quiet).bounds([0.0, self.top]).labels_alignment(Alignment::Right).labels([
                label("0".to_owned()),
                label(format!("{:.0}", self.top / 2.0)),
                label(format!("{:.0} kW", self.top)),
            ]))
            .legend_position(None)
    }
}

fn legend(forecast: &Forecast, palette: Palette) -> Line<'static> {
    let capacity = forecast.capacity_kw.map_or_else(String::new, |kw| format!("─ capacity {kw:.0} kW "));
    Line::from(vec![
        Span::styled(format!(" ─ {} ", forecast.method), palette.curve()),
        Span::styled("• expected ", palette.quiet()),
        Span::styled(capacity, palette.limit()),
    ])
}

/// `2025-11-05 00:00:00` as `00:00`.
fn clock(time: &str) -> String {
    time.get(11..16).unwrap_or(time).to_owned()
}

/// The least round number that is not below `kw`.
fn nice_above(kw: f64) -> f64 {
    let power = 10_f64.powf(kw.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|round| *round >= kw).unwrap_or(kw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_a_round_number_above_everything() {
        assert_eq!([1.0, 9.0, 101.0, 840.0].map(nice_above), [1.0, 10.0, 120.0, 1000.0]);
    }

    #[test]
    fn an_hour_is_told_by_its_clock() {
        assert_eq!(clock("2025-11-05 07:00:00"), "07:00");
        assert_eq!(clock("07"), "07");
    }
}
