//! Figures as text.

use std::fmt::Write as _;

use crate::child::Contender;
use crate::drain::Run;

const MICROS: f64 = 1e6;
const MEBI: f64 = (1 << 20) as f64;

impl Run {
    fn rate(&self) -> f64 {
        self.measured.records as f64 / self.measured.seconds
    }
}

/// One run in a few words.
pub fn brief(run: &Run) -> String {
    let measured = &run.measured;
    format!("{:?}: {:.2} s, {:.0} records/s", measured.contender, measured.seconds, run.rate())
}

/// All runs, the medians and what they say.
pub fn of(runs: &[Run], bytes: usize) -> String {
    let mut text = String::from(
        "| run | seconds | records/s | MB/s | own CPU µs/record | broker CPU µs/record | peak MiB | group at end, s | results |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for run in runs {
        let measured = &run.measured;
        let records = measured.records as f64;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {:?} | {:.2} | {:.0} | {:.0} | {:.2} | {:.2} | {:.0} | {:.2} | {} |",
            measured.contender,
            measured.seconds,
            run.rate(),
            run.rate() * bytes as f64 / MICROS,
            measured.cpu_seconds / records * MICROS,
            run.broker_cpu_seconds / records * MICROS,
            measured.peak_bytes as f64 / MEBI,
            measured.committed_seconds,
            measured.results,
        );
    }
    let rate = |contender| median(runs.iter().filter(|run| run.measured.contender == contender).map(Run::rate));
    let (bare, quorate) = (rate(Contender::Bare), rate(Contender::Quorate));
    let _ =
        write!(text, "\nmedian records/s: bare {bare:.0}, quorate {quorate:.0}; quorate/bare {:.2}", quorate / bare);
    text
}

pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    match (numbers.get(numbers.len().saturating_sub(1) / 2), numbers.get(numbers.len() / 2)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert!(median(std::iter::empty()).is_nan());
    }
}
