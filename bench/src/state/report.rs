//! Turns and starts as tables. Ratios are taken within a round and their median is told: what else the machine did
//! changes from round to round and weighs on all alike.

use std::fmt::Write as _;

use super::StateArgs;
use super::engines::Engine;
use super::race::{Start, Turn};
use crate::table::median;

const MEBI: f64 = (1 << 20) as f64;

/// Flushes by size and engine.
pub fn flushes(args: &StateArgs, turns: &[Turn]) -> String {
    let mut table = String::from(
        "| flush of | engine | flushes | p50 ms | p99 ms | p50 / first engine's | written / given | peak, MiB |\n\
         | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for &size in &args.sizes {
        for &engine in &args.engines {
            let of = |turn: &&Turn| turn.size == size && turn.engine == engine;
            let mut all: Vec<f64> = turns.iter().filter(of).flat_map(|turn| turn.seconds.clone()).collect();
            all.sort_by(f64::total_cmp);
            let p99 = all.get(((all.len().max(1) - 1) as f64 * 0.99).round() as usize).copied().unwrap_or(f64::NAN);
            let ratio = by_round(args, |engine, round| {
                let of = |turn: &&Turn| turn.size == size && turn.engine == engine && turn.round == round;
                median(turns.iter().filter(of).flat_map(|turn| turn.seconds.iter().copied()))
            });
            let amplification = median(turns.iter().filter(of).map(|turn| turn.amplification));
            let peak = turns.iter().filter(of).map(|turn| turn.peak_bytes).max().unwrap_or(0) as f64 / MEBI;
            let (p50, p99, ratio) = (median(all.iter().copied()) * 1e3, p99 * 1e3, ratio(engine));
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "| {size} | {engine:?} | {} | {p50:.1} | {p99:.1} | {ratio:.2} | {amplification:.1} | {peak:.0} |",
                all.len(),
            );
        }
    }
    table
}

/// Starts by engine.
pub fn starts(args: &StateArgs, starts: &[Start]) -> String {
    let mut table = String::from(
        "| engine | on disk, MiB | after a kill | open, s | read all, s | both / first engine's | peak, MiB |\n\
         | --- | ---: | --- | ---: | ---: | ---: | ---: |\n",
    );
    for &engine in &args.engines {
        for cold in [true, false] {
            let of = |start: &&Start| start.cold == cold && start.engine == engine;
            let typical = |value: fn(&Start) -> f64| median(starts.iter().filter(of).map(value));
            let (open, read) =
                (typical(|start| start.reopened.open_seconds), typical(|start| start.reopened.read_seconds));
            let (files, peak) =
                (typical(|start| start.file_bytes as f64), typical(|start| start.reopened.peak_bytes as f64));
            let ratio = by_round(args, |engine, round| {
                let of = |start: &&Start| start.cold == cold && start.engine == engine && start.round == round;
                let both = |start: &Start| start.reopened.open_seconds + start.reopened.read_seconds;
                median(starts.iter().filter(of).map(both))
            })(engine);
            let (files, peak) = (files / MEBI, peak / MEBI);
            let memory = if cold { "files not in memory" } else { "files in memory" };
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "| {engine:?} | {files:.0} | {memory} | {open:.2} | {read:.2} | {ratio:.2} | {peak:.0} |"
            );
        }
    }
    table
}

/// How an engine compares with the first one: the median over rounds.
fn by_round(args: &StateArgs, value: impl Fn(Engine, u64) -> f64) -> impl Fn(Engine) -> f64 {
    move |engine| {
        let first = args.engines[0];
        median((0..args.rounds).map(|round| value(engine, round) / value(first, round)))
    }
}
