//! The whole picture: what stands where, from 80 by 24 upwards. Knows the parts by name only.

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Wrap};

use super::palette::Palette;
use super::{forecast, numbers, topics};
use crate::demo::feeder::Stage;
use crate::demo::plain;
use crate::demo::scene::{Phase, Scene};
use crate::fleet::ZONE;

/// Below this there is no room for the picture, and one line tells how things stand.
const LEAST: (u16, u16) = (72, 22);

/// From this width on things have their whole names.
const WIDE: u16 = 100;

/// From this height on there is room for frames and air.
const ROOMY: u16 = 30;

/// Draws a scene; `station` is the one whose forecast is shown.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene, station: usize, logs: &[String], palette: Palette) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let lines = [plain::progress(scene), format!("{} by {} characters show more", LEAST.0, LEAST.1)];
        frame.render_widget(Paragraph::new(lines.map(Line::from).to_vec()).wrap(Wrap { trim: false }), area);
        return;
    }
    let roomy = area.height >= ROOMY;
    let gap = u16::from(roomy);
    let rows = topics::height(scene) + 2 * gap;
    let logged = u16::try_from(logs.len()).unwrap_or(0).min(if roomy { 3 } else { 1 });
    let [head, _, table, below, log, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(gap),
        Constraint::Length(rows),
        Constraint::Min(6),
        Constraint::Length(logged),
        Constraint::Length(1),
    ])
    .areas(area);
    header(frame, head, scene, palette);
    let table = framed(frame, table, roomy, palette);
    topics::draw(frame, table, scene, palette);
    let left = if area.width >= WIDE { 42 } else { 34 };
    let [counts, chart] = Layout::horizontal([Constraint::Length(left), Constraint::Min(30)]).areas(below);
    numbers::draw(frame, counts, scene, palette);
    forecast::draw(frame, chart, scene, station, palette);
    let lines = logs.iter().skip(logs.len().saturating_sub(usize::from(logged)));
    frame.render_widget(Paragraph::new(lines.map(|line| Line::styled(line, palette.bad())).collect::<Vec<_>>()), log);
    frame.render_widget(hints(scene, palette), keys);
}

/// A frame with rounded corners, as every part has one.
pub(super) fn panel(palette: Palette) -> Block<'static> {
    Block::bordered().border_type(BorderType::Rounded).border_style(palette.quiet())
}

/// Draws the frame around the table where there is room for one, and says what is left inside.
fn framed(frame: &mut Frame<'_>, area: Rect, roomy: bool, palette: Palette) -> Rect {
    if !roomy {
        return area;
    }
    let block = panel(palette).title(Span::styled(" topics ", palette.strong()));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

fn header(frame: &mut Frame<'_>, area: Rect, scene: &Scene, palette: Palette) {
    let (word, style) = match (scene.phase, scene.fed.stage) {
        (Phase::Starting, _) => ("starting", palette.busy()),
        (Phase::Feeding, Stage::History) => ("sending history", palette.busy()),
        (Phase::Feeding, _) => ("live", palette.good()),
        (Phase::Finishing, _) => ("finishing", palette.busy()),
        (Phase::Draining, _) => ("draining", palette.busy()),
    };
    let wide = area.width >= WIDE;
    let gap = if wide { "   " } else { "  " };
    let seconds = scene.uptime.as_secs();
    let quiet = |text: String| Span::styled(text, palette.quiet());
    let left = Line::from(vec![
        Span::styled(" quorate demo ", palette.banner()),
        Span::styled(format!("{gap}● {word}"), style),
        quiet(format!("{gap}{}", if wide { scene.mode.long() } else { scene.mode.short() })),
    ]);
    let right = Line::from(vec![
        quiet(if wide { "simulated " } else { "" }.to_owned()),
        Span::raw(simulated(scene, if wide { "%a %Y-%m-%d %H:%M" } else { "%a %H:%M" })),
        quiet(format!("{gap}up ")),
        Span::raw(format!("{}:{:02}", seconds / 60, seconds % 60)),
        quiet(format!("{gap}seed ")),
        Span::raw(format!("{} ", scene.fleet.plan().seed)),
    ]);
    let [from, to] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(u16::try_from(right.width()).unwrap_or(0))])
            .areas(area);
    frame.render_widget(left, from);
    frame.render_widget(right, to);
}

fn simulated(scene: &Scene, form: &str) -> String {
    let moment = Timestamp::from_millisecond(scene.fed.simulated.0).ok();
    let local = moment.and_then(|moment| moment.in_tz(ZONE).ok());
    local.map_or_else(String::new, |local| local.strftime(form).to_string())
}

fn hints(scene: &Scene, palette: Palette) -> Line<'static> {
    let key = |key: &'static str| Span::styled(key, palette.strong());
    let does = |what: &'static str| Span::styled(what, palette.quiet());
    let stop = if scene.phase == Phase::Feeding { " finish   " } else { " end at once   " };
    Line::from(vec![does(" "), key("q"), does(" or "), key("Ctrl-C"), does(stop), key("← →"), does(" another station")])
}
