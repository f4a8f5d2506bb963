//! Progress where there is no terminal to draw on: one line a second. Pure.

use super::scene::{Phase, Scene};

/// The line for a moment.
#[must_use]
pub fn progress(scene: &Scene) -> String {
    let seconds = scene.uptime.as_secs_f64();
    let doing = match scene.phase {
        Phase::Starting => return format!("{seconds:5.1} s  starting"),
        Phase::Feeding => "",
        Phase::Finishing => "  finishing",
        Phase::Draining => "  draining",
    };
    let sample = &scene.sample;
    format!(
        "{seconds:5.1} s  records {}  lag {}  inputs {}  results {}  dead letters {}  complete {} of {}{doing}",
        sample.tally.records,
        sample.lags().map(|(_, lag)| lag).sum::<u64>(),
        sample.tally.inputs,
        sample.tally.results,
        sample.tally.dead_letters.values().sum::<u64>(),
        sample.complete,
        scene.fleet.stations().len(),
    )
}
