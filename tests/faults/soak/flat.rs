//! Whether what was measured stays where it was. Pure: values in, figures and complaints out.

use std::fmt;
use std::time::Duration;

use super::samples::Sample;

/// What was measured, its unit, and by how much its last third may lie above its first: a part of it, and so much on top.
struct Column {
    name: &'static str,
    of: fn(&Sample) -> u64,
    part: f64,
    slack: f64,
    /// What a client takes that is there for a moment, to ask the cluster something.
    client: f64,
}

/// With fewer samples a moment may be all of a third.
const FEW: usize = 30;

/// Memory is what the system counts, with all that the allocator keeps for itself: it breathes by some MiB.
const COLUMNS: [Column; 6] = [
    Column { name: "memory held (VmRSS), KiB", of: |sample| sample.memory_kib, part: 0.05, slack: 4096.0, client: 0.0 },
    Column {
        name: "most memory so far (VmHWM), KiB",
        of: |sample| sample.peak_kib,
        part: 0.10,
        slack: 8192.0,
        client: 0.0,
    },
    Column { name: "threads", of: |sample| sample.threads, part: 0.0, slack: 2.0, client: 4.0 },
    Column { name: "open files and sockets", of: |sample| sample.files, part: 0.0, slack: 4.0, client: 8.0 },
    Column { name: "store, KiB", of: |sample| sample.store_kib, part: 0.25, slack: 1024.0, client: 0.0 },
    Column { name: "lag, records", of: |sample| sample.lag, part: 1.0, slack: 2000.0, client: 0.0 },
];

/// How something measured went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// Medians of the first third of the time, of all of it, and of the last third.
    pub first: f64,
    pub median: f64,
    pub last: f64,
    pub most: f64,
    /// Of the straight line with the least squares.
    pub slope_per_hour: f64,
}

impl Course {
    /// Of values with their moments, in order; there are some.
    pub fn of(points: &[(Duration, u64)]) -> Self {
        let points: Vec<(f64, f64)> = points.iter().map(|(at, value)| (at.as_secs_f64(), whole(*value))).collect();
        let third = points.len().div_ceil(3);
        Self {
            first: median(&points[..third]),
            median: median(&points),
            last: median(&points[points.len() - third..]),
            most: points.iter().map(|(_, value)| *value).fold(0.0, f64::max),
            slope_per_hour: slope(&points) * 3600.0,
        }
    }
}

/// A number far below 2^52.
fn whole(value: u64) -> f64 {
    value as f64
}

fn median(points: &[(f64, f64)]) -> f64 {
    let mut values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Change of the value in a unit of the moment.
fn slope(points: &[(f64, f64)]) -> f64 {
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / whole(points.len() as u64);
    let (at, value) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - at).powi(2)).sum();
    let together: f64 = points.iter().map(|point| (point.0 - at) * (point.1 - value)).sum();
    if spread > 0.0 { together / spread } else { 0.0 }
}

/// The courses of everything measured.
pub struct Report {
    courses: Vec<(&'static Column, Course)>,
    samples: usize,
}

impl Report {
    /// Of samples in order; there are some.
    pub fn of(samples: &[Sample]) -> Self {
        let course = |column: &'static Column| {
            let points: Vec<_> = samples.iter().map(|sample| (sample.at, (column.of)(sample))).collect();
            (column, Course::of(&points))
        };
        Self { courses: COLUMNS.iter().map(course).collect(), samples: samples.len() }
    }

    fn slack(&self, column: &Column) -> f64 {
        column.slack + if self.samples < FEW { column.client } else { 0.0 }
    }

    /// What has grown more than it may.
    pub fn grown(&self) -> Vec<String> {
        let grown = self
            .courses
            .iter()
            .filter(|(column, course)| course.last > course.first * (1.0 + column.part) + self.slack(column));
        grown.map(|(column, course)| format!("{}: {} became {}", column.name, course.first, course.last)).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | first third | median | last third | highest | slope an hour |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
        for (column, Course { first, median, last, most, slope_per_hour }) in &self.courses {
            writeln!(f, "| {} | {first} | {median} | {last} | {most} | {slope_per_hour:+.1} |", column.name)?;
        }
        Ok(())
    }
}

#[test]
fn a_line_has_its_slope_and_thirds_their_medians() {
    let line: Vec<_> = (0..9).map(|n| (Duration::from_secs(10 * n), 100 + 5 * n)).collect();
    let course = Course::of(&line);
    assert_eq!((course.first, course.median, course.last, course.most), (105.0, 120.0, 135.0, 140.0));
    assert!((course.slope_per_hour - 1800.0).abs() < 1e-6, "{}", course.slope_per_hour);
    let flat = Course::of(&[(Duration::ZERO, 7); 4]);
    assert_eq!((flat.first, flat.last, flat.slope_per_hour), (7.0, 7.0, 0.0));
}

#[test]
fn what_grows_is_named_and_what_breathes_is_not() {
    let sample = |n: u64, memory_kib| Sample {
        at: Duration::from_secs(n),
        process: crate::process::Process(1),
        memory_kib,
        peak_kib: 90_000,
        threads: 30,
        files: 50 + n % 2,
        store_kib: 2000,
        lag: 10 * (n % 7),
    };
    let breathing: Vec<_> = (0..60).map(|n| sample(n, 80_000 + 3000 * (n % 2))).collect();
    assert_eq!(Report::of(&breathing).grown(), Vec::<String>::new());
    let asking = |samples: u64| -> Vec<_> {
        let threads = |n| if n >= samples * 2 / 3 { 34 } else { 30 };
        (0..samples).map(|n| Sample { threads: threads(n), ..sample(n, 80_000) }).collect()
    };
    assert_eq!(Report::of(&asking(6)).grown(), Vec::<String>::new(), "a client of a moment");
    assert_eq!(Report::of(&asking(60)).grown(), ["threads: 30 became 34"]);
    let growing: Vec<_> = (0..60).map(|n| sample(n, 80_000 + 300 * n)).collect();
    assert_eq!(Report::of(&growing).grown(), ["memory held (VmRSS), KiB: 83000 became 95000"]);
}
